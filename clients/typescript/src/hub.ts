/** A hub, as its users handle it: its tables, its sessions, queries and commits. */
import { create } from "@bufbuild/protobuf";
import type { MessageInitShape } from "@bufbuild/protobuf";
import { Commit } from "./commit.js";
import type { Operation } from "./commit.js";
import { errorOf } from "./errors.js";
import type { GetServerInfoResponse } from "./gen/tesseract/v1/hub_service_pb.js";
import { IndexKind, TableSchema } from "./gen/tesseract/v1/schema_pb.js";
import { SessionSchema } from "./gen/tesseract/v1/session_service_pb.js";
import { queryOf, rowsOf, windowOf } from "./query.js";
import type { QueryLike, Rows, WindowLike } from "./query.js";
import { requestId } from "./rpc.js";
import type { Rpc } from "./rpc.js";
import { Session } from "./session.js";
import { Table, columnMessage } from "./table.js";
import type { ColumnInput } from "./table.js";

const INDEX_KINDS = { true: IndexKind.UNSPECIFIED, hash: IndexKind.HASH, sorted: IndexKind.SORTED };

/** A hub of a server. Made by `connectNode` or `connectWeb`; nothing is sent before the first call. */
export class Hub {
  /** Use `connectNode` or `connectWeb`. */
  constructor(
    /** The calls themselves, for what has no method here: `hub.rpc.call((o) => hub.rpc.tables.alterTable(request, o))`. Beside
     * `tables`, `sessions` and `hubs`, `client(service)` is a client of any service of the protos. */
    readonly rpc: Rpc,
  ) {}

  /** Its id. */
  get name(): string {
    return this.rpc.hub;
  }

  /** What the server is and can do. */
  serverInfo(): Promise<GetServerInfoResponse> {
    return this.rpc.call((options) => this.rpc.hubs.getServerInfo({}, options));
  }

  /** Creates a table. `more` are further parts of a `Table` of the protos, for example its retention. */
  async createTable(
    id: string,
    columns: readonly ColumnInput[],
    more: Exclude<
      MessageInitShape<typeof TableSchema>,
      { $typeName: string; $unknown?: unknown; columns: unknown[] }
    > = {},
  ): Promise<Table> {
    const indexes = columns.flatMap(({ name, index }) => {
      return index === undefined || index === false ? [] : [{ column: name, kind: INDEX_KINDS[`${index}`] }];
    });
    const table = create(TableSchema, { ...more, columns: columns.map(columnMessage), indexes });
    const request = { parent: this.rpc.parent, tableId: id, table, requestId: requestId() };
    const response = await this.rpc.call((options) => this.rpc.tables.createTable(request, options));
    return new Table(this, response.table!);
  }

  /** The table with this id. */
  async table(id: string): Promise<Table> {
    const request = { name: this.rpc.name("tables", id) };
    return new Table(this, (await this.rpc.call((options) => this.rpc.tables.getTable(request, options))).table!);
  }

  /** Deletes a table with its rows and sessions. Returns the version of the commit. */
  async deleteTable(table: string | Table, options: { allowMissing?: boolean } = {}): Promise<bigint> {
    const name = typeof table === "string" ? this.rpc.name("tables", table) : table.description.name;
    const request = { name, requestId: requestId(), ...options };
    return (await this.rpc.call((options) => this.rpc.tables.deleteTable(request, options))).version;
  }

  /** Makes one commit of writes, to one table or several: all or nothing, in this order. Returns its version: give it to a
   * read as `minVersion` to be sure to see it. It is sent again under its request id after any doubt, so it is made once. */
  async commit(operations: readonly Operation[], options: { requestId?: string } = {}): Promise<bigint> {
    const commit = new Commit(operations);
    const id = options.requestId ?? requestId();
    const request = { parent: this.rpc.parent, operations: commit.operations, requestId: id };
    try {
      return (await this.rpc.call((options) => this.rpc.tables.write(request, options))).version;
    } catch (error) {
      throw commit.placed(errorOf(error));
    }
  }

  /** The rows of a query, all of one version. `minVersion` is waited for. */
  async query(query: QueryLike, options: { window?: WindowLike; minVersion?: bigint } = {}): Promise<Rows> {
    const { window = {}, minVersion = 0n } = options;
    const request = { parent: this.rpc.parent, query: queryOf(query), window: windowOf(window), minVersion };
    return this.rpc.call((options) => rowsOf(this.rpc.tables.queryStream(request, options)));
  }

  /** Creates a session; without an `id` an anonymous one, which ends some time after its last watcher. `more` are further
   * parts of a `Session` of the protos. */
  async createSession(
    query: QueryLike,
    id = "",
    more: Pick<MessageInitShape<typeof SessionSchema>, "description" | "idleTimeout" | "permanentFilter"> = {},
  ): Promise<Session> {
    const session = create(SessionSchema, { ...more, query: queryOf(query) });
    const request = { parent: this.rpc.parent, sessionId: id, session, requestId: requestId() };
    const response = await this.rpc.call((options) => this.rpc.sessions.createSession(request, options));
    return new Session(this.rpc, response.session!);
  }

  /** The session with this id. */
  async session(id: string): Promise<Session> {
    const request = { name: this.rpc.name("sessions", id) };
    const response = await this.rpc.call((options) => this.rpc.sessions.getSession(request, options));
    return new Session(this.rpc, response.session!);
  }

  /** Deletes a session; everybody who watches it is told so. */
  async deleteSession(id: string, options: { allowMissing?: boolean } = {}): Promise<void> {
    const request = { name: this.rpc.name("sessions", id), ...options };
    await this.rpc.call((options) => this.rpc.sessions.deleteSession(request, options), false);
  }

  /** Ends all mirrors and the connection. */
  close(): void {
    this.rpc.close();
  }
}
