//! Mirrors a session and says how it is doing, for the relay test.
//!
//! `relay_watch --address A[,B] --session NAME` prints `{"state":"live","version":N}` when the mirror is live for the first
//! time. On a line `digest VERSION` on stdin it waits until the mirror has reached that version, and prints its digest and
//! what happened to it. It ends with stdin.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use tesseract::{Event, Events, Hub, MirrorOptions, Options, State};
use tokio::io::{AsyncBufReadExt, BufReader};

type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

const PATIENCE: Duration = Duration::from_secs(120);

/// What happened.
#[derive(Default)]
struct Counts {
    resumes: AtomicU64,
    snapshots: AtomicU64,
    changes: AtomicU64,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Outcome<()> {
    let arguments: Vec<String> = std::env::args().collect();
    let argument = |name: &str| {
        let at = arguments.iter().position(|given| given == name);
        at.and_then(|at| arguments.get(at + 1)).ok_or_else(|| format!("{name} is missing"))
    };
    let options = Options { timeout: PATIENCE, ..Options::default() };
    let hub = Hub::connect_with(argument("--address")?, options).await?;
    let session = hub.session(argument("--session")?).await?;
    let (mirror, events) = session.watch(MirrorOptions { verify: true, ..MirrorOptions::default() });
    let counts = Arc::new(Counts::default());
    tokio::spawn(count(events, counts.clone()));
    let mut lines = BufReader::new(tokio::io::stdin()).lines();
    while let Some(line) = lines.next_line().await? {
        let version = line.strip_prefix("digest ").ok_or("not a command")?.trim().parse()?;
        mirror.wait_for(version).await?;
        let view = mirror.view();
        let digest: String = view.digest().iter().map(|byte| format!("{byte:02x}")).collect();
        let (resumes, changes) = (counts.resumes.load(Relaxed), counts.changes.load(Relaxed));
        let resets = counts.snapshots.load(Relaxed).saturating_sub(1);
        println!(
            r#"{{"version":{},"rows":{},"digest":"{digest}","resumes":{resumes},"resets":{resets},"changes":{changes}}}"#,
            view.version(),
            view.len(),
        );
    }
    Ok(())
}

async fn count(mut events: Events, counts: Arc<Counts>) {
    let mut live = false;
    let mut version = 0;
    while let Some(event) = events.next().await {
        match event {
            Event::Resumed { .. } => _ = counts.resumes.fetch_add(1, Relaxed),
            Event::Snapshot { view, .. } => {
                counts.snapshots.fetch_add(1, Relaxed);
                version = view.version();
            }
            Event::Delta { .. } => _ = counts.changes.fetch_add(1, Relaxed),
            _ => {}
        }
        if !live && version > 0 {
            live = true;
            println!(r#"{{"state":"{}","version":{version}}}"#, State::Live);
        }
    }
}
