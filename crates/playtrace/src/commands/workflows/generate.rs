//! `playtrace workflows generate`: write the CI system's files.

use std::path::{Path, PathBuf};

use serde_json::json;

use super::ListArgs;
use super::check::{is_utc_at, platforms_at};
use crate::documents::{say, write_document};
use crate::exit::Exit;
use crate::messages::Failure;
use crate::nightly::list::Entry;
use crate::nightly::render::{GITHUB_DIR, Generated, Platform, Style, generated_with_utc, render};

/// Arguments.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    pub(super) list: ListArgs,
    /// For which CI system
    #[arg(long, value_enum, value_delimiter = ',', default_value = "github")]
    platform: Vec<Platform>,
    /// Write schedules in UTC, for runners that don't know a schedule's time zone: in summer they run an hour later
    #[arg(long)]
    utc: bool,
    /// Say as JSON what was written and removed
    #[arg(long, conflicts_with = "quiet")]
    json: bool,
    /// Say nothing
    #[arg(short, long)]
    quiet: bool,
}

/// Runs it.
#[expect(clippy::needless_pass_by_value, reason = "every command is called like this")]
pub fn run(args: Args) -> Result<Exit, Failure> {
    let entries = args.list.read()?;
    let mut done = Done::default();
    for platform in &args.platform {
        done.generate(&args.list, &entries, *platform, args.utc)?;
    }
    let Done { written, unchanged, removed } = done;
    if args.json {
        let document = json!({"written": written, "unchanged": unchanged, "removed": removed});
        say(&format!("{document:#}\n"))?;
    } else if !args.quiet {
        let lines = written.iter().map(|path| format!("wrote {path}\n"));
        let lines =
            lines.chain(removed.iter().map(|path| format!("removed {path}: the list has no such entry\n")));
        say(&lines.collect::<String>())?;
        say(&format!("{} written, {} as they were\n", written.len(), unchanged.len()))?;
    }
    Ok(Exit::Success)
}

/// What became of the files.
#[derive(Debug, Default)]
struct Done {
    written: Vec<String>,
    unchanged: Vec<String>,
    removed: Vec<String>,
}

impl Done {
    /// Makes the files of one CI system what the list makes of them.
    fn generate(
        &mut self,
        list: &ListArgs,
        entries: &[Entry],
        platform: Platform,
        utc: bool,
    ) -> Result<(), Failure> {
        let files = render(entries, platform, &Style { list: list.name(), utc })?;
        for file in &files {
            let path = list.root.join(&file.path);
            if fs_err::read_to_string(&path).is_ok_and(|old| old == file.text) {
                self.unchanged.push(file.path.clone());
            } else {
                write_document(&path, &file.text)?;
                self.written.push(file.path.clone());
            }
        }
        for path in left_over(&list.root, platform, &files)? {
            fs_err::remove_file(list.root.join(&path)).map_err(|error| io(&error))?;
            self.removed.push(path.display().to_string());
        }
        Ok(())
    }
}

/// Generates again what is there, for the CI systems and with the schedules that the files have; says what changed.
pub fn write_again(list: &ListArgs, entries: &[Entry]) -> Result<Vec<String>, Failure> {
    let mut done = Done::default();
    for platform in platforms_at(&list.root) {
        done.generate(list, entries, platform, is_utc_at(&list.root, platform))?;
    }
    Ok(done.written.into_iter().chain(done.removed).collect())
}

/// Generated files of entries that the list has no more. What was not generated stays, whatever it is called.
pub(super) fn left_over(
    root: &Path,
    platform: Platform,
    files: &[Generated],
) -> Result<Vec<PathBuf>, Failure> {
    if platform != Platform::Github {
        return Ok(Vec::new());
    }
    let dir = root.join(GITHUB_DIR);
    if !dir.is_dir() {
        return Ok(Vec::new());
    }
    let mut found = Vec::new();
    for entry in fs_err::read_dir(&dir).map_err(|error| io(&error))? {
        let name = entry.map_err(|error| io(&error))?.file_name();
        let path = Path::new(GITHUB_DIR).join(&name);
        let is_ours = name.to_string_lossy().starts_with("forest_workflow_");
        if is_ours
            && !files.iter().any(|file| Path::new(&file.path) == path)
            && fs_err::read_to_string(root.join(&path)).is_ok_and(|text| generated_with_utc(&text).is_some())
        {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

fn io(error: &std::io::Error) -> Failure {
    Failure::new(Exit::Io, "PT-NIGHTLY-006", error.to_string()).help("let this user read and write there")
}
