//! The format of shards and merged files, held by a golden file, and read by coverage.py itself.

#![allow(clippy::unwrap_used, reason = "in tests, helpers included")]

#[path = "support/ask.rs"]
mod ask;

use std::fmt::Write as _;
use std::path::Path;

use ask::ask;
use playtrace_covdata::data::Ownership;
use playtrace_covdata::merge::{Fate, MergeOptions, merge, write_merged};
use playtrace_covdata::shard::{ShardDraft, ShardWriter, list_of};
use playtrace_model::{ContextLabel, LineBits, LineData, MeasuredPath, RunToken, Slug};
use rusqlite::Connection;
use rusqlite::types::Value as Cell;
use serde_json::json;
use tempfile::TempDir;

fn data(rows: &[(&str, &str, &[u32])]) -> LineData {
    let mut data = LineData::new();
    for (context, path, lines) in rows {
        data.add(&ContextLabel::new(*context), &MeasuredPath::new(*path), &lines.iter().copied().collect());
    }
    data
}

fn slug() -> Slug {
    Slug::parse("legacy-palouse").unwrap()
}

fn write_shard(dir: &Path, run: &str, pid: u32) -> ShardWriter {
    let run = RunToken::parse(run).unwrap();
    let mut shard = ShardWriter::create(
        &mut ShardDraft::new().unwrap(),
        dir,
        (&slug(), &run),
        ("web-1", pid),
        &LineData::new(),
    )
    .unwrap();
    shard
        .add(&data(&[("profile:legacy-palouse", "app/core.py", &[3, 4, 9]), ("import", "app/core.py", &[1])]))
        .unwrap();
    shard
        .add(&data(&[("profile:legacy-palouse", "app/größe.py", &[300]), ("import", "app/empty.py", &[])]))
        .unwrap();
    shard.add(&data(&[("profile:legacy-palouse", "app/core.py", &[10])])).unwrap();
    shard
}

/// Tables and rows as text, in the order in which the file has them.
fn dump(path: &Path) -> String {
    let db = Connection::open(path).unwrap();
    let mut text = String::new();
    for table in ["coverage_schema", "meta", "file", "context", "line_bits", "arc", "tracer"] {
        let mut query = db.prepare(&format!("SELECT * FROM {table} ORDER BY rowid")).unwrap();
        let names: Vec<String> = query.column_names().map(str::to_owned).collect();
        writeln!(text, "{table}({})", names.join(", ")).unwrap();
        let mut rows = query.query([]).unwrap();
        while let Some(row) = rows.next().unwrap() {
            let cells: Vec<String> = (0..names.len())
                .map(|index| match row.get(index).unwrap() {
                    Cell::Null => "NULL".to_owned(),
                    Cell::Integer(number) => number.to_string(),
                    Cell::Real(number) => number.to_string(),
                    Cell::Text(text) => format!("{text:?}"),
                    Cell::Blob(bytes) => LineBits::from_numbits(bytes).to_hex(),
                })
                .collect();
            writeln!(text, "  {}", cells.join(" | ")).unwrap();
        }
    }
    text.replace(concat!("playtrace ", env!("CARGO_PKG_VERSION")), "playtrace <version>")
}

#[test]
fn the_format_is_the_golden_one() {
    let dir = TempDir::new().unwrap();
    let shard = write_shard(dir.path(), "r1", 4711);
    let merged = dir.path().join("legacy-palouse.coverage");
    let inputs = [shard.path().to_owned()];
    let outcome = merge(&inputs, &MergeOptions::default()).unwrap();
    write_merged(&outcome, &merged, &outcome.ownership(), Fate::Keep).unwrap();
    let found = format!("# A shard\n{}\n# A merged file\n{}", dump(shard.path()), dump(&merged));
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/data_files.txt");
    let expected = fs_err::read_to_string(&golden).unwrap_or_default();
    assert_eq!(found, expected, "the format has changed: it is a contract (docs/adr); found:\n{found}");
}

#[test]
fn coverage_py_reads_and_combines_our_shards() {
    let dir = TempDir::new().unwrap();
    let shard = write_shard(dir.path(), "r1", 4711);
    let answer = ask("read", dir.path(), &json!([shard.path()]));
    let rows = json!([
        ["import", "app/core.py", [1]],
        ["profile:legacy-palouse", "app/core.py", [3, 4, 9, 10]],
        ["profile:legacy-palouse", "app/größe.py", [300]],
    ]);
    assert_eq!(answer[0]["rows"], rows);
    assert_eq!(answer[0]["files"], json!(["app/core.py", "app/empty.py", "app/größe.py"]));

    // As the customer's quick-start does it, while the process still has its shard open.
    let arguments = json!([
        "legacy-palouse.coverage.web-1.4711.".to_owned() + shard.file_name().rsplit('.').next().unwrap()
    ]);
    let ended = ask("combine", dir.path(), &json!([{"dir": ".", "arguments": arguments}]));
    assert_eq!(ended[0]["code"], 0, "{ended}");
    assert!(!shard.is_current(), "the shard is gone, and its writer notices");
    assert_eq!(ask("read", dir.path(), &json!([".coverage"]))[0]["rows"], rows);
}

#[test]
fn shards_are_found_by_profile_and_run() {
    let dir = TempDir::new().unwrap();
    let first = write_shard(dir.path(), "r1", 1);
    let second = write_shard(dir.path(), "r2", 2);
    let other = Slug::parse("legacy-palouse-2").unwrap();
    ShardWriter::create(
        &mut ShardDraft::new().unwrap(),
        dir.path(),
        (&other, &RunToken::parse("r1").unwrap()),
        ("web-1", 3),
        &LineData::new(),
    )
    .unwrap();
    let broken = dir.path().join("legacy-palouse.coverage.web-1.4.Xabcdefx");
    fs_err::write(&broken, "").unwrap();
    let found = list_of(dir.path(), &slug()).unwrap();
    let found: Vec<_> = found.iter().map(|shard| (&*shard.path, shard.run().map(RunToken::as_str))).collect();
    // A broken one can't say whose it is.
    assert_eq!(found, [(first.path(), Some("r1")), (second.path(), Some("r2")), (&*broken, None)]);
    assert_eq!(Ownership::read(first.path()).unwrap().slug, Some(slug()));
}
