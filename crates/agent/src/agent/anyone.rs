//! Real traffic: which functions the work of no profile enters, a shard a process and day.
//!
//! What was entered stands in memory, at most one entry a code object, and is written whole: a shard that somebody took away, or a
//! fault of the disk, costs nothing but another try.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use jiff::tz::TimeZone;
use playtrace_covdata::CovdataError;
use playtrace_covdata::shard::{ANYONE, Sources as Hashes, TrafficNews, add_traffic};
use playtrace_ledger::ProcessId;
use playtrace_ledger::shared::make_directory;
use playtrace_tracer::{FileLines, Rearm, Tracer};

use super::Agent;
use super::by_route::Sample;
use crate::due;
use crate::error::AgentError;
use crate::routes::{Budget, Routes};
use crate::run::{Draft, Place, now};
use crate::sources::Sources;

/// The clock is looked at so often at most.
const LOOK_AGAIN: Duration = Duration::from_millis(500);
/// What is new is written after this time; after each time, the next one is longer: most is entered by the first requests.
const FIRST: Duration = Duration::from_secs(5);
const LONGEST: Duration = Duration::from_mins(2);

/// Milliseconds.
const DAY: u64 = 24 * 60 * 60 * 1000;

/// What is recorded of real traffic.
#[derive(Debug)]
pub(crate) struct Anyone {
    /// Whose shard it is: of a process and of those that it forks.
    owner: ProcessId,
    /// Days since 1970-01-01, UTC; `None` before the first request.
    pub(super) day: Option<u64>,
    /// When the clock was looked at.
    looked: Instant,
    written: Instant,
    pause: Duration,
    /// Something waits to be written.
    news: bool,
    /// The day's shard that has what was written.
    shard: Option<String>,
    pub(super) routes: Routes,
    pub(super) sample: Option<Sample>,
    /// How many there were.
    pub(super) samples: u64,
    /// Faults that were said.
    said: BTreeSet<String>,
    /// A moment that tests have the process take for now, in milliseconds since 1970.
    pretended: Option<u64>,
}

impl Anyone {
    pub(crate) fn new() -> Self {
        let now = Instant::now();
        Self {
            owner: ProcessId::current(),
            day: None,
            looked: now,
            written: now,
            pause: FIRST,
            news: false,
            shard: None,
            routes: Routes::new(now),
            sample: None,
            samples: 0,
            said: BTreeSet::new(),
            pretended: None,
        }
    }

    fn now(&self) -> u64 {
        self.pretended.unwrap_or_else(now)
    }

    /// Writes what was entered on a day.
    fn write(
        &mut self,
        day: u64,
        place: &Place,
        tracer: &mut Tracer,
        sources: &Sources,
        draft: &mut Draft,
    ) -> Result<(), AgentError> {
        self.news |= tracer.anyone_has_news() || self.routes.has_news();
        if !self.news {
            return Ok(());
        }
        self.written = Instant::now();
        self.pause = (self.pause * 2).min(LONGEST);
        let directory = directory_of(&place.directory, day);
        make_directory(&directory).map_err(|source| CovdataError::Io {
            action: "make",
            path: directory.clone(),
            source,
        })?;
        let entered = tracer.anyones();
        let ProcessId { host, pid, start } = &self.owner;
        let ended = |pid: u32| !Path::new(&format!("/proc/{pid}")).exists();
        let owner = (host.as_str(), *pid, *start);
        let news = TrafficNews {
            data: &self.data(sources, &entered, &self.routes.news()),
            known_by: self.shard.as_deref(),
            whole: &|| self.data(sources, &entered, &self.routes.whole()),
            sources: &hashes(sources, &entered),
        };
        let shard = add_traffic(draft.get()?, &directory, owner, &news, ended)?;
        self.shard = Some(shard);
        self.news = false;
        self.routes.forget_news();
        Ok(())
    }
}

/// The directory of a day's shards.
fn directory_of(coverage: &Path, day: u64) -> PathBuf {
    let midnight = i64::try_from(day * DAY).ok().and_then(|moment| Timestamp::from_millisecond(moment).ok());
    let date = midnight.unwrap_or_default().to_zoned(TimeZone::UTC).date();
    coverage.join(ANYONE).join(date.to_string())
}

fn hashes(sources: &Sources, entered: &FileLines) -> Hashes {
    let known = |file| Some((sources.path(file).clone(), sources.hash(file)?.clone()));
    entered.keys().filter_map(|file| known(*file)).collect()
}

impl Agent {
    /// Records real traffic from the first request on.
    pub(crate) fn record_anyone(&mut self) {
        self.anyone = Some(Anyone::new());
        due::TRAFFIC.set_now();
    }

    /// Whether real traffic is recorded.
    pub(crate) fn records_anyone(&self) -> bool {
        self.anyone.is_some()
    }

    /// It can't be recorded in this process.
    pub(crate) fn give_anyone_up(&mut self) {
        self.anyone = None;
        due::TRAFFIC.set_never();
    }

    /// In a forked child: what waits is the parent's to write.
    pub(super) fn fork_anyone(&mut self) {
        if let Some(anyone) = &mut self.anyone {
            anyone.news = false;
            anyone.sample = None;
            anyone.routes.forget_news();
            anyone.routes.budget.begin_empty(Instant::now());
        }
    }

    /// Whether the first request of real traffic has yet to come.
    pub(crate) fn awaits_anyone(&self) -> bool {
        self.anyone.as_ref().is_some_and(|anyone| anyone.day.is_none())
    }

    /// A request or job that belongs to no profile begins. Answers with the code objects to arm.
    #[inline]
    pub(crate) fn meet_anyone(&mut self) -> Result<Rearm, AgentError> {
        let rearm = match &mut self.anyone {
            Some(anyone) if anyone.day.is_none() || anyone.looked.elapsed() >= LOOK_AGAIN => {
                self.look_at_day()
            }
            _ => Ok(Vec::new()),
        };
        if let Some(anyone) = self.anyone.as_ref().filter(|anyone| anyone.day.is_some()) {
            due::TRAFFIC.set(anyone.looked + LOOK_AGAIN);
        }
        rearm
    }

    fn look_at_day(&mut self) -> Result<Rearm, AgentError> {
        self.end_sample_after(super::by_route::LONGEST);
        let Some(anyone) = &mut self.anyone else { return Ok(Vec::new()) };
        anyone.looked = Instant::now();
        let today = anyone.now() / DAY;
        match anyone.day {
            None => {
                // Without a free slot, the next request asks again.
                let Some(rearm) = self.tracer.begin_anyone() else { return Ok(Vec::new()) };
                anyone.day = Some(today);
                anyone.written = anyone.looked;
                Ok(rearm)
            }
            Some(day) if day != today => {
                let written = self.write_anyone();
                if let Some(anyone) = &mut self.anyone {
                    // What could not be written is that day's loss.
                    (anyone.day, anyone.pause, anyone.news) = (Some(today), FIRST, false);
                    anyone.shard = None;
                    anyone.routes.renew();
                }
                let rearm = self.tracer.renew_anyone();
                written.map(|()| rearm)
            }
            Some(_) if anyone.written.elapsed() >= anyone.pause => self.write_anyone().map(|()| Vec::new()),
            Some(_) => Ok(Vec::new()),
        }
    }

    /// Writes what is new of real traffic.
    pub(crate) fn write_anyone(&mut self) -> Result<(), AgentError> {
        let Self { anyone: Some(anyone), tracer, sources, draft, place: Some(place), .. } = self else {
            return Ok(());
        };
        let Some(day) = anyone.day else { return Ok(()) };
        let result = anyone.write(day, place, tracer, sources, draft);
        match result {
            // Each is said once; the next try is not far.
            Err(error) if !anyone.said.insert(error.to_string()) => Ok(()),
            other => other,
        }
    }

    /// Has the process take a moment for now. What was spent on samples has been paid for by then.
    pub(crate) fn pretend(&mut self, moment: Option<u64>) {
        if let Some(anyone) = &mut self.anyone {
            anyone.pretended = moment;
            anyone.routes.budget = Budget::new(Instant::now());
            anyone.looked = Instant::now().checked_sub(LOOK_AGAIN).unwrap_or(anyone.looked);
            anyone.written = anyone.written.checked_sub(LONGEST).unwrap_or(anyone.written);
            due::TRAFFIC.set_now();
        }
    }
}
