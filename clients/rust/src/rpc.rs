//! The connection and its calls: metadata, deadlines, retries.
//!
//! All calls go through bytes: one piece of code for all of them. A connection that went silent is replaced: what hangs in
//! it would hang until TCP gives up, and every new call behind it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use prost::Message;
use prost::bytes::{Buf, BufMut, Bytes};
use tokio::time::{Instant, sleep, timeout_at};
use tonic::client::Grpc;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder, Streaming};
use tonic::metadata::{Ascii, MetadataValue};
use tonic::transport::Channel;
use tonic::{Code, Request, Status};

use crate::connection::{Backoff, Options};
use crate::error::{Error, Result};

/// The calls of one server. Clones share the connection.
#[derive(Clone, Debug)]
pub(crate) struct Rpc(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    /// One server, or several that are tried in turn.
    addresses: Vec<String>,
    options: Options,
    bearer: Option<MetadataValue<Ascii>>,
    /// With its number, which rises by one when a silent channel is replaced.
    channel: Mutex<(u64, Channel)>,
    /// Whether the server has ever answered.
    reached: AtomicBool,
}

impl Rpc {
    pub fn new(address: &str, options: Options) -> Result<Self> {
        let bearer = options.token.as_ref().map(|token| format!("Bearer {}", token.0).parse()).transpose();
        let bearer = bearer.map_err(|_| Error::invalid("MALFORMED_REQUEST", "a token is printable ASCII", "token"))?;
        let addresses: Vec<String> = address.split(',').map(|address| address.trim().to_owned()).collect();
        let channel = Mutex::new((0, options.open(&addresses[0])?));
        Ok(Self(Arc::new(Shared { addresses, options, bearer, channel, reached: AtomicBool::new(false) })))
    }

    pub fn options(&self) -> &Options {
        &self.0.options
    }

    /// The number of the present channel, and the channel.
    pub fn channel(&self) -> (u64, Channel) {
        self.0.channel.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Replaces the channel with this number by one with a connection of its own, to the next of several servers, unless
    /// that has happened.
    pub fn renew(&self, number: u64) {
        let address = &self.0.addresses[(number as usize + 1) % self.0.addresses.len()];
        let mut present = self.0.channel.lock().unwrap_or_else(PoisonError::into_inner);
        if present.0 == number
            && let Ok(channel) = self.0.options.open(address)
        {
            *present = (number + 1, channel);
        }
    }

    /// One request, one response. `again`: whether it may be sent twice, because it only reads or has a request id.
    pub async fn call<Q: Message, A: Message + Default>(&self, method: &str, request: &Q, again: bool) -> Result<A> {
        let bytes = Bytes::from(request.encode_to_vec());
        let answer = self.call_bytes(method, bytes, again, self.0.options.timeout).await?;
        let unreadable =
            |error| Error::new(Code::Internal, "", format!("the answer of {method} cannot be read: {error}"));
        A::decode(answer).map_err(unreadable)
    }

    pub async fn call_bytes(&self, method: &str, request: Bytes, again: bool, timeout: Duration) -> Result<Bytes> {
        let deadline = Instant::now() + timeout;
        let retry = &self.0.options.retry;
        let mut backoff = Backoff::default();
        let mut attempts = 1;
        loop {
            let error = match self.attempt(method, request.clone(), deadline).await {
                Ok(answer) => {
                    self.0.reached.store(true, Ordering::Relaxed);
                    return Ok(answer);
                }
                Err(error) => error,
            };
            if error.code() != Code::Unavailable {
                self.0.reached.store(true, Ordering::Relaxed);
            }
            let patient = retry.attempts > 1 && (self.0.reached.load(Ordering::Relaxed) || attempts < retry.attempts);
            let pause = backoff.next(retry, error.retry_after);
            if !(again && patient && error.passes()) || Instant::now() + pause >= deadline {
                return Err(error);
            }
            sleep(pause).await;
            attempts += 1;
        }
    }

    async fn attempt(&self, method: &str, request: Bytes, deadline: Instant) -> Result<Bytes> {
        let mut request = self.request(request);
        request.set_timeout(deadline.saturating_duration_since(Instant::now()));
        let path = path_of(method)?;
        let (number, mut grpc) = self.grpc();
        let call = async {
            grpc.ready().await.map_err(|error| Status::from_error(error.into()))?;
            grpc.unary(request, path, BytesCodec).await
        };
        match timeout_at(deadline, call).await {
            Ok(answer) => Ok(answer.map_err(|status| self.failed(number, status))?.into_inner()),
            Err(_) => Err(Error::new(Code::DeadlineExceeded, "", format!("{method} was not answered in time"))),
        }
    }

    /// One request, many responses; there is no deadline. Drop the stream to end it.
    pub async fn stream<Q: Message>(&self, method: &str, request: &Q) -> Result<Streaming<Bytes>> {
        let (request, path) = (self.request(Bytes::from(request.encode_to_vec())), path_of(method)?);
        let (number, mut grpc) = self.grpc();
        let call = async {
            grpc.ready().await.map_err(|error| Status::from_error(error.into()))?;
            grpc.server_streaming(request, path, BytesCodec).await
        };
        Ok(call.await.map_err(|status| self.failed(number, status))?.into_inner())
    }

    /// What a call says that failed. Where there are several servers, the next call goes to another one.
    fn failed(&self, number: u64, status: Status) -> Error {
        let error = Error::from(status);
        if self.0.addresses.len() > 1 && error.code() == Code::Unavailable {
            self.renew(number);
        }
        error
    }

    fn grpc(&self) -> (u64, Grpc<Channel>) {
        let (number, channel) = self.channel();
        let grpc = Grpc::new(channel).max_decoding_message_size(self.0.options.max_message_bytes);
        (number, grpc.max_encoding_message_size(usize::MAX))
    }

    fn request(&self, message: Bytes) -> Request<Bytes> {
        let mut request = Request::new(message);
        if let Some(bearer) = &self.0.bearer {
            request.metadata_mut().insert("authorization", bearer.clone());
        }
        request
    }
}

fn path_of(method: &str) -> Result<tonic::codegen::http::uri::PathAndQuery> {
    let wrong = |_| Error::invalid("MALFORMED_REQUEST", format!("'{method}' is not the path of a method"), "method");
    format!("/tesseract.v1.{method}").parse().map_err(wrong)
}

/// Messages as bytes, which are copied once each way.
#[derive(Clone, Copy)]
struct BytesCodec;

impl Codec for BytesCodec {
    type Encode = Bytes;
    type Decode = Bytes;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        *self
    }

    fn decoder(&mut self) -> Self {
        *self
    }
}

impl Encoder for BytesCodec {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, item: Bytes, buffer: &mut EncodeBuf<'_>) -> std::result::Result<(), Status> {
        buffer.put(item);
        Ok(())
    }
}

impl Decoder for BytesCodec {
    type Item = Bytes;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> std::result::Result<Option<Bytes>, Status> {
        Ok(Some(buffer.copy_to_bytes(buffer.remaining())))
    }
}
