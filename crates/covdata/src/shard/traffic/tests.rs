use std::collections::BTreeMap;

use super::*;
use crate::CoverageData;
use crate::data::traffic_sources;

fn data(file: &str, lines: &[u32]) -> LineData {
    let mut data = LineData::new();
    data.add(&anyones_label(), &MeasuredPath::new(file), &lines.iter().copied().collect());
    data
}

fn sources(file: &str, hash: &str) -> Sources {
    BTreeMap::from([(MeasuredPath::new(file), SourceHash::from_hex(hash))])
}

fn add(day: &Path, owner: Owner<'_>, lines: &[u32], hash: &str) -> String {
    add_news(day, owner, (&data("a.py", lines), None, &data("a.py", lines)), hash)
}

fn add_news(
    day: &Path,
    owner: Owner<'_>,
    (news, known_by, whole): (&LineData, Option<&str>, &LineData),
    hash: &str,
) -> String {
    let mut draft = ShardDraft::new().unwrap();
    let news =
        TrafficNews { data: news, known_by, whole: &|| whole.clone(), sources: &sources("a.py", hash) };
    add_traffic(&mut draft, day, owner, &news, |pid| pid > 1000).unwrap()
}

fn lines_in(path: &Path) -> Vec<u32> {
    let read = CoverageData::read(path).unwrap();
    let lines = read.lines();
    lines
        .lines_by_file(|label| *label == anyones_label())
        .values()
        .flat_map(|lines| lines.iter().collect::<Vec<_>>())
        .collect()
}

#[test]
fn a_process_has_one_file_a_day_however_often_it_writes() {
    let root = tempfile::tempdir().unwrap();
    let day = root.path().join(ANYONE).join("2026-11-29");
    fs_err::create_dir_all(&day).unwrap();
    let first = add(&day, ("web", 7, 99), &[1], "aa");
    assert_eq!(add(&day, ("web", 7, 99), &[3], "aa"), first);
    assert_ne!(add(&day, ("web", 7, 100), &[5], "aa"), first, "the number was used again");
    assert_ne!(add(&day, ("api", 7, 99), &[5], "aa"), first);
    assert_eq!(lines_in(&day.join(&first)), [1, 3]);
    assert_eq!(traffic_sources(&day.join(&first)).unwrap(), sources("a.py", "aa"));
    for other in ["2026-11-2", "2026-11-30x", "notes"] {
        fs_err::create_dir_all(root.path().join(ANYONE).join(other)).unwrap();
    }
    let listed = list_traffic(root.path()).unwrap();
    assert_eq!(listed.len(), 3);
    assert!(listed.iter().all(|found| found.day == "2026-11-29" && found.shard.owner.is_ok()));
    assert_eq!(list_traffic(&day).unwrap().len(), 0, "nothing was recorded there");
}

#[test]
fn another_source_goes_into_another_file() {
    let day = tempfile::tempdir().unwrap();
    let first = add(day.path(), ("web", 7, 99), &[1], "aa");
    let second = add(day.path(), ("web", 7, 99), &[3], "bb");
    assert_ne!(first, second);
    assert_eq!((lines_in(&day.path().join(first)), lines_in(&day.path().join(second))), (vec![1], vec![3]));
}

#[test]
fn where_there_are_many_a_new_process_goes_on_with_what_one_left_that_has_ended() {
    let day = tempfile::tempdir().unwrap();
    for start in 0..500 {
        add(day.path(), ("web", 2000, start), &[1], "aa");
    }
    let count = || fs_err::read_dir(day.path()).unwrap().count();
    assert_eq!(count(), ENOUGH);
    add(day.path(), ("api", 2000, 1), &[1], "aa");
    assert_eq!(count(), ENOUGH + 1, "another host's are not for it");
    add(day.path(), ("web", 2000, 9999), &[1], "cc");
    assert_eq!(count(), ENOUGH + 2, "nor are another source's");
    let living = tempfile::tempdir().unwrap();
    for pid in 1..=100 {
        add(living.path(), ("web", pid, 1), &[1], "aa");
    }
    assert_eq!(fs_err::read_dir(living.path()).unwrap().count(), 100, "nor a living one's");
}

#[test]
fn what_is_broken_is_left_alone() {
    let day = tempfile::tempdir().unwrap();
    let first = add(day.path(), ("web", 7, 99), &[1], "aa");
    fs_err::write(day.path().join(&first), "not a database, however long it may be").unwrap();
    let second = add(day.path(), ("web", 7, 99), &[1], "aa");
    assert_ne!(first, second);
    assert_eq!(lines_in(&day.path().join(second)), [1]);
}

#[test]
fn processes_that_begin_at_once_share_a_file() {
    let day = tempfile::tempdir().unwrap();
    let barrier = std::sync::Barrier::new(4);
    std::thread::scope(|scope| {
        for line in 1..=4 {
            let (day, barrier) = (day.path(), &barrier);
            scope.spawn(move || {
                barrier.wait();
                add(day, ("web", 7, 99), &[line], "aa");
            });
        }
    });
    let names: Vec<_> = fs_err::read_dir(day.path()).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert_eq!(names.len(), 1, "{names:?}");
    assert_eq!(lines_in(&names[0]), [1, 2, 3, 4]);
}

#[test]
fn news_go_where_the_rest_is_and_everything_anywhere_else() {
    let day = tempfile::tempdir().unwrap();
    let (news, whole) = (data("a.py", &[3]), data("a.py", &[1, 3]));
    let first = add_news(day.path(), ("web", 7, 99), (&data("a.py", &[1]), None, &data("a.py", &[1])), "aa");
    assert_eq!(add_news(day.path(), ("web", 7, 99), (&news, Some(&first), &whole), "aa"), first);
    assert_eq!(lines_in(&day.path().join(&first)), [1, 3]);
    fs_err::remove_file(day.path().join(&first)).unwrap();
    let again = add_news(day.path(), ("web", 7, 99), (&news, Some(&first), &whole), "aa");
    assert_eq!(lines_in(&day.path().join(again)), [1, 3], "somebody took it away");
    let other = add_news(day.path(), ("web", 7, 99), (&news, Some(&first), &whole), "bb");
    assert_eq!(lines_in(&day.path().join(other)), [1, 3], "other code ran");
}

#[test]
fn a_label_names_its_route() {
    assert_eq!(route_of_label(&label_of_route("GET /a:b")), Some("GET /a:b"));
    assert_eq!(route_of_label(&anyones_label()), None);
    assert_eq!(route_of_label(&ContextLabel::new("profile:anyone:x")), None);
}

/// 30 days, several processes of some hosts a day, as many routes as there may be.
#[test]
fn it_stays_bounded_for_months() {
    let root = tempfile::tempdir().unwrap();
    let routes: Vec<_> = (0..501).map(|n| label_of_route(&format!("GET /{n}/<id>"))).collect();
    let mut whole = data("a.py", &(1..400).collect::<Vec<_>>());
    for (n, route) in (1..).zip(&routes) {
        whole.add(route, &MeasuredPath::new("a.py"), &(n % 200..n % 200 + 20).collect());
    }
    let nothing = LineData::new();
    for n in 1..=30 {
        let day = root.path().join(ANYONE).join(format!("2026-11-{n:02}"));
        fs_err::create_dir_all(&day).unwrap();
        for (host, pid) in [("web", 7), ("web", 8), ("api", 7)] {
            let mut name = None;
            for _ in 0..3 {
                let data = if name.is_none() { &whole } else { &nothing };
                name = Some(add_news(&day, (host, pid, 99), (data, name.as_deref(), &whole), "aa"));
            }
        }
    }
    let listed = list_traffic(root.path()).unwrap();
    assert_eq!(listed.len(), 30 * 3, "one a process and day, whatever it writes");
    let largest = listed.iter().map(|found| found.shard.size).max().unwrap();
    assert!(largest < 200_000, "{largest}");
}
