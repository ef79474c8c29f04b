//! Values: what a cell of a row holds.
//!
//! Nothing is lost on the way. An INT64 is an `i64`, a point in time keeps its microseconds, null is a value of its own
//! (never zero or empty), and values are equal as they are for the server: NaN equals itself, and -0.0 equals 0.0.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::proto;

/// A point in time: microseconds since 1970-01-01T00:00:00Z, before it negative.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(pub i64);

impl Timestamp {
    /// Now, by the clock of this machine.
    pub fn now() -> Self {
        SystemTime::now().into()
    }
}

/// As `2013-01-31T18:05:00.000001Z`; years outside 0 to 9999 have a sign.
impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (seconds, micros) = (self.0.div_euclid(1_000_000), self.0.rem_euclid(1_000_000));
        let (days, second) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
        // Counted in eras of 400 years from the first of March of the year 0, so that a leap day ends its year.
        let days = days + 719_468;
        let (era, day) = (days.div_euclid(146_097), days.rem_euclid(146_097));
        let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
        let day = day - (365 * year + year / 4 - year / 100);
        let month = (5 * day + 2) / 153;
        let (day, month) = (day - (153 * month + 2) / 5 + 1, if month < 10 { month + 3 } else { month - 9 });
        let year = era * 400 + year + i64::from(month <= 2);
        let sign = if (0..=9999).contains(&year) {
            ""
        } else if year < 0 {
            "-"
        } else {
            "+"
        };
        let (year, hour, minute, second) = (year.abs(), second / 3_600, second / 60 % 60, second % 60);
        write!(f, "{sign}{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{micros:06}Z")
    }
}

/// What is finer than a microsecond is cut off, towards the past. What is further away than 292,000 years is brought nearer.
impl From<SystemTime> for Timestamp {
    fn from(time: SystemTime) -> Self {
        let nanos = match time.duration_since(UNIX_EPOCH) {
            Ok(after) => after.as_nanos() as i128,
            Err(before) => -(before.duration().as_nanos() as i128),
        };
        Self(nanos.div_euclid(1000).clamp(i64::MIN.into(), i64::MAX.into()) as i64)
    }
}

/// Exact for every time that `SystemTime` can hold, which on common platforms is every [`Timestamp`].
impl From<Timestamp> for SystemTime {
    fn from(time: Timestamp) -> Self {
        let distance = Duration::from_micros(time.0.unsigned_abs());
        if time.0 < 0 { UNIX_EPOCH - distance } else { UNIX_EPOCH + distance }
    }
}

/// A cell. Made `from` what it holds; `None` is null.
#[derive(Clone, Debug, Default)]
pub enum Value {
    /// No value.
    #[default]
    Null,
    /// A truth value.
    Bool(bool),
    /// A whole number.
    Int64(i64),
    /// A number.
    Float64(f64),
    /// A point in time.
    Timestamp(Timestamp),
    /// A text, or the name of an ENUM.
    Text(Arc<str>),
    /// The text of a JSON document, as it was written.
    Json(Arc<str>),
}

impl Value {
    /// The text of a JSON document; the server refuses one that is none.
    pub fn json(text: impl Into<Arc<str>>) -> Self {
        Self::Json(text.into())
    }

    /// Whether there is no value.
    pub fn is_null(&self) -> bool {
        matches!(self, Self::Null)
    }

    /// The truth value, if it is one.
    pub fn as_bool(&self) -> Option<bool> {
        if let Self::Bool(value) = self { Some(*value) } else { None }
    }

    /// The whole number, if it is one.
    pub fn as_i64(&self) -> Option<i64> {
        if let Self::Int64(value) = self { Some(*value) } else { None }
    }

    /// The number of a FLOAT64, if it is one; whole numbers are not converted.
    pub fn as_f64(&self) -> Option<f64> {
        if let Self::Float64(value) = self { Some(*value) } else { None }
    }

    /// The point in time, if it is one.
    pub fn as_timestamp(&self) -> Option<Timestamp> {
        if let Self::Timestamp(value) = self { Some(*value) } else { None }
    }

    /// The text, if it is one: also the name of an ENUM, and the text of a JSON document.
    pub fn as_str(&self) -> Option<&str> {
        if let Self::Text(value) | Self::Json(value) = self { Some(value) } else { None }
    }

    /// What makes numbers equal: one NaN, one zero.
    pub(crate) fn canonical_bits(value: f64) -> u64 {
        if value.is_nan() { 0x7FF8_0000_0000_0000 } else { (value + 0.0).to_bits() }
    }
}

impl PartialEq for Value {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Null, Self::Null) => true,
            (Self::Bool(a), Self::Bool(b)) => a == b,
            (Self::Int64(a), Self::Int64(b)) => a == b,
            (Self::Float64(a), Self::Float64(b)) => Self::canonical_bits(*a) == Self::canonical_bits(*b),
            (Self::Timestamp(a), Self::Timestamp(b)) => a == b,
            (Self::Text(a), Self::Text(b)) | (Self::Json(a), Self::Json(b)) => a == b,
            _ => false,
        }
    }
}

impl Eq for Value {}

impl Hash for Value {
    fn hash<H: Hasher>(&self, state: &mut H) {
        std::mem::discriminant(self).hash(state);
        match self {
            Self::Null => {}
            Self::Bool(value) => value.hash(state),
            Self::Int64(value) | Self::Timestamp(Timestamp(value)) => value.hash(state),
            Self::Float64(value) => Self::canonical_bits(*value).hash(state),
            Self::Text(value) | Self::Json(value) => value.hash(state),
        }
    }
}

macro_rules! value_from {
    ($($type:ty => |$value:ident| $made:expr),* $(,)?) => {
        $(impl From<$type> for Value {
            fn from($value: $type) -> Self {
                $made
            }
        })*
    };
}

value_from! {
    bool => |value| Self::Bool(value),
    i64 => |value| Self::Int64(value),
    i32 => |value| Self::Int64(value.into()),
    u32 => |value| Self::Int64(value.into()),
    f64 => |value| Self::Float64(value),
    Timestamp => |value| Self::Timestamp(value),
    SystemTime => |value| Self::Timestamp(value.into()),
    &str => |value| Self::Text(value.into()),
    String => |value| Self::Text(value.into()),
    Arc<str> => |value| Self::Text(value),
}

impl<T: Into<Value>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

/// For filters and the other places where the wire has single values.
impl From<Value> for proto::Value {
    fn from(value: Value) -> Self {
        use proto::value::Kind;
        let kind = match value {
            Value::Null => None,
            Value::Bool(value) => Some(Kind::BoolValue(value)),
            Value::Int64(value) => Some(Kind::Int64Value(value)),
            Value::Float64(value) => Some(Kind::Float64Value(value)),
            Value::Timestamp(value) => Some(Kind::TimestampValue(value.0)),
            Value::Text(value) => Some(Kind::StringValue(value.to_string())),
            Value::Json(value) => Some(Kind::JsonValue(value.to_string())),
        };
        Self { kind }
    }
}
