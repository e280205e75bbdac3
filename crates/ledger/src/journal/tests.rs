//! How a ledger file appears, and what is left where it can't.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use super::*;
use crate::unflushed::opened_record;
use crate::{Entry, UnitKind, decode, encode};

fn open(dir: &Path) -> Result<Journal, LedgerError> {
    Journal::open_in(dir, Role::Web, "a test", Recording::default(), 7)
}

/// Where this process's file belongs.
fn place(dir: &Path) -> PathBuf {
    dir.join(Layout::file_name(&ProcessId::current()))
}

fn names(dir: &Path) -> Vec<PathBuf> {
    fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()).collect()
}

/// How many records a ledger has, each of which must be a boot record.
fn boots(path: &Path) -> usize {
    let (entries, damages) = decode(&fs::read(path).unwrap());
    assert!(damages.is_empty(), "{damages:?}");
    assert!(entries.iter().all(|entry| matches!(entry.record, Record::Boot { .. })), "{entries:?}");
    entries.len()
}

#[test]
fn a_new_file_has_its_boot_record_and_nothing_else_is_there() {
    let dir = tempfile::tempdir().unwrap();
    let journal = open(dir.path()).unwrap();
    assert_eq!(journal.path(), place(dir.path()));
    assert!(journal.is_current() && journal.is_whole());
    assert_eq!(names(dir.path()), [place(dir.path())]);
    assert_eq!(boots(journal.path()), 1);
}

#[test]
fn whoever_looks_never_finds_it_without_its_boot_record() {
    let root = tempfile::tempdir().unwrap();
    let dirs: Vec<PathBuf> = (0..200).map(|number| root.path().join(number.to_string())).collect();
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for path in dirs.iter().map(|dir| place(dir)) {
                while !path.exists() && !over.load(Ordering::Relaxed) {
                    std::hint::spin_loop();
                }
                assert_eq!(boots(&path), 1, "{}", path.display());
            }
        });
        let all = dirs.iter().all(|dir| open(dir).is_ok());
        over.store(true, Ordering::Relaxed);
        assert!(all);
    });
}

#[test]
fn a_second_opening_appends() {
    let dir = tempfile::tempdir().unwrap();
    let mut first = open(dir.path()).unwrap();
    first.append(8, Record::Left { unit: "1".to_owned() }).unwrap();
    drop(first);
    let second = open(dir.path()).unwrap();
    let (entries, _) = decode(&fs::read(second.path()).unwrap());
    let kinds: Vec<bool> = entries.iter().map(|entry| matches!(entry.record, Record::Boot { .. })).collect();
    assert_eq!(kinds, [true, false, true]);
    assert_eq!(names(dir.path()), [place(dir.path())]);
}

#[test]
fn a_file_that_is_gone_cut_off_or_moved_is_noticed() {
    let dir = tempfile::tempdir().unwrap();
    let journal = open(dir.path()).unwrap();
    assert!(journal.is_current());
    fs::rename(place(dir.path()), dir.path().join("moved")).unwrap();
    assert!(!journal.is_current() && journal.is_whole(), "moved");

    let journal = open(dir.path()).unwrap();
    fs::write(place(dir.path()), "").unwrap();
    assert!(!journal.is_current() && !journal.is_whole(), "cut off");

    let journal = open(dir.path()).unwrap();
    fs::remove_file(place(dir.path())).unwrap();
    assert!(!journal.is_current() && !journal.is_whole(), "gone");
}

#[test]
fn after_a_torn_record_the_next_one_begins_a_line() {
    let dir = tempfile::tempdir().unwrap();
    let mut first = open(dir.path()).unwrap();
    first.append(8, Record::Left { unit: "1".to_owned() }).unwrap();
    let whole = fs::read(place(dir.path())).unwrap();
    fs::write(place(dir.path()), &whole[..whole.len() - 4]).unwrap();
    let second = open(dir.path()).unwrap();
    assert!(second.is_current());
    let (entries, damages) = decode(&fs::read(second.path()).unwrap());
    assert_eq!((entries.len(), damages.len()), (2, 1), "{entries:?}");
    assert!(entries.iter().all(|entry| matches!(entry.record, Record::Boot { .. })));
}

#[test]
fn what_began_under_an_earlier_program_is_put_down_before_the_next_one() {
    let dir = tempfile::tempdir().unwrap();
    let opened = |unit: u32| {
        let (unit, kind) = (unit.to_string(), UnitKind::Request);
        Record::Open { unit, kind, step: None, job: None, child: None, what: String::new(), scope: None }
    };
    let mut first = open(dir.path()).unwrap();
    first.append(8, opened(1)).unwrap();
    let kept =
        [1, 2].map(|unit| opened_record(&encode(&Entry { at: 8, record: opened(unit) }).unwrap())).concat();
    let length = (kept.len() as u64).to_le_bytes();
    let map = [&unflushed::MAGIC[..], &length, &kept].concat();
    fs::write(place(dir.path()).with_extension(Layout::UNFLUSHED), map).unwrap();

    let second = Journal::open_in(dir.path(), Role::Web, "a test", Recording::default(), 9).unwrap();
    let (entries, _) = decode(&fs::read(second.path()).unwrap());
    let boots = entries.iter().filter(|entry| matches!(entry.record, Record::Boot { .. })).count();
    assert_eq!((boots, entries.len()), (2, 4));
    assert_eq!([&entries[1].record, &entries[2].record], [&opened(1), &opened(2)]);
    assert!(matches!(entries[3].record, Record::Boot { .. }));
    // Who reads it takes neither for the second program's.
    let mut read = Writer::from_bytes("", &fs::read(second.path()).unwrap());
    let contents = unflushed::read(&place(dir.path()).with_extension(Layout::UNFLUSHED)).unwrap();
    read.add_opened(contents.opened, true);
    assert_eq!(read.entries(), entries);
}

#[test]
fn a_boot_record_that_can_not_be_written_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    // Whatever is written there finds a full disk.
    std::os::unix::fs::symlink("/dev/full", place(dir.path()).with_extension("new")).unwrap();
    assert!(matches!(open(dir.path()), Err(LedgerError::Append { .. })));
    assert_eq!(names(dir.path()), Vec::<PathBuf>::new());
    // When there is room again, all is well.
    assert_eq!(boots(open(dir.path()).unwrap().path()), 1);
}

#[test]
fn a_directory_in_its_place_is_an_error_and_stays_alone() {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(place(dir.path())).unwrap();
    assert!(matches!(open(dir.path()), Err(LedgerError::Create { .. })));
    assert_eq!(names(dir.path()), [place(dir.path())]);
}

#[test]
fn a_file_in_the_place_of_its_directory_is_an_error() {
    let dir = tempfile::tempdir().unwrap();
    let taken = dir.path().join("taken");
    fs::write(&taken, "mine").unwrap();
    assert!(matches!(open(&taken), Err(LedgerError::Create { .. })));
    assert_eq!(fs::read(&taken).unwrap(), b"mine");
}
