/** Explore: questions to the project's API in GraphiQL, with this tab's token and our colours. */
import { GraphiQL } from "graphiql";
import "graphiql/style.css";
import { buildClientSchema, getIntrospectionQuery, type GraphQLSchema, type IntrospectionQuery } from "graphql";
import { graphql } from "../../api/graphql";
import { problemOf } from "../../api/problem";
import { useResource } from "../../api/resource";
import { send } from "../../api/session";
import { Page } from "../../design/parts/layout";
import { Bones, Empty, Loaded } from "../../design/parts/states";
import type { Place } from "../../router";
import { useTheme } from "../../theme";
import "./explore.css";

const WELCOME = `# Ask for what the schema has. Ctrl-Space completes, Ctrl-Enter runs.
{
  schemaFingerprint
}
`;

async function apiSchema(): Promise<GraphQLSchema> {
  return buildClientSchema(await graphql<IntrospectionQuery>(getIntrospectionQuery()));
}

export default function ExplorePage({ place }: { place: Place }) {
  const schema = useResource("api schema", apiSchema);
  return (
    <Loaded of={schema} bones={<div className="page"><Bones rows={10} /></div>}>
      {(found) => (hasTypes(found) ? <Editor schema={found} query={place.parameters.get("query")} /> : <NoTypes />)}
    </Loaded>
  );
}

/** Before the first apply the API knows its fingerprint only. */
function hasTypes(schema: GraphQLSchema): boolean {
  return Object.keys(schema.getQueryType()?.getFields() ?? {}).some((name) => name !== "schemaFingerprint");
}

function Editor({ schema, query }: { schema: GraphQLSchema; query: string | null }) {
  const { shown } = useTheme();
  return (
    <div className="explore">
      <h1 className="only-for-ears">Explore</h1>
      <GraphiQL
        key={query ?? ""}
        schema={schema}
        fetcher={ask}
        defaultQuery={WELCOME}
        {...(query ? { query } : {})}
        forcedTheme={shown}
        isHeadersEditorEnabled={false}
      >
        <GraphiQL.Logo><span /></GraphiQL.Logo>
      </GraphiQL>
    </div>
  );
}

function NoTypes() {
  return (
    <Page title="Explore">
      <section className="panel">
        <Empty title="There is nothing to ask for yet" icon="terminal">The API follows from the schema. Run <code>headwater apply</code>, and its fields are here.</Empty>
      </section>
    </Page>
  );
}

/** Sends what the editor asks; a refusal is shown where the answer would be. */
async function ask(parameters: { query: string; operationName?: string | null; variables?: unknown }) {
  try {
    const response = await send("/graphql", {
      method: "POST",
      headers: { "content-type": "application/json", accept: "application/graphql-response+json, application/json" },
      body: JSON.stringify(parameters),
    });
    return await response.json();
  } catch (error) {
    const problem = problemOf(error);
    return { errors: [{ message: problem.message, extensions: { code: problem.code, hint: problem.hint } }] };
  }
}
