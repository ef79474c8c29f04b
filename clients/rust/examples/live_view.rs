//! A live window: filtered, sorted, always right. Usage: cargo run --example live_view [localhost:50051]

use std::time::Duration;

use tesseract::{Change, Column, DataType, Event, Events, Hub, Key, MirrorOptions, Query, Record, Row, Window, row};
use tokio::time::timeout;

type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

/// An event that does not come in this time is an error.
const PATIENCE: Duration = Duration::from_secs(30);

fn price_of(id: i64, symbol: &str, price: f64) -> Record {
    row! {"id" => id, "symbol" => symbol, "price" => price}
}

/// A row as `ACME 12.50`.
fn quote(row: &Row) -> String {
    format!("{} {:.2}", row["symbol"].as_str().unwrap_or_default(), row["price"].as_f64().unwrap_or_default())
}

fn id_of(key: &Key) -> i64 {
    key.0[0].as_i64().unwrap_or_default()
}

/// What happened to one row.
fn told(change: &Change) -> String {
    match change {
        Change::Remove { key, reason } => {
            let reason = reason.as_str_name().trim_start_matches("REMOVE_REASON_").to_lowercase();
            format!("  remove {}: {reason}", id_of(key))
        }
        Change::Update { key, values } => {
            let values = values.iter().filter_map(|(_, value)| value.as_f64());
            let prices: Vec<_> = values.map(|price| format!("price {price:.2}")).collect();
            format!("  update {}: {}", id_of(key), prices.join(", "))
        }
        Change::Move { key, index } => format!("  move {}: to {index}", id_of(key)),
        Change::Insert { key, row, index } => format!("  insert {}: at {index}, {}", id_of(key), quote(row)),
    }
}

/// Waits for the next consistent point, and prints it: what was told, and the rows that follow from it.
async fn show(title: &str, events: &mut Events) -> Outcome<()> {
    loop {
        let (view, changes) = match timeout(PATIENCE, events.next()).await?.ok_or("the mirror has ended")? {
            Event::Snapshot { view, .. } => (view, Vec::new()),
            Event::Delta { view, delta } => (view, delta.changes.iter().map(told).collect()),
            _ => continue,
        };
        println!("{title}");
        changes.iter().for_each(|line| println!("{line}"));
        let rows: Vec<_> = view.rows().map(|row| quote(&row)).collect();
        println!("  = {} of {}: {}", view.len(), view.total_count(), rows.join(", "));
        return Ok(());
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Outcome<()> {
    let address = std::env::args().nth(1).unwrap_or("localhost:50051".into());
    let hub = Hub::connect(&address).await?;
    hub.delete_session("live_view_top", true).await?;
    hub.delete_table("live_view_prices", true).await?;
    let columns = [
        Column::new("id", DataType::Int64).key(),
        Column::new("symbol", DataType::String),
        Column::new("price", DataType::Float64),
    ];
    let prices = hub.create_table("live_view_prices", columns).await?;
    let first = [(1, "ACME", 12.5), (2, "BOLT", 20.25), (3, "CORE", 9.75), (4, "DYNE", 15.5), (5, "ECHO", 11.25)];
    prices.insert(first.map(|(id, symbol, price)| price_of(id, symbol, price))).await?;
    let query = Query::of("live_view_prices").keep("price >= 10").by("-price");
    let session = hub.create_session(Some("live_view_top"), query).await?;

    let top = MirrorOptions { window: Some(Window::rows(0, 3)), ..MirrorOptions::default() };
    let (mirror, mut events) = session.watch(top);
    show("snapshot", &mut events).await?;

    let price = |id: i64, price: f64| prices.updating(row! {"id" => id, "price" => price});
    let commits = [
        ("CORE comes, ACME leaves the window", vec![price(3, 18.0)?]),
        ("DYNE moves to the top", vec![price(4, 25.0)?]),
        ("BOLT no longer passes the filter", vec![price(2, 5.0)?]),
        ("CORE is deleted", vec![prices.deleting([3])?]),
        ("ACME changes in its place", vec![price(1, 12.75)?]),
        (
            "three writes in one commit are one change",
            vec![prices.inserting(price_of(6, "FLUX", 30.5))?, price(5, 40.0)?, prices.deleting([4])?],
        ),
    ];
    for (title, commit) in commits {
        hub.commit(commit).await?;
        show(title, &mut events).await?;
    }

    let version = prices.insert(price_of(7, "GLUE", 1.0)).await?;
    mirror.wait_for(version).await?;
    mirror.close();
    let mut changes = 0;
    while let Some(event) = events.next().await {
        changes += u32::from(matches!(event, Event::Snapshot { .. } | Event::Delta { .. }));
    }
    println!("GLUE concerns nobody");
    println!("  the mirror is as new as the write, and was told {changes} changes");
    session.delete().await?;
    hub.delete_table("live_view_prices", false).await?;
    Ok(())
}
