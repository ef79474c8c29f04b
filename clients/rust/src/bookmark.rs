//! What a mirror holds at one consistent point, to be kept elsewhere and given to another mirror later.
//!
//! Its bytes are the same in every language: they are the stream that would have led to these rows (`begin`,
//! `snapshot_rows`, `snapshot_end` with the resume token), each response with its length before it. To read one is to play
//! it to the feed: what is in a file is checked as strictly as what comes from a server.

use prost::Message;
use prost::bytes::Buf;

use crate::batch::batch_of;
use crate::error::{Error, Result};
use crate::feed::{Feed, Phase, Point, Told};
use crate::proto::watch_session_response::Event as Wire;
use crate::proto::{self, WatchSessionResponse};
use crate::view::{Replica, View};

/// Rows in one piece of the bytes.
const PIECE_ROWS: usize = 10_000;

/// The rows of a mirror at one consistent point, and the token that leads on from there.
#[derive(Clone, Debug)]
pub struct Bookmark {
    pub(crate) view: View,
    pub(crate) token: Vec<u8>,
}

impl Bookmark {
    /// The rows.
    pub fn view(&self) -> &View {
        &self.view
    }

    /// What the server goes on from; empty when the rows were in doubt. Then a mirror begins with a snapshot.
    pub fn token(&self) -> &[u8] {
        &self.token
    }

    /// The bytes, to be written to a file.
    pub fn to_bytes(&self) -> Result<Vec<u8>> {
        let view = &self.view;
        let mut bytes = Vec::new();
        let column = |column: &proto::Column| proto::Column {
            name: column.name.clone(),
            r#type: column.r#type,
            primary_key: column.primary_key,
            ..Default::default()
        };
        let columns = view.columns().iter().map(column).collect();
        let epoch = view.epoch().to_owned();
        self.put(&mut bytes, Wire::Begin(proto::Begin { epoch, columns, ..Default::default() }));
        let rows: Vec<&[crate::Value]> = view.values().map(|row| &row[..]).collect();
        for (at, piece) in rows.chunks(PIECE_ROWS).enumerate() {
            let names = view.columns().iter().map(|column| column.name.as_str());
            let rows = Some(batch_of(names, piece.len(), |row, column| &piece[row][column], view.columns())?);
            let start_index = (at * PIECE_ROWS) as u64;
            self.put(&mut bytes, Wire::SnapshotRows(proto::SnapshotRows { rows, start_index }));
        }
        let (row_count, total_count) = (view.len() as u64, view.total_count());
        self.put(&mut bytes, Wire::SnapshotEnd(proto::SnapshotEnd { row_count, total_count }));
        Ok(bytes)
    }

    fn put(&self, bytes: &mut Vec<u8>, event: Wire) {
        let version = self.view.version();
        let last = matches!(event, Wire::SnapshotEnd(_));
        let response = WatchSessionResponse {
            from_version: version,
            to_version: version,
            continued: !last,
            resume_token: if last { self.token.clone() } else { Vec::new() },
            event: Some(event),
            ..Default::default()
        };
        bytes.extend(response.encode_length_delimited_to_vec());
    }

    /// Reads what `to_bytes` has made, of this client or of another. What is not whole is refused.
    pub fn from_bytes(mut bytes: &[u8]) -> Result<Self> {
        let refused =
            |text: &str| Error::invalid("MALFORMED_REQUEST", format!("not a whole bookmark: {text}"), "bookmark");
        let (mut point, mut feed, mut view) = (Point::default(), Feed::new("first", false), View::default());
        while bytes.has_remaining() {
            if feed.phase == Phase::Live {
                return Err(refused("something follows its rows"));
            }
            let response = WatchSessionResponse::decode_length_delimited(&mut bytes);
            let response = response.map_err(|error| refused(&error.to_string()))?;
            match feed.receive(&mut point, response).map_err(|broken| refused(&broken.message))? {
                None => {}
                Some(Told::Snapshot(snapshot)) => {
                    Replica::default().load(&mut view, snapshot).map_err(|broken| refused(&broken.message))?;
                }
                Some(_) => return Err(refused("it holds something else than a snapshot")),
            }
        }
        if feed.phase != Phase::Live {
            return Err(refused("it ends too early"));
        }
        Ok(Self { view, token: point.token().to_vec() })
    }

    /// Where a watch is that goes on from it; no server has answered yet.
    pub(crate) fn point(&self) -> Point {
        let (epoch, columns) = (self.view.epoch().to_owned(), self.view.columns.clone());
        let mut point = Point::default();
        (point.epoch, point.columns) = (epoch, columns);
        point.arrive(self.view.version(), self.token.clone());
        point
    }
}
