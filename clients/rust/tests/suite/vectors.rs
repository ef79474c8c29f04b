//! The conformance vectors: what a mirror shows of each is compared with what it must show, all of it.

use std::path::Path;
use std::time::Duration;

use serde_json::{Value as Json, json};
use tesseract::proto::{Expansion, NodeKey};
use tesseract::{Delivery, Error, Event, Hub, MirrorOptions, Options, Retry, Timestamp, Value, View, Window};
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::stage::{ask, text, variable};

/// So many vectors are read at a time.
const AT_ONCE: usize = 8;

fn load() -> Vec<Json> {
    let folder = Path::new(&variable("TESSERACT_VECTORS")).join("data");
    let files = std::fs::read_dir(folder).expect("vectors").map(|entry| entry.expect("a file").path());
    let mut files: Vec<_> = files.filter(|path| path.extension().is_some_and(|end| end == "json")).collect();
    files.sort();
    let read = |path| serde_json::from_slice(&std::fs::read(path).expect("a vector")).expect("JSON");
    files.iter().map(read).collect()
}

#[tokio::test]
async fn vectors() {
    let vectors = load();
    assert!(vectors.len() >= 60, "{} vectors", vectors.len());
    let player = ask("POST", "/players", json!({})).await;
    let address = text(&player["address"]).to_owned();
    let (mut tasks, mut failures, mut done) = (JoinSet::new(), Vec::new(), 0);
    for vector in vectors {
        if tasks.len() == AT_ONCE {
            failures.extend(tasks.join_next().await.expect("a task").expect("no panic"));
        }
        done += 1;
        let address = address.clone();
        tasks.spawn(async move { differences(&vector, &read(&vector, &address).await) });
    }
    while let Some(found) = tasks.join_next().await {
        failures.extend(found.expect("no panic"));
    }
    let mismatches = ask("GET", &format!("/players/{}/mismatches", text(&player["id"])), Json::Null).await;
    assert!(failures.is_empty(), "{} of {done} vectors differ:\n{}", failures.len(), failures.join("\n"));
    assert_eq!(mismatches, json!([]));
}

#[tokio::test]
async fn wrong_vectors_are_found_out() {
    let vector = load().into_iter().find(|vector| vector["name"] == "resume_net_change").expect("it is there");
    for wrong in ["another_value", "another_place", "not_told", "another_token"] {
        let player = ask("POST", "/players", json!({"wrong": wrong})).await;
        let found = read(&vector, text(&player["address"])).await;
        let mismatches = ask("GET", &format!("/players/{}/mismatches", text(&player["id"])), Json::Null).await;
        assert!(differences(&vector, &found).is_some(), "{wrong} was not noticed");
        assert_eq!(mismatches != json!([]), wrong == "another_token", "{wrong}: {mismatches}");
    }
}

/// What a mirror has shown.
#[derive(Default)]
struct Shown {
    points: Vec<Point>,
    states: Vec<String>,
    interrupted: Vec<Json>,
    version: String,
    error: Option<Error>,
}

struct Point {
    by: &'static str,
    view: View,
}

async fn read(vector: &Json, address: &str) -> Shown {
    let (initial_backoff, max_backoff) = (Duration::from_millis(10), Duration::from_millis(20));
    let retry = Retry { initial_backoff, max_backoff, ..Retry::default() };
    let options = Options { timeout: Duration::from_secs(10), retry, ..Options::default() };
    let hub = Hub::connect_with(address, options).await.expect("options");
    let session = hub.session(text(&vector["name"])).await.expect("the player has it");
    let (mirror, mut events) = session.watch(options_of(&vector["watch"]));
    let mut shown = Shown::default();
    let wanted = &vector["expect"];
    let length = |name: &str| wanted[name].as_array().expect("a list").len();
    let (points, states) = (length("shown"), length("states"));
    let last_version: u64 = text(&wanted["version"]).parse().expect("a number");
    let reading = async {
        loop {
            let there = shown.points.len() >= points && shown.states.len() >= states;
            let last = there && last_version == mirror.version() && wanted.get("error").is_none();
            let patience = Duration::from_millis(if last { 50 } else { 20 }); // when it is over, nothing more may come
            match timeout(patience, events.next()).await {
                Ok(Some(Event::Snapshot { view, .. })) => shown.points.push(Point { by: "snapshot_end", view }),
                Ok(Some(Event::Delta { view, .. })) => shown.points.push(Point { by: "changes", view }),
                Ok(Some(Event::State(state))) => shown.states.push(state.to_string()),
                Ok(Some(Event::Interrupted { reason, version, resumes, .. })) => {
                    shown
                        .interrupted
                        .push(json!({"reason": reason, "version": version.to_string(), "resumes": resumes}));
                }
                Ok(Some(_)) => {}
                Ok(None) => break,
                Err(_) if last => break,
                Err(_) => {}
            }
        }
    };
    let _ = timeout(Duration::from_secs(60), reading).await; // what is missing then is a difference
    (shown.version, shown.error) = (mirror.version().to_string(), mirror.error());
    shown
}

fn options_of(watch: &Json) -> MirrorOptions {
    let mut options = MirrorOptions { verify: watch["include_digest"] == true, ..MirrorOptions::default() };
    match watch.get("delivery").map(text) {
        None => {}
        Some("DELIVERY_EVERY_COMMIT") => options.delivery = Delivery::EveryCommit,
        Some(other) => panic!("delivery {other}"),
    }
    let int = |found: &Json| text(found).parse::<i64>().expect("a number");
    options.window = watch.get("window").map(|window| Window {
        offset: window.get("offset").map_or(0, int),
        limit: window.get("limit").map(int),
        expansion: window.get("expansion").map(|expansion| Expansion {
            depth: expansion.get("depth").map(|depth| depth.as_u64().expect("a number") as u32),
            expanded: nodes(expansion.get("expanded")),
            collapsed: nodes(expansion.get("collapsed")),
        }),
    });
    options
}

fn nodes(found: Option<&Json>) -> Vec<NodeKey> {
    let list = |found: &Json| found.as_array().expect("a list").clone();
    let key =
        |node: Json| NodeKey { values: list(&node["values"]).iter().map(|value| value_of(value).into()).collect() };
    found.map(list).unwrap_or_default().into_iter().map(key).collect()
}

/// What differs, if anything does.
fn differences(vector: &Json, shown: &Shown) -> Option<String> {
    let wanted = &vector["expect"];
    let list = |found: &Json| found.as_array().expect("a list").clone();
    let mut found = Vec::new();
    let mut compare = |what: &str, left: String, right: String| {
        if left != right {
            found.push(format!("{what}: shown {left}\n     and not {right}"));
        }
    };
    compare("states", json!(shown.states).to_string(), wanted["states"].to_string());
    compare("interrupted", json!(shown.interrupted).to_string(), wanted["interrupted"].to_string());
    compare("version", json!(shown.version).to_string(), wanted["version"].to_string());
    let mut error = wanted["error"].clone();
    if let Some(error) = error.as_object_mut() {
        error.entry("metadata").or_insert_with(|| json!({})); // left out where the server gave none
    }
    compare("error", shown.error.as_ref().map_or(Json::Null, error_json).to_string(), error.to_string());
    let points = list(&wanted["shown"]);
    compare("points", shown.points.len().to_string(), points.len().to_string());
    for (at, (point, wanted)) in shown.points.iter().zip(&points).enumerate() {
        let view = &point.view;
        let head = json!({
            "by": point.by,
            "version": view.version().to_string(),
            "total_count": view.total_count().to_string(),
            "columns": view.columns().iter().map(|column| &column.name).collect::<Vec<_>>(),
            "key": view.columns().key_names(),
        });
        let mut rest = wanted.clone();
        let rows = rest.as_object_mut().expect("an object").remove("rows").expect("rows");
        compare(&format!("point {at}"), head.to_string(), rest.to_string());
        let rows: Vec<Vec<Value>> = list(&rows).iter().map(|row| list(row).iter().map(value_of).collect()).collect();
        let shown: Vec<Vec<Value>> = view.rows().map(|row| row.values().to_vec()).collect();
        compare(&format!("rows of point {at}"), bits(&shown), bits(&rows));
    }
    (!found.is_empty()).then(|| format!("{}: {}", text(&vector["name"]), found.join("\n")))
}

/// Rows as a text that shows every bit.
fn bits(rows: &[Vec<Value>]) -> String {
    let cell = |value: &Value| match value.as_f64() {
        Some(number) => format!("{number:?}={:016x}", number.to_bits()),
        None => format!("{value:?}"),
    };
    rows.iter().map(|row| row.iter().map(cell).collect::<Vec<_>>().join(" ") + "\n").collect()
}

fn error_json(error: &Error) -> Json {
    let fields: Vec<Json> = error.fields.iter().map(|(field, _)| json!(field)).collect();
    json!({
        "code": error.code_name(),
        "message": error.message,
        "reason": error.reason,
        "fields": fields,
        "metadata": error.metadata,
    })
}

/// A `tesseract.v1.Value` in proto3 JSON.
fn value_of(found: &Json) -> Value {
    let Some((kind, value)) = found.as_object().expect("a value").iter().next() else { return Value::Null };
    match kind.as_str() {
        "bool_value" => value.as_bool().expect("a truth value").into(),
        "int64_value" => text(value).parse::<i64>().expect("a number").into(),
        "timestamp_value" => Timestamp(text(value).parse().expect("a number")).into(),
        "string_value" => text(value).into(),
        "json_value" => Value::json(text(value)),
        "float64_value" => match value.as_str() {
            Some("NaN") => f64::NAN.into(),
            Some("Infinity") => f64::INFINITY.into(),
            Some("-Infinity") => f64::NEG_INFINITY.into(),
            _ => value.as_f64().expect("a number").into(),
        },
        other => panic!("a value of kind {other}"),
    }
}
