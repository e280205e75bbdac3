//! What the records themselves say is lost, and records that are lost.

use playtrace_model::{LineData, Status};

use super::Judging;
use super::facts::Facts;
use crate::{Damage, RunLedger, Unflushed};

impl Judging {
    pub(super) fn losses(&mut self, facts: &Facts, ledger: &RunLedger) {
        for owed in &facts.owed {
            self.lower(Status::Failed, format!("not traced: {owed}"));
        }
        for reason in &facts.refused {
            self.lower(Status::Partial, format!("not traced: {reason}"));
        }
        for reason in &facts.lost {
            self.lower(Status::Partial, format!("data lost: {reason}"));
        }
        for writer in &ledger.writers {
            if !writer.has_beginning && writer.damages.is_empty() {
                // Its process may have made it this moment.
                self.wait_for(format!(
                    "data lost: the ledger {} has no beginning: it was emptied or overwritten",
                    writer.file
                ));
            }
            for damage in &writer.damages {
                let what = match damage {
                    Damage::Torn { .. } => "ends in the middle of a record",
                    Damage::Corrupt { .. } => "holds a damaged record",
                };
                self.lower(Status::Partial, format!("data lost: the ledger {} {what}", writer.file));
            }
        }
        if facts.unknown > 0 {
            self.lower(
                Status::Partial,
                format!(
                    "{} records were written by a later version of playtrace: use that one",
                    facts.unknown
                ),
            );
        }
    }

    /// Lines of a file mean something only together with its content.
    pub(super) fn sources(&mut self, facts: &Facts) {
        for (path, hashes) in facts.sources.iter().filter(|(_, hashes)| hashes.len() > 1) {
            self.lower(Status::Stale, format!("{path} was loaded with {} different contents", hashes.len()));
        }
    }

    /// What processes that are gone had not written into their shards.
    pub(super) fn behind(&mut self, facts: &Facts) {
        for (file, lines) in facts.behind() {
            if let Some((name, Some(false))) = facts.writers.get(file) {
                self.saved(&lines, ("line", "lines"), (name, "executed"), "ledger");
            }
        }
    }

    fn saved(&mut self, data: &LineData, (one, many): (&str, &str), (name, done): (&str, &str), from: &str) {
        let count = data.iter().map(|(.., lines)| lines.len()).sum::<usize>();
        if count > 0 {
            let what = if count == 1 { one } else { many };
            let note =
                format!("{count} {what} that {name} had {done} before it ended were taken from its {from}");
            self.verdict.notes.push(note);
        }
    }

    /// What was saved from the maps of processes that are gone. Of a living one, the open units say enough.
    pub(super) fn unflushed(&mut self, facts: &Facts, ledger: &RunLedger) {
        for file in &ledger.damaged_maps {
            let (name, alive) = facts.writers.get(file).map_or((file.as_str(), None), |(n, a)| (n, *a));
            // A living process may be writing into it.
            if alive != Some(true) {
                self.lower(
                    Status::Partial,
                    format!("data lost: the memory map of {name} is damaged: lines may be missing that it executed last"),
                );
            }
        }
        for Unflushed { writer, .. } in &ledger.unflushed {
            if !facts.writers.contains_key(writer) {
                self.wait_for(format!(
                    "data lost: the ledger {writer} is gone: a memory map of its process is here, and not empty"
                ));
            }
        }
        for Unflushed { writer, lines, entered } in &ledger.unflushed {
            let Some((name, Some(false))) = facts.writers.get(writer) else { continue };
            self.saved(lines, ("line", "lines"), (name, "executed"), "memory map");
            self.saved(entered, ("function", "functions"), (name, "entered in its steps"), "memory map");
        }
    }
}
