//! Data files of any shape, written by statements: what our own writer would refuse to write.

use std::path::Path;

use rusqlite::Connection;

/// The tables of schema 7, as coverage.py documents them.
pub const SCHEMA_7: &str = "
CREATE TABLE coverage_schema (version integer);
CREATE TABLE meta (key text, value text, unique (key));
CREATE TABLE file (id integer primary key, path text, unique (path));
CREATE TABLE context (id integer primary key, context text, unique (context));
CREATE TABLE line_bits (file_id integer, context_id integer, numbits blob, unique (file_id, context_id));
CREATE TABLE arc (file_id integer, context_id integer, fromno integer, tono integer,
    unique (file_id, context_id, fromno, tono));
CREATE TABLE tracer (file_id integer primary key, tracer text);
INSERT INTO coverage_schema (version) VALUES (7);
";

/// Makes a database at `path` with these statements.
pub fn sqlite(path: &Path, statements: &str) {
    let db = Connection::open(path).expect("a database can be made in a temporary directory");
    db.execute_batch(statements).unwrap_or_else(|error| panic!("{statements}: {error}"));
}

/// Makes a data file with lines 1 and 2 of `app.py` in the empty context, and more `statements`.
pub fn lines(path: &Path, statements: &str) {
    sqlite(
        path,
        &format!(
            "{SCHEMA_7}
            INSERT INTO meta VALUES ('version', '7.11.3'), ('has_arcs', '0');
            INSERT INTO file VALUES (1, 'app.py');
            INSERT INTO context VALUES (1, '');
            INSERT INTO line_bits VALUES (1, 1, x'06');
            {statements}"
        ),
    );
}

/// Makes a data file with the arcs entry-1-2-exit of `app.py` in the empty context, and more `statements`.
pub fn arcs(path: &Path, statements: &str) {
    sqlite(
        path,
        &format!(
            "{SCHEMA_7}
            INSERT INTO meta VALUES ('version', '7.11.3'), ('has_arcs', '1');
            INSERT INTO file VALUES (1, 'app.py');
            INSERT INTO context VALUES (1, '');
            INSERT INTO arc VALUES (1, 1, -1, 1), (1, 1, 1, 2), (1, 1, 2, -1);
            {statements}"
        ),
    );
}
