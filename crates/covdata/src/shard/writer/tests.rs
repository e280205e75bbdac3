use tempfile::TempDir;

use super::*;

fn data(rows: &[(&str, &str, &[u32])]) -> LineData {
    let mut data = LineData::new();
    for (context, path, lines) in rows {
        data.add(&ContextLabel::new(*context), &MeasuredPath::new(*path), &lines.iter().copied().collect());
    }
    data
}

fn shard(dir: &TempDir) -> ShardWriter {
    let slug = Slug::parse("legacy-palouse").unwrap();
    ShardWriter::create(dir.path(), &slug, &RunToken::parse("r1").unwrap(), "web.example", 4711).unwrap()
}

fn stored(path: &Path) -> Vec<(String, String, Vec<u32>)> {
    let db = Connection::open(path).unwrap();
    let mut query = db
        .prepare(
            "SELECT context, path, numbits FROM line_bits
             JOIN file ON file.id = file_id JOIN context ON context.id = context_id ORDER BY 1, 2",
        )
        .unwrap();
    query
        .query_map([], |row| {
            let lines = LineBits::from_numbits(row.get(2)?);
            Ok((row.get(0)?, row.get(1)?, lines.iter().collect()))
        })
        .unwrap()
        .collect::<Result<_, _>>()
        .unwrap()
}

#[test]
fn adds_to_what_is_there() {
    let dir = TempDir::new().unwrap();
    let mut shard = shard(&dir);
    shard.add(&data(&[("profile:a", "app/x.py", &[1, 2]), ("import", "app/x.py", &[1])])).unwrap();
    shard.add(&data(&[("profile:a", "app/x.py", &[2, 300]), ("profile:a", "app/y.py", &[])])).unwrap();
    assert_eq!(
        stored(shard.path()),
        [
            ("import".to_owned(), "app/x.py".to_owned(), vec![1]),
            ("profile:a".to_owned(), "app/x.py".to_owned(), vec![1, 2, 300]),
        ]
    );
    let db = Connection::open(shard.path()).unwrap();
    let files: i64 = db.query_row("SELECT count(*) FROM file", [], |row| row.get(0)).unwrap();
    assert_eq!(files, 2, "a file with nothing executed is measured all the same");
}

#[test]
fn says_whose_it_is() {
    let dir = TempDir::new().unwrap();
    let shard = shard(&dir);
    assert_eq!(ShardName::parse(shard.file_name()).unwrap().pid, 4711);
    let db = Connection::open(shard.path()).unwrap();
    let meta = |key: &str| -> String {
        db.query_row("SELECT value FROM meta WHERE key = ?1", [key], |row| row.get(0)).unwrap()
    };
    assert_eq!([meta("playtrace_slug"), meta("playtrace_run")], ["legacy-palouse", "r1"]);
    assert_eq!(meta("has_arcs"), "0");
}

#[test]
fn is_shared_with_the_group() {
    let dir = TempDir::new().unwrap();
    let meta = fs_err::metadata(shard(&dir).path()).unwrap();
    assert_eq!(meta.mode() & 0o7777, 0o664);
    assert_eq!(meta.gid(), fs_err::metadata(dir.path()).unwrap().gid());
    let names: Vec<_> = fs_err::read_dir(dir.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(names.len(), 1, "something was left beside it: {names:?}");
}

#[test]
fn a_removed_shard_is_not_written_on() {
    let dir = TempDir::new().unwrap();
    let mut shard = shard(&dir);
    shard.add(&data(&[("c", "x.py", &[1])])).unwrap();
    assert!(shard.is_current());
    fs_err::remove_file(shard.path()).unwrap();
    assert!(!shard.is_current());
    assert!(matches!(shard.add(&data(&[("c", "x.py", &[2])])), Err(CovdataError::ShardMoved { .. })));
    assert_eq!(fs_err::read_dir(dir.path()).unwrap().count(), 0, "nothing comes back by itself");
}

#[test]
fn a_replaced_shard_is_not_written_on() {
    let dir = TempDir::new().unwrap();
    let mut shard = shard(&dir);
    let copy = dir.path().join("copy");
    fs_err::copy(shard.path(), &copy).unwrap();
    fs_err::rename(&copy, shard.path()).unwrap();
    assert!(matches!(shard.add(&data(&[("c", "x.py", &[2])])), Err(CovdataError::ShardMoved { .. })));
    assert!(stored(shard.path()).is_empty());
}

#[test]
fn a_failed_write_leaves_ids_in_order() {
    let dir = TempDir::new().unwrap();
    let mut shard = shard(&dir);
    shard.db.busy_timeout(Duration::ZERO).unwrap();
    let other = Connection::open(shard.path()).unwrap();
    other.execute_batch("BEGIN; SELECT * FROM file").unwrap();
    // A reader: the transaction is built and can't be committed.
    let refused = shard.add(&data(&[("c", "x.py", &[1])]));
    assert!(matches!(refused, Err(CovdataError::Locked { .. })), "{refused:?}");
    other.execute_batch("ROLLBACK").unwrap();
    shard.add(&data(&[("d", "y.py", &[2]), ("c", "x.py", &[1])])).unwrap();
    assert_eq!(
        stored(shard.path()),
        [("c".to_owned(), "x.py".to_owned(), vec![1]), ("d".to_owned(), "y.py".to_owned(), vec![2])]
    );
}

#[test]
fn a_missing_directory_is_named() {
    let slug = Slug::parse("a").unwrap();
    let fault = ShardWriter::create(Path::new("/nowhere/at/all"), &slug, &RunToken::untokened(), "h", 1)
        .unwrap_err()
        .to_string();
    assert!(fault.contains("/nowhere/at/all"), "{fault}");
}

#[test]
fn a_leaked_shard_keeps_its_file_open() {
    let dir = TempDir::new().unwrap();
    let shard = shard(&dir);
    let path = shard.path().to_owned();
    shard.leak();
    let open = fs_err::read_dir("/proc/self/fd")
        .unwrap()
        .filter_map(|entry| fs_err::read_link(entry.ok()?.path()).ok())
        .any(|target| target == path);
    assert!(open);
}

#[test]
fn sqlites_own_check_is_content() {
    let dir = TempDir::new().unwrap();
    let mut shard = shard(&dir);
    for line in 1..200 {
        shard.add(&data(&[("c", &format!("f{}.py", line % 7), &[line])])).unwrap();
    }
    let db = Connection::open(shard.path()).unwrap();
    let verdict: String = db.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
    assert_eq!(verdict, "ok");
}
