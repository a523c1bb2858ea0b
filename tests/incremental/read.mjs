// Reads an answer in parts as clients do that use `meros`: the address and the document are the arguments.
// Out, on stdout: the payloads.
import { meros } from "meros/browser";

const [url, query] = process.argv.slice(2);
const response = await fetch(url, {
  method: "POST",
  headers: { "content-type": "application/json", accept: "application/json, multipart/mixed" },
  body: JSON.stringify({ query }),
});
const parts = await meros(response);
if (parts instanceof Response) throw new Error(`one answer: ${await response.text()}`);
const payloads = [];
for await (const part of parts) {
  if (!part.json) throw new Error(`no JSON: ${part.body}`);
  payloads.push(part.body);
}
process.stdout.write(JSON.stringify(payloads));
