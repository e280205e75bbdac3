//! `playtrace prune`: delete what is old or too much.

mod find;

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use bytesize::ByteSize;
use jiff::{SignedDuration, Span, SpanRelativeTo, Timestamp};
use serde_json::json;

use crate::documents::say;
use crate::exit::Exit;
use crate::messages::{Failure, note};
use crate::nightly::prune::{Item, Kind, Plan, plan};
use crate::service::settings;

/// Deletes bundles, shards (those of real traffic, too), ledgers, run summaries and spared data of runs that are over, records of processes that have ended,
/// and what killed writers left; nothing else. The last bundle, each <slug>.coverage and what a run that goes on writes stay.
#[derive(Debug, clap::Args)]
#[command(group(clap::ArgGroup::new("limit").args(["older_than", "max_size"]).required(true).multiple(true)))]
pub struct Args {
    /// Directories of bundles, of coverage data, or of profiles (their `_runs`) [default: `PROFILE_COVERAGE_DIR`]
    #[arg(value_name = "DIR")]
    dirs: Vec<PathBuf>,
    /// Delete what is older, such as 14d
    #[arg(long, value_name = "AGE", value_parser = age)]
    older_than: Option<SignedDuration>,
    /// Then delete the oldest until the rest of each directory is not larger, such as 250MB
    #[arg(long, value_name = "SIZE")]
    max_size: Option<ByteSize>,
    /// The moment that ages are counted from [default: now]
    #[arg(long, value_name = "ISO8601")]
    now: Option<Timestamp>,
    /// Say what would be deleted, and delete nothing
    #[arg(long)]
    dry_run: bool,
    /// Say it as JSON
    #[arg(long, conflicts_with = "quiet")]
    json: bool,
    /// Say nothing but what went wrong
    #[arg(short, long)]
    quiet: bool,
}

fn age(text: &str) -> Result<SignedDuration, String> {
    let span: Span = text.parse().map_err(|_| format!("{text:?} is not an age, such as 14d or 36h"))?;
    let age = span.to_duration(SpanRelativeTo::days_are_24_hours()).map_err(|error| error.to_string())?;
    if age.is_negative() { Err("an age can't be negative".to_owned()) } else { Ok(age) }
}

/// Runs it.
#[expect(clippy::needless_pass_by_value, reason = "every command is called like this")]
pub fn run(args: Args) -> Result<Exit, Failure> {
    let dirs = if args.dirs.is_empty() { vec![settings::coverage_dir()] } else { args.dirs.clone() };
    let now = args.now.unwrap_or_else(crate::clock::now);
    let (mut exit, mut documents) = (Exit::Success, Vec::new());
    for dir in &dirs {
        let items = find::items(dir, now)?;
        let plan = plan(items, now, args.older_than, args.max_size.map(|size| size.as_u64()));
        if !args.dry_run {
            for (item, _) in &plan.remove {
                remove(item, dir)?;
                if item.kind == Kind::Traffic {
                    // A day of which nothing is left; one with something in it stays.
                    let day = item.paths.first().and_then(|path| path.parent());
                    day.map(std::fs::remove_dir);
                }
            }
        }
        if plan.is_over {
            exit = Exit::Partial;
            note(&format!(
                "{}: {} stay, more than is allowed: nothing else there may go",
                dir.display(),
                ByteSize(plan.kept_bytes)
            ));
        }
        if args.json {
            documents.push(document(dir, &plan));
        } else if !args.quiet {
            say(&text(dir, &plan, args.dry_run))?;
        }
    }
    if args.json {
        say(&format!("{:#}\n", json!({"dry_run": args.dry_run, "directories": documents})))?;
    }
    Ok(exit)
}

fn document(dir: &Path, plan: &Plan) -> serde_json::Value {
    let removed: Vec<_> = plan
        .remove
        .iter()
        .map(|(item, why)| json!({"paths": item.paths, "kind": item.kind, "bytes": item.bytes, "last_used": item.moment.to_string(), "why": why}))
        .collect();
    json!({"directory": dir, "removed": removed, "kept_bytes": plan.kept_bytes, "over": plan.is_over})
}

fn text(dir: &Path, plan: &Plan, dry_run: bool) -> String {
    let mut lines = String::new();
    for (item, _) in &plan.remove {
        for path in &item.paths {
            // Writing to a String can't fail, here and below.
            let _ = writeln!(lines, "{}", path.strip_prefix(dir).unwrap_or(path).display());
        }
    }
    let bytes: u64 = plan.remove.iter().map(|(item, _)| item.bytes).sum();
    let did = if dry_run { "would be deleted" } else { "deleted" };
    let (gone, kept) = (ByteSize(bytes), ByteSize(plan.kept_bytes));
    let _ = writeln!(lines, "{}: {} {did} ({gone}), {kept} stay", dir.display(), plan.remove.len());
    lines
}

fn remove(item: &Item, dir: &Path) -> Result<(), Failure> {
    for path in &item.paths {
        let going = if item.kind == Kind::Ledger { aside(path, dir)? } else { None };
        let path = going.as_ref().unwrap_or(path);
        let gone = match fs_err::symlink_metadata(path) {
            Ok(meta) if meta.is_dir() => fs_err::remove_dir_all(path),
            Ok(_) => fs_err::remove_file(path),
            Err(error) => Err(error),
        };
        match gone {
            // Somebody else was quicker.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            other => other.map_err(|error| undeletable(&error))?,
        }
    }
    Ok(())
}

/// Takes a run's ledger out of its place in one step, so that nobody ever meets a part of it; where it is then.
fn aside(path: &Path, dir: &Path) -> Result<Option<PathBuf>, Failure> {
    let names: Vec<_> = path.iter().rev().take(2).map(|name| name.to_string_lossy()).collect();
    let place = dir.join(format!("{}{}", find::GOING, names.join(".")));
    // Of the same name: a part of a removal that was killed.
    let _ = fs_err::remove_dir_all(&place);
    match fs_err::rename(path, &place) {
        Ok(()) => Ok(Some(place)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(undeletable(&error)),
    }
}

fn undeletable(error: &std::io::Error) -> Failure {
    Failure::new(Exit::Io, "PT-NIGHTLY-012", format!("can't delete: {error}"))
        .help("what was deleted before is gone; let this user delete the rest")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_are_read() {
        let hours = |text: &str| age(text).unwrap().as_hours();
        assert_eq!((hours("14d"), hours("36h"), hours("2w")), (336, 36, 336));
        for text in ["", "14", "-3d", "soon"] {
            assert!(age(text).is_err(), "{text}");
        }
    }
}
