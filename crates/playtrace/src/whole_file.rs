//! Writing a file whole or not at all.

use std::io::Write as _;
use std::path::{Path, PathBuf};

/// Writes pieces, one after the other, to a temporary file in the same directory and renames it: a reader sees the old content
/// or the new one.
pub fn write_pieces<P: AsRef<[u8]>>(path: &Path, pieces: &[P]) -> std::io::Result<()> {
    stage_pieces(path, pieces)?.place()
}

/// A file that is written and has not got its name yet; dropped, it leaves nothing.
#[derive(Debug)]
pub struct StagedFile {
    file: tempfile::NamedTempFile,
    path: PathBuf,
}

/// The first half of that, for files that have to appear together: when all are staged, no disk is too full for one.
pub fn stage_whole(path: &Path, bytes: &[u8]) -> std::io::Result<StagedFile> {
    stage_pieces(path, &[bytes])
}

fn stage_pieces<P: AsRef<[u8]>>(path: &Path, pieces: &[P]) -> std::io::Result<StagedFile> {
    let mut staged = StagedFile::begin(path)?;
    let can_not = |error: std::io::Error| {
        std::io::Error::new(error.kind(), format!("can't write in {}: {error}", folder(path).display()))
    };
    let mut writer = std::io::BufWriter::with_capacity(BUFFER, staged.file.as_file_mut());
    pieces
        .iter()
        .try_for_each(|piece| writer.write_all(piece.as_ref()))
        .and_then(|()| writer.flush())
        .map_err(can_not)?;
    drop(writer);
    staged.file.as_file().sync_all().map_err(can_not)?;
    Ok(staged)
}

/// What is written at once, where pieces are smaller.
const BUFFER: usize = 256 << 10;

fn folder(path: &Path) -> &Path {
    path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

impl StagedFile {
    /// Begins a file that is written piece by piece.
    pub fn begin(path: &Path) -> std::io::Result<Self> {
        let dir = folder(path);
        let file = tempfile::Builder::new()
            .prefix(".playtrace-")
            .permissions(std::os::unix::fs::PermissionsExt::from_mode(0o664))
            .tempfile_in(dir)
            .map_err(|error| {
                std::io::Error::new(error.kind(), format!("can't write in {}: {error}", dir.display()))
            })?;
        Ok(Self { file, path: path.to_owned() })
    }

    /// Where the pieces go.
    pub fn writer(&mut self) -> impl std::io::Write {
        self.file.as_file_mut()
    }

    /// Gives it its name, in place of what is there.
    pub fn place(self) -> std::io::Result<()> {
        let Self { file, path } = self;
        file.persist(&path).map_err(|error| {
            std::io::Error::new(
                error.error.kind(),
                format!("can't write {}: {}", path.display(), error.error),
            )
        })?;
        Ok(())
    }
}
