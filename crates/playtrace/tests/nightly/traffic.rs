//! Real traffic: carried from bundle to bundle, joined, and not for ever.

use std::collections::BTreeMap;

use jiff::civil::Date;
use playtrace_covdata::shard::{ShardDraft, TrafficNews, add_traffic, anyones_label, label_of_route};
use playtrace_model::{LineData, MeasuredPath, SourceHash};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::night;
use crate::world::{Fate, World, output};

/// What a process entered on a day: `second()`, by a route.
fn record(world: &World, day: Date, pid: u32, route: &str) {
    let dir = world.path(&format!("coverage/anyone/{day}"));
    fs_err::create_dir_all(&dir).unwrap();
    let (path, mut data) = (MeasuredPath::new("shared.py"), LineData::new());
    for label in [anyones_label(), label_of_route(route)] {
        data.add(&label, &path, &[5_u32].into_iter().collect());
    }
    let text = fs_err::read(world.path("app/shared.py")).unwrap();
    let sources = BTreeMap::from([(path, SourceHash::from_digest(&Sha256::digest(text)))]);
    let news = TrafficNews { data: &data, known_by: None, whole: &|| data.clone(), sources: &sources };
    add_traffic(&mut ShardDraft::new().unwrap(), &dir, ("web", pid, 1), &news, |_| false).unwrap();
}

fn aggregate(world: &World, of: Date) -> Value {
    let mut command = world.aggregation(of, &world.path("nights"));
    let done = output(command.arg("--traffic").arg(world.path("coverage")));
    assert_eq!(done.status.code(), Some(0), "{}", String::from_utf8_lossy(&done.stderr));
    serde_json::from_slice(&done.stdout).unwrap()
}

fn member(world: &World, of: Date, name: &str) -> Option<Value> {
    let file = fs_err::File::open(world.bundle(of)).unwrap();
    let mut archive = tar::Archive::new(zstd::Decoder::new(file).unwrap());
    let found = archive
        .entries()
        .unwrap()
        .map(Result::unwrap)
        .find(|member| member.path().unwrap().to_str() == Some(name));
    found.map(|member| serde_json::from_reader(member).unwrap())
}

/// What the bundle's matrix says of `second()`, and of the routes.
fn told(world: &World, of: Date) -> (Value, Value, Value) {
    let matrix = member(world, of, "matrix.json").unwrap();
    playtrace_testkit::schema::check(&matrix, "matrix");
    let gaps = matrix["gaps"]["symbols"].as_array().unwrap();
    let gap = gaps.iter().find(|gap| gap["line"] == 5).unwrap_or_else(|| panic!("{gaps:?}"));
    (gap["traffic"].clone(), gap["traffic_routes"].clone(), matrix["traffic_routes"].clone())
}

#[test]
fn days_are_joined_over_nights_and_carried_when_their_shards_are_gone() {
    let world = World::new();
    world.write_list(&["a"]);
    world.job(night(2), "a", Fate::Passes);
    record(&world, night(0), 7, "POST /x");
    record(&world, night(1), 7, "POST /x");
    record(&world, night(1), 8, "GET /y");
    // That day is not over.
    record(&world, night(2), 9, "GET /z");
    let manifest = aggregate(&world, night(2));
    assert_eq!(manifest["formats"]["playtrace-traffic"], 1);
    let seen = |since: i64, until: i64, days: u32, processes: u32| json!({"since": night(since).to_string(), "until": night(until).to_string(), "days": days, "processes": processes});
    let (gap, routes, all) = told(&world, night(2));
    assert_eq!((&gap, &routes), (&seen(0, 1, 2, 2), &json!(["GET /y", "POST /x"])));
    assert_eq!(all["POST /x"]["symbols"].as_array().unwrap().len(), 1);
    assert_eq!(all["POST /x"]["gaps"], all["POST /x"]["symbols"]);
    assert_eq!(all["POST /x"]["until"], json!(night(1).to_string()));
    assert_eq!(all["GET /z"], Value::Null);
    playtrace_testkit::schema::check(&member(&world, night(2), "traffic.json").unwrap(), "traffic");
    let first = fs_err::read(world.bundle(night(2))).unwrap();
    aggregate(&world, night(2));
    assert!(fs_err::read(world.bundle(night(2))).unwrap() == first, "the same, another bundle");
    // The shards go; the day that was not over then has been seen by the next night.
    fs_err::remove_dir_all(world.path(&format!("coverage/anyone/{}", night(0)))).unwrap();
    world.job(night(3), "a", Fate::Passes);
    aggregate(&world, night(3));
    assert_eq!(told(&world, night(3)).0, seen(0, 2, 3, 3));
    fs_err::remove_dir_all(world.path("coverage/anyone")).unwrap();
    world.job(night(31), "a", Fate::Passes);
    aggregate(&world, night(31));
    assert_eq!(told(&world, night(31)).0, seen(1, 2, 2, 3), "thirty nights");
    world.job(night(60), "a", Fate::Passes);
    aggregate(&world, night(60));
    assert_eq!((told(&world, night(60)).0, member(&world, night(60), "traffic.json")), (Value::Null, None));
}

#[test]
fn what_lies_below_the_artifacts_is_found_by_itself_and_what_is_broken_is_named() {
    let world = World::new();
    world.write_list(&["a"]);
    world.job(night(2), "a", Fate::Passes);
    record(&world, night(1), 7, "POST /x");
    fs_err::rename(world.path("coverage/anyone"), world.artifacts(night(2)).join("anyone")).unwrap();
    let broken =
        world.artifacts(night(2)).join(format!("anyone/{}/anyone.coverage.web.8.Xabcdefx", night(0)));
    fs_err::create_dir_all(broken.parent().unwrap()).unwrap();
    fs_err::write(broken, "no database, however long this text may be").unwrap();
    let manifest = aggregate(&world, night(2));
    assert_eq!(told(&world, night(2)).1, json!(["POST /x"]));
    let notes = manifest["notes"].to_string();
    assert!(notes.contains(&format!("real traffic of {} is left out", night(0))), "{notes}");
}
