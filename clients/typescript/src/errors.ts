/**
 * What can go wrong, as one class. Every error of a server is a status with `google.rpc` details; `errorOf` reads them.
 * The client itself throws the same class, with the same reasons, for what it can refuse without asking.
 */
import { Code, ConnectError } from "@connectrpc/connect";
import {
  BadRequestSchema,
  ErrorInfoSchema,
  ResourceInfoSchema,
  RetryInfoSchema,
} from "./gen/google/rpc/error_details_pb.js";
import { RowErrorsSchema } from "./gen/tesseract/v1/table_service_pb.js";

/** The name of a status code of gRPC. */
export type StatusCode = (typeof CODES)[number];

const CODES = [
  "OK",
  "CANCELLED",
  "UNKNOWN",
  "INVALID_ARGUMENT",
  "DEADLINE_EXCEEDED",
  "NOT_FOUND",
  "ALREADY_EXISTS",
  "PERMISSION_DENIED",
  "RESOURCE_EXHAUSTED",
  "FAILED_PRECONDITION",
  "ABORTED",
  "OUT_OF_RANGE",
  "UNIMPLEMENTED",
  "INTERNAL",
  "UNAVAILABLE",
  "DATA_LOSS",
  "UNAUTHENTICATED",
] as const;

/** Why one row refused a commit. `operation` and `row` count from 0, in the rows as they were given. */
export interface RowError {
  readonly operation: number;
  readonly row: number;
  readonly column: string;
  readonly reason: string;
  readonly message: string;
}

/** What is known of an error beside its code and message. */
export interface ErrorDetails {
  /** The reason, from the list in docs/ERRORS.md; new ones may come. Empty where nobody gave one. */
  reason?: string;
  /** The field of the request that is to blame. */
  field?: string;
  /** All fields that are to blame. */
  fields?: readonly { field: string; description: string }[];
  /** What else the server says: `line`, `column`, `limit` and others. */
  metadata?: Readonly<Record<string, string>>;
  /** After how many milliseconds the server asks to try again. */
  retryAfterMs?: number | undefined;
  /** The first rows that refused a commit. */
  rowErrors?: readonly RowError[];
  /** How many there were in all. */
  rowErrorCount?: number;
  /** The table, session or hub that it is about. */
  resource?: { type: string; name: string } | undefined;
}

/** Everything that this client throws for a call that failed. */
export class TesseractError extends Error {
  readonly reason: string;
  readonly field: string;
  readonly fields: readonly { field: string; description: string }[];
  readonly metadata: Readonly<Record<string, string>>;
  readonly retryAfterMs: number | undefined;
  readonly rowErrors: readonly RowError[];
  readonly rowErrorCount: number;
  readonly resource: { type: string; name: string } | undefined;

  constructor(
    readonly code: StatusCode,
    message: string,
    details: ErrorDetails = {},
    cause?: unknown,
  ) {
    super(message, { cause });
    this.name = "TesseractError";
    this.reason = details.reason ?? "";
    this.fields = details.fields ?? [];
    this.metadata = details.metadata ?? {};
    this.field = details.field ?? this.fields[0]?.field ?? this.metadata["field"] ?? "";
    this.retryAfterMs = details.retryAfterMs;
    this.rowErrors = details.rowErrors ?? [];
    this.rowErrorCount = details.rowErrorCount ?? this.rowErrors.length;
    this.resource = details.resource;
  }

  /** What to do about it, when the server says. */
  get hint(): string {
    return this.metadata["hint"] ?? "";
  }

  /** Whether it is likely to pass by itself: the server cannot be reached, or says when to come back. */
  get passes(): boolean {
    return this.code === "UNAVAILABLE" || (this.code === "RESOURCE_EXHAUSTED" && this.retryAfterMs !== undefined);
  }
}

/** What the client itself refuses, under the reason that the server would give. */
export function invalid(reason: string, message: string, field: string, rowErrors: RowError[] = []): TesseractError {
  return new TesseractError("INVALID_ARGUMENT", message, { reason, field, rowErrors });
}

/** What the HTTP libraries say, without being told by a server, when a connection breaks or a response is cut off. */
const BROKEN = new Set([Code.Canceled, Code.Unknown, Code.InvalidArgument, Code.Aborted, Code.Internal, Code.DataLoss]);

/** The error of a failed call. A connection that broke is UNAVAILABLE, whatever its library calls that; an answer that
 * cannot be read is INTERNAL. */
export function errorOf(failure: unknown): TesseractError {
  if (failure instanceof TesseractError) return failure;
  if (!(failure instanceof ConnectError)) {
    return new TesseractError("INTERNAL", `the answer cannot be read: ${String(failure)}`, {}, failure);
  }
  const told = failure.details.length > 0 || failure.metadata.keys().next().done !== true; // what came from afar has headers
  const broken = !told && BROKEN.has(failure.code) && !failure.rawMessage.startsWith("parse ");
  const code = broken ? "UNAVAILABLE" : (CODES[failure.code] ?? "UNKNOWN");
  return new TesseractError(code, failure.rawMessage, detailsOf(failure), failure);
}

function detailsOf(error: ConnectError): ErrorDetails {
  const [info] = error.findDetails(ErrorInfoSchema);
  const [request] = error.findDetails(BadRequestSchema);
  const [retry] = error.findDetails(RetryInfoSchema);
  const [resource] = error.findDetails(ResourceInfoSchema);
  const [rows] = error.findDetails(RowErrorsSchema);
  return {
    reason: info?.reason ?? "",
    metadata: { ...info?.metadata },
    fields: (request?.fieldViolations ?? []).map(({ field, description }) => ({ field, description })),
    retryAfterMs: retry?.retryDelay && Number(retry.retryDelay.seconds) * 1000 + retry.retryDelay.nanos / 1e6,
    resource: resource && { type: resource.resourceType, name: resource.resourceName },
    rowErrors: (rows?.errors ?? []).map(({ operation, row, column, reason, message }) => {
      return { operation, row, column, reason, message };
    }),
    rowErrorCount: Number(rows?.total ?? 0),
  };
}
