//! By which routes real traffic entered what: names, which requests are a sample, and what was seen.
//!
//! Bounded, however long the process lives: so many routes, and for each function one bit for each of them.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use playtrace_tracer::FileId;
use rustc_hash::FxHashMap;

/// So many routes are told apart in a process. All further ones are one.
pub(crate) const MOST: u16 = 500;
/// The one that stands for them.
const OTHERS: u16 = 0;
const OTHERS_NAME: &str = "(other routes)";
/// Characters of a route's name. A rule of an app is far shorter.
const LONGEST: usize = 200;
/// A route's first requests of a day are samples; after that the 16th, the 32nd, the 64th, …
const FIRST: u64 = 8;

/// Words of a set of routes.
const WORDS: usize = MOST as usize / 64 + 1;

/// A route's number.
pub(crate) type Number = u16;

/// A function's first line, by its file.
type Function = (FileId, u32);

/// What each route's requests entered, first lines by file.
pub(crate) type ByRoute = BTreeMap<(Number, FileId), Vec<u32>>;

/// The routes of this process.
#[derive(Debug)]
pub(crate) struct Routes {
    names: Vec<String>,
    numbers: FxHashMap<String, Number>,
    /// By number.
    counts: Vec<Count>,
    entered: FxHashMap<Function, [u64; WORDS]>,
    /// What is in no shard yet.
    news: Vec<(Number, Function)>,
    pub(crate) budget: Budget,
}

/// Requests of a route on a day.
#[derive(Debug, Default, Clone, Copy)]
struct Count {
    requests: u64,
    /// One was to be a sample, and could not be.
    owed: bool,
}

impl Routes {
    pub(crate) fn new(now: Instant) -> Self {
        Self {
            names: vec![OTHERS_NAME.to_owned()],
            numbers: FxHashMap::default(),
            counts: vec![Count::default()],
            entered: FxHashMap::default(),
            news: Vec::new(),
            budget: Budget::new(now),
        }
    }

    /// The number of a route, and whether it is its own.
    pub(crate) fn number(&mut self, name: &str) -> (Number, bool) {
        let end = name.char_indices().nth(LONGEST).map_or(name.len(), |(end, _)| end);
        let name: String = name[..end].chars().map(|c| if c.is_control() { '?' } else { c }).collect();
        if let Some(number) = self.numbers.get(&name) {
            return (*number, true);
        }
        let Some(number) = Number::try_from(self.names.len()).ok().filter(|number| *number <= MOST) else {
            return (OTHERS, false);
        };
        self.names.push(name.clone());
        self.counts.push(Count::default());
        self.numbers.insert(name, number);
        (number, true)
    }

    pub(crate) fn name(&self, number: Number) -> &str {
        &self.names[usize::from(number)]
    }

    /// Counts a request; says whether it is to be a sample. If it can't be, [`owe`](Self::owe) the next one.
    #[inline]
    pub(crate) fn count(&mut self, number: Number) -> bool {
        let is_due = self.is_due(number);
        if let Some(count) = self.counts.get_mut(usize::from(number)) {
            count.requests += 1;
            count.owed = false;
        }
        is_due
    }

    /// Whether the next request is to be a sample.
    #[inline]
    pub(crate) fn is_due(&self, number: Number) -> bool {
        self.counts.get(usize::from(number)).is_some_and(|count| {
            let next = count.requests + 1;
            count.owed || next <= FIRST || next.is_power_of_two()
        })
    }

    pub(crate) fn owe(&mut self, number: Number) {
        self.counts[usize::from(number)].owed = true;
    }

    /// A request of a route entered a function.
    pub(crate) fn note(&mut self, number: Number, function: Function) {
        let (word, bit) = (usize::from(number / 64), 1 << (number % 64));
        let of = &mut self.entered.entry(function).or_insert([0; WORDS])[word];
        if *of & bit == 0 {
            *of |= bit;
            self.news.push((number, function));
        }
    }

    pub(crate) fn has_news(&self) -> bool {
        !self.news.is_empty()
    }

    /// What is in no shard yet.
    pub(crate) fn news(&self) -> ByRoute {
        by_route(self.news.iter().copied())
    }

    /// It is in one now, or a parent process's to write.
    pub(crate) fn forget_news(&mut self) {
        self.news = Vec::new();
    }

    /// All that was entered on this day.
    pub(crate) fn whole(&self) -> ByRoute {
        by_route(self.entered.iter().flat_map(|(function, words)| {
            let routes = 0..self.names.len();
            let known = routes.filter(|route| words[route / 64] & 1 << (route % 64) != 0);
            known.filter_map(|route| Some((Number::try_from(route).ok()?, *function)))
        }))
    }

    /// Another day begins. The names stay: there are objects that stand for their numbers.
    pub(crate) fn renew(&mut self) {
        self.counts.fill(Count::default());
        self.entered = FxHashMap::default();
        self.news = Vec::new();
    }
}

fn by_route(all: impl Iterator<Item = (Number, Function)>) -> ByRoute {
    let mut sorted = ByRoute::new();
    for (number, (file, line)) in all {
        sorted.entry((number, file)).or_default().push(line);
    }
    sorted
}

/// What a code object costs that a sample arms: that, and its next entry, which silences it again. Measured: ADR-0013.
const ARMED: Duration = Duration::from_micros(3);
/// One part in so many of a process's time goes there, at most.
const ARMING: u32 = 1000;
/// While a sample lasts, others' calls may be reported again and again: one part in so many of the time is within one, at most.
const WITHIN: u32 = 100;
/// What may be spent at once after a quiet time, in time that pays for it: a process begins with samples of many routes.
const BURST: Duration = Duration::from_mins(1);

/// Keeps samples to a share of the process's time.
#[derive(Debug)]
pub(crate) struct Budget {
    /// When what was spent will have been paid for.
    paid: Instant,
}

impl Budget {
    pub(crate) fn new(now: Instant) -> Self {
        Self { paid: now }
    }

    /// Whether there is what a sample of so many code objects costs.
    pub(crate) fn has(&self, codes: usize, now: Instant) -> bool {
        // However much code there is, one sample can be paid for some time.
        self.paid.max(now) + cost(codes).min(BURST) <= now + BURST
    }

    /// Takes it, if it is there.
    pub(crate) fn take(&mut self, codes: usize, now: Instant) -> bool {
        let has = self.has(codes, now);
        if has {
            self.paid = self.paid.max(now) + cost(codes);
        }
        has
    }

    /// A sample took so long.
    pub(crate) fn took(&mut self, time: Duration) {
        self.paid += time * WITHIN;
    }

    /// This is a forked process: one that lives only for a moment has nothing to spend on what its parent knew.
    pub(crate) fn begin_empty(&mut self, now: Instant) {
        self.paid = now + BURST;
    }
}

fn cost(codes: usize) -> Duration {
    ARMED * u32::try_from(codes).unwrap_or(u32::MAX).min(u32::MAX / ARMING) * ARMING
}

#[cfg(test)]
mod tests {
    use super::*;

    fn routes() -> Routes {
        Routes::new(Instant::now())
    }

    #[test]
    fn the_first_requests_are_samples_then_ever_fewer() {
        let mut routes = routes();
        let (number, _) = routes.number("GET /a");
        let sampled: Vec<u32> = (1..=1000).filter(|_| routes.count(number)).collect();
        assert_eq!(sampled, [1, 2, 3, 4, 5, 6, 7, 8, 16, 32, 64, 128, 256, 512]);
        routes.owe(number);
        assert!(routes.count(number), "the one that could not be one");
        assert!(!routes.count(number));
        routes.renew();
        assert!(routes.count(number), "another day");
    }

    #[test]
    fn routes_beyond_the_limit_are_one() {
        let mut routes = routes();
        let numbers: Vec<_> = (0..MOST).map(|n| routes.number(&format!("GET /{n}")).0).collect();
        assert_eq!(numbers, (1..=MOST).collect::<Vec<_>>());
        assert_eq!(routes.number("GET /one/more"), (OTHERS, false));
        assert_eq!(routes.number("GET /7"), (8, true));
        assert_eq!(routes.name(OTHERS), "(other routes)");
        for number in [OTHERS, MOST] {
            assert!(routes.count(number));
            routes.note(number, (FileId(1), 1));
        }
        assert_eq!(
            routes.whole().keys().copied().collect::<Vec<_>>(),
            [(OTHERS, FileId(1)), (MOST, FileId(1))]
        );
    }

    #[test]
    fn a_name_is_short_and_on_one_line() {
        let mut routes = routes();
        let (number, _) = routes.number(&"é\n".repeat(1000));
        assert_eq!(routes.name(number), "é?".repeat(100));
        assert_eq!(routes.number(&"é\n".repeat(1000)), (number, true));
    }

    #[test]
    fn news_is_what_is_in_no_shard_yet() {
        let mut routes = routes();
        let (number, _) = routes.number("GET /a");
        routes.note(number, (FileId(1), 5));
        routes.note(number, (FileId(1), 5));
        assert_eq!(routes.news(), ByRoute::from([((number, FileId(1)), vec![5])]));
        routes.forget_news();
        routes.note(number, (FileId(1), 5));
        assert!(!routes.has_news());
        routes.note(number, (FileId(2), 7));
        assert_eq!(routes.news().len(), 1);
        assert_eq!(routes.whole().len(), 2);
        routes.renew();
        assert!(routes.whole().is_empty() && !routes.has_news());
    }

    #[test]
    fn samples_take_a_thousandth_of_the_time_and_one_is_there_however_much_code_there_is() {
        let begin = Instant::now();
        let count = |codes, hours: u64| {
            let mut budget = Budget::new(begin);
            let moments = (0..hours * 3600).map(|second| begin + Duration::from_secs(second));
            moments.filter(|now| budget.take(codes, *now)).count()
        };
        // 6 milliseconds each: 3.6 seconds in an hour, and a burst.
        assert_eq!(count(2_000, 1), 610);
        assert_eq!(count(100_000, 10), 121);
        let mut budget = Budget::new(begin);
        assert!(budget.take(100, begin));
        budget.took(Duration::from_secs(1));
        assert!(!budget.take(100, begin + Duration::from_secs(30)));
        assert!(budget.take(100, begin + Duration::from_mins(1)));
    }

    #[test]
    fn a_forked_process_has_to_live_for_a_while_first() {
        let begin = Instant::now();
        let mut budget = Budget::new(begin);
        budget.begin_empty(begin);
        assert!(!budget.take(1000, begin + Duration::from_secs(2)));
        assert!(budget.take(1000, begin + Duration::from_secs(3)));
        budget.begin_empty(begin);
        assert!(budget.take(0, begin), "nothing to arm, nothing to pay");
    }
}
