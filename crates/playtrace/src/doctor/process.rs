//! What the system tells of processes of this machine, as far as this user may know.

use std::collections::BTreeMap;
use std::fs::Metadata;
use std::os::unix::fs::MetadataExt as _;

/// `CAP_DAC_OVERRIDE` (capabilities(7)): whoever has it writes everywhere.
const DAC_OVERRIDE: u64 = 1 << 1;

/// Who a process is to the file system.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Identity {
    /// Effective user id.
    pub(super) uid: u32,
    groups: Vec<u32>,
    overrides: bool,
}

impl Identity {
    /// Of a running process; `None` if it is not here, or is nobody's business.
    pub(super) fn of(pid: u32) -> Option<Self> {
        Self::parse(&fs_err::read_to_string(format!("/proc/{pid}/status")).ok()?)
    }

    /// The fields of `/proc/<pid>/status` (proc(5)): real, effective, saved and file system ids.
    fn parse(status: &str) -> Option<Self> {
        let field = |name: &str| status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        let effective = |name: &str| field(name)?.split_whitespace().nth(1)?.parse::<u32>().ok();
        let mut groups = vec![effective("Gid")?];
        groups.extend(field("Groups")?.split_whitespace().filter_map(|group| group.parse::<u32>().ok()));
        let capabilities = u64::from_str_radix(field("CapEff")?.trim(), 16).ok()?;
        Some(Self { uid: effective("Uid")?, groups, overrides: capabilities & DAC_OVERRIDE != 0 })
    }

    /// Whether it may make files in a directory, by the directory's owner and mode (access lists are not looked at).
    pub(super) fn may_write_in(&self, dir: &Metadata) -> bool {
        let mode = dir.mode();
        let bits = if self.uid == dir.uid() {
            mode >> 6
        } else if self.groups.contains(&dir.gid()) {
            mode >> 3
        } else {
            mode
        };
        self.overrides || bits & 0o3 == 0o3
    }
}

/// The environment that a process was started with; `None` if it can't be read from here.
pub(super) fn environment(pid: u32) -> Option<BTreeMap<String, String>> {
    let bytes = fs_err::read(format!("/proc/{pid}/environ")).ok()?;
    let pairs = bytes.split(|&byte| byte == 0).filter_map(|pair| {
        let (name, value) = std::str::from_utf8(pair).ok()?.split_once('=')?;
        Some((name.to_owned(), value.to_owned()))
    });
    Some(pairs.collect())
}

/// A process's working directory.
pub(super) fn working_directory(pid: u32) -> Option<std::path::PathBuf> {
    fs_err::read_link(format!("/proc/{pid}/cwd")).ok()
}

/// The parent of a process.
pub(super) fn parent(pid: u32) -> Option<u32> {
    let status = fs_err::read_to_string(format!("/proc/{pid}/status")).ok()?;
    status.lines().find_map(|line| line.strip_prefix("PPid:"))?.trim().parse().ok()
}

/// A user id for people; users that this machine's own list doesn't have stay numbers.
pub(super) fn user(uid: u32) -> String {
    let list = fs_err::read_to_string("/etc/passwd").unwrap_or_default();
    name_in(&list, uid).map_or_else(|| uid.to_string(), |name| format!("{name} ({uid})"))
}

/// The name of a user in a list of passwd(5).
fn name_in(list: &str, uid: u32) -> Option<&str> {
    list.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)?.parse() == Ok(uid)).then_some(name)
    })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    const STATUS: &str = "Name:\tpython\nPPid:\t1\nUid:\t1000\t1001\t1000\t1000\nGid:\t100\t101\t100\t100\n\
                          Groups:\t7 8 \nCapEff:\t0000000000000000\n";

    #[test]
    fn ids_are_the_effective_ones() {
        let read = Identity::parse(STATUS).unwrap();
        assert_eq!(read, Identity { uid: 1001, groups: vec![101, 7, 8], overrides: false });
        let root = Identity::parse(&STATUS.replace("0000000000000000", "000001ffffffffff")).unwrap();
        assert!(root.overrides);
        assert_eq!(Identity::parse("Name:\tx\n"), None);
    }

    #[test]
    fn users_have_names() {
        let list = "root:x:0:0:root:/root:/bin/sh\nbroken\nweb:x:1000:100::/srv:/bin/false\n";
        assert_eq!((name_in(list, 1000), name_in(list, 7)), (Some("web"), None));
    }

    #[test]
    fn owner_group_and_others_are_told_apart() {
        let dir = tempfile::tempdir().unwrap();
        let may = |uid_is_owner: bool, in_group: bool, mode: u32| {
            fs_err::set_permissions(dir.path(), std::fs::Permissions::from_mode(mode)).unwrap();
            let meta = fs_err::metadata(dir.path()).unwrap();
            let uid = if uid_is_owner { meta.uid() } else { meta.uid() + 1 };
            let groups = vec![if in_group { meta.gid() } else { meta.gid() + 1 }];
            Identity { uid, groups, overrides: false }.may_write_in(&meta)
        };
        assert!(may(true, false, 0o700) && !may(false, true, 0o700));
        assert!(may(false, true, 0o770) && !may(false, false, 0o770));
        // The owner's bits count for the owner, also where the group has more (path_resolution(7)).
        assert!(!may(true, true, 0o577) && may(false, false, 0o703));
        fs_err::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o700)).unwrap();
    }
}
