// Classifies API changes with GraphQL Inspector: the oracle of the schema crate's own classes.
// In, on stdin: a JSON array of {old, new}, two SDL texts each. Out, on stdout: a JSON array of
// lists of {path, level, type}.
import { readFileSync } from "node:fs";
import { buildSchema } from "graphql";
import { diff } from "@graphql-inspector/core";

const pairs = JSON.parse(readFileSync(0, "utf8"));
const answers = [];
for (const pair of pairs) {
  const [before, after] = [pair.old, pair.new].map((sdl) => buildSchema(sdl, { assumeValid: true }));
  const changes = await diff(before, after);
  answers.push(changes.map((c) => ({ path: c.path ?? "", level: c.criticality.level, type: c.type })));
}
process.stdout.write(JSON.stringify(answers));
