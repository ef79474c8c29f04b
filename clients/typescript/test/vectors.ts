/** The conformance vectors: what a player says, and what a client shows of it. */
import { fromJson, toJson } from "@bufbuild/protobuf";
import type { JsonObject, JsonValue } from "@bufbuild/protobuf";
import { setTimeout as sleep } from "node:timers/promises";
import { readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { TesseractError, connectNode } from "@tesseract-grpc/client/node";
import type { Change, Column, Json, Mirror, MirrorOptions, Timestamp, Value } from "@tesseract-grpc/client/node";
import { Delivery } from "#internal/gen/tesseract/v1/change_pb.js";
import { WatchSessionRequestSchema } from "#internal/gen/tesseract/v1/session_service_pb.js";
import { ValueSchema } from "#internal/gen/tesseract/v1/value_pb.js";

/** What a client shows at one consistent point. */
export interface Shown {
  by: string;
  version: string;
  total_count: string;
  columns: string[];
  key: string[];
  rows: JsonValue[][];
}

/** What must come of a vector, or what came of it. */
export interface Outcome {
  shown: Shown[];
  states: string[];
  interrupted: { reason: string; version: string; resumes: boolean }[];
  version: string;
  error?: JsonObject;
}

/** The parts of a vector's file that a client needs. */
export interface Vector {
  name: string;
  watch: JsonObject;
  expect: Outcome;
}

/** All vectors of a directory. */
export function loadVectors(directory: string): Vector[] {
  const files = readdirSync(directory).filter((file) => file.endsWith(".json"));
  return files.sort().map((file) => JSON.parse(readFileSync(join(directory, file), "utf8")) as Vector);
}

/** Goes through a vector, and returns all that the client has shown of it. */
export async function play(vector: Vector, address: string, suffix = ""): Promise<Outcome> {
  const retry = { initialBackoffMs: 10, maxBackoffMs: 20 };
  const hub = connectNode(address, {
    timeoutMs: 10_000,
    retry,
    logger: { warn: () => undefined, error: console.error },
  });
  try {
    const session = await hub.session(vector.name + suffix);
    const mirror = session.mirror(optionsOf(vector.watch));
    const found: Outcome = { shown: [], states: [], interrupted: [], version: "" };
    mirror.on("change", (change) => found.shown.push(shown(mirror, change)));
    mirror.on("state", (state) => found.states.push(state));
    mirror.on("interrupted", ({ reason, version, resumes }) => {
      found.interrupted.push({ reason, version: String(version), resumes });
    });
    const deadline = performance.now() + 20_000;
    while (!over(mirror, found, vector.expect) && performance.now() < deadline) await sleep(5);
    found.version = String(mirror.version);
    if (mirror.error !== undefined) found.error = errorJson(mirror.error);
    await sleep(50); // nothing more may come
    const { shown: points, states, interrupted, ...rest } = found;
    const outcome = { shown: [...points], states: [...states], interrupted: [...interrupted], ...rest };
    await mirror.close();
    return outcome;
  } finally {
    hub.close();
  }
}

function over(mirror: Mirror, found: Outcome, wanted: Outcome): boolean {
  if (mirror.state === "ended") return true;
  const there = found.shown.length >= wanted.shown.length && found.states.length >= wanted.states.length;
  return there && String(mirror.version) === wanted.version && wanted.error === undefined;
}

function optionsOf(watch: JsonObject): MirrorOptions {
  const { window, includeDigest, delivery } = fromJson(WatchSessionRequestSchema, watch);
  return {
    verify: includeDigest,
    delivery: delivery === Delivery.EVERY_COMMIT ? "every_commit" : "net",
    ...(window !== undefined && {
      window: {
        offset: Number(window.offset),
        ...(window.limit !== undefined && { limit: Number(window.limit) }),
        ...(window.expansion !== undefined && { expansion: window.expansion }),
      },
    }),
  };
}

function shown(mirror: Mirror, change: Change): Shown {
  const { columns } = mirror;
  return {
    by: change.kind === "snapshot" ? "snapshot_end" : "changes",
    version: String(mirror.version),
    total_count: String(mirror.totalCount),
    columns: columns.map((column) => column.name),
    key: columns.filter((column) => column.primaryKey).map((column) => column.name),
    rows: mirror.rows().map((row) => columns.map((column) => plain(column, row[column.name]!))),
  };
}

/** A value as proto3 JSON of a `Value`. */
function plain(column: Column, value: Value): JsonValue {
  if (value === null) return {};
  const cases: Record<Column["type"], () => JsonObject> = {
    bool: () => ({ bool_value: value as boolean }),
    int64: () => ({ int64_value: String(value as bigint) }),
    float64: () => json({ case: "float64Value", value: value as number }),
    timestamp: () => ({ timestamp_value: String((value as Timestamp).micros) }),
    json: () => ({ json_value: (value as Json).text }),
    string: () => ({ string_value: value as string }),
    enum: () => ({ string_value: value as string }),
    unknown: () => ({ unknown: String(value) }),
  };
  return cases[column.type]();
}

function json(kind: { case: "float64Value"; value: number }): JsonObject {
  return toJson(ValueSchema, { $typeName: "tesseract.v1.Value", kind }, { useProtoFieldName: true }) as JsonObject;
}

function errorJson(error: TesseractError): JsonObject {
  return {
    code: error.code,
    message: error.message,
    reason: error.reason,
    fields: error.fields.map(({ field }) => field),
    metadata: { ...error.metadata },
  };
}
