//! The digest of rows, as docs/GUARANTEES.md defines it: of values as the wire has them, so that two that agree hold the
//! same rows, bit for bit.

use sha2::{Digest, Sha256};

use crate::proto::DataType;
use crate::row::Columns;
use crate::value::{Timestamp, Value};

const FORMAT: &[u8] = b"tesseract.digest.1\n";

/// The digest of rows, in order. O(cells).
pub(crate) fn digest_of<'a, I>(columns: &Columns, rows: I) -> [u8; 32]
where
    I: ExactSizeIterator<Item = &'a [Value]> + Clone,
{
    let mut found = Sha256::new_with_prefix(FORMAT);
    found.update((rows.len() as u32).to_le_bytes());
    found.update((columns.len() as u32).to_le_bytes());
    let mut bytes: Vec<u8> = Vec::new();
    for (place, column) in columns.iter().enumerate() {
        found.update((column.name.len() as u32).to_le_bytes());
        found.update(column.name.as_bytes());
        bytes.clear();
        bytes.push(column.r#type as u8);
        bytes.extend(rows.clone().map(|row| u8::from(!row[place].is_null())));
        let values = rows.clone().map(|row| &row[place]);
        match columns.kind(place) {
            DataType::Bool => bytes.extend(values.map(|value| u8::from(value.as_bool() == Some(true)))),
            DataType::Int64 | DataType::Timestamp => values.for_each(|value| {
                let number = if let Value::Int64(v) | Value::Timestamp(Timestamp(v)) = value { *v } else { 0 };
                bytes.extend(number.to_le_bytes());
            }),
            DataType::Float64 => values.for_each(|value| {
                bytes.extend(Value::canonical_bits(value.as_f64().unwrap_or(0.0)).to_le_bytes());
            }),
            _ => {
                let texts = values.map(|value| value.as_str().unwrap_or(""));
                texts.clone().for_each(|text| bytes.extend((text.len() as u32).to_le_bytes()));
                texts.for_each(|text| bytes.extend(text.as_bytes()));
            }
        }
        found.update(&bytes);
    }
    found.finalize().into()
}
