//! Client of Tesseract gRPC.
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
pub use session::Session;
pub use table::Table;
pub use tonic::Code;
pub use value::{Timestamp, Value};
pub use view::View;
