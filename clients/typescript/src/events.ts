/**
 * What a mirror tells. A `Change` comes at every consistent point at which rows may have changed; what happens to the
 * stream itself is told beside the rows: `Interrupted`, `Resumed`, `Lagged` and the state.
 */
import type { Column, Row } from "./values.js";

/** What a reader may believe of the rows: there are none yet; they are the answer as of the last message; they are those
 * of an earlier version, kept until newer ones stand; no more will come. */
export type State = "connecting" | "live" | "stale" | "ended";

/** The complete window at one version, in the place of whatever was there. */
export interface Snapshot {
  readonly kind: "snapshot";
  readonly version: bigint;
  readonly epoch: string;
  readonly columns: readonly Column[];
  readonly rows: readonly Row[];
  /** The number of rows of the whole result, of which the window is a part. */
  readonly totalCount: number;
  /** Why it was sent: first, reconnected, gap, ..., or the server's reason for a Reset in lower case. */
  readonly reason: string;
}

/** What happened to one row. `key` has its key columns. */
export type RowChange =
  /** `reason` is deleted, filtered, window, expired or permission. */
  | { readonly kind: "remove"; readonly key: Row; readonly reason: string }
  /** `row` has the key columns and those that changed. */
  | { readonly kind: "update"; readonly key: Row; readonly row: Row }
  /** `index` is the place in the window after the whole change. */
  | { readonly kind: "move"; readonly key: Row; readonly index: number }
  /** `row` is complete. */
  | { readonly kind: "insert"; readonly key: Row; readonly row: Row; readonly index: number };

/** The net change from one version to another, in the order in which it is to be applied. */
export interface Delta {
  readonly kind: "changes";
  readonly fromVersion: bigint;
  readonly version: bigint;
  readonly totalCount: number;
  readonly changes: readonly RowChange[];
  /** How many commits it stands for that are not told one by one, because the reader was slow; 0 when it was not. */
  readonly skippedCommits: number;
  /** Set when the session was edited: the columns of the rows from here on. */
  readonly edited: Edited | undefined;
}

/** The session has another definition. */
export interface Edited {
  readonly generation: bigint;
  readonly columns: readonly Column[];
  /** The names of those that were there before with the same type. */
  readonly kept: ReadonlySet<string>;
}

/** Nothing else happened up to this version. Mirrors do not tell it. */
export interface Progress {
  readonly kind: "progress";
  readonly version: bigint;
  readonly digest: Uint8Array;
}

/** What handlers of "change" are given. */
export type Change = Snapshot | Delta;

/** The stream cannot go on. The mirror watches again by itself, and is stale meanwhile. */
export interface Interrupted {
  readonly kind: "interrupted";
  /** reconnected, ended, silence, gap, disorder, malformed, digest, unknown_event, definition_changed, token_refused, or
   * the server's reason for a Reset in lower case. */
  readonly reason: string;
  readonly message: string;
  /** The version of the rows. */
  readonly version: bigint;
  /** Whether the next stream goes on from there; if not, it begins with a snapshot. */
  readonly resumes: boolean;
}

/** A stream goes on from exactly this version. */
export interface Resumed {
  readonly kind: "resumed";
  readonly version: bigint;
}

/** The reader was slow: this many commits will be told as one change, which comes next. */
export interface Lagged {
  readonly kind: "lagged";
  readonly version: bigint;
  readonly skippedCommits: number;
}
