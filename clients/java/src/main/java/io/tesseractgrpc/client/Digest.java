package io.tesseractgrpc.client;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.time.Instant;
import java.util.List;

/** The digest of a window, as docs/GUARANTEES.md of the server defines it. */
final class Digest {
  private static final byte[] FORMAT = "tesseract.digest.1\n".getBytes(StandardCharsets.US_ASCII);
  private static final long NAN = 0x7FF8_0000_0000_0000L;

  private final MessageDigest hash;
  private final ByteBuffer buffer = ByteBuffer.allocate(8192).order(ByteOrder.LITTLE_ENDIAN);

  private Digest() {
    try {
      hash = MessageDigest.getInstance("SHA-256");
    } catch (NoSuchAlgorithmException e) {
      throw new IllegalStateException(e); // every Java has it
    }
  }

  /** The SHA-256 of rows, in order. O(cells). */
  static byte[] of(Columns columns, List<Row> rows) {
    Digest digest = new Digest();
    digest.hash.update(FORMAT);
    digest.room(8).putInt(rows.size()).putInt(columns.size());
    for (int column = 0; column < columns.size(); column++) {
      byte[] name = columns.names.get(column).getBytes(StandardCharsets.UTF_8);
      digest.room(4).putInt(name.length);
      digest.bytes(name);
      digest.room(1).put((byte) columns.types.get(column).wire().getNumber());
      for (Row row : rows) {
        digest.room(1).put((byte) (row.values[column] == null ? 0 : 1));
      }
      digest.values(columns.types.get(column), rows, column);
    }
    digest.flush();
    return digest.hash.digest();
  }

  /** The values of a column; null is 0, false or empty. */
  private void values(DataType type, List<Row> rows, int column) {
    switch (type) {
      case BOOL ->
          rows.forEach(
              row -> room(1).put((byte) (Boolean.TRUE.equals(row.values[column]) ? 1 : 0)));
      case INT64 ->
          rows.forEach(
              row -> room(8).putLong(row.values[column] instanceof Long value ? value : 0));
      case TIMESTAMP ->
          rows.forEach(
              row ->
                  room(8)
                      .putLong(
                          row.values[column] instanceof Instant at ? Batch.microsecondsOf(at) : 0));
      case FLOAT64 ->
          rows.forEach(
              row -> room(8).putLong(row.values[column] instanceof Double value ? bits(value) : 0));
      default -> {
        List<byte[]> texts = rows.stream().map(row -> utf8(row.values[column])).toList();
        texts.forEach(text -> room(4).putInt(text.length));
        texts.forEach(this::bytes);
      }
    }
  }

  private static long bits(double value) {
    return Double.isNaN(value) ? NAN : Double.doubleToRawLongBits(value + 0.0); // -0.0 + 0.0 is 0.0
  }

  private static byte[] utf8(Object text) {
    return text == null ? new byte[0] : text.toString().getBytes(StandardCharsets.UTF_8);
  }

  private ByteBuffer room(int bytes) {
    if (buffer.remaining() < bytes) {
      flush();
    }
    return buffer;
  }

  private void bytes(byte[] bytes) {
    if (bytes.length > buffer.capacity()) {
      flush();
      hash.update(bytes);
    } else {
      room(bytes.length).put(bytes);
    }
  }

  private void flush() {
    hash.update(buffer.array(), 0, buffer.position());
    buffer.clear();
  }
}
