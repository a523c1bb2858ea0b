// Composes sets of sources with another implementation: the oracle of the schema crate's composition.
// In, on stdin: a JSON array of {services: [{name, sdl}], ours}, where `ours` is the API that we made
// of them, or null. Out, on stdout: a JSON array of {codes, theirs, ours}: why the set was refused, and
// both APIs printed alike, each with its tags by coordinate.
import { readFileSync } from "node:fs";
import { composeServices, compositionHasErrors, transformSupergraphToPublicSchema } from "@theguild/federation-composition";
import { buildASTSchema, Kind, lexicographicSortSchema, parse, printSchema, visit } from "graphql";

// Directives that the API carries for the mesh and that no client uses.
const CARRIED = new Set(["tag", "cost", "listSize"]);

function tagsOf(document, known) {
  const tags = {};
  const add = (coordinate, node) => {
    const names = (node.directives ?? []).filter((d) => d.name.value === "tag").map((d) => d.arguments[0].value.value);
    if (names.length > 0 && (!known || known.has(coordinate))) tags[coordinate] = names.sort();
  };
  for (const type of document.definitions) {
    if (!type.name || type.kind === Kind.DIRECTIVE_DEFINITION) continue;
    add(type.name.value, type);
    for (const member of type.fields ?? type.values ?? []) {
      const coordinate = `${type.name.value}.${member.name.value}`;
      add(coordinate, member);
      for (const argument of member.arguments ?? []) add(`${coordinate}(${argument.name.value}:)`, argument);
    }
  }
  return Object.fromEntries(Object.entries(tags).sort());
}

function coordinatesOf(document) {
  const known = new Set();
  for (const type of document.definitions) {
    if (!type.name) continue;
    known.add(type.name.value);
    for (const member of type.fields ?? type.values ?? []) {
      known.add(`${type.name.value}.${member.name.value}`);
      for (const argument of member.arguments ?? []) known.add(`${type.name.value}.${member.name.value}(${argument.name.value}:)`);
    }
  }
  return known;
}

function printed(document) {
  const plain = visit(document, {
    Directive: (node) => (CARRIED.has(node.name.value) ? null : undefined),
    DirectiveDefinition: (node) => (CARRIED.has(node.name.value) ? null : undefined),
  });
  const schema = buildASTSchema(plain, { assumeValid: true, assumeValidSDL: true });
  return printSchema(lexicographicSortSchema(schema));
}

function composed(services) {
  const result = composeServices(services.map(({ name, sdl }) => ({ name, typeDefs: parse(sdl), url: `http://${name}` })));
  if (compositionHasErrors(result)) {
    const codes = result.errors.map((e) => `${e.extensions?.code}: ${e.message.split("\n")[0]}`);
    return { codes, theirs: null };
  }
  const supergraph = parse(result.supergraphSdl);
  const api = transformSupergraphToPublicSchema(supergraph);
  return { codes: [], theirs: { sdl: printed(api), tags: tagsOf(supergraph, coordinatesOf(api)) } };
}

function answer({ services, ours }) {
  let result;
  try {
    result = composed(services);
  } catch (error) {
    result = { codes: [`THROWN: ${String(error.message).split("\n")[0]}`], theirs: null };
  }
  const document = ours === null ? null : parse(ours);
  return { ...result, ours: document && { sdl: printed(document), tags: tagsOf(document, null) } };
}

process.stdout.write(JSON.stringify(JSON.parse(readFileSync(0, "utf8")).map(answer)));
