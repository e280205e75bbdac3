//! `playtrace doctor`: checks a running stack, and says what to do.

use std::collections::BTreeSet;
use std::path::PathBuf;

use playtrace_replay::{BaseUrl, Credentials, Secret};

use crate::doctor::finding::Check;
use crate::doctor::show::Report;
use crate::doctor::{Asked, examine};
use crate::exit::Exit;
use crate::messages::{Failure, note};
use crate::own_runs::OwnRuns;
use crate::service::client::ServiceClient;
use crate::service::console::Console;
use crate::service::settings::{self, Settings};

/// Check a running stack (web processes, proxies, RQ workers, Redis, service, coverage directory), and say what to do.
///
/// Asks the app, traced for a profile of its own whose data it removes, and changes nothing else. Ends with 0 if everything is
/// ok, 1 if a check failed, 3 if none failed and something could not be checked. docs/doctor.md explains each check.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The app [default: `PROFILE_PLAYBACK_BASE_URL`].
    #[arg(long, value_name = "URL")]
    base_url: Option<String>,
    /// The playback service [default: `PROFILE_PLAYBACK_URL`, else `http://127.0.0.1:8070`].
    #[arg(long, value_name = "URL")]
    service_url: Option<String>,
    /// The Redis of app and workers.
    #[arg(long, value_name = "URL", env = "REDIS_URL", hide_env_values = true)]
    redis_url: Option<String>,
    /// The directory of shards, as it is called here [default: `PROFILE_COVERAGE_DIR`].
    #[arg(long, value_name = "DIR")]
    coverage_dir: Option<PathBuf>,
    /// How the app wants to be replayed: a preset's file, or the name of a built-in one.
    #[arg(long, value_name = "FILE", default_value = playtrace_replay::DEFAULT_PRESET)]
    preset: String,
    /// The value of a `Cookie` header, instead of a log-in.
    #[arg(long, value_name = "COOKIE", conflicts_with = "cookie_file")]
    cookie: Option<String>,
    /// A file with the value of a `Cookie` header, instead of a log-in.
    #[arg(long, value_name = "FILE")]
    cookie_file: Option<PathBuf>,
    /// Two pages that execute different code, for the concurrency probe: give it twice [default: the log-in page and /].
    #[arg(long, value_name = "PATH")]
    probe_path: Vec<String>,
    /// Leave a check out; may be given again.
    #[arg(long, value_name = "ID", value_parser = check)]
    skip: Vec<Check>,
    /// The least room in the coverage directory, in megabytes.
    #[arg(long, value_name = "MB", default_value_t = 512)]
    min_free_mb: u64,
    /// By how many seconds clocks may differ.
    #[arg(long, value_name = "SECONDS", default_value_t = 5.0)]
    max_skew: f64,
    /// Write JSON.
    #[arg(long)]
    json: bool,
}

/// Runs it.
pub fn run(args: Args) -> Result<Exit, Failure> {
    let known = Settings::from_environment()?;
    let preset = settings::preset(&args.preset)?;
    let cookie = settings::cookie(args.cookie, args.cookie_file.as_deref())?;
    let login = preset.login.as_ref().map_or("/", |rule| rule.page.as_str()).to_owned();
    let paths = match <[String; 2]>::try_from(args.probe_path) {
        Ok(paths) => paths,
        Err(given) if given.is_empty() => [login, "/".to_owned()],
        Err(_) => {
            return Err(Failure::new(
                Exit::Usage,
                "PT-DOCTOR-002",
                "--probe-path is given twice or not at all",
            )
            .help("name two pages of the app that execute different code"));
        }
    };
    let base = args.base_url.or(known.base_url);
    let asked = Asked {
        base: base.as_deref().map(BaseUrl::parse).transpose()?,
        service: ServiceClient::new(&args.service_url.unwrap_or_else(settings::service_url))?,
        redis_url: args.redis_url.filter(|url| !url.trim().is_empty()),
        coverage_dir: args.coverage_dir.unwrap_or(known.coverage_dir),
        preset,
        credentials: cookie.map_or(known.credentials, |cookie| Credentials::Cookie(Secret::new(cookie))),
        trace_key: known.trace_key,
        paths,
        min_free: args.min_free_mb.saturating_mul(1 << 20),
        max_skew: args.max_skew,
        skip: args.skip.iter().copied().collect::<BTreeSet<_>>(),
    };
    let mut left = OwnRuns::new(&crate::doctor::RUNS, &asked.coverage_dir, None);
    let findings = super::run_async(async {
        let findings = tokio::select! {
            findings = examine(&asked, &mut left) => Some(findings),
            () = super::broken_off() => None,
        };
        if findings.is_none() {
            note("broken off: what the app is at work on is waited for, and removed");
            // The app goes on with what it was asked for, and would write after what is removed too soon.
            left.clear().await;
        }
        findings
    })?;
    drop(left);
    let Some(findings) = findings else {
        return Err(Failure::new(Exit::Interrupted, "PT-DOCTOR-003", "the examination was broken off"));
    };
    let report = Report::new(findings?, asked.skip.len());
    if args.json {
        let json = report.to_json().map_err(|error| {
            Failure::new(Exit::Io, "PT-DOCTOR-004", format!("the findings can't be written as JSON: {error}"))
        })?;
        crate::documents::say(&json)?;
    } else {
        Console::new(false).log(report.to_ansi().trim_end());
    }
    Ok(report.exit())
}

fn check(id: &str) -> Result<Check, String> {
    Check::parse(id).ok_or_else(|| format!("the checks are {}", Check::ALL.map(Check::id).join(", ")))
}
