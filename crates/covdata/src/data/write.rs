//! Memory into data files.

use std::collections::BTreeMap;
use std::fs::{File, Permissions};
use std::io::BufWriter;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, fchown};
use std::path::{Path, PathBuf};

use playtrace_model::{ContextLabel, MeasuredPath};

use super::build::{Frame, RowSink, build};
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
        let files: BTreeMap<&MeasuredPath, u32> = self.files.iter().zip(1..).collect();
        let contexts: BTreeMap<&ContextLabel, u32> = self.contexts.iter().zip(1..).collect();
        let numbers = |context, path| Some((*files.get(path)?, *contexts.get(context)?));
        let has_arcs = match self.measured {
            Measured::Nothing => None,
            Measured::Lines(_) => Some(false),
            Measured::Arcs(_) => Some(true),
        };
        let frame = Frame {
            meta: owner.meta(has_arcs),
            files: self.files.iter().map(MeasuredPath::as_str).collect(),
            contexts: self.contexts.iter().map(ContextLabel::as_str).collect(),
            tracers: self
                .tracers
                .iter()
                .filter_map(|(path, tracer)| Some((*files.get(path)?, tracer.as_str())))
                .collect(),
        };
        stage_file(path, &frame, |sink| match &self.measured {
            Measured::Nothing => Ok(()),
            Measured::Lines(data) => {
                // A file in which nothing ran is said by its own row.
                let rows = data.iter().filter(|(.., lines)| !lines.is_empty());
                let mut rows: Vec<_> = rows
                    .filter_map(|(context, path, lines)| Some((numbers(context, path)?, lines)))
                    .collect();
                rows.sort_unstable_by_key(|(numbers, _)| *numbers);
                rows.into_iter()
                    .try_for_each(|((file, context), lines)| sink.lines(file, context, lines.as_numbits()))
            }
            Measured::Arcs(data) => {
                let mut rows: Vec<_> = data
                    .iter()
                    .filter_map(|(context, path, arcs)| Some((numbers(context, path)?, arcs)))
                    .collect();
                rows.sort_unstable_by_key(|(numbers, _)| *numbers);
                rows.into_iter().try_for_each(|((file, context), arcs)| {
                    arcs.iter().try_for_each(|arc| sink.arc(file, context, *arc))
                })
            }
        })
    }
}

impl Ownership {
    /// The rows of `meta`.
    pub(crate) fn meta(&self, has_arcs: Option<bool>) -> Vec<(&str, &str)> {
        let mut meta = vec![("version", schema::WRITER_VERSION)];
        meta.extend(has_arcs.map(|has_arcs| ("has_arcs", if has_arcs { "1" } else { "0" })));
        meta.extend(self.slug.as_ref().map(|slug| (schema::META_SLUG, slug.as_str())));
        meta.extend(self.run.as_ref().map(|run| (schema::META_RUN, run.as_str())));
        meta
    }
}

/// Writes a data file beside `path`; see [`build`] for `rows`.
pub(crate) fn stage_file(
    path: &Path,
    frame: &Frame<'_>,
    rows: impl FnOnce(&mut RowSink<BufWriter<&File>>) -> std::io::Result<()>,
) -> Result<Staged, CovdataError> {
    let write = || {
        let dir = directory(path);
        let group = fs_err::metadata(dir)?.gid();
        // A name that no pattern for shards matches.
        let file = tempfile::Builder::new().prefix(".playtrace-").tempfile_in(dir)?;
        build(file.as_file(), frame, rows)?;
        share(file.as_file(), group)?;
        file.as_file().sync_all()?;
        Ok(file)
    };
    let file =
        write().map_err(|source| CovdataError::Io { action: "write", path: path.to_owned(), source })?;
    Ok(Staged { file, path: path.to_owned() })
}

/// A data file that is written and has not got its name yet; dropped, it leaves nothing.
#[derive(Debug)]
pub struct Staged {
    file: tempfile::NamedTempFile,
    path: PathBuf,
}

impl Staged {
    /// What `read` makes of the bytes that the file is going to have.
    pub fn read_with<T>(&self, read: impl FnOnce(File) -> std::io::Result<T>) -> Result<T, CovdataError> {
        let fault = |source| CovdataError::Io { action: "read", path: self.path.clone(), source };
        File::open(self.file.path()).and_then(read).map_err(fault)
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
