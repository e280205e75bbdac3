//! `wctl run-fork-profile`: the app's fork flow on a profile's snapshot, through the service.

use super::run_test_profile::{Common, ServiceArg, through_service};
use crate::exit::Exit;
use crate::messages::Failure;
use crate::service::api::FlowBody;
use crate::service::console::Console;

/// Arguments.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    common: Common,
    /// Have the app take the fire out of the copy.
    #[arg(long)]
    undisturbify: bool,
    /// The copy's run id [default: the preset's, a sandbox of its own].
    #[arg(long, value_name = "RUNID")]
    target_runid: Option<String>,
    /// How long the fork's job is waited for.
    #[arg(long, value_name = "SECONDS", default_value_t = FlowBody::USUAL_TIMEOUT, value_parser = clap::value_parser!(u64).range(1..))]
    timeout: u64,
    #[command(flatten)]
    service: ServiceArg,
}

/// Runs it.
pub fn run(args: Args) -> Result<Exit, Failure> {
    let console = Console::new(args.common.verbose);
    let mut body = args.common.body(console.is_coloured())?;
    body.flow = FlowBody {
        undisturbify: args.undisturbify,
        target_runid: args.target_runid,
        timeout_seconds: Some(args.timeout),
        ..FlowBody::default()
    };
    through_service("fork", &args.common, &args.service, body, &console)
}
