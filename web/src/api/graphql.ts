/** Questions to the project's own API at `/graphql`. */
import { problemOfErrors } from "./problem";
import { send } from "./session";

interface Answer<Data> {
  data?: Data | null;
  errors?: { message: string; path?: (string | number)[]; extensions?: Record<string, unknown> }[];
}

/** Asks, and gives the data. Any error inside the answer is a problem: a page shows whole rows or says why not. */
export async function graphql<Data>(query: string, variables: Record<string, unknown> = {}): Promise<Data> {
  const response = await send("/graphql", {
    method: "POST",
    headers: { "content-type": "application/json", accept: "application/graphql-response+json, application/json" },
    body: JSON.stringify({ query, variables }),
  });
  const answer = (await response.json()) as Answer<Data>;
  if (answer.errors?.length) throw problemOfErrors(answer.errors);
  return answer.data as Data;
}
