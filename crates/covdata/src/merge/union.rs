//! What a merge comes to: sorted rows of all inputs, in memory and, where there are too many, on disk.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read as _, Seek as _, SeekFrom};
use std::path::Path;
use std::sync::Mutex;

use playtrace_model::{ContextLabel, LineBits, LineData, MeasuredPath};

use super::gather::{Gatherer, Rows, SortedLines, Spill, key, parts, unite, unpack, write_arc, write_lines};
use crate::CovdataError;
use crate::data::{ArcData, CoverageData, Frame, Measured, Ownership, RowSink, Staged, stage_file};

/// The union of data files, ready to be written.
#[derive(Debug, Default)]
pub struct Union {
    /// Sorted.
    pub(super) files: Vec<MeasuredPath>,
    /// Sorted.
    pub(super) contexts: Vec<ContextLabel>,
    /// The number of a file, from 1, and its plug-in.
    pub(super) tracers: BTreeMap<u32, String>,
    pub(super) has_arcs: Option<bool>,
    lines: Vec<SortedLines>,
    arcs: Vec<Vec<(u64, u64)>>,
    /// Sorted rows on disk: whoever reads them moves their position.
    spilled_lines: Vec<Mutex<File>>,
    spilled_arcs: Vec<Mutex<File>>,
}

/// New numbers of files and contexts, by their old ones.
pub(super) struct Numbers {
    pub(super) files: Vec<u32>,
    pub(super) contexts: Vec<u32>,
}

impl Numbers {
    fn rename(&self, old: u64) -> u64 {
        let (file, context) = parts(old);
        key(self.files[file as usize], self.contexts[context as usize])
    }
}

impl Union {
    /// Sorts what threads have gathered, under the new numbers.
    pub(super) fn add_all(&mut self, gathered: Vec<(Rows, Numbers)>) -> io::Result<()> {
        let sorted = std::thread::scope(|scope| {
            let threads: Vec<_> = gathered
                .into_iter()
                .map(|(mine, numbers)| scope.spawn(move || sort(mine, &numbers)))
                .collect();
            threads
                .into_iter()
                .map(|thread| thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
                .collect::<io::Result<Vec<_>>>()
        })?;
        for sorted in sorted {
            self.lines.push(sorted.lines);
            self.arcs.push(sorted.arcs);
            self.spilled_lines.extend(sorted.spilled_lines.into_iter().map(Mutex::new));
            self.spilled_arcs.extend(sorted.spilled_arcs.into_iter().map(Mutex::new));
        }
        Ok(())
    }

    /// A file and a context by their numbers.
    pub(super) fn names(&self, file: u32, context: u32) -> (&MeasuredPath, &ContextLabel) {
        (&self.files[file as usize - 1], &self.contexts[context as usize - 1])
    }

    /// Gives all lines, sorted by file and context.
    pub(super) fn each_line(
        &self,
        mut take: impl FnMut(u32, u32, &[u8]) -> io::Result<()>,
    ) -> io::Result<()> {
        let mut sources: Vec<LineSource<'_>> =
            self.lines.iter().map(|lines| LineSource::Memory { lines, next: 0 }).collect();
        for file in &self.spilled_lines {
            sources.push(LineSource::Disk { rows: LineRows::new(rewound(file)?), numbits: Vec::new() });
        }
        let mut heads = BinaryHeap::new();
        for (at, source) in sources.iter_mut().enumerate() {
            heads.extend(source.advance()?.map(|key| Reverse((key, at))));
        }
        let mut all = Vec::new();
        while let Some(Reverse((key, at))) = heads.pop() {
            let numbits = sources[at].numbits();
            let shared = all.len().min(numbits.len());
            unite(&mut all[..shared], numbits);
            all.extend_from_slice(&numbits[shared..]);
            heads.extend(sources[at].advance()?.map(|next| Reverse((next, at))));
            if heads.peek().is_none_or(|Reverse((next, _))| *next != key) {
                let (file, context) = parts(key);
                take(file, context, &all)?;
                all.clear();
            }
        }
        Ok(())
    }

    /// Gives all arcs, sorted by file, context and ends.
    fn each_arc(&self, mut take: impl FnMut(u32, u32, (i32, i32)) -> io::Result<()>) -> io::Result<()> {
        let mut sources: Vec<ArcSource<'_>> =
            self.arcs.iter().map(|arcs| ArcSource::Memory(arcs.iter())).collect();
        for file in &self.spilled_arcs {
            sources.push(ArcSource::Disk(ArcRows(BufReader::new(rewound(file)?))));
        }
        let mut heads = BinaryHeap::new();
        for (at, source) in sources.iter_mut().enumerate() {
            heads.extend(source.next()?.map(|arc| Reverse((arc, at))));
        }
        let mut last = None;
        while let Some(Reverse((arc, at))) = heads.pop() {
            heads.extend(sources[at].next()?.map(|next| Reverse((next, at))));
            if last != Some(arc) {
                let (file, context) = parts(arc.0);
                take(file, context, unpack(arc.1))?;
                last = Some(arc);
            }
        }
        Ok(())
    }

    /// All of it as a value.
    pub fn into_data(self) -> io::Result<CoverageData> {
        let at = |number: u32| number as usize - 1;
        let (files, contexts) = (&self.files, &self.contexts);
        let measured = match self.has_arcs {
            None => Measured::Nothing,
            Some(false) => {
                let mut data = LineData::new();
                self.each_line(|file, context, numbits| {
                    let lines = LineBits::from_numbits(numbits.to_vec());
                    data.add(&contexts[at(context)], &files[at(file)], &lines);
                    Ok(())
                })?;
                Measured::Lines(data)
            }
            Some(true) => {
                let mut data = ArcData::default();
                self.each_arc(|file, context, arc| {
                    data.add(&contexts[at(context)], &files[at(file)], arc);
                    Ok(())
                })?;
                Measured::Arcs(data)
            }
        };
        let tracers = self.tracers.iter().map(|(file, name)| (files[at(*file)].clone(), name.clone()));
        let tracers = tracers.collect();
        Ok(CoverageData {
            files: self.files.into_iter().collect(),
            contexts: self.contexts.into_iter().collect(),
            measured,
            tracers,
        })
    }

    /// How many pieces of it are on disk.
    #[doc(hidden)]
    pub fn spilled(&self) -> usize {
        self.spilled_lines.len() + self.spilled_arcs.len()
    }

    /// How many rows of it are in memory.
    #[doc(hidden)]
    pub fn in_memory(&self) -> usize {
        self.lines.iter().map(SortedLines::len).chain(self.arcs.iter().map(Vec::len)).sum()
    }

    /// As [`CoverageData::stage`].
    pub fn stage(&self, path: &Path, owner: &Ownership) -> Result<Staged, CovdataError> {
        let frame = Frame {
            meta: owner.meta(self.has_arcs),
            files: self.files.iter().map(MeasuredPath::as_str).collect(),
            contexts: self.contexts.iter().map(ContextLabel::as_str).collect(),
            tracers: self.tracers.iter().map(|(file, name)| (*file, name.as_str())).collect(),
        };
        stage_file(path, &frame, |sink: &mut RowSink<_>| {
            self.each_line(|file, context, numbits| sink.lines(file, context, numbits))?;
            self.each_arc(|file, context, arc| sink.arc(file, context, arc))
        })
    }
}

#[derive(Default)]
struct Sorted {
    lines: SortedLines,
    arcs: Vec<(u64, u64)>,
    spilled_lines: Vec<File>,
    spilled_arcs: Vec<File>,
}

fn sort(Rows { lines, arcs, spilled }: Rows, numbers: &Numbers) -> io::Result<Sorted> {
    let rename = |key| numbers.rename(key);
    let mut sorted = Sorted { lines: lines.sorted(rename), arcs: arcs.sorted(rename), ..Sorted::default() };
    // They were written under numbers that sort otherwise.
    for spill in spilled {
        match spill {
            Spill::Lines(file) => {
                let bytes = usize::try_from(file.metadata()?.len()).unwrap_or_default();
                let table = Gatherer::load_lines(&mut LineRows::new(rewind(file)?), bytes, rename)?;
                let mut out = BufWriter::new(tempfile::tempfile()?);
                for (key, numbits) in (0..).map_while(|at| table.get(at)) {
                    write_lines(&mut out, key, numbits)?;
                }
                sorted.spilled_lines.push(out.into_inner().map_err(io::IntoInnerError::into_error)?);
            }
            Spill::Arcs(file) => {
                let arcs = Gatherer::load_arcs(&mut ArcRows(BufReader::new(rewind(file)?)))?.sorted(rename);
                let mut out = BufWriter::new(tempfile::tempfile()?);
                arcs.into_iter().try_for_each(|arc| write_arc(&mut out, arc))?;
                sorted.spilled_arcs.push(out.into_inner().map_err(io::IntoInnerError::into_error)?);
            }
        }
    }
    Ok(sorted)
}

fn rewind(mut file: File) -> io::Result<File> {
    file.seek(SeekFrom::Start(0))?;
    Ok(file)
}

fn rewound(file: &Mutex<File>) -> io::Result<File> {
    rewind(file.lock().unwrap_or_else(std::sync::PoisonError::into_inner).try_clone()?)
}

enum LineSource<'a> {
    /// The row before `next` is the present one.
    Memory {
        lines: &'a SortedLines,
        next: usize,
    },
    Disk {
        rows: LineRows,
        numbits: Vec<u8>,
    },
}

impl LineSource<'_> {
    /// Goes to the next row; returns its key.
    fn advance(&mut self) -> io::Result<Option<u64>> {
        match self {
            Self::Memory { lines, next } => {
                *next += 1;
                Ok(lines.get(*next - 1).map(|(key, _)| key))
            }
            Self::Disk { rows, numbits } => match rows.next().transpose()? {
                Some((key, bytes)) => {
                    *numbits = bytes;
                    Ok(Some(key))
                }
                None => Ok(None),
            },
        }
    }

    /// The lines of the present row.
    fn numbits(&self) -> &[u8] {
        match self {
            Self::Memory { lines, next } => lines.get(*next - 1).map_or(&[], |(_, numbits)| numbits),
            Self::Disk { numbits, .. } => numbits,
        }
    }
}

enum ArcSource<'a> {
    Memory(std::slice::Iter<'a, (u64, u64)>),
    Disk(ArcRows),
}

impl ArcSource<'_> {
    fn next(&mut self) -> io::Result<Option<(u64, u64)>> {
        match self {
            Self::Memory(arcs) => Ok(arcs.next().copied()),
            Self::Disk(rows) => rows.next().transpose(),
        }
    }
}

/// Rows of a [`Spill::Lines`].
struct LineRows(BufReader<File>);

impl LineRows {
    fn new(file: File) -> Self {
        Self(BufReader::with_capacity(1 << 16, file))
    }
}

impl Iterator for LineRows {
    type Item = io::Result<(u64, Vec<u8>)>;

    fn next(&mut self) -> Option<Self::Item> {
        let mut read = || {
            let Some(key) = number(&mut self.0)? else { return Ok(None) };
            let mut len = [0; 4];
            self.0.read_exact(&mut len)?;
            let mut numbits = vec![0; u32::from_le_bytes(len) as usize];
            self.0.read_exact(&mut numbits)?;
            Ok(Some((key, numbits)))
        };
        read().transpose()
    }
}

/// Rows of a [`Spill::Arcs`].
struct ArcRows(BufReader<File>);

impl Iterator for ArcRows {
    type Item = io::Result<(u64, u64)>;

    fn next(&mut self) -> Option<Self::Item> {
        let mut read = || {
            let Some(key) = number(&mut self.0)? else { return Ok(None) };
            Ok(number(&mut self.0)?.map(|arc| (key, arc)))
        };
        read().transpose()
    }
}

/// The next number; `None` at the end of the file.
fn number(file: &mut BufReader<File>) -> io::Result<Option<u64>> {
    let mut bytes = [0; 8];
    match file.read_exact(&mut bytes) {
        Ok(()) => Ok(Some(u64::from_le_bytes(bytes))),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(None),
        Err(error) => Err(error),
    }
}
