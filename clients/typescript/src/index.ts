/**
 * What Node and browsers share. `@tesseract-grpc/client/node` and `@tesseract-grpc/client/web` export all of it, and how to
 * connect.
 */
export { Bookmark } from "./bookmark.js";
export type { Key, Operation, RowsInput } from "./commit.js";
export { digestOf } from "./digest.js";
export { TesseractError } from "./errors.js";
export type { ErrorDetails, RowError, StatusCode } from "./errors.js";
export type { Change, Delta, Edited, Interrupted, Lagged, Resumed, RowChange, Snapshot, State } from "./events.js";
export { Hub } from "./hub.js";
export { Mirror } from "./mirror.js";
export type { MirrorEvents } from "./mirror.js";
export type { FilterLike, QueryLike, QueryWords, Rows, SortLike, WindowLike } from "./query.js";
export type { ConnectOptions, Logger, Retry } from "./rpc.js";
export { Session } from "./session.js";
export type { MirrorOptions } from "./session.js";
export { Table } from "./table.js";
export type { ColumnInput } from "./table.js";
export { Timestamp } from "./timestamp.js";
export { Json } from "./values.js";
export type { Column, Row, RowInput, TypeName, Types, Value } from "./values.js";
