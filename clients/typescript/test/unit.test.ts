/** What can be tested without a server: values, times, digests, pauses, silence, and rows under changes. */
import assert from "node:assert/strict";
import { describe, mock, test } from "node:test";
import { readFileSync } from "node:fs";
import { Bookmark, Json, TesseractError, Timestamp, digestOf } from "@tesseract-grpc/client";
import type { Column, Delta, RowChange, TypeName, Value } from "@tesseract-grpc/client";
import { create } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import { connectNode } from "@tesseract-grpc/client/node";
import { connectWeb } from "@tesseract-grpc/client/web";
import { errorOf } from "#internal/errors.js";
import { StreamBroken } from "#internal/feed.js";
import { RowBatchSchema, ValueSchema } from "#internal/gen/tesseract/v1/value_pb.js";
import type { RowBatch } from "#internal/gen/tesseract/v1/value_pb.js";
import { queryOf } from "#internal/query.js";
import { Replica } from "#internal/replica.js";
import { Backoff } from "#internal/rpc.js";
import { decodeRows, encodeRows, keyValue, typesOf, valueMessage } from "#internal/values.js";
import { Watchdog } from "#internal/watchdog.js";

const column = (name: string, type: TypeName, primaryKey = false): Column => ({ name, type, primaryKey });
const COLUMNS = [
  column("id", "int64", true),
  column("b", "bool"),
  column("f", "float64"),
  column("t", "timestamp"),
  column("s", "string"),
  column("j", "json"),
  column("e", "enum"),
  column("größe 🚀", "string"),
];
const ROWS: Record<string, Value>[] = (
  [
    [-(2n ** 63n), true, NaN, new Timestamp(-1n), "", new Json('{"a": 1.50}'), "low", "ß"],
    [2n ** 53n + 1n, false, -0, new Timestamp(1_700_000_000_123_456n), "𝔘\u0000x", null, null, null],
    [0n, null, null, null, null, new Json("null"), "high", ""],
    [2n ** 63n - 1n, null, -Infinity, new Timestamp(0n), "a", new Json("[]"), "high", "x"],
  ] as Value[][]
).map((values) => Object.fromEntries(COLUMNS.map(({ name }, at) => [name, values[at]!])));

test("the version is that of the server", () => {
  const { version } = JSON.parse(readFileSync("package.json", "utf8")) as { version: string };
  assert.match(readFileSync("../../tesseract_grpc/__init__.py", "utf8"), new RegExp(`__version__ = "${version}"`));
});

test("digests are those of docs/GUARANTEES.md", () => {
  const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");
  assert.equal(hex(digestOf(COLUMNS, ROWS)), "7bf79ceacebb88a16288f6923c26dedfdb6053e1d21aa3630e31460d5f336693");
  assert.equal(hex(digestOf(COLUMNS, [])), "46d3fd42fb198155308079eacd1eb8e8403a8de40d07f41e2a33adf869fab582");
});

describe("times", () => {
  test("keep their microseconds, before 1970 too", () => {
    for (const text of ["1969-12-31T23:59:59.999999Z", "2026-11-23T04:15:00.000001Z", "0001-01-01T00:00:00.000000Z"]) {
      assert.equal(Timestamp.of(text).toString(), text);
      assert.equal(JSON.stringify(Timestamp.of(text)), `"${text}"`);
    }
    assert.equal(new Timestamp(-1n).toDate().getTime(), -1);
    assert.equal(Timestamp.of(new Date(-1)).micros, -1000n);
    assert.equal(new Timestamp(2n ** 63n - 1n).toString(), "9223372036854775807 us");
  });

  test("read ISO 8601, and refuse the rest", () => {
    assert.equal(Timestamp.of("2020-02-29").micros, 1_582_934_400_000_000n);
    assert.equal(Timestamp.of("1970-01-01T01:00:00.5+01:00").micros, 500_000n);
    assert.equal(Timestamp.of("1970-01-01 00:00:01").micros, 1_000_000n);
    for (const text of ["", "now", "2020-13-01", "2020-01-01T00:00:00.1234567Z", "12"]) {
      assert.throws(() => Timestamp.of(text), RangeError, text);
    }
    assert.throws(() => Timestamp.of(new Date(NaN)), RangeError);
  });
});

describe("values", () => {
  const types = typesOf(COLUMNS);
  const names = COLUMNS.map(({ name }) => name);

  test("go to the wire and back, few and many", () => {
    assert.deepEqual(decodeRows(encodeRows(ROWS, names, types), types), ROWS);
    const many = Array.from({ length: 100 }, (_, at) => ({ ...ROWS[at % 4]!, id: BigInt(at) }));
    const batch = encodeRows(many, names, types);
    assert.equal(batch.columns[4]!.values.case, "dictionary");
    assert.deepEqual(decodeRows(batch, types), many);
  });

  test("of a dictionary need a text, unless they are null", () => {
    const dictionary = (codes: number[], validity: number[]): RowBatch => {
      const values = { case: "dictionary" as const, value: { dictionary: ["a"], codes } };
      const columns = [{ name: "s", validity: Uint8Array.from(validity), values }];
      return create(RowBatchSchema, { rowCount: codes.length, columns });
    };
    assert.deepEqual(decodeRows(dictionary([0, 7], [1]), types), [{ s: "a" }, { s: null }]);
    for (const batch of [dictionary([0, 1], []), dictionary([0, 1], [3]), dictionary([0], [1, 0])]) {
      assert.throws(() => decodeRows(batch, types), RangeError);
    }
  });

  test("may be given in other forms", () => {
    const given = { id: 7, b: undefined, f: 3n, t: new Date(5), j: { a: [1n < 2n] } };
    const [row] = decodeRows(encodeRows([given], ["id", "b", "f", "t", "j"], types), types);
    assert.deepEqual(row, { id: 7n, b: null, f: 3, t: new Timestamp(5000n), j: new Json('{"a":[true]}') });
  });

  test("that do not fit are refused with their row", () => {
    const wrong: [string, unknown, string][] = [
      ["id", 2 ** 53, "WRONG_TYPE"],
      ["id", 1.5, "WRONG_TYPE"],
      ["id", "1", "WRONG_TYPE"],
      ["id", 2n ** 63n, "INT64_OVERFLOW"],
      ["b", 1, "WRONG_TYPE"],
      ["f", "1", "WRONG_TYPE"],
      ["f", 2n ** 53n + 1n, "WRONG_TYPE"],
      ["t", 12, "WRONG_TYPE"],
      ["t", "yesterday", "BAD_TIMESTAMP"],
      ["s", 1, "WRONG_TYPE"],
      ["j", { a: NaN }, "BAD_JSON"],
      ["j", 1n, "BAD_JSON"],
    ];
    for (const [name, value, reason] of wrong) {
      assert.throws(
        () => encodeRows([{ [name]: null }, { [name]: value }], [name], types, 10),
        (error: TesseractError) => error.reason === reason && error.rowErrors[0]!.row === 11 && error.field === name,
        `${name} ${String(value)}`,
      );
    }
  });

  test("of keys are told apart", () => {
    const keys = [
      ["a", "bc"],
      ["ab", "c"],
      ["a", null],
      [null, "a"],
    ].map(([a, b]) => keyValue(["a", "b"], { a: a!, b: b! }));
    assert.equal(new Set(keys).size, 4);
    assert.equal(keyValue(["t"], { t: new Timestamp(5n) }), 5n);
  });

  test("of the protos have their kind", () => {
    assert.deepEqual(valueMessage(null), create(ValueSchema));
    assert.equal(valueMessage(1n).kind.case, "int64Value");
    assert.equal(valueMessage(new Date(1)).kind.value, 1000n);
    const query = queryOf({ table: "t", filter: "a > 1", sort: ["-a", "b"] });
    assert.deepEqual(
      [query.filter!.node.value, query.sort.map((key) => [key.column, key.direction])],
      [
        "a > 1",
        [
          ["a", 2],
          ["b", 1],
        ],
      ],
    );
  });
});

describe("rows under changes", () => {
  const columns = [column("id", "int64", true), column("v", "string")];
  const loaded = (count: number): Replica => {
    const rows = Array.from({ length: count }, (_, id) => ({ id: BigInt(id), v: "" }));
    const replica = new Replica();
    replica.apply({ kind: "snapshot", version: 1n, epoch: "e", columns, rows, totalCount: count, reason: "first" });
    return replica;
  };
  const delta = (...changes: RowChange[]): Delta => {
    return {
      kind: "changes",
      fromVersion: 1n,
      version: 2n,
      totalCount: 9,
      changes,
      skippedCommits: 0,
      edited: undefined,
    };
  };
  const key = (id: number): { id: bigint } => ({ id: BigInt(id) });
  const ids = (replica: Replica): number[] => replica.rows().map((row) => Number(row["id"]));

  test("follow the order of the contract", () => {
    const replica = loaded(6);
    const held = replica.rows();
    replica.apply(
      delta(
        { kind: "remove", key: key(0), reason: "deleted" },
        { kind: "update", key: key(3), row: { ...key(3), v: "new" } },
        { kind: "move", key: key(3), index: 0 },
        { kind: "insert", key: key(9), row: { ...key(9), v: "came" }, index: 5 },
        { kind: "insert", key: key(8), row: { ...key(8), v: "came" }, index: 1 },
      ),
    );
    assert.deepEqual(ids(replica), [3, 8, 1, 2, 4, 9, 5]);
    assert.deepEqual([replica.version, replica.totalCount, held[3]!["v"], replica.rows()[0]!["v"]], [2n, 9, "", "new"]);
  });

  test("that do not fit leave them as they were", () => {
    const insert = (id: number, index: number): RowChange => ({
      kind: "insert",
      key: key(id),
      row: { ...key(id), v: "" },
      index,
    });
    const remove = (id: number): RowChange => ({ kind: "remove", key: key(id), reason: "deleted" });
    const move = (id: number, index: number): RowChange => ({ kind: "move", key: key(id), index });
    const update = (id: number): RowChange => ({ kind: "update", key: key(id), row: { ...key(id), v: "x" } });
    const wrong = [
      [remove(7)],
      [remove(1), remove(1)],
      [remove(1), update(1)],
      [remove(1), move(1, 0)],
      [move(1, 0), move(1, 1)],
      [move(1, 3)],
      [insert(1, 0)],
      [insert(5, 0), insert(5, 1)],
      [insert(5, 0), insert(6, 0)],
      [insert(5, 4)],
      [update(7)],
    ];
    for (const changes of wrong) {
      const replica = loaded(3);
      assert.throws(() => replica.apply(delta(update(2), ...changes)), StreamBroken);
      assert.deepEqual([ids(replica), replica.version, replica.rows()[2]!["v"]], [[0, 1, 2], 1n, ""]);
    }
    assert.throws(() => new Replica().apply(delta()), StreamBroken);
  });

  test("are as if made one by one, at random", () => {
    let seed = 7;
    const random = (below: number): number => {
      seed = (seed * 1_103_515_245 + 12_345) % 2 ** 31;
      return Math.floor((seed / 2 ** 31) * below);
    };
    const replica = loaded(10);
    let model = ids(replica);
    for (let round = 0; round < 500; round++) {
      const gone = model.filter(() => random(5) === 0);
      const left = model.filter((id) => !gone.includes(id));
      const moved = left.filter(() => random(5) === 0);
      const comes = Array.from({ length: random(4) }, (_, at) => 1_000 + round * 10 + at);
      const stays = left.filter((id) => !moved.includes(id));
      const after = [...stays];
      for (const id of [...moved, ...comes]) after.splice(random(after.length + 1), 0, id);
      const changes: RowChange[] = gone.map((id) => ({ kind: "remove", key: key(id), reason: "deleted" }));
      for (const id of moved) changes.push({ kind: "move", key: key(id), index: after.indexOf(id) });
      for (const id of comes)
        changes.push({ kind: "insert", key: key(id), row: { ...key(id), v: "" }, index: after.indexOf(id) });
      replica.apply(delta(...changes));
      assert.deepEqual(ids(replica), after);
      model = after;
    }
  });
});

test("pauses double up to a limit, at random below it, and start again", () => {
  const backoff = new Backoff({ initialBackoffMs: 100, maxBackoffMs: 1_000 }, () => 1);
  assert.deepEqual(
    [1, 2, 3, 4, 5, 6].map(() => backoff.next()),
    [100, 200, 400, 800, 1_000, 1_000],
  );
  assert.equal(backoff.next(5_000), 6_000);
  backoff.reset();
  assert.equal(backoff.next(), 100);
  assert.equal(new Backoff({ initialBackoffMs: 100, maxBackoffMs: 1_000 }, () => 0.25).next(), 25);
});

test("silence is noticed while somebody waits", (context) => {
  context.mock.timers.enable({ apis: ["setTimeout"] });
  let now = 0;
  mock.method(performance, "now", () => now);
  const pass = (ms: number): void => {
    now += ms;
    context.mock.timers.tick(ms);
  };
  let barks = 0;
  const watchdog = new Watchdog(() => (barks += 1));
  watchdog.wait(100);
  pass(99);
  watchdog.heard();
  pass(1_000);
  assert.equal(barks, 0); // nobody waited
  watchdog.wait(100);
  pass(50);
  watchdog.wait(100);
  pass(99);
  assert.equal(barks, 0);
  pass(1);
  assert.equal(barks, 1);
  watchdog.wait(1_000);
  watchdog.wait(10); // more talkative than expected
  pass(10);
  assert.equal(barks, 2);
  watchdog.wait(10);
  watchdog.stop();
  pass(100);
  assert.equal(barks, 2);
  mock.restoreAll();
});

test("connections that break are unavailable, whatever their library calls it", () => {
  for (const code of [Code.Canceled, Code.Unknown, Code.Aborted, Code.Internal, Code.InvalidArgument, Code.DataLoss]) {
    assert.equal(errorOf(new ConnectError("broken", code)).code, "UNAVAILABLE");
    assert.notEqual(errorOf(new ConnectError("told", code, { "grpc-status": String(code) })).code, "UNAVAILABLE");
  }
  assert.equal(errorOf(ConnectError.from(new TypeError("fetch failed"))).code, "UNAVAILABLE");
  assert.equal(errorOf(new ConnectError("parse binary: premature EOF", Code.Internal)).code, "INTERNAL");
  assert.equal(errorOf(new RangeError("a column has 2 values for 3 rows")).code, "INTERNAL");
  assert.equal(errorOf(new ConnectError("late", Code.DeadlineExceeded)).code, "DEADLINE_EXCEEDED");
});

test("an address that is none is refused", () => {
  assert.throws(() => connectNode("no address"), { reason: "MALFORMED_REQUEST", field: "address" });
  assert.throws(() => connectWeb("localhost:8080"), { reason: "MALFORMED_REQUEST", field: "url" });
});

test("bookmarks are read back, and nothing else is", () => {
  const bookmark = new Bookmark("epoch", 7n, Uint8Array.of(1, 2, 3), COLUMNS, ROWS, 9);
  const bytes = bookmark.toBytes();
  assert.deepEqual(Bookmark.fromBytes(bytes), bookmark);
  const empty = new Bookmark("epoch", 7n, new Uint8Array(), COLUMNS, [], 0);
  assert.deepEqual(Bookmark.fromBytes(empty.toBytes()), empty);
  for (let end = 0; end < bytes.length; end++) {
    assert.throws(() => Bookmark.fromBytes(bytes.subarray(0, end)), { reason: "MALFORMED_REQUEST" }, String(end));
  }
  assert.throws(() => Bookmark.fromBytes(Uint8Array.of(...bytes, ...bytes)), { reason: "MALFORMED_REQUEST" });
});
