//! A session: a live query of a hub, to be read and mirrored.

use std::sync::{Arc, PoisonError, RwLock};

use crate::connection::new_request_id;
use crate::error::{Error, Result};
use crate::mirror::{Events, Mirror, MirrorOptions, events};
use crate::proto::{self, Query, Window};
use crate::query::{id_of, read_rows};
use crate::row::{Columns, Rows};
use crate::rpc::Rpc;

/// A live query. Clones are handles of the same one.
#[derive(Clone, Debug)]
pub struct Session {
    rpc: Rpc,
    /// What the server last said of it; another one, when an anonymous session had to be made again.
    told: Arc<RwLock<proto::Session>>,
}

impl Session {
    pub(crate) fn new(rpc: Rpc, told: Option<proto::Session>) -> Self {
        Self { rpc, told: Arc::new(RwLock::new(told.unwrap_or_default())) }
    }

    fn told(&self) -> proto::Session {
        self.told.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn remember(&self, session: Option<proto::Session>) {
        *self.told.write().unwrap_or_else(PoisonError::into_inner) = session.unwrap_or_default();
    }

    pub(crate) fn resource_name(&self) -> String {
        self.told().name
    }

    /// Its id; for an anonymous session, the one that the server chose.
    pub fn name(&self) -> String {
        id_of(&self.told().name).to_owned()
    }

    /// Its query.
    pub fn query(&self) -> Query {
        self.told().query.unwrap_or_default()
    }

    /// The columns of its rows.
    pub fn columns(&self) -> Columns {
        Columns::new(self.told().columns)
    }

    /// Its rows now, all of one version: those of a window, or all; from `min_version` on.
    pub async fn rows(&self, window: Option<Window>, min_version: u64) -> Result<Rows> {
        let request = proto::QuerySessionStreamRequest { name: self.resource_name(), window, min_version };
        read_rows(&self.rpc, "SessionService/QuerySessionStream", &request).await
    }

    /// Edits the session in place: everybody who watches is told the difference. Returns the version at which it takes
    /// effect.
    pub async fn edit(&self, edit: impl FnOnce(&mut Query)) -> Result<u64> {
        let mut session = self.told();
        edit(session.query.get_or_insert_default());
        let request = proto::UpdateSessionRequest {
            session: Some(session),
            update_mask: Some(prost_types::FieldMask { paths: vec!["query".into()] }),
            request_id: new_request_id(),
            validate_only: false,
        };
        let answer: proto::UpdateSessionResponse =
            self.rpc.call("SessionService/UpdateSession", &request, true).await?;
        self.remember(answer.session);
        Ok(answer.version)
    }

    /// Deletes the session; everybody who watches it is told so.
    pub async fn delete(&self) -> Result<()> {
        let request = proto::DeleteSessionRequest { name: self.resource_name(), allow_missing: false };
        let _: proto::DeleteSessionResponse = self.rpc.call("SessionService/DeleteSession", &request, false).await?;
        Ok(())
    }

    /// Starts a mirror of its rows. Must be called within a tokio runtime.
    pub fn mirror(&self, options: MirrorOptions) -> Mirror {
        Mirror::start(self.rpc.clone(), self.clone(), options, None)
    }

    /// Starts a mirror, and hands out everything that happens to it from the beginning on.
    pub fn watch(&self, options: MirrorOptions) -> (Mirror, Events) {
        let (sender, receiver) = events();
        (Mirror::start(self.rpc.clone(), self.clone(), options, Some(sender)), receiver)
    }

    /// Makes an anonymous session again that the server has let go while nobody could watch it. True also where that is to
    /// be tried once more.
    pub(crate) async fn revive(&self) -> bool {
        let lost = self.told();
        if !lost.anonymous {
            return false;
        }
        let definition = proto::Session {
            query: lost.query,
            description: lost.description,
            permanent_filter: lost.permanent_filter,
            idle_timeout: lost.idle_timeout,
            ..Default::default()
        };
        let request = proto::CreateSessionRequest {
            parent: format!("hubs/{}", self.rpc.options().hub),
            session: Some(definition),
            request_id: new_request_id(),
            ..Default::default()
        };
        let answer = self.rpc.call("SessionService/CreateSession", &request, true).await;
        let made = answer.map(|answer: proto::CreateSessionResponse| self.remember(answer.session));
        made.map_or_else(|error: Error| error.passes(), |()| true)
    }
}
