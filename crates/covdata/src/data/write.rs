//! Memory into data files.

use std::fs::{File, Permissions};
use std::io::Write as _;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, fchown};
use std::path::{Path, PathBuf};

use rusqlite::{Connection, params};

use super::{CoverageData, Measured, Ownership};
use crate::{CovdataError, schema};

/// Web process, workers and whoever merges may run as different users of one group.
const MODE: u32 = 0o664;

/// Lets the group of a shared directory read and write a file: mode 0664 whatever the umask, and the
/// directory's group where the system lets us.
pub fn share(file: &File, group: u32) -> std::io::Result<()> {
    if file.metadata()?.gid() != group {
        // Who is not in that group can't give a file to it; the file is readable all the same.
        let _ = fchown(file, None, Some(group));
    }
    file.set_permissions(Permissions::from_mode(MODE))
}

impl CoverageData {
    /// Writes a data file that coverage.py 7.0 and later read, in place of what is at `path`.
    ///
    /// It is written beside, made safe on disk, and renamed: at every moment there is the old file or the
    /// whole new one. Equal data gives equal bytes.
    pub fn write(&self, path: &Path, owner: &Ownership) -> Result<(), CovdataError> {
        self.stage(path, owner)?.place()
    }

    /// The first half of [`CoverageData::write`]: the whole file is safe on disk, and `path` is as it was. What has to appear
    /// together with other files is staged with them: after that no disk can be too full for it.
    pub fn stage(&self, path: &Path, owner: &Ownership) -> Result<Staged, CovdataError> {
        let image = self.image(owner).map_err(|source| CovdataError::Sqlite {
            action: "build",
            path: path.to_owned(),
            source,
        })?;
        let file = stage(path, &image).map_err(|source| CovdataError::Io {
            action: "write",
            path: path.to_owned(),
            source,
        })?;
        Ok(Staged { file, path: path.to_owned() })
    }

    fn image(&self, owner: &Ownership) -> rusqlite::Result<Vec<u8>> {
        let mut db = Connection::open_in_memory()?;
        let mut meta = vec![("version", schema::WRITER_VERSION)];
        match self.measured {
            Measured::Nothing => {}
            Measured::Lines(_) => meta.push(("has_arcs", "0")),
            Measured::Arcs(_) => meta.push(("has_arcs", "1")),
        }
        meta.extend(owner.slug.as_ref().map(|slug| (schema::META_SLUG, slug.as_str())));
        meta.extend(owner.run.as_ref().map(|run| (schema::META_RUN, run.as_str())));
        schema::create(&db, &meta)?;
        let transaction = db.transaction()?;
        self.insert(&transaction)?;
        transaction.commit()?;
        schema::image(&mut db)
    }

    fn insert(&self, db: &Connection) -> rusqlite::Result<()> {
        use std::collections::BTreeMap;
        let mut insert = db.prepare("INSERT INTO file (id, path) VALUES (?1, ?2)")?;
        let mut files = BTreeMap::new();
        for (path, id) in self.files.iter().zip(1i64..) {
            insert.execute(params![id, path.as_str()])?;
            files.insert(path, id);
        }
        let mut insert = db.prepare("INSERT INTO context (id, context) VALUES (?1, ?2)")?;
        let mut contexts = BTreeMap::new();
        for (context, id) in self.contexts.iter().zip(1i64..) {
            insert.execute(params![id, context.as_str()])?;
            contexts.insert(context, id);
        }
        match &self.measured {
            Measured::Nothing => {}
            Measured::Lines(data) => {
                let mut insert =
                    db.prepare("INSERT INTO line_bits (file_id, context_id, numbits) VALUES (?1, ?2, ?3)")?;
                for (context, path, lines) in data.iter() {
                    // A file in which nothing ran is said by its own row.
                    if let (Some(file), Some(context), false) =
                        (files.get(path), contexts.get(context), lines.is_empty())
                    {
                        insert.execute(params![file, context, lines.as_numbits()])?;
                    }
                }
            }
            Measured::Arcs(data) => {
                let mut insert = db
                    .prepare("INSERT INTO arc (file_id, context_id, fromno, tono) VALUES (?1, ?2, ?3, ?4)")?;
                for (context, path, arcs) in data.iter() {
                    for (from, to) in arcs {
                        insert.execute(params![files.get(path), contexts.get(context), from, to])?;
                    }
                }
            }
        }
        let mut insert = db.prepare("INSERT INTO tracer (file_id, tracer) VALUES (?1, ?2)")?;
        for (path, tracer) in &self.tracers {
            insert.execute(params![files.get(path), tracer])?;
        }
        Ok(())
    }
}

/// A data file that is written and has not got its name yet; dropped, it leaves nothing.
#[derive(Debug)]
pub struct Staged {
    file: tempfile::NamedTempFile,
    path: PathBuf,
}

impl Staged {
    /// The bytes that the file is going to have.
    pub fn bytes(&self) -> Result<Vec<u8>, CovdataError> {
        let fault = |source| CovdataError::Io { action: "read", path: self.path.clone(), source };
        std::fs::read(self.file.path()).map_err(fault)
    }

    /// Gives it its name, in place of what is there.
    pub fn place(self) -> Result<(), CovdataError> {
        let Self { file, path } = self;
        let fault = |source| CovdataError::Io { action: "write", path: path.clone(), source };
        file.persist(&path).map_err(|error| fault(error.error))?;
        // The rename itself is on disk only when its directory is.
        File::open(directory(&path)).and_then(|dir| dir.sync_all()).map_err(fault)
    }
}

fn directory(path: &Path) -> &Path {
    path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

fn stage(path: &Path, image: &[u8]) -> std::io::Result<tempfile::NamedTempFile> {
    let dir = directory(path);
    let group = fs_err::metadata(dir)?.gid();
    // A name that no pattern for shards matches.
    let mut file = tempfile::Builder::new().prefix(".playtrace-").tempfile_in(dir)?;
    file.write_all(image)?;
    share(file.as_file(), group)?;
    file.as_file().sync_all()?;
    Ok(file)
}
