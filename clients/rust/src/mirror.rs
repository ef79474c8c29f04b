//! A mirror: the rows of a window, kept current in the background.
//!
//! It changes only at consistent points, so whoever reads it sees the answer as it was at one version. While the connection
//! is broken it keeps its rows and says so; it heals by itself. A new snapshot takes the place of the rows when it is
//! complete, so nobody ever sees them gone in between.

use std::pin::Pin;
use std::sync::{Arc, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::task::{AbortHandle, JoinHandle};
use tokio::time::{Instant, timeout, timeout_at};
use tokio_stream::Stream;
use tonic::Code;

use crate::bookmark::Bookmark;
use crate::error::{Error, Result};
use crate::event::{Event, State};
use crate::proto::{self, Delivery, OnLag, WatchSessionRequest, Window};
use crate::rpc::Rpc;
use crate::session::Session;
use crate::view::View;
use crate::watch::{Attempts, Now, Subscribers, Watch};

/// So many events wait for a listener; then the mirror waits for it.
const EVENTS_AHEAD: usize = 16;

/// What to mirror, and how it is to be served.
#[derive(Clone, Debug, Default)]
pub struct MirrorOptions {
    /// The part of the result; without it, all of it.
    pub window: Option<Window>,
    /// Whether every Progress is compared with a digest of the rows. A difference is an interruption (`digest`), and a new
    /// snapshot. It costs O(window) a Progress on both sides.
    pub verify: bool,
    /// Whether commits are told one by one, or everything pending as one change (default).
    pub delivery: Delivery,
    /// What happens when the reader falls behind: its changes are merged (default), the rows are sent anew, or the mirror
    /// ends with SLOW_READER.
    pub on_lag: OnLag,
    /// The shortest time between two changes; commits in between are merged.
    pub min_interval: Duration,
    /// Wait until this version is visible before the first rows.
    pub min_version: u64,
    /// Where to go on: the mirror has these rows at once, and is stale until the server has answered.
    pub resume: Option<Bookmark>,
}

/// The current rows of a window. Ends when it is dropped.
#[derive(Debug)]
pub struct Mirror {
    now: Arc<watch::Sender<Now>>,
    subscribers: Subscribers,
    rpc: Rpc,
    task: JoinHandle<()>,
}

impl Mirror {
    pub(crate) fn start(
        rpc: Rpc,
        session: Session,
        options: MirrorOptions,
        first: Option<mpsc::Sender<Event>>,
    ) -> Self {
        let MirrorOptions { window, verify, delivery, on_lag, min_interval, min_version, resume } = options;
        let request = WatchSessionRequest {
            window,
            min_version,
            min_interval: (!min_interval.is_zero()).then(|| min_interval.try_into().unwrap_or_default()),
            on_lag: on_lag.into(),
            delivery: delivery.into(),
            include_digest: verify,
            ..Default::default()
        };
        let (state, loaded) = if resume.is_some() { (State::Stale, true) } else { (State::Connecting, false) };
        let (point, replica) =
            resume.as_ref().map_or_else(Default::default, |kept| (kept.point(), kept.view.replica()));
        let (view, token) = resume.map_or_else(Default::default, |kept: Bookmark| (kept.view, kept.token));
        let (watch_id, last_failure, error) = Default::default();
        let now = Now { view, state, loaded, token, watch_id, last_failure, error };
        let (now, subscribers) = (Arc::new(watch::Sender::new(now)), Subscribers::default());
        subscribers.lock().unwrap_or_else(PoisonError::into_inner).extend(first);
        let watch = Watch {
            rpc: rpc.clone(),
            session,
            request,
            verify,
            ends_on_lag: on_lag == OnLag::Cancel,
            now: now.clone(),
            subscribers: subscribers.clone(),
            point,
            replica,
            attempts: Attempts::default(),
        };
        Self { now, subscribers, rpc, task: tokio::spawn(watch.run()) }
    }

    /// The rows, with their version, epoch and counts: all of one moment, and never changed afterwards.
    pub fn view(&self) -> View {
        self.now.borrow().view.clone()
    }

    /// The version up to which the rows are exact.
    pub fn version(&self) -> u64 {
        self.now.borrow().view.version()
    }

    /// What may be believed of the rows.
    pub fn state(&self) -> State {
        self.now.borrow().state
    }

    /// Why it ended, when it was not closed on this side.
    pub fn error(&self) -> Option<Error> {
        self.now.borrow().error.clone()
    }

    /// What happens from now on. [`Session::watch`] gives the events from the first on.
    pub fn events(&self) -> Events {
        let (sender, receiver) = events();
        let mut subscribers = self.subscribers.lock().unwrap_or_else(PoisonError::into_inner);
        subscribers.push(sender);
        if self.state() == State::Ended {
            subscribers.clear();
        }
        receiver
    }

    /// The rows and where to go on from them, to be kept elsewhere; `None` before the first snapshot.
    pub fn bookmark(&self) -> Option<Bookmark> {
        let now = self.now.borrow();
        now.loaded.then(|| Bookmark { view: now.view.clone(), token: now.token.clone() })
    }

    /// Waits until there are rows. Fails with the error that ended the mirror, or with DEADLINE_EXCEEDED after the timeout
    /// of the connection.
    pub async fn ready(&self) -> Result<()> {
        let mut changes = self.now.subscribe();
        let there = changes.wait_for(|now| now.loaded || now.state == State::Ended);
        let _ = timeout(self.rpc.options().timeout, there).await.map(drop);
        self.check(|now| now.loaded, "the first snapshot")
    }

    /// Waits until the rows are exact up to a version, for example that of a write. Where that commit does not touch the
    /// rows the server is asked to say so at once, instead of with its next Progress. Fails as `ready` does.
    pub async fn wait_for(&self, version: u64) -> Result<()> {
        let deadline = Instant::now() + self.rpc.options().timeout;
        let mut changes = self.now.subscribe();
        let live = |now: &Now| if now.state == State::Live { now.watch_id.clone() } else { String::new() };
        let over = |now: &Now| now.view.version() >= version || now.state == State::Ended;
        while !over(&self.now.borrow()) && Instant::now() < deadline {
            let stream = live(&self.now.borrow());
            let asked = (!stream.is_empty()).then(|| self.ask_progress(stream.clone(), version));
            // Over, or another stream, of which Progress has to be asked for anew.
            let settled = changes.wait_for(|now| over(now) || !["", &stream].contains(&live(now).as_str()));
            let _ = timeout_at(deadline, settled).await.map(drop);
            drop(asked);
        }
        self.check(|now| now.view.version() >= version, &format!("version {version}"))
    }

    /// Asks the server to have a stream say Progress as soon as a version is there. Whether it can makes no difference but
    /// that of time: the call is not waited for, and its failure is nobody's.
    fn ask_progress(&self, watch_id: String, min_version: u64) -> Asked {
        let rpc = self.rpc.clone();
        let parent = format!("hubs/{}", rpc.options().hub);
        let request = proto::RequestProgressRequest { parent, watch_id, min_version };
        let bytes = prost::Message::encode_to_vec(&request).into();
        let call = async move { rpc.call_bytes("HubService/RequestProgress", bytes, false).await.map(drop) };
        Asked(tokio::spawn(call).abort_handle())
    }

    /// Says why something that was waited for did not come.
    fn check(&self, done: impl Fn(&Now) -> bool, what: &str) -> Result<()> {
        let now = self.now.borrow();
        if done(&now) {
            return Ok(());
        }
        if let Some(error) = &now.error {
            return Err(error.clone());
        }
        if now.state == State::Ended {
            return Err(Error::new(Code::Cancelled, "", format!("the mirror was closed before {what}")));
        }
        let why = if now.last_failure.is_empty() { String::new() } else { format!(" ({})", now.last_failure) };
        let patience = self.rpc.options().timeout;
        let message = format!("{what} did not come within {patience:?}; the mirror is {}{why}", now.state);
        Err(Error::new(Code::DeadlineExceeded, "", message))
    }

    /// Ends the stream; the rows stay readable. To drop the mirror does the same.
    pub fn close(&self) {
        self.task.abort();
        self.now.send_modify(|now| now.state = State::Ended);
        self.subscribers.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

impl Drop for Mirror {
    fn drop(&mut self) {
        self.close();
    }
}

/// A call that ends when nobody waits for what it asks for.
struct Asked(AbortHandle);

impl Drop for Asked {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// What happens to a mirror, as a stream that ends with it.
///
/// Read it, or drop it: when some events wait to be read the mirror waits, too. The server then merges the changes that it
/// does not get rid of (or does what `on_lag` says), and nothing piles up in memory.
#[derive(Debug)]
pub struct Events(mpsc::Receiver<Event>);

pub(crate) fn events() -> (mpsc::Sender<Event>, Events) {
    let (sender, receiver) = mpsc::channel(EVENTS_AHEAD);
    (sender, Events(receiver))
}

impl Events {
    /// The next event; `None` when the mirror has ended.
    pub async fn next(&mut self) -> Option<Event> {
        self.0.recv().await
    }
}

impl Stream for Events {
    type Item = Event;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Event>> {
        self.0.poll_recv(context)
    }
}
