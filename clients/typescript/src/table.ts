/** Tables and what is written to them. */
import { create } from "@bufbuild/protobuf";
import { keyRows } from "./commit.js";
import type { Key } from "./commit.js";
import type { FilterLike, QueryLike, Rows, WindowLike } from "./query.js";
import { ColumnSchema } from "./gen/tesseract/v1/schema_pb.js";
import type { Column as WireColumn, Table as WireTable } from "./gen/tesseract/v1/schema_pb.js";
import type { Hub } from "./hub.js";
import { columnsOf, decodeRows, encodeRows, keyOf, typeNumber, typesOf, valueMessage } from "./values.js";
import type { Column, RowInput, TypeName, Types, Value } from "./values.js";

/** A column of a new table. */
export interface ColumnInput {
  name: string;
  type: Exclude<TypeName, "unknown">;
  primaryKey?: boolean;
  /** Whether null is refused. */
  required?: boolean;
  /** What an insert stores that does not mention the column. */
  default?: Value | Date;
  /** The names of an enum, in their order. */
  enumValues?: string[];
  /** Makes a computed column, for example `price * qty`. */
  expression?: string;
  /** Whether and how it is indexed. */
  index?: boolean | "hash" | "sorted";
  description?: string;
}

/** The message of a column. */
export function columnMessage({ default: value, type, index: _, ...column }: ColumnInput): WireColumn {
  const defaults = value === undefined ? {} : { defaultValue: valueMessage(value) };
  return create(ColumnSchema, { ...column, ...defaults, type: typeNumber(type) });
}

/** A table of a hub. */
export class Table {
  /** The columns, in order. */
  readonly columns: readonly Column[];
  /** Their types. */
  readonly types: Types;
  /** The names of the key columns. */
  readonly key: readonly string[];

  /** Use `hub.table` or `hub.createTable`. */
  constructor(
    private readonly hub: Hub,
    /** What the server says of it. */
    readonly description: WireTable,
  ) {
    this.columns = columnsOf(description.columns);
    [this.types, this.key] = [typesOf(this.columns), keyOf(this.columns)];
  }

  /** Its id. */
  get name(): string {
    return this.description.name.slice(this.description.name.lastIndexOf("/") + 1);
  }

  /** Adds rows; a key that exists refuses all of them. Returns the version of the commit, as all writes do. */
  insert(rows: RowInput | readonly RowInput[]): Promise<bigint> {
    return this.hub.commit([{ table: this, insert: rows }]);
  }

  /** Adds the rows whose key is new, and replaces the given columns of the others. */
  upsert(rows: RowInput | readonly RowInput[]): Promise<bigint> {
    return this.hub.commit([{ table: this, upsert: rows }]);
  }

  /** Replaces the given columns of rows that exist. */
  update(rows: RowInput | readonly RowInput[]): Promise<bigint> {
    return this.hub.commit([{ table: this, update: rows }]);
  }

  /** Deletes the rows with these keys; keys that do not exist are skipped. */
  delete(keys: Key | readonly Key[]): Promise<bigint> {
    return this.hub.commit([{ table: this, delete: keys }]);
  }

  /** Deletes all rows for which a filter is true. */
  deleteWhere(filter: FilterLike): Promise<bigint> {
    return this.hub.commit([{ table: this, deleteWhere: filter }]);
  }

  /** The rows with these keys, in this order; keys that do not exist are left out. `columns` are those to return besides the
   * key; `minVersion` is waited for. */
  async get(keys: Key | readonly Key[], options: { columns?: string[]; minVersion?: bigint } = {}): Promise<Rows> {
    const { rpc } = this.hub;
    const asked = keyRows(this, keys);
    const request = { table: this.description.name, keys: encodeRows(asked, this.key, this.types), ...options };
    const { rows, version } = await rpc.call((options) => rpc.tables.getRows(request, options));
    const found = rows === undefined ? [] : decodeRows(rows, this.types);
    const columns = this.columns.filter(({ name }) => found.length === 0 || name in found[0]!);
    return Object.assign(found, { columns, totalCount: found.length, version });
  }

  /** The rows of the table, or those that a query of it has: `hub.query`. */
  query(
    query: Omit<Exclude<QueryLike, string>, "table"> = {},
    options: { window?: WindowLike; minVersion?: bigint } = {},
  ): Promise<Rows> {
    return this.hub.query({ ...query, table: this.description.name }, options);
  }
}
