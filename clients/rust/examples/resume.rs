//! Save a mirror to a file and go on from it later. Usage: cargo run --example resume [localhost:50051]

use std::time::Duration;

use tesseract::{Bookmark, Change, Column, DataType, Event, Events, Hub, MirrorOptions, Query, Row, View, row};
use tokio::time::timeout;

type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

/// An event that does not come in this time is an error.
const PATIENCE: Duration = Duration::from_secs(30);

/// A row as `ACME 12.50`.
fn quote(row: &Row) -> String {
    format!("{} {:.2}", row["symbol"].as_str().unwrap_or_default(), row["price"].as_f64().unwrap_or_default())
}

fn quotes(view: &View) -> String {
    view.rows().map(|row| quote(&row)).collect::<Vec<_>>().join(", ")
}

async fn next(events: &mut Events) -> Outcome<Event> {
    Ok(timeout(PATIENCE, events.next()).await?.ok_or("the mirror has ended")?)
}

/// Waits for the next consistent point, and prints it.
async fn show_change(events: &mut Events, bookmark: &Bookmark) -> Outcome<()> {
    loop {
        match next(events).await? {
            Event::Resumed { version } => println!("resumed at the bookmark: {}", version == bookmark.view().version()),
            Event::Snapshot { view, .. } => {
                println!("snapshot of {} rows", view.len());
                return Ok(());
            }
            Event::Delta { view, delta } => {
                let mut named: Vec<_> = delta.changes.iter().map(name).collect();
                named.sort();
                println!("change: {}", named.join(", "));
                println!("  = {}", quotes(&view));
                return Ok(());
            }
            _ => {}
        }
    }
}

fn name(change: &Change) -> String {
    let (kind, key) = match change {
        Change::Remove { key, .. } => ("remove", key),
        Change::Update { key, .. } => ("update", key),
        Change::Move { key, .. } => ("move", key),
        Change::Insert { key, .. } => ("insert", key),
    };
    format!("{kind} {}", key.0[0].as_i64().unwrap_or_default())
}

/// First connection: the mirror is saved.
async fn save(address: &str, file: &std::path::Path) -> Outcome<()> {
    let hub = Hub::connect(address).await?;
    hub.delete_session("resume_board", true).await?;
    hub.delete_table("resume_prices", true).await?;
    let columns = [
        Column::new("id", DataType::Int64).key(),
        Column::new("symbol", DataType::String),
        Column::new("price", DataType::Float64),
    ];
    let prices = hub.create_table("resume_prices", columns).await?;
    let first = [(1, "ACME", 12.5), (2, "BOLT", 20.25), (3, "CORE", 9.75), (4, "DYNE", 15.5)];
    prices.insert(first.map(|(id, symbol, price)| row! {"id" => id, "symbol" => symbol, "price" => price})).await?;
    let session = hub.create_session(Some("resume_board"), Query::of("resume_prices").by("-price")).await?;
    let mirror = session.mirror(MirrorOptions::default());
    mirror.ready().await?;
    println!("before: {}", quotes(&mirror.view()));
    std::fs::write(file, mirror.bookmark().ok_or("it is ready")?.to_bytes()?)?;
    println!("the bookmark is saved, the connection closed");
    Ok(())
}

/// Second connection: others go on.
async fn meanwhile(address: &str) -> Outcome<()> {
    let prices = Hub::connect(address).await?.table("resume_prices").await?;
    prices.update(row! {"id" => 3, "price" => 30.5}).await?;
    prices.delete([2]).await?;
    prices.insert(row! {"id" => 5, "symbol" => "ECHO", "price" => 10.25}).await?;
    println!("meanwhile: CORE rises to 30.50, BOLT is deleted, ECHO comes");
    Ok(())
}

/// Third connection: the mirror goes on from the file.
async fn resume(address: &str, file: &std::path::Path) -> Outcome<()> {
    let bookmark = Bookmark::from_bytes(&std::fs::read(file)?)?;
    println!("in the file: {}", quotes(bookmark.view()));
    let hub = Hub::connect(address).await?;
    let session = hub.session("resume_board").await?;
    let options = MirrorOptions { resume: Some(bookmark.clone()), ..MirrorOptions::default() };
    let (mirror, mut events) = session.watch(options);
    show_change(&mut events, &bookmark).await?;
    hub.table("resume_prices").await?.update(row! {"id" => 1, "price" => 50.0}).await?;
    show_change(&mut events, &bookmark).await?;
    let fresh = session.rows(None, mirror.version()).await?;
    println!("the same as a fresh query: {}", mirror.view().rows().eq(fresh));
    mirror.close();
    session.delete().await?;
    hub.delete_table("resume_prices", false).await?;
    Ok(())
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Outcome<()> {
    let address = std::env::args().nth(1).unwrap_or("localhost:50051".into());
    let folder = std::env::temp_dir().join(format!("tesseract-resume-{}", std::process::id()));
    std::fs::create_dir(&folder)?;
    let file = folder.join("bookmark");
    let outcome = async {
        save(&address, &file).await?;
        meanwhile(&address).await?;
        resume(&address, &file).await
    };
    let outcome = outcome.await;
    std::fs::remove_dir_all(&folder)?;
    outcome
}
