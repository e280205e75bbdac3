//! Where a report goes.

use std::io::{BufWriter, ErrorKind, Write as _};
use std::path::{Path, PathBuf};

use playtrace_analysis::CoverageReport;
use playtrace_report::coverage::Origin;
use playtrace_report::coverage::html::{HtmlOptions, pages as render};

use super::settings::Settings;
use crate::documents::{say, unwritable};
use crate::exit::Exit;
use crate::messages::Failure;
use crate::whole_file::StagedFile;

/// What tells our pages from anything else that may lie in a directory.
const MARK: &str = "<meta name=\"generator\" content=\"playtrace export\">";

/// A file that gets its name when it is whole, or standard output.
pub(super) enum Output {
    File { staged: StagedFile, path: PathBuf, buffer: Vec<u8> },
    Stdout { out: BufWriter<std::io::Stdout>, closed: bool },
}

/// How many bytes are collected before they are written; larger pieces go out as they are.
const BUFFER: usize = 128 << 10;

impl Output {
    /// Opens it; directories are made where they lack.
    pub(super) fn open(path: Option<&Path>) -> Result<Self, Failure> {
        let Some(path) = path else {
            return Ok(Self::Stdout { out: BufWriter::new(std::io::stdout()), closed: false });
        };
        if let Some(parent) = path.parent() {
            fs_err::create_dir_all(parent).map_err(|error| unwritable(&error))?;
        }
        let staged = StagedFile::begin(path).map_err(|error| unwritable(&error))?;
        Ok(Self::File { staged, path: path.to_owned(), buffer: Vec::new() })
    }

    /// Writes a piece. A closed pipe (`| head`) is no error.
    pub(super) fn write(&mut self, piece: &[u8]) -> Result<(), Failure> {
        match self {
            Self::File { staged, buffer, .. } => {
                if buffer.len() + piece.len() > BUFFER {
                    staged.writer().write_all(buffer).map_err(|error| unwritable(&error))?;
                    buffer.clear();
                }
                if piece.len() > BUFFER {
                    staged.writer().write_all(piece).map_err(|error| unwritable(&error))?;
                } else {
                    buffer.extend(piece);
                }
                Ok(())
            }
            Self::Stdout { closed: true, .. } => Ok(()),
            Self::Stdout { out, closed } => match out.write_all(piece) {
                Err(error) if error.kind() == ErrorKind::BrokenPipe => {
                    *closed = true;
                    Ok(())
                }
                other => other.map_err(|error| unwritable(&error)),
            },
        }
    }

    /// Gives the file its name, and says it.
    pub(super) fn finish(self, quiet: bool) -> Result<(), Failure> {
        match self {
            Self::File { mut staged, path, buffer } => {
                staged.writer().write_all(&buffer).map_err(|error| unwritable(&error))?;
                staged.place().map_err(|error| unwritable(&error))?;
                if quiet { Ok(()) } else { say(&format!("{}\n", path.display())) }
            }
            Self::Stdout { mut out, closed } => match out.flush() {
                Err(error) if closed || error.kind() == ErrorKind::BrokenPipe => Ok(()),
                other => other.map_err(|error| unwritable(&error)),
            },
        }
    }
}

/// Writes the pages beside their place and moves them there: a reader sees the old report or the new one.
pub(super) fn pages(
    report: &CoverageReport<'_>,
    options: &HtmlOptions,
    origin: &Origin,
    settings: &Settings,
) -> Result<(), Failure> {
    let Some(place) = settings.output.as_deref() else {
        return Err(Failure::new(
            Exit::Usage,
            "PT-EXPORT-007",
            "pages need a directory, not standard output",
        ));
    };
    let is_there = may_be_replaced(place)?;
    let parent = place.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    fs_err::create_dir_all(parent).map_err(|error| unwritable(&error))?;
    let fresh = tempfile::Builder::new()
        .prefix(".playtrace-")
        .permissions(std::os::unix::fs::PermissionsExt::from_mode(0o775))
        .tempdir_in(parent)
        .map_err(|error| unwritable(&error))?;
    let write = |name: &str, text: &str| {
        let path = fresh.path().join(name);
        let written = match std::fs::write(&path, text) {
            Err(error) if error.kind() == ErrorKind::NotFound => {
                path.parent().map_or(Ok(()), fs_err::create_dir_all).and_then(|()| fs_err::write(&path, text))
            }
            other => other,
        };
        written.map_err(|error| unwritable(&error))
    };
    // Pages are made again at any time: they are nothing to be committed.
    write(".gitignore", "*\n")?;
    render::<Failure>(report, options, origin, &|page| write(&page.path, &page.html))?;
    if is_there {
        fs_err::remove_dir_all(place).map_err(|error| unwritable(&error))?;
    }
    fs_err::rename(fresh.keep(), place).map_err(|error| unwritable(&error))?;
    if settings.quiet { Ok(()) } else { say(&format!("{}\n", place.join("index.html").display())) }
}

/// Whether something is at `place` that goes: an empty directory, or an earlier report of ours. Anything else stays.
fn may_be_replaced(place: &Path) -> Result<bool, Failure> {
    let mut entries = match std::fs::read_dir(place) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(false),
        Err(error) => {
            let named = std::io::Error::new(error.kind(), format!("{}: {error}", place.display()));
            return Err(unwritable(&named));
        }
    };
    let is_ours =
        || std::fs::read_to_string(place.join("index.html")).is_ok_and(|index| index.contains(MARK));
    if entries.next().is_none() || is_ours() {
        return Ok(true);
    }
    let message = format!("{} holds something else than pages of `playtrace export`", place.display());
    Err(Failure::new(Exit::BadInput, "PT-EXPORT-007", message)
        .help("give another --output, or remove that directory"))
}
