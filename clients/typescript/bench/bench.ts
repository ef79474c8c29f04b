/** How fast this client is, beside its stubs: clients/BENCH.md says what is timed. Prints one line of JSON. */
import { create } from "@bufbuild/protobuf";
import { parseArgs } from "node:util";
import { Timestamp, connectNode } from "@tesseract-grpc/client/node";
import type { Hub, Mirror, RowInput } from "@tesseract-grpc/client/node";
import { WriteRequestSchema } from "@tesseract-grpc/client/gen/tesseract/v1/table_service_pb.js";
import { Commit } from "#internal/commit.js";

const words = ["mode", "address", "seconds", "table", "batch", "rows", "session", "version"];
const { values } = parseArgs({ options: Object.fromEntries(words.map((word) => [word, { type: "string" as const }])) });
const text = (name: string, missing: string): string => (values[name] as string | undefined) ?? missing;
const limit = Number(text("seconds", "3")) * 1000;
const hub = connectNode(text("address", "localhost:50051"));

function row(i: number): RowInput {
  return {
    id: BigInt(i),
    symbol: `S${i % 1_000}`,
    side: i % 2 === 0 ? "buy" : "sell",
    price: ((i * 7_919) % 100_000) / 100,
    qty: BigInt((i % 1_000) + 1),
    ts: new Timestamp(1_700_000_000_000_000n + BigInt(i)),
    trader: `T${i % 200}`,
    active: i % 3 === 0,
  };
}

async function write(raw: boolean): Promise<object> {
  const table = await hub.table(text("table", "bench"));
  const [batch, rows] = [Number(text("batch", "1000")), Number(text("rows", "100000"))];
  const batches = Array.from({ length: rows / batch }, (_, at) => {
    return Array.from({ length: batch }, (_, i) => row(at * batch + i));
  });
  const requests = raw ? batches.map((upsert) => new Commit([{ table, upsert }]).operations) : [];
  const messages = requests.map((operations) => create(WriteRequestSchema, { parent: hub.rpc.parent, operations }));
  const send = async (at: number): Promise<bigint> => {
    return raw ? (await hub.rpc.tables.write(messages[at]!)).version : table.upsert(batches[at]!);
  };
  for (let at = 0; at < batches.length; at++) await send(at);
  const start = performance.now();
  let written = 0;
  let version = 0n;
  for (let at = 0; performance.now() - start < limit; at = (at + 1) % batches.length) {
    version = await send(at);
    written += batch;
  }
  return { rows: written, seconds: seconds(performance.now() - start), version: Number(version) };
}

/** Repeats something that tells how long it took, until the time is over. */
async function repeat<T extends object>(once: () => Promise<[ms: number, found: T]>): Promise<object> {
  await once();
  const times: number[] = [];
  let found!: T;
  for (const start = performance.now(); performance.now() - start < limit;) {
    let ms: number;
    [ms, found] = await once();
    times.push(ms);
  }
  return { repetitions: times.length, seconds: seconds(times.reduce((sum, ms) => sum + ms, 0)), ...found };
}

function held(mirror: Mirror): { rows: number; digest: string } {
  return { rows: mirror.length, digest: Buffer.from(mirror.digest()).toString("hex") };
}

/** A mirror that is opened, and timed until it is ready or, from then on, until it has a version. */
async function mirrored(until: bigint | undefined): Promise<object> {
  const session = await hub.session(text("session", "bench"));
  let last: Mirror | undefined;
  const found = await repeat(async () => {
    const opened = performance.now();
    last = await session.mirror().ready();
    const ready = performance.now();
    if (until !== undefined) await last.waitFor(until);
    const ms = until === undefined ? ready - opened : performance.now() - ready;
    await last.close();
    return [ms, {}];
  });
  return { ...found, ...held(last!) };
}

/** The same stream through the stub. */
async function streamed(until: bigint | undefined): Promise<object> {
  const name = hub.rpc.name("sessions", text("session", "bench"));
  await hub.session(name);
  return repeat(async () => {
    const stop = new AbortController();
    let [start, messages] = [performance.now(), 0];
    try {
      for await (const { event, toVersion } of hub.rpc.sessions.watchSession({ name }, { signal: stop.signal })) {
        messages += 1;
        if (event.case === "snapshotEnd") {
          if (until === undefined) break;
          start = performance.now();
        } else if (until !== undefined && event.case === "changes" && toVersion >= until) break;
      }
      return [performance.now() - start, { messages }];
    } finally {
      stop.abort();
    }
  });
}

function seconds(ms: number): number {
  return Math.round(ms) / 1000;
}

const until = BigInt(text("version", "0"));
const MODES: Record<string, (hub: Hub) => Promise<object>> = {
  write: () => write(false),
  raw_write: () => write(true),
  snapshot: () => mirrored(undefined),
  raw_snapshot: () => streamed(undefined),
  fold: () => mirrored(until),
  raw_fold: () => streamed(until),
};
const mode = text("mode", "");
const run = MODES[mode];
if (run === undefined) throw new Error(`--mode is one of ${Object.keys(MODES).join(", ")}`);
console.log(JSON.stringify({ mode, ...(await run(hub)) }));
hub.close();
