/**
 * A mirror: the rows of a window, kept current in the background.
 *
 * It changes only at consistent points, so whoever reads it sees the result as it was at one version. While the connection
 * is broken it keeps its rows and says `stale`; it heals by itself and says `live` again. A new snapshot takes the place of
 * the rows when it is complete, so nobody ever sees them gone in between.
 */
import { Bookmark } from "./bookmark.js";
import { digestOf } from "./digest.js";
import { TesseractError, invalid } from "./errors.js";
import type { Change, Interrupted, Lagged, Progress, Resumed, State } from "./events.js";
import { Place, StreamBroken } from "./feed.js";
import { Replica } from "./replica.js";
import type { Rpc } from "./rpc.js";
import type { Column, Row } from "./values.js";
import { Watch } from "./watch.js";
import type { Reader } from "./watch.js";

/** What handlers are given, by the name of the event. */
export interface MirrorEvents {
  /** A consistent point with changes: a Snapshot or a Delta. */
  change: Change;
  /** Another state. */
  state: State;
  interrupted: Interrupted;
  resumed: Resumed;
  lagged: Lagged;
}

/** How `session.mirror` opens its stream; made by Session. */
export type Opening = Pick<Reader, "what" | "open" | "revive" | "endsOn">;

type Handlers = { [E in keyof MirrorEvents]: Set<(event: MirrorEvents[E]) => unknown> };

/** The current rows of one window. It starts at once; `ready` waits for its first rows. */
export class Mirror {
  #replica = new Replica();
  #token: Uint8Array = new Uint8Array();
  #handlers: Handlers = {
    change: new Set(),
    state: new Set(),
    interrupted: new Set(),
    resumed: new Set(),
    lagged: new Set(),
  };
  #waiting = new Set<() => void>();
  #watch: Watch;
  #done: Promise<void>;
  #ended = false;

  /** Use `session.mirror`. */
  constructor(
    private readonly rpc: Rpc,
    opening: Opening,
    verify: boolean,
    resume?: Bookmark,
  ) {
    const [place, rows] = resume?.restore() ?? [new Place(), undefined];
    if (rows !== undefined) this.#replica.apply(rows);
    this.#token = place.token;
    const reader: Reader = {
      ...opening,
      take: (event) => this.#take(event, verify),
      told: (event) => this.#emit("change", event),
      notice: (notice) => this.#emit(notice.kind, notice),
      turned: (state) => {
        this.#notify();
        return this.#emit("state", state);
      },
    };
    this.#watch = new Watch(rpc, reader, place, rows !== undefined);
    const disown = rpc.owns(this);
    // Handlers that are added before the next turn of the loop miss nothing.
    this.#done = Promise.resolve()
      .then(() => this.#watch.run())
      .finally(() => {
        disown();
        this.#ended = true;
        this.#notify();
      });
  }

  /** connecting, live, stale (the rows may be old) or ended. */
  get state(): State {
    return this.#ended || this.#watch.closed ? "ended" : this.#watch.state;
  }

  /** Why it ended, when it was not closed on this side. */
  get error(): TesseractError | undefined {
    return this.#watch.error;
  }

  /** The version up to which the rows are exact. */
  get version(): bigint {
    return this.#replica.version;
  }

  /** The identity of the line of versions. */
  get epoch(): string {
    return this.#replica.epoch;
  }

  /** The number of rows of the whole result, of which the window is a part. */
  get totalCount(): number {
    return this.#replica.totalCount;
  }

  /** The columns of the rows, in order. */
  get columns(): readonly Column[] {
    return this.#replica.columns;
  }

  /** The number of rows of the window. */
  get length(): number {
    return this.#replica.length;
  }

  /** The rows of the window from `start` on, at most `limit`, in order. They are never changed afterwards. O(rows). */
  rows(start = 0, limit = Infinity): Row[] {
    return this.#replica.rows(start, limit);
  }

  /** The digest of the rows, as docs/GUARANTEES.md defines it: equal mirrors have equal ones. O(cells). */
  digest(): Uint8Array {
    return digestOf(this.columns, this.rows());
  }

  /** The rows as they are now, and where to go on from there, also in another process, for as long as the server keeps that
   * history. Throws before the first rows. */
  bookmark(): Bookmark {
    const { loaded, epoch, version, columns, totalCount } = this.#replica;
    if (!loaded)
      throw new TesseractError("FAILED_PRECONDITION", "there is nothing to go on from before the first snapshot");
    const token = this.#watch.place.token.length > 0 ? this.#token : new Uint8Array(); // none while rows are in doubt
    return new Bookmark(epoch, version, token, columns, this.rows(), totalCount);
  }

  /** Calls `handler` at every event of this name; a promise that it returns is waited for before the next message is read,
   * so a handler that is slow makes the server merge changes and not the client pile them up. One that throws is logged and
   * disturbs nobody. Returns the function to stop it. */
  on<E extends keyof MirrorEvents>(event: E, handler: (event: MirrorEvents[E]) => unknown): () => void {
    const handlers = this.#handlers[event] as Handlers[E] | undefined;
    if (handlers === undefined) throw invalid("MALFORMED_REQUEST", `there is no event "${String(event)}"`, "event");
    const own = (value: MirrorEvents[E]): unknown => handler(value); // the same function may be added twice
    handlers.add(own);
    return () => handlers.delete(own);
  }

  /** The changes from this call on, one after the other, until the mirror ends; then `next` throws the error that ended it.
   * At most one is read ahead: whoever asks for it and does not read holds the mirror up, as a slow handler does. */
  changes(): AsyncIterableIterator<Change, void> {
    const queue: [Change, () => void][] = [];
    const stop = this.on("change", (change) => {
      return new Promise<void>((resolve) => {
        queue.push([change, resolve]);
        this.#notify();
      });
    });
    const leave = (): Promise<IteratorResult<Change, void>> => {
      stop();
      for (const [, resolve] of queue.splice(0)) resolve();
      return Promise.resolve({ done: true, value: undefined });
    };
    const next = async (): Promise<IteratorResult<Change, void>> => {
      await this.#until(() => queue.length > 0 || this.state === "ended", Infinity);
      const [change, resolve] = queue.shift() ?? [];
      resolve?.();
      if (change !== undefined) return { done: false, value: change };
      if (this.error !== undefined) throw this.error;
      return leave();
    };
    const iterator = { next, return: leave, [Symbol.asyncIterator]: () => iterator };
    return iterator;
  }

  /** Waits for the first snapshot. Throws DEADLINE_EXCEEDED after `timeoutMs` (default: that of calls), or why it ended. */
  async ready(timeoutMs = this.rpc.timeoutMs): Promise<this> {
    await this.#until(() => this.#replica.loaded || this.#ended, timeoutMs);
    return this.#check(this.#replica.loaded, timeoutMs, "the first snapshot");
  }

  /** Waits until the rows are exact up to `version`, for example that of a write. Where that commit does not touch the rows
   * the server is asked to say so at once, instead of with its next Progress. Throws as `ready` does. */
  async waitFor(version: bigint, timeoutMs = this.rpc.timeoutMs): Promise<this> {
    const deadline = performance.now() + timeoutMs;
    const stream = (): string => (this.#watch.state === "live" ? this.#watch.place.watchId : "");
    for (
      let left = timeoutMs;
      !this.#ended && this.version < version && left > 0;
      left = deadline - performance.now()
    ) {
      const asked = stream();
      const cancel = asked === "" ? undefined : this.#askProgress(asked, version, left);
      // Of another stream, Progress has to be asked for anew.
      await this.#until(() => this.version >= version || this.#ended || !["", asked].includes(stream()), left);
      cancel?.abort();
    }
    return this.#check(this.version >= version, timeoutMs, `version ${version}`);
  }

  /** Whether the server can is a matter of time alone: the call is not waited for, and its failure is nobody's. */
  #askProgress(watchId: string, minVersion: bigint, timeoutMs: number): AbortController {
    const cancel = new AbortController();
    const options = { timeoutMs: Math.max(Math.ceil(timeoutMs), 1), signal: cancel.signal };
    this.rpc.hubs.requestProgress({ parent: this.rpc.parent, watchId, minVersion }, options).catch(() => undefined);
    return cancel;
  }

  /** Ends the stream, and waits until no handler will be called any more; the rows stay readable. */
  async close(): Promise<void> {
    this.cancel();
    await this.#done;
  }

  /** The same, without waiting. */
  cancel(): void {
    this.#watch.cancel();
    this.#notify();
  }

  #take(event: Change | Progress, verify: boolean): void {
    const replica = this.#replica;
    if (verify && event.kind === "progress" && event.digest.length > 0) {
      const own = digestOf(replica.columns, replica.rows());
      if (own.length !== event.digest.length || own.some((byte, at) => byte !== event.digest[at])) {
        throw new StreamBroken("digest", `the rows at version ${event.version} are not those of the server`);
      }
    }
    replica.apply(event);
    this.#token = this.#watch.place.token;
    this.#notify();
  }

  async #emit<E extends keyof MirrorEvents>(event: E, value: MirrorEvents[E]): Promise<void> {
    for (const handler of [...this.#handlers[event]]) {
      try {
        await handler(value);
      } catch (error) {
        this.rpc.logger.error(`a handler of "${event}" failed`, error);
      }
    }
  }

  #check(done: boolean, timeoutMs: number, what: string): this {
    if (done) return this;
    if (this.error !== undefined) throw this.error;
    if (this.#ended) throw new TesseractError("CANCELLED", `the mirror was closed before ${what}`);
    const why = this.#watch.lastFailure === "" ? "" : ` (${this.#watch.lastFailure})`;
    throw new TesseractError(
      "DEADLINE_EXCEEDED",
      `${what} did not come within ${timeoutMs} ms; the mirror is ${this.state}${why}`,
    );
  }

  /** Waits for a condition, which is looked at whenever something has happened. */
  #until(condition: () => boolean, timeoutMs: number): Promise<void> {
    return new Promise((resolve) => {
      if (condition()) return resolve();
      const done = (): void => {
        clearTimeout(timer);
        this.#waiting.delete(look);
        resolve();
      };
      const look = (): void => {
        if (condition()) done();
      };
      const timer = timeoutMs === Infinity ? undefined : setTimeout(done, timeoutMs);
      this.#waiting.add(look);
    });
  }

  #notify(): void {
    for (const look of [...this.#waiting]) look();
  }
}
