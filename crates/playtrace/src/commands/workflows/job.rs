//! `playtrace workflows job`: a job of the night, with a record of how it went.

use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use playtrace_model::Slug;

use super::ListArgs;
use crate::documents::unwritable;
use crate::exit::Exit;
use crate::messages::{Failure, note};
use crate::nightly::job::{Attempt, DataWatch, JOB_FILE, JobRecord, JobState};
use crate::nightly::list::Entry;
use crate::service::settings;

/// Codes that another try can't better: a wrong command line, a profile that is not what it should be, Ctrl-C.
const FINAL: [i32; 3] = [Exit::Usage as i32, Exit::BadInput as i32, Exit::Interrupted as i32];

/// Ends as the command's last try did.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The entry of the list
    #[arg(value_name = "WORKFLOW")]
    workflow: String,
    #[command(flatten)]
    list: ListArgs,
    /// Where job.json, summary.md and the profile's data go; what an earlier job left there is removed
    #[arg(long, value_name = "DIR")]
    output_dir: PathBuf,
    /// A copy of all that the command says
    #[arg(long, value_name = "FILE")]
    log: Option<PathBuf>,
    /// Where the merged data files lie [default: `PROFILE_COVERAGE_DIR`]
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// How often a command that failed is tried again
    #[arg(long, value_name = "N", default_value_t = 1)]
    retries: u32,
    /// How long to wait before that
    #[arg(long, value_name = "SECONDS", env = "PLAYTRACE_RETRY_WAIT", default_value_t = 10)]
    retry_wait: u64,
    /// The command
    #[arg(last = true, required = true, value_name = "COMMAND")]
    command: Vec<String>,
}

/// Runs it.
#[expect(clippy::needless_pass_by_value, reason = "every command is called like this")]
pub fn run(args: Args) -> Result<Exit, Failure> {
    let entry = find(&args.list.read()?, &args.workflow)?;
    let data = entry.traced_as();
    let Entry { workflow_slug: workflow, profile_slug: profile, playback_type, .. } = entry;
    clear(&args.output_dir, &data)?;
    let mut record = JobRecord::begin(workflow, profile, playback_type, crate::clock::now());
    record.write(&args.output_dir)?;
    let log = args.log.as_deref().map(new_log).transpose()?;
    let data_dir = args.data_dir.clone().unwrap_or_else(settings::coverage_dir);
    let mut watch = DataWatch::new(&data_dir, &data);
    loop {
        let begin = Instant::now();
        let exit_code = once(&args.command, log.as_ref())?;
        let found = watch.collect(&args.output_dir, &data)?;
        let (run, status) = found.map_or((None, None), |(run, status)| (Some(run), Some(status)));
        record.attempts.push(Attempt { exit_code, seconds: begin.elapsed().as_secs(), run, status });
        let is_final = exit_code.is_some_and(|code| code == 0 || FINAL.contains(&code));
        if is_final || record.attempts.len() > args.retries as usize {
            break;
        }
        record.write(&args.output_dir)?;
        note(&format!(
            "trying again in {} s ({} of {})",
            args.retry_wait,
            record.attempts.len(),
            args.retries
        ));
        std::thread::sleep(Duration::from_secs(args.retry_wait));
    }
    record.state = JobState::Ended;
    record.ended = Some(crate::clock::now());
    record.write(&args.output_dir)?;
    Ok(exit_of(record.exit_code()))
}

fn find(entries: &[Entry], workflow: &str) -> Result<Entry, Failure> {
    if let Some(entry) = entries.iter().find(|entry| entry.workflow_slug.as_str() == workflow) {
        return Ok(entry.clone());
    }
    let near = entries
        .iter()
        .map(|entry| entry.workflow_slug.as_str())
        .max_by(|one, other| strsim::jaro(one, workflow).total_cmp(&strsim::jaro(other, workflow)));
    let near = near.map(|near| format!("; did you mean {near}?")).unwrap_or_default();
    Err(Failure::new(
        Exit::BadInput,
        "PT-NIGHTLY-007",
        format!("the list has no workflow {workflow:?}{near}"),
    ))
}

/// What lies there is of another job, and would pass for this one's.
fn clear(dir: &Path, profile: &Slug) -> Result<(), Failure> {
    for name in [
        JOB_FILE.to_owned(),
        format!("{profile}.verdict.json"),
        format!("{profile}.coverage"),
        format!("{profile}.steps.json"),
    ] {
        match fs_err::remove_file(dir.join(name)) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(unwritable(&error)),
            _ => {}
        }
    }
    Ok(())
}

type Log = Arc<Mutex<fs_err::File>>;

fn new_log(path: &Path) -> Result<Log, Failure> {
    if let Some(dir) = path.parent() {
        fs_err::create_dir_all(dir).map_err(|error| unwritable(&error))?;
    }
    Ok(Arc::new(Mutex::new(fs_err::File::create(path).map_err(|error| unwritable(&error))?)))
}

/// Runs the command; its exit code, if it has one.
fn once(words: &[String], log: Option<&Log>) -> Result<Option<i32>, Failure> {
    let can_not = |error: std::io::Error| {
        let program = words.first().map_or("", String::as_str);
        Failure::new(Exit::Io, "PT-NIGHTLY-008", format!("can't run {program}: {error}"))
            .help("is it on the PATH of this runner?")
    };
    let mut command = Command::new(words.first().map_or("", String::as_str));
    command.args(&words[1..]);
    let Some(log) = log else { return Ok(command.status().map_err(can_not)?.code()) };
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().map_err(can_not)?;
    std::thread::scope(|scope| {
        let (out, err) = (child.stdout.take(), child.stderr.take());
        scope.spawn(|| copy(out, std::io::stdout(), log));
        scope.spawn(|| copy(err, std::io::stderr(), log));
    });
    Ok(child.wait().map_err(can_not)?.code())
}

/// Copies to both; a console that is gone, or a full disk, does not end the replay.
fn copy(from: Option<impl Read>, mut to: impl Write, log: &Log) {
    let Some(mut from) = from else { return };
    let mut buffer = [0; 8192];
    while let Ok(read @ 1..) = from.read(&mut buffer) {
        let _ = to.write_all(&buffer[..read]).and_then(|()| to.flush());
        if let Ok(mut log) = log.lock() {
            let _ = log.write_all(&buffer[..read]);
        }
    }
}

/// The program's own codes are those of `wctl`; another command's count as failed.
fn exit_of(code: Option<i32>) -> Exit {
    let known = [
        Exit::Success,
        Exit::Usage,
        Exit::Partial,
        Exit::BadInput,
        Exit::Unreachable,
        Exit::Io,
        Exit::Interrupted,
    ];
    known.into_iter().find(|exit| Some(*exit as i32) == code).unwrap_or(Exit::Failed)
}
