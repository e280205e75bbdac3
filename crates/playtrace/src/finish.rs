//! The end of a traced run: wait until its records are there, merge its shards, give the verdict.

mod merge;
mod settle;
mod verdict_file;

pub use merge::{MergeRun, Merged, latest_run, merge_run};
pub use settle::{Patience, settle};
pub use verdict_file::VerdictFile;
