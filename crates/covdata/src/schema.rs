//! The tables of a coverage.py data file, schema 7.

use std::sync::LazyLock;

use rusqlite::Connection;

/// The schema's number in the `coverage_schema` table, the same in coverage.py 7.0 to 7.17.
pub(crate) const SCHEMA_VERSION: i64 = 7;

/// What our files say in `meta` under `version`, where coverage.py's files have coverage.py's version.
pub(crate) const WRITER_VERSION: &str = concat!("playtrace ", env!("CARGO_PKG_VERSION"));

/// The `meta` key under which a shard names its profile.
pub(crate) const META_SLUG: &str = "playtrace_slug";

/// The `meta` key under which a shard names its run.
pub(crate) const META_RUN: &str = "playtrace_run";

/// The tables, in the order in which they are made.
pub(crate) const TABLE_NAMES: [&str; 7] =
    ["coverage_schema", "meta", "file", "context", "line_bits", "arc", "tracer"];

/// The statements that make them.
pub(crate) const TABLES: [&str; TABLE_NAMES.len()] = [
    "CREATE TABLE coverage_schema (version integer)",
    "CREATE TABLE meta (key text, value text, unique (key))",
    "CREATE TABLE file (id integer primary key, path text, unique (path))",
    "CREATE TABLE context (id integer primary key, context text, unique (context))",
    "CREATE TABLE line_bits (
    file_id integer,
    context_id integer,
    numbits blob,
    foreign key (file_id) references file (id),
    foreign key (context_id) references context (id),
    unique (file_id, context_id)
)",
    "CREATE TABLE arc (
    file_id integer,
    context_id integer,
    fromno integer,
    tono integer,
    foreign key (file_id) references file (id),
    foreign key (context_id) references context (id),
    unique (file_id, context_id, fromno, tono)
)",
    "CREATE TABLE tracer (
    file_id integer primary key,
    tracer text,
    foreign key (file_id) references file (id)
)",
];

static KNOWN: LazyLock<Vec<String>> = LazyLock::new(|| TABLES.iter().map(|sql| bare(sql)).collect());

/// Whether a statement makes the table of that number as coverage.py and we make it, whatever its blanks and comments.
pub(crate) fn is_known(table: usize, sql: &str) -> bool {
    KNOWN[table] == bare(sql)
}

/// A statement without comments and needless blanks.
fn bare(sql: &str) -> String {
    let mut words = String::with_capacity(sql.len());
    for line in sql.lines() {
        for c in line.split("--").next().unwrap_or_default().chars().chain([' ']) {
            let needless = words.is_empty() || words.ends_with([' ', '(', ')', ',']);
            match c {
                '(' | ')' | ',' => {
                    words.truncate(words.trim_end().len());
                    words.push(c);
                }
                _ if c.is_whitespace() && needless => {}
                _ if c.is_whitespace() => words.push(' '),
                _ => words.push(c),
            }
        }
    }
    words.truncate(words.trim_end().len());
    words
}

/// Makes the tables in an empty database and fills in `meta`.
pub(crate) fn create(db: &Connection, meta: &[(&str, &str)]) -> rusqlite::Result<()> {
    for table in TABLES {
        db.execute_batch(table)?;
    }
    db.execute("INSERT INTO coverage_schema (version) VALUES (?1)", [SCHEMA_VERSION])?;
    add_meta(db, meta)
}

/// Adds rows to `meta`.
pub(crate) fn add_meta(db: &Connection, meta: &[(&str, &str)]) -> rusqlite::Result<()> {
    let mut insert = db.prepare_cached("INSERT INTO meta (key, value) VALUES (?1, ?2)")?;
    for (key, value) in meta {
        insert.execute([key, value])?;
    }
    Ok(())
}

/// The bytes of a database, as a file on disk would hold them.
pub(crate) fn image(db: &mut Connection) -> rusqlite::Result<Vec<u8>> {
    Ok(db.serialize("main")?.to_vec())
}
