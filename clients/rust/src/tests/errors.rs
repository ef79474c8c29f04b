//! Errors: what a status says, and what the transport says by itself.

use std::time::Duration;

use prost::Message;
use tonic::metadata::MetadataMap;
use tonic::{Code, Status};

use crate::Error;
use crate::connection::{Options, Tls};

#[derive(Clone, PartialEq, Message)]
struct Detailed {
    #[prost(message, repeated, tag = "3")]
    details: Vec<prost_types::Any>,
}

#[test]
fn details_of_a_later_server_are_left_out() {
    let any = |name: &str, value: Vec<u8>| prost_types::Any { type_url: format!("type.googleapis.com/{name}"), value };
    // RetryInfo of 1.5 s: field 1, a Duration of 1 s and 500,000,000 ns.
    let retry = prost_types::Duration { seconds: 1, nanos: 500_000_000 }.encode_to_vec();
    let retry = [vec![10, retry.len() as u8], retry].concat();
    let details = Detailed { details: vec![any("google.rpc.Unknown", vec![255]), any("google.rpc.RetryInfo", retry)] };
    let bytes = details.encode_to_vec().into();
    let error = Error::from(Status::with_details(Code::ResourceExhausted, "full", bytes));
    assert_eq!(error.retry_after, Some(Duration::from_millis(1_500)));
    assert!(error.passes() && !error.is_final() && error.code_name() == "RESOURCE_EXHAUSTED");
    let garbage = Error::from(Status::with_details(Code::NotFound, "gone", vec![255u8; 9].into()));
    assert_eq!((garbage.to_string().as_str(), garbage.is_final()), ("gone", true));
}

#[test]
fn a_connection_that_breaks_is_unavailable() {
    let mut status = Status::with_metadata(Code::Unknown, "transport error", MetadataMap::new());
    status.set_source(std::sync::Arc::new(std::io::Error::other("reset by peer")));
    let error = Error::from(status);
    assert_eq!((error.code(), error.to_string().as_str()), (Code::Unavailable, "transport error: reset by peer"));
    assert_eq!(Error::from(Status::new(Code::Unknown, "of the server")).code(), Code::Unknown);
}

#[test]
fn an_error_reads_well() {
    let error = Error::invalid("WRONG_TYPE", "no number", "price");
    assert_eq!(error.to_string(), "no number (WRONG_TYPE, field price)");
    assert_eq!(
        Error::invalid("WRONG_TYPE", "price is no number", "price").to_string(),
        "price is no number (WRONG_TYPE)"
    );
    assert_eq!(Error::new(Code::Ok, "", "").code_name(), "OK");
}

#[tokio::test]
async fn options_that_make_no_sense_are_refused() {
    let refused = |options: Options, address: &str| options.open(address).expect_err("refused").field.clone();
    assert_eq!(refused(Options { timeout: Duration::ZERO, ..Options::default() }, "localhost:1"), "timeout");
    assert_eq!(refused(Options::default(), "not an address"), "address");
    let tls = Some(Tls { ca_file: Some("/does/not/exist".into()), ..Tls::default() });
    assert_eq!(refused(Options { tls, ..Options::default() }, "localhost:1"), "tls");
}
