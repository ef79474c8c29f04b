//! What can go wrong, as one type.
//!
//! Every refusal of a server is a gRPC status with `google.rpc` details. [`Error`] holds its code, its reason from the
//! closed list of `docs/ERRORS.md` (new ones may come: it is a text), and what the details say. The client itself uses the
//! same type, with the same reasons, for what it can refuse without asking.

use std::collections::HashMap;
use std::error::Error as _;
use std::fmt;
use std::time::Duration;

use prost::Message;
use tonic::{Code, Status};

use crate::proto;

/// The result of everything that this crate does.
pub type Result<T> = std::result::Result<T, Error>;

/// A failed call, or a mirror that ended. Cheap to move; clone it to keep it.
#[derive(Clone, Debug)]
pub struct Error(Box<Parts>);

/// What an [`Error`] holds.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Parts {
    /// The number of the gRPC status.
    pub code: i32,
    /// What is wrong, for people.
    pub message: String,
    /// The reason from the closed list of the server, for programs; empty when it gave none.
    pub reason: String,
    /// The field of the request that is to blame; empty when none is.
    pub field: String,
    /// What to do about it, for people; may be empty.
    pub hint: String,
    /// The line of an expression that is to blame, from 1.
    pub line: Option<u32>,
    /// How long to wait before it is tried again, where the server says so.
    pub retry_after: Option<Duration>,
    /// The type of what is to blame (a table, a session, a hub) and its resource name.
    pub resource: Option<(String, String)>,
    /// Why single rows refused a commit: the first of them.
    pub row_errors: Vec<proto::RowError>,
    /// The number of rows that refused it.
    pub row_error_count: u64,
    /// Every field that is to blame, with what is wrong with it.
    pub fields: Vec<(String, String)>,
    /// What else the server said: limits, the role that is needed, and others.
    pub metadata: HashMap<String, String>,
}

impl std::ops::Deref for Error {
    type Target = Parts;

    fn deref(&self) -> &Parts {
        &self.0
    }
}

impl Error {
    /// An error of this client's own.
    pub(crate) fn new(code: Code, reason: &str, message: impl Into<String>) -> Self {
        Self(Box::new(Parts { code: code.into(), reason: reason.into(), message: message.into(), ..Parts::default() }))
    }

    /// What the client refuses without asking, under the reason that the server would give.
    pub(crate) fn invalid(reason: &str, message: impl Into<String>, field: &str) -> Self {
        let mut error = Self::new(Code::InvalidArgument, reason, message);
        error.0.field = field.into();
        error
    }

    /// The code of the status.
    pub fn code(&self) -> Code {
        Code::from(self.code)
    }

    /// The name of the code as the protocol writes it: `ALREADY_EXISTS`.
    pub fn code_name(&self) -> String {
        let name = format!("{:?}", self.code());
        let starts = |(at, letter): (usize, char)| at > 0 && name != "Ok" && letter.is_ascii_uppercase();
        let spaced = name.char_indices().map(|at| format!("{}{}", if starts(at) { "_" } else { "" }, at.1));
        spaced.collect::<String>().to_uppercase()
    }

    /// Whether it is likely to pass by itself, so that what may be sent twice is worth sending again: the server cannot be
    /// reached, or says when to come back.
    pub fn passes(&self) -> bool {
        match self.code() {
            Code::Unavailable => true,
            Code::ResourceExhausted => self.retry_after.is_some(),
            _ => false,
        }
    }

    /// Whether another attempt to watch cannot mend it. (A limit can be one that only this request exceeds.)
    pub(crate) fn is_final(&self) -> bool {
        use Code::*;
        let code = self.code();
        let request = matches!(code, InvalidArgument | NotFound | AlreadyExists | FailedPrecondition | OutOfRange);
        request || matches!(code, Unimplemented | Unauthenticated | PermissionDenied)
    }

    fn read_details(&mut self, raw: &[u8]) -> std::result::Result<(), prost::DecodeError> {
        for detail in rpc::Status::decode(raw)?.details {
            let bytes = detail.value.as_slice();
            match detail.type_url.rsplit('/').next().unwrap_or_default() {
                "google.rpc.ErrorInfo" => {
                    let info = rpc::ErrorInfo::decode(bytes)?;
                    let told = |key: &str| info.metadata.get(key).cloned().unwrap_or_default();
                    (self.0.reason, self.0.hint, self.0.line) =
                        (info.reason.clone(), told("hint"), told("line").parse().ok());
                    if self.0.field.is_empty() {
                        self.0.field = told("field");
                    }
                    self.0.metadata = info.metadata;
                }
                "google.rpc.BadRequest" => {
                    let request = rpc::BadRequest::decode(bytes)?;
                    self.0.fields = request.field_violations.into_iter().map(|v| (v.field, v.description)).collect();
                    if let Some((field, _)) = self.0.fields.first() {
                        self.0.field = field.clone();
                    }
                }
                "google.rpc.ResourceInfo" => {
                    let info = rpc::ResourceInfo::decode(bytes)?;
                    self.0.resource = Some((info.resource_type, info.resource_name));
                }
                "google.rpc.RetryInfo" => {
                    let delay = rpc::RetryInfo::decode(bytes)?.retry_delay;
                    self.0.retry_after = delay.and_then(|delay| Duration::try_from(delay).ok());
                }
                "tesseract.v1.RowErrors" => {
                    let rows = proto::RowErrors::decode(bytes)?;
                    (self.0.row_errors, self.0.row_error_count) = (rows.errors, rows.total);
                }
                _ => {} // of a later version of the server
            }
        }
        Ok(())
    }
}

/// A status of a server, or of the transport. What the transport says by itself is brought to the codes that other clients
/// see: a connection that breaks is UNAVAILABLE, a deadline that passes is DEADLINE_EXCEEDED.
impl From<Status> for Error {
    fn from(status: Status) -> Self {
        let expired = status.source().is_some() && status.message() == tonic::TimeoutExpired(()).to_string();
        let too_large = status.code() == Code::OutOfRange && status.message().contains("message length too large");
        let code = match status.code() {
            _ if expired => Code::DeadlineExceeded,
            _ if status.source().is_some() => Code::Unavailable,
            _ if too_large && status.details().is_empty() => Code::ResourceExhausted,
            code => code,
        };
        let mut message = status.message().to_owned();
        let mut source = status.source().filter(|_| code == Code::Unavailable);
        while let Some(cause) = source {
            let text = cause.to_string();
            if !message.contains(&text) {
                message = format!("{message}: {text}");
            }
            source = cause.source();
        }
        let mut error = Self::new(code, "", message);
        let _ = error.read_details(status.details()); // what cannot be read is left out
        error
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.message)?;
        let field = format!("field {}", self.field);
        let named: Vec<&str> = [self.reason.as_str(), field.as_str()]
            .into_iter()
            .filter(|text| {
                !text.is_empty() && *text != "field " && (*text != field || !self.message.contains(&self.field))
            })
            .collect();
        if named.is_empty() { Ok(()) } else { write!(f, " ({})", named.join(", ")) }
    }
}

impl std::error::Error for Error {}

/// The messages of `google/rpc/status.proto` and `error_details.proto` that a server of ours sends.
mod rpc {
    use std::collections::HashMap;

    #[derive(Clone, PartialEq, prost::Message)]
    pub struct Status {
        #[prost(message, repeated, tag = "3")]
        pub details: Vec<prost_types::Any>,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub struct ErrorInfo {
        #[prost(string, tag = "1")]
        pub reason: String,
        #[prost(map = "string, string", tag = "3")]
        pub metadata: HashMap<String, String>,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub struct BadRequest {
        #[prost(message, repeated, tag = "1")]
        pub field_violations: Vec<FieldViolation>,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub struct FieldViolation {
        #[prost(string, tag = "1")]
        pub field: String,
        #[prost(string, tag = "2")]
        pub description: String,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub struct ResourceInfo {
        #[prost(string, tag = "1")]
        pub resource_type: String,
        #[prost(string, tag = "2")]
        pub resource_name: String,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub struct RetryInfo {
        #[prost(message, optional, tag = "1")]
        pub retry_delay: Option<prost_types::Duration>,
    }
}
