// Audits a server against the specification of GraphQL over HTTP. In: its URL, and the name of a header
// that every request shall carry, if any. Out, on stdout: a JSON array of {id, name, status, reason}.
import { serverAudits } from "graphql-http";

const [url, header] = process.argv.slice(2);
const send = (address, init = {}) => {
  const more = header === undefined ? {} : { [header]: "1" };
  return fetch(address, { ...init, headers: { ...init.headers, ...more } });
};
const results = [];
for (const audit of serverAudits({ url, fetchFn: send })) {
  const { id, name, status, reason } = await audit.fn();
  results.push({ id, name, status, reason: reason ?? null });
}
process.stdout.write(JSON.stringify(results));
