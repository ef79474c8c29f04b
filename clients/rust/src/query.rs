//! Questions, and the pages of their answers.
//!
//! A [`Query`] is the message itself, with all that the query language has (docs/QUERIES.md); what is here are the words
//! for the common ones.

use std::sync::Arc;

use prost::Message;

use crate::batch::rows_of;
use crate::error::{Error, Result};
use crate::proto::{self, Column, DataType, Filter, Query, SortDirection, SortKey, Window, filter::Node};
use crate::row::{Columns, Rows};
use crate::rpc::Rpc;

impl Query {
    /// All rows of a table.
    pub fn of(table: impl Into<String>) -> Self {
        Self { table: table.into(), ..Self::default() }
    }

    /// The rows for which an expression is true, for example `price > 13 && open`.
    pub fn keep(mut self, expression: impl Into<String>) -> Self {
        self.filter = Some(Filter { node: Some(Node::Custom(expression.into())) });
        self
    }

    /// These columns; those of the key come in any case.
    pub fn show<'a>(mut self, columns: impl IntoIterator<Item = &'a str>) -> Self {
        self.columns = columns.into_iter().map(str::to_owned).collect();
        self
    }

    /// The order: the first call decides, the next among equals. A name with a minus before it descends.
    pub fn by(mut self, column: &str) -> Self {
        let (name, direction) = match column.strip_prefix('-') {
            Some(name) => (name, SortDirection::Descending),
            None => (column, SortDirection::Ascending),
        };
        self.sort.push(SortKey { column: name.into(), direction: direction.into(), ..SortKey::default() });
        self
    }
}

impl Window {
    /// The rows from `offset` on, at most `limit`.
    pub fn rows(offset: u32, limit: u32) -> Self {
        Self { offset: offset.into(), limit: Some(limit.into()), expansion: None }
    }
}

impl Column {
    /// A column of a table that is to be made.
    pub fn new(name: &str, kind: DataType) -> Self {
        Self { name: name.into(), r#type: kind.into(), ..Self::default() }
    }

    /// The same, as a part of the key.
    pub fn key(self) -> Self {
        Self { primary_key: true, ..self }
    }

    /// An ENUM column with these names, in their order.
    pub fn one_of<'a>(name: &str, names: impl IntoIterator<Item = &'a str>) -> Self {
        let enum_values = names.into_iter().map(str::to_owned).collect();
        Self { enum_values, ..Self::new(name, DataType::Enum) }
    }
}

/// The id at the end of a resource name.
pub(crate) fn id_of(name: &str) -> &str {
    name.rsplit('/').next().unwrap_or(name)
}

/// All rows of an answer that comes in pieces, whose first has the columns. The streams of queries and of sessions have the
/// same fields under the same numbers.
pub(crate) async fn read_rows<Q: Message>(rpc: &Rpc, method: &str, request: &Q) -> Result<Rows> {
    let mut found: Option<Rows> = None;
    for bytes in rpc.read(method, request.encode_to_vec().into(), true, true).await? {
        let broken = |error| Error::new(tonic::Code::Internal, "", format!("an answer cannot be read: {error}"));
        let page = proto::QueryStreamResponse::decode(bytes).map_err(broken)?;
        let rows = found.get_or_insert_with(|| Rows {
            columns: Arc::new(Columns::new(page.columns)),
            rows: Vec::new(),
            total_count: page.total_count,
            version: page.version,
        });
        rows.rows.extend(rows_of(page.rows.unwrap_or_default(), &rows.columns)?);
    }
    Ok(found.unwrap_or_default())
}
