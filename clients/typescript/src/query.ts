/** What is asked, in the words of TypeScript: a short form of the `Query` of the protos, of which every part may be given. */
import { create } from "@bufbuild/protobuf";
import type { MessageInitShape } from "@bufbuild/protobuf";
import { FilterSchema, QuerySchema, SortDirection, WindowSchema } from "./gen/tesseract/v1/query_pb.js";
import type { ExpansionSchema, Filter, Query, SortKeySchema, Window } from "./gen/tesseract/v1/query_pb.js";
import type { RowBatch } from "./gen/tesseract/v1/value_pb.js";
import type { Column as WireColumn } from "./gen/tesseract/v1/schema_pb.js";
import { columnsOf, decodeRows, typesOf } from "./values.js";
import type { Column, Row } from "./values.js";

/** A condition: an expression as text, for example `age > 18 && name ~ "ad"`, or a `Filter` of the protos. */
export type FilterLike = string | MessageInitShape<typeof FilterSchema>;
/** A column to sort by: its name, `-name` for the largest first, or a `SortKey` of the protos. */
export type SortLike = string | MessageInitShape<typeof SortKeySchema>;
/** A query: the id of a table, or the parts of a `Query` of the protos, of which `filter`, `having` and `sort` have a short
 * form. */
export type QueryLike = string | (Omit<QueryInit, "filter" | "having" | "sort"> & QueryWords);
type QueryInit = Exclude<MessageInitShape<typeof QuerySchema>, Query>;

/** The parts of a query that have a short form. */
export interface QueryWords {
  filter?: FilterLike;
  having?: FilterLike;
  sort?: readonly SortLike[];
}

/** A part of a result: `limit` rows from `offset` on. Default: all. `expansion` says which nodes of a tree are open. */
export interface WindowLike {
  offset?: number;
  limit?: number;
  expansion?: MessageInitShape<typeof ExpansionSchema>;
}

/** The message of a filter. */
export function filterOf(filter: FilterLike): Filter {
  return create(FilterSchema, typeof filter === "string" ? { node: { case: "custom", value: filter } } : filter);
}

/** The message of a query. */
export function queryOf(query: QueryLike): Query {
  if (typeof query === "string") return create(QuerySchema, { table: query });
  const { filter, having, sort = [], ...parts } = query;
  const found: QueryInit = { ...(parts as QueryInit), sort: sort.map(sortKey) };
  if (filter !== undefined) found.filter = filterOf(filter);
  if (having !== undefined) found.having = filterOf(having);
  return create(QuerySchema, found);
}

function sortKey(key: SortLike): MessageInitShape<typeof SortKeySchema> {
  if (typeof key !== "string") return key;
  if (key.startsWith("-")) return { column: key.slice(1), direction: SortDirection.DESCENDING };
  return { column: key, direction: SortDirection.ASCENDING };
}

/** The message of a window. */
export function windowOf({ offset = 0, limit, expansion }: WindowLike): Window {
  const size = limit === undefined ? {} : { limit: BigInt(limit) };
  return create(WindowSchema, { offset: BigInt(offset), ...size, ...(expansion && { expansion }) });
}

/** The rows of a query, all of one version: an array that knows where it is from. */
export interface Rows extends Array<Row> {
  /** The columns of the rows, in order. */
  columns: readonly Column[];
  /** The number of rows of the whole result, of which these may be a part. */
  totalCount: number;
  /** The version at which it is true. */
  version: bigint;
}

interface Page {
  columns: WireColumn[];
  rows?: RowBatch | undefined;
  totalCount: bigint;
  version: bigint;
}

/** The rows of all pieces of an answer. */
export async function rowsOf(pages: AsyncIterable<Page>): Promise<Rows> {
  const found = Object.assign([] as Row[], { columns: [] as readonly Column[], totalCount: 0, version: 0n });
  for await (const { columns, rows, totalCount, version } of pages) {
    if (columns.length > 0) found.columns = columnsOf(columns);
    Object.assign(found, { totalCount: Number(totalCount), version });
    if (rows !== undefined) for (const row of decodeRows(rows, typesOf(found.columns))) found.push(row);
  }
  return found;
}
