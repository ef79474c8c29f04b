//! A hub: the connection, the tables and the sessions.

use prost::Message;
use prost::bytes::Bytes;

use crate::connection::{Options, new_request_id};
use crate::error::Result;
use crate::proto::{self, Query, Window, WriteOperation, WriteRequest, WriteResponse};
use crate::query::read_rows;
use crate::row::Rows;
use crate::rpc::{Authorized, Rpc};
use crate::session::Session;
use crate::table::Table;

/// A hub of a server. Clones share the connection, which ends with the last of them and of what they made.
#[derive(Clone, Debug)]
pub struct Hub(Rpc);

impl Hub {
    /// The hub `default` of the server at `address` (`host:port`; of several with commas, the next is tried when one is
    /// away), unencrypted and without a token. Nothing is sent before the first call.
    pub async fn connect(address: &str) -> Result<Self> {
        Self::connect_with(address, Options::default()).await
    }

    /// The same, with options.
    pub async fn connect_with(address: &str, options: Options) -> Result<Self> {
        Rpc::new(address, options).map(Self)
    }

    pub(crate) fn rpc(&self) -> &Rpc {
        &self.0
    }

    /// The id of the hub.
    pub fn name(&self) -> &str {
        &self.0.options().hub
    }

    fn parent(&self) -> String {
        format!("hubs/{}", self.name())
    }

    fn resource(&self, kind: &str, id: &str) -> String {
        if id.contains('/') { id.to_owned() } else { format!("{}/{kind}/{id}", self.parent()) }
    }

    /// Makes a table. Of a [`proto::Table`], what is not its definition is ignored.
    pub async fn create_table(&self, id: &str, table: impl Into<proto::Table>) -> Result<Table> {
        let request = proto::CreateTableRequest {
            parent: self.parent(),
            table_id: id.into(),
            table: Some(table.into()),
            request_id: new_request_id(),
            validate_only: false,
        };
        let answer: proto::CreateTableResponse = self.0.call("TableService/CreateTable", &request, true).await?;
        Ok(Table::new(self.clone(), answer.table))
    }

    /// The table with this id.
    pub async fn table(&self, id: &str) -> Result<Table> {
        let request = proto::GetTableRequest { name: self.resource("tables", id) };
        let answer: proto::GetTableResponse = self.0.call("TableService/GetTable", &request, true).await?;
        Ok(Table::new(self.clone(), answer.table))
    }

    /// Deletes a table with its rows and sessions; returns the version, 0 where a missing one was allowed.
    pub async fn delete_table(&self, id: &str, allow_missing: bool) -> Result<u64> {
        let (name, request_id) = (self.resource("tables", id), new_request_id());
        let request = proto::DeleteTableRequest { name, allow_missing, request_id };
        let answer: proto::DeleteTableResponse = self.0.call("TableService/DeleteTable", &request, true).await?;
        Ok(answer.version)
    }

    /// Commits operations on one table or several: all or nothing. Returns the version.
    pub async fn commit(&self, operations: impl IntoIterator<Item = WriteOperation>) -> Result<u64> {
        let operations = operations.into_iter().collect();
        Ok(self.write(WriteRequest { operations, ..WriteRequest::default() }).await?.version)
    }

    /// The same, with everything that the request and the answer can say. Without a `request_id` it gets one; the same id
    /// again never writes twice.
    pub async fn write(&self, mut request: WriteRequest) -> Result<WriteResponse> {
        if request.request_id.is_empty() {
            request.request_id = new_request_id();
        }
        if request.parent.is_empty() {
            request.parent = self.parent();
        }
        self.0.call("TableService/Write", &request, true).await
    }

    /// All rows of a query, of one version.
    pub async fn query(&self, query: Query) -> Result<Rows> {
        self.query_at(query, None, 0).await
    }

    /// The rows of a window of a query, from a version on: that of a write, to read what was written.
    pub async fn query_at(&self, query: Query, window: Option<Window>, min_version: u64) -> Result<Rows> {
        let request = proto::QueryStreamRequest { parent: self.parent(), query: Some(query), window, min_version };
        read_rows(&self.0, "TableService/QueryStream", &request).await
    }

    /// Makes a live query. With an id it lives until it is deleted, and to create it again with the same query returns it;
    /// without one, it ends some time after its last watcher.
    pub async fn create_session(&self, id: Option<&str>, query: Query) -> Result<Session> {
        let request = proto::CreateSessionRequest {
            parent: self.parent(),
            session_id: id.unwrap_or_default().into(),
            session: Some(proto::Session { query: Some(query), ..Default::default() }),
            request_id: new_request_id(),
            validate_only: false,
        };
        let answer: proto::CreateSessionResponse = self.0.call("SessionService/CreateSession", &request, true).await?;
        Ok(Session::new(self.0.clone(), answer.session))
    }

    /// The session with this id.
    pub async fn session(&self, id: &str) -> Result<Session> {
        let request = proto::GetSessionRequest { name: self.resource("sessions", id) };
        let answer: proto::GetSessionResponse = self.0.call("SessionService/GetSession", &request, true).await?;
        Ok(Session::new(self.0.clone(), answer.session))
    }

    /// Deletes a session.
    pub async fn delete_session(&self, id: &str, allow_missing: bool) -> Result<()> {
        let request = proto::DeleteSessionRequest { name: self.resource("sessions", id), allow_missing };
        let _: proto::DeleteSessionResponse = self.0.call("SessionService/DeleteSession", &request, false).await?;
        Ok(())
    }

    /// Any other call of the protos: `hub.call("HubService/GetServerInfo", &request)`. It is sent again while the server is
    /// away if its name says that it only reads.
    pub async fn call<Q: Message, A: Message + Default>(&self, method: &str, request: &Q) -> Result<A> {
        let name = method.rsplit('/').next().unwrap_or_default();
        let reads = ["Get", "List", "Query", "Explain", "Validate"].iter().any(|word| name.starts_with(word));
        self.0.call(method, request, reads).await
    }

    /// The same in bytes, sent once.
    pub async fn call_bytes(&self, method: &str, request: impl Into<Bytes>) -> Result<Vec<u8>> {
        Ok(self.0.call_bytes(method, request.into(), false).await?.into())
    }

    /// The connection, for the generated clients in [`proto`]: `TableServiceClient::new(hub.channel())`.
    pub fn channel(&self) -> Authorized {
        self.0.channel().1
    }
}

impl From<Vec<proto::Column>> for proto::Table {
    fn from(columns: Vec<proto::Column>) -> Self {
        Self { columns, ..Self::default() }
    }
}

impl<const N: usize> From<[proto::Column; N]> for proto::Table {
    fn from(columns: [proto::Column; N]) -> Self {
        Vec::from(columns).into()
    }
}
