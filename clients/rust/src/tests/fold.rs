//! The fold, against a naive model: random histories, and changes that do not fit.

use std::collections::HashMap;
use std::sync::Arc;

use crate::bookmark::Bookmark;
use crate::event::{Change, Delta};
use crate::feed::{Feed, Point, Snapshot, Told};
use crate::proto::{RemoveReason, WatchSessionResponse};
use crate::row::{Columns, Key, Row};
use crate::view::{Replica, View};
use crate::{Column, DataType, Value};

fn columns() -> Arc<Columns> {
    Arc::new(Columns::new(vec![Column::new("id", DataType::Int64).key(), Column::new("qty", DataType::Int64)]))
}

fn values(id: i64, qty: i64) -> Arc<[Value]> {
    [id.into(), qty.into()].into()
}

fn loaded(rows: &[(i64, i64)]) -> (View, Replica) {
    let (mut view, mut replica) = (View::default(), Replica::default());
    let rows = rows.iter().map(|(id, qty)| values(*id, *qty)).collect();
    let snapshot =
        Snapshot { version: 1, columns: columns(), rows, total_count: 9, epoch: "e".into(), reason: "".into() };
    replica.load(&mut view, snapshot).expect("a good snapshot");
    (view, replica)
}

fn delta(changes: Vec<Change>) -> Delta {
    Delta { from_version: 1, version: 2, total_count: 10, skipped_commits: 0, edited: None, changes }
}

fn remove(id: i64) -> Change {
    Change::Remove { key: Key::from(id), reason: RemoveReason::Deleted }
}

fn update(id: i64, qty: i64) -> Change {
    Change::Update { key: Key::from(id), values: vec![(1, qty.into())] }
}

fn r#move(id: i64, index: u32) -> Change {
    Change::Move { key: Key::from(id), index }
}

fn insert(id: i64, qty: i64, index: u32) -> Change {
    Change::Insert { key: Key::from(id), row: Row { columns: columns(), values: values(id, qty) }, index }
}

fn shown(view: &View) -> Vec<(i64, i64)> {
    let int = |value: &Value| value.as_i64().expect("a number");
    view.rows().map(|row| (int(&row["id"]), int(&row["qty"]))).collect()
}

/// Numbers that look random and are the same every time.
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % limit.max(1)
    }
}

#[test]
fn random_histories_lead_where_the_model_leads() {
    let mut dice = Dice(7);
    let (mut view, mut replica) = loaded(&[]);
    let mut model: Vec<(i64, i64)> = Vec::new();
    let mut kept: Vec<(View, Vec<(i64, i64)>)> = Vec::new();
    let mut next_id = 0;
    for round in 0..3_000 {
        // What is there after the change is drawn first; the change follows from the difference.
        let mut after = model.clone();
        let many = if round % 50 == 0 { 60 } else { 3 };
        let mut touched = HashMap::new();
        for _ in 0..dice.below(many) {
            match dice.below(4) {
                0 => {
                    next_id += 1;
                    after.insert(dice.below(after.len() + 1), (next_id, 0));
                }
                1 if !after.is_empty() => drop(after.remove(dice.below(after.len()))),
                2 if !after.is_empty() => {
                    let at = dice.below(after.len());
                    after[at].1 += 1;
                }
                3 if !after.is_empty() => {
                    let row = after.remove(dice.below(after.len()));
                    after.insert(dice.below(after.len() + 1), row);
                    touched.insert(row.0, ());
                }
                _ => {}
            }
        }
        let old: HashMap<i64, i64> = model.iter().copied().collect();
        let new: HashMap<i64, i64> = after.iter().copied().collect();
        let mut changes: Vec<_> =
            model.iter().filter(|row| !new.contains_key(&row.0)).map(|row| remove(row.0)).collect();
        let changed = |row: &&(i64, i64)| old.get(&row.0).is_some_and(|qty| *qty != row.1);
        changes.extend(after.iter().filter(changed).map(|row| update(row.0, row.1)));
        let stays = |row: &(i64, i64)| old.contains_key(&row.0) && touched.contains_key(&row.0);
        let places = after.iter().zip(0..);
        changes.extend(places.clone().filter(|(row, _)| stays(row)).map(|(row, at)| r#move(row.0, at)));
        changes.extend(places.filter(|(row, _)| !old.contains_key(&row.0)).map(|(row, at)| insert(row.0, row.1, at)));
        let delta = delta(changes);
        let slots = replica.check(&view, &delta).unwrap_or_else(|broken| panic!("round {round}: {}", broken.message));
        replica.apply(&mut view, &delta, &slots);
        model = after;
        assert_eq!(shown(&view), model, "round {round}");
        if round % 100 == 0 {
            kept.push((view.clone(), model.clone()));
        }
    }
    for (view, model) in kept {
        assert_eq!(shown(&view), model, "a view does not change under its reader");
    }
}

#[test]
fn what_does_not_fit_is_refused_and_changes_nothing() {
    let (view, replica) = loaded(&[(1, 10), (2, 20), (3, 30)]);
    let wrong: [Vec<Change>; 11] = [
        vec![remove(9)],
        vec![remove(1), remove(1)],
        vec![update(9, 1)],
        vec![remove(1), update(1, 1)],
        vec![r#move(1, 0), r#move(1, 1)],
        vec![remove(1), r#move(1, 0)],
        vec![insert(1, 1, 0)],
        vec![insert(4, 1, 0), insert(4, 1, 1)],
        vec![insert(4, 1, 0), r#move(1, 0)],
        vec![insert(4, 1, 4)],
        vec![remove(1), insert(1, 1, 0)],
    ];
    for changes in wrong {
        let told = format!("{changes:?}");
        assert_eq!(replica.check(&view, &delta(changes)).expect_err(&told).reason, "malformed", "{told}");
    }
    assert_eq!(shown(&view), [(1, 10), (2, 20), (3, 30)]);
    let empty = Replica::default().check(&View::default(), &delta(vec![])).expect_err("there are no rows yet");
    assert_eq!(empty.reason, "disorder");
}

#[test]
fn a_bookmark_is_read_whole_or_not_at_all() {
    let rows: Vec<(i64, i64)> = (0..25_000).map(|id| (id, -id)).collect();
    let (view, _) = loaded(&rows);
    let bookmark = Bookmark { view, token: b"token".to_vec() };
    let bytes = bookmark.to_bytes().expect("bytes");
    let read = Bookmark::from_bytes(&bytes).expect("whole");
    assert_eq!((shown(read.view()), read.token()), (rows, &b"token"[..]));
    assert_eq!((read.view().version(), read.view().epoch(), read.view().total_count()), (1, "e", 9));
    assert_eq!(read.view().digest(), bookmark.view().digest());
    let point = read.point();
    assert_eq!((point.version, point.token(), point.began), (1, &b"token"[..], false));
    for cut in [0, 1, 10, bytes.len() / 2, bytes.len() - 1] {
        assert_eq!(Bookmark::from_bytes(&bytes[..cut]).expect_err("cut off").reason, "MALFORMED_REQUEST");
    }
    let twice = [bytes.clone(), bytes].concat();
    assert!(Bookmark::from_bytes(&twice).expect_err("twice").message.contains("follows"));
}

#[test]
fn a_token_stands_for_exactly_one_version() {
    let mut point = Point::default();
    point.arrive(3, b"three".to_vec());
    assert_eq!(point.token(), b"three");
    point.arrive(4, Vec::new());
    assert_eq!(point.token(), b"", "a token of an earlier version would repeat changes");
    point.arrive(5, b"five".to_vec());
    point.forget();
    assert_eq!(point.token(), b"");
}

#[test]
fn events_of_a_later_protocol_are_not_believed() {
    let told: Result<Option<Told>, _> =
        Feed::new("first", false).receive(&mut Point::default(), WatchSessionResponse::default());
    assert_eq!(told.expect_err("it has no event that we know").reason, "unknown_event");
}
