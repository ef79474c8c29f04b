/**
 * The events of a session, over as many streams as it takes.
 *
 * A stream that ends, errs, goes silent or breaks the contract is replaced by a new one after a random pause. The new one
 * is given the resume token of the last consistent point and goes on there; without a valid token it begins with a fresh
 * snapshot, whose `reason` says why. What the reader has is stale in between:
 *
 *     connecting --consistent point--> live --broken, silent, reset--> stale --consistent point--> live
 *     any --closed, or an error that another attempt cannot mend--> ended
 */
import { TesseractError, errorOf } from "./errors.js";
import type { StatusCode } from "./errors.js";
import type { Change, Interrupted, Lagged, Progress, Resumed, State } from "./events.js";
import { Feed, Place, StreamBroken } from "./feed.js";
import type { WatchSessionResponse } from "./gen/tesseract/v1/session_service_pb.js";
import { Backoff, sleep } from "./rpc.js";
import type { Rpc } from "./rpc.js";
import { Watchdog } from "./watchdog.js";

/** Three intervals of Progress without a message mean that a stream is stale. */
const MISSED_INTERVALS = 3;

/** What another attempt cannot mend. */
const FINAL = new Set<StatusCode>([
  "ALREADY_EXISTS",
  "UNIMPLEMENTED",
  "INVALID_ARGUMENT",
  "NOT_FOUND",
  "OUT_OF_RANGE",
  "PERMISSION_DENIED",
  "FAILED_PRECONDITION",
  "UNAUTHENTICATED",
]);

/** Refusals that a stream without a token need not meet. */
const TOKEN_REASONS = new Set(["BAD_RESUME_TOKEN", "FEATURE_NOT_AVAILABLE"]);

/** Breaks that leave no doubt about the rows of the last consistent point, so that its token is good. */
const TRUSTED_BREAKS = new Set(["reconnected", "ended", "silence", "gap"]);

/** What a watch needs of whoever reads it. */
export interface Reader {
  /** What is watched, for messages. */
  readonly what: string;
  /** Opens a stream that goes on at `place`. */
  open(place: Place, signal: AbortSignal): AsyncIterable<WatchSessionResponse>;
  /** Takes an event; throws StreamBroken when it cannot be right. */
  take(event: Change | Progress): void;
  /** Tells an event that was taken; what it waits for, the stream waits for. */
  told(event: Change): Promise<void>;
  /** Tells what happens to the stream. */
  notice(notice: Interrupted | Resumed | Lagged): Promise<void>;
  /** The state is another one. */
  turned(state: State): Promise<void>;
  /** Whether what was watched is gone and could be made again. */
  revive(error: TesseractError): Promise<boolean>;
  /** Reasons that end the watch beside those that always do. */
  readonly endsOn: ReadonlySet<string>;
}

/** One watch. `run` goes on until it is cancelled, or ends with an error that nothing can mend. */
export class Watch {
  state: State;
  /** Why it ended, when it was not cancelled. */
  error: TesseractError | undefined;
  /** Why the last stream was given up, for people. */
  lastFailure = "";
  #feed: Feed;
  #reason = "first";
  #gapAt: bigint | undefined;
  /** Whether it has been told that there is no stream. */
  #failedBefore = false;
  #stream: AbortController | undefined;
  #silent = false;
  #currentSince = 0;
  #lostSince = performance.now();
  #closing = new AbortController();
  #backoff: Backoff;
  /** Ends the wait for the next message. Aborting alone does not always: `fetch` in Node may lose sight of its signal. */
  #giveUp: (() => void) | undefined;
  #watchdog = new Watchdog(() => {
    this.#silent = true;
    this.#abort();
  });

  /** `place` is where to go on; one that has a version belongs to rows that the reader has already. */
  constructor(
    private readonly rpc: Rpc,
    private readonly reader: Reader,
    readonly place: Place,
    resumes: boolean,
  ) {
    this.#backoff = new Backoff(rpc.retry);
    this.#feed = this.#newFeed();
    this.state = resumes ? "stale" : "connecting";
  }

  /** Whether it was cancelled, or has ended. */
  get closed(): boolean {
    return this.#closing.signal.aborted;
  }

  /** Ends the watch. */
  cancel(): void {
    this.#closing.abort();
    this.#watchdog.stop();
    this.#abort();
  }

  #abort(): void {
    this.#stream?.abort();
    this.#giveUp?.();
  }

  /** Reads streams, one after the other, until the end. Never throws: see `error`. */
  async run(): Promise<void> {
    while (!this.closed) {
      const generation = this.rpc.generation;
      try {
        await this.#read();
      } catch (failure) {
        if (this.closed) break;
        this.#watchdog.heard();
        this.#stream?.abort();
        await this.#failed(failure, generation);
      }
    }
    this.cancel();
    await this.#turn("ended");
  }

  /** One stream, which ends by an exception or with the watch. */
  async #read(): Promise<void> {
    this.rpc.checkOpen();
    this.#silent = false;
    this.#feed = this.#newFeed();
    this.#stream = new AbortController();
    const responses = this.reader.open(this.place, this.#stream.signal)[Symbol.asyncIterator]();
    while (!this.closed) {
      this.#watchdog.wait(this.#patience());
      const response = await this.#next(responses);
      this.#watchdog.heard();
      if (response.done === true) throw new StreamBroken("ended", "the server ended the stream");
      try {
        await this.#receive(response.value);
      } catch (error) {
        if (error instanceof StreamBroken) throw error;
        const why = `the watch of ${this.reader.what} cannot go on: ${String(error)}`; // another attempt would meet it again
        this.#end(new TesseractError("INTERNAL", why, {}, error));
      }
    }
  }

  #next(responses: AsyncIterator<WatchSessionResponse>): Promise<IteratorResult<WatchSessionResponse>> {
    return new Promise((resolve, reject) => {
      this.#giveUp = () => reject(new StreamBroken("reconnected", "the stream was given up"));
      responses.next().then(resolve, reject);
    });
  }

  async #receive(response: WatchSessionResponse): Promise<void> {
    const exact = this.place.version;
    const found = this.#feed.receive(response);
    let change: Change | undefined;
    if (found !== undefined) {
      if (found.kind === "snapshot" || found.kind === "changes" || found.kind === "progress") {
        try {
          this.reader.take(found);
        } catch (error) {
          this.place.version = exact; // the rows are those of before
          throw error;
        }
        if (found.kind !== "progress") change = found;
      } else {
        if (found.kind === "interrupted") await this.#lost(found);
        await this.reader.notice(found);
      }
    }
    if (this.#feed.state === "live" && this.state !== "live") {
      this.#failedBefore = false;
      this.#currentSince = performance.now();
      await this.#turn("live");
    }
    if (change !== undefined) await this.reader.told(change);
  }

  #newFeed(): Feed {
    return new Feed(this.place, this.#reason, this.place.token.length > 0);
  }

  /** How long to wait for the next message. The first may take as long as any other answer. */
  #patience(): number {
    return this.#feed.state === "opening" ? this.rpc.timeoutMs : this.#feed.progressMs * MISSED_INTERVALS;
  }

  /** Gives a stream up and waits until it is time for the next; ends the watch when that cannot mend it. */
  async #failed(failure: unknown, generation: number): Promise<void> {
    const silent = this.#silent;
    const broken = silent ? new StreamBroken("silence", "no message for too long") : failure;
    const known = broken instanceof StreamBroken ? undefined : errorOf(broken);
    if (known !== undefined && this.#feed.resuming && TOKEN_REASONS.has(known.reason)) {
      this.place.forget();
      await this.#interrupted("token_refused", known.message);
      return; // at once, and this time without a token
    }
    if (known !== undefined && this.#isFinal(known) && !(await this.#revived(known))) return this.#end(known);
    const reason = broken instanceof StreamBroken ? broken.reason : "reconnected";
    const message = broken instanceof Error ? broken.message : String(broken);
    this.#judge(reason);
    if (this.#feed.state === "opening" && this.#failedBefore)
      this.lastFailure = message; // still away, which was told
    else await this.#interrupted(reason, message);
    this.#failedBefore = true;
    if (silent) this.rpc.renew(generation);
    await this.#pause(known);
  }

  /** Drops the token where the rows are in doubt, or where resuming did not help against the same gap. */
  #judge(reason: string): void {
    const again = reason === "gap" && this.#gapAt === this.place.version;
    if (!TRUSTED_BREAKS.has(reason) || again) this.place.forget();
    this.#gapAt = reason === "gap" && !again ? this.place.version : undefined;
  }

  /** Waits before the next attempt. What breaks as soon as it is live must not be tried without a pause. */
  async #pause(known: TesseractError | undefined): Promise<void> {
    const { maxBackoffMs, giveUpAfterMs } = this.rpc.retry;
    const now = performance.now();
    if (this.#currentSince > this.#lostSince) {
      if (now - this.#currentSince > maxBackoffMs) this.#backoff.reset();
      this.#lostSince = now;
    }
    if (giveUpAfterMs !== undefined && now - this.#lostSince > giveUpAfterMs) {
      const gone = `no stream of ${this.reader.what} for ${giveUpAfterMs} ms: ${this.lastFailure}`;
      return this.#end(known ?? new TesseractError("UNAVAILABLE", gone));
    }
    await sleep(this.#backoff.next(known?.retryAfterMs), this.#closing.signal);
  }

  async #interrupted(reason: string, message: string): Promise<void> {
    this.#reason = reason;
    const resumes = this.place.token.length > 0;
    const notice: Interrupted = { kind: "interrupted", reason, message, version: this.place.version, resumes };
    await this.#lost(notice);
    await this.reader.notice(notice);
  }

  async #lost({ reason, message, version, resumes }: Interrupted): Promise<void> {
    this.lastFailure = message;
    const how = resumes ? "resuming" : "with a new snapshot";
    this.rpc.logger.warn(`watch of ${this.reader.what}: ${reason} at version ${version} (${message}); again, ${how}`);
    await this.#turn(this.state === "connecting" ? "connecting" : "stale");
  }

  /** Whether another attempt is of no use. A limit may be one that only this request exceeds, as long as no attempt has
   * succeeded; later it is one that others have reached in the meantime. */
  #isFinal(error: TesseractError): boolean {
    if (FINAL.has(error.code) || this.reader.endsOn.has(error.reason)) return true;
    return error.code === "RESOURCE_EXHAUSTED" && !this.place.began;
  }

  async #revived(error: TesseractError): Promise<boolean> {
    return error.code === "NOT_FOUND" && this.place.began && (await this.reader.revive(error));
  }

  #end(error: TesseractError): void {
    this.error = error;
    this.cancel();
  }

  async #turn(state: State): Promise<void> {
    if (this.state === state || this.state === "ended") return;
    this.state = state;
    await this.reader.turned(state);
  }
}
