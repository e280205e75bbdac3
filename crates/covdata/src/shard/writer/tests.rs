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
    let run = RunToken::parse("r1").unwrap();
    ShardWriter::create(
        &mut ShardDraft::new().unwrap(),
        dir.path(),
        (&slug, &run),
        ("web.example", 4711),
        &LineData::new(),
    )
    .unwrap()
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
fn begins_with_what_it_is_made_of() {
    let dir = TempDir::new().unwrap();
    let slug = Slug::parse("legacy-palouse").unwrap();
    let (run, first) =
        (RunToken::parse("r1").unwrap(), data(&[("profile:a", "x.py", &[1, 2]), ("import", "y.py", &[3])]));
    let mut shard =
        ShardWriter::create(&mut ShardDraft::new().unwrap(), dir.path(), (&slug, &run), ("h", 1), &first)
            .unwrap();
    let begun = [
        ("import".to_owned(), "y.py".to_owned(), vec![3]),
        ("profile:a".to_owned(), "x.py".to_owned(), vec![1, 2]),
    ];
    assert_eq!(stored(shard.path()), begun);
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1, "nothing lies beside it");
    shard.add(&data(&[("profile:a", "x.py", &[2, 4]), ("profile:a", "y.py", &[5])])).unwrap();
    let [import, _] = begun;
    let more = |path: &str, lines: &[u32]| ("profile:a".to_owned(), path.to_owned(), lines.to_vec());
    assert_eq!(stored(shard.path()), [import, more("x.py", &[1, 2, 4]), more("y.py", &[5])]);
}

#[test]
fn a_draft_keeps_nothing_of_the_shards_that_were_made_of_it() {
    let dir = TempDir::new().unwrap();
    let mut draft = ShardDraft::new().unwrap();
    let mut make = |slug: &str, data: &LineData| {
        let (slug, run) = (Slug::parse(slug).unwrap(), RunToken::untokened());
        ShardWriter::create(&mut draft, dir.path(), (&slug, &run), ("h", 1), data).unwrap()
    };
    let much: Vec<u32> = (1..50_000).collect();
    let first = make("first", &data(&[("profile:first", "secret.py", &much)]));
    let second = make("second", &data(&[("profile:second", "x.py", &[1])]));
    assert_eq!(stored(first.path()), [("profile:first".to_owned(), "secret.py".to_owned(), much)]);
    assert_eq!(stored(second.path()), [("profile:second".to_owned(), "x.py".to_owned(), vec![1])]);
    let bytes = fs_err::read(second.path()).unwrap();
    assert!(!bytes.windows(6).any(|window| window == b"secret"));
    for shard in [first, second] {
        let db = Connection::open(shard.path()).unwrap();
        let check: String = db.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
        assert_eq!(check, "ok");
    }
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
    let fault = ShardWriter::create(
        &mut ShardDraft::new().unwrap(),
        Path::new("/nowhere/at/all"),
        (&slug, &RunToken::untokened()),
        ("h", 1),
        &LineData::new(),
    )
    .unwrap_err()
    .to_string();
    assert!(fault.contains("/nowhere/at/all"), "{fault}");
}

#[test]
fn a_leaked_shard_keeps_its_file_open() {
    let dir = TempDir::new().unwrap();
    let mut shard = shard(&dir);
    shard.add(&data(&[("c", "x.py", &[1])])).unwrap();
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
