/**
 * Values, rows and their form on the wire, which is columns (`RowBatch`): one packed array a column and a bitmap of nulls.
 *
 *     BOOL boolean | INT64 bigint | FLOAT64 number | TIMESTAMP Timestamp | STRING, ENUM string | JSON Json | null of any
 *
 * Nothing is lost on the way in or out: int64 is a bigint, NaN and the infinities stay numbers, null is not zero and not
 * the document `null`. What does not fit its column is refused before it is sent, with the reason that the server gives.
 */
import { create } from "@bufbuild/protobuf";
import type { MessageInitShape } from "@bufbuild/protobuf";
import { invalid } from "./errors.js";
import type { Column as WireColumn } from "./gen/tesseract/v1/schema_pb.js";
import { ColumnDataSchema, DataType, RowBatchSchema, ValueSchema } from "./gen/tesseract/v1/value_pb.js";
import type { ColumnData, RowBatch, Value as WireValue } from "./gen/tesseract/v1/value_pb.js";
import { Timestamp } from "./timestamp.js";

/** A JSON document: its text, exactly as it was written, and what that means. It is a class of its own so that numbers
 * beyond 2^53 in it survive and the document `null` is not the null of a column. */
export class Json {
  /** Of a text, which is not checked: the server does. */
  constructor(readonly text: string) {}

  /** Of a value. Throws what `JSON.stringify` throws, and a TypeError for NaN and the infinities, which JSON has not. */
  static of(value: unknown): Json {
    const text = JSON.stringify(value, (_, part: unknown) => {
      if (typeof part === "number" && !Number.isFinite(part)) throw new TypeError(`${part} is not JSON`);
      return part;
    }) as string | undefined;
    if (text === undefined) throw new TypeError(`${typeof value} is not JSON`);
    return new Json(text);
  }

  /** What the text means, parsed each time that it is asked for. Throws a SyntaxError when the text is no JSON. */
  get value(): unknown {
    return JSON.parse(this.text);
  }

  /** What `JSON.stringify` writes: the document. */
  toJSON(): unknown {
    return this.value;
  }
}

/** A value of a row. */
export type Value = null | boolean | bigint | number | string | Timestamp | Json;
/** A row as it is read, by the names of its columns. A mirror's rows are replaced and never changed. */
export type Row = Readonly<Record<string, Value>>;
/** A row as it may be written: also whole numbers for INT64, a Date or an ISO 8601 text for TIMESTAMP, and anything that
 * `JSON.stringify` takes for JSON. */
export type RowInput = Readonly<Record<string, unknown>>;
/** The name of a type. */
export type TypeName = "bool" | "int64" | "float64" | "timestamp" | "string" | "json" | "enum" | "unknown";
/** A column of a result or a table. */
export interface Column {
  readonly name: string;
  readonly type: TypeName;
  /** Whether it is one of those that name a row. */
  readonly primaryKey: boolean;
}

const NAMES: TypeName[] = ["unknown", "bool", "int64", "float64", "timestamp", "string", "json", "enum"];

/** The number of a type on the wire. */
export function typeNumber(name: TypeName): DataType {
  return Math.max(NAMES.indexOf(name), 0);
}

/** The columns of a result, without what is not of use to its reader. A type of later servers is "unknown". */
export function columnsOf(columns: readonly WireColumn[]): Column[] {
  return columns.map(({ name, type, primaryKey }) => {
    if (name === "__proto__") throw new RangeError("a column cannot have this name"); // it would not be one of the row
    return { name, type: NAMES[type] ?? "unknown", primaryKey };
  });
}

/** The types of columns by their names, as `decodeRows` wants them. */
export type Types = ReadonlyMap<string, TypeName>;

/** The types of columns by their names. */
export function typesOf(columns: readonly Column[]): Map<string, TypeName> {
  return new Map(columns.map(({ name, type }) => [name, type]));
}

/** The names of the columns that name rows. */
export function keyOf(columns: readonly Column[]): string[] {
  return columns.filter((column) => column.primaryKey).map((column) => column.name);
}

/** What names a row in a Map: the value of its key column, or a text of all of them. */
export function keyValue(key: readonly string[], row: Row): unknown {
  if (key.length === 1) return plain(row[key[0]!]!);
  return key.map((name) => part(plain(row[name]!))).join("");
}

function plain(value: Value): unknown {
  return value instanceof Timestamp ? value.micros : value instanceof Json ? value.text : value;
}

function part(value: unknown): string {
  return value === null ? "-" : `${String(value).length}:${String(value)}`;
}

/** The rows of a batch, with their columns in the order of `types`. Throws a RangeError when it does not hold together. */
export function decodeRows(batch: RowBatch, types: Types): Row[] {
  const count = batch.rowCount;
  const rows: Record<string, Value>[] = Array.from({ length: count }, () => ({}));
  const columns = new Map(batch.columns.map((column) => [column.name, column]));
  for (const name of columns.keys()) if (!types.has(name)) throw new RangeError(`there is no column "${name}"`);
  for (const [name, type] of types) {
    const column = columns.get(name);
    if (column === undefined) continue;
    const values = decodeColumn(column, count, type);
    for (let at = 0; at < count; at++) rows[at]![name] = values[at]!;
  }
  return rows;
}

const CASES: Partial<Record<TypeName, string>> = {
  bool: "bools",
  int64: "int64s",
  float64: "float64s",
  timestamp: "timestamps",
};

function decodeColumn({ name, validity, values }: ColumnData, count: number, type: TypeName): Value[] {
  if (values.case === undefined) return new Array<Value>(count).fill(null);
  const held = values.case === "dictionary" ? "strings" : values.case;
  if (type !== "unknown" && (CASES[type] ?? "strings") !== held) {
    throw new RangeError(`column "${name}" is of another type than ${values.case}`);
  }
  const all = plainValues(values, type);
  if (all.length !== count) throw new RangeError(`column "${name}" has ${all.length} values for ${count} rows`);
  if (validity.length !== 0 && validity.length !== (count + 7) >> 3) {
    throw new RangeError(`a bitmap of ${validity.length} bytes for ${count} rows`);
  }
  if (validity.length === 0 && values.case !== "dictionary") return all as Value[];
  return all.map((value, at) => {
    if (validity.length !== 0 && ((validity[at >> 3]! >> (at & 7)) & 1) === 0) return null;
    if (value === undefined) throw new RangeError(`column "${name}" has a code outside its dictionary`);
    return value;
  });
}

/** The values of a column, those of nulls included; undefined where a code is outside its dictionary. */
function plainValues(values: ColumnData["values"], type: TypeName): (Value | undefined)[] {
  const text = (value: string): Value => (type === "json" ? new Json(value) : value);
  switch (values.case) {
    case undefined:
      return [];
    case "timestamps":
      return values.value.values.map((micros) => new Timestamp(micros));
    case "strings":
      return values.value.values.map(text);
    case "dictionary": {
      const texts = values.value.dictionary.map(text);
      return values.value.codes.map((code) => texts[code]);
    }
    default:
      return values.value.values;
  }
}

/** Rows with the same columns as a batch. A value that does not fit is an INVALID_ARGUMENT with the row to blame, counted
 * from `first` on. O(cells). */
export function encodeRows(rows: readonly RowInput[], names: readonly string[], types: Types, first = 0): RowBatch {
  const columns = names.map((name) => {
    const type = types.get(name) ?? inferred(rows.map((row) => row[name]));
    const values = rows.map((row, at) => {
      try {
        return toWire(type, row[name]);
      } catch (error) {
        const reason = error instanceof Unfit ? error.reason : type === "json" ? "BAD_JSON" : "BAD_TIMESTAMP";
        const message = `column "${name}": ${error instanceof Error ? error.message : String(error)}`;
        throw invalid(reason, message, name, [{ operation: 0, row: first + at, column: name, reason, message }]);
      }
    });
    return encodeColumn(name, type, values);
  });
  return create(RowBatchSchema, { rowCount: rows.length, columns });
}

class Unfit extends TypeError {
  constructor(
    readonly reason: string,
    value: unknown,
    wanted: string,
  ) {
    super(`${String(value).slice(0, 60)} is not ${wanted}`);
  }
}

type Plain = boolean | bigint | number | string | null;

/** A value as the wire has it. */
function toWire(type: TypeName, value: unknown): Plain {
  if (value === null || value === undefined) return null;
  switch (type) {
    case "bool":
      if (typeof value === "boolean") return value;
      throw new Unfit("WRONG_TYPE", value, "a truth value");
    case "int64": {
      if (typeof value !== "bigint" && !Number.isSafeInteger(value)) {
        throw new Unfit("WRONG_TYPE", value, "a bigint, or a whole number within 2^53");
      }
      const whole = BigInt(value as bigint | number);
      if (BigInt.asIntN(64, whole) !== whole) throw new Unfit("INT64_OVERFLOW", value, "within the range of INT64");
      return whole;
    }
    case "float64":
      if (typeof value === "number") return value;
      if (typeof value === "bigint" && BigInt(Number(value)) === value) return Number(value);
      throw new Unfit("WRONG_TYPE", value, "a number");
    case "timestamp": {
      if (!(value instanceof Timestamp || value instanceof Date || typeof value === "string")) {
        throw new Unfit("WRONG_TYPE", value, "a Timestamp, a Date or an ISO 8601 text");
      }
      const { micros } = Timestamp.of(value);
      if (BigInt.asIntN(64, micros) !== micros) throw new Unfit("INT64_OVERFLOW", value, "within the range of INT64");
      return micros;
    }
    case "json":
      return (value instanceof Json ? value : Json.of(value)).text;
    default:
      if (typeof value === "string") return value;
      throw new Unfit("WRONG_TYPE", value, "a text");
  }
}

/** The type of values of a column that the table has not; the server then says what it thinks of it. */
function inferred(values: readonly unknown[]): TypeName {
  const value = values.find((each) => each !== null && each !== undefined);
  if (typeof value === "boolean") return "bool";
  if (typeof value === "bigint") return "int64";
  if (typeof value === "number") return "float64";
  if (value instanceof Timestamp || value instanceof Date) return "timestamp";
  return typeof value === "object" ? "json" : "string";
}

function encodeColumn(name: string, type: TypeName, values: readonly Plain[]): ColumnData {
  const validity = new Uint8Array(values.includes(null) ? (values.length + 7) >> 3 : 0);
  if (validity.length > 0) {
    values.forEach((value, at) => {
      if (value !== null) validity[at >> 3]! |= 1 << (at & 7);
    });
  }
  return create(ColumnDataSchema, { name, validity, values: packed(type, values) });
}

function packed(
  type: TypeName,
  values: readonly Plain[],
): NonNullable<MessageInitShape<typeof ColumnDataSchema>["values"]> {
  const filled = <T extends Plain>(empty: T): T[] => values.map((value) => (value === null ? empty : (value as T)));
  switch (type) {
    case "bool":
      return { case: "bools", value: { values: filled<boolean>(false) } };
    case "int64":
      return { case: "int64s", value: { values: filled(0n) } };
    case "float64":
      return { case: "float64s", value: { values: filled(0) } };
    case "timestamp":
      return { case: "timestamps", value: { values: filled(0n) } };
    default:
      return values.length < DICTIONARY_FROM
        ? { case: "strings", value: { values: filled("") } }
        : { case: "dictionary", value: dictionaryOf(filled("")) };
  }
}

/** From this many rows on texts travel as a dictionary. */
const DICTIONARY_FROM = 32;

function dictionaryOf(texts: string[]): { dictionary: string[]; codes: number[] } {
  const known = new Map<string, number>();
  const codes = texts.map((text) => {
    const code = known.get(text) ?? known.size;
    known.set(text, code);
    return code;
  });
  return { dictionary: [...known.keys()], codes };
}

/** One value, for defaults and keys of trees: what a row has, or a Date; a number is a FLOAT64, a bigint an INT64. */
export function valueMessage(value: Value | Date): WireValue {
  if (value === null) return create(ValueSchema);
  if (typeof value === "boolean") return create(ValueSchema, { kind: { case: "boolValue", value } });
  if (typeof value === "bigint") return create(ValueSchema, { kind: { case: "int64Value", value } });
  if (typeof value === "number") return create(ValueSchema, { kind: { case: "float64Value", value } });
  if (typeof value === "string") return create(ValueSchema, { kind: { case: "stringValue", value } });
  if (value instanceof Json) return create(ValueSchema, { kind: { case: "jsonValue", value: value.text } });
  return create(ValueSchema, { kind: { case: "timestampValue", value: Timestamp.of(value).micros } });
}
