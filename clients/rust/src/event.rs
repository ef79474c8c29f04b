//! What a mirror tells: one event a consistent point, and what happens to the stream in between.

use std::sync::Arc;

use crate::proto::RemoveReason;
use crate::row::{Columns, Key, Row};
use crate::value::Value;
use crate::view::View;

/// What a reader may believe of the rows of a mirror.
///
/// ```text
/// Connecting --current--> Live --lost--> Stale --current--> Live
/// any --ended--> Ended
/// ```
///
/// `current` is a consistent point. `lost` is everything after which it is not known any more whether the rows are the
/// answer: a stream that broke, went silent for three intervals, was reset by the server, or broke the contract.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum State {
    /// There is nothing to show yet.
    Connecting,
    /// The rows are the answer as of the last message.
    Live,
    /// The rows are those of an earlier version; they are kept until newer ones stand.
    Stale,
    /// No more will come: the mirror was closed, or met an error that another attempt cannot mend.
    Ended,
}

impl std::fmt::Display for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Connecting => "connecting",
            Self::Live => "live",
            Self::Stale => "stale",
            Self::Ended => "ended",
        })
    }
}

/// What happened to a mirror. Clones share what they hold.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Event {
    /// The rows were replaced by a complete snapshot.
    Snapshot {
        /// The rows at this point.
        view: View,
        /// Why it was sent: `first`, or the reason of the interruption before it.
        reason: String,
    },
    /// The rows were led from one version to another.
    Delta {
        /// The rows after it.
        view: View,
        /// What changed.
        delta: Arc<Delta>,
    },
    /// The state is another one.
    State(State),
    /// A stream was given up, or reset by the server. The rows stay until newer ones stand.
    Interrupted {
        /// One word: reconnected (the connection broke), ended, silence, gap, disorder, malformed, unknown_event, digest,
        /// token_refused, or the server's reason for a reset: too_old, other_epoch, definition_changed, lagged,
        /// table_changed.
        reason: String,
        /// The same for people.
        message: String,
        /// The version up to which the rows are exact.
        version: u64,
        /// Whether the next stream is asked to go on from there; otherwise it begins with a snapshot.
        resumes: bool,
    },
    /// A new stream goes on where the last one broke, without a snapshot: nothing was lost.
    Resumed {
        /// From which version.
        version: u64,
    },
    /// The reader was slow: so many commits are told as one net change. The rows stay exact.
    Lagged {
        /// The version of the rows.
        version: u64,
        /// How many commits will not be seen one by one.
        skipped_commits: u64,
    },
}

/// Everything that changed between two versions.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Delta {
    /// The version before.
    pub from_version: u64,
    /// The version after.
    pub version: u64,
    /// The number of rows of the whole result after it.
    pub total_count: u64,
    /// How many commits were folded into this one because the reader was slow; the net effect is exact.
    pub skipped_commits: u64,
    /// Set when the session was edited, or what it reads was altered: rows have other columns after it.
    pub edited: Option<Edited>,
    /// What happened to single rows, in the order in which it is to be applied: removes, updates, moves, inserts.
    pub changes: Vec<Change>,
}

/// Other columns.
#[derive(Clone, Debug)]
pub struct Edited {
    /// Which edit of the session it was.
    pub generation: u64,
    /// The columns after it.
    pub columns: Arc<Columns>,
    /// For each of them its place before, if rows keep its value; all others are among the updates.
    pub(crate) kept: Vec<Option<usize>>,
}

/// What happened to one row. Positions are those in the window after the whole delta.
#[derive(Clone, Debug)]
pub enum Change {
    /// It left.
    Remove {
        /// What names it.
        key: Key,
        /// Why; `Unspecified` for a reason of a later version of the server.
        reason: RemoveReason,
    },
    /// It has other values in some columns.
    Update {
        /// What names it.
        key: Key,
        /// The new values, with the places of their columns.
        values: Vec<(usize, Value)>,
    },
    /// It has another place.
    Move {
        /// What names it.
        key: Key,
        /// Its position.
        index: u32,
    },
    /// It came.
    Insert {
        /// What names it.
        key: Key,
        /// The complete row.
        row: Row,
        /// Its position.
        index: u32,
    },
}
