//! What several users of one group write to, whatever the umask of whoever makes it.

use std::fs::{File, Permissions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

/// Makes a directory, and those above it that are missing. Each gets the group of what it lies in, whose members may write there.
///
/// Web processes, workers and whoever merges may be different users. A umask of 022, which is the usual one, would leave the directory
/// to the first of them.
pub fn make_directory(dir: &Path) -> io::Result<()> {
    let parent = dir.parent().filter(|parent| !parent.as_os_str().is_empty());
    let made = match (std::fs::create_dir(dir), parent) {
        (Err(error), Some(parent)) if error.kind() == ErrorKind::NotFound => {
            make_directory(parent)?;
            std::fs::create_dir(dir)
        }
        (made, _) => made,
    };
    match made {
        Ok(()) => {
            // Not every file system has modes: what is there can be written by its owner at least.
            let _ = std::fs::set_permissions(dir, Permissions::from_mode(0o2775));
            Ok(())
        }
        // It was there, or another process has made it in the meantime.
        Err(_) if dir.is_dir() => Ok(()),
        Err(error) => Err(error),
    }
}

/// Lets the group write to a file that was just made.
pub fn share(file: &File) {
    // As above.
    let _ = file.set_permissions(Permissions::from_mode(0o664));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(path: &Path) -> u32 {
        std::fs::metadata(path).unwrap().permissions().mode() & 0o7777
    }

    #[test]
    fn what_is_made_is_the_groups_and_what_is_there_stays() {
        let root = tempfile::tempdir().unwrap();
        let before = mode(root.path());
        let dir = root.path().join("a/b");
        make_directory(&dir).unwrap();
        make_directory(&dir).unwrap();
        assert_eq!((mode(&dir), mode(&root.path().join("a")), mode(root.path())), (0o2775, 0o2775, before));
        let file = File::create(dir.join("file")).unwrap();
        share(&file);
        assert_eq!(mode(&dir.join("file")), 0o664);
    }

    #[test]
    fn a_file_in_the_way_is_an_error() {
        let root = tempfile::tempdir().unwrap();
        std::fs::write(root.path().join("file"), "mine").unwrap();
        assert!(make_directory(&root.path().join("file")).is_err());
        assert!(make_directory(&root.path().join("file/below")).is_err());
    }
}
