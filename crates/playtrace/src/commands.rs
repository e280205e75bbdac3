//! One module per command: its arguments and what it does.
//!
//! Each has `Args` (clap) and `run(Args) -> Result<Exit, Failure>`.

pub mod aggregate;
pub mod check_profile_coverage;
pub mod combine;
pub mod completions;
pub mod doctor;
pub mod export;
pub mod index;
pub mod inspect;
pub mod man;
pub mod matrix;
pub mod perf;
pub mod play;
pub mod prune;
pub mod report;
pub mod run_archive_profile;
pub mod run_fork_profile;
pub mod run_profile_coverage_batch;
pub mod run_test_profile;
pub mod serve;
pub mod shards;
pub mod sign;
pub mod workflows;

use std::future::Future;

use tokio::signal::unix::{SignalKind, signal};

use crate::exit::Exit;
use crate::messages::Failure;

/// Runs the asynchronous part of a command.
fn run_async<T>(work: impl Future<Output = T>) -> Result<T, Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::new(Exit::Io, "PT-CLI-003", format!("can't start the runtime: {error}")))?;
    Ok(runtime.block_on(work))
}

/// Comes when the command is broken off: by Ctrl-C, or by a CI system that cancels its job.
async fn broken_off() {
    let Ok(mut terminated) = signal(SignalKind::terminate()) else { return interrupted().await };
    tokio::select! {
        () = interrupted() => {}
        _ = terminated.recv() => {}
    }
}

async fn interrupted() {
    if tokio::signal::ctrl_c().await.is_err() {
        // No signal can be listened to, so that the system's own way of ending a process holds.
        std::future::pending::<()>().await;
    }
}
