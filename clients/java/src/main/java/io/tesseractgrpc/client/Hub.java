package io.tesseractgrpc.client;

import io.grpc.Channel;
import io.grpc.MethodDescriptor;
import io.tesseractgrpc.v1.CreateSessionRequest;
import io.tesseractgrpc.v1.CreateTableRequest;
import io.tesseractgrpc.v1.DeleteSessionRequest;
import io.tesseractgrpc.v1.DeleteTableRequest;
import io.tesseractgrpc.v1.GetSessionRequest;
import io.tesseractgrpc.v1.GetTableRequest;
import io.tesseractgrpc.v1.QueryStreamRequest;
import io.tesseractgrpc.v1.QueryStreamResponse;
import io.tesseractgrpc.v1.RowBatch;
import io.tesseractgrpc.v1.SessionServiceGrpc;
import io.tesseractgrpc.v1.TableServiceGrpc;
import io.tesseractgrpc.v1.WriteRequest;
import java.util.ArrayList;
import java.util.List;
import java.util.function.Supplier;

/**
 * A hub of a server: the connection, its tables and sessions. It may be shared by threads; close
 * it, which ends its mirrors.
 *
 * <p>Calls block until they are answered. Those that may be sent twice, which are all reads and all
 * writes (they carry a request id), are sent again while the server is away, until the timeout.
 * What is refused, here and in tables, sessions and mirrors, is a {@link TesseractException}. An
 * interrupted thread ends its call with CANCELLED.
 */
public final class Hub implements AutoCloseable {
  private final Rpc rpc;

  private Hub(String address, ConnectOptions options) {
    this.rpc = new Rpc(address, options.checked());
  }

  /**
   * A hub of the server at an address, with the defaults. Nothing is sent before the first call.
   *
   * @param address for example {@code localhost:50051}
   */
  public static Hub connect(String address) {
    return connect(address, new ConnectOptions());
  }

  /**
   * A hub of the server at an address. Nothing is sent before the first call.
   *
   * @param address for example {@code localhost:50051}
   * @param options which hub, and how
   */
  public static Hub connect(String address, ConnectOptions options) {
    return new Hub(address, options);
  }

  /**
   * Creates a table.
   *
   * @param columns its columns, at least one of them a key
   */
  public Table createTable(String id, Column... columns) {
    io.tesseractgrpc.v1.Table.Builder table = io.tesseractgrpc.v1.Table.newBuilder();
    for (Column column : columns) {
      table.addColumns(column.wire());
    }
    return createTable(id, table.build());
  }

  /**
   * Creates a table from its message, which knows more than columns: indexes, retention, derived
   * tables.
   */
  public Table createTable(String id, io.tesseractgrpc.v1.Table definition) {
    CreateTableRequest request =
        CreateTableRequest.newBuilder()
            .setParent(rpc.hubName)
            .setTableId(id)
            .setTable(definition)
            .setRequestId(Session.newRequestId())
            .build();
    return new Table(this, call(TableServiceGrpc.getCreateTableMethod(), request).getTable());
  }

  /**
   * The table with this id.
   *
   * @throws TesseractException UNKNOWN_TABLE when there is none
   */
  public Table table(String id) {
    GetTableRequest request = GetTableRequest.newBuilder().setName(named("tables", id)).build();
    return new Table(this, call(TableServiceGrpc.getGetTableMethod(), request).getTable());
  }

  /**
   * Deletes a table with its rows and sessions.
   *
   * @param allowMissing whether a table that does not exist is success
   * @return the version of the commit; 0 when nothing was deleted
   */
  public long deleteTable(String id, boolean allowMissing) {
    DeleteTableRequest request =
        DeleteTableRequest.newBuilder()
            .setName(named("tables", id))
            .setAllowMissing(allowMissing)
            .setRequestId(Session.newRequestId())
            .build();
    return call(TableServiceGrpc.getDeleteTableMethod(), request).getVersion();
  }

  /**
   * Makes one commit of several writes, to one table or more: all or nothing, in this order, each
   * seeing those before.
   *
   * @return the version of the commit; give it to a read to be sure to see it
   * @throws TesseractException when it is refused; its row errors are in terms of these writes and
   *     their rows
   */
  public long commit(List<Write> writes) {
    return commit(writes, Session.newRequestId());
  }

  /**
   * The same, under a request id of the caller's: what is sent again under the same id is not done
   * again.
   *
   * @param requestId at most 64 characters
   * @return the version of the commit
   */
  public long commit(List<Write> writes, String requestId) {
    WriteRequest.Builder request =
        WriteRequest.newBuilder().setParent(rpc.hubName).setRequestId(requestId);
    List<int[]> origins = new ArrayList<>();
    for (int at = 0; at < writes.size(); at++) {
      int write = at;
      try {
        for (Write.Part part : writes.get(at).parts()) {
          request.addOperations(part.operation());
          origins.add(new int[] {at, part.firstRow()});
        }
      } catch (TesseractException e) {
        throw e.placed(
            row -> new RowError(write, row.row(), row.column(), row.reason(), row.message()));
      }
    }
    try {
      return call(TableServiceGrpc.getWriteMethod(), request.build()).getVersion();
    } catch (TesseractException e) {
      throw e.placed(
          row -> {
            int[] origin =
                row.operation() < origins.size() ? origins.get((int) row.operation()) : new int[2];
            return new RowError(
                origin[0], origin[1] + row.row(), row.column(), row.reason(), row.message());
          });
    }
  }

  /** All rows that a query has now, all of one version. */
  public Rows query(Query query) {
    return query(query, Window.ALL, 0);
  }

  /**
   * Some rows that a query has now, all of one version.
   *
   * @param window which of them
   * @param minVersion waits until this version is visible, so that one reads what one wrote; 0:
   *     does not wait
   */
  public Rows query(Query query, Window window, long minVersion) {
    QueryStreamRequest request =
        QueryStreamRequest.newBuilder()
            .setParent(rpc.hubName)
            .setQuery(query.wire())
            .setWindow(window.wire())
            .setMinVersion(minVersion)
            .build();
    List<QueryStreamResponse> pages = collect(TableServiceGrpc.getQueryStreamMethod(), request);
    return joined(
        pages.get(0).getColumnsList(),
        pages.stream().map(QueryStreamResponse::getRows).toList(),
        pages.get(0).getTotalCount(),
        pages.get(0).getVersion());
  }

  /** Creates an anonymous live query, which ends some time after its last mirror. */
  public Session createSession(Query query) {
    return createSession("", query);
  }

  /**
   * Creates a live query. It lives until it is deleted; creating it again with the same query
   * returns it.
   */
  public Session createSession(String id, Query query) {
    CreateSessionRequest request =
        CreateSessionRequest.newBuilder()
            .setParent(rpc.hubName)
            .setSessionId(id)
            .setSession(io.tesseractgrpc.v1.Session.newBuilder().setQuery(query.wire()))
            .setRequestId(Session.newRequestId())
            .build();
    return new Session(
        this, rpc, call(SessionServiceGrpc.getCreateSessionMethod(), request).getSession());
  }

  /**
   * The session with this id.
   *
   * @throws TesseractException UNKNOWN_SESSION when there is none
   */
  public Session session(String id) {
    GetSessionRequest request =
        GetSessionRequest.newBuilder().setName(named("sessions", id)).build();
    return new Session(
        this, rpc, call(SessionServiceGrpc.getGetSessionMethod(), request).getSession());
  }

  /**
   * Deletes a session.
   *
   * @param allowMissing whether a session that does not exist is success
   */
  public void deleteSession(String id, boolean allowMissing) {
    call(
        SessionServiceGrpc.getDeleteSessionMethod(),
        DeleteSessionRequest.newBuilder()
            .setName(named("sessions", id))
            .setAllowMissing(allowMissing)
            .build());
  }

  /**
   * Any call with one answer, for what has no word here: token, deadline, retries and errors are
   * those of all calls.
   *
   * @param method for example {@code HubServiceGrpc.getGetHubMethod()}
   */
  public <Q, A> A call(MethodDescriptor<Q, A> method, Q request) {
    return rpc.call(method, request);
  }

  /**
   * The connection, with the token, for streams that have no word here: give it to a stub. It is
   * another one after a silence, so ask for it anew.
   *
   * @throws TesseractException when the hub is closed
   */
  public Channel channel() {
    return rpc.channel();
  }

  <Q, A> List<A> collect(MethodDescriptor<Q, A> method, Q request) {
    List<A> all = rpc.collect(method, request);
    if (all.isEmpty()) {
      throw TesseractException.internal("the server answered a read with nothing", null);
    }
    return all;
  }

  private String named(String kind, String id) {
    return id.contains("/") ? id : rpc.hubName + "/" + kind + "/" + id;
  }

  /** The pieces of a result. */
  static Rows joined(
      List<io.tesseractgrpc.v1.Column> columns,
      List<RowBatch> pieces,
      long totalCount,
      long version) {
    Columns layout = Columns.of(columns);
    List<Row> rows = new ArrayList<>();
    for (RowBatch piece : pieces) {
      rows.addAll(decoded(() -> Block.decode(piece, layout).complete().rows()));
    }
    return new Rows(Column.listOf(columns), rows, totalCount, version);
  }

  static <T> T decoded(Supplier<T> reading) {
    try {
      return reading.get();
    } catch (StreamBroken e) {
      throw TesseractException.internal("the server's answer cannot be read: " + e.getMessage(), e);
    }
  }

  /** Ends the mirrors, and the connection. What waits for an answer is told CANCELLED. */
  @Override
  public void close() {
    rpc.close();
  }
}
