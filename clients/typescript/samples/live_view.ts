/** A live window: filtered, sorted, always right. Usage: node build/samples/live_view.js [localhost:50051] */
import { connectNode } from "@tesseract-grpc/client/node";
import type { Change, ColumnInput, Mirror, Row, RowChange } from "@tesseract-grpc/client/node";

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
  { id: 5, symbol: "ECHO", price: 11.25 },
];

const price = (row: Row): string => (row["price"] as number).toFixed(2);

/** What happened to one row. */
function told(change: RowChange): string {
  const name = `  ${change.kind} ${String(change.key["id"])}`;
  switch (change.kind) {
    case "remove":
      return `${name}: ${change.reason}`;
    case "update":
      return `${name}: price ${price(change.row)}`;
    case "move":
      return `${name}: to ${change.index}`;
    case "insert":
      return `${name}: at ${change.index}, ${String(change.row["symbol"])} ${price(change.row)}`;
  }
}

/** A consistent point: what was told, and the rows that follow from it. */
function show(title: string, change: Change, mirror: Mirror): void {
  console.log(title);
  if (change.kind === "changes") for (const each of change.changes) console.log(told(each));
  const rows = mirror.rows().map((row) => `${String(row["symbol"])} ${price(row)}`);
  console.log(`  = ${mirror.length} of ${mirror.totalCount}: ${rows.join(", ")}`);
}

const hub = connectNode(process.argv[2]);
await hub.deleteSession("live_view_top", { allowMissing: true });
await hub.deleteTable("live_view_prices", { allowMissing: true });
const prices = await hub.createTable("live_view_prices", COLUMNS);
await prices.insert(ROWS);
const top = await hub.createSession(
  { table: "live_view_prices", filter: "price >= 10", sort: ["-price"] },
  "live_view_top",
);

const mirror = top.mirror({ window: { limit: 3 } });
let events = 0;
mirror.on("change", () => (events += 1));
const changes = mirror.changes();
const next = async (title: string): Promise<void> => {
  const { value } = await changes.next();
  if (value === undefined) throw new Error("the mirror has ended");
  show(title, value, mirror);
};
await next("snapshot");

await prices.update({ id: 3, price: 18.0 });
await next("CORE comes, ACME leaves the window");
await prices.update({ id: 4, price: 25.0 });
await next("DYNE moves to the top");
await prices.update({ id: 2, price: 5.0 });
await next("BOLT no longer passes the filter");
await prices.delete(3);
await next("CORE is deleted");
await prices.update({ id: 1, price: 12.75 });
await next("ACME changes in its place");

await hub.commit([
  { table: prices, insert: { id: 6, symbol: "FLUX", price: 30.5 } },
  { table: prices, update: { id: 5, price: 40.0 } },
  { table: prices, delete: 4 },
]);
await next("three writes in one commit are one change");

const before = events;
await mirror.waitFor(await prices.insert({ id: 7, symbol: "GLUE", price: 1.0 }));
console.log("GLUE concerns nobody");
console.log(`  the mirror is as new as the write, and was told ${events - before} changes`);

await mirror.close();
await top.delete();
await hub.deleteTable(prices);
hub.close();
