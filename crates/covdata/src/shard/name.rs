//! How shards are named.

use std::fmt;

use playtrace_model::Slug;
use uuid::Uuid;

const EXTENSION: &str = ".coverage.";
const LETTERS: usize = 6;

/// The name of a shard, taken apart.
///
/// coverage.py up to 7.11 writes `<data file>.<host>.<pid>.X<6 letters>x`, newer releases
/// `<data file>.<host>.pid<pid>.X<6>x.H<10>h`; with a profile's data file, `<data file>` is
/// `<slug>.coverage`. Both are read; ours are the older form, which every release takes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ShardName {
    /// The profile.
    pub slug: Slug,
    /// The host's name, which may hold dots.
    pub host: String,
    /// The process.
    pub pid: u32,
    /// The random letters between `X` and `x`.
    pub random: String,
    /// The hash of the content between `H` and `h`, where the writer put one.
    pub hash: Option<String>,
}

impl ShardName {
    /// A new name that no other shard has.
    pub(crate) fn fresh(slug: &Slug, host: &str, pid: u32) -> Self {
        let random =
            Uuid::new_v4().as_bytes().iter().take(LETTERS).map(|byte| char::from(b'a' + byte % 26)).collect();
        // A host name can't hold a slash by any standard, but it comes from outside and becomes a file name.
        let host = host.replace(|c: char| !(c.is_ascii_alphanumeric() || "-._".contains(c)), "_");
        Self { slug: slug.clone(), host, pid, random, hash: None }
    }

    /// Takes a file name (without its directory) apart; `None` when it is not a shard's.
    pub fn parse(file_name: &str) -> Option<Self> {
        // A slug never contains ".coverage", so that the first one ends it.
        let (slug, rest) = file_name.split_once(EXTENSION)?;
        let Suffix { host, pid, random, hash } = Suffix::parse(rest)?;
        let [host, random] = [host, random].map(str::to_owned);
        Some(Self { slug: Slug::parse(slug).ok()?, host, pid, random, hash: hash.map(str::to_owned) })
    }
}

/// What coverage.py adds to the name of a data file.
struct Suffix<'a> {
    host: &'a str,
    pid: u32,
    random: &'a str,
    hash: Option<&'a str>,
}

impl<'a> Suffix<'a> {
    fn parse(text: &'a str) -> Option<Self> {
        let (rest, hash) = match text.rsplit_once('.') {
            Some((before, last)) if last.starts_with('H') => (before, Some(marked(last, 'H', 'h')?)),
            _ => (text, None),
        };
        let (rest, random) = rest.rsplit_once('.')?;
        let random = marked(random, 'X', 'x').filter(|random| random.len() == LETTERS)?;
        let (host, pid) = rest.rsplit_once('.')?;
        let pid = pid.strip_prefix("pid").unwrap_or(pid);
        if host.is_empty() || !pid.bytes().all(|b| b.is_ascii_digit()) {
            return None;
        }
        Some(Self { host, pid: pid.parse().ok()?, random, hash })
    }
}

/// Whether a file that is not a shard of a profile has a name as data files have: `.coverage.<host>.<pid>.X…x` of a run
/// without a profile, or something else behind `.coverage.`.
pub(super) fn is_foreign(file_name: &str) -> bool {
    // A companion goes with its data file.
    let is_companion = ["-journal", "-wal", "-shm"].iter().any(|suffix| file_name.ends_with(suffix));
    file_name.contains(EXTENSION) && ShardName::parse(file_name).is_none() && !is_companion
}

/// Host and process that wrote a data file, where its name says so.
pub(super) fn owner(file_name: &str) -> Option<(String, u32)> {
    let (_, rest) = file_name.split_once(EXTENSION)?;
    Suffix::parse(rest).map(|suffix| (suffix.host.to_owned(), suffix.pid))
}

/// The letters between two markers, in `Xabcdefx`.
fn marked(part: &str, first: char, last: char) -> Option<&str> {
    let inner = part.strip_prefix(first)?.strip_suffix(last)?;
    let fits = !inner.is_empty() && inner.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    fits.then_some(inner)
}

impl fmt::Display for ShardName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { slug, host, pid, random, hash } = self;
        match hash {
            // Only newer releases write a hash, and they write `pid` with it.
            Some(hash) => write!(f, "{slug}{EXTENSION}{host}.pid{pid}.X{random}x.H{hash}h"),
            None => write!(f, "{slug}{EXTENSION}{host}.{pid}.X{random}x"),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn both_generations_of_names_are_read() {
        let old = ShardName::parse("legacy-palouse.coverage.web-1.example.org.4711.XqWeRtYx").unwrap();
        assert_eq!(
            (old.slug.as_str(), old.host.as_str(), old.pid),
            ("legacy-palouse", "web-1.example.org", 4711)
        );
        let new = ShardName::parse("a.b.coverage.web_1.pid12.XA1b2C3x.H0123456789h").unwrap();
        assert_eq!((new.slug.as_str(), new.host.as_str(), new.pid), ("a.b", "web_1", 12));
        assert_eq!(new.hash.as_deref(), Some("0123456789"));
        let unhashed = ShardName::parse("a.coverage.web.pid12.XA1b2C3x").unwrap();
        assert_eq!((unhashed.pid, unhashed.hash), (12, None));
    }

    #[test]
    fn other_files_are_not_shards() {
        for name in [
            "a.coverage",
            ".coverage.host.1.Xabcdefx",
            "a.coverage.host.1.Xabcdefx-journal",
            "a.coverage.host.1.Xabcdefx.tmp",
            "a.coverage.host.one.Xabcdefx",
            "a.coverage.host.+1.Xabcdefx",
            "a.coverage..1.Xabcdefx",
            "a.coverage.1.Xabcdefx",
            "a.coverage.host.1.Xabcdex",
            "../a.coverage.host.1.Xabcdefx",
        ] {
            assert_eq!(ShardName::parse(name), None, "{name}");
        }
    }

    #[test]
    fn foreign_names_say_whose_they_are_if_they_can() {
        for (name, pid) in [
            (".coverage.web.12.Xabcdefx", Some(12)),
            ("Not A Slug.coverage.web.pid7.Xabcdefx", Some(7)),
            ("a.coverage.bak", None),
        ] {
            assert!(is_foreign(name), "{name}");
            assert_eq!(owner(name), pid.map(|pid| ("web".to_owned(), pid)));
        }
        for name in ["a.coverage", "a.coverage.web.12.Xabcdefx", ".coverage.web.12.Xabcdefx-journal", "x"] {
            assert!(!is_foreign(name), "{name}");
        }
    }

    proptest! {
        #[test]
        fn a_fresh_name_is_read_back(slug in "[a-z0-9_][a-z0-9._-]{0,20}", host in "\\PC{1,20}", pid: u32) {
            let Ok(slug) = Slug::parse(&slug) else { return Ok(()) };
            let name = ShardName::fresh(&slug, &host, pid);
            let text = name.to_string();
            prop_assert!(!text.contains('/'));
            prop_assert_eq!(ShardName::parse(&text), Some(name));
        }
    }
}
