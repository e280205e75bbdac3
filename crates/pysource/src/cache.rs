//! What was analysed before: an unchanged file is not analysed twice.
//!
//! A cache file holds the results of one tree under one set of rules, each under the SHA-256 of the file's bytes and its
//! module's name. It is only ever a shortcut: one that is damaged, or that another build of the program wrote, counts
//! as none.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use playtrace_model::{Lambda, LineBits, Symbol, SymbolDetails, SymbolKind};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::Rules;
use crate::regions::RegionNode;

/// Where results are kept, and for which program.
#[derive(Debug, Clone)]
pub struct SourceCache {
    directory: PathBuf,
    build: String,
}

impl SourceCache {
    /// A cache in `directory`, which need not be there yet; `build` names the program: results of another are not taken.
    pub fn new(directory: impl Into<PathBuf>, build: impl Into<String>) -> Self {
        Self { directory: directory.into(), build: build.into() }
    }

    /// Whatever is known of the tree below `root`.
    pub(crate) fn open(&self, root: &Path, rules: &Rules) -> Known {
        let mut name = Sha256::new();
        for part in [
            &self.build,
            rules.python.as_str(),
            rules.coverage.as_str(),
            rules.exclusions.as_str(),
            &root.to_string_lossy(),
        ] {
            name.update(part.len().to_le_bytes());
            name.update(part);
        }
        let file = self.directory.join(format!("{}.sources", hex(&name.finalize())));
        let entries = fs_err::read(&file).ok().and_then(|bytes| unsealed(&bytes)).unwrap_or_default();
        Known { file, entries }
    }
}

/// The content of a cache file.
#[derive(Debug, Default)]
pub(crate) struct Known {
    file: PathBuf,
    entries: BTreeMap<Key, Stored>,
}

/// SHA-256 of a file's bytes, and its module.
pub(crate) type Key = ([u8; 32], String);

/// The key of a file.
pub(crate) fn key(bytes: &[u8], module: &str) -> Key {
    (Sha256::digest(bytes).into(), module.to_owned())
}

impl Known {
    /// What was found in these bytes before.
    pub(crate) fn get(&self, key: &Key) -> Option<&Stored> {
        self.entries.get(key)
    }

    /// Keeps `entries`, unless they are what is kept already. That it can't is nobody's trouble: the next run
    /// analyses again.
    pub(crate) fn replace(self, entries: &BTreeMap<Key, Stored>) {
        if entries.len() == self.entries.len() && entries.keys().eq(self.entries.keys()) {
            return;
        }
        let Ok(content) = postcard::to_stdvec(entries) else { return };
        let mut bytes = Sha256::digest(&content).to_vec();
        bytes.extend(content);
        let beside = self.file.with_extension(format!("{}.new", std::process::id()));
        let written = self
            .file
            .parent()
            .map_or(Ok(()), fs_err::create_dir_all)
            .and_then(|()| fs_err::write(&beside, bytes))
            .and_then(|()| fs_err::rename(&beside, &self.file));
        if written.is_err() {
            let _ = fs_err::remove_file(&beside);
        }
    }
}

/// The entries, if the checksum before them is theirs.
fn unsealed(bytes: &[u8]) -> Option<BTreeMap<Key, Stored>> {
    let (checksum, content) = bytes.split_at_checked(32)?;
    if Sha256::digest(content).as_slice() != checksum {
        return None;
    }
    postcard::from_bytes(content).ok()
}

fn hex(digest: &[u8]) -> String {
    playtrace_model::SourceHash::from_digest(digest).as_str().to_owned()
}

/// The results of a file but for its name and text.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Stored {
    pub(crate) statements: Lines,
    pub(crate) excluded: Lines,
    pub(crate) import_statements: Lines,
    pub(crate) docstrings: Lines,
    pub(crate) multiline: Vec<(u32, u32)>,
    pub(crate) symbols: Vec<StoredSymbol>,
    pub(crate) lambdas: Vec<Lambda>,
    pub(crate) regions: Vec<RegionNode>,
}

/// A symbol with its statements, which other documents leave out. The name is without the module's.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct StoredSymbol {
    name: String,
    kind: SymbolKind,
    line: u32,
    span: (u32, u32),
    statements: Lines,
    traits: Vec<playtrace_model::SymbolTrait>,
    decorators: Vec<String>,
    docstring: Option<(u32, u32)>,
}

impl From<&Symbol> for StoredSymbol {
    fn from(symbol: &Symbol) -> Self {
        Self {
            name: symbol.name.clone(),
            kind: symbol.kind,
            line: symbol.line,
            span: symbol.span,
            statements: Lines::from(&symbol.statements),
            traits: symbol.details.traits.iter().copied().collect(),
            decorators: symbol.details.decorators.clone(),
            docstring: symbol.details.docstring,
        }
    }
}

impl From<&StoredSymbol> for Symbol {
    fn from(stored: &StoredSymbol) -> Self {
        Self {
            name: stored.name.clone(),
            kind: stored.kind,
            line: stored.line,
            span: stored.span,
            statements: stored.statements.to_bits(),
            details: SymbolDetails {
                traits: stored.traits.iter().copied().collect(),
                decorators: stored.decorators.clone(),
                docstring: stored.docstring,
            },
        }
    }
}

/// A set of lines as runs: `(first, how many)`.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Lines(Vec<(u32, u32)>);

impl From<&LineBits> for Lines {
    fn from(bits: &LineBits) -> Self {
        let mut runs: Vec<(u32, u32)> = Vec::new();
        for line in bits.iter() {
            match runs.last_mut() {
                Some((first, count)) if *first + *count == line => *count += 1,
                _ => runs.push((line, 1)),
            }
        }
        Self(runs)
    }
}

impl Lines {
    pub(crate) fn to_bits(&self) -> LineBits {
        self.0.iter().flat_map(|&(first, count)| first..first.saturating_add(count)).collect()
    }
}
