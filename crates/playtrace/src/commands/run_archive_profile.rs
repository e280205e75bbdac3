//! `wctl run-archive-profile`: the app's archive flow on a profile's snapshot, through the service.

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
    /// A comment that is kept with the archive, of at most 200 characters.
    #[arg(long, value_name = "TEXT")]
    archive_comment: Option<String>,
    /// How long the archive's job is waited for.
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
        comment: args.archive_comment,
        timeout_seconds: Some(args.timeout),
        ..FlowBody::default()
    };
    through_service("archive", &args.common, &args.service, body, &console)
}
