/** Leave with a bookmark, come back with it: only what was missed is told. Usage: node build/samples/resume.js [localhost:50051] */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { isDeepStrictEqual } from "node:util";
import { Bookmark, connectNode } from "@tesseract-grpc/client/node";
import type { Change, ColumnInput, Mirror, Row } from "@tesseract-grpc/client/node";

const COLUMNS: ColumnInput[] = [
  { name: "id", type: "int64", primaryKey: true },
  { name: "symbol", type: "string" },
  { name: "price", type: "float64" },
];
const ROWS = [
  { id: 1, symbol: "ACME", price: 12.5 },
  { id: 2, symbol: "BOLT", price: 20.25 },
  { id: 3, symbol: "CORE", price: 9.75 },
  { id: 4, symbol: "DYNE", price: 15.5 },
];

function listed(rows: readonly Row[]): string {
  return rows.map((row) => `${String(row["symbol"])} ${(row["price"] as number).toFixed(2)}`).join(", ");
}

/** Makes the table and the session, looks at it, writes the bookmark to a file and disconnects. */
async function leave(address: string | undefined, file: string): Promise<void> {
  const hub = connectNode(address);
  await hub.deleteSession("resume_board", { allowMissing: true });
  await hub.deleteTable("resume_prices", { allowMissing: true });
  const prices = await hub.createTable("resume_prices", COLUMNS);
  await prices.insert(ROWS);
  const board = await hub.createSession({ table: "resume_prices", sort: ["-price"] }, "resume_board");
  const mirror = await board.mirror().ready();
  console.log(`before: ${listed(mirror.rows())}`);
  writeFileSync(file, mirror.bookmark().toBytes());
  await mirror.close();
  hub.close();
  console.log("the bookmark is saved, the connection closed");
}

/** Somebody else writes: three commits. */
async function change(address: string | undefined): Promise<void> {
  const hub = connectNode(address);
  const prices = await hub.table("resume_prices");
  await prices.update({ id: 3, price: 30.5 });
  await prices.delete(2);
  await prices.insert({ id: 5, symbol: "ECHO", price: 10.25 });
  hub.close();
  console.log("meanwhile: CORE rises to 30.50, BOLT is deleted, ECHO comes");
}

/** What was told, and the rows that follow from it. */
function show(event: Change | void, mirror: Mirror): void {
  if (!event) throw new Error("the mirror has ended");
  if (event.kind === "snapshot") console.log(`snapshot of ${event.rows.length} rows`);
  else
    console.log(
      `change: ${event.changes
        .map(({ kind, key }) => `${kind} ${String(key["id"])}`)
        .sort()
        .join(", ")}`,
    );
  console.log(`  = ${listed(mirror.rows())}`);
}

/** A new connection, with the bookmark. */
async function comeBack(address: string | undefined, file: string): Promise<void> {
  const bookmark = Bookmark.fromBytes(readFileSync(file));
  console.log(`in the file: ${listed(bookmark.rows)}`);
  const hub = connectNode(address);
  const prices = await hub.table("resume_prices");
  const board = await hub.session("resume_board");
  const mirror = board.mirror({ resume: bookmark });
  mirror.on("resumed", ({ version }) => console.log(`resumed at the bookmark: ${version === bookmark.version}`));
  const changes = mirror.changes();
  show((await changes.next()).value, mirror);
  await prices.update({ id: 1, price: 50.0 });
  show((await changes.next()).value, mirror);
  const fresh = await board.query({ minVersion: mirror.version });
  console.log(`the same as a fresh query: ${isDeepStrictEqual(mirror.rows(), [...fresh])}`);
  await mirror.close();
  await board.delete();
  await hub.deleteTable(prices);
  hub.close();
}

const directory = mkdtempSync(join(tmpdir(), "resume-"));
const file = join(directory, "board.bookmark");
try {
  await leave(process.argv[2], file);
  await change(process.argv[2]);
  await comeBack(process.argv[2], file);
} finally {
  rmSync(directory, { recursive: true });
}
