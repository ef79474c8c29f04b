/**
 * A point in time as the wire has it: whole microseconds since 1970, in a bigint. A `Date` holds milliseconds only, so
 * it is given in (`Timestamp.of(new Date())`) and out (`toDate()`, which cuts), but never kept.
 */
export class Timestamp {
  /** Of microseconds since 1970-01-01T00:00:00Z, which may be negative. */
  constructor(readonly micros: bigint) {}

  /** Of a `Date`, of an ISO 8601 text with up to six digits behind the point (without a zone it is UTC), or itself.
   * Throws a RangeError when it is none. */
  static of(value: Timestamp | Date | string): Timestamp {
    if (value instanceof Timestamp) return value;
    if (value instanceof Date) return new Timestamp(BigInt(value.getTime()) * 1000n); // an invalid one is a RangeError
    const parts = ISO.exec(value);
    if (parts === null) throw new RangeError(`"${value.slice(0, 60)}" is not an ISO 8601 point in time`);
    const [, date, time = "00:00", seconds = ":00", fraction = "", zone = "Z"] = parts;
    const millis = Date.parse(`${date}T${time}${seconds}${zone}`);
    if (Number.isNaN(millis)) throw new RangeError(`"${value}" is not a point in time that there is`);
    return new Timestamp(BigInt(millis) * 1000n + BigInt(fraction.padEnd(6, "0")));
  }

  /** The same, cut to milliseconds; an invalid `Date` outside the years that one can hold. */
  toDate(): Date {
    return new Date(Number(floorDivide(this.micros, 1000n)));
  }

  /** UTC with six digits: `1969-12-31T23:59:59.999999Z`. Outside the years of a `Date`, the microseconds. */
  toString(): string {
    const date = this.toDate();
    if (Number.isNaN(date.getTime())) return `${this.micros} us`;
    const micros = this.micros - floorDivide(this.micros, 1_000_000n) * 1_000_000n;
    return `${date.toISOString().slice(0, -4)}${String(micros).padStart(6, "0")}Z`;
  }

  /** What `JSON.stringify` writes. */
  toJSON(): string {
    return this.toString();
  }
}

const ISO = /^([+-]?\d{4,6}-\d\d-\d\d)(?:[T ](\d\d:\d\d)(:\d\d)?(?:\.(\d{1,6}))?(Z|[+-]\d\d:\d\d)?)?$/;

function floorDivide(value: bigint, by: bigint): bigint {
  const quotient = value / by;
  return value < 0n && quotient * by !== value ? quotient - 1n : quotient;
}
