/** The library against real servers: over gRPC all of it, over the port for browsers the main parts. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { Bookmark, Json, TesseractError, Timestamp, connectNode } from "@tesseract-grpc/client/node";
import type { Hub, Mirror, RowInput } from "@tesseract-grpc/client/node";
import { EVERY_TYPE, ITEMS, connect, item, quiet, record, sameAsQuery, until, withServer } from "./live.js";
import type { Port } from "./live.js";
import { act } from "./stage.js";
import type { Staged } from "./stage.js";

setFlagsFromString("--expose-gc");
const collect = runInNewContext("gc") as () => void;

/** The bytes that this process holds, when what nobody needs any more is gone. */
async function held(): Promise<number> {
  for (let round = 0; round < 3; round++) {
    collect();
    await sleep(20); // array buffers are given back beside the program
  }
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}

const limit = { timeout: 120_000 };

async function itemsAndSession(hub: Hub, rows = 20): Promise<void> {
  const table = await hub.createTable("items", ITEMS);
  await table.insert(Array.from({ length: rows }, (_, id) => item(id)));
  await hub.createSession({ table: "items", filter: "qty >= 10", sort: ["-qty", "name"] }, "board");
}

for (const port of ["grpc", "connect", "grpc-web"] as Port[]) {
  const http = port !== "grpc";
  describe(`over ${port}`, { concurrency: 2 }, () => {
    test("types_round_trip", limit, async () => {
      await withServer({ http }, async (server) => {
        const hub = connect(server, port);
        const table = await hub.createTable("types", EVERY_TYPE);
        const nulls = { flag: null, number: null, at: null, text: null, doc: null, grade: null, "größe 🚀": null };
        const big = new Json('{"beyond": 9007199254740993, "a": [1.50, null]}');
        const rows = [
          { ...nulls, id: -(2n ** 63n), number: NaN, text: "", doc: new Json("null") },
          { ...nulls, id: -1n, number: -Infinity, at: new Timestamp(-1n), flag: false },
          { ...nulls, id: 0n },
          {
            id: 1n,
            flag: true,
            number: 0.1,
            at: new Timestamp(1_700_000_000_123_456n),
            text: "😀 a\u0000b",
            doc: big,
            grade: "high",
            "größe 🚀": "ß",
          },
          {
            ...nulls,
            id: 2n ** 53n + 1n,
            number: Infinity,
            at: new Timestamp(-62_135_596_800_000_001n),
            doc: Json.of({}),
          },
          { ...nulls, id: 2n ** 63n - 1n, number: 5e-324, text: "𝔘𝔫𝔦", grade: "low" },
        ];
        const version = await table.insert(rows);
        const inOrder = rows.map((row) =>
          Object.fromEntries(EVERY_TYPE.map(({ name }) => [name, row[name as keyof typeof row]])),
        );
        assert.deepEqual([...(await table.query({ sort: ["id"] }, { minVersion: version }))], inOrder);
        assert.deepEqual([...(await table.get([2n ** 63n - 1n, 7, -1n]))], [inOrder[5], inOrder[1]]);
        const session = await hub.createSession({ table: "types", sort: ["id"] });
        const mirror = await session.mirror({ verify: true }).ready();
        assert.deepEqual(mirror.rows(), inOrder);
        await table.update({ id: 0, number: -0, at: "1969-12-31T23:59:59.999999Z", doc: { n: [1, null] } });
        const changed = await table.update({ id: 1, flag: null, text: null });
        await mirror.waitFor(changed);
        const [zero, one] = [mirror.rows()[2]!, mirror.rows()[3]!];
        assert.ok(Object.is(zero["number"], 0)); // -0.0 is stored as 0.0
        assert.deepEqual([zero["at"], zero["doc"]], [new Timestamp(-1n), new Json('{"n":[1,null]}')]);
        assert.deepEqual([one["flag"], one["text"], one["number"]], [null, null, 0.1]);
        assert.equal((one["doc"] as Json).text, big.text);
        await sameAsQuery(mirror, (minVersion) => session.query({ minVersion }));
        await assert.rejects(table.insert([{ id: 5n }, { id: 2 ** 60 }]), { reason: "WRONG_TYPE" });
        await assert.rejects(table.insert({ id: 2n ** 63n }), { reason: "INT64_OVERFLOW" });
        hub.close();
      });
    });

    test("read_your_writes", limit, async () => {
      await withServer({ http }, async (server) => {
        const hub = connect(server, port);
        await itemsAndSession(hub);
        const [table, session] = [await hub.table("items"), await hub.session("board")];
        const mirror = await session.mirror({ verify: true, window: { limit: 5 } }).ready();
        for (let round = 0; round < 20; round++) {
          const version = await table.update({ id: round, qty: round % 3 === 0 ? 1 : 1_000 + round });
          await mirror.waitFor(version);
          const window = { limit: 5 };
          const rows = await session.query({ window, minVersion: version });
          assert.deepEqual(mirror.rows(), [...rows]);
          const [row] = await table.get(round, { minVersion: version });
          assert.equal(row!["qty"], BigInt(round % 3 === 0 ? 1 : 1_000 + round));
        }
        const both = await hub.commit([
          { table, deleteWhere: "qty < 10" },
          { table, increment: { id: 1, qty: 5 } },
          { table, upsert: [item(1), { ...item(100), name: undefined }] },
          { table, delete: [2, 4n] },
        ]);
        await mirror.waitFor(both);
        await sameAsQuery(mirror, (minVersion) => session.query({ window: { limit: 5 }, minVersion }));
        hub.close();
      });
    });

    test("kill_and_resume", limit, async () => {
      await withServer({ http }, async (server) => {
        const hub = connect(server, port);
        await itemsAndSession(hub);
        const [table, session] = [await hub.table("items"), await hub.session("board")];
        const mirror = session.mirror({ verify: true });
        const told = record(mirror);
        await mirror.ready();
        await act(server, "kill");
        await until("stale", () => mirror.state === "stale");
        assert.equal(mirror.length, 19); // what was there is kept
        const during = table.insert([item(50), item(51)]); // waits for the server
        await act(server, "start");
        await during;
        await mirror.waitFor(await table.delete([50, 3]));
        assert.equal(mirror.state, "live");
        await sameAsQuery(mirror, (minVersion) => session.query({ minVersion }));
        assert.deepEqual(told.slice(0, 6), ["live", "snapshot", "stale", "reconnected, resumes", "resumed", "live"]);
        assert.equal(told.filter((word) => word === "snapshot").length, 1);
        await mirror.close();
        assert.equal(mirror.state, "ended");
        hub.close();
      });
    });

    test("black_hole", limit, async () => {
      await withServer({ http, proxy: true, args: ["--progress-interval", "0.3"] }, async (server) => {
        const hub = connect(server, port, { timeoutMs: 5_000 });
        await itemsAndSession(hub);
        const session = await hub.session("board");
        const mirror = session.mirror({ verify: true });
        const told = record(mirror);
        await mirror.ready();
        await act(server, "blackhole");
        const since = performance.now();
        await until("stale", () => mirror.state === "stale");
        const waited = performance.now() - since;
        assert.ok(waited > 500 && waited < 15_000, `stale after ${waited} ms`);
        await act(server, "heal");
        await until("live", () => mirror.state === "live");
        const table = await hub.table("items");
        await mirror.waitFor(await table.insert(item(70)), 20_000);
        await sameAsQuery(mirror, (minVersion) => session.query({ minVersion }));
        assert.deepEqual(told.slice(2, 6), ["stale", "silence, resumes", "resumed", "live"]);
        assert.equal(told.filter((word) => word === "snapshot").length, 1);
        hub.close();
      });
    });

    test("edit_in_place", limit, async () => {
      await withServer({ http }, async (server) => {
        const hub = connect(server, port);
        await itemsAndSession(hub);
        const session = await hub.session("board");
        const mirror = session.mirror({ verify: true });
        const told = record(mirror);
        const changes = mirror.changes();
        assert.equal((await changes.next()).value!.kind, "snapshot");
        for (const parts of [
          { sort: ["name"] },
          { filter: "qty < 100" },
          { columns: ["id", "qty"] },
          { columns: ["id", "at", "name"] },
        ]) {
          const version = await session.update(parts);
          const change = (await changes.next()).value!;
          assert.ok(change.kind === "changes" && change.edited !== undefined && change.version >= version);
          assert.deepEqual(change.edited.columns, session.columns);
          assert.deepEqual(
            Object.keys(mirror.rows()[0]!),
            session.columns.map((column) => column.name),
          );
          await sameAsQuery(mirror, (minVersion) => session.query({ minVersion }));
        }
        assert.deepEqual(
          told.filter((word) => word !== "changes"),
          ["live", "snapshot"],
        );
        hub.close();
      });
    });

    test("reset", limit, async () => {
      await withServer({ http, args: ["--history-commits", "5"] }, async (server) => {
        const hub = connect(server, port);
        await itemsAndSession(hub);
        const [table, session] = [await hub.table("items"), await hub.session("board")];
        const first = await session.mirror().ready();
        const bookmark = first.bookmark();
        await first.close();
        for (let round = 0; round < 12; round++) await table.update({ id: 5, qty: 100 + round });
        const mirror = session.mirror({ resume: Bookmark.fromBytes(bookmark.toBytes()) });
        assert.deepEqual([mirror.state, mirror.length, mirror.version], ["stale", 19, bookmark.version]);
        const told = record(mirror);
        await until("live", () => mirror.state === "live");
        await sameAsQuery(mirror, (minVersion) => session.query({ minVersion }));
        assert.deepEqual(told.slice(0, 3), ["too_old", "live", "snapshot"]);
        const { epoch, version, token, columns, rows, totalCount } = bookmark;
        const forged = new Bookmark(
          epoch,
          version,
          token.map((byte) => byte ^ 1),
          columns,
          rows,
          totalCount,
        );
        const refused = session.mirror({ resume: forged });
        const words = record(refused);
        await until("a snapshot", () => words.includes("snapshot"));
        assert.deepEqual(words, ["token_refused", "live", "snapshot"]);
        await sameAsQuery(refused, (minVersion) => session.query({ minVersion }));
        await withServer({ http }, async (other) => {
          const elsewhere = connect(other, port);
          await itemsAndSession(elsewhere, 3);
          const foreign = (await elsewhere.session("board")).mirror({ resume: bookmark });
          const heard = record(foreign);
          await until("a snapshot", () => heard.includes("snapshot"));
          assert.deepEqual(heard, ["other_epoch", "live", "snapshot"]);
          assert.equal(foreign.length, 2);
          elsewhere.close();
        });
        hub.close();
      });
    });

    test("retried_write_is_written_once", limit, async () => {
      await withServer({ http }, async (server) => {
        const hub = connect(server, port);
        await itemsAndSession(hub);
        const table = await hub.table("items");
        const write = (): Promise<bigint> =>
          hub.commit([{ table, increment: { id: 1, qty: 7 } }], { requestId: "once" });
        const version = await write();
        await act(server, "kill");
        const again = write();
        await sleep(200);
        await act(server, "start");
        assert.equal(await again, version);
        assert.equal((await table.get(1))[0]!["qty"], 17n);
        hub.close();
      });
    });

    test("errors_and_ends", limit, async () => {
      await withServer({ http }, async (server) => {
        const hub = connect(server, port);
        await itemsAndSession(hub);
        const table = await hub.table("items");
        await assert.rejects(table.insert([item(500), { id: 501, name: "b" }, item(3)]), (error: TesseractError) => {
          assert.deepEqual([error.code, error.reason], ["ALREADY_EXISTS", "DUPLICATE_KEY"]);
          assert.deepEqual(
            [error.rowErrors[0]!.operation, error.rowErrors[0]!.row, error.rowErrors[0]!.column],
            [0, 2, "id"],
          );
          return true;
        });
        await assert.rejects(hub.query({ table: "items", filter: "age >" }), { reason: "BAD_EXPRESSION" });
        await assert.rejects(hub.table("nobody"), { code: "NOT_FOUND", reason: "UNKNOWN_TABLE" });
        const session = await hub.session("board");
        const mirror: Mirror = await session.mirror().ready();
        await session.delete();
        await until("ended", () => mirror.state === "ended");
        assert.equal(mirror.error?.reason, "SESSION_DELETED");
        await assert.rejects(mirror.waitFor(10n ** 9n), { reason: "SESSION_DELETED" });
        assert.equal(mirror.length, 19);
        hub.close();
        await assert.rejects(hub.table("items"), { code: "CANCELLED" });
      });
    });
  });
}

// One after the other: what the process holds is measured.
for (const port of ["grpc", "connect", "grpc-web"] as Port[]) {
  test(`slow_consumer over ${port}`, limit, async () => {
    await withServer({ http: port !== "grpc", args: ["--lag-after", "0.2"] }, async (server) => {
      const [hub, writer] = [connect(server, port), connect(server, port)];
      const table = await writer.createTable("items", ITEMS);
      const rows = (round: number): RowInput[] =>
        Array.from({ length: 100 }, (_, id) => item(id, round, `${round} ${id}`.padStart(5_000, "x")));
      await table.insert(rows(0));
      const session = await hub.createSession({ table: "items", sort: ["id"] }, "slow");
      const mirror = session.mirror();
      const told = record(mirror);
      await mirror.ready();
      let read = (): void => undefined;
      mirror.on("change", () => new Promise<void>((resolve) => (read = resolve)));
      let before = 0;
      let version = 0n;
      for (let round = 1; round <= 120; round++) {
        if (round === 40) before = await held(); // what libraries and buffers take once is there
        version = await table.upsert(rows(round)); // 500 kB
      }
      const grown = ((await held()) - before) / 2 ** 20;
      assert.ok(grown < 4, `the client holds ${grown.toFixed(1)} MiB of changes that it has not read`);
      while (mirror.version < version) {
        read();
        await sleep(1);
      }
      const changes = told.filter((word) => word === "changes").length;
      assert.ok(changes < 120 && told.includes("lagged"), `${changes} changes: ${told.join(" ").slice(-200)}`);
      await sameAsQuery(mirror, (minVersion) => session.query({ minVersion }));
      hub.close();
      writer.close();
    });
  });
}

test("token_and_tls", limit, async () => {
  const pem = (file: string | undefined): Buffer => readFileSync(file!);
  await withServer({ token: true, tls: true }, async (server: Staged) => {
    const options = { tls: { ca: pem(server.tls!.ca) }, logger: quiet };
    const admin = connectNode(server.address, { ...options, token: server.tokens!.admin });
    await itemsAndSession(admin);
    const reader = connectNode(server.address, { ...options, token: server.tokens!.read });
    const mirror = await (await reader.session("board")).mirror().ready();
    await mirror.waitFor(await (await admin.table("items")).insert(item(99)));
    assert.equal(mirror.length, 20);
    await assert.rejects((await reader.table("items")).delete(1), {
      code: "PERMISSION_DENIED",
      reason: "ROLE_REQUIRED",
    });
    const nobody = connectNode(server.address, options);
    await assert.rejects(nobody.table("items"), { code: "UNAUTHENTICATED", reason: "TOKEN_MISSING" });
    const wrong = connectNode(server.address, { ...options, token: "wrong" });
    await assert.rejects(wrong.table("items"), { reason: "TOKEN_UNKNOWN" });
    const untrusting = connectNode(server.address, { tls: true, timeoutMs: 2_000, logger: quiet });
    await assert.rejects(untrusting.table("items"), { code: "UNAVAILABLE" });
    for (const hub of [admin, reader, nobody, wrong, untrusting]) hub.close();
  });
  await withServer({ tls: "mutual" }, async (server: Staged) => {
    const { ca, cert, key } = server.tls!;
    const known = connectNode(server.address, { tls: { ca: pem(ca), cert: pem(cert), key: pem(key) }, logger: quiet });
    await itemsAndSession(known);
    const unknown = connectNode(server.address, { tls: { ca: pem(ca) }, timeoutMs: 2_000, logger: quiet });
    await assert.rejects(unknown.table("items"), { code: "UNAVAILABLE" });
    for (const hub of [known, unknown]) hub.close();
  });
});
