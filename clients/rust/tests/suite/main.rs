//! The vectors and the live suite, against the stage (`python -m tests.clients stage cargo test`).
//!
//! Without TESSERACT_STAGE and TESSERACT_VECTORS in the environment these tests fail; none is skipped.

mod errors;
mod live;
mod stage;
mod vectors;
