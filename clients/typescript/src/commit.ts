/** Writes: what a user gathers into one commit, and the operations on the wire that it becomes. */
import { create } from "@bufbuild/protobuf";
import { TesseractError, invalid } from "./errors.js";
import { WriteOperationSchema } from "./gen/tesseract/v1/table_service_pb.js";
import type { WriteOperation } from "./gen/tesseract/v1/table_service_pb.js";
import type { RowBatch } from "./gen/tesseract/v1/value_pb.js";
import { filterOf } from "./query.js";
import type { FilterLike } from "./query.js";
import type { Table } from "./table.js";
import { encodeRows } from "./values.js";
import type { RowInput, Value } from "./values.js";

/** What names a row: its value of the key column, or an object of all key columns. */
export type Key = Value | Date | number | RowInput;
/** A row or several. */
export type RowsInput = RowInput | readonly RowInput[];

/** One write to one table, for `hub.commit`. */
export type Operation =
  /** Adds rows; a key that exists refuses the commit. */
  | { table: Table; insert: RowsInput }
  /** Adds the rows whose key is new, and replaces the given columns of the others. */
  | { table: Table; upsert: RowsInput }
  /** Replaces the given columns of rows that exist. */
  | { table: Table; update: RowsInput; ignoreMissing?: boolean }
  /** Adds numbers to columns of rows that exist. */
  | { table: Table; increment: RowsInput; ignoreMissing?: boolean }
  /** Deletes the rows with these keys. */
  | { table: Table; delete: Key | readonly Key[]; mustExist?: boolean }
  /** Deletes all rows for which the filter is true. */
  | { table: Table; deleteWhere: FilterLike };

/** The operations of a commit on the wire. Rows with other columns than the row before them are an operation of their own,
 * so it remembers where each came from, and puts row errors back in the terms of whoever wrote. */
export class Commit {
  readonly operations: WriteOperation[] = [];
  readonly #origins: [operation: number, row: number][] = [];

  /** Throws INVALID_ARGUMENT for values that do not fit. */
  constructor(operations: readonly Operation[]) {
    operations.forEach((operation, at) => {
      try {
        this.#add(operation, at);
      } catch (error) {
        throw error instanceof TesseractError ? moved(error, (row) => [at, row.row]) : error;
      }
    });
  }

  #add(operation: Operation, at: number): void {
    const { table } = operation;
    const push = (row: number, what: WriteOperation["operation"]): void => {
      this.operations.push(create(WriteOperationSchema, { table: table.description.name, operation: what }));
      this.#origins.push([at, row]);
    };
    if ("deleteWhere" in operation) {
      push(0, wire({ case: "delete", value: { filter: filterOf(operation.deleteWhere) } }));
    } else if ("delete" in operation) {
      const keys = encodeRows(keyRows(table, operation.delete), table.key, table.types);
      push(0, wire({ case: "delete", value: { keys, mustExist: operation.mustExist ?? false } }));
    } else if ("insert" in operation) {
      for (const [row, rows] of batches(table, operation.insert)) push(row, wire({ case: "insert", value: { rows } }));
    } else if ("upsert" in operation) {
      for (const [row, rows] of batches(table, operation.upsert)) push(row, wire({ case: "upsert", value: { rows } }));
    } else {
      const ignoreMissing = operation.ignoreMissing ?? false;
      const kind = "update" in operation ? "update" : "increment";
      const given = "update" in operation ? operation.update : operation.increment;
      for (const [row, rows] of batches(table, given)) push(row, wire({ case: kind, value: { rows, ignoreMissing } }));
    }
  }

  /** A server's refusal, with its row errors in the operations and rows that were given. */
  placed(error: TesseractError): TesseractError {
    if (error.rowErrors.length === 0) return error;
    return moved(error, ({ operation, row }) => {
      const [origin, first] = this.#origins[operation] ?? [operation, 0];
      return [origin, first + row];
    });
  }
}

type OperationInit = NonNullable<Parameters<typeof create<typeof WriteOperationSchema>>[1]>["operation"];

function wire(operation: OperationInit): WriteOperation["operation"] {
  return create(WriteOperationSchema, { operation } as never).operation;
}

function moved(
  error: TesseractError,
  place: (row: TesseractError["rowErrors"][number]) => [number, number],
): TesseractError {
  const rowErrors = error.rowErrors.map((problem) => {
    const [operation, row] = place(problem);
    return { ...problem, operation, row };
  });
  const { reason, field, fields, metadata, retryAfterMs, rowErrorCount, resource } = error;
  const details = { reason, field, fields, metadata, retryAfterMs, rowErrors, rowErrorCount, resource };
  return new TesseractError(error.code, error.message, details, error.cause);
}

/** Rows as batches of equal columns, each with the place of its first row. What is undefined is not mentioned. */
function* batches(table: Table, given: RowsInput): Generator<[first: number, batch: RowBatch]> {
  const rows = Array.isArray(given) ? (given as readonly RowInput[]) : [given as RowInput];
  const named = (row: RowInput): string[] => Object.keys(row).filter((name) => row[name] !== undefined);
  for (let first = 0; first < rows.length || first === 0;) {
    const names = rows.length === 0 ? [...table.key] : named(rows[first]!);
    let end = first + 1;
    const alike = (row: RowInput): boolean => {
      const others = named(row);
      return others.length === names.length && names.every((name) => row[name] !== undefined);
    };
    while (end < rows.length && alike(rows[end]!)) end++;
    yield [first, encodeRows(rows.slice(first, end), names, table.types, first)];
    first = end;
  }
}

/** Keys as rows of the key columns. */
export function keyRows({ name, key }: Table, keys: Key | readonly Key[]): RowInput[] {
  return (Array.isArray(keys) ? (keys as readonly Key[]) : [keys as Key]).map((value) => {
    if (typeof value === "object" && value !== null && Object.getPrototypeOf(value) === Object.prototype) {
      return value as RowInput;
    }
    if (key.length === 1) return { [key[0]!]: value };
    throw invalid("MISSING_KEY", `a key of table "${name}" is an object of ${key.join(", ")}`, "keys");
  });
}
