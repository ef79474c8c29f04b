/**
 * One watch stream as a pure state machine: responses in, events out.
 *
 *     opening --Begin--> loading --SnapshotRows*, SnapshotEnd--> live --Changes, Progress, Lagged--> live
 *     opening --Begin (resumed)--> live                          live --SessionChanged--> live, Changes must follow
 *                                                                loading, live --Reset--> opening
 *
 * The feed trusts nothing. Every response must begin at the version where the one before ended, pieces must follow one
 * another without a hole, and a message must be one that its state allows. Whatever else happens throws `StreamBroken`,
 * and the watch starts again with a new feed: a mirror is then late, but never wrong.
 *
 * What outlives a stream is its `Place`. It is moved at consistent points only, so its token always stands for exactly
 * the rows that the reader has: a resumed stream neither repeats nor leaves out a change.
 */
import type { Delta, Edited, Interrupted, Lagged, Progress, Resumed, RowChange, Snapshot } from "./events.js";
import { RemoveReason, ResetReason } from "./gen/tesseract/v1/change_pb.js";
import type { Begin, Changes } from "./gen/tesseract/v1/change_pb.js";
import type { WatchSessionResponse } from "./gen/tesseract/v1/session_service_pb.js";
import type { RowBatch } from "./gen/tesseract/v1/value_pb.js";
import { columnsOf, decodeRows, keyOf, typesOf } from "./values.js";
import type { Column, Row, TypeName } from "./values.js";

/** The stream cannot be trusted any more. `reason` is one word, for the snapshot that will heal it. */
export class StreamBroken extends Error {
  constructor(
    readonly reason: string,
    message: string,
  ) {
    super(message);
  }
}

/** Where a watch is, over all its streams: the last consistent point, and the token that leads back to it. */
export class Place {
  epoch = "";
  version = 0n;
  /** Whether a server has answered. */
  began = false;
  /** The columns of the rows at that point. */
  columns: readonly Column[] = [];
  /** The server's name for the present stream. */
  watchId = "";
  #token: Uint8Array = new Uint8Array();
  #tokenVersion = 0n;

  /** What to resume with; empty when the server gave no token for exactly this point. A token of an earlier one would
   * repeat changes that the reader has. */
  get token(): Uint8Array {
    return this.#tokenVersion === this.version ? this.#token : new Uint8Array();
  }

  /** A consistent point was reached. */
  move(version: bigint, token: Uint8Array): void {
    this.version = version;
    if (token.length > 0) [this.#token, this.#tokenVersion] = [token, version];
  }

  /** The next stream begins with a snapshot: the token was refused, or the rows are in doubt. */
  forget(): void {
    this.#token = new Uint8Array();
  }
}

type Event<K> = Extract<WatchSessionResponse["event"], { case: K }>["value"];
type Told = Snapshot | Delta | Progress | Interrupted | Resumed | Lagged;

/** What each state takes. */
const ALLOWED: Record<"opening" | "loading" | "live", ReadonlySet<string>> = {
  opening: new Set(["begin"]),
  loading: new Set(["snapshotRows", "snapshotEnd", "reset"]),
  live: new Set(["changes", "progress", "lagged", "reset", "sessionChanged"]),
};

/** One stream. `place` outlives it. */
export class Feed {
  state: "opening" | "loading" | "live" = "opening";
  /** How often Progress comes, in milliseconds; what is assumed when Begin does not say. */
  progressMs = 5_000;
  #columns: readonly Column[] = [];
  #types: ReadonlyMap<string, TypeName> = new Map();
  #key: readonly string[] = [];
  #version = 0n;
  #snapshotVersion: bigint | undefined;
  #rows: Row[] = [];
  #pieces: Changes[] = [];
  #piecesVersion = 0n;
  #skipped = 0;
  #edited: Edited | undefined;

  /** `reason` says why it was opened; `resuming`, whether the server was given a token. */
  constructor(
    readonly place: Place,
    private reason = "first",
    public resuming = false,
  ) {}

  /** Takes one response; returns what its reader is to be told, if anything. Throws StreamBroken. */
  receive(response: WatchSessionResponse): Told | undefined {
    const kind = response.event.case;
    if (kind === undefined)
      throw new StreamBroken("unknown_event", "the server sent an event that this client does not know");
    if (this.#between && kind !== "changes") throw disorder(`${kind} came between two pieces of one change`);
    if (!ALLOWED[this.state].has(kind)) throw disorder(`${kind} is not allowed while the stream is ${this.state}`);
    if (this.state === "live") this.#checkLine(response, kind);
    let told: Told | undefined;
    try {
      told = this.#take(response);
    } catch (error) {
      if (error instanceof StreamBroken) throw error;
      throw new StreamBroken(
        "malformed",
        `${kind} cannot be read: ${error instanceof Error ? error.message : String(error)}`,
      );
    }
    if (this.state === "live" && !this.#between) {
      [this.#version, this.place.columns] = [response.toVersion, this.#columns];
      this.place.move(response.toVersion, response.resumeToken);
    }
    return told;
  }

  /** Whether the rest of a change must follow. */
  get #between(): boolean {
    return this.#pieces.length > 0 || this.#edited !== undefined;
  }

  #checkLine({ fromVersion, toVersion }: WatchSessionResponse, kind: string): void {
    if (fromVersion !== this.#version) {
      throw new StreamBroken("gap", `${kind} begins at version ${fromVersion} and not at ${this.#version}`);
    }
    if (toVersion < fromVersion) throw disorder(`${kind} goes back to version ${toVersion}`);
    if (this.#between && toVersion !== this.#piecesVersion) {
      throw disorder(`a piece of a change is of version ${toVersion} and not ${this.#piecesVersion}`);
    }
  }

  #take(response: WatchSessionResponse): Told | undefined {
    const { event, toVersion: version } = response;
    switch (event.case) {
      case "begin":
        return this.#begin(event.value, version);
      case "snapshotRows":
        return this.#snapshotRows(event.value, version);
      case "snapshotEnd":
        return this.#snapshotEnd(event.value, version);
      case "changes":
        this.#pieces.push(event.value);
        this.#piecesVersion = version;
        return response.continued ? undefined : this.#joined(response.fromVersion, version);
      case "progress":
        return { kind: "progress", version, digest: event.value.digest };
      case "lagged":
        this.#skipped += Number(event.value.skippedCommits);
        return { kind: "lagged", version, skippedCommits: Number(event.value.skippedCommits) };
      case "reset":
        return this.#reset(event.value);
      default:
        return this.#sessionChanged(response);
    }
  }

  #setColumns(columns: readonly Column[]): void {
    [this.#columns, this.#types, this.#key] = [columns, typesOf(columns), keyOf(columns)];
  }

  #begin(begin: Begin, version: bigint): Resumed | undefined {
    const { place } = this;
    this.#setColumns(columnsOf(begin.columns));
    if (this.#key.length === 0) throw new RangeError("no column is marked as key");
    if (begin.progressIntervalMs > 0) this.progressMs = begin.progressIntervalMs;
    if (begin.resumed) this.#checkResumed(begin, version);
    [place.epoch, place.began, place.watchId] = [begin.epoch, true, begin.watchId];
    if (begin.resumed) {
      this.state = "live";
      return { kind: "resumed", version };
    }
    [this.state, this.#snapshotVersion, this.#rows] = ["loading", undefined, []];
    return undefined;
  }

  /** A resumed stream goes on from the very rows that the reader has, or it is not to be trusted. */
  #checkResumed(begin: Begin, version: bigint): void {
    const { place } = this;
    if (!this.resuming) throw disorder("the server resumed a stream that gave no token");
    if (begin.epoch !== place.epoch || version !== place.version) {
      throw disorder(`the server resumed at version ${version} and not at ${place.version}`);
    }
    const same = (column: Column, at: number): boolean => {
      const before = place.columns[at];
      return column.name === before?.name && column.type === before.type && column.primaryKey === before.primaryKey;
    };
    if (this.#columns.length !== place.columns.length || !this.#columns.every(same)) {
      throw disorder("the server resumed with other columns");
    }
  }

  #snapshotRows({ rows, startIndex }: Event<"snapshotRows">, version: bigint): undefined {
    this.#sameSnapshot(version);
    if (startIndex !== BigInt(this.#rows.length)) {
      throw new StreamBroken("gap", `a piece of the snapshot starts at ${startIndex} and not ${this.#rows.length}`);
    }
    for (const row of this.#complete(rows)) this.#rows.push(row);
  }

  #snapshotEnd({ rowCount, totalCount }: Event<"snapshotEnd">, version: bigint): Snapshot {
    this.#sameSnapshot(version);
    if (rowCount !== BigInt(this.#rows.length)) {
      throw new StreamBroken("gap", `the snapshot has ${this.#rows.length} rows and should have ${rowCount}`);
    }
    const rows = this.#rows;
    [this.#rows, this.state] = [[], "live"];
    const { place, reason } = this;
    const columns = this.#columns;
    return { kind: "snapshot", version, epoch: place.epoch, columns, rows, totalCount: Number(totalCount), reason };
  }

  #sameSnapshot(version: bigint): void {
    this.#snapshotVersion ??= version;
    if (version === this.#snapshotVersion) return;
    throw disorder(`a piece of the snapshot is of version ${version} and not ${this.#snapshotVersion}`);
  }

  /** The pieces that have come as one change. */
  #joined(fromVersion: bigint, version: bigint): Delta {
    const [pieces, skippedCommits, edited] = [this.#pieces, this.#skipped, this.#edited];
    [this.#pieces, this.#skipped, this.#edited] = [[], 0, undefined];
    const changes: RowChange[] = [];
    for (const { reason, keys } of pieces.flatMap((piece) => piece.removes)) {
      const word = (RemoveReason[reason] ?? "unknown").toLowerCase();
      for (const key of this.#keyed(keys)) changes.push({ kind: "remove", key, reason: word });
    }
    for (const { rows } of pieces.flatMap((piece) => piece.updates)) {
      for (const row of this.#keyed(rows)) changes.push({ kind: "update", key: this.#keyOf(row), row });
    }
    for (const { moves } of pieces) {
      const rows = this.#keyed(moves?.keys);
      const place = placing(rows.length, moves?.indexes ?? []);
      rows.forEach((key, at) => changes.push({ kind: "move", key, index: place(at) }));
    }
    for (const { inserts } of pieces) {
      const rows = this.#complete(inserts?.rows);
      const place = placing(rows.length, inserts?.indexes ?? []);
      rows.forEach((row, at) => changes.push({ kind: "insert", key: this.#keyOf(row), row, index: place(at) }));
    }
    const totalCount = Number(pieces[pieces.length - 1]!.totalCount);
    return { kind: "changes", fromVersion, version, totalCount, changes, skippedCommits, edited };
  }

  #reset({ reason, message }: Event<"reset">): Interrupted {
    this.reason = (ResetReason[reason] ?? "unknown").toLowerCase();
    [this.state, this.resuming] = ["opening", false];
    this.place.forget();
    return { kind: "interrupted", reason: this.reason, message, version: this.place.version, resumes: false };
  }

  /** Rows have other columns from here on; the change that follows is told with this. */
  #sessionChanged({ continued, toVersion, event }: WatchSessionResponse): undefined {
    const { generation, columns: wire } = event.value as Event<"sessionChanged">;
    if (!continued) throw disorder("the session was edited and no change follows");
    const [before, key] = [this.#types, this.#key];
    this.#setColumns(columnsOf(wire));
    const after = this.#types;
    if (
      this.#key.length !== key.length ||
      key.some((name) => !this.#key.includes(name) || after.get(name) !== before.get(name))
    ) {
      throw new StreamBroken("definition_changed", "the session was edited and its rows are named by other columns");
    }
    const kept = new Set([...after.keys()].filter((name) => before.get(name) === after.get(name)));
    this.#edited = { generation, columns: this.#columns, kept };
    this.#piecesVersion = toVersion;
  }

  #keyOf(row: Row): Row {
    return Object.fromEntries(this.#key.map((name) => [name, row[name]!]));
  }

  /** Rows with at least their key columns. */
  #keyed(batch: RowBatch | undefined): Row[] {
    if (batch === undefined || batch.rowCount === 0) return [];
    const rows = decodeRows(batch, this.#types);
    const missing = this.#key.find((name) => !(name in rows[0]!));
    if (missing !== undefined) throw new RangeError(`rows without their key column "${missing}"`);
    return rows;
  }

  /** Rows with all columns and no others. */
  #complete(batch: RowBatch | undefined): Row[] {
    const rows = this.#keyed(batch);
    const names = Object.keys(rows[0] ?? {});
    if (rows.length > 0 && (names.length !== this.#types.size || !names.every((name) => this.#types.has(name)))) {
      throw new RangeError(`complete rows have the columns ${names.join(", ")}, which are not those of the stream`);
    }
    return rows;
  }
}

function disorder(message: string): StreamBroken {
  return new StreamBroken("disorder", message);
}

function placing(count: number, indexes: readonly number[]): (at: number) => number {
  if (indexes.length !== count) throw new RangeError(`${count} rows are placed at ${indexes.length} positions`);
  return (at) => indexes[at]!;
}
