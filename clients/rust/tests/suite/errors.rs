//! Every way in which a call can be refused: what the server said is what the client shows, whole.

use std::collections::BTreeSet;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value as Json, json};
use tesseract::{Error, Hub, Options};

use crate::stage::{Server, text};

#[tokio::test]
async fn error_reasons() {
    let server = Server::start(json!({})).await;
    let scene = server.command("errors").await;
    let (mut reasons, mut failures) = (BTreeSet::new(), Vec::new());
    for call in scene["calls"].as_array().expect("calls") {
        let token = call["token"].as_str().map(Into::into);
        let hub =
            Hub::connect_with(text(&call["address"]), Options { token, ..Options::default() }).await.expect("options");
        let method = text(&call["method"]).trim_start_matches("/tesseract.v1.");
        let request = STANDARD.decode(text(&call["request"])).expect("base64");
        let found = match hub.call_bytes(method, request).await {
            Ok(_) => json!("no error"),
            Err(error) => shown(&error),
        };
        if found != call["error"] {
            failures.push(format!("{}: shown {found}\n     and not {}", call["name"], call["error"]));
        }
        reasons.insert(text(&call["reason"]).to_owned());
    }
    server.end().await;
    assert!(failures.is_empty(), "{} calls:\n{}", failures.len(), failures.join("\n"));
    assert!(reasons.len() >= 45, "{} reasons", reasons.len());
}

fn shown(error: &Error) -> Json {
    let row = |row: &tesseract::proto::RowError| {
        json!({
            "operation": row.operation, "row": row.row, "column": row.column, "reason": row.reason, "message": row.message,
        })
    };
    json!({
        "code": error.code_name(),
        "reason": error.reason,
        "message": error.message,
        "field": error.field,
        "hint": error.hint,
        "resource": error.resource.as_ref().map_or("", |(_, name)| name),
        "retry_after_ms": error.retry_after.map(|time| time.as_millis() as u64),
        "metadata": error.metadata,
        "row_errors": error.row_errors.iter().map(row).collect::<Vec<_>>(),
        "row_error_count": error.row_error_count,
    })
}
