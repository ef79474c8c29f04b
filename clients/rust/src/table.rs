//! A table: writes, and reads by key.

use std::sync::Arc;

use crate::batch::{IntoBatch, batch_of_keys, rows_of};
use crate::error::Result;
use crate::hub::Hub;
use crate::proto::write_operation::Operation;
use crate::proto::{self, WriteOperation};
use crate::query::id_of;
use crate::row::{Columns, Key, Rows};

/// A table of a hub. Clones are handles of the same one.
///
/// Every write is one commit: all of its rows or none. It carries a request id, so that it is sent again safely while the
/// server is away, and returns the version of the commit.
#[derive(Clone, Debug)]
pub struct Table {
    hub: Hub,
    name: String,
    columns: Arc<Columns>,
}

impl Table {
    pub(crate) fn new(hub: Hub, told: Option<proto::Table>) -> Self {
        let told = told.unwrap_or_default();
        Self { hub, name: told.name, columns: Arc::new(Columns::new(told.columns)) }
    }

    /// Its id.
    pub fn name(&self) -> &str {
        id_of(&self.name)
    }

    /// Its columns, as they were when this handle was made.
    pub fn columns(&self) -> &Columns {
        &self.columns
    }

    /// Adds new rows; a key that exists refuses all of them.
    pub async fn insert(&self, rows: impl IntoBatch) -> Result<u64> {
        self.hub.commit([self.inserting(rows)?]).await
    }

    /// Adds the rows whose key is new, and replaces the given columns of the others.
    pub async fn upsert(&self, rows: impl IntoBatch) -> Result<u64> {
        self.hub.commit([self.upserting(rows)?]).await
    }

    /// Replaces the given columns of rows that exist.
    pub async fn update(&self, rows: impl IntoBatch) -> Result<u64> {
        self.hub.commit([self.updating(rows)?]).await
    }

    /// Deletes the rows with these keys; those that do not exist are skipped.
    pub async fn delete<K: Into<Key>>(&self, keys: impl IntoIterator<Item = K>) -> Result<u64> {
        self.hub.commit([self.deleting(keys)?]).await
    }

    /// To be committed with others: new rows.
    pub fn inserting(&self, rows: impl IntoBatch) -> Result<WriteOperation> {
        let rows = Some(rows.into_batch(&self.columns)?);
        Ok(self.operation(Operation::Insert(proto::Insert { rows })))
    }

    /// To be committed with others: new or replaced rows.
    pub fn upserting(&self, rows: impl IntoBatch) -> Result<WriteOperation> {
        let rows = Some(rows.into_batch(&self.columns)?);
        Ok(self.operation(Operation::Upsert(proto::Upsert { rows })))
    }

    /// To be committed with others: other values.
    pub fn updating(&self, rows: impl IntoBatch) -> Result<WriteOperation> {
        let rows = Some(rows.into_batch(&self.columns)?);
        Ok(self.operation(Operation::Update(proto::Update { rows, ignore_missing: false })))
    }

    /// To be committed with others: rows that go.
    pub fn deleting<K: Into<Key>>(&self, keys: impl IntoIterator<Item = K>) -> Result<WriteOperation> {
        let keys = Some(batch_of_keys(keys.into_iter().map(Into::into).collect(), &self.columns)?);
        Ok(self.operation(Operation::Delete(proto::Delete { keys, ..Default::default() })))
    }

    fn operation(&self, operation: Operation) -> WriteOperation {
        WriteOperation { table: self.name.clone(), operation: Some(operation), condition: None }
    }

    /// The rows with these keys, in this order; keys that do not exist are left out.
    pub async fn get<K: Into<Key>>(&self, keys: impl IntoIterator<Item = K>) -> Result<Rows> {
        let keys = Some(batch_of_keys(keys.into_iter().map(Into::into).collect(), &self.columns)?);
        let request = proto::GetRowsRequest { table: self.name.clone(), keys, ..Default::default() };
        let answer: proto::GetRowsResponse = self.hub.rpc().call("TableService/GetRows", &request, true).await?;
        let rows = rows_of(answer.rows.unwrap_or_default(), &self.columns)?;
        Ok(Rows { columns: self.columns.clone(), total_count: rows.len() as u64, rows, version: answer.version })
    }
}
