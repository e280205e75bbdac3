//! `wctl run-profile-coverage-batch`: many profiles, one merged file each.

use std::path::{Path, PathBuf};

use playtrace_profile::Library;

use crate::exit::Exit;
use crate::messages::Failure;
use crate::service::api::RunBody;
use crate::service::artifact::check_writable;
use crate::service::batch::{Batch, Runner, select, table, worst};
use crate::service::client::ServiceClient;
use crate::service::console::Console;
use crate::service::settings::{self, Settings};

/// Where the customer keeps the files.
const WORK_PACKAGE: &str = "docs/work-packages/20251109_profile_playback_coverage/artifacts";

/// Arguments.
#[derive(Debug, clap::Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of the command line")]
pub struct Args {
    /// Only these profiles.
    #[arg(long, value_name = "SLUG", num_args = 1..)]
    include: Vec<String>,
    /// Not these profiles.
    #[arg(long, value_name = "SLUG", num_args = 1..)]
    exclude: Vec<String>,
    /// The folder that contains the profiles [default: `PROFILE_PLAYBACK_ROOT`].
    #[arg(long, value_name = "DIR")]
    profiles_root: Option<PathBuf>,
    /// A file with the slugs of further profiles, one a line.
    #[arg(long, value_name = "FILE")]
    profiles_file: Option<PathBuf>,
    /// The directory of the shards, as this machine sees it [default: `PROFILE_COVERAGE_DIR`].
    #[arg(long, value_name = "DIR")]
    coverage_shards: Option<PathBuf>,
    /// Where a further copy of each merged file goes, as the player sees it [default: `PROFILE_COVERAGE_EXPORT_DIR`].
    #[arg(long, value_name = "DIR")]
    coverage_dir: Option<PathBuf>,
    /// Where the merged files go [default: the work package's `artifacts` folder where there is one, else artifacts].
    #[arg(long, value_name = "DIR")]
    artifacts_dir: Option<PathBuf>,
    /// The coverage configuration that the app runs with; checked before each replay.
    #[arg(long, value_name = "FILE")]
    coverage_config: Option<PathBuf>,
    /// The playback service [default: `PROFILE_PLAYBACK_URL`, else `http://127.0.0.1:8070`].
    #[arg(long, value_name = "URL", conflicts_with = "in_process")]
    service_url: Option<String>,
    /// Replay in this process, without a service.
    #[arg(long)]
    in_process: bool,
    /// How the app wants to be replayed, with --in-process: a preset's file, or the name of a built-in one.
    #[arg(long, value_name = "FILE", requires = "in_process")]
    preset: Option<String>,
    /// The app [default: `PROFILE_PLAYBACK_BASE_URL`].
    #[arg(long, value_name = "URL")]
    base_url: Option<String>,
    /// The value of a `Cookie` header, instead of a log-in.
    #[arg(long, value_name = "COOKIE", conflicts_with = "cookie_file")]
    cookie: Option<String>,
    /// A file with the value of a `Cookie` header, instead of a log-in.
    #[arg(long, value_name = "FILE")]
    cookie_file: Option<PathBuf>,
    /// How often a profile is tried again when the app or the service was not reachable, or data is missing.
    #[arg(long, value_name = "N", default_value_t = 3)]
    retries: u32,
    /// Leave out profiles that have a merged file among the artifacts.
    #[arg(long)]
    skip_existing: bool,
    /// How many profiles are replayed at once.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..))]
    jobs: u16,
    /// How long each job is waited for [default: the preset's time].
    #[arg(long, value_name = "SECONDS")]
    job_timeout: Option<u64>,
    /// Show the plans; send, delete and write nothing.
    #[arg(long)]
    dry_run: bool,
    /// Show the context of each request on stderr.
    #[arg(long, short)]
    verbose: bool,
}

/// Runs it.
#[expect(clippy::needless_pass_by_value, reason = "all commands are called alike")]
pub fn run(args: Args) -> Result<Exit, Failure> {
    let console = Console::new(args.verbose);
    let profiles_root = args.profiles_root.clone().unwrap_or_else(settings::profiles_root);
    let artifacts = args.artifacts_dir.clone().unwrap_or_else(default_artifacts);
    let library = Library::new(&profiles_root);
    let mut selection = select(&library, &args.include, args.profiles_file.as_deref(), &args.exclude)?;
    if args.skip_existing {
        selection.slugs.retain(|slug| {
            let exists = artifacts.join(format!("{slug}.coverage")).is_file();
            if exists {
                selection
                    .skipped
                    .push(format!("skipped {slug}: {} has its merged file", artifacts.display()));
            }
            !exists
        });
    }
    for sentence in &selection.skipped {
        console.context(sentence);
    }
    if selection.slugs.is_empty() {
        console.log("no profile to replay");
        return Ok(Exit::Success);
    }
    if !args.dry_run {
        check_writable(&artifacts, "the artifacts directory")?;
    }
    let batch = batch(&args, &console, profiles_root, artifacts)?;
    super::run_async(async {
        if let Runner::Service(service) = &batch.runner
            && !service.is_reachable().await
        {
            return Err(not_reachable(service));
        }
        let rows = tokio::select! {
            rows = batch.run(&selection.slugs, &console) => rows,
            _ = tokio::signal::ctrl_c() => {
                return Err(Failure::new(Exit::Interrupted, "PT-BATCH-008", "the batch was broken off"));
            }
        };
        console.log("");
        for line in table(&rows).lines() {
            console.log(line);
        }
        Ok(worst(&rows))
    })?
}

fn batch(
    args: &Args,
    console: &Console,
    profiles_root: PathBuf,
    artifacts: PathBuf,
) -> Result<Batch, Failure> {
    let shards = args.coverage_shards.clone().unwrap_or_else(settings::coverage_dir);
    let runner = if args.in_process {
        let mut known = Settings::from_environment()?;
        known.profiles_root.clone_from(&profiles_root);
        known.coverage_dir.clone_from(&shards);
        if let Some(preset) = &args.preset {
            known.preset = settings::preset(preset)?;
        }
        Runner::Here(Box::new(known))
    } else {
        let url = args.service_url.clone().unwrap_or_else(settings::service_url);
        Runner::Service(ServiceClient::new(&url)?)
    };
    let body = RunBody {
        dry_run: args.dry_run,
        base_url: args.base_url.clone().or_else(settings::base_url),
        cookie: settings::cookie(args.cookie.clone(), args.cookie_file.as_deref())?,
        verbose: args.verbose,
        trace_code: true,
        coverage_dir: settings::absolute(args.coverage_dir.as_deref()),
        coverage_config: settings::absolute(args.coverage_config.as_deref()),
        color: Some(console.is_coloured()),
        keep_shards: Some(false),
        job_timeout: args.job_timeout,
        command: Some(settings::command_line()),
        ..RunBody::default()
    };
    let jobs = usize::from(args.jobs);
    Ok(Batch { runner, body, profiles_root, shards, artifacts, retries: args.retries, jobs })
}

fn default_artifacts() -> PathBuf {
    let customers = Path::new(WORK_PACKAGE);
    if customers.is_dir() { customers.to_owned() } else { PathBuf::from("artifacts") }
}

fn not_reachable(service: &ServiceClient) -> Failure {
    let why = format!("no playback service answers at {}", service.url());
    Failure::new(Exit::Unreachable, "PT-BATCH-009", why)
        .help("start it with `playtrace serve`, name another with --service-url, or replay in this process with --in-process")
}
