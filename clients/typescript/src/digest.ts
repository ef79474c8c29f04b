/** The digest of rows, as docs/GUARANTEES.md defines it: SHA-256 of their columns, little-endian. */
import { sha256 } from "@noble/hashes/sha2"; // not Web Crypto, which pages without TLS do not have
import { Timestamp } from "./timestamp.js";
import { Json, typeNumber } from "./values.js";
import type { Column, Row, TypeName, Value } from "./values.js";

const FORMAT = "tesseract.digest.1\n";
const NAN = 0x7ff8_0000_0000_0000n;
const text = new TextEncoder();

/** The digest of rows, in order. O(cells). */
export function digestOf(columns: readonly Column[], rows: readonly Row[]): Uint8Array {
  const hash = sha256
    .create()
    .update(text.encode(FORMAT))
    .update(uint32s([rows.length, columns.length]));
  for (const { name, type } of columns) {
    const values = rows.map((row) => row[name] ?? null);
    const utf8 = text.encode(name);
    hash
      .update(uint32s([utf8.length]))
      .update(utf8)
      .update(Uint8Array.of(typeNumber(type)));
    hash.update(Uint8Array.from(values, (value) => (value === null ? 0 : 1)));
    for (const part of parts(type, values)) hash.update(part);
  }
  return hash.digest();
}

/** The values of a column; null is 0, false or empty. */
function parts(type: TypeName, values: readonly Value[]): Uint8Array[] {
  if (type === "bool") return [Uint8Array.from(values, (value) => (value === true ? 1 : 0))];
  if (type === "int64" || type === "timestamp" || type === "float64") {
    const view = new DataView(new ArrayBuffer(values.length * 8));
    values.forEach((value, at) => {
      if (typeof value === "bigint") view.setBigInt64(at * 8, value, true);
      else if (value instanceof Timestamp) view.setBigInt64(at * 8, value.micros, true);
      else if (Number.isNaN(value)) view.setBigUint64(at * 8, NAN, true);
      else if (typeof value === "number") view.setFloat64(at * 8, value + 0, true); // -0 + 0 is 0
    });
    return [new Uint8Array(view.buffer)];
  }
  const texts = values.map((value) => text.encode(value instanceof Json ? value.text : ((value ?? "") as string)));
  return [uint32s(texts.map((each) => each.length)), ...texts];
}

function uint32s(values: readonly number[]): Uint8Array {
  const view = new DataView(new ArrayBuffer(values.length * 4));
  values.forEach((value, at) => view.setUint32(at * 4, value, true));
  return new Uint8Array(view.buffer);
}
