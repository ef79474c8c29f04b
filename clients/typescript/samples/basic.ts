/** Connect, create a table, write, read your own writes, be refused. Usage: node build/samples/basic.js [localhost:50051] */
import { Json, TesseractError, Timestamp, connectNode } from "@tesseract-grpc/client/node";
import type { ColumnInput, Row, Value } from "@tesseract-grpc/client/node";

const COLUMNS: ColumnInput[] = [
  { name: "id", type: "int64", primaryKey: true },
  { name: "name", type: "string" },
  { name: "price", type: "float64" },
  { name: "open", type: "bool" },
  { name: "at", type: "timestamp" },
  { name: "doc", type: "json" },
  { name: "status", type: "enum", enumValues: ["ready", "shipped"] },
];
const ROWS = [
  {
    id: 1,
    name: "Ada",
    price: 12.5,
    open: true,
    at: "2026-11-23T04:15:00.000001Z",
    doc: { size: 2, tags: ["new", "red"] },
    status: "ready",
  },
  {
    id: 2,
    name: "", // empty is not null
    price: NaN,
    open: false,
    at: Timestamp.of("1969-12-31T23:59:59.999999Z"),
    doc: null,
    status: "shipped",
  },
  { id: 2n ** 53n + 1n, name: "🚀 déjà vu", price: Infinity, doc: {} }, // what is not mentioned is null
  { id: -(2n ** 63n), price: -Infinity, open: true, doc: [1, null] },
];

/** A value as all clients print it. */
function shown(value: Value): string {
  if (value instanceof Json) return JSON.stringify(value.value);
  if (typeof value !== "number") return String(value);
  return Number.isFinite(value) ? value.toFixed(2) : String(value).replace("Infinity", "inf");
}

/** A row: texts in quotes, so that the empty one shows. */
function line(row: Row): string {
  const cells = Object.entries(row).map(([name, value]) => {
    return name === "name" && value !== null ? `name="${shown(value)}"` : `${name}=${shown(value)}`;
  });
  return `  ${cells.join(" ")}`;
}

async function refusal(call: Promise<unknown>): Promise<TesseractError> {
  return call.then(
    () => Promise.reject(new Error("this should have been refused")),
    (error: unknown) => {
      if (error instanceof TesseractError) return error;
      throw error;
    },
  );
}

const hub = connectNode(process.argv[2]);
await hub.deleteTable("basic_orders", { allowMissing: true });
const orders = await hub.createTable("basic_orders", COLUMNS);
console.log(`columns: ${orders.columns.map(({ name, type }) => `${name} ${type}`).join(", ")}`);

const written = await orders.insert(ROWS);
console.log("wrote 4 rows");
const found = await orders.query({ sort: ["id"] }, { minVersion: written });
console.log(`read my own writes: ${found.version >= written}`);
for (const row of found) console.log(line(row));

const version = await hub.commit([
  { table: orders, update: { id: 1, price: 13.75 } },
  { table: orders, delete: 2 },
]);
console.log("updated 1 and deleted 2 in one commit");
const dear = await hub.query({ table: "basic_orders", filter: "price > 13", sort: ["id"] }, { minVersion: version });
for (const row of dear) console.log(line(row));
const there = await orders.get([1, 2]);
console.log(`of the keys 1 and 2 there are: ${there.map((row) => row["id"]).join(" ")}`);

const twice = await refusal(orders.insert([{ id: 5 }, { id: 1 }]));
const [first] = twice.rowErrors;
console.log(`refused: ${twice.code} ${twice.reason}, row ${first?.row}, column ${first?.column}`);
const prize = await refusal(orders.query({ filter: "prize > 13" }));
console.log(`refused: ${prize.code} ${prize.reason}`);
const missing = await refusal(hub.table("basic_missing"));
console.log(`refused: ${missing.code} ${missing.reason}`);
console.log(`rows after the refusals: ${(await orders.query()).length}`);
await hub.deleteTable(orders);
hub.close();
