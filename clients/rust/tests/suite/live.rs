//! The live suite: against real servers that are killed, silenced, slowed and edited.

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Value as Json, json};
use tesseract::proto::{WriteRequest, WriteResponse};
use tesseract::{
    Code, Column, DataType, Event, Events, Hub, Mirror, MirrorOptions, Options, Query, Session, State, Table,
    Timestamp, Tls, Value, Window, row,
};
use tokio::time::{sleep, timeout};

use crate::stage::{Server, ask, quick, text};

const PATIENCE: Duration = Duration::from_secs(60);

/// A table `items` of three columns and a session `board` over it.
async fn board(hub: &Hub) -> (Table, Session) {
    let columns = [Column::new("id", DataType::Int64).key(), column("name"), Column::new("qty", DataType::Int64)];
    let items = hub.create_table("items", columns).await.expect("a table");
    let session = hub.create_session(Some("board"), Query::of("items").by("-qty")).await.expect("a session");
    (items, session)
}

fn column(name: &str) -> Column {
    Column::new(name, DataType::String)
}

/// The first event that a function finds something in.
async fn until<T>(events: &mut Events, what: &str, find: impl Fn(Event) -> Option<T>) -> T {
    let reading = async {
        loop {
            let event = events.next().await.unwrap_or_else(|| panic!("the mirror ended before {what}"));
            if let Some(found) = find(event) {
                return found;
            }
        }
    };
    timeout(PATIENCE, reading).await.unwrap_or_else(|_| panic!("{what} did not come"))
}

async fn until_state(events: &mut Events, wanted: State) {
    let find = |event| matches!(event, Event::State(state) if state == wanted).then_some(());
    until(events, &format!("state {wanted}"), find).await;
}

/// The mirror holds what a fresh read of its session does, bit for bit.
async fn assert_right(mirror: &Mirror, session: &Session) {
    let fresh = session.rows(None, mirror.version()).await.expect("a read");
    mirror.wait_for(fresh.version).await.expect("the version of the read");
    let view = mirror.view();
    assert_eq!(view.rows().collect::<Vec<_>>(), fresh.to_vec());
    assert_eq!(view.total_count(), fresh.total_count);
}

#[tokio::test]
async fn types_round_trip() {
    let server = Server::start(json!({})).await;
    let hub = server.hub().await;
    let columns = [
        Column::new("id", DataType::Int64).key(),
        Column::new("größe 🚀", DataType::Int64),
        Column::new("x", DataType::Float64),
        Column::new("t", DataType::Timestamp),
        column("s"),
        Column::new("b", DataType::Bool),
        Column::new("j", DataType::Json),
        Column::one_of("e", ["low", "high"]),
    ];
    let table = hub.create_table("types", columns).await.expect("a table");
    let long = "🦀".repeat(1_000);
    let texts = ["", "a\0b", "déjà vu", "😀 𝔘𝔫𝔦", "\u{10FFFF}", "NaN", "null", &long];
    let numbers = [0.0, -0.0, f64::NAN, f64::INFINITY, f64::NEG_INFINITY, f64::MAX, f64::MIN_POSITIVE, 5e-324, 0.1];
    let ints = [0, i64::MIN, i64::MAX, -1, (1 << 53) + 1];
    let times = [0, -1, -62_135_596_800_000_000, 253_402_300_799_999_999, i64::MIN, i64::MAX];
    let documents = ["null", "{\"a\":[1,2.50,null]}", "\"\"", "1e400", "[]"];
    let at = |id: usize| {
        row! {
            "id" => id as i64,
            "größe 🚀" => ints.get(id).copied(),
            "x" => numbers.get(id).copied(),
            "t" => times.get(id).map(|micros| Timestamp(*micros)),
            "s" => texts.get(id).copied(),
            "b" => [None, Some(true), Some(false)][id % 3],
            "j" => documents.get(id).map_or(Value::Null, |text| Value::json(*text)),
            "e" => [None, Some("low"), Some("high")][id % 3],
        }
    };
    let written: Vec<_> = (0..100).map(at).collect(); // so many that texts travel as a dictionary
    let version = table.insert(written.clone()).await.expect("a write");
    let session = hub.create_session(Some("all"), Query::of("types").by("id")).await.expect("a session");
    let mirror = session.mirror(MirrorOptions { verify: true, ..MirrorOptions::default() });
    mirror.wait_for(version).await.expect("the rows");
    let by_key = table.get(0..100).await.expect("rows by key");
    let queried = hub.query_at(Query::of("types").by("id"), None, version).await.expect("a query");
    for found in [mirror.view().rows().collect::<Vec<_>>(), by_key.to_vec(), queried.to_vec()] {
        assert_eq!(found.len(), written.len());
        for (found, written) in found.iter().zip(&written) {
            let wanted: Vec<&Value> = written.iter().map(|(_, value)| value).collect();
            assert_eq!(found.values().iter().collect::<Vec<_>>(), wanted);
            assert_eq!(found["größe 🚀"], written[1].1);
        }
        assert_eq!(found[1]["x"].as_f64().map(f64::to_bits), Some(0), "-0.0 is stored as 0.0");
    }
    // Few rows travel one by one, and alone; a whole number is good for a FLOAT64.
    let version = table.upsert(row! {"id" => 7, "s" => "", "x" => 7, "t" => Timestamp(-1)}).await.expect("a write");
    mirror.wait_for(version).await.expect("the rows");
    let seven = mirror.view().get(7).expect("a row");
    let values = [&seven["s"], &seven["x"], &seven["t"], &seven["e"]];
    assert_eq!(values, [&"".into(), &7.0.into(), &Timestamp(-1).into(), &"low".into()]);
    let refused = table.insert([row! {"id" => 200, "x" => i64::MAX}]).await.expect_err("no double holds it");
    assert_eq!(
        (refused.code(), refused.reason.as_str(), refused.field.as_str()),
        (Code::InvalidArgument, "WRONG_TYPE", "x")
    );
    server.end().await;
}

#[tokio::test]
async fn read_your_writes() {
    let server = Server::start(json!({"args": ["--progress-interval", "30"]})).await;
    let hub = server.hub().await;
    let (items, session) = board(&hub).await;
    let few = hub.create_session(Some("few"), Query::of("items").keep("qty > 1000")).await.expect("a session");
    let (all, few) = (session.mirror(MirrorOptions::default()), few.mirror(MirrorOptions::default()));
    for id in 1..=20 {
        let version = items.insert(row! {"id" => id, "qty" => id}).await.expect("a write");
        assert!(hub.query_at(Query::of("items"), None, version).await.expect("a query").len() == id as usize);
        assert!(session.rows(Some(Window::rows(0, 0)), version).await.expect("a read").total_count == id as u64);
        all.wait_for(version).await.expect("the version");
        assert_eq!(all.view().len(), id as usize);
        let asked = timeout(Duration::from_secs(10), few.wait_for(version)).await.expect("long before Progress");
        asked.expect("asked for, although nothing changes");
        assert!(few.version() >= version && few.view().is_empty());
    }
    let moved = [items.updating(row! {"id" => 1, "qty" => 100}).unwrap(), items.deleting([2, 3]).unwrap()];
    let version = hub.commit(moved).await.expect("a commit");
    all.wait_for(version).await.expect("the version");
    assert_eq!(all.view().get(0).expect("a row")["id"], 1.into());
    assert_right(&all, &session).await;
    server.end().await;
}

#[tokio::test]
async fn kill_and_resume() {
    let server = Server::start(json!({})).await;
    let hub = server.hub().await;
    let (items, session) = board(&hub).await;
    items
        .insert((0..50).map(|id| row! {"id" => id, "name" => "x", "qty" => id}).collect::<Vec<_>>())
        .await
        .expect("rows");
    let (mirror, mut events) = session.watch(MirrorOptions { verify: true, ..MirrorOptions::default() });
    until_state(&mut events, State::Live).await;
    let writer = tokio::spawn({
        let items = items.clone();
        async move {
            for id in 100..200 {
                items.insert(row! {"id" => id, "qty" => id}).await.expect("sent again until the server is there");
            }
        }
    });
    sleep(Duration::from_millis(200)).await;
    server.command("kill").await;
    let told = until(&mut events, "the interruption", |event| match event {
        Event::Interrupted { reason, resumes, .. } => Some((reason, resumes)),
        _ => None,
    });
    assert_eq!(told.await, ("reconnected".into(), true));
    assert_eq!(mirror.state(), State::Stale);
    assert!(mirror.view().len() >= 50);
    server.command("start").await;
    until(&mut events, "resumed", |event| match event {
        Event::Snapshot { reason, .. } => panic!("a snapshot, because of {reason}"),
        Event::Resumed { .. } => Some(()),
        _ => None,
    })
    .await;
    until_state(&mut events, State::Live).await;
    drop(events);
    timeout(PATIENCE, writer).await.expect("in time").expect("all rows were written");
    let version = items.insert(row! {"id" => 1_000}).await.expect("a write");
    mirror.wait_for(version).await.expect("the version");
    assert_eq!(mirror.view().len(), 151);
    assert_right(&mirror, &session).await;
    server.end().await;
}

#[tokio::test]
async fn black_hole() {
    let server = Server::start(json!({"proxy": true, "args": ["--progress-interval", "0.3"]})).await;
    let hub = Hub::connect_with(&server.address, Options { timeout: Duration::from_secs(3), ..quick() }).await.unwrap();
    let (items, session) = board(&hub).await;
    items.insert(row! {"id" => 1, "qty" => 1}).await.expect("a row");
    let (mirror, mut events) = session.watch(MirrorOptions::default());
    until_state(&mut events, State::Live).await;
    let hole = Instant::now();
    server.command("blackhole").await;
    let told = until(&mut events, "the silence", |event| match event {
        Event::Interrupted { reason, resumes, .. } => Some((reason, resumes)),
        _ => None,
    });
    assert_eq!(told.await, ("silence".into(), true));
    let noticed = hole.elapsed();
    assert!(noticed >= Duration::from_millis(600) && noticed < Duration::from_secs(10), "{noticed:?}");
    assert_eq!(mirror.state(), State::Stale);
    let refused = items.insert(row! {"id" => 2}).await.expect_err("nobody answers");
    assert_eq!(refused.code(), Code::DeadlineExceeded);
    server.command("heal").await;
    until(&mut events, "resumed", |event| match event {
        Event::Snapshot { reason, .. } => panic!("a snapshot, because of {reason}"),
        Event::Resumed { .. } => Some(()),
        _ => None,
    })
    .await;
    until_state(&mut events, State::Live).await;
    drop(events);
    let version = items.upsert(row! {"id" => 3, "qty" => 3}).await.expect("a write");
    mirror.wait_for(version).await.expect("the version");
    assert_right(&mirror, &session).await;
    server.end().await;
}

#[tokio::test]
async fn slow_consumer() {
    let server = Server::start(json!({"args": ["--lag-after", "0.2"]})).await;
    let hub = server.hub().await;
    let (items, session) = board(&hub).await;
    let (mirror, mut events) = session.watch(MirrorOptions::default());
    until_state(&mut events, State::Live).await;
    let mut version = 0;
    for turn in 0..150 {
        let long: Arc<str> = format!("{turn}").repeat(10_000).into();
        let rows = (0..20).map(|id| row! {"id" => id, "name" => long.clone(), "qty" => turn * 20 + id});
        version = items.upsert(rows.collect::<Vec<_>>()).await.expect("a write"); // 60 MB that nobody reads
    }
    assert!(mirror.version() < version, "the mirror waits for its reader");
    let skipped = until(&mut events, "Lagged", |event| match event {
        Event::Lagged { skipped_commits, .. } => Some(skipped_commits),
        _ => None,
    });
    assert!(skipped.await >= 2);
    let read = tokio::spawn(async move {
        let mut deltas = 0;
        while let Some(event) = events.next().await {
            deltas += u32::from(matches!(event, Event::Delta { .. }));
        }
        deltas
    });
    mirror.wait_for(version).await.expect("the last version");
    assert_eq!(mirror.view().get(0).expect("a row")["qty"], (149 * 20 + 19).into());
    assert_right(&mirror, &session).await;
    mirror.close();
    let deltas = timeout(PATIENCE, read).await.expect("the events end with the mirror").expect("no panic");
    assert!(deltas < 75, "{deltas} of 150 commits waited somewhere, one by one");
    server.end().await;
}

#[tokio::test]
async fn edit_in_place() {
    let server = Server::start(json!({})).await;
    let hub = server.hub().await;
    let (items, session) = board(&hub).await;
    let rows = (0..30).map(|id| row! {"id" => id, "name" => format!("item {id}"), "qty" => id % 7});
    items.insert(rows.collect::<Vec<_>>()).await.expect("rows");
    let (mirror, mut events) = session.watch(MirrorOptions { verify: true, ..MirrorOptions::default() });
    until_state(&mut events, State::Live).await;
    let edits: [fn(&mut Query); 4] = [
        |query| *query = query.clone().keep("qty > 2"),
        |query| *query = query.clone().show(["name", "qty"]),
        |query| query.sort.clear(),
        |query| query.columns.clear(),
    ];
    until(&mut events, "the first rows", |event| matches!(event, Event::Snapshot { .. }).then_some(())).await;
    for (at, edit) in edits.into_iter().enumerate() {
        let version = session.edit(edit).await.expect("an edit");
        let edited = until(&mut events, "the edit", |event| match event {
            Event::Snapshot { reason, .. } => panic!("a snapshot, because of {reason}"),
            Event::Interrupted { reason, .. } => panic!("an interruption: {reason}"),
            Event::Delta { delta, .. } => Some(delta.edited.is_some()),
            _ => None,
        });
        assert!(edited.await, "edit {at}");
        mirror.wait_for(version).await.expect("the version");
        assert_right(&mirror, &session).await;
    }
    server.end().await;
}

#[tokio::test]
async fn reset() {
    let server = Server::start(json!({"proxy": true, "args": ["--history-commits", "4"]})).await;
    let direct = server.hub().await;
    let (items, session) = board(&direct).await;
    items.insert(row! {"id" => 0}).await.expect("a row");
    let (mirror, mut events) = session.watch(MirrorOptions::default());
    until_state(&mut events, State::Live).await;
    // A bookmark from before the history that is kept: what it stands for cannot be led on.
    let bookmark = mirror.bookmark().expect("rows");
    assert!(!bookmark.token().is_empty());
    let mut version = 0;
    for id in 1..=50 {
        version = items.insert(row! {"id" => id, "qty" => id}).await.expect("a row");
    }
    mirror.close();
    let kept = tesseract::Bookmark::from_bytes(&bookmark.to_bytes().expect("bytes")).expect("a bookmark");
    assert_eq!(kept.view().rows().collect::<Vec<_>>(), bookmark.view().rows().collect::<Vec<_>>());
    let (mirror, mut events) = session.watch(MirrorOptions { resume: Some(kept), ..MirrorOptions::default() });
    assert_eq!((mirror.state(), mirror.view().len()), (State::Stale, 1));
    let told = until(&mut events, "the reset", |event| match event {
        Event::Interrupted { reason, resumes, .. } => Some((reason, resumes)),
        _ => None,
    });
    assert_eq!(told.await, ("too_old".into(), false));
    let reason = until(&mut events, "the snapshot", |event| match event {
        Event::Snapshot { reason, .. } => Some(reason),
        _ => None,
    });
    assert_eq!(reason.await, "too_old");
    mirror.wait_for(version).await.expect("the version");
    assert_right(&mirror, &session).await;
    server.end().await;
}

#[tokio::test]
async fn token_and_tls() {
    let server = Server::start(json!({"tls": "mutual", "token": true})).await;
    let tls = |name: &str| server.told["tls"][name].as_str().map(Into::into);
    let whole = Tls { ca_file: tls("ca"), cert_file: tls("cert"), key_file: tls("key"), server_name: None };
    let token = |role: &str| server.told["tokens"][role].as_str().map(Into::into);
    let connect = async |token, tls| {
        let options = Options { token, tls: Some(tls), timeout: Duration::from_secs(10), ..quick() };
        Hub::connect_with(&server.address, options).await
    };
    let admin = connect(token("admin"), whole.clone()).await.expect("files");
    let (items, session) = board(&admin).await;
    let version = items.insert(row! {"id" => 1}).await.expect("a row");
    let mirror = session.mirror(MirrorOptions::default());
    mirror.wait_for(version).await.expect("the row");

    let reader = connect(token("read"), whole.clone()).await.expect("files").table("items").await.expect("may read");
    let refused = reader.insert(row! {"id" => 2}).await.expect_err("may not write");
    assert_eq!((refused.code(), refused.reason.as_str()), (Code::PermissionDenied, "ROLE_REQUIRED"));
    let refused = connect(None, whole.clone()).await.expect("files").table("items").await.expect_err("no token");
    assert_eq!((refused.code(), refused.reason.as_str()), (Code::Unauthenticated, "TOKEN_MISSING"));
    let alone = Tls { cert_file: None, key_file: None, ..whole.clone() };
    let refused =
        connect(token("admin"), alone).await.expect("files").table("items").await.expect_err("no certificate");
    assert_eq!(refused.code(), Code::Unavailable);
    let stranger = Tls { ca_file: None, ..whole.clone() };
    let refused = connect(token("admin"), stranger).await.expect("files").table("items").await;
    assert_eq!(refused.expect_err("an unknown authority").code(), Code::Unavailable);
    let half = Tls { key_file: None, ..whole };
    assert_eq!(connect(None, half).await.expect_err("half a certificate").field, "tls");
    assert!(!format!("{:?}", Options { token: token("admin"), ..quick() }).contains("admin-token"));
    server.end().await;
}

#[tokio::test]
async fn retried_write_is_written_once() {
    let server = Server::start(json!({"proxy": true})).await;
    let hub = server.hub().await;
    let (items, _) = board(&hub).await;
    let insert = WriteRequest {
        operations: vec![items.inserting(row! {"id" => 1}).unwrap()],
        request_id: "once".into(),
        ..WriteRequest::default()
    };
    let first: WriteResponse = hub.write(insert.clone()).await.expect("a write");
    let again = hub.write(insert).await.expect("the same answer"); // it would be a DUPLICATE_KEY otherwise
    assert_eq!(first.version, again.version);
    // The client does so by itself: connections are cut while writes are on their way, and each is made once.
    let cutter = {
        let id = server.id.clone();
        tokio::spawn(async move {
            for _ in 0..10 {
                sleep(Duration::from_millis(60)).await;
                ask("POST", &format!("/servers/{id}/cut"), Json::Null).await;
            }
        })
    };
    let mut rows = 1;
    while !cutter.is_finished() || rows < 100 {
        rows += 1;
        items.insert(row! {"id" => rows}).await.expect("made once, however often it was sent");
    }
    assert_eq!(hub.query(Query::of("items")).await.expect("rows").len(), rows as usize);
    let connections = ask("GET", &format!("/servers/{}", server.id), Json::Null).await["connections"].clone();
    assert!(connections.as_u64().expect("a number") > 3, "{connections} connections");
    assert_eq!(text(&server.told["address"]), server.address);
    server.end().await;
}
