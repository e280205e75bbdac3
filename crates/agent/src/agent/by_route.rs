//! Real traffic by route: requests are counted, now and then one is a sample, and what is entered is noted for its route.

use std::time::{Duration, Instant};

use playtrace_covdata::shard::{anyones_label, label_of_route};
use playtrace_model::LineData;
use playtrace_tracer::{CodeId, Entry, FileLines, Rearm, Way};

use super::Agent;
use super::anyone::Anyone;
use crate::route::RouteObject;
use crate::routes::{ByRoute, Number, Routes};
use crate::sources::Sources;

/// A request that lasts longer (a websocket, a stream) is a sample for so long.
pub(super) const LONGEST: Duration = Duration::from_secs(1);

/// The sample that is taken.
#[derive(Debug)]
pub(super) struct Sample {
    number: u64,
    began: Instant,
}

impl Anyone {
    /// What is written of a moment's routes, and of everything that was entered.
    pub(super) fn data(&self, sources: &Sources, entered: &FileLines, by_route: &ByRoute) -> LineData {
        let (mut data, label) = (LineData::new(), anyones_label());
        for (file, lines) in entered {
            data.add(&label, sources.path(*file), lines);
        }
        for ((route, file), lines) in by_route {
            let label = label_of_route(self.routes.name(*route));
            data.add(&label, sources.path(*file), &lines.iter().copied().collect());
        }
        data
    }
}

impl Agent {
    /// The number of a route, and whether it is its own; `None` where real traffic is not recorded.
    pub(crate) fn route(&mut self, name: &str) -> Option<(Number, bool)> {
        self.routes().map(|routes| routes.number(name))
    }

    fn routes(&mut self) -> Option<&mut Routes> {
        self.anyone.as_mut().map(|anyone| &mut anyone.routes)
    }

    /// A request of a route begins; says whether it is to be a sample, and can be one.
    #[inline]
    pub(crate) fn count_route(&mut self, route: Number) -> bool {
        // Before recording has begun, there is nothing to be seen.
        let recorded = self.anyone.as_mut().filter(|anyone| anyone.day.is_some());
        recorded.is_some_and(|anyone| anyone.routes.count(route)) && self.may_sample(route)
    }

    /// Counts a request of a route that begins, unless it is to be a sample, and can be one: says whether it was counted.
    #[inline]
    pub(crate) fn count_unless_sampled(&mut self, route: Number) -> bool {
        let recorded = self.anyone.as_mut().filter(|anyone| anyone.day.is_some());
        let Some(anyone) = recorded else { return true };
        if !anyone.routes.is_due(route) {
            anyone.routes.count(route);
            return true;
        }
        if self.may_sample(route) {
            return false;
        }
        if let Some(routes) = self.routes() {
            routes.count(route);
            routes.owe(route);
        }
        true
    }

    /// Where many samples are owed, every request asks.
    fn may_sample(&mut self, route: Number) -> bool {
        let Self { anyone: Some(anyone), tracer, .. } = self else { return false };
        let lasts = anyone.sample.as_ref().map(|sample| sample.began.elapsed());
        let busy = lasts.is_some_and(|lasts| lasts < LONGEST);
        let wants = if lasts.is_some() { Some(0) } else { tracer.sample_wants() };
        let can = !busy && wants.is_some_and(|codes| anyone.routes.budget.has(codes, Instant::now()));
        if !can {
            anyone.routes.owe(route);
        }
        can
    }

    /// Makes it one, if that can be: its number, and the code objects to arm.
    pub(crate) fn begin_sample(&mut self, route: Number) -> Option<(u64, Rearm)> {
        let now = Instant::now();
        self.end_sample_after(LONGEST);
        let Self { anyone: Some(anyone), tracer, .. } = self else { return None };
        let can = tracer.sample_wants().is_some_and(|codes| anyone.routes.budget.take(codes, now));
        let Some(rearm) = can.then(|| tracer.begin_sample()).flatten() else {
            anyone.routes.owe(route);
            return None;
        };
        anyone.samples += 1;
        anyone.sample = Some(Sample { number: anyone.samples, began: now });
        Some((anyone.samples, rearm))
    }

    /// The request that is a sample is over.
    pub(crate) fn leave_sample(&mut self, number: u64) {
        if self.sample() == Some(number) {
            self.end_sample_after(Duration::ZERO);
        }
    }

    /// The number of the sample that is taken.
    fn sample(&self) -> Option<u64> {
        Some(self.anyone.as_ref()?.sample.as_ref()?.number)
    }

    /// Ends the sample if it lasts for so long.
    pub(super) fn end_sample_after(&mut self, time: Duration) {
        let Some(anyone) = &mut self.anyone else { return };
        let lasts = anyone.sample.as_ref().map(|sample| sample.began.elapsed());
        if let Some(lasts) = lasts.filter(|lasts| *lasts >= time) {
            anyone.routes.budget.took(lasts.min(LONGEST * 10));
            anyone.sample = None;
            self.tracer.end_sample();
        }
    }

    /// A code object was entered by work that is nobody's, of a request of a route if that is known.
    pub(crate) fn enter_for_nobody(&mut self, id: CodeId, way: Way, route: Option<RouteObject>) -> Entry {
        let Some(route) = route else { return self.tracer.enter_for_anyone(id, way).0 };
        let is_sample = route.sample() != 0 && self.sample() == Some(route.sample());
        let (entry, fresh) = if is_sample {
            self.tracer.enter_for_sample(id, way)
        } else {
            self.tracer.enter_for_anyone(id, way)
        };
        // Without a sample, too, it is known of what was not entered before on this day.
        if let (Some(fresh), Some(routes)) = (fresh, self.routes()) {
            routes.note(route.number(), (fresh.file, fresh.line));
        }
        entry
    }
}
