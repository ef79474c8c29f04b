//! The rows of a watched window at one version, and how changes are folded into them.
//!
//! Every row has a slot; `order` lists the slots in the order of the window. A [`View`] is what readers hold: it never
//! changes under them, for the fold writes into slots and order only while nobody else holds them, and into a copy
//! otherwise (rows are shared between copies). [`Replica`] is the fold's own side: which key has which slot.
//!
//! Everything is checked before anything is written: a change that does not fit leaves the rows as they were.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use crate::event::{Change, Delta};
use crate::feed::{Broken, Snapshot};
use crate::row::{Columns, Key, Row};
use crate::value::Value;

/// From this many placed rows on, the order is written anew; below, places are made one by one.
const MERGE_FROM: usize = 16;

/// The rows of a window at one version. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct View {
    pub(crate) columns: Arc<Columns>,
    order: Arc<Vec<u32>>,
    slots: Arc<Vec<Option<Arc<[Value]>>>>,
    pub(crate) version: u64,
    total_count: u64,
    epoch: String,
}

impl View {
    /// The version at which the rows are the answer.
    pub fn version(&self) -> u64 {
        self.version
    }

    /// The number of rows of the whole result, of which the window is a part.
    pub fn total_count(&self) -> u64 {
        self.total_count
    }

    /// The identity of the line of versions; versions of different epochs do not compare.
    pub fn epoch(&self) -> &str {
        &self.epoch
    }

    /// The columns, in order.
    pub fn columns(&self) -> &Columns {
        &self.columns
    }

    /// The number of rows.
    pub fn len(&self) -> usize {
        self.order.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.order.is_empty()
    }

    /// The row at a position.
    pub fn get(&self, index: usize) -> Option<Row> {
        let values = self.slots[*self.order.get(index)? as usize].clone()?;
        Some(Row { columns: self.columns.clone(), values })
    }

    /// The rows, in order.
    pub fn rows(&self) -> impl ExactSizeIterator<Item = Row> + '_ {
        self.values().map(|values| Row { columns: self.columns.clone(), values: values.clone() })
    }

    /// The SHA-256 of the rows that docs/GUARANTEES.md defines. Who has the same holds the same rows. O(cells).
    pub fn digest(&self) -> [u8; 32] {
        crate::digest::digest_of(&self.columns, self.values().map(|values| &values[..]))
    }

    pub(crate) fn values(&self) -> impl ExactSizeIterator<Item = &Arc<[Value]>> + Clone + '_ {
        self.order.iter().map(|slot| self.slots[*slot as usize].as_ref().expect("every place has a row"))
    }
}

/// Which key has which slot. Belongs to exactly one line of views.
#[derive(Debug, Default)]
pub(crate) struct Replica {
    slot_of: HashMap<Key, u32>,
    free: Vec<u32>,
    loaded: bool,
}

impl Replica {
    /// Puts complete rows in the place of all that there were.
    pub fn load(&mut self, view: &mut View, snapshot: Snapshot) -> Result<(), Broken> {
        let Snapshot { version, columns, rows, total_count, epoch, .. } = snapshot;
        let key = |values: &Arc<[Value]>| Key(columns.key().iter().map(|place| values[*place].clone()).collect());
        let slot_of: HashMap<Key, u32> = rows.iter().zip(0..).map(|(values, slot)| (key(values), slot)).collect();
        if slot_of.len() != rows.len() {
            return Err(Broken::malformed("a key stands twice in one snapshot"));
        }
        *self = Self { slot_of, free: Vec::new(), loaded: true };
        let order = Arc::new((0..rows.len() as u32).collect());
        let slots = Arc::new(rows.into_iter().map(Some).collect());
        *view = View { columns, order, slots, version, total_count, epoch };
        Ok(())
    }

    /// Checks a change; returns the slots that it names, change by change (those of inserts are made later).
    pub fn check(&self, view: &View, delta: &Delta) -> Result<Vec<u32>, Broken> {
        if !self.loaded {
            return Err(Broken::new("disorder", "a change came before the snapshot"));
        }
        let (mut leaving, mut moving, mut coming) = (HashSet::new(), HashSet::new(), HashSet::new());
        let (mut places, mut slots) = (Vec::new(), Vec::with_capacity(delta.changes.len()));
        for change in &delta.changes {
            let slot = match change {
                Change::Remove { key, .. } | Change::Update { key, .. } | Change::Move { key, .. } => {
                    let unknown =
                        || Broken::malformed(format!("a change names the row {key:?}, which is not in the window"));
                    *self.slot_of.get(key).ok_or_else(unknown)?
                }
                Change::Insert { key, .. } if self.slot_of.contains_key(key) => {
                    return Err(Broken::malformed("a row comes that is there already"));
                }
                Change::Insert { .. } => 0,
            };
            slots.push(slot);
            let fits = match change {
                Change::Remove { .. } => leaving.insert(slot),
                Change::Update { .. } => !leaving.contains(&slot),
                Change::Move { index, .. } => {
                    places.push(*index);
                    !leaving.contains(&slot) && moving.insert(slot)
                }
                Change::Insert { key, index, .. } => {
                    places.push(*index);
                    coming.insert(key)
                }
            };
            if !fits {
                return Err(Broken::malformed(format!("a row leaves, moves or comes twice in one change: {change:?}")));
            }
        }
        let len = view.len() - leaving.len() + coming.len();
        places.sort_unstable();
        if places.last().is_some_and(|place| *place as usize >= len) {
            return Err(Broken::malformed(format!("a position outside of a window of {len} rows")));
        }
        if places.windows(2).any(|pair| pair[0] == pair[1]) {
            return Err(Broken::malformed("two rows are placed at one position"));
        }
        self.check_edit(view, delta, &slots, leaving)?;
        Ok(slots)
    }

    /// Demands of a change with other columns that it has the new ones for every row that stays.
    fn check_edit(&self, view: &View, delta: &Delta, slots: &[u32], mut known: HashSet<u32>) -> Result<(), Broken> {
        let Some(edited) = &delta.edited else { return Ok(()) };
        let new: Vec<usize> = (0..edited.kept.len()).filter(|place| edited.kept[*place].is_none()).collect();
        for (change, slot) in delta.changes.iter().zip(slots) {
            if let Change::Update { values, .. } = change
                && new.iter().all(|place| values.iter().any(|(other, _)| other == place))
            {
                known.insert(*slot);
            }
        }
        if !new.is_empty() && known.len() != view.len() {
            return Err(Broken::malformed("after an edit, a row that stays lacks a new column"));
        }
        Ok(())
    }

    /// Applies a change that was checked, with the slots that the check has found. O(changes), and O(window) where rows
    /// change places.
    pub fn apply(&mut self, view: &mut View, delta: &Delta, slots: &[u32]) {
        (view.version, view.total_count) = (delta.version, delta.total_count);
        let rows = Arc::make_mut(&mut view.slots);
        if let Some(edited) = &delta.edited {
            view.columns = edited.columns.clone();
            let value =
                |row: &Arc<[Value]>, place: &Option<usize>| place.map_or(Value::Null, |place| row[place].clone());
            for row in rows.iter_mut().flatten() {
                *row = edited.kept.iter().map(|place| value(row, place)).collect();
            }
        }
        let mut gone = vec![false; if delta.displaces() { rows.len() } else { 0 }];
        let mut placed: Vec<(u32, u32)> = Vec::new();
        let mut leaves = false;
        for (change, slot) in delta.changes.iter().zip(slots) {
            let at = *slot as usize;
            match change {
                Change::Remove { key, .. } => {
                    self.slot_of.remove(key);
                    self.free.push(*slot);
                    (rows[at], gone[at], leaves) = (None, true, true);
                }
                Change::Update { values, .. } => {
                    if let Some(row) = &mut rows[at] {
                        let row = Arc::make_mut(row);
                        values.iter().for_each(|(place, value)| row[*place] = value.clone());
                    }
                }
                Change::Move { index, .. } => {
                    (gone[at], leaves) = (true, true);
                    placed.push((*index, *slot));
                }
                Change::Insert { key, row, index } => {
                    let slot = self.free.pop().unwrap_or(rows.len() as u32);
                    rows.resize(rows.len().max(slot as usize + 1), None);
                    rows[slot as usize] = Some(row.values.clone());
                    self.slot_of.insert(key.clone(), slot);
                    placed.push((*index, slot));
                }
            }
        }
        if leaves || !placed.is_empty() {
            let order = Arc::make_mut(&mut view.order);
            order.retain(|slot| !leaves || !gone[*slot as usize]);
            placed.sort_unstable();
            place(order, &placed);
        }
    }
}

impl Delta {
    /// Whether rows leave their places.
    fn displaces(&self) -> bool {
        self.changes.iter().any(|change| matches!(change, Change::Remove { .. } | Change::Move { .. }))
    }
}

/// Puts slots in at their positions, by rising position; the others fill the places in between.
fn place(order: &mut Vec<u32>, placed: &[(u32, u32)]) {
    if placed.len() < MERGE_FROM {
        placed.iter().for_each(|(index, slot)| order.insert(*index as usize, *slot));
        return;
    }
    let mut merged = Vec::with_capacity(order.len() + placed.len());
    let mut rest = order.as_slice();
    for (index, slot) in placed {
        let (before, after) = rest.split_at(*index as usize - merged.len());
        merged.extend_from_slice(before);
        merged.push(*slot);
        rest = after;
    }
    merged.extend_from_slice(rest);
    *order = merged;
}

impl View {
    /// The replica of rows that were kept elsewhere.
    pub(crate) fn replica(&self) -> Replica {
        let rows = self.rows().zip(self.order.iter()).map(|(row, slot)| (row.key(), *slot));
        Replica { slot_of: rows.collect(), free: Vec::new(), loaded: true }
    }
}
