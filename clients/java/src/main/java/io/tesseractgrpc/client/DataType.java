package io.tesseractgrpc.client;

/** The type of a column, and the Java type of its values. */
public enum DataType {
  /** {@link Boolean}. */
  BOOL,
  /** {@link Long}; every value from -2^63 to 2^63 - 1. */
  INT64,
  /** {@link Double}; NaN and the infinities are values. */
  FLOAT64,
  /** {@link java.time.Instant}, in whole microseconds. */
  TIMESTAMP,
  /** {@link String}. */
  STRING,
  /** A JSON document as its text, a {@link String}. */
  JSON,
  /** One of the names that the column declares, a {@link String}. */
  ENUM,
  /** A type of a later version of the protocol: values are what they are on the wire. */
  UNKNOWN;

  private static final DataType[] ALL = values();

  static DataType of(int number) {
    return number >= 1 && number < ALL.length ? ALL[number - 1] : UNKNOWN;
  }

  io.tesseractgrpc.v1.DataType wire() {
    return io.tesseractgrpc.v1.DataType.forNumber(this == UNKNOWN ? 0 : ordinal() + 1);
  }
}
