//! Replays a recorded session over HTTP, faithfully, and tells what came of it.
//!
//! A [`Plan`] decides and checks everything before the first request; [`play`] sends it, follows the background
//! jobs that it starts, and returns a [`Replay`]: a step or a job that went wrong is a result, an `Err` means that
//! the replay could not be done. What is particular to an app stands in a [`Preset`], which is data.
//!
//! This crate refuses to know coverage data: it writes the player's side of the ledger and nothing else of it.
//!
//! ```
//! use playtrace_replay::{BaseUrl, DEFAULT_PRESET, Preset};
//!
//! let preset = Preset::built_in(DEFAULT_PRESET).unwrap();
//! let base = BaseUrl::parse("http://127.0.0.1:8080/weppcloud/").unwrap();
//! assert_eq!(base.fill("{origin}/rq-engine/api/jobinfo/7"), "http://127.0.0.1:8080/rq-engine/api/jobinfo/7");
//! assert_eq!(preset.login.unwrap().cookie, "session");
//! ```

mod address;
mod body;
mod error;
mod flow;
mod hops;
mod http;
mod job_tree;
mod jobs;
mod listener;
mod login;
mod manifest;
mod plan;
mod player;
mod preset;
mod probe;
mod quiet;
mod rewrite;
mod sandbox;
mod secret;
mod step;
mod summary;
mod trace;

pub use address::BaseUrl;
pub use body::{Body, FormPart};
pub use error::ReplayError;
pub use flow::{Flow, FlowKind, FlowPlan, FlowResult, FlowRoots};
pub use http::install_tls;
pub use job_tree::JobNode;
pub use jobs::JobResult;
pub use listener::{Channel, Line, Listener, Tone};
pub use plan::{Plan, PlanItem, PlanOptions, Skipped, Step};
pub use player::{PlayOptions, Replay, play};
pub use preset::{
    DEFAULT_PRESET, FlowRule, FlowRules, Http, JobRule, LoginRule, OnFailure, Pattern, PollRule, Preset,
    Reaction, RunIdRule, SandboxRule, SeedCopy, SkipRule, UploadRule,
};
pub use probe::{ProbeTrace, Prober, Reply};
pub use rewrite::RunIdRewriter;
pub use sandbox::Sandbox;
pub use secret::{Credentials, Secret};
pub use step::{StepResult, Tracing};
pub use summary::{RUNS_DIR, RunOutcome, Summary};
pub use trace::trace_headers;
