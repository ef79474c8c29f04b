/**
 * Mirrors a session and answers on stdin: `relay_watch --address A[,B] --session NAME`.
 *
 * It prints a line of JSON when it is first live. At a line `digest VERSION` it waits until its mirror is at that version,
 * and prints what it holds and what has happened to it. It ends with its input.
 */
import { createInterface } from "node:readline";
import { parseArgs } from "node:util";
import { connectNode } from "@tesseract-grpc/client/node";

const { values } = parseArgs({ options: { address: { type: "string" }, session: { type: "string" } } });
const [address] = (values.address ?? "localhost:50051").split(",");
if (values.session === undefined) throw new Error("--session is missing");

const hub = connectNode(address, { logger: { warn: (text) => console.error(text), error: console.error } });
const session = await hub.session(values.session);
const mirror = session.mirror({ verify: true });
const counts = { resumes: 0, resets: 0, changes: 0 };
mirror.on("resumed", () => (counts.resumes += 1));
mirror.on("change", ({ kind }) => {
  if (kind === "changes") counts.changes += 1;
  else counts.resets += 1;
});
await mirror.ready();
counts.resets -= 1; // the first snapshot is none
console.log(JSON.stringify({ state: mirror.state, version: Number(mirror.version) }));

for await (const line of createInterface({ input: process.stdin })) {
  const asked = /^digest (\d+)$/.exec(line.trim());
  if (asked === null) throw new Error(`unknown command: ${line}`);
  await mirror.waitFor(BigInt(asked[1]!), 120_000);
  const [version, rows, digest] = [Number(mirror.version), mirror.length, Buffer.from(mirror.digest()).toString("hex")];
  console.log(JSON.stringify({ version, rows, digest, ...counts }));
}
await mirror.close();
hub.close();
