//! One module per command: its arguments and what it does.
//!
//! Each has `Args` (clap) and `run(Args) -> Result<Exit, Failure>`.

pub mod combine;
pub mod index;
pub mod inspect;
pub mod matrix;
pub mod play;
pub mod report;
pub mod run_profile_coverage_batch;
pub mod run_test_profile;
pub mod serve;
pub mod shards;
