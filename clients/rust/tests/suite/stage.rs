//! The control port of the stage: JSON over HTTP/1.1, one request a connection.

use serde_json::Value as Json;
use tesseract::{Hub, Options};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// A variable that the stage sets; its absence is a failure.
pub fn variable(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| panic!("{name} is not set: run `python -m tests.clients stage cargo test`"))
}

/// One request; panics with what the stage says is wrong.
pub async fn ask(method: &str, path: &str, body: Json) -> Json {
    let address = variable("TESSERACT_STAGE").trim_start_matches("http://").trim_end_matches('/').to_owned();
    let mut connection = TcpStream::connect(&address).await.expect("the stage is there");
    let body = if body.is_null() { String::new() } else { body.to_string() };
    let length = body.len();
    let head = format!("{method} {path} HTTP/1.1\r\nHost: {address}\r\nContent-Length: {length}\r\n\r\n");
    connection.write_all((head + &body).as_bytes()).await.expect("the stage listens");
    let mut answer = Vec::new();
    let (head_end, length) = loop {
        assert!(connection.read_buf(&mut answer).await.expect("the stage answers") > 0, "{method} {path}: no answer");
        if let Some(end) = answer.windows(4).position(|four| four == b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&answer[..end]).to_lowercase();
            let line = head.lines().find_map(|line| line.strip_prefix("content-length:")).expect("a length");
            break (end + 4, line.trim().parse::<usize>().expect("a length is a number"));
        }
    };
    while answer.len() < head_end + length {
        assert!(connection.read_buf(&mut answer).await.expect("the stage goes on") > 0, "{method} {path}: cut off");
    }
    let found: Json = serde_json::from_slice(&answer[head_end..head_end + length]).expect("JSON");
    assert!(answer.starts_with(b"HTTP/1.1 200"), "{method} {path}: {found}");
    found
}

/// A text in an answer.
pub fn text(found: &Json) -> &str {
    found.as_str().unwrap_or_else(|| panic!("{found} is not a text"))
}

/// A real server, until it is ended.
pub struct Server {
    pub id: String,
    pub address: String,
    pub told: Json,
}

impl Server {
    pub async fn start(options: Json) -> Self {
        let told = ask("POST", "/servers", options).await;
        Self { id: text(&told["id"]).into(), address: text(&told["address"]).into(), told }
    }

    pub async fn command(&self, command: &str) -> Json {
        ask("POST", &format!("/servers/{}/{command}", self.id), Json::Null).await
    }

    pub async fn hub(&self) -> Hub {
        Hub::connect_with(&self.address, quick()).await.expect("options")
    }

    pub async fn end(self) {
        ask("DELETE", &format!("/servers/{}", self.id), Json::Null).await;
    }
}

/// Options for tests: short pauses.
pub fn quick() -> Options {
    let mut options = Options::default();
    options.retry.max_backoff = std::time::Duration::from_millis(500);
    options
}
