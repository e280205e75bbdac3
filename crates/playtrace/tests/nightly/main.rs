//! Nights, simulated: what is carried forward, what is pruned, and that a bundle is whole or not there.
#![allow(clippy::unwrap_used, reason = "a test that can't go on has failed")]

mod pruned;
mod traffic;
mod world;

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::ToSpan as _;
use jiff::civil::{Date, Weekday, date};
use serde_json::{Value, json};

use world::{Fate, World, output, size};

/// A Sunday.
const FIRST: Date = date(2026, 10, 4);

pub(crate) fn night(number: i64) -> Date {
    FIRST.checked_add(number.days()).unwrap()
}

fn entry<'a>(manifest: &'a Value, profile: &str) -> &'a Value {
    manifest["entries"].as_array().unwrap().iter().find(|entry| entry["profile"] == profile).unwrap()
}

/// Status of each profile in the bundle's own matrix.
fn matrix(world: &World, of: Date) -> BTreeMap<String, String> {
    let file = fs_err::File::open(world.bundle(of)).unwrap();
    let mut archive = tar::Archive::new(zstd::Decoder::new(file).unwrap());
    for member in archive.entries().unwrap() {
        let member = member.unwrap();
        if member.path().unwrap().to_str() == Some("matrix.json") {
            let matrix: Value = serde_json::from_reader(member).unwrap();
            let text = |value: &Value| value.as_str().unwrap().to_owned();
            let profiles = matrix["profiles"].as_array().unwrap().iter();
            return profiles.map(|of| (text(&of["profile"]), text(&of["status"]))).collect();
        }
    }
    panic!("no matrix");
}

#[test]
fn a_night_of_all_fates_says_what_each_came_to() {
    let world = World::new();
    let all = ["failing", "fine", "flaky", "killed", "missing", "partial", "wide"];
    world.write_list(&all);
    for profile in all {
        world.job(night(0), profile, Fate::Passes);
    }
    let (manifest, code) = world.aggregate(night(0));
    assert_eq!(code, 0, "{manifest:#}");
    playtrace_testkit::schema::check(&manifest, "night");
    let fates =
        [Fate::Fails, Fate::Passes, Fate::Flaky, Fate::Killed, Fate::Missing, Fate::Partial, Fate::Missing];
    for (profile, fate) in all.into_iter().zip(fates) {
        world.job(night(1), profile, fate);
    }
    let (manifest, code) = world.aggregate(night(1));
    assert_eq!(code, 3);
    playtrace_testkit::schema::check(&manifest, "night");
    let told: Vec<(&str, &str, &str, u64, &str)> = all
        .iter()
        .map(|profile| {
            let entry = entry(&manifest, profile);
            let data = &entry["data"];
            (
                *profile,
                entry["tonight"].as_str().unwrap(),
                data["origin"].as_str().unwrap(),
                data["age_nights"].as_u64().unwrap(),
                data["status"].as_str().unwrap(),
            )
        })
        .collect();
    assert_eq!(
        told,
        [
            ("failing", "failed", "carried", 1, "complete"),
            ("fine", "passed", "fresh", 0, "complete"),
            ("flaky", "flaky", "fresh", 0, "complete"),
            ("killed", "killed", "carried", 1, "complete"),
            ("missing", "missing", "carried", 1, "complete"),
            ("partial", "failed", "carried", 1, "complete"),
            ("wide", "not-scheduled", "carried", 1, "complete"),
        ]
    );
    // The carried ones are no proof of what tonight's code executes.
    let statuses: Vec<String> = matrix(&world, night(1)).into_values().collect();
    assert_eq!(statuses, ["stale", "complete", "complete", "stale", "stale", "stale", "stale"]);
    let summary =
        fs_err::read_to_string(world.path(&format!("nights/playtrace-night-{}.md", night(1)))).unwrap();
    let host = format!(" on {} ", playtrace_ledger::ProcessId::current().host);
    insta::assert_snapshot!(summary.replace(&host, " on HOST "));
}

#[test]
fn where_there_never_was_a_good_night_what_there_is_counts_as_what_it_is() {
    let world = World::new();
    world.write_list(&["a", "b"]);
    world.job(night(0), "a", Fate::Fails);
    world.job(night(0), "b", Fate::Missing);
    let (manifest, code) = world.aggregate(night(0));
    assert_eq!(code, 3);
    assert_eq!(entry(&manifest, "a")["data"]["origin"], "incomplete");
    assert_eq!(entry(&manifest, "b")["data"], Value::Null);
    assert_eq!(matrix(&world, night(0)), BTreeMap::from([("a".to_owned(), "failed".to_owned())]));
    world.job(night(1), "a", Fate::Missing);
    world.write_list(&["b"]);
    let (manifest, code) = world.aggregate(night(1));
    assert_eq!((code, &manifest["totals"]), (1, &Value::Null), "nothing at all is known: {manifest:#}");
}

#[test]
fn twice_is_as_once_and_a_rerun_of_the_same_night_only_betters_it() {
    let world = World::new();
    world.write_list(&["a", "b"]);
    world.job(night(0), "a", Fate::Passes);
    world.job(night(0), "b", Fate::Killed);
    assert_eq!(world.aggregate(night(0)).1, 3);
    let first = fs_err::read(world.bundle(night(0))).unwrap();
    assert_eq!(world.aggregate(night(0)).1, 3);
    assert!(fs_err::read(world.bundle(night(0))).unwrap() == first, "the same artifacts, another bundle");
    // The failed one again, on a machine that has nothing of the others any more.
    fs_err::remove_dir_all(world.artifacts(night(0))).unwrap();
    world.job(night(0), "b", Fate::Passes);
    let (manifest, code) = world.aggregate(night(0));
    assert_eq!((code, &entry(&manifest, "a")["data"]["origin"]), (0, &json!("fresh")), "{manifest:#}");
}

#[test]
fn a_damaged_bundle_or_artifact_is_named_and_an_earlier_night_counts() {
    let world = World::new();
    world.write_list(&["a"]);
    world.job(night(0), "a", Fate::Passes);
    world.aggregate(night(0));
    world.job(night(1), "a", Fate::Passes);
    world.aggregate(night(1));
    let broken = world.bundle(night(1));
    let bytes = fs_err::read(&broken).unwrap();
    fs_err::write(&broken, &bytes[..bytes.len() / 2]).unwrap();
    world.job(night(2), "a", Fate::Passes);
    let data = world.artifacts(night(2)).join("run-a/a.coverage");
    let mut bytes = fs_err::read(&data).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    fs_err::write(&data, bytes).unwrap();
    let (manifest, code) = world.aggregate(night(2));
    let a = entry(&manifest, "a");
    assert_eq!((code, &a["data"]["night"]), (3, &json!(night(0).to_string())), "{manifest:#}");
    assert!(a["reasons"].to_string().contains("a.coverage: it was written after the verdict"), "{a:#}");
    assert!(manifest["notes"][0].as_str().unwrap().contains("can't be unpacked"), "{manifest:#}");
}

#[test]
fn a_killed_aggregation_leaves_the_old_bundle_or_the_new_one() {
    let world = World::new();
    world.write_list(&["a", "b"]);
    world.job(night(0), "a", Fate::Passes);
    world.job(night(0), "b", Fate::Passes);
    world.aggregate(night(0));
    world.job(night(1), "a", Fate::Passes);
    world.job(night(1), "b", Fate::Missing);
    let (other, nights) = (world.path("undisturbed"), world.path("nights"));
    fs_err::create_dir(&other).unwrap();
    fs_err::copy(world.bundle(night(0)), other.join(world.bundle(night(0)).file_name().unwrap())).unwrap();
    assert_eq!(output(&mut world.aggregation(night(1), &other)).status.code(), Some(3));
    let name = world.bundle(night(1)).file_name().unwrap().to_owned();
    let wanted = fs_err::read(other.join(&name)).unwrap();
    let mut killed = 0;
    for step in 0..24 {
        let mut command = world.aggregation(night(1), &nights);
        let mut child =
            command.stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null()).spawn().unwrap();
        std::thread::sleep(Duration::from_millis(step * 4));
        killed += usize::from(child.try_wait().unwrap().is_none());
        let _ = child.kill();
        child.wait().unwrap();
        if let Ok(bytes) = fs_err::read(nights.join(&name)) {
            assert!(bytes == wanted, "killed after {} ms: a bundle that is not whole", step * 4);
        }
    }
    assert!(killed > 3, "only {killed} were killed in time");
    assert_eq!(world.aggregate(night(1)).1, 3);
    assert!(fs_err::read(nights.join(&name)).unwrap() == wanted);
    let left = fs_err::read_dir(&nights).unwrap().count();
    assert_eq!(left, 5, "two bundles, a summary of each, and the lock: nothing is left of the killed ones");
}

/// What a night must come to, told by the simplest rule that does: the last good one, else the last one.
#[derive(Default)]
struct Model {
    good: BTreeMap<String, i64>,
    any: BTreeMap<String, i64>,
}

impl Model {
    fn expect(&mut self, profile: &str, number: i64, fate: Option<Fate>) -> Option<(&'static str, i64)> {
        match fate {
            Some(Fate::Passes | Fate::Flaky) => {
                self.good.insert(profile.to_owned(), number);
                Some(("fresh", number))
            }
            Some(Fate::Partial | Fate::Fails) if !self.good.contains_key(profile) => {
                self.any.insert(profile.to_owned(), number);
                Some(("incomplete", number))
            }
            _ => self.good.get(profile).or_else(|| self.any.get(profile)).map(|last| ("carried", *last)),
        }
    }
}

#[test]
fn thirty_nights_with_code_changes_carry_forward_and_grow_without_bound_nowhere() {
    let world = World::new();
    let mut profiles = vec!["a", "b", "c", "d", "e", "weekly"];
    let (mut model, mut random) = (Model::default(), 0x2545_f491_4f6c_dd1d_u64);
    let mut sizes = Vec::new();
    for number in 0..30 {
        let tonight = night(number);
        if number == 15 {
            // Nobody wants `e` any more.
            profiles.retain(|profile| *profile != "e");
        }
        world.write_source(usize::try_from(number / 10).unwrap());
        world.write_list(&profiles);
        let mut expected = BTreeMap::new();
        for profile in &profiles {
            // xorshift: the same nights in every run of this test.
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            let fate = match random % 10 {
                0..=4 => Fate::Passes,
                5 => Fate::Flaky,
                6 => Fate::Partial,
                7 => Fate::Fails,
                8 => Fate::Killed,
                _ => Fate::Missing,
            };
            let is_due = *profile != "weekly" || tonight.weekday() == Weekday::Sunday;
            if is_due {
                world.job(tonight, profile, fate);
            }
            expected.insert(*profile, model.expect(profile, number, is_due.then_some(fate)));
        }
        let (manifest, code) = world.aggregate(tonight);
        assert_eq!(manifest["entries"].as_array().unwrap().len(), profiles.len());
        for (profile, expected) in &expected {
            let data = &entry(&manifest, profile)["data"];
            let told = data["origin"]
                .as_str()
                .map(|origin| (origin.to_owned(), data["night"].as_str().unwrap().to_owned()));
            let wanted = expected.map(|(origin, of)| (origin.to_owned(), night(of).to_string()));
            assert_eq!(told, wanted, "night {number}, {profile}: {manifest:#}");
        }
        let all_fresh = expected.values().all(|data| data.is_some_and(|(origin, _)| origin == "fresh"));
        assert!(!all_fresh || code == 0, "night {number}: {code}");
        for (profile, status) in matrix(&world, tonight) {
            let (origin, _) = expected[profile.as_str()].unwrap();
            assert_eq!(status == "complete", origin == "fresh", "night {number}, {profile} is {status}");
        }
        assert!(fs_err::metadata(world.bundle(tonight)).unwrap().len() < 250_000_000);
        world.prune("nights", tonight, &["--older-than", "14d", "--max-size", "250MB"]);
        world.prune("coverage", tonight, &["--older-than", "14d", "--max-size", "250MB"]);
        fs_err::remove_dir_all(world.artifacts(tonight)).unwrap();
        sizes.push((size(&world.path("nights")), size(&world.path("coverage"))));
    }
    let bundles = fs_err::read_dir(world.path("nights")).unwrap().count();
    // Those of fourteen nights, a summary each, and the lock.
    assert_eq!(bundles, 2 * 14 + 1);
    let boots = fs_err::read_dir(world.path("coverage/.playtrace/.boot")).unwrap().count();
    assert!((1..=15).contains(&boots), "{boots} records of processes that have ended");
    let (then, now) = (sizes[16], sizes[29]);
    assert!(now.0 < then.0 * 5 / 4 && now.1 < then.1 * 5 / 4, "it grows: {sizes:?}");
}

#[test]
fn a_bundle_that_would_be_too_large_does_not_replace_anything() {
    let world = World::new();
    world.write_list(&["a"]);
    world.job(night(0), "a", Fate::Passes);
    let mut command = world.aggregation(night(0), &world.path("nights"));
    let done = output(command.args(["--max-size", "100B"]));
    assert_eq!(done.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&done.stderr).contains("PT-NIGHTLY-010"));
    assert_eq!(names(&world, "nights"), [".playtrace-aggregate.lock"]);
    let mut command = world.aggregation(night(0), &world.path("nights"));
    assert_eq!(output(command.arg("--full-reports")).status.code(), Some(0));
    let file = fs_err::File::open(world.bundle(night(0))).unwrap();
    let mut archive = tar::Archive::new(zstd::Decoder::new(file).unwrap());
    let members =
        archive.entries().unwrap().map(|member| member.unwrap().path().unwrap().display().to_string());
    let members: Vec<String> = members.collect();
    assert_eq!(members[0], "manifest.json");
    assert!(members.contains(&"reports/a/index.html".to_owned()), "{members:?}");
}

#[test]
fn prune_deletes_what_is_old_and_nothing_that_is_needed() {
    let world = World::new();
    world.write_list(&["a"]);
    for number in 0..4 {
        world.job(night(number), "a", if number % 2 == 0 { Fate::Passes } else { Fate::Fails });
        world.aggregate(night(number));
    }
    fs_err::write(world.path("nights/notes.txt"), "mine").unwrap();
    fs_err::write(world.path("coverage/other.coverage.txt"), "mine").unwrap();
    let before = (size(&world.path("nights")), size(&world.path("coverage")));
    let dry = world.prune("nights", night(30), &["--older-than", "14d", "--dry-run"]);
    assert_eq!(dry["directories"][0]["removed"].as_array().unwrap().len(), 3, "{dry:#}");
    assert_eq!(size(&world.path("nights")), before.0);
    world.prune("nights", night(30), &["--older-than", "14d"]);
    let left: Vec<String> = names(&world, "nights");
    let last = format!("playtrace-night-{}", night(3));
    let wanted =
        [".playtrace-aggregate.lock", "notes.txt", &format!("{last}.md"), &format!("{last}.tar.zst")];
    assert_eq!(left, wanted);
    let gone = world.prune("coverage", night(30), &["--older-than", "14d"]);
    let kinds: Vec<&str> = gone["directories"][0]["removed"]
        .as_array()
        .unwrap()
        .iter()
        .map(|of| of["kind"].as_str().unwrap())
        .collect();
    assert!(
        kinds.contains(&"shard") && kinds.contains(&"ledger") && kinds.contains(&"spared-data"),
        "{gone:#}"
    );
    let left = names(&world, "coverage");
    assert!(
        ["a.coverage", "a.verdict.json", "other.coverage.txt"]
            .iter()
            .all(|name| left.iter().any(|of| of == name)),
        "{left:?}"
    );
    assert!(!left.iter().any(|name| name.starts_with("a.coverage.h")), "{left:?}");
    // By size alone: the last bundle stays, and that is said.
    let over = world.prune("nights", night(4), &["--max-size", "10B"]);
    assert_eq!((&over["directories"][0]["over"], names(&world, "nights").len()), (&json!(true), 4));
}

pub(crate) fn names(world: &World, dir: &str) -> Vec<String> {
    let read = fs_err::read_dir(world.path(dir)).unwrap();
    let mut names: Vec<String> =
        read.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}
