//! Room on the disk, and data that nobody will merge.

use playtrace_covdata::shard::list;
use rustix::fs::statvfs;

use super::finding::{Check, Finding};
use super::{Asked, Facts, SLUG};
use crate::messages::Failure;
use crate::shard_state::{Runs, State, file_name};

/// `disk.space`, `shards.orphans`.
pub(super) fn check(asked: &Asked, facts: &Facts) -> Result<[Finding; 2], Failure> {
    if !facts.has_directory {
        let why = format!("{} can't be seen from here", asked.coverage_dir.display());
        return Ok([Check::DiskSpace, Check::ShardsOrphans].map(|check| check.not_checked(&*why)));
    }
    Ok([space(asked), orphans(asked)?])
}

fn space(asked: &Asked) -> Finding {
    let (check, dir) = (Check::DiskSpace, asked.coverage_dir.display());
    let disk = match statvfs(&asked.coverage_dir) {
        Ok(disk) => disk,
        Err(error) => return check.not_checked(format!("{dir}: {error}")),
    };
    let free = disk.f_bavail.saturating_mul(disk.f_frsize);
    if free < asked.min_free {
        return check.failed(
            format!("{} are free at {dir}, less than {}", size(free), size(asked.min_free)),
            "make room there: `playtrace shards` lists what lies in the directory, merged shards can go (or ask for less: --min-free-mb)",
        );
    }
    // File systems that count no files say 0 of 0.
    if disk.f_files > 0 && disk.f_favail == 0 {
        return check
            .failed(format!("the file system of {dir} takes no more files (inodes)"), "remove files there");
    }
    check.ok(format!("{} are free at {dir}", size(free)))
}

fn orphans(asked: &Asked) -> Result<Finding, Failure> {
    let (check, dir) = (Check::ShardsOrphans, asked.coverage_dir.display());
    let mut runs = Runs::new(&asked.coverage_dir);
    let mut orphans = Vec::new();
    let shards = list(&asked.coverage_dir)?;
    for shard in shards.iter().filter(|shard| !shard.name.slug.as_str().starts_with(SLUG)) {
        if runs.judge(shard)?.1 == State::Orphan {
            orphans.push(file_name(&shard.path));
        }
    }
    let Some(first) = orphans.first() else {
        return Ok(check.ok(format!("none among {} shards in {dir}", shards.len())));
    };
    let more = if orphans.len() > 1 { format!(" and {} more", orphans.len() - 1) } else { String::new() };
    // Without a run they have no place in a profile's file.
    let named: Vec<String> = orphans.iter().map(|name| format!("{dir}/{name}")).collect();
    let command =
        format!("playtrace combine --append --data-file {dir}/orphans.coverage {}", named.join(" "));
    Ok(check.failed(
        format!("{first}{more}: the process that wrote it has ended, and no run knows of it"),
        format!(
            "merge what it holds (`{command}`), or delete it; if a worker's come again and again, restart the worker with ENABLE_PROFILE_COVERAGE=1"
        ),
    ))
}

fn size(bytes: u64) -> String {
    match bytes >> 20 {
        mb @ 0..10_000 => format!("{mb} MB"),
        mb => format!("{} GB", mb >> 10),
    }
}
