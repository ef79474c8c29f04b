//! Generates the messages and service clients of `protos/` (`../generate`), or checks that they are fresh.
//!
//! `codegen PROTOS TARGET` writes `TARGET/tesseract.v1.rs`. The comments of the protos, which are the contract, become the
//! documentation of the fields. Indented lines and angle brackets in them are no code and no links, so each line is made
//! safe for rustdoc.

use std::path::{Path, PathBuf};

type Outcome = Result<(), Box<dyn std::error::Error>>;

fn main() -> Outcome {
    let [protos, target] = std::env::args()
        .skip(1)
        .map(PathBuf::from)
        .collect::<Vec<_>>()
        .try_into()
        .map_err(|_| "usage: codegen PROTOS TARGET")?;
    let files = files_below(&protos.join("tesseract"))?;
    let descriptors = protox::compile(&files, [&protos])?;
    tonic_prost_build::configure()
        .build_server(false)
        .build_transport(false)
        .emit_rerun_if_changed(false)
        .out_dir(&target)
        .compile_fds(descriptors)?;
    Ok(())
}

fn files_below(folder: &Path) -> Result<Vec<PathBuf>, std::io::Error> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            found.extend(files_below(&path)?);
        } else if path.extension().is_some_and(|end| end == "proto") {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}
