//! One file of a ledger: what one process wrote.

use std::collections::BTreeSet;
use std::io::BufReader;
use std::path::Path;

use playtrace_model::{LineData, MeasuredPath, SourceHash};
use serde::{Deserialize, Serialize};

use crate::frame::decode_each;
use crate::work::Work;
use crate::{Damage, Entry, ProcessId, Record, Role};

/// One process's records of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Writer {
    /// The file's name.
    pub file: String,
    /// Who wrote it and as what, if its boot record is readable.
    pub process: Option<(ProcessId, Role)>,
    /// Damaged places.
    pub damages: Vec<Damage>,
    entries: Vec<Entry>,
    /// What its records say of units and steps.
    pub(crate) work: Work,
    /// Whether it begins with its boot record.
    pub(crate) has_beginning: bool,
    /// When each record of the run itself was written.
    times: Vec<u64>,
    /// When units began that the file lacks ([`Writer::add_opened`]).
    promised: Vec<u64>,
}

/// What files say of sources: most processes of a run load the same ones, and each says so.
pub(crate) type Sources = BTreeSet<(MeasuredPath, SourceHash)>;

impl Writer {
    /// Of a file of which nothing has been read.
    fn new(file: String) -> Self {
        Self {
            file,
            process: None,
            entries: Vec::new(),
            damages: Vec::new(),
            work: Work::default(),
            has_beginning: false,
            times: Vec::new(),
            promised: Vec::new(),
        }
    }

    /// Reads one file's bytes.
    pub fn from_bytes(file: impl Into<String>, bytes: &[u8]) -> Self {
        let mut writer = Self::new(file.into());
        // Reading from memory does not fail.
        writer.damages = decode_each(bytes, |entry| {
            writer.note(&entry);
            writer.entries.push(entry);
        })
        .unwrap_or_default();
        writer
    }

    /// Reads a file record by record. Its lines go to `take`; of units and steps it is kept what is needed to judge them, and
    /// nothing that `sources` has already.
    pub(crate) fn scan(
        path: &Path,
        file: String,
        take: &mut dyn FnMut(&LineData),
        sources: &mut Sources,
    ) -> std::io::Result<Self> {
        let mut writer = Self::new(file);
        let from = BufReader::with_capacity(1 << 16, fs_err::File::open(path)?);
        writer.damages = decode_each(from, |entry| {
            writer.note(&entry);
            let is_known = match &entry.record {
                Record::Source { path, hash } => !sources.insert((path.clone(), hash.clone())),
                Record::Closed { new, .. } if !new.is_empty() => {
                    take(&new.0);
                    true
                }
                record => Work::has(record),
            };
            if !is_known {
                writer.entries.push(entry);
            }
        })?;
        writer.entries.shrink_to_fit();
        writer.times.shrink_to_fit();
        Ok(writer)
    }

    /// Notes the next record, whether it will be kept or not.
    fn note(&mut self, entry: &Entry) {
        if let Record::Boot { process, role, .. } = &entry.record {
            self.has_beginning |= self.is_empty();
            self.process.get_or_insert_with(|| (process.clone(), *role));
        }
        if is_of_the_run(&entry.record) {
            self.times.push(entry.at);
        }
        self.work.take(entry);
    }

    /// Adds beginnings of units that were in the process's memory map, unless the file has them. They are not counted among its
    /// records: the process may end before it writes them.
    pub(crate) fn add_opened(&mut self, opened: Vec<Entry>, is_kept: bool) {
        for entry in opened.into_iter().filter(|entry| self.work.take_opened(entry)) {
            self.promised.push(entry.at);
            if is_kept {
                self.entries.push(entry);
            }
        }
    }

    /// Those of the units that the file lacks.
    pub(crate) fn lacking(mut self, opened: Vec<Entry>) -> Vec<Entry> {
        opened.into_iter().filter(|entry| self.work.take_opened(entry)).collect()
    }

    /// Its records, in the order in which they were written. Of a file that was scanned
    /// ([`RunLedger::scan`](crate::RunLedger::scan)), those of units and steps are not among them.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
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

    /// How many records of the run are known of its process.
    pub fn records(&self) -> usize {
        self.times.len() + self.promised.len()
    }

    /// When the latest of them was written, in milliseconds since 1970-01-01 UTC.
    pub fn latest(&self) -> Option<u64> {
        self.times.iter().chain(&self.promised).copied().max()
    }

    /// Whether its process still runs, if that can be known.
    pub fn is_alive(&self) -> Option<bool> {
        self.process.as_ref().and_then(|(process, _)| process.is_alive())
    }

    /// Whether nothing was read of it yet.
    fn is_empty(&self) -> bool {
        self.times.is_empty() && self.entries.is_empty()
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
