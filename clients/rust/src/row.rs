//! Columns, rows and keys, as a reader has them.
//!
//! Rows of one result share their columns, and a row that did not change is shared between the versions of a mirror: to
//! clone one costs two counters.

use std::collections::HashMap;
use std::ops::{Deref, Index};
use std::sync::Arc;

use crate::proto::{Column, DataType};
use crate::value::Value;

/// The columns of a result, in order, and which of them name a row.
#[derive(Clone, Debug, Default)]
pub struct Columns {
    list: Vec<Column>,
    key: Vec<usize>,
    places: HashMap<String, usize>,
}

impl Columns {
    pub(crate) fn new(list: Vec<Column>) -> Self {
        let key = (0..list.len()).filter(|place| list[*place].primary_key).collect();
        let places = list.iter().enumerate().map(|(place, column)| (column.name.clone(), place)).collect();
        Self { list, key, places }
    }

    /// The place of a column.
    pub fn place(&self, name: &str) -> Option<usize> {
        self.places.get(name).copied()
    }

    /// The places of the key columns, in the order of the key.
    pub fn key(&self) -> &[usize] {
        &self.key
    }

    /// The names of the key columns.
    pub fn key_names(&self) -> Vec<&str> {
        self.key.iter().map(|place| self.list[*place].name.as_str()).collect()
    }

    /// The type of a column; `Unspecified` when it is of a later version of the server.
    pub fn kind(&self, place: usize) -> DataType {
        self.list[place].r#type()
    }

    /// The same, with the key in the order that it has among the columns before an edit: rows are looked up by it.
    pub(crate) fn keyed_as(list: Vec<Column>, before: &Self) -> Self {
        let mut columns = Self::new(list);
        let rank = |place: &usize| before.key.iter().position(|at| before[*at].name == columns.list[*place].name);
        let mut key = columns.key.clone();
        key.sort_by_key(rank);
        columns.key = key;
        columns
    }

    /// Whether rows have the same columns here and there, of the same types, and are named by the same.
    pub(crate) fn same_rows(&self, other: &Self) -> bool {
        let same =
            |(a, b): (&Column, &Column)| (&a.name, a.r#type, a.primary_key) == (&b.name, b.r#type, b.primary_key);
        self.len() == other.len() && self.iter().zip(other.iter()).all(same)
    }
}

impl Deref for Columns {
    type Target = [Column];

    fn deref(&self) -> &[Column] {
        &self.list
    }
}

/// What names a row: the values of the key columns, in the order of the key.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Key(pub Box<[Value]>);

impl<T: Into<Value>> From<T> for Key {
    fn from(value: T) -> Self {
        Self([value.into()].into())
    }
}

impl<A: Into<Value>, B: Into<Value>> From<(A, B)> for Key {
    fn from((a, b): (A, B)) -> Self {
        Self([a.into(), b.into()].into())
    }
}

impl<A: Into<Value>, B: Into<Value>, C: Into<Value>> From<(A, B, C)> for Key {
    fn from((a, b, c): (A, B, C)) -> Self {
        Self([a.into(), b.into(), c.into()].into())
    }
}

/// A row: a value for each of its columns. `row["name"]` is a value.
#[derive(Clone, Debug)]
pub struct Row {
    pub(crate) columns: Arc<Columns>,
    pub(crate) values: Arc<[Value]>,
}

impl Row {
    /// The value of a column; `None` when there is no such column.
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.columns.place(name).map(|place| &self.values[place])
    }

    /// The values, in the order of the columns.
    pub fn values(&self) -> &[Value] {
        &self.values
    }

    /// The columns.
    pub fn columns(&self) -> &Columns {
        &self.columns
    }

    /// What names it.
    pub fn key(&self) -> Key {
        Key(self.columns.key().iter().map(|place| self.values[*place].clone()).collect())
    }
}

/// Rows are equal when their columns have the same names and their values are equal.
impl PartialEq for Row {
    fn eq(&self, other: &Self) -> bool {
        let names = |row: &Self| row.columns.iter().map(|c| c.name.clone()).collect::<Vec<_>>();
        self.values == other.values && (Arc::ptr_eq(&self.columns, &other.columns) || names(self) == names(other))
    }
}

/// Panics when there is no such column, as an index that is out of bounds does; `get` does not.
impl Index<&str> for Row {
    type Output = Value;

    fn index(&self, name: &str) -> &Value {
        self.get(name).unwrap_or_else(|| panic!("no column '{name}'"))
    }
}

/// The rows of a query, all of one version. It derefs to a slice.
#[derive(Clone, Debug, Default)]
pub struct Rows {
    pub(crate) columns: Arc<Columns>,
    pub(crate) rows: Vec<Row>,
    /// The number of rows of the whole result, of which these may be a part.
    pub total_count: u64,
    /// The version at which these rows are the result.
    pub version: u64,
}

impl Rows {
    /// The columns, also where there are no rows.
    pub fn columns(&self) -> &Columns {
        &self.columns
    }
}

impl Deref for Rows {
    type Target = [Row];

    fn deref(&self) -> &[Row] {
        &self.rows
    }
}

impl IntoIterator for Rows {
    type Item = Row;
    type IntoIter = std::vec::IntoIter<Row>;

    fn into_iter(self) -> Self::IntoIter {
        self.rows.into_iter()
    }
}
