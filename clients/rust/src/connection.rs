//! How to reach a server.
//!
//! What is set here and why: calls that may be sent twice are sent again while the server is away, until their deadline
//! (not by gRPC's own policy, which knows no RetryInfo). The windows of HTTP/2 are small, so that the server can tell when
//! a reader is slow. Pings find a peer that hangs.

use std::path::{Path, PathBuf};
use std::time::Duration;

use tonic::transport::{Channel, Endpoint};

use crate::error::{Error, Result};

/// What a stream may send ahead of its reader, in bytes.
const STREAM_WINDOW: u32 = 256 << 10;

/// What all streams of a connection may send ahead: enough that some that stand still do not hold up the others.
const CONNECTION_WINDOW: u32 = 8 << 20;

/// The headers of a response hold the first errors of a refused commit.
const MAX_HEADER_BYTES: u32 = 64 << 10;

/// How to connect.
#[derive(Clone, Debug)]
pub struct Options {
    /// The id of the hub.
    pub hub: String,
    /// Goes with every call, as `authorization: Bearer`.
    pub token: Option<Token>,
    /// Encryption; without it, everything travels in the clear.
    pub tls: Option<Tls>,
    /// How long a call may take in all, retries included.
    pub timeout: Duration,
    /// After how much silence a connection is probed.
    pub keepalive: Duration,
    /// How long the answer to a probe may take.
    pub keepalive_timeout: Duration,
    /// What happens while the server cannot be reached.
    pub retry: Retry,
    /// The largest message that is accepted from the server, in bytes.
    pub max_message_bytes: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            hub: "default".into(),
            token: None,
            tls: None,
            timeout: Duration::from_secs(30),
            keepalive: Duration::from_secs(8),
            keepalive_timeout: Duration::from_secs(4),
            retry: Retry::default(),
            max_message_bytes: 64 << 20,
        }
    }
}

/// A secret that is not shown where options are printed.
#[derive(Clone)]
pub struct Token(pub String);

impl<T: Into<String>> From<T> for Token {
    fn from(text: T) -> Self {
        Self(text.into())
    }
}

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Token(..)")
    }
}

/// Encryption. With nothing given, the server's certificate must be signed by an authority of the system.
#[derive(Clone, Debug, Default)]
pub struct Tls {
    /// The authorities that may sign the server's certificate (a PEM file).
    pub ca_file: Option<PathBuf>,
    /// The client's certificate (a PEM file), where the server asks for one.
    pub cert_file: Option<PathBuf>,
    /// Its key (a PEM file).
    pub key_file: Option<PathBuf>,
    /// The name that the server's certificate must have, when it is not that of the address.
    pub server_name: Option<String>,
}

/// How often and how patiently calls and mirrors are tried again while the server cannot be reached.
#[derive(Clone, Debug)]
pub struct Retry {
    /// How often a call is sent at most before the server has ever answered, so that a wrong address is soon told; 1 turns
    /// retries off. A server that has answered once is waited for until the deadline of the call.
    pub attempts: u32,
    /// The first pause, at most. Pauses are random below a limit that doubles.
    pub initial_backoff: Duration,
    /// The longest pause. What the server asks for (RetryInfo) comes on top.
    pub max_backoff: Duration,
    /// After how long without a stream a mirror ends with UNAVAILABLE. Default: it tries for ever.
    pub give_up_after: Option<Duration>,
}

impl Default for Retry {
    fn default() -> Self {
        let (initial_backoff, max_backoff) = (Duration::from_millis(100), Duration::from_secs(5));
        Self { attempts: 4, initial_backoff, max_backoff, give_up_after: None }
    }
}

impl Options {
    /// A channel to `address` (`host:port`). Nothing is sent before the first call.
    pub(crate) fn open(&self, address: &str) -> Result<Channel> {
        let positive = [("timeout", self.timeout), ("keepalive", self.keepalive)];
        if let Some((name, _)) = positive.iter().find(|(_, time)| time.is_zero()) {
            return Err(malformed(format!("{name} must be above 0"), name));
        }
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        let wrong = |error| malformed(format!("an address is a text such as localhost:50051: {error}"), "address");
        let endpoint = Endpoint::from_shared(format!("{scheme}://{address}"))
            .map_err(wrong)?
            .connect_timeout(self.timeout)
            .http2_keep_alive_interval(self.keepalive)
            .keep_alive_timeout(self.keepalive_timeout)
            .keep_alive_while_idle(true)
            .initial_stream_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .http2_max_header_list_size(MAX_HEADER_BYTES)
            .tcp_nodelay(true);
        Ok(self.encrypted(endpoint)?.connect_lazy())
    }

    #[cfg(feature = "tls")]
    fn encrypted(&self, endpoint: Endpoint) -> Result<Endpoint> {
        use tonic::transport::{Certificate, ClientTlsConfig, Identity};
        let Some(tls) = &self.tls else { return Ok(endpoint) };
        let mut config = ClientTlsConfig::new();
        config = match &tls.ca_file {
            Some(file) => config.ca_certificate(Certificate::from_pem(read(file)?)),
            None => config.with_native_roots(),
        };
        match (&tls.cert_file, &tls.key_file) {
            (Some(cert), Some(key)) => config = config.identity(Identity::from_pem(read(cert)?, read(key)?)),
            (None, None) => {}
            _ => return Err(malformed("a client certificate needs both cert_file and key_file".into(), "tls")),
        }
        if let Some(name) = &tls.server_name {
            config = config.domain_name(name);
        }
        endpoint
            .tls_config(config)
            .map_err(|error| malformed(format!("the encryption cannot be set up: {error}"), "tls"))
    }

    #[cfg(not(feature = "tls"))]
    fn encrypted(&self, endpoint: Endpoint) -> Result<Endpoint> {
        let _ = read as fn(&Path) -> Result<Vec<u8>>;
        if self.tls.is_some() {
            Err(malformed("this crate was built without its feature tls".into(), "tls"))
        } else {
            Ok(endpoint)
        }
    }
}

fn malformed(message: String, field: &str) -> Error {
    Error::invalid("MALFORMED_REQUEST", message, field)
}

fn read(path: &Path) -> Result<Vec<u8>> {
    std::fs::read(path).map_err(|error| malformed(format!("{}: {error}", path.display()), "tls"))
}

/// Pauses between attempts: exponential, with full jitter, so that a thousand clients do not return at once.
#[derive(Debug, Default)]
pub(crate) struct Backoff {
    failures: i32,
}

impl Backoff {
    /// How long to wait after one more failure; never less than the server asked for, and then too not the same for
    /// everybody.
    pub fn next(&mut self, retry: &Retry, at_least: Option<Duration>) -> Duration {
        let limit = retry.max_backoff.min(retry.initial_backoff.mul_f64(2f64.powi(self.failures)));
        self.failures = (self.failures + 1).min(30);
        limit.mul_f64(random_share()) + at_least.unwrap_or_default()
    }

    /// After a success.
    pub fn reset(&mut self) {
        self.failures = 0;
    }
}

/// Random bytes; without a source of randomness, nothing that is to be unique would be.
fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    getrandom::getrandom(&mut bytes).expect("the system has random numbers");
    bytes
}

/// A random number from 0 up to 1.
fn random_share() -> f64 {
    (u64::from_le_bytes(random()) >> 11) as f64 / (1u64 << 53) as f64
}

/// A name that nobody else has, so that a request which is sent again is not done again.
pub(crate) fn new_request_id() -> String {
    format!("{:032x}", u128::from_le_bytes(random()))
}
