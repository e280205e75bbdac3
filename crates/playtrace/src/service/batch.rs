//! Many profiles, one after the other or several at once: replayed, retried where that may help, merged, collected.

mod collect;
mod select;

use std::fmt::Write as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use playtrace_model::{Slug, Status};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

pub use self::select::{Selection, select};
use super::api::{RunBody, RunResult};
use super::client::{ServiceClient, exit_of};
use super::console::Console;
use super::engine::prepare;
use super::settings::Settings;
use crate::exit::Exit;
use crate::messages::Failure;

/// Who replays.
#[derive(Debug, Clone)]
pub enum Runner {
    /// The service.
    Service(ServiceClient),
    /// This process.
    Here(Box<Settings>),
}

/// What a batch is to do.
#[derive(Debug, Clone)]
pub struct Batch {
    /// Who replays.
    pub runner: Runner,
    /// What each run is asked for.
    pub body: RunBody,
    /// The folder that contains the profiles, as this process sees it.
    pub profiles_root: PathBuf,
    /// The directory of the shards, as this process sees it; it need not exist.
    pub shards: PathBuf,
    /// Where the merged files go.
    pub artifacts: PathBuf,
    /// How often a profile is tried again.
    pub retries: u32,
    /// How many profiles are replayed at once.
    pub jobs: usize,
}

/// A line of the table.
#[derive(Debug)]
pub struct Row {
    /// The profile.
    pub slug: Slug,
    /// The verdict, or a word for what happened instead.
    pub verdict: String,
    /// Requests that were sent.
    pub requests: usize,
    /// Jobs that ran.
    pub jobs: usize,
    /// How often it was tried.
    pub attempts: u32,
    /// How this profile alone would end the program.
    pub exit: Exit,
    /// The merged file, or why there is none.
    pub outcome: Result<Option<PathBuf>, Failure>,
}

impl Batch {
    /// Replays the profiles; the rows are in their order.
    pub async fn run(self, slugs: &[Slug], console: &Console) -> Vec<Row> {
        let (slots, batch) = (Arc::new(Semaphore::new(self.jobs.max(1))), Arc::new(self));
        let mut tasks = JoinSet::new();
        for (index, slug) in slugs.iter().cloned().enumerate() {
            let (batch, slots) = (Arc::clone(&batch), Arc::clone(&slots));
            let console =
                if batch.jobs > 1 { console.with_prefix(format!("{slug} | ")) } else { console.clone() };
            tasks.spawn(async move {
                // The semaphore is fair and never closed: profiles begin in their order.
                let _slot = slots.acquire().await;
                (index, batch.one(slug, &console).await)
            });
        }
        let mut rows = Vec::new();
        while let Some(ended) = tasks.join_next().await {
            match ended {
                Ok(row) => rows.push(row),
                // A bug in one profile's replay; its row is missing from the table, and the panic is on stderr.
                Err(error) => console.context(&format!("a replay was broken off: {error}")),
            }
        }
        rows.sort_by_key(|(index, _)| *index);
        rows.into_iter().map(|(_, row)| row).collect()
    }

    async fn one(&self, slug: Slug, console: &Console) -> Row {
        let mut row = Row {
            slug: slug.clone(),
            verdict: "not run".to_owned(),
            requests: 0,
            jobs: 0,
            attempts: 0,
            exit: Exit::Failed,
            outcome: Ok(None),
        };
        let mut best: Option<Status> = None;
        loop {
            row.attempts += 1;
            if !self.body.dry_run
                && let Err(failure) = collect::clean_shards(&self.shards, &slug)
            {
                return row.failed(failure);
            }
            let again = match self.attempt(&slug, console).await {
                Ok(None) => {
                    (row.verdict, row.exit) = ("planned".to_owned(), Exit::Success);
                    return row;
                }
                Ok(Some(result)) => {
                    let status = result.verdict.as_ref().map(|verdict| verdict.status);
                    if best.is_none() || status < best {
                        best = status;
                        self.take(&mut row, &result, console).await;
                    }
                    result.is_flaky() || status == Some(Status::Partial) || row.exit == Exit::Unreachable
                }
                Err(failure) => {
                    let again = failure.exit == Exit::Unreachable;
                    // A worse attempt doesn't take a better one's result away.
                    if best.is_none() {
                        row = row.failed(failure);
                    }
                    again
                }
            };
            if !again || row.attempts > self.retries {
                return row;
            }
            console.log(&format!("trying again ({} of {})", row.attempts, self.retries));
            // What was in the way (a restart, mostly) needs a moment; each time a longer one.
            tokio::time::sleep(Duration::from_secs(u64::from(row.attempts.min(10)))).await;
        }
    }

    /// Takes an attempt's result into the row, and its merged file to the artifacts.
    async fn take(&self, row: &mut Row, result: &RunResult, console: &Console) {
        result.word().clone_into(&mut row.verdict);
        (row.requests, row.jobs, row.exit) =
            (result.requests.len(), result.job_count, exit_of(result.exit_code));
        row.outcome = Ok(None);
        if result.outcome == "aborted" {
            let why = result.error.clone().unwrap_or_else(|| "the run was broken off".to_owned());
            "aborted".clone_into(&mut row.verdict);
            row.outcome = Err(Failure::new(row.exit, "PT-BATCH-001", why));
            return;
        }
        let (batch, slug, result) = (self.clone(), row.slug.clone(), result.clone());
        let collected = tokio::task::spawn_blocking(move || collect::collect(&batch, &slug, &result)).await;
        match collected.map_err(|error| Failure::new(Exit::Io, "PT-BATCH-002", error.to_string())).flatten() {
            Ok(collected) => {
                if let Some(merged) = collected.verdict {
                    // The service could not see the shards; this process could.
                    merged.as_str().clone_into(&mut row.verdict);
                    row.exit = collected.exit;
                }
                for note in collected.notes {
                    console.log(&note);
                }
                console.log(&format!("saved {}", collected.path.display()));
                row.outcome = Ok(Some(collected.path));
            }
            Err(failure) => {
                row.exit = row.exit.max(failure.exit);
                row.outcome = Err(failure);
            }
        }
    }

    async fn attempt(&self, slug: &Slug, console: &Console) -> Result<Option<RunResult>, Failure> {
        match &self.runner {
            Runner::Service(service) => service.run(slug.as_str(), &self.body, console).await,
            Runner::Here(settings) => {
                let prepared = prepare(settings, slug.as_str(), self.body.clone())?;
                let ended = prepared.run(console).await;
                Ok(Some(RunResult::from(&ended.summary)).filter(|_| !ended.summary.dry_run))
            }
        }
    }
}

impl Row {
    fn failed(mut self, failure: Failure) -> Self {
        "not run".clone_into(&mut self.verdict);
        self.exit = failure.exit;
        self.outcome = Err(failure);
        self
    }
}

/// How the program ends after these rows: as the worst of them.
pub fn worst(rows: &[Row]) -> Exit {
    // A failed verdict says most; what was not even tried comes next; missing data last.
    let rank = |exit: Exit| match exit {
        Exit::Success => 0,
        Exit::Partial => 1,
        Exit::Failed => 3,
        _ => 2,
    };
    rows.iter().map(|row| row.exit).max_by_key(|exit| rank(*exit)).unwrap_or(Exit::Success)
}

/// The table, aligned, with what went wrong below it.
pub fn table(rows: &[Row]) -> String {
    let heads = ["profile", "verdict", "requests", "jobs", "attempts"].map(str::to_owned);
    let cells = |row: &Row| {
        [
            row.slug.to_string(),
            row.verdict.clone(),
            row.requests.to_string(),
            row.jobs.to_string(),
            row.attempts.to_string(),
        ]
    };
    let lines: Vec<[String; 5]> = std::iter::once(heads).chain(rows.iter().map(cells)).collect();
    let width = |column: usize| lines.iter().map(|line| line[column].chars().count()).max().unwrap_or(0);
    let widths: [usize; 5] = std::array::from_fn(width);
    let mut text = String::new();
    for line in &lines {
        let cells: Vec<String> = line
            .iter()
            .zip(widths)
            .enumerate()
            // Names to the left, numbers to the right.
            .map(
                |(column, (cell, width))| {
                    if column < 2 { format!("{cell:<width$}") } else { format!("{cell:>width$}") }
                },
            )
            .collect();
        text.push_str(cells.join("  ").trim_end());
        text.push('\n');
    }
    for row in rows {
        if let Err(failure) = &row.outcome {
            // Writing to a String can't fail.
            let _ = writeln!(text, "{}: error[{}]: {}", row.slug, failure.code, failure.message);
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(slug: &str, verdict: &str, exit: Exit) -> Row {
        let slug = Slug::parse(slug).unwrap();
        Row { slug, verdict: verdict.to_owned(), requests: 27, jobs: 4, attempts: 1, exit, outcome: Ok(None) }
    }

    #[test]
    fn the_worst_row_decides() {
        let rows = |exits: &[Exit]| exits.iter().map(|exit| row("a", "x", *exit)).collect::<Vec<_>>();
        assert_eq!(worst(&rows(&[])), Exit::Success);
        assert_eq!(worst(&rows(&[Exit::Success, Exit::Partial])), Exit::Partial);
        assert_eq!(worst(&rows(&[Exit::Partial, Exit::Unreachable, Exit::Success])), Exit::Unreachable);
        assert_eq!(worst(&rows(&[Exit::Failed, Exit::Unreachable])), Exit::Failed);
    }

    #[test]
    fn the_table_is_aligned() {
        let mut lost = row("b", "not run", Exit::Unreachable);
        lost.outcome = Err(Failure::new(Exit::Unreachable, "PT-PLAY-001", "gone"));
        insta::assert_snapshot!(table(&[row("legacy-palouse", "complete", Exit::Success), lost]), @r"
        profile         verdict   requests  jobs  attempts
        legacy-palouse  complete        27     4         1
        b               not run         27     4         1
        b: error[PT-PLAY-001]: gone
        ");
    }
}
