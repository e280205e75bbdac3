//! The reading side: all ledger files of one run.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use playtrace_model::{LineData, RunToken, Slug};

use crate::writer::{Extent, Sources, Writer};
use crate::{Entry, Layout, LedgerError, unflushed};

/// What a process has executed and not put into its shard and ledger yet: at least one line or function, or a unit of work that began
/// and of which no ledger tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unflushed {
    /// The name of the same process's ledger file.
    pub writer: String,
    /// The lines.
    pub lines: LineData,
    /// With step granularity: the first lines of functions that requests and jobs entered, by the names of their scopes.
    pub entered: LineData,
}

/// All records of one run.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RunLedger {
    /// One entry a file, sorted by file name.
    pub writers: Vec<Writer>,
    /// What was in the memory maps of the run's processes when this was read, sorted by their names.
    pub unflushed: Vec<Unflushed>,
    /// Ledger files of processes whose memory map is damaged.
    pub damaged_maps: BTreeSet<String>,
}

impl RunLedger {
    /// Reads the run's directory; no directory is an empty ledger.
    pub fn read(layout: &Layout, slug: &Slug, run: &RunToken) -> Result<Self, LedgerError> {
        Self::read_dir(&layout.run_dir(slug, run), true, &mut |ledger, path| ledger.add_file(path))
    }

    /// The same in little memory: only those lines are kept that are in no shard yet, by what the ledger says, so that
    /// [`Judgement::lines`](crate::judge::Judgement::lines) lacks the others; records of units and steps are
    /// folded into what a judge needs of them; and what several processes say of a source is kept once. All else is judged as
    /// it would be.
    pub fn scan(layout: &Layout, slug: &Slug, run: &RunToken) -> Result<Self, LedgerError> {
        Self::scan_lines(layout, slug, run, &mut |_| ())
    }

    /// The same, with all lines going to `take` as they are read.
    pub fn scan_lines(
        layout: &Layout,
        slug: &Slug,
        run: &RunToken,
        take: &mut dyn FnMut(&LineData),
    ) -> Result<Self, LedgerError> {
        let mut sources = Sources::new();
        Self::read_dir(&layout.run_dir(slug, run), false, &mut |ledger, path| {
            ledger.add(path, |name| Writer::scan(path, name, take, &mut sources))
        })
    }

    fn read_dir(
        dir: &Path,
        keeps_all: bool,
        add: &mut dyn FnMut(&mut Self, &Path) -> Result<(), LedgerError>,
    ) -> Result<Self, LedgerError> {
        let mut ledger = Self::default();
        let fault = |source| LedgerError::Read { path: dir.to_owned(), source };
        let entries = match fs_err::read_dir(dir) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(ledger),
            other => other.map_err(fault)?,
        };
        let mut paths =
            entries.map(|entry| Ok(entry?.path())).collect::<std::io::Result<Vec<_>>>().map_err(fault)?;
        paths.sort();
        // Maps first: what a process puts into its ledger meanwhile is found there.
        let mut maps = BTreeMap::new();
        for path in paths.iter().filter(|path| ends_in(path, Layout::UNFLUSHED)) {
            let writer = path.with_extension(Layout::EXTENSION);
            let writer = writer.file_name().unwrap_or_default().to_string_lossy().into_owned();
            maps.insert(writer, unflushed::read(path)?);
        }
        for path in paths.iter().filter(|path| ends_in(path, Layout::EXTENSION)) {
            add(&mut ledger, path)?;
        }
        for (writer, unflushed::Contents { lines, entered, opened, whole }) in maps {
            if !whole {
                ledger.damaged_maps.insert(writer.clone());
            }
            let found = ledger.writers.binary_search_by(|known| known.file.cmp(&writer));
            let is_gone = found.is_err() && !opened.is_empty();
            if let Ok(at) = found {
                ledger.writers[at].add_opened(opened, keeps_all);
            }
            if is_gone || !lines.is_empty() || !entered.is_empty() {
                ledger.unflushed.push(Unflushed { writer, lines, entered });
            }
        }
        Ok(ledger)
    }

    /// Adds one file, from the run's directory or elsewhere (a manifest that the player kept on its side).
    /// A file that is there already, by name, is left alone.
    pub fn add_file(&mut self, path: &Path) -> Result<(), LedgerError> {
        self.add(path, |name| Ok(Writer::from_bytes(name, &fs_err::read(path)?)))
    }

    /// The same as in [`RunLedger::scan_lines`].
    pub fn scan_file(&mut self, path: &Path, take: &mut dyn FnMut(&LineData)) -> Result<(), LedgerError> {
        self.add(path, |name| Writer::scan(path, name, take, &mut Sources::new()))
    }

    fn add(
        &mut self,
        path: &Path,
        read: impl FnOnce(String) -> std::io::Result<Writer>,
    ) -> Result<(), LedgerError> {
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let Err(at) = self.writers.binary_search_by(|writer| writer.file.cmp(&name)) else { return Ok(()) };
        let writer = read(name).map_err(|source| LedgerError::Read { path: path.to_owned(), source })?;
        self.writers.insert(at, writer);
        Ok(())
    }

    /// The records of all files; see [`Writer::entries`].
    pub fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.writers.iter().flat_map(Writer::entries)
    }

    /// Time of the latest record of the run itself, in milliseconds since 1970-01-01 UTC. Merging it doesn't make it younger.
    pub fn latest(&self) -> Option<u64> {
        self.writers.iter().filter_map(Writer::latest).max()
    }

    /// How far each file goes, by its name.
    pub fn extents(&self) -> BTreeMap<String, Extent> {
        self.writers.iter().filter_map(|writer| Some((writer.file.clone(), writer.extent()?))).collect()
    }

    /// Whether the player got an answer whose sender says that it was traced.
    pub fn was_answered_by_an_agent(&self) -> bool {
        self.writers.iter().any(|writer| writer.work.has_traced_answer)
    }

    /// Whether any record says that work of the app was traced (as opposed to the player's records alone).
    pub fn has_traced_work(&self) -> bool {
        self.writers.iter().any(|writer| !writer.work.begun.kinds.is_empty())
    }
}

fn ends_in(path: &Path, ending: &str) -> bool {
    path.extension().is_some_and(|found| found == ending)
}
