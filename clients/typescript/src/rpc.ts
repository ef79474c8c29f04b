/**
 * The connection and its calls: deadlines, retries, and errors as this client's.
 *
 * Calls that may be sent twice (reads, and writes, because every write carries a request id) are sent again while the
 * server is away, until their deadline. A connection that went silent is replaced: what hangs in it would hang until TCP
 * gives up, and every new call behind it.
 */
import type { DescService } from "@bufbuild/protobuf";
import { createClient } from "@connectrpc/connect";
import type { CallOptions, Client, Interceptor, Transport } from "@connectrpc/connect";
import { TesseractError, errorOf, invalid } from "./errors.js";
import { HubService } from "./gen/tesseract/v1/hub_service_pb.js";
import { SessionService } from "./gen/tesseract/v1/session_service_pb.js";
import { TableService } from "./gen/tesseract/v1/table_service_pb.js";

/** How patiently calls and watches are tried again while the server cannot be reached. Milliseconds. */
export interface Retry {
  /** How often a call is sent at most before the server has ever answered, so that a wrong address is soon told; 1 turns
   * retries off. A server that has answered once is waited for until the deadline of the call. Default 4. */
  attempts?: number;
  /** The first pause of a call and of a watch, at most. Pauses are random below a limit that doubles. Default 100. */
  initialBackoffMs?: number;
  /** The longest pause. What the server asks for (RetryInfo) comes on top. Default 5,000. */
  maxBackoffMs?: number;
  /** After how long without a stream a watch ends with UNAVAILABLE. Default: it tries for ever. */
  giveUpAfterMs?: number;
}

/** What `connectNode` and `connectWeb` take beside the address. */
export interface ConnectOptions {
  /** The id of the hub. Default "default". */
  hub?: string;
  /** Sent with every call, as `authorization: Bearer`. */
  token?: string;
  /** The deadline of a call, retries included, in milliseconds. Default 30,000. */
  timeoutMs?: number;
  retry?: Retry;
  /** Where is told what nobody catches: a handler that failed, a stream that broke. Default: `console`. */
  logger?: Logger;
}

/** A part of `console`. */
export interface Logger {
  warn(message: string): void;
  error(message: string, error: unknown): void;
}

/** A connection that can be replaced. */
export interface Channel {
  readonly transport: Transport;
  close(): void;
}

/** Puts the token on every call. */
export function authorization(token: string | undefined): Interceptor[] {
  if (token === undefined) return [];
  return [
    (next) => (request) => {
      request.header.set("authorization", `Bearer ${token}`);
      return next(request);
    },
  ];
}

/** Pauses between attempts: exponential, with full jitter, so that a thousand clients do not return at once. */
export class Backoff {
  #failures = 0;

  constructor(
    private readonly retry: Required<Pick<Retry, "initialBackoffMs" | "maxBackoffMs">>,
    private readonly random: () => number = Math.random,
  ) {}

  /** The milliseconds to wait after one more failure: never less than the server asked for. */
  next(atLeast = 0): number {
    const limit = Math.min(this.retry.maxBackoffMs, this.retry.initialBackoffMs * 2 ** this.#failures);
    this.#failures = Math.min(this.#failures + 1, 30);
    return this.random() * limit + atLeast;
  }

  /** After a success. */
  reset(): void {
    this.#failures = 0;
  }
}

/** Something that is open on a connection and has to end before it. */
interface Closable {
  cancel(): void;
}

/** The services of one server, and what is open on them. */
export class Rpc {
  readonly hub: string;
  readonly timeoutMs: number;
  readonly retry: Required<Omit<Retry, "giveUpAfterMs">> & Pick<Retry, "giveUpAfterMs">;
  readonly logger: Logger;
  /** Which connection this is: rises by one when a silent one is replaced. */
  generation = 0;
  #channel: Channel;
  #retired: Channel | undefined;
  #reached = false;
  #closing = new AbortController();
  #open = new Set<Closable>();
  tables!: Client<typeof TableService>;
  sessions!: Client<typeof SessionService>;
  hubs!: Client<typeof HubService>;

  constructor(
    private readonly openChannel: () => Channel,
    options: ConnectOptions,
  ) {
    this.hub = options.hub ?? "default";
    this.timeoutMs = options.timeoutMs ?? 30_000;
    this.retry = { attempts: 4, initialBackoffMs: 100, maxBackoffMs: 5_000, ...options.retry };
    this.logger = options.logger ?? console;
    if (!(this.timeoutMs > 0)) throw invalid("MALFORMED_REQUEST", "timeoutMs must be above 0", "timeoutMs");
    if (!(this.retry.attempts >= 1)) throw invalid("MALFORMED_REQUEST", "attempts must be from 1 on", "retry.attempts");
    this.#channel = this.#connect();
  }

  /** The name of a resource of the hub, from an id; a full name stays as it is. */
  name(kind: "tables" | "sessions", id: string): string {
    return id.includes("/") ? id : `${this.parent}/${kind}/${id}`;
  }

  /** The resource name of the hub. */
  get parent(): string {
    return `hubs/${this.hub}`;
  }

  /** What a stream that the caller reads is opened with; it has no deadline. */
  checkOpen(): void {
    if (this.#closing.signal.aborted) throw new TesseractError("CANCELLED", "the hub was closed");
  }

  #connect(): Channel {
    const channel = this.openChannel();
    this.tables = createClient(TableService, channel.transport);
    this.sessions = createClient(SessionService, channel.transport);
    this.hubs = createClient(HubService, channel.transport);
    return channel;
  }

  /** A client of any service, on the present connection. */
  client<S extends DescService>(service: S): Client<S> {
    return createClient(service, this.#channel.transport);
  }

  /** Replaces the connection of this generation, unless that has happened. What is still open on the old one may go on
   * until the next is replaced. */
  renew(generation: number): void {
    if (this.#closing.signal.aborted || generation !== this.generation) return;
    this.generation += 1;
    const retired = this.#retired;
    this.#retired = this.#channel;
    this.#channel = this.#connect();
    retired?.close();
  }

  /** One request, one response. `twice`: whether it may be sent again when nobody knows what became of it. */
  async call<T>(send: (options: CallOptions) => Promise<T>, twice = true, timeoutMs = this.timeoutMs): Promise<T> {
    const deadline = performance.now() + timeoutMs;
    const backoff = new Backoff(this.retry);
    for (let attempts = 1, left = timeoutMs; ; attempts++) {
      this.checkOpen();
      try {
        const response = await send({ timeoutMs: Math.max(Math.ceil(left), 1), signal: this.#closing.signal });
        this.#reached = true;
        return response;
      } catch (failure) {
        this.checkOpen();
        const error = errorOf(failure);
        this.#reached ||= error.code !== "UNAVAILABLE";
        const pause = backoff.next(error.retryAfterMs);
        left = deadline - performance.now() - pause;
        const { attempts: most } = this.retry;
        const again = error.passes && most > 1 && (this.#reached || attempts < most) && twice;
        if (left <= 0 || !again) throw error;
        await sleep(pause, this.#closing.signal);
      }
    }
  }

  /** Ends `closable` before the connection; returns what says that it has ended by itself. */
  owns(closable: Closable): () => void {
    this.#open.add(closable);
    return () => this.#open.delete(closable);
  }

  /** Ends everything that is open, and the connection. */
  close(): void {
    this.#closing.abort();
    for (const closable of [...this.#open]) closable.cancel();
    this.#retired?.close();
    this.#channel.close();
  }
}

/** Waits, or until the signal says that there is no need any more. */
export function sleep(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) return resolve();
    const done = (): void => {
      clearTimeout(timer);
      signal.removeEventListener("abort", done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    signal.addEventListener("abort", done);
  });
}

/** An id that no other request has. */
export function requestId(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16)); // randomUUID is not there in pages without TLS
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
