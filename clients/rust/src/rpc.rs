//! The connection and its calls: metadata, deadlines, retries.
//!
//! All calls go through bytes and as streams: on the wire a call with one response is a stream of one, so that one piece of
//! code serves all of them. A connection that went silent is replaced: what hangs in
//! it would hang until TCP gives up, and every new call behind it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use prost::Message;
use prost::bytes::{Buf, BufMut, Bytes};
use tokio::time::{Instant, sleep, timeout_at};
use tonic::client::Grpc;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder, Streaming};
use tonic::metadata::{Ascii, MetadataValue};
use tonic::service::Interceptor;
use tonic::service::interceptor::InterceptedService;
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
    bearer: Bearer,
    /// With its number, which rises by one when a silent channel is replaced.
    channel: Mutex<(u64, Channel)>,
    /// Whether the server has ever answered.
    reached: AtomicBool,
}

impl Rpc {
    pub fn new(address: &str, options: Options) -> Result<Self> {
        let bearer = options.token.as_ref().map(|token| format!("Bearer {}", token.0).parse()).transpose();
        let bearer = bearer
            .map(Bearer)
            .map_err(|_| Error::invalid("MALFORMED_REQUEST", "a token is printable ASCII", "token"))?;
        let addresses: Vec<String> = address.split(',').map(|address| address.trim().to_owned()).collect();
        let channel = Mutex::new((0, options.open(&addresses[0])?));
        Ok(Self(Arc::new(Shared { addresses, options, bearer, channel, reached: AtomicBool::new(false) })))
    }

    pub fn options(&self) -> &Options {
        &self.0.options
    }

    /// The number of the present channel, and the channel.
    pub fn channel(&self) -> (u64, Authorized) {
        let (number, channel) = self.0.channel.lock().unwrap_or_else(PoisonError::into_inner).clone();
        (number, InterceptedService::new(channel, self.0.bearer.clone()))
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
        let answer = self.call_bytes(method, request.encode_to_vec().into(), again).await?;
        A::decode(answer).map_err(|error| unreadable(method, &error.to_string()))
    }

    /// The same in bytes.
    pub async fn call_bytes(&self, method: &str, request: Bytes, again: bool) -> Result<Bytes> {
        let mut answer = self.read(method, request, again, false).await?;
        answer.pop().ok_or_else(|| unreadable(method, "there is none"))
    }

    /// One request, and all of its responses, of which there may be `many`: then each has the whole timeout.
    pub async fn read(&self, method: &str, request: Bytes, again: bool, many: bool) -> Result<Vec<Bytes>> {
        let (retry, deadline) = (&self.options().retry, Instant::now() + self.options().timeout);
        let mut backoff = Backoff::default();
        let mut attempts = 1;
        loop {
            let found = self.attempt(method, request.clone(), (!many).then_some(deadline)).await;
            let answered = found.as_ref().err().is_none_or(|error| error.code() != Code::Unavailable);
            let reached = self.0.reached.fetch_or(answered, Ordering::Relaxed) || answered;
            let Err(error) = found else { return found };
            let patient = retry.attempts > 1 && (reached || attempts < retry.attempts);
            let pause = backoff.next(retry, error.retry_after);
            if !(again && patient && error.passes()) || Instant::now() + pause >= deadline {
                return Err(error);
            }
            sleep(pause).await;
            attempts += 1;
        }
    }

    async fn attempt(&self, method: &str, request: Bytes, deadline: Option<Instant>) -> Result<Vec<Bytes>> {
        let limit = || deadline.unwrap_or_else(|| Instant::now() + self.options().timeout);
        let late = |_| Error::new(Code::DeadlineExceeded, "", format!("{method} was not answered in time"));
        let mut stream = timeout_at(limit(), self.stream(method, request, deadline)).await.map_err(late)??;
        let mut found = Vec::new();
        while let Some(message) = timeout_at(limit(), stream.message()).await.map_err(late)?? {
            found.push(message);
        }
        Ok(found)
    }

    /// One request, and its responses as they come. Drop the stream to end it.
    pub async fn stream(&self, method: &str, request: Bytes, deadline: Option<Instant>) -> Result<Streaming<Bytes>> {
        let mut request = Request::new(request);
        if let Some(deadline) = deadline {
            request.set_timeout(deadline.saturating_duration_since(Instant::now()));
        }
        let (path, (number, channel)) = (path_of(method)?, self.channel());
        let grpc = Grpc::new(channel).max_encoding_message_size(usize::MAX);
        let mut grpc = grpc.max_decoding_message_size(self.options().max_message_bytes);
        let call = async {
            grpc.ready().await.map_err(|error| Status::from_error(error.into()))?;
            grpc.server_streaming(request, path, BytesCodec).await
        };
        call.await.map(tonic::Response::into_inner).map_err(|status| {
            let error = Error::from(status);
            if self.0.addresses.len() > 1 && error.code() == Code::Unavailable {
                self.renew(number); // the next call goes to another server
            }
            error
        })
    }
}

/// Puts the token on every call.
#[derive(Clone, Debug)]
pub struct Bearer(Option<MetadataValue<Ascii>>);

impl Interceptor for Bearer {
    fn call(&mut self, mut request: Request<()>) -> std::result::Result<Request<()>, Status> {
        if let Some(token) = &self.0 {
            request.metadata_mut().insert("authorization", token.clone());
        }
        Ok(request)
    }
}

/// A channel that puts the token on every call.
pub type Authorized = InterceptedService<Channel, Bearer>;

fn unreadable(method: &str, why: &str) -> Error {
    Error::new(Code::Internal, "", format!("the answer of {method} cannot be read: {why}"))
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
