//! `playtrace shards`: what lies in the coverage directory, and whose it is.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use jiff::tz::TimeZone;
use playtrace_covdata::shard::{ANYONE, ShardInfo, foreign_files, list, list_traffic};
use playtrace_model::RunToken;

use crate::exit::Exit;
use crate::messages::Failure;
use crate::service::settings;
use crate::shard_state::{Owner, Runs, State, file_name, process};

/// List shards: profile, run, owner, age, size, and whether anyone will write to them or merge them any more.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The directory of the shards [default: `PROFILE_COVERAGE_DIR`].
    #[arg(value_name = "DIR")]
    dir: Option<PathBuf>,
}

const HEAD: [&str; 7] = ["PROFILE", "RUN", "OWNER", "AGE", "SIZE", "STATE", "FILE"];

/// Runs it.
pub fn run(args: Args) -> Result<Exit, Failure> {
    let dir = args.dir.unwrap_or_else(settings::coverage_dir);
    let unlisted = |error| {
        Failure { exit: Exit::Io, ..Failure::from(error) }
            .help("is it the directory that the app writes to (PROFILE_COVERAGE_DIR)?")
    };
    let shards = list(&dir).map_err(unlisted)?;
    let foreign = foreign_files(&dir).map_err(unlisted)?;
    let traffic = list_traffic(&dir).map_err(unlisted)?;
    let mut runs = Runs::new(&dir);
    let now = SystemTime::now();
    let mut rows = Vec::new();
    let mut states = Vec::new();
    for shard in &shards {
        let (owner, state) = runs.judge(shard)?;
        let run = match &shard.owner {
            Ok(owner) => owner.run.as_ref().map_or("-", RunToken::as_str),
            Err(_) => "?",
        };
        rows.push([
            shard.name.slug.to_string(),
            run.to_owned(),
            format!("{} on {} ({})", shard.name.pid, shard.name.host, owner.as_str()),
            since(shard.modified, now),
            shard.size.to_string(),
            state.as_str().to_owned(),
            file_name(&shard.path),
        ]);
        states.push(state);
    }
    for file in &foreign {
        let owner = file.owner.as_ref().map_or_else(
            || "?".to_owned(),
            |(host, pid)| format!("{pid} on {host} ({})", process(host, *pid).as_str()),
        );
        let age = since(file.modified, now);
        let [profile, run] = ["-", "-"].map(str::to_owned);
        rows.push([
            profile,
            run,
            owner,
            age,
            file.size.to_string(),
            State::Foreign.as_str().to_owned(),
            file_name(&file.path),
        ]);
        states.push(State::Foreign);
    }
    let today = crate::clock::now().to_zoned(TimeZone::UTC).date().to_string();
    for of_day in &traffic {
        let shard = &of_day.shard;
        let owner = process(&shard.name.host, shard.name.pid);
        let state = match &shard.owner {
            Err(_) => State::Unreadable,
            Ok(_) if owner == Owner::Running && of_day.day == today => State::InUse,
            Ok(_) => State::Traffic,
        };
        rows.push([
            ANYONE.to_owned(),
            of_day.day.clone(),
            format!("{} on {} ({})", shard.name.pid, shard.name.host, owner.as_str()),
            since(shard.modified, now),
            shard.size.to_string(),
            state.as_str().to_owned(),
            format!("{ANYONE}/{}/{}", of_day.day, file_name(&shard.path)),
        ]);
        states.push(state);
    }
    let shards: Vec<&ShardInfo> = shards.iter().chain(traffic.iter().map(|of_day| &of_day.shard)).collect();
    let bytes = shards.iter().map(|shard| shard.size).chain(foreign.iter().map(|file| file.size)).sum();
    print(&dir, &shards, bytes, &rows, &states);
    Ok(if states.contains(&State::Unreadable) { Exit::Partial } else { Exit::Success })
}

fn print(dir: &Path, shards: &[&ShardInfo], bytes: u64, rows: &[[String; 7]], states: &[State]) {
    let mut out = anstream::stdout().lock();
    // Who reads no further doesn't want to know.
    if rows.is_empty() {
        let _ = writeln!(out, "No shards in {}", dir.display());
        return;
    }
    for line in table(rows) {
        let _ = writeln!(out, "{line}");
    }
    let count = |wanted: State| states.iter().filter(|state| **state == wanted).count();
    let of_traffic = match count(State::Traffic) {
        0 => String::new(),
        days => format!(", {days} of real traffic"),
    };
    let _ = writeln!(
        out,
        "{} shards, {bytes} bytes: {} in use, {} waiting, {} merged, {} orphans, {} foreign, {} unreadable{of_traffic}",
        rows.len(),
        count(State::InUse),
        count(State::Waiting),
        count(State::Merged),
        count(State::Orphan),
        count(State::Foreign),
        count(State::Unreadable),
    );
    for error in shards.iter().filter_map(|shard| shard.owner.as_ref().err()) {
        let _ = writeln!(out, "[{}] {error}", error.code());
    }
}

/// The age of what was last written then.
fn since(modified: Option<SystemTime>, now: SystemTime) -> String {
    modified.map_or_else(|| "?".to_owned(), |at| age(now.duration_since(at).map_or(0, |d| d.as_secs())))
}

/// Seconds in the largest unit that fits.
fn age(seconds: u64) -> String {
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3600 => format!("{}m", seconds / 60),
        3600..86_400 => format!("{}h", seconds / 3600),
        _ => format!("{}d", seconds / 86_400),
    }
}

fn table(rows: &[[String; 7]]) -> Vec<String> {
    let head = HEAD.map(str::to_owned);
    let all: Vec<&[String; 7]> = std::iter::once(&head).chain(rows).collect();
    let widths: [usize; 7] =
        std::array::from_fn(|column| all.iter().map(|row| row[column].chars().count()).max().unwrap_or(0));
    let line = |row: &&[String; 7]| {
        let cells: Vec<String> =
            row.iter().zip(widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
        cells.join("  ").trim_end().to_owned()
    };
    all.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_are_short() {
        let ages = [0, 59, 60, 3599, 3600, 86_399, 86_400, 900_000].map(age);
        assert_eq!(ages, ["0s", "59s", "1m", "59m", "1h", "23h", "1d", "10d"]);
    }
}
