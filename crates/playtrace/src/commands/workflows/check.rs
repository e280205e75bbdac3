//! `playtrace workflows check`: are the CI system's files what the list makes of them?

use std::path::Path;

use serde::Serialize;
use serde_json::json;

use super::ListArgs;
use super::generate::left_over;
use crate::documents::say;
use crate::exit::Exit;
use crate::messages::Failure;
use crate::nightly::list::{AGGREGATION, Entry};
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
pub struct Difference {
    /// The file, below the root.
    pub file: String,
    /// What is wrong with it.
    pub what: What,
    /// The first line that differs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line: Option<usize>,
}

/// What a comparison came to.
#[derive(Debug)]
pub struct Compared {
    /// How many files the list makes.
    pub files: usize,
    /// Those that are not so.
    pub differences: Vec<Difference>,
}

/// What is wrong with a file.
#[derive(Debug, Clone, Copy, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum What {
    /// It is not there.
    Missing,
    /// It is not as generated.
    Differs,
    /// It was generated for an entry that is gone.
    NotInTheList,
}

/// Runs it.
#[expect(clippy::needless_pass_by_value, reason = "every command is called like this")]
pub fn run(args: Args) -> Result<Exit, Failure> {
    let entries = args.list.read()?;
    let Compared { files: checked, differences } = compare(&args.list, &entries, &args.platform, args.utc)?;
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

/// Compares the files that are there with those of the list; without a platform, those of the CI systems that have some.
pub fn compare(
    list: &ListArgs,
    entries: &[Entry],
    platforms: &[Platform],
    utc: bool,
) -> Result<Compared, Failure> {
    let root = &list.root;
    let platforms = if platforms.is_empty() { platforms_at(root) } else { platforms.to_vec() };
    let mut compared = Compared { files: 0, differences: Vec::new() };
    for platform in platforms {
        let utc = utc || is_utc_at(root, platform);
        let files = render(entries, platform, &Style { list: list.name(), utc })?;
        compared.files += files.len();
        compared.differences.extend(files.iter().filter_map(|file| difference(root, file)));
        let gone = left_over(root, platform, &files)?.into_iter();
        compared.differences.extend(gone.map(|path| Difference {
            file: path.display().to_string(),
            what: What::NotInTheList,
            line: None,
        }));
    }
    Ok(compared)
}

/// A difference for people.
pub fn sentence(difference: &Difference) -> String {
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

/// The CI systems whose files are there, else GitHub.
pub(super) fn platforms_at(root: &Path) -> Vec<Platform> {
    let there = |path: &str| root.join(path).is_file();
    match (there(GITLAB_FILE), there(&github_path(AGGREGATION))) {
        (true, true) => vec![Platform::Github, Platform::Gitlab],
        (true, false) => vec![Platform::Gitlab],
        (false, _) => vec![Platform::Github],
    }
}

/// Whether the files that are there were made for UTC.
pub(super) fn is_utc_at(root: &Path, platform: Platform) -> bool {
    let path = match platform {
        Platform::Github => github_path(AGGREGATION),
        Platform::Gitlab => GITLAB_FILE.to_owned(),
    };
    fs_err::read_to_string(root.join(path)).ok().and_then(|text| generated_with_utc(&text)).unwrap_or(false)
}
