/**
 * What a mirror holds, to be written to a file and given back to another mirror: rows, version and resume token.
 *
 * Its bytes are the stream that would have led there (clients/SAMPLES.md), the same in every language. Giving it back is
 * playing that stream to a feed, so that what is read from a file is checked as strictly as what comes from a server.
 */
import { create, fromBinary } from "@bufbuild/protobuf";
import { sizeDelimitedEncode, sizeDelimitedPeek } from "@bufbuild/protobuf/wire";
import { invalid } from "./errors.js";
import type { Snapshot } from "./events.js";
import { Feed, Place } from "./feed.js";
import { WatchSessionResponseSchema } from "./gen/tesseract/v1/session_service_pb.js";
import type { WatchSessionResponse } from "./gen/tesseract/v1/session_service_pb.js";
import { encodeRows, typeNumber, typesOf } from "./values.js";
import type { Column, Row } from "./values.js";

/** The rows of one message of a bookmark. */
const PIECE_ROWS = 10_000;

/** The rows of a mirror at one consistent point, and where to go on from there. Made by `mirror.bookmark()` and taken by
 * `session.mirror({ resume })`; `toBytes` and `fromBytes` are for files. */
export class Bookmark {
  /** `token` is empty when the server gave none for these rows: then a mirror begins with a snapshot. */
  constructor(
    readonly epoch: string,
    readonly version: bigint,
    readonly token: Uint8Array,
    readonly columns: readonly Column[],
    readonly rows: readonly Row[],
    readonly totalCount: number,
  ) {}

  /** For a file. O(cells). */
  toBytes(): Uint8Array {
    const pieces = this.#responses().map((response) => sizeDelimitedEncode(WatchSessionResponseSchema, response));
    const bytes = new Uint8Array(pieces.reduce((sum, piece) => sum + piece.length, 0));
    let at = 0;
    for (const piece of pieces) {
      bytes.set(piece, at);
      at += piece.length;
    }
    return bytes;
  }

  /** From a file. Throws INVALID_ARGUMENT (MALFORMED_REQUEST) when it is not whole, or no bookmark. */
  static fromBytes(bytes: Uint8Array): Bookmark {
    try {
      const [place, { rows, totalCount, columns }] = play(responsesIn(bytes));
      return new Bookmark(place.epoch, place.version, place.token, columns, rows, totalCount);
    } catch (error) {
      throw invalid("MALFORMED_REQUEST", `this is no bookmark of a mirror: ${String(error)}`, "resume");
    }
  }

  /** Where a watch goes on, and the rows that its reader has. */
  restore(): [Place, Snapshot] {
    const [place, snapshot] = play(this.#responses());
    place.began = false; // no server has answered yet
    return [place, snapshot];
  }

  #responses(): WatchSessionResponse[] {
    const { version, epoch, columns, rows } = this;
    const at = { fromVersion: version, toVersion: version };
    const types = typesOf(columns);
    const wire = columns.map(({ name, type, primaryKey }) => ({ name, type: typeNumber(type), primaryKey }));
    const found = [
      create(WatchSessionResponseSchema, {
        ...at,
        continued: true,
        event: { case: "begin", value: { epoch, columns: wire } },
      }),
    ];
    for (let start = 0; start < rows.length; start += PIECE_ROWS) {
      const piece = encodeRows(rows.slice(start, start + PIECE_ROWS), [...types.keys()], types);
      const value = { rows: piece, startIndex: BigInt(start) };
      found.push(
        create(WatchSessionResponseSchema, { ...at, continued: true, event: { case: "snapshotRows", value } }),
      );
    }
    const value = { rowCount: BigInt(rows.length), totalCount: BigInt(this.totalCount) };
    found.push(
      create(WatchSessionResponseSchema, { ...at, resumeToken: this.token, event: { case: "snapshotEnd", value } }),
    );
    return found;
  }
}

function responsesIn(bytes: Uint8Array): WatchSessionResponse[] {
  const found: WatchSessionResponse[] = [];
  for (let at = 0; at < bytes.length;) {
    const { eof, size, offset } = sizeDelimitedPeek(bytes.subarray(at));
    if (eof || offset === null || at + offset + size > bytes.length) throw new RangeError("it ends in the middle");
    found.push(fromBinary(WatchSessionResponseSchema, bytes.subarray(at + offset, at + offset + size)));
    at += offset + size;
  }
  return found;
}

/** What a feed makes of a recorded stream, which must end with its snapshot. */
function play(responses: readonly WatchSessionResponse[]): [Place, Snapshot] {
  const place = new Place();
  const feed = new Feed(place);
  const told = responses.map((response) => feed.receive(response));
  const last = told.pop();
  if (last?.kind !== "snapshot" || told.some((event) => event !== undefined))
    throw new RangeError("it is not one snapshot");
  return [place, last];
}
