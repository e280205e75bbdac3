//! `playtrace combine`: many data files into one.

use std::fmt::Display;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use clap::ValueEnum;
use indicatif::{ProgressBar, ProgressStyle};
use playtrace_covdata::config::Release;
use playtrace_covdata::data::ContextPolicy;
use playtrace_covdata::merge::{Fate, MergeOptions, PathMap, combinable_files, merge_files, write_merged};
use playtrace_covdata::{CovdataError, CoverageConfig};
use playtrace_model::{RunToken, Slug};
use playtrace_pysource::Exclusions;

use crate::exit::Exit;
use crate::finish::{MergeRun, merge_run};
use crate::messages::Failure;
use crate::service::settings;

/// Like `coverage combine`, but no data is lost: a file that can't be read is named and kept (exit code 3), and inputs are
/// deleted only once the merged file is safe on disk.
#[derive(Debug, clap::Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of its own")]
pub struct Args {
    /// Data files, patterns for them, or directories with files called `<data file>.*` [default: the data file's directory].
    /// With --profile, the directory of the shards [default: `PROFILE_COVERAGE_DIR`].
    #[arg(value_name = "PATHS")]
    paths: Vec<PathBuf>,
    /// Add to the data file instead of replacing it.
    #[arg(short, long)]
    append: bool,
    /// Keep the merged files instead of deleting them.
    #[arg(long)]
    keep: bool,
    /// Say nothing but what went wrong.
    #[arg(short, long)]
    quiet: bool,
    /// The file to write [default: the configuration's, `COVERAGE_FILE`, or .coverage].
    #[arg(long, value_name = "FILE")]
    data_file: Option<PathBuf>,
    /// Configuration file [default: .coveragerc, .coveragerc.toml, setup.cfg, tox.ini or pyproject.toml].
    #[arg(long, value_name = "FILE")]
    rcfile: Option<PathBuf>,
    /// Read the configuration as this release of coverage.py does.
    #[arg(long, value_name = "VERSION", default_value_t = Release::PINNED)]
    coverage_py: Release,
    /// Merge one run of this profile into <profile>.coverage, with its verdict.
    #[arg(long, value_name = "SLUG", conflicts_with_all = ["append", "rcfile", "prune_branches"])]
    profile: Option<String>,
    /// The run's token [default: the latest run].
    #[arg(long, value_name = "TOKEN", requires = "profile")]
    run: Option<String>,
    /// The player's own record of the run, where it does not lie beside the shards (`_runs/<token>.manifest`).
    #[arg(long, value_name = "FILE", requires = "run")]
    manifest: Option<PathBuf>,
    /// Turn branch data into line data.
    #[arg(long)]
    prune_branches: bool,
    /// What becomes of contexts.
    #[arg(long, value_enum, default_value_t = Contexts::Keep)]
    contexts: Contexts,
}

/// What becomes of contexts.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Contexts {
    /// They stay as they are.
    Keep,
    /// `profile:<slug>:<request>` becomes `profile:<slug>`.
    Profile,
    /// All lines lie under the empty context.
    Drop,
}

impl From<Contexts> for ContextPolicy {
    fn from(contexts: Contexts) -> Self {
        match contexts {
            Contexts::Keep => Self::Keep,
            Contexts::Profile => Self::Profile,
            Contexts::Drop => Self::Drop,
        }
    }
}

/// Runs it.
#[expect(clippy::needless_pass_by_value, reason = "every command is called like this")]
pub fn run(args: Args) -> Result<Exit, Failure> {
    match &args.profile {
        Some(slug) => combine_profile(&args, slug),
        None => combine_files(&args),
    }
}

fn combine_files(args: &Args) -> Result<Exit, Failure> {
    let here = std::env::current_dir().map_err(|error| {
        Failure::new(Exit::Io, "PT-COVDATA-001", format!("no working directory: {error}"))
    })?;
    let environment = |name: &str| std::env::var(name).ok();
    let config = CoverageConfig::discover(&here, args.rcfile.as_deref(), args.coverage_py, &environment)?;
    // Keys that have no effect on playtrace's own tracing don't matter here; slips of the pen do.
    for notice in config.notices.iter().filter(|notice| notice.is_unknown) {
        let place = format!("{}:{}", short(&notice.path, &here), notice.line);
        warn("PT-CLI-COMBINE-005", &format_args!("{place}: {} is ignored: {}", notice.key, notice.why));
    }
    // They count in reports alone, where they are refused; coverage.py refuses the file already here.
    for patterns in [&config.exclude, &config.partial, &config.partial_always] {
        if let Err(error) = Exclusions::new(patterns) {
            warn(error.code(), &error);
        }
    }
    let output = args.data_file.clone().unwrap_or_else(|| PathBuf::from(&config.data_file));
    let mut inputs = combinable_files(&output, &args.paths).map_err(not_found)?;
    let found = inputs.len();
    if args.append && output.exists() {
        inputs.push(output.clone());
    }
    let lists = config.paths.iter().map(|(_, list)| list.as_slice());
    let options = MergeOptions {
        paths: PathMap::new(lists, config.relative_files, &here, args.coverage_py)?,
        prune_branches: args.prune_branches,
        contexts: args.contexts.into(),
    };
    let progress = progress(inputs.len(), args.quiet);
    let outcome = merge_files(&inputs, &options, &|| progress.inc(1));
    progress.finish_and_clear();
    let outcome = outcome?;
    if let Some((_, error)) = outcome.problems.iter().find(|(path, _)| *path == output) {
        // To go on would replace by the rest what could not be read.
        return Err(Failure::new(
            Exit::BadInput,
            error.code(),
            format!("can't add to {}: {error}", output.display()),
        )
        .help("move the file away, or leave --append out to replace it"));
    }
    for (path, error) in &outcome.problems {
        warn(error.code(), &format_args!("couldn't combine {}, it is kept: {error}", short(path, &here)));
    }
    let inputs_of = |paths: &[PathBuf]| paths.iter().filter(|path| **path != output).count();
    if inputs_of(&outcome.merged) + inputs_of(&outcome.duplicates) == 0 {
        return Err(CovdataError::NothingUsable { found }.into());
    }
    let fate = if args.keep { Fate::Keep } else { Fate::Remove };
    make_directory(&output).map_err(unwritable)?;
    let kept = write_merged(&outcome, &output, &outcome.ownership(), fate).map_err(unwritable)?;
    for (path, error) in &kept {
        warn(error.code(), &format_args!("{} was combined and is kept: {error}", short(path, &here)));
    }
    for (path, new) in &outcome.unmapped {
        warn(
            "PT-CLI-COMBINE-001",
            &format_args!("{path} keeps its name: by [paths] it is {new}, which does not exist"),
        );
    }
    if !args.quiet {
        let mut lines = Vec::new();
        for path in outcome.merged.iter().filter(|path| **path != output) {
            lines.push(format!("Combined data file {}", short(path, &here)));
        }
        for path in &outcome.duplicates {
            lines.push(format!("Skipped duplicate data {}", short(path, &here)));
        }
        say(&lines);
    }
    let whole = outcome.problems.is_empty() && kept.is_empty();
    Ok(if whole { Exit::Success } else { Exit::Partial })
}

fn combine_profile(args: &Args, slug: &str) -> Result<Exit, Failure> {
    let slug = Slug::parse(slug)
        .map_err(|error| Failure::new(Exit::Usage, "PT-CLI-COMBINE-002", error.to_string()))?;
    let run = args
        .run
        .as_deref()
        .map(|text| RunToken::try_from(text.to_owned()))
        .transpose()
        .map_err(|error| Failure::new(Exit::Usage, "PT-CLI-COMBINE-002", error.to_string()))?;
    let coverage_dir = match args.paths.as_slice() {
        [] => settings::coverage_dir(),
        [dir] => dir.clone(),
        _ => {
            let message = "with --profile, one directory is expected: that of the shards";
            return Err(Failure::new(Exit::Usage, "PT-CLI-COMBINE-003", message));
        }
    };
    let merged = merge_run(&MergeRun {
        coverage_dir,
        slug,
        run,
        manifest: args.manifest.clone(),
        output: args.data_file.clone(),
        keep_shards: args.keep,
        contexts: args.contexts.into(),
    })?;
    for problem in &merged.problems {
        warn("PT-CLI-COMBINE-004", problem);
    }
    if !args.quiet {
        let verdict = &merged.verdict.verdict;
        let mut lines = vec![format!(
            "Combined {} shard{} of {}, run {}, into {}",
            merged.shards,
            if merged.shards == 1 { "" } else { "s" },
            merged.verdict.profile,
            merged.verdict.run,
            merged.data_file.display(),
        )];
        lines.extend(merged.elsewhere.clone());
        lines.push(format!("Verdict: {}", verdict.status));
        lines.extend(verdict.reasons.iter().map(|reason| format!("  - {reason}")));
        lines.extend(verdict.notes.iter().map(|note| format!("  note: {note}")));
        say(&lines);
    }
    Ok(merged.exit())
}

/// As coverage.py does: the data file's directory need not be there yet.
fn make_directory(output: &Path) -> Result<(), CovdataError> {
    let dir = output.parent().unwrap_or(Path::new(""));
    fs_err::create_dir_all(dir).map_err(|source| CovdataError::Io {
        action: "write",
        path: output.to_owned(),
        source,
    })
}

/// A bar on stderr, if that is a terminal.
fn progress(inputs: usize, quiet: bool) -> ProgressBar {
    if quiet {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new(inputs as u64);
    match ProgressStyle::with_template("{bar:30} {pos} of {len} data files ({eta})") {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}

/// coverage.py ends these with 1; here they have codes of their own.
fn not_found(error: CovdataError) -> Failure {
    let nothing = matches!(error, CovdataError::NothingToCombine { .. });
    let failure = Failure::from(error);
    if nothing {
        failure.help("name the files or their directory, or say with --data-file what they are called")
    } else {
        failure
    }
}

fn unwritable(error: CovdataError) -> Failure {
    Failure { exit: Exit::Io, ..Failure::from(error) }.help("nothing was deleted")
}

/// A path as a person would type it here.
fn short<'a>(path: &'a Path, here: &Path) -> std::path::Display<'a> {
    path.strip_prefix(here).or_else(|_| path.strip_prefix("./")).unwrap_or(path).display()
}

fn say(lines: &[String]) {
    let mut stdout = anstream::stdout().lock();
    for line in lines {
        // Who reads no further doesn't want to know.
        let _ = writeln!(stdout, "{line}");
    }
}

fn warn(code: &str, message: &dyn Display) {
    let yellow = anstyle::AnsiColor::Yellow.on_default().bold();
    // Nobody is left to tell if stderr is gone.
    let _ = writeln!(anstream::stderr().lock(), "{yellow}warning{yellow:#}[{code}]: {message}");
}
