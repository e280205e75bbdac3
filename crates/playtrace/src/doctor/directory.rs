//! The coverage directory: one for all, and each may write there.

use std::collections::BTreeMap;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;

use rustix::fs::{Access, access};

use super::finding::{Check, Finding, counted};
use super::process::{Identity, user};
use super::web::{is_about_the_directory, without_app};
use super::workers::Agent;
use super::{Asked, Facts};

/// Whether two paths lead to one directory; paths that lead nowhere are compared as they are spelt.
pub(super) fn same_directory(one: &Path, other: &Path) -> bool {
    match (fs_err::metadata(one), fs_err::metadata(other)) {
        (Ok(one), Ok(other)) => (one.dev(), one.ino()) == (other.dev(), other.ino()),
        _ => one == other,
    }
}

/// `directory.same`, `directory.writable`.
pub(super) fn check(asked: &Asked, facts: &Facts) -> [Finding; 2] {
    if !facts.has_directory {
        let why = format!(
            "{} can't be seen from here: name the directory that the app writes to (--coverage-dir or PROFILE_COVERAGE_DIR), \
             or run the doctor where it is",
            asked.coverage_dir.display()
        );
        return [Check::DirectorySame, Check::DirectoryWritable].map(|check| check.not_checked(&*why));
    }
    [same(asked, facts), writable(asked, facts)]
}

fn same(asked: &Asked, facts: &Facts) -> Finding {
    let (check, dir) = (Check::DirectorySame, &asked.coverage_dir);
    let remedy = format!(
        "give web processes, workers and service one PROFILE_COVERAGE_DIR, mounted into each; here it is {}",
        dir.display()
    );
    for seen in &facts.workers {
        if let Agent::Elsewhere(theirs) = &seen.agent {
            return check.failed(
                format!(
                    "{} writes to {}, not to {}",
                    seen.worker.describe(),
                    theirs.display(),
                    dir.display()
                ),
                remedy,
            );
        }
    }
    if let Ok(health) = &facts.health
        && health.coverage_dir.is_dir()
        && !same_directory(&health.coverage_dir, dir)
    {
        let theirs = health.coverage_dir.display();
        return check.failed(format!("the service looks into {theirs}, not into {}", dir.display()), remedy);
    }
    let Some(app) = facts.answers() else { return check.not_checked(without_app(facts)) };
    let (answered, recorded) = (app.traced(), facts.recorded());
    if answered == 0 {
        return check
            .not_checked("no web process has traced anything (web.toggle, header.arrives, web.traces)");
    }
    if recorded < answered {
        return check.failed(
            format!(
                "{answered} answers say that they were traced, and {recorded} are recorded in {}",
                dir.display()
            ),
            remedy,
        );
    }
    let unseen = facts.workers.iter().filter(|seen| matches!(seen.agent, Agent::Unknown)).count();
    if unseen > 0 {
        let (whose, write) = (counted(unseen, "worker"), if unseen == 1 { "writes" } else { "write" });
        return check.not_checked(format!("where {whose} {write} can't be seen from here (worker.toggle)"));
    }
    check.ok(format!("web processes, workers and service use {}", dir.display()))
}

fn writable(asked: &Asked, facts: &Facts) -> Finding {
    let (check, dir) = (Check::DirectoryWritable, &asked.coverage_dir);
    let Ok(meta) = fs_err::metadata(dir) else {
        return check.not_checked(format!("{} can't be looked at", dir.display()));
    };
    let state = format!(
        "{} is of {}, group {}, mode {:04o}",
        dir.display(),
        user(meta.uid()),
        meta.gid(),
        meta.permissions().mode() & 0o7777
    );
    let remedy = format!(
        "let all of them write there: run them as one user, or give the directory to a common group (chgrp -R GROUP {dir}; chmod -R g+rwX {dir}; \
         find {dir} -type d -exec chmod g+s {{}} +)",
        dir = dir.display()
    );
    if let Some(refusal) =
        facts.answers().and_then(|app| app.refusals().find(|why| is_about_the_directory(why)))
    {
        return check.failed(format!("the web process says: {refusal} ({state})"), remedy);
    }
    for seen in &facts.workers {
        if let Agent::Locked(identity) = &seen.agent {
            let who = seen.worker.describe();
            return check.failed(
                format!("{who} runs as {} and may not write there: {state}", user(identity.uid)),
                remedy,
            );
        }
    }
    if let Some(why) = locked_out(facts) {
        return check.failed(why, remedy);
    }
    if access(dir, Access::WRITE_OK | Access::EXEC_OK).is_err() {
        let me = Identity::of(std::process::id()).map_or_else(|| "?".to_owned(), |me| user(me.uid));
        return check.failed(
            format!("this user, {me}, may not write there, so that it can't merge: {state}"),
            remedy,
        );
    }
    check.ok(format!("{}; {state}", who_writes(facts)))
}

/// A process that has the agent on, runs here, and may not write where another one made directories.
fn locked_out(facts: &Facts) -> Option<String> {
    let root = fs_err::metadata(facts.layout.root()).ok()?;
    let on = facts.workers.iter().filter_map(|seen| match &seen.agent {
        Agent::On(process) => Some(process),
        _ => None,
    });
    for process in facts.web_processes().chain(facts.queue_workers()).chain(on) {
        // On another host, its number is somebody else's here.
        if process.is_alive() != Some(true) {
            continue;
        }
        let Some(identity) = Identity::of(process.process.pid) else { continue };
        if !identity.may_write_in(&root) {
            let (who, dir) = (user(identity.uid), facts.layout.root().display());
            return Some(format!("process {} runs as {who} and may not write in {dir}", process.process));
        }
    }
    None
}

/// Who runs as whom, by the owners of the boot records.
fn who_writes(facts: &Facts) -> String {
    let mut roles: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for process in facts.enabled.iter().filter(|process| process.is_alive() != Some(false)) {
        let Ok(meta) = fs_err::metadata(&process.path) else { continue };
        let role = if facts.is_worker(process) { "workers" } else { "web processes" };
        let known = roles.entry(user(meta.uid())).or_default();
        if !known.contains(&role) {
            known.push(role);
        }
    }
    if roles.is_empty() {
        return "no process with the agent on is known".to_owned();
    }
    let told: Vec<String> =
        roles.iter().map(|(who, roles)| format!("{} write as {who}", roles.join(" and "))).collect();
    told.join(", ")
}
