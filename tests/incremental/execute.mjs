// Answers documents in parts as the reference of incremental delivery does.
// In, on stdin: {sdl, cases: [{text, variables, data}]}, where `data` is the root value. Out, on stdout:
// for each case its payloads, or null when the document is refused.
import { readFileSync } from "node:fs";
import {
  GraphQLDeferDirective, GraphQLSchema, GraphQLStreamDirective, buildSchema,
  experimentalExecuteIncrementally, parse, specifiedDirectives, validate,
} from "graphql";

const { sdl, cases } = JSON.parse(readFileSync(0, "utf8"));
const config = buildSchema(sdl).toConfig();
const directives = [...specifiedDirectives, GraphQLDeferDirective, GraphQLStreamDirective];
const schema = new GraphQLSchema({ ...config, directives });

async function answer({ text, variables, data }) {
  const document = parse(text);
  if (validate(schema, document).length > 0) return null;
  const result = await experimentalExecuteIncrementally({
    schema, document, rootValue: data, variableValues: variables,
  });
  if (!("initialResult" in result)) return [result];
  const payloads = [result.initialResult];
  for await (const payload of result.subsequentResults) payloads.push(payload);
  return payloads;
}

const answers = [];
for (const one of cases) answers.push(await answer(one));
process.stdout.write(JSON.stringify(answers));
