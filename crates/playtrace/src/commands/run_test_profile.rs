//! `wctl run-test-profile`: a replay through the service; and what its sisters for forks and archives share with it.

use std::path::PathBuf;

use playtrace_model::Slug;

use crate::exit::Exit;
use crate::messages::Failure;
use crate::service::api::{FlowBody, RunBody};
use crate::service::client::{ServiceClient, exit_of};
use crate::service::console::Console;
use crate::service::{settings, tracker};

/// What each command on one profile takes.
#[derive(Debug, clap::Args)]
pub struct Common {
    /// The profile.
    #[arg(value_name = "SLUG")]
    pub slug: String,
    /// Trace the code that the app executes.
    #[arg(long)]
    pub trace_code: bool,
    /// Where a copy of the merged coverage goes, as the player sees it [default: `PROFILE_COVERAGE_EXPORT_DIR`].
    #[arg(long, value_name = "DIR")]
    pub coverage_dir: Option<PathBuf>,
    /// The coverage configuration that the app runs with; checked before the replay.
    #[arg(long, value_name = "FILE")]
    pub coverage_config: Option<PathBuf>,
    /// The app [default: `PROFILE_PLAYBACK_BASE_URL`].
    #[arg(long, value_name = "URL")]
    pub base_url: Option<String>,
    /// The value of a `Cookie` header, instead of a log-in.
    #[arg(long, value_name = "COOKIE", conflicts_with = "cookie_file")]
    pub cookie: Option<String>,
    /// A file with the value of a `Cookie` header, instead of a log-in.
    #[arg(long, value_name = "FILE")]
    pub cookie_file: Option<PathBuf>,
    /// Show the plan; send, delete and write nothing.
    #[arg(long)]
    pub dry_run: bool,
    /// Append a line about the run to this Markdown file.
    #[arg(long, value_name = "FILE")]
    pub tracker: Option<PathBuf>,
    /// Show the context of each request on stderr.
    #[arg(long, short)]
    pub verbose: bool,
}

impl Common {
    /// The run as the service and the engine take it.
    pub fn body(&self, coloured: bool) -> Result<RunBody, Failure> {
        Ok(RunBody {
            dry_run: self.dry_run,
            base_url: self.base_url.clone(),
            cookie: settings::cookie(self.cookie.clone(), self.cookie_file.as_deref())?,
            verbose: self.verbose,
            trace_code: self.trace_code,
            coverage_dir: settings::absolute(self.coverage_dir.as_deref()),
            coverage_config: settings::absolute(self.coverage_config.as_deref()),
            color: Some(coloured),
            keep_shards: None,
            job_timeout: None,
            command: Some(settings::command_line()),
            flow: FlowBody::default(),
        })
    }
}

/// How long a replay waits.
#[derive(Debug, clap::Args)]
pub struct Waiting {
    /// How long each job is waited for [default: the preset's time].
    #[arg(long, value_name = "SECONDS")]
    pub job_timeout: Option<u64>,
}

/// Which service.
#[derive(Debug, clap::Args)]
pub struct ServiceArg {
    /// The playback service [default: `PROFILE_PLAYBACK_URL`, else `http://127.0.0.1:8070`].
    #[arg(long, value_name = "URL")]
    pub service_url: Option<String>,
}

/// Arguments.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    common: Common,
    #[command(flatten)]
    waiting: Waiting,
    #[command(flatten)]
    service: ServiceArg,
}

/// Runs it.
#[expect(clippy::needless_pass_by_value, reason = "every command is called like this")]
pub fn run(args: Args) -> Result<Exit, Failure> {
    let console = Console::new(args.common.verbose);
    let mut body = args.common.body(console.is_coloured())?;
    body.job_timeout = args.waiting.job_timeout;
    through_service("run", &args.common, &args.service, body, &console)
}

/// Has the service do one of its works on a profile (`run`, `fork`, `archive`), and ends as that did.
pub fn through_service(
    what: &str,
    common: &Common,
    service: &ServiceArg,
    mut body: RunBody,
    console: &Console,
) -> Result<Exit, Failure> {
    let slug = checked_slug(&common.slug)?;
    // The app that this person means, if the environment says so: the service may know another.
    body.base_url = body.base_url.or_else(settings::base_url);
    let service = ServiceClient::new(&service.service_url.clone().unwrap_or_else(settings::service_url))?;
    console.context(&format!(
        "POST {}/{what}/{slug} (base URL: {}, traced: {}, dry run: {})",
        service.url(),
        body.base_url.as_deref().unwrap_or("the service's"),
        body.trace_code,
        body.dry_run
    ));
    let result = super::run_async(service.work(what, slug.as_str(), &body, console))??;
    let Some(result) = result else { return Ok(Exit::Success) };
    console.context(&format!("run {}: {}/run/result/{}", result.token, service.url(), result.token));
    if let Some(file) = &common.tracker {
        tracker::append(file, &result)?;
    }
    Ok(exit_of(result.exit_code))
}

/// The slug, or what is wrong with it.
pub fn checked_slug(text: &str) -> Result<Slug, Failure> {
    Slug::parse(text).map_err(|source| {
        let text = text.chars().take(80).collect();
        playtrace_profile::ProfileError::BadSlug { text, source }.into()
    })
}
