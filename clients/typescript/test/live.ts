/** What the tests of the live suite share: hubs over both ports, a table of every type, and waiting. */
import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";
import { Timestamp, connectNode } from "@tesseract-grpc/client/node";
import type { ColumnInput, ConnectOptions, Hub, Mirror, Rows } from "@tesseract-grpc/client/node";
import { connectWeb } from "@tesseract-grpc/client/web";
import { control } from "./stage.js";
import type { Staged } from "./stage.js";

/** How a hub is reached: gRPC, or Connect or gRPC-Web over the port for browsers. */
export type Port = "grpc" | "connect" | "grpc-web";

export const quiet = { warn: (): void => undefined, error: console.error };

/** The hubs of each server: a test that fails leaves them open, and the process would not end. */
const hubs = new WeakMap<Staged, Hub[]>();

/** A hub of a server of the stage, over one of its ports. */
export function connect(server: Staged, port: Port = "grpc", options: ConnectOptions = {}): Hub {
  const retry = { initialBackoffMs: 20, maxBackoffMs: 200, ...options.retry };
  const all = { logger: quiet, ...options, retry };
  assert.ok(port === "grpc" || server.http_address, "the server has no port for browsers");
  const hub =
    port === "grpc"
      ? connectNode(server.address, all)
      : connectWeb(server.http_address ?? "", { ...all, protocol: port });
  hubs.set(server, [...(hubs.get(server) ?? []), hub]);
  return hub;
}

/** A server for the time of a test. */
export async function withServer(request: object, run: (server: Staged) => Promise<void>): Promise<void> {
  const server = await control<Staged>("POST", "/servers", request);
  try {
    await run(server);
  } finally {
    for (const hub of hubs.get(server) ?? []) hub.close();
    await control("DELETE", `/servers/${server.id}`);
  }
}

/** A table with a column of every type. */
export const EVERY_TYPE: ColumnInput[] = [
  { name: "id", type: "int64", primaryKey: true },
  { name: "flag", type: "bool" },
  { name: "number", type: "float64" },
  { name: "at", type: "timestamp" },
  { name: "text", type: "string" },
  { name: "doc", type: "json" },
  { name: "grade", type: "enum", enumValues: ["low", "high"] },
  { name: "größe 🚀", type: "string" },
];

/** A table for changes. */
export const ITEMS: ColumnInput[] = [
  { name: "id", type: "int64", primaryKey: true },
  { name: "name", type: "string" },
  { name: "qty", type: "int64" },
  { name: "at", type: "timestamp" },
];

/** Row number `id` of ITEMS. */
export function item(id: number, qty = id * 10, name = `item ${id}`): Record<string, unknown> {
  return { id, name, qty, at: new Timestamp(BigInt(id) * 1_000_001n) };
}

/** Waits until something is so. */
export async function until(what: string, condition: () => boolean, ms = 30_000): Promise<void> {
  const deadline = performance.now() + ms;
  while (!condition()) {
    if (performance.now() > deadline) throw new Error(`${what}: not within ${ms} ms`);
    await sleep(5);
  }
}

/** A mirror must be what a query of its version has, rows, order and counts. */
export async function sameAsQuery(mirror: Mirror, query: (minVersion: bigint) => Promise<Rows>): Promise<void> {
  const rows = await query(mirror.version);
  await mirror.waitFor(rows.version);
  assert.equal(mirror.version, rows.version);
  assert.deepEqual(mirror.rows(), [...rows]);
  assert.equal(mirror.totalCount, rows.totalCount);
}

/** Everything that a mirror tells, as short words. */
export function record(mirror: Mirror): string[] {
  const told: string[] = [];
  mirror.on("change", (change) => told.push(change.kind));
  mirror.on("state", (state) => told.push(state));
  mirror.on("interrupted", ({ reason, resumes }) => told.push(`${reason}${resumes ? ", resumes" : ""}`));
  mirror.on("resumed", () => told.push("resumed"));
  mirror.on("lagged", () => told.push("lagged"));
  return told;
}
