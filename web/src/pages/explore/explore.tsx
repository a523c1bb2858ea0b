/** Explore: questions to the project's API in GraphiQL, with this tab's token and our colours. */
import { useEditorContext } from "@graphiql/react";
import { GraphiQL } from "graphiql";
import "graphiql/style.css";
import { useEffect, useRef, useState } from "react";
import { buildClientSchema, getIntrospectionQuery, type GraphQLSchema, type IntrospectionQuery } from "graphql";
import { graphql } from "../../api/graphql";
import { problemOf } from "../../api/problem";
import { useResource } from "../../api/resource";
import { exampleQuery } from "../../api/rows";
import { send } from "../../api/session";
import { shape } from "../../api/shape";
import { deployed } from "../../api/system";
import { Page } from "../../design/parts/layout";
import { Bones, Empty, Loaded } from "../../design/parts/states";
import type { Place } from "../../router";
import { useTheme } from "../../theme";
import { EXPLAIN } from "./explain";
import { isSubscription, listen } from "./listen";
import { useReach } from "./reach";
import "./explore.css";

const WELCOME = `# Ctrl-Enter runs the query.
# Ctrl-Space completes names.
# Escape leaves the editor.
`;

/** Panes beside GraphiQL's own. */
const PLUGINS = [EXPLAIN];

interface Found {
  schema: GraphQLSchema;
  /** A first question, about the first table. */
  example: string;
}

async function everything(): Promise<Found> {
  const [api, schema, fields] = await Promise.all([graphql<IntrospectionQuery>(getIntrospectionQuery()), deployed(), shape()]);
  const type = schema.types.find((candidate) => candidate.table && fields.list(candidate.name));
  return { schema: buildClientSchema(api), example: type ? WELCOME + exampleQuery({ type, deployed: schema, shape: fields }) : WELCOME };
}

export default function ExplorePage({ place }: { place: Place }) {
  const found = useResource("explore", everything);
  return (
    <Loaded of={found} bones={<div className="page"><Bones rows={10} /></div>}>
      {(value) => (hasTypes(value.schema) ? <Editor found={value} query={place.parameters.get("query")} /> : <NoTypes />)}
    </Loaded>
  );
}

/** Before the first apply the API knows its fingerprint only. */
function hasTypes(schema: GraphQLSchema): boolean {
  return Object.keys(schema.getQueryType()?.getFields() ?? {}).some((name) => name !== "schemaFingerprint");
}

function Editor({ found, query }: { found: Found; query: string | null }) {
  const { shown } = useTheme();
  const frame = useRef<HTMLDivElement>(null);
  const [isReady, setReady] = useState(false);
  useReach(frame);
  return (
    <div className={isReady ? "explore" : "explore is-waiting"} ref={frame}>
      <h1 className="only-for-ears">Explore</h1>
      <GraphiQL
        key={query ?? ""}
        schema={found.schema}
        fetcher={(asked) => (isSubscription(asked) ? listen(asked) : ask(asked))}
        defaultQuery={found.example}
        {...(query ? { query } : {})}
        forcedTheme={shown}
        isHeadersEditorEnabled={false}
        plugins={PLUGINS}
      >
        <GraphiQL.Logo><Ready tell={setReady} /></GraphiQL.Logo>
      </GraphiQL>
    </div>
  );
}

/** Tells when the editors are there: until then the run button does nothing. It takes the place of the logo. */
function Ready({ tell }: { tell: (isReady: boolean) => void }) {
  const { queryEditor, responseEditor } = useEditorContext({ nonNull: true });
  const isReady = queryEditor !== null && responseEditor !== null;
  useEffect(() => tell(isReady), [isReady, tell]);
  return null;
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
