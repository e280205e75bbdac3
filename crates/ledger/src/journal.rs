//! The writing side: one file, appended to.

use std::borrow::Cow;
use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::{FileExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

use playtrace_model::{RunToken, Slug};

use crate::shared::{make_directory, share};
use crate::writer::Sources;
use crate::{
    Layout, LedgerError, ProcessId, Record, Recording, Role, VERSION, Writer, encode_into, unflushed,
};

/// One process's ledger of one run, open for appending.
///
/// Each record is part of one `write(2)` on an `O_APPEND` descriptor, so that a kill leaves whole records and at most
/// one torn one at the end. Nothing is buffered here: dropping it loses nothing.
#[derive(Debug)]
pub struct Journal {
    file: File,
    path: PathBuf,
    /// Device and inode of the file. No other one can have them while it is open.
    identity: (u64, u64),
    /// How long the file is, as far as we know: nobody else appends to it.
    length: u64,
    /// Whether the last record was not written, or only in part.
    torn: bool,
    /// The time of its last boot record.
    begun: u64,
}

impl Journal {
    /// Opens (making it and its directories if need be) this process's ledger of a run, and writes its boot record.
    ///
    /// `program` names the writer for people: `playtrace-agent 0.1.0, CPython 3.12.1, native`.
    pub fn open(
        layout: &Layout,
        slug: &Slug,
        run: &RunToken,
        role: Role,
        program: &str,
        at: u64,
    ) -> Result<Self, LedgerError> {
        Self::open_recording(layout, slug, run, role, program, Recording::default(), at)
    }

    /// The same for an agent that records so.
    pub fn open_recording(
        layout: &Layout,
        slug: &Slug,
        run: &RunToken,
        role: Role,
        program: &str,
        recording: Recording,
        at: u64,
    ) -> Result<Self, LedgerError> {
        Self::open_in(&layout.run_dir(slug, run), role, program, recording, at)
    }

    /// The same among the boot records: this process is switched on, whether or not it ever serves a run.
    pub fn open_boot(layout: &Layout, role: Role, program: &str, at: u64) -> Result<Self, LedgerError> {
        Self::open_in(&layout.boot_dir(), role, program, Recording::default(), at)
    }

    /// Appends to the boot record of this very process, which must be there.
    pub fn add_to_boot(layout: &Layout, at: u64, record: Record) -> Result<(), LedgerError> {
        let path = layout.boot_dir().join(Layout::file_name(&ProcessId::current()));
        if !path.exists() {
            let source = std::io::Error::from(std::io::ErrorKind::NotFound);
            return Err(LedgerError::Append { path, source });
        }
        Self::append_to(path)?.append(at, record)
    }

    fn open_in(
        dir: &Path,
        role: Role,
        program: &str,
        recording: Recording,
        at: u64,
    ) -> Result<Self, LedgerError> {
        let process = ProcessId::current();
        let path = dir.join(Layout::file_name(&process));
        let (version, ppid) = (VERSION, std::os::unix::process::parent_id());
        let (program, Recording { granularity, engine }) = (program.to_owned(), recording);
        let boot = Record::Boot { version, process, ppid, role, program, granularity, engine };
        if path.exists() {
            let mut journal = Self::append_to(path)?;
            journal.end_line()?;
            journal.adopt()?;
            journal.append(at, boot)?;
            journal.begun = at;
            return Ok(journal);
        }
        // A reader never meets a ledger without its beginning, which would read as one that was cut off: neither while
        // this process is between the two steps, nor for ever if it is killed there.
        let unnamed = path.with_extension("new");
        let mut journal = Self::append_to(unnamed.clone())?;
        let named = journal.append(at, boot).and_then(|()| {
            std::fs::rename(&unnamed, &path)
                .map_err(|source| LedgerError::Create { path: path.clone(), source })
        });
        if let Err(error) = named {
            // Best effort: what stays behind is read by nobody.
            let _ = std::fs::remove_file(&unnamed);
            return Err(error);
        }
        (journal.path, journal.begun) = (path, at);
        Ok(journal)
    }

    /// Opens (or makes) a ledger file at a place of the caller's choosing, without a boot record.
    pub fn append_to(path: PathBuf) -> Result<Self, LedgerError> {
        let create = |source| LedgerError::Create { path: path.clone(), source };
        if let Some(dir) = path.parent() {
            make_directory(dir).map_err(create)?;
        }
        let file = OpenOptions::new().create(true).append(true).open(&path).map_err(create)?;
        let meta = file.metadata().map_err(create)?;
        if meta.len() == 0 {
            share(&file);
        }
        Ok(Self { file, path, identity: identity(&meta), length: meta.len(), torn: false, begun: 0 })
    }

    /// Appends one record. `at` is in milliseconds since 1970-01-01 UTC.
    pub fn append(&mut self, at: u64, record: Record) -> Result<(), LedgerError> {
        self.append_all(at, [record])
    }

    /// Appends records with one write.
    pub fn append_all(
        &mut self,
        at: u64,
        records: impl IntoIterator<Item = Record>,
    ) -> Result<(), LedgerError> {
        let mut bytes = Vec::new();
        for record in records {
            encode_into(at, &record, &mut bytes)?;
        }
        self.append_lines(&bytes)
    }

    /// Appends records that were [encoded](encode_into), with one write.
    pub fn append_lines(&mut self, lines: &[u8]) -> Result<(), LedgerError> {
        if lines.is_empty() {
            return Ok(());
        }
        // write_all of a File is one write(2) unless the system takes only a part (a full disk): then the record is
        // torn, and readers say so. The next one begins a line of its own.
        let torn = |file: &File, length| file.metadata().is_ok_and(|meta| meta.len() > length);
        let lines = if self.torn && torn(&self.file, self.length) {
            Cow::Owned([b"\n", lines].concat())
        } else {
            Cow::Borrowed(lines)
        };
        let written = self.file.write_all(&lines);
        self.torn = written.is_err();
        written.map_err(|source| LedgerError::Append { path: self.path.clone(), source })?;
        self.length += lines.len() as u64;
        Ok(())
    }

    /// Where the file ends in the middle of a record, the next one begins a line of its own.
    fn end_line(&mut self) -> Result<(), LedgerError> {
        let fault = |source| LedgerError::Read { path: self.path.clone(), source };
        let Some(last) = self.length.checked_sub(1) else { return Ok(()) };
        let mut byte = [0];
        File::open(&self.path).and_then(|file| file.read_exact_at(&mut byte, last)).map_err(fault)?;
        if byte != *b"\n" {
            (self.torn, self.length) = (true, last);
        }
        Ok(())
    }

    /// Puts down what an earlier program of this process (`exec`), or a journal of it that failed, had begun and left in the memory map.
    fn adopt(&mut self) -> Result<(), LedgerError> {
        let map = self.path.with_extension(Layout::UNFLUSHED);
        let opened = unflushed::read(&map).map(|contents| contents.opened).unwrap_or_default();
        if opened.is_empty() {
            return Ok(());
        }
        let fault = |source| LedgerError::Read { path: self.path.clone(), source };
        let known =
            Writer::scan(&self.path, String::new(), &mut |_| (), &mut Sources::new()).map_err(fault)?;
        let mut lines = Vec::new();
        for entry in known.lacking(opened) {
            encode_into(entry.at, &entry.record, &mut lines)?;
        }
        self.append_lines(&lines)
    }

    /// Whether what is appended lands where readers look, after all that was written before: a clean-up may have taken
    /// the directory away, or somebody cut the file off.
    pub fn is_current(&self) -> bool {
        std::fs::metadata(&self.path)
            .is_ok_and(|named| identity(&named) == self.identity && named.len() >= self.length)
    }

    /// The same without a look at the path, which costs three times as much: whether the file still has a name, and all
    /// that was written to it.
    pub fn is_whole(&self) -> bool {
        self.file.metadata().is_ok_and(|open| open.nlink() > 0 && open.len() >= self.length)
    }

    /// The time of its last boot record, in milliseconds since 1970-01-01 UTC. What is promised later has no earlier one, whatever the
    /// clock says.
    pub const fn begun(&self) -> u64 {
        self.begun
    }

    /// How many bytes it has, as far as we know.
    pub const fn length(&self) -> u64 {
        self.length
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

fn identity(meta: &std::fs::Metadata) -> (u64, u64) {
    (meta.dev(), meta.ino())
}

#[cfg(test)]
mod tests;
