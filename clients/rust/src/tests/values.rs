//! Values and batches: nothing is lost, and what does not hold together is refused.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::batch::{Cells, IntoBatch};
use crate::connection::{Backoff, Retry, new_request_id};
use crate::digest::digest_of;
use crate::proto::column_data::Values;
use crate::proto::{ColumnData, DictionaryValues, RowBatch, StringValues};
use crate::row::{Columns, Key};
use crate::{Column, DataType, Timestamp, Value, row};

fn columns() -> Columns {
    Columns::new(vec![
        Column::new("id", DataType::Int64).key(),
        Column::new("grö", DataType::String),
        Column::new("x", DataType::Float64),
        Column::new("t", DataType::Timestamp),
        Column::new("b", DataType::Bool),
        Column::new("j", DataType::Json),
        Column::one_of("e", ["low", "high"]),
    ])
}

fn rows() -> Vec<Vec<Value>> {
    let (null, big) = (Value::Null, (1i64 << 53) + 1);
    vec![
        vec![
            1.into(),
            "".into(),
            f64::NAN.into(),
            Timestamp(-1).into(),
            true.into(),
            Value::json("null"),
            "low".into(),
        ],
        vec![i64::MIN.into(), null.clone(), (-0.0).into(), null.clone(), false.into(), null.clone(), null.clone()],
        vec![
            big.into(),
            "🚀".into(),
            null.clone(),
            Timestamp(1 << 62).into(),
            null,
            Value::json("{\"a\":1.50}"),
            "high".into(),
        ],
    ]
}

fn hex(digest: [u8; 32]) -> String {
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn the_digest_is_that_of_the_other_languages() {
    let rows = rows();
    let found = hex(digest_of(&columns(), rows.iter().map(Vec::as_slice)));
    assert_eq!(found, "e6eb29c02c39b64d405df095f7def8253364bedcca2c3f43c0fe9ce703171a8e");
    let none: &[&[Value]] = &[];
    let found = hex(digest_of(&columns(), none.iter().copied()));
    assert_eq!(found, "f9f7ea8609f568eda1d5fde8d55ead31dbf7430ecb281794bd0198fb972bf559");
}

#[test]
fn batches_keep_every_value() {
    let (columns, names) = (columns(), ["id", "grö", "x", "t", "b", "j", "e"]);
    for repeated in [1, 20] {
        // the second time with so many rows that texts are coded
        let rows: Vec<Vec<Value>> = rows().into_iter().cycle().take(3 * repeated).collect();
        let records: Vec<crate::Record> = rows.iter().map(|row| names.into_iter().zip(row.clone()).collect()).collect();
        let batch = records.into_batch(&columns).unwrap();
        let coded = matches!(batch.columns[1].values, Some(Values::Dictionary(_)));
        assert_eq!(coded, repeated == 20);
        let found = Cells::of(batch, &columns).unwrap().into_rows(&columns).unwrap();
        assert_eq!(found.iter().map(|row| row.to_vec()).collect::<Vec<_>>(), rows);
    }
}

#[test]
fn records_that_do_not_fit_are_refused() {
    let columns = columns();
    let refused = |rows: Vec<crate::Record>| rows.into_batch(&columns).unwrap_err().reason.clone();
    assert_eq!(refused(vec![row! {"id" => 1}, row! {"id" => 2, "x" => 1.0}]), "MALFORMED_BATCH");
    assert_eq!(refused(vec![row! {"id" => 1}, row! {"id" => "two"}]), "WRONG_TYPE");
    assert_eq!(refused(vec![row! {"id" => 1, "x" => (1i64 << 53) + 1}]), "WRONG_TYPE");
    let batch = vec![row! {"id" => 1, "x" => 1i64 << 53}].into_batch(&columns).unwrap();
    assert!(
        matches!(&batch.columns[1].values, Some(Values::Float64s(found)) if found.values == [9_007_199_254_740_992.0])
    );
    let batch = vec![row! {"id" => 1, "x" => None::<f64>}].into_batch(&columns).unwrap();
    assert_eq!((batch.columns[1].values.clone(), batch.columns[1].validity.clone()), (None, vec![0]));
}

#[test]
fn batches_that_do_not_hold_together_are_refused() {
    let columns = columns();
    let refused = |name: &str, validity: &[u8], values: Values| {
        let column = ColumnData { name: name.into(), validity: validity.into(), values: Some(values) };
        Cells::of(RowBatch { row_count: 2, columns: vec![column] }, &columns).map(|_| ()).unwrap_err()
    };
    let texts =
        |values: &[&str]| Values::Strings(StringValues { values: values.iter().map(|t| t.to_string()).collect() });
    let coded =
        |codes: &[u32]| Values::Dictionary(DictionaryValues { dictionary: vec!["a".into()], codes: codes.into() });
    assert!(refused("grö", &[], texts(&["a"])).contains("1 values in a batch of 2"));
    assert!(refused("other", &[], texts(&["a", "b"])).contains("no column"));
    assert!(refused("id", &[], texts(&["a", "b"])).contains("another type"));
    assert!(refused("grö", &[], coded(&[0, 1])).contains("code 1"));
    assert!(refused("grö", &[], coded(&[0])).contains("1 codes"));
    assert!(refused("grö", &[3, 0], texts(&["a", "b"])).contains("bitmap of 2 bytes"));
    // What a null row has in the arrays has no meaning.
    let column = ColumnData { name: "grö".into(), validity: vec![1], values: Some(coded(&[0, 9])) };
    let cells = Cells::of(RowBatch { row_count: 2, columns: vec![column] }, &columns).unwrap();
    assert_eq!(cells.columns[0].1, ["a".into(), Value::Null]);
}

#[test]
fn values_are_equal_as_for_the_server() {
    assert_eq!(Value::from(f64::NAN), Value::from(-f64::NAN));
    assert_eq!(Key::from(-0.0), Key::from(0.0));
    assert_ne!(Value::from(0), Value::Null);
    assert_ne!(Value::from(""), Value::Null);
    assert_ne!(Value::from(1), Value::from(1.0));
    assert_eq!(Key::from((1, "a")), Key::from((1, "a")));
    assert_eq!((Value::from(1).as_f64(), Value::from(1).as_i64()), (None, Some(1)));
}

#[test]
fn points_in_time_keep_their_microseconds() {
    for micros in [0, -1, 1, -62_135_596_800_000_000, 253_402_300_799_999_999, i64::MIN, i64::MAX] {
        assert_eq!(Timestamp::from(SystemTime::from(Timestamp(micros))), Timestamp(micros));
    }
    assert_eq!(Timestamp::from(UNIX_EPOCH - Duration::from_nanos(1)), Timestamp(-1));
    let shown = |micros| Timestamp(micros).to_string();
    assert_eq!(shown(0), "1970-01-01T00:00:00.000000Z");
    assert_eq!(shown(-1), "1969-12-31T23:59:59.999999Z");
    assert_eq!(shown(951_782_400_000_001), "2000-02-29T00:00:00.000001Z");
    assert_eq!(shown(1_709_251_199_000_000), "2024-02-29T23:59:59.000000Z");
    assert_eq!(shown(-62_135_596_800_000_000), "0001-01-01T00:00:00.000000Z");
    assert_eq!(shown(253_402_300_799_999_999), "9999-12-31T23:59:59.999999Z");
    assert_eq!(shown(253_402_300_800_000_000), "+10000-01-01T00:00:00.000000Z");
    assert_eq!(shown(-62_198_755_200_000_000), "-0001-01-01T00:00:00.000000Z");
}

#[test]
fn pauses_grow_are_random_and_stay_below_their_limit() {
    let retry = Retry { initial_backoff: Duration::from_millis(100), ..Retry::default() };
    let mut backoff = Backoff::default();
    for limit in [100, 200, 400, 800, 1_600, 3_200, 5_000, 5_000] {
        assert!(backoff.next(&retry, None) <= Duration::from_millis(limit));
    }
    let long: Vec<_> = (0..100).map(|_| backoff.next(&retry, None)).collect();
    let (least, most) = (long.iter().min().unwrap(), long.iter().max().unwrap());
    assert!(*least < Duration::from_secs(1) && *most > Duration::from_secs(4), "{least:?} to {most:?}");
    assert!(backoff.next(&retry, Some(Duration::from_secs(60))) >= Duration::from_secs(60));
    backoff.reset();
    assert!(backoff.next(&retry, None) <= Duration::from_millis(100));
    assert!(new_request_id().len() == 32 && new_request_id() != new_request_id());
}
