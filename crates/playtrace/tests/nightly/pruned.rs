//! `playtrace prune`: records of processes, sandboxes, and what a prune that was killed left.

use playtrace_ledger::{Layout, ProcessId, Role};
use playtrace_model::{RunToken, Slug};
use serde_json::{Value, json};

use crate::world::{Fate, World, noon, output, playtrace};
use crate::{names, night};

/// What went, by kind and the last part of its paths.
fn gone(pruned: &Value) -> Vec<(String, Vec<String>)> {
    let removed = pruned["directories"][0]["removed"].as_array().unwrap();
    let name = |path: &Value| path.as_str().unwrap().rsplit('/').next().unwrap().to_owned();
    let of = |item: &Value| {
        let paths = item["paths"].as_array().unwrap().iter().map(name).collect();
        (item["kind"].as_str().unwrap().to_owned(), paths)
    };
    removed.iter().map(of).collect()
}

#[test]
fn records_of_processes_go_when_nobody_looks_for_them_any_more() {
    let world = World::new();
    let here = ProcessId::current();
    let on = |host: &str, pid| ProcessId { host: host.to_owned(), pid, start: 1 };
    world.boot(here.clone(), Role::Web);
    world.boot(ProcessId { pid: 9, start: 1, ..here.clone() }, Role::Web);
    // Whether these live can't be seen from here.
    world.boot(on("other", 8), Role::Worker);
    world.boot(on("other", 7), Role::Job);
    fs_err::write(Layout::new(&world.path("coverage")).boot_dir().join("other.5.1.new"), "cut").unwrap();
    world.age(night(0));
    let left = |number| {
        let gone = gone(&world.prune("coverage", night(number), &["--older-than", "14d"]));
        (gone.len(), names(&world, "coverage/.playtrace/.boot").len())
    };
    let me = Layout::file_name(&here);
    assert_eq!(left(13), (1, 4), "what was cut off goes after a day");
    assert_eq!(left(15), (2, 2));
    assert!(names(&world, "coverage/.playtrace/.boot").contains(&me), "it lives");
    assert_eq!(left(89), (0, 2));
    assert_eq!(left(91), (1, 1));
    assert_eq!(names(&world, "coverage/.playtrace/.boot"), [me]);
}

#[test]
fn notes_about_jobs_that_nobody_ran_go_when_they_are_old() {
    let world = World::new();
    let notes = world.path("coverage/.playtrace/.jobs");
    fs_err::create_dir_all(&notes).unwrap();
    // As the agent writes them: links to nothing, whose text is the note.
    std::os::unix::fs::symlink("a r1 app.work", notes.join("0".repeat(64))).unwrap();
    let prune = |days: i64| {
        let now = (jiff::Timestamp::now() + jiff::SignedDuration::from_hours(days * 24)).to_string();
        let mut command = playtrace();
        command.arg("prune").arg(world.path("coverage")).args([
            "--json",
            "--older-than",
            "14d",
            "--now",
            &now,
        ]);
        gone(&serde_json::from_slice(&output(&mut command).stdout).unwrap())
    };
    assert_eq!(prune(13), []);
    assert_eq!(prune(15), [("job-note".to_owned(), vec!["0".repeat(64)])]);
    assert_eq!(names(&world, "coverage/.playtrace/.jobs"), [""; 0]);
}

#[test]
fn what_a_prune_that_was_killed_left_goes_with_the_next() {
    let world = World::new();
    world.write_list(&["a"]);
    for number in 0..2 {
        world.job(night(number), "a", Fate::Passes);
        world.aggregate(night(number));
    }
    fs_err::remove_file(world.bundle(night(0))).unwrap();
    assert_eq!(
        gone(&world.prune("nights", night(30), &["--older-than", "14d"])),
        [("bundle".to_owned(), vec![format!("playtrace-night-{}.md", night(0))])]
    );
    let shard = names(&world, "coverage").into_iter().find(|name| name.starts_with("a.coverage.h")).unwrap();
    let journals =
        [format!("{shard}-journal"), shard.replace(".9.", ".10.") + "-journal", "mine-journal".to_owned()];
    for name in &journals {
        fs_err::write(world.path("coverage").join(name), "").unwrap();
    }
    fs_err::create_dir_all(world.path("coverage/.playtrace-pruned-run.a")).unwrap();
    fs_err::write(world.path("coverage/.playtrace-pruned-run.a/h.9.1.ledger"), "").unwrap();
    world.age(night(1));
    let half = std::fs::File::open(world.path("coverage/.playtrace-pruned-run.a")).unwrap();
    half.set_modified(noon(night(1)).into()).unwrap();
    let mut left: Vec<String> = gone(&world.prune("coverage", night(3), &["--older-than", "14d"]))
        .into_iter()
        .map(|(kind, paths)| format!("{kind} {}", paths.join(" ")))
        .collect();
    left.sort();
    assert_eq!(left, ["leftover .playtrace-pruned-run.a".to_owned(), format!("leftover {}", journals[1])]);
    let left = names(&world, "coverage");
    assert!(left.contains(&journals[0]) && left.contains(&journals[2]), "{left:?}");
}

#[test]
fn nobody_meets_a_part_of_a_ledger() {
    const FILES: u32 = 4000;
    let world = World::new();
    let (slug, run) = (Slug::parse("a").unwrap(), RunToken::parse("r1").unwrap());
    let dir = Layout::new(&world.path("coverage")).run_dir(&slug, &run);
    fs_err::create_dir_all(&dir).unwrap();
    for number in 0..FILES {
        fs_err::write(dir.join(format!("h.{number}.1.ledger")), "").unwrap();
    }
    let in_a_month = (jiff::Timestamp::now() + jiff::SignedDuration::from_hours(30 * 24)).to_string();
    let mut command = playtrace();
    command.arg("prune").arg(world.path("coverage")).args([
        "--older-than",
        "14d",
        "--quiet",
        "--now",
        &in_a_month,
    ]);
    let mut pruning = command.spawn().unwrap();
    while pruning.try_wait().unwrap().is_none() {
        let seen = std::fs::read_dir(&dir).map_or(FILES as usize, Iterator::count);
        // What was opened before it was taken away may be read while it goes.
        assert!(seen == FILES as usize || !dir.exists(), "{seen} of {FILES} files");
    }
    assert!(pruning.wait().unwrap().success() && !dir.exists());
    assert_eq!(names(&world, "coverage"), [".playtrace"]);
}

#[test]
fn sandboxes_go_with_the_summaries_that_name_them_and_no_other_directory_does() {
    let world = World::new();
    let token = |number: u32| format!("6f1c0f4e-0d3b-4a43-8d84-7c7f6a1a5b{number}");
    let (runs, kept) = (world.path("profiles/_runs"), world.path("runs/mine"));
    fs_err::create_dir_all(&runs).unwrap();
    let sandbox = |number| world.path("runs").join(token(number));
    let elsewhere = world.path("elsewhere").join(token(13));
    for dir in [&sandbox(11), &sandbox(12), &elsewhere, &kept] {
        fs_err::create_dir_all(dir).unwrap();
        fs_err::write(dir.join("file"), "").unwrap();
    }
    for (number, dir) in [(11, &sandbox(11)), (12, &sandbox(12)), (13, &elsewhere), (14, &kept)] {
        assert!(RunToken::parse(&token(number)).is_ok());
        let text = json!({"version": 1, "run_dir": dir, "flow": null}).to_string();
        fs_err::write(runs.join(format!("{}.json", token(number))), text).unwrap();
    }
    let prune = |limits: &[&str]| {
        let mut command = playtrace();
        command.arg("prune").arg(world.path("profiles")).arg("--json").args(limits);
        let done = output(command.env("PROFILE_PLAYBACK_RUN_ROOT", world.path("runs")));
        gone(&serde_json::from_slice(&done.stdout).unwrap())
    };
    // A replay that may go on keeps its sandbox, however little room there is to be.
    let kinds: Vec<Vec<String>> = prune(&["--max-size", "1B"]).into_iter().map(|(_, paths)| paths).collect();
    assert_eq!(kinds, [[format!("{}.json", token(13))], [format!("{}.json", token(14))]]);
    let in_a_month = (jiff::Timestamp::now() + jiff::SignedDuration::from_hours(30 * 24)).to_string();
    assert_eq!(prune(&["--older-than", "14d", "--now", &in_a_month]).len(), 2);
    assert!(!sandbox(11).exists() && !sandbox(12).exists());
    assert!(
        elsewhere.join("file").exists() && kept.join("file").exists(),
        "nobody said that these are sandboxes"
    );
    assert_eq!(fs_err::read_dir(&runs).unwrap().count(), 0);
}
