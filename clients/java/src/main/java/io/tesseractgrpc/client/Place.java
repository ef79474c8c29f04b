package io.tesseractgrpc.client;

import com.google.protobuf.ByteString;

/**
 * Where a watch is, over all its streams: the last consistent point, and the token that leads back
 * to it.
 *
 * <p>It is moved at consistent points only, so its token always stands for exactly the rows that
 * the reader has: a resumed stream neither repeats nor leaves out a change. Written by the thread
 * of the watch alone.
 */
final class Place {
  volatile String epoch = "";
  volatile long version;

  /** Whether a server has answered. */
  boolean began;

  /** The columns of the rows at that point. */
  Columns columns = Columns.NONE;

  /** The server's name for the present stream. */
  volatile String watchId = "";

  private volatile ByteString token = ByteString.EMPTY;
  private volatile long tokenVersion;

  /**
   * What to resume with; empty when the server gave none for this very point: one of an earlier
   * would repeat changes.
   */
  ByteString token() {
    return tokenVersion == version ? token : ByteString.EMPTY;
  }

  /** A consistent point was reached. */
  void move(long version, ByteString token) {
    this.version = version;
    if (!token.isEmpty()) {
      this.token = token;
      this.tokenVersion = version;
    }
  }

  /** The next stream begins with a snapshot: the token was refused, or the rows are in doubt. */
  void forget() {
    token = ByteString.EMPTY;
  }
}
