//! Two profiles at once through the user's own server: are their lines kept apart?

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use playtrace_ledger::judge::judge;
use playtrace_ledger::{Layout, RunLedger};
use playtrace_model::{RunToken, Slug};
use playtrace_replay::{ProbeTrace, Prober};
use tokio::task::JoinSet;
use url::Url;

use super::finding::{Check, Finding};
use super::overlap::{Compared, Executed, Lines, compare, overlapping};
use super::web::without_app;
use super::{Asked, Facts, SLUGS};
use crate::messages::Failure;
use crate::own_runs::OwnRuns;

/// So many requests of a profile at once.
const AT_ONCE: u32 = 6;
/// Requests are short: they are sent again until some were under way together.
const ROUNDS: u32 = 8;
/// For the records of requests that were answered.
const PATIENCE: Duration = Duration::from_secs(5);

/// A page, and whose session asks for it.
struct Page {
    url: Url,
    prober: Prober,
}

/// `probe.concurrency`.
pub(super) async fn check(asked: &Asked, facts: &Facts, left: &mut OwnRuns) -> Result<Finding, Failure> {
    let check = Check::ProbeConcurrency;
    let Some(app) = facts.answers() else { return Ok(check.not_checked(without_app(facts))) };
    if app.traced() == 0 {
        return Ok(
            check.not_checked("no answer says that it was traced (web.toggle, header.arrives, web.traces)")
        );
    }
    if facts.strays > 0 {
        return Ok(check.not_checked(
            "requests come without their run, so that their lines can't be told apart (header.run)",
        ));
    }
    if !facts.has_directory || super::requests(&facts.probed) == 0 {
        return Ok(check.not_checked("what is traced can't be seen from here (directory.same)"));
    }
    let nobody = asked.base.clone().map(|base| Prober::new(base, asked.preset.clone())).transpose()?;
    let nobody = nobody.map(|prober| prober.signing(asked.trace_key.clone()));
    let login_page = app.prober.login_page()?;
    let page = |path: &str| -> Result<Page, Failure> {
        let url = app.prober.page(path)?;
        // Whoever is logged in may be sent away from the log-in page.
        let prober = nobody.clone().filter(|_| login_page.as_ref() == Some(&url));
        Ok(Page { prober: prober.unwrap_or_else(|| app.prober.clone()), url })
    };
    let pages = [page(&asked.paths[0])?, page(&asked.paths[1])?];
    let mut probe = Probe { layout: &facts.layout, pages: &pages, left };
    match probe.run().await {
        Ok(probed) => Ok(judged(check, &pages, &probed)),
        Err(Stop::Failure(failure)) => Err(failure),
        Err(Stop::Untraced(why)) => Ok(check.failed(
            why,
            "look at the checks above and at the app's log; name two other pages with --probe-path if these can't be asked for",
        )),
    }
}

/// What the probe saw.
struct Probed {
    executed: [Executed; 2],
    anywhere: usize,
    within: usize,
    requests: u32,
}

/// Why a probe did not come to its end.
enum Stop {
    Failure(Failure),
    /// An answer was not traced, or did not come; a sentence.
    Untraced(String),
}

impl<E: Into<Failure>> From<E> for Stop {
    fn from(error: E) -> Self {
        Self::Failure(error.into())
    }
}

struct Probe<'a> {
    layout: &'a Layout,
    pages: &'a [Page; 2],
    left: &'a mut OwnRuns,
}

impl Probe<'_> {
    async fn run(&mut self) -> Result<Probed, Stop> {
        // What only the first request of a process executes is nothing to compare.
        self.ask(&[0, 1], 2).await?;
        let mut executed = [Executed::default(), Executed::default()];
        for (number, executed) in executed.iter_mut().enumerate() {
            executed.before = lines(&self.alone(number).await?);
        }
        let (mut anywhere, mut within, mut requests) = (0, 0, 0);
        for _ in 0..ROUNDS {
            let runs = self.ask(&[0, 1], 1).await?;
            requests += AT_ONCE;
            let ledgers = [self.settled(&runs[0]).await?, self.settled(&runs[1]).await?];
            for (executed, ledger) in executed.iter_mut().zip(&ledgers) {
                for (path, more) in lines(ledger) {
                    executed.both.entry(path).or_default().union_with(&more);
                }
            }
            let (more, more_within) = overlapping(&ledgers[0], &ledgers[1]);
            (anywhere, within) = (anywhere + more, within + more_within);
            if within > 0 {
                break;
            }
        }
        for (number, executed) in executed.iter_mut().enumerate() {
            executed.after = lines(&self.alone(number).await?);
        }
        Ok(Probed { executed, anywhere, within, requests })
    }

    async fn alone(&mut self, number: usize) -> Result<RunLedger, Stop> {
        let runs = self.ask(&[number], 2).await?;
        self.settled(&runs[0]).await
    }

    /// Asks for these pages at once, each for a new run of its profile; so many times over.
    async fn ask(&mut self, numbers: &[usize], times: u32) -> Result<Vec<(Slug, RunToken)>, Stop> {
        let mut runs = Vec::new();
        for number in numbers {
            runs.push(self.left.begin(SLUGS[*number])?);
        }
        for time in 0..times {
            let mut asking = JoinSet::new();
            for step in 1..=AT_ONCE {
                for (number, (slug, run)) in numbers.iter().zip(&runs) {
                    let page = &self.pages[*number];
                    let (prober, url) = (page.prober.clone(), page.url.clone());
                    let trace =
                        ProbeTrace { slug: slug.clone(), run: run.clone(), step: time * AT_ONCE + step };
                    asking.spawn(async move { prober.get(&url, Some(&trace)).await });
                }
            }
            for reply in asking.join_all().await {
                let reply = reply.map_err(|error| Stop::Untraced(error.to_string()))?;
                if reply.trace.as_deref() != Some("on") {
                    let said = reply.trace.as_deref().unwrap_or("nothing about tracing");
                    let why = format!("{} answers {} and says {said}", reply.url, reply.status);
                    return Err(Stop::Untraced(why));
                }
            }
        }
        Ok(runs)
    }

    /// A run's records, once nothing is under way any more.
    async fn settled(&self, (slug, run): &(Slug, RunToken)) -> Result<RunLedger, Stop> {
        let begun = Instant::now();
        loop {
            let ledger = RunLedger::read(self.layout, slug, run)?;
            let pending = judge(&ledger, &BTreeSet::new()).pending;
            if pending.is_empty() {
                return Ok(ledger);
            }
            if begun.elapsed() > PATIENCE {
                let what: Vec<String> = pending.into_iter().map(|pending| pending.reason).collect();
                return Err(Stop::Untraced(format!(
                    "not recorded within {} s: {}",
                    PATIENCE.as_secs(),
                    what.join("; ")
                )));
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

/// A run's lines, those of imports apart.
fn lines(ledger: &RunLedger) -> Lines {
    judge(ledger, &BTreeSet::new()).lines.lines_by_file(|context| context.as_str() != "import")
}

fn judged(check: Check, pages: &[Page; 2], probed: &Probed) -> Finding {
    let path = |number: usize| pages[number].url.path();
    let (one, other) = (path(0), path(1));
    let Probed { executed, anywhere, within, requests } = probed;
    match compare(&probed.executed) {
        Compared::Alike => check.not_checked(format!(
            "{one} and {other} execute the same lines: name two pages that do different things (--probe-path, twice)"
        )),
        Compared::Mixed(number, file, line) => check.failed(
            format!(
                "{file}:{line} was credited to {}, which does not execute it alone, and {} does",
                path(number),
                path(1 - number)
            ),
            "profiles are mixed up in this server: replay one at a time, and report it with the server's kind (threads, greenlets) and version",
        ),
        Compared::Lost(number, file, line) => check.failed(
            format!("{file}:{line} is executed by {} alone, and was not recorded while {} ran beside it", path(number), path(1 - number)),
            "lines are lost in this server: replay one profile at a time, and report it with the server's kind (threads, greenlets) and version",
        ),
        Compared::Apart(_) if *anywhere == 0 => check.not_checked(format!(
            "the server never had two of {requests} pairs of requests under way at once: pages that take longer may (--probe-path, twice)"
        )),
        Compared::Apart(own) => {
            let inside = if *within > 0 { format!("{within} of them in one process") } else { "none of them in one process".to_owned() };
            check.ok(format!(
                "{one} ({} lines, {} its own) and {other} ({}, {}) keep their lines apart: {anywhere} pairs of requests overlapped, {inside}",
                executed[0].count(),
                own[0],
                executed[1].count(),
                own[1]
            ))
        }
    }
}
