//! The reading side: all ledger files of one run.

use std::collections::{BTreeMap, BTreeSet};
use std::io::BufReader;
use std::path::Path;

use playtrace_model::{LineData, MeasuredPath, RunToken, Slug, SourceHash};
use serde::{Deserialize, Serialize};

use crate::frame::decode_each;
use crate::{Damage, Entry, Layout, LedgerError, ProcessId, Record, Role, decode, unflushed};

/// One process's records of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Writer {
    /// The file's name.
    pub file: String,
    /// Who wrote it and as what, if its boot record is readable.
    pub process: Option<(ProcessId, Role)>,
    /// Its records, in the order in which they were written.
    pub entries: Vec<Entry>,
    /// Damaged places.
    pub damages: Vec<Damage>,
    /// When each record of the run itself was written, those included that are not kept.
    times: Vec<u64>,
}

/// What files say of sources: most processes of a run load the same ones, and each says so.
type Sources = BTreeSet<(MeasuredPath, SourceHash)>;

impl Writer {
    /// Reads one file's bytes.
    pub fn from_bytes(file: impl Into<String>, bytes: &[u8]) -> Self {
        let (entries, damages) = decode(bytes);
        let times =
            entries.iter().filter(|entry| is_of_the_run(&entry.record)).map(|entry| entry.at).collect();
        Self::of(file.into(), entries, damages, times)
    }

    /// Reads a file record by record. Lines that are in a shard, by what the file says, go to `take` and are not kept; nor is
    /// what `sources` has already.
    fn scan(
        path: &Path,
        file: String,
        take: &mut dyn FnMut(&LineData),
        sources: &mut Sources,
    ) -> std::io::Result<Self> {
        let (mut entries, mut times) = (Vec::<Entry>::new(), Vec::new());
        // Where in `entries` lines are that wait for the process's next transaction.
        let mut waiting = Vec::new();
        let from = BufReader::with_capacity(1 << 16, fs_err::File::open(path)?);
        let damages = decode_each(from, |mut entry| {
            if is_of_the_run(&entry.record) {
                times.push(entry.at);
            }
            if let Record::Source { path, hash } = &entry.record
                && !sources.insert((path.clone(), hash.clone()))
                && !entries.is_empty()
            {
                return;
            }
            if let Record::Closed { shard, new, .. } = &mut entry.record {
                if !new.is_empty() {
                    take(&new.0);
                }
                if shard.is_none() && !new.is_empty() {
                    waiting.push(entries.len());
                } else if shard.is_some() {
                    new.0 = LineData::new();
                    for at in waiting.drain(..) {
                        if let Record::Closed { new, .. } = &mut entries[at].record {
                            new.0 = LineData::new();
                        }
                    }
                }
            }
            entries.push(entry);
        })?;
        entries.shrink_to_fit();
        times.shrink_to_fit();
        Ok(Self::of(file, entries, damages, times))
    }

    fn of(file: String, entries: Vec<Entry>, damages: Vec<Damage>, times: Vec<u64>) -> Self {
        let process = entries.iter().find_map(|entry| match &entry.record {
            Record::Boot { process, role, .. } => Some((process.clone(), *role)),
            _ => None,
        });
        Self { file, process, entries, damages, times }
    }

    /// The process for people: `web process 4711 on host`, or the file's name.
    pub fn describe(&self) -> String {
        let Some((process, role)) = &self.process else { return format!("the writer of {}", self.file) };
        let role = match role {
            Role::Web => "web process",
            Role::Worker => "worker",
            Role::Job => "work horse",
            Role::Child => "child process",
            Role::Player => "player",
            Role::Merger => "merger",
            Role::Other => "process",
        };
        format!("{role} {process}")
    }

    /// How far the file goes; `None` if nothing in it is of the run itself (a merger's file).
    pub fn extent(&self) -> Option<Extent> {
        let (first, last) = (*self.times.first()?, *self.times.last()?);
        Some(Extent { records: self.times.len(), first, last })
    }

    /// Whether the file still holds all that it held when it went as far as `earlier`.
    pub fn holds(&self, earlier: &Extent) -> bool {
        let last = earlier.records.checked_sub(1).and_then(|at| self.times.get(at));
        last == Some(&earlier.last) && self.times.first() == Some(&earlier.first)
    }

    /// How many records of the run it has.
    pub fn records(&self) -> usize {
        self.times.len()
    }

    /// Whether its process still runs, if that can be known.
    pub fn is_alive(&self) -> Option<bool> {
        self.process.as_ref().and_then(|(process, _)| process.is_alive())
    }
}

/// How far a ledger file went at some moment. Files are only appended to: one that does not go as far any more was harmed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Extent {
    /// How many records of the run it held; those of mergers don't count.
    pub records: usize,
    /// When the first of them was written, in milliseconds since 1970-01-01 UTC: a file that was made anew under the same
    /// name has another.
    pub first: u64,
    /// When the last of them was written.
    pub last: u64,
}

/// Whether a record is of the run itself: merging it, which may be done again at any time, is not part of it.
fn is_of_the_run(record: &Record) -> bool {
    !matches!(record, Record::Merged { .. } | Record::Boot { role: Role::Merger, .. })
}

/// What a process has executed and not put into its shard and ledger yet: at least one line or function.
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
        Self::read_dir(&layout.run_dir(slug, run), &mut |ledger, path| ledger.add_file(path))
    }

    /// The same in little memory: lines that are in a shard, by what the ledger says, go to `take` and are not kept in the
    /// records, so that [`Judgement::lines`](crate::judge::Judgement::lines) lacks them; and what several processes say of a
    /// source is kept once. All else is judged as it would be. `take` gets those lines as well that are kept.
    pub fn scan(
        layout: &Layout,
        slug: &Slug,
        run: &RunToken,
        take: &mut dyn FnMut(&LineData),
    ) -> Result<Self, LedgerError> {
        let mut sources = Sources::new();
        Self::read_dir(&layout.run_dir(slug, run), &mut |ledger, path| {
            ledger.add(path, |name| Writer::scan(path, name, take, &mut sources))
        })
    }

    fn read_dir(
        dir: &Path,
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
        for path in paths {
            if path.extension().is_some_and(|ending| ending == Layout::EXTENSION) {
                add(&mut ledger, &path)?;
            } else if path.extension().is_some_and(|ending| ending == Layout::UNFLUSHED) {
                let unflushed::Contents { lines, entered, whole } = unflushed::read(&path)?;
                let writer = path.with_extension(Layout::EXTENSION);
                let writer = writer.file_name().unwrap_or_default().to_string_lossy().into_owned();
                if !whole {
                    ledger.damaged_maps.insert(writer.clone());
                }
                if !lines.is_empty() || !entered.is_empty() {
                    ledger.unflushed.push(Unflushed { writer, lines, entered });
                }
            }
        }
        ledger.unflushed.sort_by(|a, b| a.writer.cmp(&b.writer));
        Ok(ledger)
    }

    /// Adds one file, from the run's directory or elsewhere (a manifest that the player kept on its side).
    /// A file that is there already, by name, is left alone.
    pub fn add_file(&mut self, path: &Path) -> Result<(), LedgerError> {
        self.add(path, |name| Ok(Writer::from_bytes(name, &fs_err::read(path)?)))
    }

    /// The same as in [`RunLedger::scan`].
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

    /// Time of the latest record of the run itself, in milliseconds since 1970-01-01 UTC. Merging it doesn't make it younger.
    pub fn latest(&self) -> Option<u64> {
        self.writers.iter().flat_map(|writer| &writer.times).copied().max()
    }

    /// How far each file goes, by its name.
    pub fn extents(&self) -> BTreeMap<String, Extent> {
        self.writers.iter().filter_map(|writer| Some((writer.file.clone(), writer.extent()?))).collect()
    }

    /// Whether the player got an answer whose sender says that it was traced.
    pub fn was_answered_by_an_agent(&self) -> bool {
        let on =
            |record: &Record| matches!(record, Record::Answered { trace: Some(trace), .. } if trace == "on");
        self.writers.iter().flat_map(|writer| &writer.entries).any(|entry| on(&entry.record))
    }

    /// Whether any record says that work of the app was traced (as opposed to the player's records alone).
    pub fn has_traced_work(&self) -> bool {
        self.writers
            .iter()
            .flat_map(|writer| &writer.entries)
            .any(|entry| matches!(entry.record, Record::Open { .. }))
    }
}
