//! One watch stream as a state machine: responses in, events out.
//!
//! ```text
//! Opening --Begin--> Loading --SnapshotRows*, SnapshotEnd--> Live --Changes, Progress, Lagged--> Live
//!                                                            Live --SessionChanged--> Live, Changes must follow
//!                                                            Live or Loading --Reset--> Opening
//! Opening --Begin (resumed)--> Live
//! ```
//!
//! The feed trusts nothing. Every response must begin at the version where the one before ended, pieces must follow one
//! another without a hole, and a message must be one that its state allows. Whatever else happens is [`Broken`], and the
//! watch starts again with a new feed: a mirror is then late, but never wrong.
//!
//! What outlives a stream is its [`Point`]. It is moved at consistent points only, so its token always stands for exactly
//! the rows that the mirror has: a resumed stream neither repeats nor leaves out a change.

use std::sync::Arc;
use std::time::Duration;

use crate::batch::Cells;
use crate::event::{Change, Delta, Edited};
use crate::proto::watch_session_response::Event as Wire;
use crate::proto::{self, ResetReason, WatchSessionResponse};
use crate::row::{Columns, Key, Row};
use crate::value::Value;

/// What is assumed when Begin does not say how often Progress comes.
const DEFAULT_PROGRESS: Duration = Duration::from_secs(5);

/// The stream cannot be trusted any more. `reason` is one word, for the snapshot that will heal it.
#[derive(Debug)]
pub(crate) struct Broken {
    pub reason: &'static str,
    pub message: String,
}

impl Broken {
    pub fn new(reason: &'static str, message: impl Into<String>) -> Self {
        Self { reason, message: message.into() }
    }

    pub fn malformed(message: impl Into<String>) -> Self {
        Self::new("malformed", message)
    }
}

impl From<String> for Broken {
    fn from(message: String) -> Self {
        Self::malformed(message)
    }
}

/// Where a watch is, over all its streams: the last consistent point, and the token that leads back to it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Point {
    pub epoch: String,
    pub version: u64,
    /// Whether a server has answered.
    pub began: bool,
    /// The columns of the rows at that point.
    pub columns: Arc<Columns>,
    /// The server's name for the present stream.
    pub watch_id: String,
    token: Vec<u8>,
    token_version: u64,
}

impl Point {
    /// What to resume with; empty when the server gave no token for exactly this point. A token of an earlier one would
    /// repeat changes that the mirror has.
    pub fn token(&self) -> &[u8] {
        if self.token_version == self.version { &self.token } else { &[] }
    }

    /// A consistent point was reached.
    pub fn arrive(&mut self, version: u64, token: Vec<u8>) {
        self.version = version;
        if !token.is_empty() {
            (self.token, self.token_version) = (token, version);
        }
    }

    /// The next stream begins with a snapshot: the token was refused, or the rows are in doubt.
    pub fn forget(&mut self) {
        self.token.clear();
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    Opening,
    Loading,
    Live,
}

/// A complete window.
#[derive(Debug)]
pub(crate) struct Snapshot {
    pub version: u64,
    pub columns: Arc<Columns>,
    pub rows: Vec<Arc<[Value]>>,
    pub total_count: u64,
    pub epoch: String,
    pub reason: String,
}

/// What a response brought.
#[derive(Debug)]
pub(crate) enum Told {
    Snapshot(Snapshot),
    Delta(Delta),
    /// Nothing else happened up to the version; with the digest of the rows where it was asked for.
    Progress(u64, Vec<u8>),
    /// The server says why the rows are to be dropped: reason, message.
    Reset(String, String),
    Resumed,
    Lagged(u64),
}

/// The versions of a response, and what else stands beside its event.
struct Line {
    from: u64,
    to: u64,
    continued: bool,
}

/// One stream.
#[derive(Debug)]
pub(crate) struct Feed {
    /// Why it was opened.
    reason: String,
    /// Whether the server was given a token.
    pub resuming: bool,
    pub phase: Phase,
    /// How often the server says something.
    pub progress: Duration,
    columns: Arc<Columns>,
    version: u64,
    snapshot_version: Option<u64>,
    loaded: Vec<Arc<[Value]>>,
    pieces: Vec<proto::Changes>,
    pieces_version: u64,
    skipped: u64,
    edited: Option<Edited>,
}

impl Feed {
    pub fn new(reason: &str, resuming: bool) -> Self {
        Self {
            reason: reason.into(),
            resuming,
            phase: Phase::Opening,
            progress: DEFAULT_PROGRESS,
            columns: Arc::default(),
            version: 0,
            snapshot_version: None,
            loaded: Vec::new(),
            pieces: Vec::new(),
            pieces_version: 0,
            skipped: 0,
            edited: None,
        }
    }

    /// Takes one response; returns what it brought, when a consistent point was reached or something is to be told.
    pub fn receive(&mut self, point: &mut Point, response: WatchSessionResponse) -> Result<Option<Told>, Broken> {
        let line = Line { from: response.from_version, to: response.to_version, continued: response.continued };
        let unknown = || Broken::new("unknown_event", "the server sent an event that this client does not know");
        let event = response.event.ok_or_else(unknown)?;
        let kind = kind_of(&event);
        if self.is_amid() && kind != "changes" {
            return Err(Broken::new("disorder", format!("{kind} came between two pieces of one change")));
        }
        if self.phase == Phase::Live {
            self.check_line(&line, kind)?;
        }
        let told = match (self.phase, event) {
            (Phase::Opening, Wire::Begin(begin)) => self.begin(point, &line, begin)?,
            (Phase::Loading, Wire::SnapshotRows(piece)) => self.snapshot_rows(&line, piece)?,
            (Phase::Loading, Wire::SnapshotEnd(end)) => Some(self.snapshot_end(point, &line, &end)?),
            (Phase::Loading | Phase::Live, Wire::Reset(reset)) => Some(self.reset(point, reset)),
            (Phase::Live, Wire::Changes(changes)) => self.changes(&line, changes)?,
            (Phase::Live, Wire::Progress(progress)) => Some(Told::Progress(line.to, progress.digest)),
            (Phase::Live, Wire::Lagged(lagged)) => {
                self.skipped += lagged.skipped_commits;
                Some(Told::Lagged(lagged.skipped_commits))
            }
            (Phase::Live, Wire::SessionChanged(edit)) => self.session_changed(&line, edit)?,
            (phase, _) => {
                return Err(Broken::new("disorder", format!("{kind} is not allowed while the stream is {phase:?}")));
            }
        };
        if self.phase == Phase::Live && !self.is_amid() {
            self.version = line.to;
            point.columns = self.columns.clone();
            point.arrive(line.to, response.resume_token);
        }
        Ok(told)
    }

    /// Whether more of one change must follow.
    fn is_amid(&self) -> bool {
        !self.pieces.is_empty() || self.edited.is_some()
    }

    fn check_line(&self, line: &Line, kind: &str) -> Result<(), Broken> {
        let Line { from, to, .. } = line;
        if *from != self.version {
            return Err(Broken::new("gap", format!("{kind} begins at version {from} and not at {}", self.version)));
        }
        if to < from {
            return Err(Broken::new("disorder", format!("{kind} goes back to version {to}")));
        }
        if self.is_amid() && *to != self.pieces_version {
            let message = format!("a piece of a change is of version {to} and not {}", self.pieces_version);
            return Err(Broken::new("disorder", message));
        }
        Ok(())
    }

    fn begin(&mut self, point: &mut Point, line: &Line, begin: proto::Begin) -> Result<Option<Told>, Broken> {
        self.columns = Arc::new(Columns::new(begin.columns));
        if self.columns.key().is_empty() {
            return Err(Broken::malformed("no column is marked as key"));
        }
        if begin.progress_interval_ms > 0 {
            self.progress = Duration::from_millis(begin.progress_interval_ms.into());
        }
        if begin.resumed {
            self.check_resumed(point, line, &begin.epoch)?;
        }
        (point.epoch, point.began, point.watch_id) = (begin.epoch, true, begin.watch_id);
        if begin.resumed {
            (self.phase, self.columns) = (Phase::Live, point.columns.clone());
            return Ok(Some(Told::Resumed));
        }
        self.phase = Phase::Loading;
        (self.snapshot_version, self.loaded) = (None, Vec::new());
        Ok(None)
    }

    /// A resumed stream goes on from the very rows that the mirror has, or it is not to be trusted.
    fn check_resumed(&self, point: &Point, line: &Line, epoch: &str) -> Result<(), Broken> {
        if !self.resuming {
            return Err(Broken::new("disorder", "the server resumed a stream that gave no token"));
        }
        if epoch != point.epoch || line.to != point.version {
            let message = format!("the server resumed at version {} and not at {}", line.to, point.version);
            return Err(Broken::new("disorder", message));
        }
        if !self.columns.same_rows(&point.columns) {
            return Err(Broken::new("disorder", "the server resumed with other columns"));
        }
        Ok(())
    }

    fn snapshot_rows(&mut self, line: &Line, piece: proto::SnapshotRows) -> Result<Option<Told>, Broken> {
        self.same_snapshot(line)?;
        let loaded = self.loaded.len();
        if piece.start_index != loaded as u64 {
            let message = format!("a piece of the snapshot starts at {} and not {loaded}", piece.start_index);
            return Err(Broken::new("gap", message));
        }
        let cells = Cells::of(piece.rows.unwrap_or_default(), &self.columns)?;
        self.loaded.extend(cells.into_rows(&self.columns)?);
        Ok(None)
    }

    fn snapshot_end(&mut self, point: &Point, line: &Line, end: &proto::SnapshotEnd) -> Result<Told, Broken> {
        self.same_snapshot(line)?;
        let rows = std::mem::take(&mut self.loaded);
        if end.row_count != rows.len() as u64 {
            let message = format!("the snapshot has {} rows and should have {}", rows.len(), end.row_count);
            return Err(Broken::new("gap", message));
        }
        self.phase = Phase::Live;
        let (columns, epoch, reason) = (self.columns.clone(), point.epoch.clone(), self.reason.clone());
        Ok(Told::Snapshot(Snapshot { version: line.to, columns, rows, total_count: end.total_count, epoch, reason }))
    }

    fn same_snapshot(&mut self, line: &Line) -> Result<(), Broken> {
        let version = *self.snapshot_version.get_or_insert(line.to);
        if line.to != version {
            let message = format!("a piece of the snapshot is of version {} and not {version}", line.to);
            return Err(Broken::new("disorder", message));
        }
        Ok(())
    }

    fn changes(&mut self, line: &Line, changes: proto::Changes) -> Result<Option<Told>, Broken> {
        self.pieces.push(changes);
        self.pieces_version = line.to;
        if line.continued {
            return Ok(None);
        }
        let mut delta = Delta {
            from_version: line.from,
            version: line.to,
            total_count: self.pieces.last().map_or(0, |piece| piece.total_count),
            skipped_commits: std::mem::take(&mut self.skipped),
            edited: self.edited.take(),
            changes: Vec::new(),
        };
        let mut pieces = std::mem::take(&mut self.pieces);
        for removes in pieces.iter_mut().flat_map(|piece| piece.removes.drain(..)) {
            let reason = removes.reason();
            let keys = self.keyed(removes.keys)?.1;
            delta.changes.extend(keys.into_iter().map(|key| Change::Remove { key, reason }));
        }
        for updates in pieces.iter_mut().flat_map(|piece| piece.updates.drain(..)) {
            self.updates(updates.rows, &mut delta.changes)?;
        }
        for moves in pieces.iter_mut().filter_map(|piece| piece.moves.take()) {
            let keys = self.keyed(moves.keys)?.1;
            same_length(keys.len(), moves.indexes.len())?;
            let pairs = keys.into_iter().zip(moves.indexes);
            delta.changes.extend(pairs.map(|(key, index)| Change::Move { key, index }));
        }
        for inserts in pieces.iter_mut().filter_map(|piece| piece.inserts.take()) {
            let (cells, keys) = self.keyed(inserts.rows)?;
            same_length(keys.len(), inserts.indexes.len())?;
            let rows = cells.into_rows(&self.columns)?.into_iter().zip(keys).zip(inserts.indexes);
            delta.changes.extend(rows.map(|((values, key), index)| {
                let row = Row { columns: self.columns.clone(), values };
                Change::Insert { key, row, index }
            }));
        }
        Ok(Some(Told::Delta(delta)))
    }

    fn updates(&self, rows: Option<proto::RowBatch>, changes: &mut Vec<Change>) -> Result<(), Broken> {
        let (cells, keys) = self.keyed(rows)?;
        let changed = cells.columns.into_iter().filter(|(place, _)| !self.columns.key().contains(place));
        let mut changed: Vec<_> = changed.map(|(place, values)| (place, values.into_iter())).collect();
        changes.extend(keys.into_iter().map(|key| {
            let values = changed.iter_mut().filter_map(|(place, values)| Some((*place, values.next()?))).collect();
            Change::Update { key, values }
        }));
        Ok(())
    }

    fn keyed(&self, batch: Option<proto::RowBatch>) -> Result<(Cells, Vec<Key>), Broken> {
        let cells = Cells::of(batch.unwrap_or_default(), &self.columns)?;
        let keys = cells.keys(&self.columns)?;
        Ok((cells, keys))
    }

    fn reset(&mut self, point: &mut Point, reset: proto::Reset) -> Told {
        let name = ResetReason::try_from(reset.reason).map(|reason| reason.as_str_name());
        self.reason = name.unwrap_or("UNKNOWN").trim_start_matches("RESET_REASON_").to_lowercase();
        (self.phase, self.resuming) = (Phase::Opening, false);
        point.forget();
        Told::Reset(self.reason.clone(), reset.message)
    }

    /// Rows have other columns from here on; the change that follows is told with this.
    fn session_changed(&mut self, line: &Line, edit: proto::SessionChanged) -> Result<Option<Told>, Broken> {
        if !line.continued {
            return Err(Broken::new("disorder", "the session was edited and no change follows"));
        }
        let before = self.columns.clone();
        self.columns = Arc::new(Columns::keyed_as(edit.columns, &before));
        let kept = |column: &proto::Column| before.place(&column.name).filter(|at| before[*at].r#type == column.r#type);
        let kept: Vec<Option<usize>> = self.columns.iter().map(kept).collect();
        if before.key_names() != self.columns.key_names()
            || self.columns.key().iter().any(|place| kept[*place].is_none())
        {
            let message = "the session was edited and its rows are named by other columns";
            return Err(Broken::new("definition_changed", message));
        }
        self.edited = Some(Edited { generation: edit.generation, columns: self.columns.clone(), kept });
        self.pieces_version = line.to;
        Ok(None)
    }
}

fn same_length(rows: usize, places: usize) -> Result<(), Broken> {
    if rows == places {
        Ok(())
    } else {
        Err(Broken::malformed(format!("{rows} rows are placed at {places} positions")))
    }
}

fn kind_of(event: &Wire) -> &'static str {
    match event {
        Wire::Begin(_) => "begin",
        Wire::SnapshotRows(_) => "snapshot_rows",
        Wire::SnapshotEnd(_) => "snapshot_end",
        Wire::Changes(_) => "changes",
        Wire::Progress(_) => "progress",
        Wire::Lagged(_) => "lagged",
        Wire::Reset(_) => "reset",
        Wire::SessionChanged(_) => "session_changed",
    }
}
