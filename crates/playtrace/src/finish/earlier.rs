//! What earlier merges of the same run came to: a later one starts from there, so that it can only add.
//!
//! A run may be merged as often as one likes. In the meantime its shards may have been removed (merges do it) and its ledger
//! harmed; what is left of them then proves less than was proven before. So the data is the union, and the verdict of an earlier
//! merge stands for as long as nothing speaks against it but that its ledger is gone.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use playtrace_covdata::merge::{FileLines, Found, Gathering};
use playtrace_ledger::RunLedger;
use playtrace_model::{LineBits, MeasuredPath, RunToken, Status, Verdict};

use super::VerdictFile;
use super::kind::Kind;
use super::place::{clear, other_places};
use super::standing::Standing;
use super::steps_file::{Steps, steps_path_of};
use crate::messages::Failure;

/// One of them.
#[derive(Debug)]
struct Merge {
    data_file: PathBuf,
    /// What was found in it, when it has been gathered.
    found: Found,
    /// None where nothing vouches for the data: the merge was broken off, say.
    verdict: Option<VerdictFile>,
}

/// All that can be found.
#[derive(Debug, Default)]
pub(super) struct Earlier {
    merges: Vec<Merge>,
    /// Files of the ledger that a verdict rests on, and that don't hold it any more.
    gone: BTreeSet<String>,
}

impl Earlier {
    /// Looks for data of `run` at its usual place and at the others.
    pub(super) fn find(usual: &Path, run: &RunToken, ledger: &RunLedger) -> Result<Self, Failure> {
        let mut found = Self::default();
        for data_file in std::iter::once(usual.to_owned()).chain(other_places(usual, run)) {
            let merge = match Standing::at(&data_file)? {
                Standing::Known(verdict) if verdict.run == *run => {
                    Merge { data_file, found: Found::default(), verdict: Some(*verdict) }
                }
                Standing::Unvouched(Some(of), _) if of == *run => {
                    Merge { data_file, found: Found::default(), verdict: None }
                }
                _ => continue,
            };
            let gone: Vec<String> = merge.verdict.iter().flat_map(|verdict| gone(verdict, ledger)).collect();
            // All runs without a token have one name. What rests on another ledger is another run.
            if run.is_untokened() && (merge.verdict.is_none() || !gone.is_empty()) {
                continue;
            }
            found.gone.extend(gone);
            found.merges.push(merge);
        }
        Ok(found)
    }

    /// The files that hold the run's data already.
    pub(super) fn data_files(&self) -> impl Iterator<Item = &Path> {
        self.merges.iter().map(|merge| merge.data_file.as_path())
    }

    /// Puts their data with the rest.
    pub(super) fn gather(&mut self, gathering: &mut Gathering) -> Result<(), Failure> {
        // What is vouched for comes last: its plug-ins count.
        self.merges.sort_by_key(|merge| merge.verdict.is_some());
        for merge in &mut self.merges {
            merge.found = gathering.add_file(&merge.data_file)?;
        }
        Ok(())
    }

    /// What their data is together with `other`, that which a verdict vouches for or the other; `None` if lines and branches
    /// would have to be mixed.
    pub(super) fn kind(&self, other: Kind, vouched: bool) -> Option<Kind> {
        self.those(vouched).try_fold(other, |kind, merge| kind.with(merge.found.has_arcs.into()))
    }

    /// Adds the lines of that data to `lines`.
    pub(super) fn add_lines(&self, lines: &mut FileLines, vouched: bool) {
        self.those(vouched).for_each(|merge| unite(lines, &merge.found.lines));
    }

    fn those(&self, vouched: bool) -> impl Iterator<Item = &Merge> {
        self.merges.iter().filter(move |merge| merge.verdict.is_some() == vouched)
    }

    /// Makes of the verdict on what lies here now the one on what was merged altogether. `fresh` are the lines that lie here.
    pub(super) fn weigh(&self, now: &mut VerdictFile, fresh: &FileLines, ledger: &RunLedger) {
        if self.gone.is_empty() {
            // Ledgers only grow: what they prove now includes what they proved then.
            return;
        }
        let verdicts = self.merges.iter().filter_map(|merge| merge.verdict.as_ref());
        let Some(best) = verdicts.clone().min_by_key(|verdict| verdict.verdict.status) else { return };
        let names: Vec<&str> = self.gone.iter().map(String::as_str).collect();
        let gone = format!("the ledger {} of the run, which an earlier merge had read,", names.join(", "));
        let news = self.is_news(fresh, best, ledger);
        now.verdict = if news { both(&best.verdict, &now.verdict, &gone) } else { stands(best, &gone) };
        if !news {
            now.granularity = best.granularity;
        }
        for verdict in verdicts {
            now.requests = now.requests.max(verdict.requests);
            now.jobs = now.jobs.max(verdict.jobs);
            now.ended = now.ended.max(verdict.ended);
            for (path, hash) in &verdict.sources {
                match now.sources.get(path) {
                    Some(other) if other != hash => {
                        now.mixed_sources.insert(path.clone());
                        let reason = format!("{path} was loaded with 2 different contents");
                        now.verdict.lower(Status::Stale, reason);
                    }
                    _ => drop(now.sources.insert(path.clone(), hash.clone())),
                }
            }
            now.mixed_sources.extend(verdict.mixed_sources.iter().cloned());
            // What is gone stays gone, however far a file of the same name will go.
            let gone = verdict.ledger.iter().filter(|(file, _)| self.gone.contains(*file));
            now.ledger.extend(gone.map(|(file, extent)| (file.clone(), extent.clone())));
        }
        for path in &now.mixed_sources {
            now.sources.remove(path);
        }
    }

    /// Whether there is anything here that the merge behind `best` had not seen.
    fn is_news(&self, fresh: &FileLines, best: &VerdictFile, ledger: &RunLedger) -> bool {
        let records = ledger.extents().into_iter().any(|(file, now)| {
            best.ledger.get(&file).is_none_or(|then| now.first != then.first || now.records > then.records)
        });
        let mut known = FileLines::new();
        self.add_lines(&mut known, true);
        records || self.kind(Kind::Nothing, true).is_none() || !lines_missing(fresh, &known).is_empty()
    }

    /// Adds the steps that those merges knew of, where their ledger can't tell any more.
    pub(super) fn add_steps(&self, steps: &mut Steps, run: &RunToken) {
        for merge in self.merges.iter().filter(|_| !self.gone.is_empty()) {
            steps.add_those_beside(&steps_path_of(&merge.data_file), run);
        }
    }

    /// Removes what stands elsewhere than in `data_file`, which has all of it.
    pub(super) fn clear_others(&self, data_file: &Path) {
        for merge in self.merges.iter().filter(|merge| merge.data_file != data_file) {
            clear(&merge.data_file);
        }
    }
}

fn gone(verdict: &VerdictFile, ledger: &RunLedger) -> Vec<String> {
    let holds = |file: &String, extent| {
        ledger.writers.iter().any(|writer| writer.file == *file && writer.holds(extent))
    };
    let lost = verdict.ledger.iter().filter(|(file, extent)| !holds(file, extent));
    lost.map(|(file, _)| file.clone()).collect()
}

/// Nothing is new: what was proven was proven.
fn stands(best: &VerdictFile, gone: &str) -> Verdict {
    let mut verdict = best.verdict.clone();
    let note = format!("{gone} is not here any more, or was harmed; what that merge had found stands");
    if !verdict.notes.contains(&note) {
        verdict.notes.push(note);
    }
    verdict
}

/// Something was added, and what there was to be proven about it may have gone with the ledger.
fn both(then: &Verdict, now: &Verdict, gone: &str) -> Verdict {
    let mut verdict = then.clone();
    verdict.status = then.status.max(now.status);
    for (mine, theirs) in [(&mut verdict.reasons, &now.reasons), (&mut verdict.notes, &now.notes)] {
        let new: Vec<String> = theirs.iter().filter(|text| !mine.contains(text)).cloned().collect();
        mine.extend(new);
    }
    let reason = format!("data lost: {gone} is not here any more, or was harmed, and more was traced since");
    if !verdict.reasons.contains(&reason) {
        verdict.lower(Status::Partial, reason);
    }
    verdict
}

/// Adds lines to others.
pub(super) fn unite(lines: &mut FileLines, more: &FileLines) {
    for (path, more) in more {
        match lines.get_mut(path) {
            Some(lines) => lines.union_with(more),
            None => _ = lines.insert(path.clone(), more.clone()),
        }
    }
}

/// How many lines of each file `known` does not have. Contexts don't matter: a merge may rename them.
pub(super) fn lines_missing(lines: &FileLines, known: &FileLines) -> Vec<(MeasuredPath, usize)> {
    let count = |(path, lines): (&MeasuredPath, &LineBits)| {
        let count = known.get(path).map_or_else(|| lines.len(), |known| lines.difference(known).len());
        (count > 0).then(|| (path.clone(), count))
    };
    lines.iter().filter_map(count).collect()
}
