//! Whether a data file has what others have.

use std::io;
use std::path::Path;

use playtrace_model::LineBits;
use rusqlite::{Connection, OpenFlags, OptionalExtension as _};

use super::Union;

/// Whether the data file at `path` has every line of `other`, each under its context; false where that can't be told, and
/// for branches. Each row is looked up, so that no more of the file is read than that.
pub fn holds_all(path: &Path, other: &Union) -> bool {
    other.has_arcs != Some(true) && looked_up(path, other).unwrap_or(false)
}

fn looked_up(path: &Path, other: &Union) -> io::Result<bool> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let db = Connection::open_with_flags(path, flags).map_err(io::Error::other)?;
    let mut query = db
        .prepare(
            "SELECT numbits FROM line_bits WHERE file_id = (SELECT id FROM file WHERE path = ?1)
             AND context_id = (SELECT id FROM context WHERE context = ?2)",
        )
        .map_err(io::Error::other)?;
    let mut all = true;
    other.each_line(|file, context, numbits| {
        if all {
            let (file, context) = other.names(file, context);
            let known = query.query_row((file.as_str(), context.as_str()), |row| row.get(0)).optional();
            let known = LineBits::from_numbits(known.map_err(io::Error::other)?.unwrap_or_default());
            all = LineBits::from_numbits(numbits.to_vec()).is_subset(&known);
        }
        Ok(())
    })?;
    Ok(all)
}

#[cfg(test)]
mod tests {
    use playtrace_model::{ContextLabel, LineData, MeasuredPath};
    use proptest::prelude::*;
    use tempfile::TempDir;

    use super::*;
    use crate::CoverageData;
    use crate::data::Ownership;
    use crate::merge::{MergeOptions, merge_files};

    type Rows = Vec<(u8, u8, Vec<u32>)>;

    fn rows() -> impl Strategy<Value = Rows> {
        proptest::collection::vec((0u8..3, 0u8..3, proptest::collection::vec(1u32..12, 0..4)), 0..6)
    }

    fn data(rows: &Rows) -> LineData {
        let mut data = LineData::new();
        for (context, file, lines) in rows {
            let (context, file) = (format!("c{context}"), format!("f{file}.py"));
            let lines = lines.iter().copied().collect();
            data.add(&ContextLabel::new(context), &MeasuredPath::new(file), &lines);
        }
        data
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 100, failure_persistence: None, ..Default::default() })]

        #[test]
        fn a_file_holds_what_a_difference_leaves_nothing_of(mine in rows(), others in rows(), both: bool) {
            let dir = TempDir::new().unwrap();
            let (path, other) = (dir.path().join("mine"), dir.path().join("other"));
            let (mut mine, others) = (data(&mine), data(&others));
            if both {
                mine.union_with(&others);
            }
            CoverageData::from_lines(mine.clone()).write(&path, &Ownership::default()).unwrap();
            CoverageData::from_lines(others.clone()).write(&other, &Ownership::default()).unwrap();
            let union = merge_files(&[other], &MergeOptions::default(), &|| ()).unwrap().data;
            prop_assert_eq!(holds_all(&path, &union), others.difference(&mine).is_empty());
        }
    }

    #[test]
    fn what_is_not_there_holds_nothing() {
        assert!(!holds_all(Path::new("/nowhere/at/all"), &Union::default()));
    }
}
