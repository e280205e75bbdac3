//! Writing a file whole or not at all.

use std::io::Write as _;
use std::path::Path;

/// Writes to a temporary file in the same directory and renames it: a reader sees the old content or the new one.
pub fn write_whole(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut file = tempfile::Builder::new()
        .prefix(".playtrace-")
        .permissions(std::os::unix::fs::PermissionsExt::from_mode(0o664))
        .tempfile_in(dir)
        .map_err(|error| {
            std::io::Error::new(error.kind(), format!("can't write in {}: {error}", dir.display()))
        })?;
    file.write_all(bytes)?;
    file.as_file().sync_all()?;
    file.persist(path).map_err(|error| {
        std::io::Error::new(error.error.kind(), format!("can't write {}: {}", path.display(), error.error))
    })?;
    Ok(())
}
