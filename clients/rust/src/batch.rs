//! Rows as columns on the wire: `RowBatch` from records, and values from `RowBatch`.
//!
//! A batch that comes is not trusted: what does not hold together is an error with a text that says what.

use std::collections::HashMap;
use std::sync::Arc;

use crate::error::{Error, Result};
use crate::proto::column_data::Values;
use crate::proto::{self, ColumnData, DataType, RowBatch};
use crate::row::{Columns, Key, Row};
use crate::value::{Timestamp, Value};

/// A row to be written: names and values. [`row!`](crate::row!) makes one.
pub type Record = Vec<(&'static str, Value)>;

/// Makes a [`Record`]: `row! {"id" => 1, "name" => "Ada", "left" => None::<i64>}`.
#[macro_export]
macro_rules! row {
    ($($name:expr => $value:expr),* $(,)?) => {
        ::std::vec![$(($name, $crate::Value::from($value))),*]
    };
}

/// From this many rows on, texts travel as a dictionary; below, one by one.
const DICTIONARY_FROM: usize = 32;

/// So many rows without any value are believed.
const MOST_NULL_ROWS: usize = 1 << 20;

/// What can be written: records, or a batch that is made already.
pub trait IntoBatch {
    /// The wire form, for a table with these columns. All records must have the same names.
    fn into_batch(self, columns: &Columns) -> Result<RowBatch>;
}

impl IntoBatch for RowBatch {
    fn into_batch(self, _: &Columns) -> Result<RowBatch> {
        Ok(self)
    }
}

impl IntoBatch for Record {
    fn into_batch(self, columns: &Columns) -> Result<RowBatch> {
        [self].into_batch(columns)
    }
}

impl<const N: usize> IntoBatch for [Record; N] {
    fn into_batch(self, columns: &Columns) -> Result<RowBatch> {
        self.as_slice().into_batch(columns)
    }
}

impl IntoBatch for Vec<Record> {
    fn into_batch(self, columns: &Columns) -> Result<RowBatch> {
        self.as_slice().into_batch(columns)
    }
}

impl IntoBatch for &[Record] {
    fn into_batch(self, columns: &Columns) -> Result<RowBatch> {
        let first = self.first().map(Vec::as_slice).unwrap_or_default();
        let same = |row: &Record| row.len() == first.len() && row.iter().zip(first).all(|(a, b)| a.0 == b.0);
        if let Some(at) = self.iter().position(|row| !same(row)) {
            let message = format!("row {at} has other columns than row 0, or in another order");
            return Err(Error::invalid("MALFORMED_BATCH", message, ""));
        }
        batch_of(first.iter().map(|(name, _)| *name), self.len(), |row, at| &self[row][at].1, columns)
    }
}

/// The wire form of keys.
pub(crate) fn batch_of_keys(keys: Vec<Key>, columns: &Columns) -> Result<RowBatch> {
    let names = columns.key_names();
    if let Some(key) = keys.iter().find(|key| key.0.len() != names.len()) {
        let message = format!("a key has {} values; it is ({})", key.0.len(), names.join(", "));
        return Err(Error::invalid("MISSING_KEY", message, ""));
    }
    batch_of(names.into_iter(), keys.len(), |row, at| &keys[row].0[at], columns)
}

/// The wire form of columns with these names, whose cells a function knows by row and column.
pub(crate) fn batch_of<'a, 'n>(
    names: impl Iterator<Item = &'n str>,
    rows: usize,
    cell: impl Fn(usize, usize) -> &'a Value,
    columns: &Columns,
) -> Result<RowBatch> {
    let column = |(at, name)| {
        let kind = columns.place(name).map_or(DataType::Unspecified, |place| columns.kind(place));
        column_of(name, rows, |row| cell(row, at), kind)
    };
    Ok(RowBatch { row_count: rows as u32, columns: names.enumerate().map(column).collect::<Result<_>>()? })
}

/// A column. `kind` is what the table holds: a whole number for a FLOAT64 is sent as a number.
fn column_of<'a>(name: &str, rows: usize, cell: impl Fn(usize) -> &'a Value, kind: DataType) -> Result<ColumnData> {
    let cells = || (0..rows).map(&cell);
    let mut validity = Vec::new();
    if cells().any(Value::is_null) {
        validity.resize(rows.div_ceil(8), 0u8);
        cells().enumerate().filter(|(_, value)| !value.is_null()).for_each(|(at, _)| validity[at / 8] |= 1 << (at % 8));
    }
    let wrong = |value: &Value| {
        let message = format!("column '{name}' has values of several types, or {value:?}, which is not its own");
        Error::invalid("WRONG_TYPE", message, name)
    };
    macro_rules! packed {
        ($case:ident, $message:ident, $null:expr, $($pattern:pat $(if $guard:expr)? => $value:expr),+) => {{
            let found = cells().map(|value| match value {
                Value::Null => Ok($null),
                $($pattern $(if $guard)? => Ok($value),)+
                other => Err(wrong(other)),
            });
            Values::$case(proto::$message { values: found.collect::<Result<_>>()? })
        }};
    }
    let values: Option<Result<Values>> = cells().find(|value| !value.is_null()).map(|first| {
        Ok(match first {
            Value::Int64(_) | Value::Float64(_) if kind == DataType::Float64 => packed!(
                Float64s, Float64Values, 0.0, Value::Float64(v) => *v, Value::Int64(v) if is_exact(*v) => *v as f64
            ),
            Value::Bool(_) => packed!(Bools, BoolValues, false, Value::Bool(v) => *v),
            Value::Int64(_) => packed!(Int64s, Int64Values, 0, Value::Int64(v) => *v),
            Value::Float64(_) => packed!(Float64s, Float64Values, 0.0, Value::Float64(v) => *v),
            Value::Timestamp(_) => packed!(Timestamps, TimestampValues, 0, Value::Timestamp(v) => v.0),
            Value::Null | Value::Text(_) | Value::Json(_) => {
                let texts = cells().map(|value| match value {
                    Value::Null => Ok(None),
                    value => value.as_str().map(Some).ok_or_else(|| wrong(value)),
                });
                texts_of(texts.collect::<Result<_>>()?)
            }
        })
    });
    Ok(ColumnData { name: name.to_owned(), validity, values: values.transpose()? })
}

/// Whether a double holds exactly this number.
fn is_exact(value: i64) -> bool {
    (value as f64) as i128 == i128::from(value)
}

fn texts_of(texts: Vec<Option<&str>>) -> Values {
    if texts.len() < DICTIONARY_FROM {
        let values = texts.into_iter().map(|text| text.unwrap_or_default().to_owned()).collect();
        return Values::Strings(proto::StringValues { values });
    }
    let (mut codes_of, mut dictionary): (HashMap<&str, u32>, Vec<String>) = Default::default();
    let mut code = |text| {
        *codes_of.entry(text).or_insert_with(|| {
            dictionary.push(text.to_owned());
            dictionary.len() as u32 - 1
        })
    };
    let codes = texts.into_iter().map(|text| text.map_or(0, &mut code)).collect();
    Values::Dictionary(proto::DictionaryValues { dictionary, codes })
}

/// Whether a row has a value. An empty bitmap says that all have.
fn is_valid(validity: &[u8], at: usize) -> bool {
    validity.is_empty() || validity[at / 8] >> (at % 8) & 1 == 1
}

/// A batch that came: for some of the columns, by place, the values of all rows.
pub(crate) struct Cells {
    pub len: usize,
    pub columns: Vec<(usize, Vec<Value>)>,
}

impl Cells {
    /// Reads a batch of rows of these columns.
    pub fn of(batch: RowBatch, columns: &Columns) -> std::result::Result<Self, String> {
        let len = batch.row_count as usize;
        if len > MOST_NULL_ROWS && batch.columns.iter().all(|column| column.values.is_none()) {
            return Err(format!("{len} rows of nothing but nulls")); // a few bytes must not fill the memory
        }
        let mut found: Vec<(usize, Vec<Value>)> = Vec::with_capacity(batch.columns.len());
        for column in batch.columns {
            let place = columns.place(&column.name).ok_or_else(|| format!("there is no column '{}'", column.name))?;
            if found.iter().any(|(other, _)| *other == place) {
                return Err(format!("column '{}' stands twice in a batch", column.name));
            }
            let values = values_of(&column.name, column.validity, column.values, len, columns.kind(place))?;
            found.push((place, values));
        }
        Ok(Self { len, columns: found })
    }

    /// Complete rows, in the order of the columns.
    pub fn into_rows(self, columns: &Columns) -> std::result::Result<Vec<Arc<[Value]>>, String> {
        if self.len == 0 {
            return Ok(Vec::new());
        }
        let mut cells = self.columns;
        cells.sort_by_key(|(place, _)| *place);
        if cells.len() != columns.len() {
            let missing = (0..columns.len()).find(|place| cells.iter().all(|(other, _)| other != place));
            return Err(format!("complete rows lack column '{}'", missing.map_or("", |place| &columns[place].name)));
        }
        // An iterator of known length: each row is allocated once.
        let mut row = |at: usize| cells.iter_mut().map(|(_, values)| std::mem::take(&mut values[at])).collect();
        Ok((0..self.len).map(&mut row).collect())
    }

    /// What names each row.
    pub fn keys(&self, columns: &Columns) -> std::result::Result<Vec<Key>, String> {
        if self.len == 0 {
            return Ok(Vec::new());
        }
        let column = |place: &usize| self.columns.iter().find(|(other, _)| other == place).map(|(_, values)| values);
        let missing = columns.key().iter().find(|place| column(place).is_none());
        if let Some(place) = missing {
            return Err(format!("rows without their key column '{}'", columns[*place].name));
        }
        let parts: Vec<&Vec<Value>> = columns.key().iter().filter_map(column).collect();
        Ok((0..self.len).map(|at| Key(parts.iter().map(|values| values[at].clone()).collect())).collect())
    }
}

/// The rows of an answer.
pub(crate) fn rows_of(batch: RowBatch, columns: &Arc<Columns>) -> Result<Vec<Row>> {
    let rows = Cells::of(batch, columns).and_then(|cells| cells.into_rows(columns));
    let rows =
        rows.map_err(|text| Error::new(tonic::Code::Internal, "", format!("an answer cannot be read: {text}")))?;
    Ok(rows.into_iter().map(|values| Row { columns: columns.clone(), values }).collect())
}

fn values_of(
    name: &str,
    validity: Vec<u8>,
    values: Option<Values>,
    len: usize,
    kind: DataType,
) -> std::result::Result<Vec<Value>, String> {
    use DataType::{Bool, Enum, Float64, Int64, Json, String as Text, Timestamp as Time, Unspecified};
    let text = |text: Arc<str>| if kind == Json { Value::Json(text) } else { Value::Text(text) };
    if values.is_some() && !validity.is_empty() && validity.len() != len.div_ceil(8) {
        return Err(format!("column '{name}' has a bitmap of {} bytes for {len} rows", validity.len()));
    }
    let (fits, mut found): (bool, Vec<Value>) = match values {
        None => return Ok(vec![Value::Null; len]),
        Some(Values::Bools(found)) => (kind == Bool, found.values.into_iter().map(Value::Bool).collect()),
        Some(Values::Int64s(found)) => (kind == Int64, found.values.into_iter().map(Value::Int64).collect()),
        Some(Values::Float64s(found)) => (kind == Float64, found.values.into_iter().map(Value::Float64).collect()),
        Some(Values::Timestamps(found)) => {
            (kind == Time, found.values.into_iter().map(|micros| Value::Timestamp(Timestamp(micros))).collect())
        }
        Some(Values::Strings(found)) => {
            (matches!(kind, Text | Json | Enum), found.values.into_iter().map(|found| text(found.into())).collect())
        }
        Some(Values::Dictionary(found)) if found.codes.len() == len => {
            let texts: Vec<Value> = found.dictionary.into_iter().map(|found| text(found.into())).collect();
            let value = |(at, code): (usize, u32)| match texts.get(code as usize) {
                Some(value) => Ok(value.clone()),
                None if !is_valid(&validity, at) => Ok(Value::Null),
                None => Err(format!("column '{name}' has the code {code} in a dictionary of {}", texts.len())),
            };
            let found = found.codes.into_iter().enumerate().map(value).collect::<std::result::Result<_, _>>()?;
            (matches!(kind, Text | Json | Enum), found)
        }
        Some(Values::Dictionary(found)) => {
            return Err(format!("column '{name}' has {} codes in a batch of {len} rows", found.codes.len()));
        }
    };
    if !fits && kind != Unspecified {
        return Err(format!("column '{name}' has values of another type than {}", kind.as_str_name()));
    }
    if found.len() != len {
        return Err(format!("column '{name}' has {} values in a batch of {len} rows", found.len()));
    }
    if !validity.is_empty() {
        let nulls = found.iter_mut().enumerate().filter(|(at, _)| !is_valid(&validity, *at));
        nulls.for_each(|(_, value)| *value = Value::Null);
    }
    Ok(found)
}
