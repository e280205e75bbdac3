use playtrace_covdata::shard::{ShardDraft, ShardWriter};
use playtrace_ledger::{Journal, ProcessId, Record, Role, UnitKind};
use playtrace_model::LineData;

use super::*;

const KIND: Kind = Kind { name: "test", slugs: &["playtrace-test"], code: "PT-PERF-003" };

struct World {
    dir: tempfile::TempDir,
}

impl World {
    fn new() -> Self {
        let world = Self { dir: tempfile::tempdir().unwrap() };
        fs_err::create_dir_all(world.coverage().join(".playtrace")).unwrap();
        fs_err::create_dir(world.sandboxes()).unwrap();
        world
    }

    fn coverage(&self) -> PathBuf {
        self.dir.path().join("coverage")
    }

    fn sandboxes(&self) -> PathBuf {
        self.dir.path().join("runs")
    }

    fn own(&self) -> OwnRuns {
        OwnRuns::new(&KIND, &self.coverage(), Some(&self.sandboxes()))
    }

    /// What an agent leaves of a run: a shard and a ledger. This process is the agent, and lives.
    fn trace(&self, slug: &Slug, run: &RunToken, ends: bool) {
        let dir = self.coverage();
        let mut draft = ShardDraft::new().unwrap();
        ShardWriter::create(&mut draft, &dir, (slug, run), ("h", 9), &LineData::new()).unwrap();
        let mut journal = Journal::open(&Layout::new(&dir), slug, run, Role::Web, "test", 1).unwrap();
        let (unit, what) = ("1".to_owned(), String::new());
        let (step, job, child, scope) = (Some(1), None, None, None);
        let kind = UnitKind::Request;
        journal.append(2, Record::Open { unit, kind, step, job, child, what, scope }).unwrap();
        if ends {
            self.end(slug, run);
        }
    }

    fn end(&self, slug: &Slug, run: &RunToken) {
        let file = Layout::file_name(&ProcessId::current());
        let path = Layout::new(&self.coverage()).run_dir(slug, run).join(file);
        let (unit, shard) = ("1".to_owned(), None);
        let (new, entered) = Default::default();
        Journal::append_to(path).unwrap().append(3, Record::Closed { unit, shard, new, entered }).unwrap();
    }

    /// Everything that is there, but for the lock.
    fn left(&self) -> Vec<String> {
        let files = walkdir::WalkDir::new(self.coverage()).into_iter().map(|entry| entry.unwrap());
        let mut left: Vec<String> = files
            .filter(|entry| entry.file_type().is_file())
            .map(|entry| entry.file_name().to_string_lossy().into_owned())
            .filter(|name| name != ".test.lock")
            .collect();
        left.extend(
            fs_err::read_dir(self.sandboxes())
                .unwrap()
                .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()),
        );
        left
    }
}

fn sandbox(world: &World) -> PathBuf {
    let dir = world.sandboxes().join(Uuid::new_v4().to_string());
    fs_err::create_dir(&dir).unwrap();
    fs_err::write(dir.join("file"), "").unwrap();
    dir
}

/// A kill: nothing is removed, and the system lets go of the lock.
fn kill(own: OwnRuns) {
    let mut own = std::mem::ManuallyDrop::new(own);
    own.lock = None;
}

#[test]
fn what_is_done_leaves_nothing_and_nobody_elses_goes() {
    let world = World::new();
    let mut own = world.own();
    let (slug, run) = own.begin("playtrace-test").unwrap();
    world.trace(&slug, &run, true);
    world.trace(&slug, &RunToken::untokened(), true);
    let theirs = (Slug::parse("theirs").unwrap(), RunToken::parse("r1").unwrap());
    world.trace(&theirs.0, &theirs.1, true);
    let dir = sandbox(&world);
    own.add_directory(dir);
    drop(own);
    let left = world.left();
    assert_eq!(left.len(), 2, "{left:?}");
    assert!(left.iter().any(|name| name.starts_with("theirs.coverage.")), "{left:?}");
}

#[test]
fn what_a_killed_one_left_goes_with_the_next() {
    let world = World::new();
    let mut killed = world.own();
    let (slug, run) = killed.begin("playtrace-test").unwrap();
    world.trace(&slug, &run, true);
    killed.add_directory(sandbox(&world));
    kill(killed);
    assert_eq!(world.left().len(), 3);
    drop(world.own());
    assert_eq!(world.left(), [""; 0]);
}

#[test]
fn a_sandbox_that_the_app_makes_once_more_goes_with_the_one_after() {
    let world = World::new();
    let mut own = world.own();
    let dir = sandbox(&world);
    own.add_directory(dir.clone());
    kill(own);
    drop(world.own());
    assert!(!dir.exists());
    fs_err::create_dir(&dir).unwrap();
    drop(world.own());
    assert!(!dir.exists());
    // Nobody made it again: it is not looked at any more.
    drop(world.own());
    let list = world.coverage().join(".playtrace/.test.lock");
    assert_eq!(fs_err::read_to_string(list).unwrap(), "");
}

#[test]
fn what_another_one_is_at_work_on_stays() {
    let world = World::new();
    let mut other = world.own();
    let (slug, run) = other.begin("playtrace-test").unwrap();
    world.trace(&slug, &run, true);
    other.add_directory(sandbox(&world));
    drop(world.own());
    assert_eq!(world.left().len(), 3, "{:?}", world.left());
    drop(other);
    assert_eq!(world.left(), [""; 0]);
}

#[test]
fn what_the_app_is_at_work_on_stays_until_it_is_over() {
    let world = World::new();
    let mut killed = world.own();
    let (slug, run) = killed.begin("playtrace-test").unwrap();
    world.trace(&slug, &run, false);
    killed.add_directory(sandbox(&world));
    kill(killed);
    drop(world.own());
    assert_eq!(world.left().len(), 3, "{:?}", world.left());
    world.end(&slug, &run);
    drop(world.own());
    assert_eq!(world.left(), [""; 0]);
}

#[test]
fn where_nothing_was_traced_yet_nothing_is_made() {
    let dir = tempfile::tempdir().unwrap();
    drop(OwnRuns::new(&KIND, dir.path(), None));
    assert_eq!(fs_err::read_dir(dir.path()).unwrap().count(), 0);
}

#[test]
fn a_list_that_somebody_wrote_into_removes_nothing_of_theirs() {
    let root = Path::new("/srv/runs");
    let uuid = "6f1c0f4e-0d3b-4a43-8d84-7c7f6a1a5b11";
    for (dir, own) in [
        (format!("/srv/runs/{uuid}"), true),
        (format!("/srv/runs/a/run-{uuid}"), true),
        ("/srv/runs".to_owned(), false),
        ("/srv/runs/mine".to_owned(), false),
        (format!("/srv/runs/../{uuid}"), false),
        (format!("/srv/{uuid}"), false),
        (uuid.to_owned(), false),
        (format!("/srv/runs/ü{}", &uuid[1..]), false),
    ] {
        assert_eq!(is_sandbox(Path::new(&dir), root), own, "{dir}");
    }
}
