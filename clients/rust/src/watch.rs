//! A watch: the task that keeps a mirror current, over as many streams as it takes.
//!
//! A stream that ends, errs, goes silent or breaks the contract is replaced by a new one after a random pause. The new one
//! is given the resume token of the last consistent point and goes on there; without a valid token it begins with a fresh
//! snapshot. What the mirror has is stale in between. Only errors that another attempt cannot mend end it.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use prost::Message;
use prost::bytes::Bytes;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep, timeout_at};
use tonic::{Code, Streaming};

use crate::connection::Backoff;
use crate::error::{Error, Result};
use crate::event::{Event, State};
use crate::feed::{Broken, Feed, Phase, Point, Told};
use crate::proto::{WatchSessionRequest, WatchSessionResponse};
use crate::rpc::Rpc;
use crate::session::Session;
use crate::view::{Replica, View};

/// So many intervals of Progress without a message mean that a stream is stale.
const MISSED_INTERVALS: u32 = 3;

/// Refusals that a stream without a token need not meet.
const TOKEN_REASONS: [&str; 2] = ["BAD_RESUME_TOKEN", "FEATURE_NOT_AVAILABLE"];

/// Breaks that leave no doubt about the rows of the last consistent point, so that its token is good.
const TRUSTED_BREAKS: [&str; 4] = ["reconnected", "ended", "silence", "gap"];

/// What readers see of a watch; all of it is of one moment.
#[derive(Debug)]
pub(crate) struct Now {
    pub view: View,
    pub state: State,
    /// Whether there are rows to show.
    pub loaded: bool,
    /// What a bookmark of these rows resumes with.
    pub token: Vec<u8>,
    /// The server's name for the present stream.
    pub watch_id: String,
    /// Why the last stream was given up, for people.
    pub last_failure: String,
    /// Why it ended, when it was not closed on this side.
    pub error: Option<Error>,
}

pub(crate) type Subscribers = Arc<Mutex<Vec<mpsc::Sender<Event>>>>;

/// Why a stream is given up.
enum Trouble {
    /// It broke the contract, or has ended.
    Broken(Broken),
    /// The call failed.
    Call(Error),
    /// No message came for too long.
    Silence,
}

impl From<Broken> for Trouble {
    fn from(broken: Broken) -> Self {
        Self::Broken(broken)
    }
}

pub(crate) struct Watch {
    pub rpc: Rpc,
    pub session: Session,
    pub request: WatchSessionRequest,
    pub verify: bool,
    /// Whether SLOW_READER is what the reader has asked for.
    pub ends_on_lag: bool,
    pub now: Arc<watch::Sender<Now>>,
    pub subscribers: Subscribers,
    pub point: Point,
    pub replica: Replica,
    pub attempts: Attempts,
}

/// How the attempts of a watch go.
pub(crate) struct Attempts {
    stream: Option<Streaming<Bytes>>,
    channel: u64,
    feed: Feed,
    reason: &'static str,
    gap_at: Option<u64>,
    /// Whether it has been told that there is no stream.
    failed_before: bool,
    current_since: Option<Instant>,
    lost_since: Instant,
    backoff: Backoff,
}

impl Default for Attempts {
    fn default() -> Self {
        Self {
            stream: None,
            channel: 0,
            feed: Feed::new("first", false),
            reason: "first",
            gap_at: None,
            failed_before: false,
            current_since: None,
            lost_since: Instant::now(),
            backoff: Backoff::default(),
        }
    }
}

impl Watch {
    /// Until it ends. May be dropped at any moment: what is told is whole.
    pub async fn run(mut self) {
        loop {
            if let Err(trouble) = self.step().await
                && let Err(error) = self.failed(trouble).await
            {
                self.now.send_modify(|now| now.error = Some(error));
                self.turn(State::Ended).await;
                self.subscribers.lock().unwrap_or_else(PoisonError::into_inner).clear();
                return;
            }
        }
    }

    /// One response.
    async fn step(&mut self) -> std::result::Result<(), Trouble> {
        let deadline = Instant::now() + self.patience();
        let response = timeout_at(deadline, self.receive()).await.unwrap_or(Err(Trouble::Silence))?;
        let exact = self.point.version;
        let told = match self.attempts.feed.receive(&mut self.point, response)? {
            None => None,
            Some(Told::Reset(reason, message)) => {
                self.interrupted(reason, message, false).await;
                None
            }
            Some(Told::Resumed) => {
                self.publish(|_| ());
                self.tell(Event::Resumed { version: exact }).await;
                None
            }
            Some(Told::Lagged(skipped_commits)) => {
                let version = self.point.version;
                self.tell(Event::Lagged { version, skipped_commits }).await;
                None
            }
            Some(told) => match self.take(told) {
                Ok(event) => event,
                Err(broken) => {
                    self.point.version = exact; // the rows are those of before
                    return Err(broken.into());
                }
            },
        };
        if self.attempts.feed.phase == Phase::Live && self.state() != State::Live {
            self.attempts.failed_before = false;
            self.attempts.current_since = Some(Instant::now());
            self.turn(State::Live).await;
        }
        if let Some(event) = told {
            self.tell(event).await;
        }
        Ok(())
    }

    async fn receive(&mut self) -> std::result::Result<WatchSessionResponse, Trouble> {
        let stream = match &mut self.attempts.stream {
            Some(stream) => stream,
            None => {
                let (name, token) = (self.session.resource_name(), self.point.token().to_vec());
                self.attempts.feed = Feed::new(self.attempts.reason, !token.is_empty());
                self.attempts.channel = self.rpc.channel().0;
                (self.request.name, self.request.resume_token) = (name, token);
                if self.point.began {
                    self.request.min_version = 0; // it was reached, and another incarnation may never reach it
                }
                let request = self.request.encode_to_vec().into();
                let stream = self.rpc.stream("SessionService/WatchSession", request, None).await;
                self.attempts.stream.insert(stream.map_err(Trouble::Call)?)
            }
        };
        let message = stream.message().await.map_err(|status| Trouble::Call(status.into()))?;
        let bytes = message.ok_or_else(|| Broken::new("ended", "the server ended the stream"))?;
        let unreadable = |error| Trouble::Call(Error::new(Code::Internal, "", format!("no message: {error}")));
        WatchSessionResponse::decode(bytes).map_err(unreadable)
    }

    /// How long to wait for the next message. The first may take as long as any other answer.
    fn patience(&self) -> Duration {
        match self.attempts.feed.phase {
            Phase::Opening => self.rpc.options().timeout,
            _ => self.attempts.feed.progress * MISSED_INTERVALS,
        }
    }

    /// Brings the rows to the next consistent point; returns the event, if somebody listens.
    fn take(&mut self, told: Told) -> std::result::Result<Option<Event>, Broken> {
        let listened = !self.subscribers.lock().unwrap_or_else(PoisonError::into_inner).is_empty();
        match told {
            Told::Snapshot(snapshot) => {
                let (reason, mut view) = (snapshot.reason.clone(), View::default());
                self.replica.load(&mut view, snapshot)?;
                let event = listened.then(|| Event::Snapshot { view: view.clone(), reason });
                self.publish(|now| (now.view, now.loaded) = (view, true));
                Ok(event)
            }
            Told::Delta(delta) => {
                let slots = self.replica.check(&self.now.borrow().view, &delta)?;
                let (mut replica, mut event) = (std::mem::take(&mut self.replica), None);
                self.publish(|now| {
                    replica.apply(&mut now.view, &delta, &slots);
                    event = listened.then(|| Event::Delta { view: now.view.clone(), delta: Arc::new(delta) });
                });
                self.replica = replica;
                Ok(event)
            }
            Told::Progress(version, digest) => {
                let view = if self.verify && !digest.is_empty() { Some(self.now.borrow().view.clone()) } else { None };
                if view.is_some_and(|view| view.digest() != digest[..]) {
                    let message = format!("the rows at version {version} are not those of the server");
                    return Err(Broken::new("digest", message));
                }
                self.publish(|now| now.view.version = version);
                Ok(None)
            }
            Told::Reset(..) | Told::Resumed | Told::Lagged(_) => Ok(None), // tells of the stream, not of the rows
        }
    }

    /// Lets readers see a change, and what belongs to the rows, at once.
    fn publish(&self, change: impl FnOnce(&mut Now)) {
        let (token, watch_id) = (self.point.token().to_vec(), self.point.watch_id.clone());
        self.now.send_modify(|now| {
            change(now);
            (now.token, now.watch_id) = (token, watch_id);
        });
    }

    /// Gives this stream up and waits until it is time for the next; returns what cannot be mended.
    async fn failed(&mut self, trouble: Trouble) -> Result<()> {
        self.attempts.stream = None;
        let silent = matches!(trouble, Trouble::Silence);
        let (broken, known) = match trouble {
            Trouble::Broken(broken) => (broken, None),
            Trouble::Silence => (Broken::new("silence", "no message for too long"), None),
            Trouble::Call(error) => (Broken::new("reconnected", error.to_string()), Some(error)),
        };
        if let Some(error) = &known {
            if self.attempts.feed.resuming && TOKEN_REASONS.contains(&error.reason.as_str()) {
                self.point.forget();
                self.attempts.reason = "token_refused";
                self.now.send_modify(|now| now.last_failure = error.to_string());
                self.interrupted("token_refused".into(), error.to_string(), false).await;
                return Ok(()); // at once, and this time without a token
            }
            if self.cannot_mend(error) && !self.revived(error).await {
                return Err(error.clone());
            }
        }
        self.judge(&broken);
        self.now.send_modify(|now| now.last_failure.clone_from(&broken.message));
        if self.attempts.feed.phase != Phase::Opening || !self.attempts.failed_before {
            self.attempts.reason = broken.reason;
            let resumes = !self.point.token().is_empty();
            self.interrupted(broken.reason.into(), broken.message, resumes).await;
        } // else the server is still away, which has been told
        self.attempts.failed_before = true;
        if silent {
            self.rpc.renew(self.attempts.channel);
        }
        self.pause(known).await
    }

    /// Drops the token where the rows are in doubt, or where resuming did not help against the same gap.
    fn judge(&mut self, broken: &Broken) {
        let gap = broken.reason == "gap";
        let again = gap && self.attempts.gap_at == Some(self.point.version);
        if !TRUSTED_BREAKS.contains(&broken.reason) || again {
            self.point.forget();
        }
        self.attempts.gap_at = (gap && !again).then_some(self.point.version);
    }

    /// Waits before the next attempt. What breaks as soon as it is live must not be tried without a pause.
    async fn pause(&mut self, known: Option<Error>) -> Result<()> {
        let (retry, now, attempts) = (self.rpc.options().retry.clone(), Instant::now(), &mut self.attempts);
        if let Some(since) = attempts.current_since.filter(|since| *since > attempts.lost_since) {
            if now - since > retry.max_backoff {
                attempts.backoff.reset();
            }
            attempts.lost_since = now;
        }
        let retry_after = known.as_ref().and_then(|error| error.retry_after);
        if retry.give_up_after.is_some_and(|patience| now - attempts.lost_since > patience) {
            let message = format!("no stream of {}: {}", self.request.name, self.now.borrow().last_failure);
            return Err(known.unwrap_or_else(|| Error::new(Code::Unavailable, "", message)));
        }
        sleep(attempts.backoff.next(&retry, retry_after)).await;
        Ok(())
    }

    /// Whether another attempt is of no use. A limit may be one that only this request exceeds, as long as no attempt has
    /// succeeded; later it is one that others have reached in the meantime.
    fn cannot_mend(&self, error: &Error) -> bool {
        let slow = self.ends_on_lag && error.reason == "SLOW_READER";
        slow || error.is_final() || (error.code() == Code::ResourceExhausted && !self.point.began)
    }

    /// Whether what is watched was lost and could be made again.
    async fn revived(&self, error: &Error) -> bool {
        self.point.began && error.reason == "UNKNOWN_SESSION" && self.session.revive().await
    }

    async fn interrupted(&self, reason: String, message: String, resumes: bool) {
        self.publish(|_| ());
        self.turn(State::Stale).await;
        let version = self.point.version;
        self.tell(Event::Interrupted { reason, message, version, resumes }).await;
    }

    fn state(&self) -> State {
        self.now.borrow().state
    }

    /// The state that follows: a mirror without rows goes on connecting when a stream is lost, and the end is final.
    async fn turn(&self, wanted: State) {
        let turned = self.now.send_if_modified(|now| {
            let next = if wanted == State::Stale && now.state == State::Connecting { now.state } else { wanted };
            let turns = now.state != State::Ended && now.state != next;
            now.state = if turns { next } else { now.state };
            turns
        });
        if turned {
            self.tell(Event::State(wanted)).await;
        }
    }

    /// Hands an event to everybody who listens. A listener that does not read holds the watch up: the server then merges
    /// what it does not get rid of, and nothing piles up here.
    async fn tell(&self, event: Event) {
        let listeners = self.subscribers.lock().unwrap_or_else(PoisonError::into_inner).clone();
        for listener in &listeners {
            let _ = listener.send(event.clone()).await; // one that has gone is taken off the list below
        }
        self.subscribers.lock().unwrap_or_else(PoisonError::into_inner).retain(|listener| !listener.is_closed());
    }
}
