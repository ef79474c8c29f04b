//! What needs no server: values, batches, the digest, the fold, pauses, errors and bookmarks.

mod errors;
mod fold;
mod values;
