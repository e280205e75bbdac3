//! `playtrace workflows check`: are the CI system's files what the list makes of them?

use std::path::Path;

use serde::Serialize;
use serde_json::json;

use super::ListArgs;
use super::generate::left_over;
use crate::documents::say;
use crate::exit::Exit;
use crate::messages::Failure;
use crate::nightly::list::AGGREGATION;
use crate::nightly::render::{
    GITLAB_FILE, Generated, Platform, Style, generated_with_utc, github_path, render,
};

/// Arguments.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    list: ListArgs,
    /// For which CI system [default: those whose files are there, else GitHub]
    #[arg(long, value_enum, value_delimiter = ',')]
    platform: Vec<Platform>,
    /// Schedules are to be in UTC [default: as the files that are there say]
    #[arg(long)]
    utc: bool,
    /// Say it as JSON
    #[arg(long, conflicts_with = "quiet")]
    json: bool,
    /// Say nothing but what differs
    #[arg(short, long)]
    quiet: bool,
}

/// A file that is not as the list wants it.
#[derive(Debug, Serialize)]
struct Difference {
    file: String,
    what: What,
    /// The first line that differs.
    #[serde(skip_serializing_if = "Option::is_none")]
    line: Option<usize>,
}

#[derive(Debug, Clone, Copy, Serialize)]
#[serde(rename_all = "kebab-case")]
enum What {
    Missing,
    Differs,
    NotInTheList,
}

/// Runs it.
#[expect(clippy::needless_pass_by_value, reason = "every command is called like this")]
pub fn run(args: Args) -> Result<Exit, Failure> {
    let entries = args.list.read()?;
    let root = &args.list.root;
    let platforms = if args.platform.is_empty() { platforms_at(root) } else { args.platform.clone() };
    let mut differences = Vec::new();
    let mut checked = 0;
    for platform in platforms {
        let utc = args.utc || is_utc_at(root, platform);
        let files = render(&entries, platform, &Style { list: args.list.name(), utc })?;
        checked += files.len();
        differences.extend(files.iter().filter_map(|file| difference(root, file)));
        let gone = left_over(root, platform, &files)?.into_iter();
        differences.extend(gone.map(|path| Difference {
            file: path.display().to_string(),
            what: What::NotInTheList,
            line: None,
        }));
    }
    let is_same = differences.is_empty();
    if args.json {
        let document =
            json!({"list": args.list.name(), "files": checked, "same": is_same, "differences": differences});
        say(&format!("{document:#}\n"))?;
    } else {
        for difference in &differences {
            say(&format!("{}\n", sentence(difference)))?;
        }
        if !is_same {
            say(&format!("{}: generate again with `playtrace workflows generate`\n", args.list.name()))?;
        } else if !args.quiet {
            say(&format!("{}: its {checked} files are as generated\n", args.list.name()))?;
        }
    }
    Ok(if is_same { Exit::Success } else { Exit::Failed })
}

fn sentence(difference: &Difference) -> String {
    let Difference { file, what, line } = difference;
    match what {
        What::Missing => format!("{file}: not there"),
        What::Differs => format!("{file}:{}: not as generated", line.unwrap_or(1)),
        What::NotInTheList => format!("{file}: generated for an entry that the list has no more"),
    }
}

fn difference(root: &Path, file: &Generated) -> Option<Difference> {
    let there = |what, line| Some(Difference { file: file.path.clone(), what, line });
    match fs_err::read_to_string(root.join(&file.path)) {
        Ok(text) if text == file.text => None,
        Ok(text) => {
            let same = text.lines().zip(file.text.lines()).take_while(|(one, other)| one == other).count();
            there(What::Differs, Some(same + 1))
        }
        Err(_) => there(What::Missing, None),
    }
}

fn platforms_at(root: &Path) -> Vec<Platform> {
    let there = |path: &str| root.join(path).is_file();
    match (there(GITLAB_FILE), there(&github_path(AGGREGATION))) {
        (true, true) => vec![Platform::Github, Platform::Gitlab],
        (true, false) => vec![Platform::Gitlab],
        (false, _) => vec![Platform::Github],
    }
}

fn is_utc_at(root: &Path, platform: Platform) -> bool {
    let path = match platform {
        Platform::Github => github_path(AGGREGATION),
        Platform::Gitlab => GITLAB_FILE.to_owned(),
    };
    fs_err::read_to_string(root.join(path)).ok().and_then(|text| generated_with_utc(&text)).unwrap_or(false)
}
