/** A session: a live query, a named resource that any number of clients may read and watch. */
import { create } from "@bufbuild/protobuf";
import { durationFromMs } from "@bufbuild/protobuf/wkt";
import type { Bookmark } from "./bookmark.js";
import { invalid, errorOf } from "./errors.js";
import { Delivery, OnLag } from "./gen/tesseract/v1/change_pb.js";
import type { Query } from "./gen/tesseract/v1/query_pb.js";
import { WatchSessionRequestSchema } from "./gen/tesseract/v1/session_service_pb.js";
import type { Session as WireSession } from "./gen/tesseract/v1/session_service_pb.js";
import { Mirror } from "./mirror.js";
import type { Opening } from "./mirror.js";
import { queryOf, rowsOf, windowOf } from "./query.js";
import type { QueryLike, Rows, WindowLike } from "./query.js";
import { requestId } from "./rpc.js";
import type { Rpc } from "./rpc.js";
import { columnsOf } from "./values.js";
import type { Column } from "./values.js";

/** How a session is mirrored. */
export interface MirrorOptions {
  /** The part of the result to watch. Default: all of it. */
  window?: WindowLike;
  /** What `mirror.bookmark()` of the same session and window gave: the mirror has those rows at once, and is stale until the
   * server has told what was missed, or sent a snapshot where it cannot tell. */
  resume?: Bookmark;
  /** Whether every Progress is compared with a digest of the rows; a difference is an Interrupted (digest) and a new
   * snapshot. */
  verify?: boolean;
  /** The shortest time between two changes, in milliseconds; commits in between are merged. Default 0. */
  minIntervalMs?: number;
  /** What happens when the reader falls behind: what is pending is merged into the net change (the default), the rows are
   * sent anew, or the mirror ends with RESOURCE_EXHAUSTED, reason SLOW_READER. */
  onLag?: "conflate" | "reset" | "cancel";
  /** Whether everything pending is merged into one change (the default), or each commit is one of its own. */
  delivery?: "net" | "every_commit";
}

const ON_LAG = { conflate: OnLag.UNSPECIFIED, reset: OnLag.RESET, cancel: OnLag.CANCEL };
const DELIVERY = { net: Delivery.UNSPECIFIED, every_commit: Delivery.EVERY_COMMIT };

/** A session of a hub. */
export class Session {
  /** Use `hub.session` or `hub.createSession`. */
  constructor(
    private readonly rpc: Rpc,
    /** What the server says of it. */
    public description: WireSession,
  ) {}

  /** Its id. */
  get name(): string {
    return this.description.name.slice(this.description.name.lastIndexOf("/") + 1);
  }

  /** The columns of its rows, in order. */
  get columns(): readonly Column[] {
    return columnsOf(this.description.columns);
  }

  /** The rows that it has now, all of one version. `minVersion` is waited for: that of a write, to read it. */
  async query(options: { window?: WindowLike; minVersion?: bigint } = {}): Promise<Rows> {
    const { rpc } = this;
    const { window = {}, minVersion = 0n } = options;
    const request = { name: this.description.name, window: windowOf(window), minVersion };
    return rpc.call((options) => rowsOf(rpc.sessions.querySessionStream(request, options)));
  }

  /** Edits it in place: what is given takes the place of what was there. Everybody who watches is told the difference.
   * Returns the version at which it takes effect. */
  async update(parts: Exclude<QueryLike, string>): Promise<bigint> {
    const { rpc } = this;
    const query: Query = queryOf(parts);
    const paths = Object.keys(parts).map(
      (part) => `query.${part.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)}`,
    );
    const request = { session: { name: this.description.name, query }, updateMask: { paths }, requestId: requestId() };
    const response = await rpc.call((options) => rpc.sessions.updateSession(request, options));
    this.description = response.session ?? this.description;
    return response.version;
  }

  /** The rows of a window, kept current in the background. It starts at once; `await mirror.ready()` waits for the first
   * rows, and `mirror.close()` ends it. */
  mirror(options: MirrorOptions = {}): Mirror {
    const { window, resume, verify = false, minIntervalMs = 0, onLag = "conflate", delivery = "net" } = options;
    if (!(onLag in ON_LAG)) throw invalid("MALFORMED_REQUEST", "onLag is conflate, reset or cancel", "onLag");
    if (!(delivery in DELIVERY)) throw invalid("MALFORMED_REQUEST", "delivery is net or every_commit", "delivery");
    const request = create(WatchSessionRequestSchema, {
      ...(window !== undefined && { window: windowOf(window) }),
      ...(minIntervalMs > 0 && { minInterval: durationFromMs(minIntervalMs) }),
      includeDigest: verify,
      onLag: ON_LAG[onLag],
      delivery: DELIVERY[delivery],
    });
    const opening: Opening = {
      what: this.name,
      // The name is another one when an anonymous session had to be made again.
      open: (place, signal) => {
        const asked = { ...request, name: this.description.name, resumeToken: place.token };
        return this.rpc.sessions.watchSession(asked, { signal });
      },
      revive: (error) => this.#revive(error.reason),
      endsOn: new Set(onLag === "cancel" ? ["SLOW_READER"] : []),
    };
    return new Mirror(this.rpc, opening, verify, resume);
  }

  /** Deletes it; everybody who watches is told so. */
  async delete(options: { allowMissing?: boolean } = {}): Promise<void> {
    const { rpc } = this;
    const request = { name: this.description.name, ...options };
    await rpc.call((options) => rpc.sessions.deleteSession(request, options), false);
  }

  /** Makes an anonymous session again that the server has let go while nobody could watch it. True also where that is to be
   * tried once more. */
  async #revive(reason: string): Promise<boolean> {
    const { anonymous, query, description, idleTimeout, permanentFilter } = this.description;
    if (!anonymous || reason !== "UNKNOWN_SESSION") return false;
    const session = { query, description, idleTimeout, permanentFilter } as Partial<WireSession>;
    const request = { parent: this.rpc.parent, session, requestId: requestId() };
    try {
      const made = await this.rpc.call((options) => this.rpc.sessions.createSession(request as never, options));
      this.description = made.session ?? this.description;
    } catch (failure) {
      return errorOf(failure).passes;
    }
    return true;
  }
}
