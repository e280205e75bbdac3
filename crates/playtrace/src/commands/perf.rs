//! `playtrace perf`: what tracing costs on the user's own profiles.

use std::path::PathBuf;
use std::time::Duration;

use playtrace_profile::Library;
use playtrace_replay::{BaseUrl, Channel, Credentials, Line, Listener, Secret};

use crate::clock;
use crate::documents::{say, write_document};
use crate::exit::Exit;
use crate::messages::{Failure, note};
use crate::own_runs::OwnRuns;
use crate::perf::analyse::{Budgets, analyse};
use crate::perf::document::{Document, Machine, Settings as Measurement};
use crate::perf::estimate::{CONFIDENCE, FEWEST};
use crate::perf::judge::State;
use crate::perf::measure::{Asked, check_plain, measure};
use crate::perf::{Arm, show};
use crate::service::console::Console;
use crate::service::settings::{self, Settings};

/// The most rounds.
const MOST: usize = 200;

/// Measure what tracing costs on your own profiles, and whether a budget holds.
///
/// Replays each profile again and again: against the app without the agent (--plain-url), with the agent and without the header, and traced;
/// in turn, and compared in pairs. Ends with 0 if the budget held, 1 if it did not or a profile can't be replayed, 7 if the machine is too
/// noisy to tell. docs/dev-notes/perf.md explains the numbers.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The profiles.
    #[arg(value_name = "SLUG", required = true)]
    slugs: Vec<String>,
    /// The app, with the agent [default: `PROFILE_PLAYBACK_BASE_URL`].
    #[arg(long, value_name = "URL")]
    base_url: Option<String>,
    /// The same app without the agent; what an idle agent costs is not measured without it.
    #[arg(long, value_name = "URL")]
    plain_url: Option<String>,
    /// How often each profile is replayed in each way.
    #[arg(long, value_name = "NUMBER", default_value_t = 16, value_parser = rounds)]
    rounds: usize,
    /// How often at most, as long as two replays in the same way differ by more than --precision [default: four times --rounds].
    #[arg(long, value_name = "NUMBER", value_parser = rounds)]
    max_rounds: Option<usize>,
    /// How far two replays in the same way may differ, with confidence [default: the smallest budget].
    #[arg(long, value_name = "PERCENT", value_parser = budget)]
    precision: Option<f64>,
    /// Rounds before those that don't count.
    #[arg(long, value_name = "NUMBER", default_value_t = 1)]
    warmup: usize,
    /// By how much a traced replay may be slower.
    #[arg(long, value_name = "PERCENT", default_value = "25%", value_parser = budget)]
    max_overhead: f64,
    /// By how much the app may be slower for an agent that traces nothing.
    #[arg(long, value_name = "PERCENT", default_value = "5%", value_parser = budget)]
    max_idle_overhead: f64,
    /// Where the measurement goes.
    #[arg(long, value_name = "FILE", default_value = "artifacts/perf-baseline.json")]
    output: PathBuf,
    /// An earlier measurement: what has changed since is told.
    #[arg(long, value_name = "FILE")]
    compare: Option<PathBuf>,
    /// Write a summary in Markdown.
    #[arg(long, value_name = "FILE")]
    markdown: Option<PathBuf>,
    /// Print the measurement as JSON.
    #[arg(long)]
    json: bool,
    /// How the app wants to be replayed: a preset's file, or the name of a built-in one.
    #[arg(long, value_name = "FILE", default_value = playtrace_replay::DEFAULT_PRESET)]
    preset: String,
    /// The folder that contains the profiles [default: `PROFILE_PLAYBACK_ROOT`].
    #[arg(long, value_name = "DIR")]
    profiles_root: Option<PathBuf>,
    /// The value of a `Cookie` header, instead of a log-in.
    #[arg(long, value_name = "COOKIE", conflicts_with = "cookie_file")]
    cookie: Option<String>,
    /// A file with the value of a `Cookie` header, instead of a log-in.
    #[arg(long, value_name = "FILE")]
    cookie_file: Option<PathBuf>,
    /// How long each job is waited for [default: the preset's time].
    #[arg(long, value_name = "SECONDS")]
    job_timeout: Option<u64>,
    /// Show the log of each replay on stderr.
    #[arg(long, short)]
    verbose: bool,
}

/// Runs it.
pub fn run(args: Args) -> Result<Exit, Failure> {
    let known = Settings::from_environment()?;
    let cookie = settings::cookie(args.cookie, args.cookie_file.as_deref())?;
    let Some(base) = args.base_url.or(known.base_url) else {
        let why = "neither --base-url nor PROFILE_PLAYBACK_BASE_URL says where the app is";
        return Err(Failure::new(Exit::Usage, "PT-PERF-006", why));
    };
    let smallest_budget = if args.plain_url.is_some() {
        args.max_overhead.min(args.max_idle_overhead)
    } else {
        args.max_overhead
    };
    let asked = Asked {
        base: BaseUrl::parse(&base)?,
        plain: args.plain_url.as_deref().map(BaseUrl::parse).transpose()?,
        preset: settings::preset(&args.preset)?,
        credentials: cookie.map_or(known.credentials, |cookie| Credentials::Cookie(Secret::new(cookie))),
        trace_key: known.trace_key,
        run_root: known.run_root,
        coverage_dir: known.coverage_dir,
        job_timeout: args.job_timeout.map(Duration::from_secs),
        rounds: args.rounds,
        max_rounds: args.max_rounds.unwrap_or((4 * args.rounds).min(MOST)),
        precision: args.precision.unwrap_or(smallest_budget) - 1.0,
        warmup: args.warmup,
    };
    let library = Library::new(args.profiles_root.unwrap_or(known.profiles_root));
    let profiles = args.slugs.iter().map(|slug| library.open_named(slug)).collect::<Result<Vec<_>, _>>()?;
    // Before anything is written: it may be the very file that is.
    let earlier = args.compare.as_deref().map(Document::read).transpose()?;
    let listener = Progress { console: Console::new(args.verbose), verbose: args.verbose };
    let budgets = Budgets { traced: args.max_overhead, idle: args.max_idle_overhead };
    let before = load();
    let mut left = OwnRuns::new(&crate::perf::RUNS, &asked.coverage_dir, asked.run_root.as_deref());
    let costs = super::run_async(async {
        let all = async {
            check_plain(&asked, &mut left).await?;
            let mut costs = Vec::new();
            for profile in &profiles {
                let measured = measure(&asked, profile, &listener, &mut left).await?;
                costs.push(analyse(profile.slug.as_str(), &measured, budgets));
            }
            Ok::<_, Failure>(costs)
        };
        let costs = tokio::select! {
            costs = all => Some(costs),
            () = super::broken_off() => {
                note("broken off: what the app is at work on is waited for, and removed");
                None
            }
        };
        // The app goes on with what it was asked for, and would write after what is removed too soon.
        left.clear().await;
        costs
    })?;
    let Some(costs) = costs else {
        return Err(Failure::new(Exit::Interrupted, "PT-PERF-001", "the measurement was broken off"));
    };
    let costs = costs?;
    let document = Document {
        format: Document::FORMAT.to_owned(),
        version: Document::VERSION,
        playtrace: env!("CARGO_PKG_VERSION").to_owned(),
        measured: clock::now(),
        machine: Machine {
            system: format!("{} {}", std::env::consts::OS, std::env::consts::ARCH),
            processors: std::thread::available_parallelism().map_or(1, usize::from),
            load: before.zip(load()).map(|(before, after)| [before, after]),
        },
        settings: Measurement {
            rounds: args.rounds,
            max_rounds: Some(asked.max_rounds),
            precision: Some(asked.precision),
            confidence: CONFIDENCE,
            max_overhead: args.max_overhead,
            max_idle_overhead: args.max_idle_overhead,
            arms: Arm::all(asked.plain.is_some()),
        },
        state: costs.iter().map(|cost| cost.state).max().unwrap_or(State::Held),
        profiles: costs,
    };
    let json = document.to_json()?;
    write_document(&args.output, &json)?;
    if let Some(file) = &args.markdown {
        write_document(file, &show::markdown(&document, earlier.as_ref()))?;
    }
    say(&if args.json { json } else { show::text(&document, earlier.as_ref()) })?;
    Ok(document.exit())
}

fn rounds(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(rounds) if (FEWEST..=MOST).contains(&rounds) => Ok(rounds),
        _ => Err(format!("a number from {FEWEST} to {MOST}: with fewer, nothing can be told")),
    }
}

/// A percentage (`25%` or `25`) as a ratio.
fn budget(text: &str) -> Result<f64, String> {
    let number = text.trim().trim_end_matches('%').trim().parse::<f64>();
    match number {
        Ok(percent) if percent > 0.0 && percent <= 10_000.0 => Ok(1.0 + percent / 100.0),
        _ => Err("a percentage above 0, such as 25%".to_owned()),
    }
}

/// The load average of the last minute, where the system tells.
fn load() -> Option<f64> {
    let loads = fs_err::read_to_string("/proc/loadavg").ok()?;
    loads.split_whitespace().next()?.parse().ok()
}

/// Rounds on stderr, and the replays' own logs where they are wished for.
struct Progress {
    console: Console,
    verbose: bool,
}

impl Listener for Progress {
    fn line(&self, line: &Line) {
        if line.channel == Channel::Context || self.verbose {
            self.console.context(&line.to_ansi());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn budgets_are_percentages() {
        for (text, ratio) in [("25%", 1.25), ("5", 1.05), (" 0.5 %", 1.005)] {
            assert!((budget(text).unwrap() - ratio).abs() < 1e-12, "{text}");
        }
        for text in ["", "%", "-5%", "0", "NaN", "inf", "five"] {
            assert!(budget(text).is_err(), "{text}");
        }
        assert!(rounds("7").is_err() && rounds("8").is_ok());
    }
}
