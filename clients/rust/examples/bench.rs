//! How fast this client is, beside its stubs: clients/BENCH.md says what each mode measures.
//!
//! Usage: cargo run --release --example bench -- --mode write --address 127.0.0.1:50051 --table trades

use std::collections::HashMap;
use std::time::{Duration, Instant};

use serde_json::{Value as Json, json};
use tesseract::proto::session_service_client::SessionServiceClient;
use tesseract::proto::table_service_client::TableServiceClient;
use tesseract::proto::watch_session_response::Event;
use tesseract::proto::{WatchSessionRequest, WriteRequest};
use tesseract::{Hub, MirrorOptions, Options, Record, Timestamp, row};

type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

const MAX_MESSAGE_BYTES: usize = 64 << 20;

/// The arguments, by name.
struct Given(HashMap<String, String>);

impl Given {
    fn read() -> Self {
        let words: Vec<String> = std::env::args().skip(1).collect();
        let pairs = words.chunks_exact(2).map(|pair| (pair[0].trim_start_matches('-').to_owned(), pair[1].clone()));
        Self(pairs.collect())
    }

    fn text(&self, name: &str) -> Outcome<&str> {
        Ok(self.0.get(name).ok_or_else(|| format!("--{name} is missing"))?)
    }

    fn number(&self, name: &str, default: u64) -> Outcome<u64> {
        self.0.get(name).map_or(Ok(default), |text| Ok(text.parse()?))
    }

    fn time(&self) -> Outcome<Duration> {
        Ok(Duration::from_secs_f64(self.0.get("seconds").map_or("3", String::as_str).parse()?))
    }
}

/// The row with this id.
fn row_of(i: u64) -> Record {
    row! {
        "id" => i as i64,
        "symbol" => format!("S{}", i % 1_000),
        "side" => if i.is_multiple_of(2) { "buy" } else { "sell" },
        "price" => (i * 7_919 % 100_000) as f64 / 100.0,
        "qty" => (i % 1_000 + 1) as i64,
        "ts" => Timestamp(1_700_000_000_000_000 + i as i64),
        "trader" => format!("T{}", i % 200),
        "active" => i.is_multiple_of(3),
    }
}

fn batches(given: &Given) -> Outcome<Vec<Vec<Record>>> {
    let (rows, batch) = (given.number("rows", 100_000)?, given.number("batch", 1_000)?);
    Ok((0..rows / batch).map(|at| (at * batch..(at + 1) * batch).map(row_of).collect()).collect())
}

/// Writes all batches once, and then again and again until the time is over.
async fn write_batches<B>(given: &Given, batches: &[B], send: impl AsyncFn(&B) -> Outcome<u64>) -> Outcome<Json> {
    for batch in batches {
        send(batch).await?;
    }
    let (started, time, mut rows) = (Instant::now(), given.time()?, 0);
    for batch in batches.iter().cycle() {
        let version = send(batch).await?;
        rows += given.number("batch", 1_000)?;
        if started.elapsed() >= time {
            return Ok(json!({"rows": rows, "seconds": started.elapsed().as_secs_f64(), "version": version}));
        }
    }
    Err("there are no rows".into())
}

async fn write(given: &Given, hub: &Hub) -> Outcome<Json> {
    let (table, batches) = (hub.table(given.text("table")?).await?, batches(given)?);
    write_batches(given, &batches, async |batch| Ok(table.upsert(batch.as_slice()).await?)).await
}

async fn raw_write(given: &Given, hub: &Hub) -> Outcome<Json> {
    let table = hub.table(given.text("table")?).await?;
    let request =
        |batch: Vec<Record>| Ok(WriteRequest { operations: vec![table.upserting(batch)?], ..WriteRequest::default() });
    let requests: Vec<_> = batches(given)?.into_iter().map(request).collect::<tesseract::Result<_>>()?;
    let stub = TableServiceClient::new(hub.channel()).max_encoding_message_size(MAX_MESSAGE_BYTES);
    let send = async |request: &WriteRequest| Ok(stub.clone().write(request.clone()).await?.into_inner().version);
    write_batches(given, &requests, send).await
}

/// Repeats until the time is over; the first time is not counted. Returns the number, their time, and what the last one made.
async fn repeat<T>(given: &Given, once: impl AsyncFn() -> Outcome<(Duration, T)>) -> Outcome<(Json, T)> {
    once().await?;
    let (mut repetitions, mut taken, time) = (0, Duration::ZERO, given.time()?);
    loop {
        let (duration, made) = once().await?;
        (repetitions, taken) = (repetitions + 1, taken + duration);
        if taken >= time {
            return Ok((json!({"repetitions": repetitions, "seconds": taken.as_secs_f64()}), made));
        }
    }
}

/// A mirror until it is ready, or with `version`, from there until it has reached that.
async fn mirror(given: &Given, hub: &Hub, version: Option<u64>) -> Outcome<Json> {
    let session = hub.session(given.text("session")?).await?;
    let (mut found, view) = repeat(given, async || {
        let opened = Instant::now();
        let mirror = session.mirror(MirrorOptions::default());
        mirror.ready().await?;
        let mut taken = opened.elapsed();
        if let Some(version) = version {
            let ready = Instant::now();
            mirror.wait_for(version).await?;
            taken = ready.elapsed();
        }
        Ok((taken, mirror.view()))
    })
    .await?;
    found["rows"] = view.len().into();
    found["digest"] = view.digest().iter().map(|byte| format!("{byte:02x}")).collect::<String>().into();
    Ok(found)
}

/// The same stream through the stub.
async fn raw_mirror(given: &Given, hub: &Hub, version: Option<u64>) -> Outcome<Json> {
    let name = hub.session(given.text("session")?).await?.name();
    let stub = SessionServiceClient::new(hub.channel()).max_decoding_message_size(MAX_MESSAGE_BYTES);
    let (mut found, messages) = repeat(given, async || {
        let (mut from, mut ready, mut messages) = (Instant::now(), false, 0);
        let request = WatchSessionRequest { name: name.clone(), ..WatchSessionRequest::default() };
        let mut stream = stub.clone().watch_session(request).await?.into_inner();
        loop {
            let response = stream.message().await?.ok_or("the stream has ended")?;
            messages += 1;
            if !ready && matches!(response.event, Some(Event::SnapshotEnd(_))) {
                match version {
                    None => return Ok((from.elapsed(), messages)),
                    Some(_) => (ready, from) = (true, Instant::now()),
                }
            }
            if ready && version.is_some_and(|version| response.to_version >= version) {
                return Ok((from.elapsed(), messages));
            }
        }
    })
    .await?;
    found["messages"] = messages.into();
    Ok(found)
}

#[tokio::main]
async fn main() -> Outcome<()> {
    let given = Given::read();
    let mode = given.text("mode")?;
    let options = Options { timeout: Duration::from_secs(120), ..Options::default() };
    let hub = Hub::connect_with(given.text("address")?, options).await?;
    let version = || given.text("version").and_then(|text| Ok(Some(text.parse()?)));
    let mut found = match mode {
        "write" => write(&given, &hub).await?,
        "raw_write" => raw_write(&given, &hub).await?,
        "snapshot" => mirror(&given, &hub, None).await?,
        "raw_snapshot" => raw_mirror(&given, &hub, None).await?,
        "fold" => mirror(&given, &hub, version()?).await?,
        "raw_fold" => raw_mirror(&given, &hub, version()?).await?,
        _ => return Err(format!("there is no mode '{mode}'").into()),
    };
    found["mode"] = mode.into();
    println!("{found}");
    Ok(())
}
