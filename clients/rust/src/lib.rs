//! Live tables, queries and self-healing mirrors: the client of Tesseract gRPC.
//!
//! ```no_run
//! use tesseract::{Column, DataType, Hub, MirrorOptions, Query, row};
//!
//! # async fn run() -> tesseract::Result<()> {
//! let hub = Hub::connect("localhost:50051").await?;
//! let people = hub.create_table("people", [
//!     Column::new("id", DataType::Int64).key(),
//!     Column::new("name", DataType::String),
//! ]).await?;
//! let session = hub.create_session(Some("by_name"), Query::of("people").by("name")).await?;
//! let mirror = session.mirror(MirrorOptions::default());
//! let version = people.insert(row! {"id" => 1, "name" => "Ada"}).await?;
//! mirror.wait_for(version).await?; // the rows are here, and follow every commit
//! for row in mirror.view().rows() {
//!     println!("{:?}", row["name"]);
//! }
//! # Ok(())
//! # }
//! ```
//!
//! A [`Hub`] is the connection; it makes [`Table`]s, which write, and [`Session`]s, which are live queries. A [`Mirror`]
//! keeps the rows of a session in memory and heals by itself; [`Events`] tell what happens to it. Everything that can go
//! wrong is an [`Error`]. What has no words here is in [`proto`]: the messages, and clients of every service.
#![forbid(unsafe_code)]
#![warn(missing_docs)]

mod batch;
mod bookmark;
mod connection;
mod digest;
mod error;
mod event;
mod feed;
mod hub;
mod mirror;
pub mod proto;
mod query;
mod row;
mod rpc;
mod session;
mod table;
#[cfg(test)]
mod tests;
mod value;
mod view;
mod watch;

pub use batch::{IntoBatch, Record};
pub use bookmark::Bookmark;
pub use connection::{Options, Retry, Tls, Token};
pub use error::{Error, Parts, Result};
pub use event::{Change, Delta, Edited, Event, State};
pub use hub::Hub;
pub use mirror::{Events, Mirror, MirrorOptions};
pub use proto::{Column, DataType, Delivery, OnLag, Query, Window};
pub use row::{Columns, Key, Row, Rows};
pub use rpc::{Authorized, Bearer};
pub use session::Session;
pub use table::Table;
pub use tonic::Code;
pub use value::{Timestamp, Value};
pub use view::View;

/// The program of the README compiles.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
