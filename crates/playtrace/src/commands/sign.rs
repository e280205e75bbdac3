//! `playtrace sign`: the headers of one request, for a client that can't sign.

use playtrace_model::{RunToken, Slug};
use playtrace_replay::trace_headers;

use crate::documents::say;
use crate::exit::Exit;
use crate::messages::Failure;
use crate::service::settings;

/// Print the headers that have one request traced: a line each, as `curl --header @-` takes them.
///
/// The signature is made with `PROFILE_TRACE_SECRET`, which can't be given on the command line: others see that. It is good for five
/// minutes, and once.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The profile that the request is traced for.
    #[arg(value_name = "SLUG", value_parser = Slug::parse)]
    slug: Slug,
    /// The run: requests that belong together have the same one.
    #[arg(long, value_name = "TOKEN", value_parser = RunToken::parse)]
    run: Option<RunToken>,
    /// The step: the request's number in its run, counted from 1.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(..1_000_000_000))]
    step: Option<u32>,
}

/// Runs it.
#[expect(clippy::needless_pass_by_value, reason = "every command is called like this")]
pub fn run(args: Args) -> Result<Exit, Failure> {
    let Some(key) = settings::trace_key()? else {
        return Err(Failure::new(
            Exit::Usage,
            "PT-GRANT-011",
            "PROFILE_TRACE_SECRET is not set: there is nothing to sign with",
        )
        .help("set it to the app's; where the app has none, the header X-Profile-Trace alone does"));
    };
    for (name, value) in trace_headers(&args.slug, args.run.as_ref(), args.step, Some(&key)) {
        say(&format!("{name}: {value}\n"))?;
    }
    Ok(Exit::Success)
}
