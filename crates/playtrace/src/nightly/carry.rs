//! What of a night counts: tonight's data, that of an earlier night, or none. Decided here, without looking at a file.
//!
//! Data is good where its verdict is complete or consistent. A job that failed, is missing or was killed does not take a good
//! night's data away: that is carried forward, and says so. Data that is not good counts only where nothing better is known.

use jiff::civil::{Date, Weekday};
use playtrace_model::{RunToken, Status};
use serde::{Deserialize, Serialize};

use super::job::{JobRecord, JobState};
use super::schedule::{Cadence, nights_between};

/// How a workflow went in a night.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Tonight {
    /// Its command passed at the first try.
    Passed,
    /// It passed at a later try.
    Flaky,
    /// Its last try failed.
    Failed,
    /// It began and did not end.
    Killed,
    /// It left nothing.
    Missing,
    /// It is weekly, and this is not its night.
    NotScheduled,
}

impl Tonight {
    /// The word used in every output.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Flaky => "flaky",
            Self::Failed => "failed",
            Self::Killed => "killed",
            Self::Missing => "missing",
            Self::NotScheduled => "not scheduled",
        }
    }

    /// Of a job's record, if there is one, and of whether it left data.
    pub fn of(record: Option<&JobRecord>, has_data: bool, cadence: Cadence, night: Date) -> Self {
        let Some(record) = record else {
            // Data without a record comes from a batch by hand.
            return match (has_data, cadence, night.weekday()) {
                (true, ..) => Self::Passed,
                (false, Cadence::Weekly, day) if day != Weekday::Sunday => Self::NotScheduled,
                (false, ..) => Self::Missing,
            };
        };
        match (record.state, record.exit_code(), record.attempts.len()) {
            (JobState::Running, ..) => Self::Killed,
            (JobState::Ended, Some(0), 0 | 1) => Self::Passed,
            (JobState::Ended, Some(0), _) => Self::Flaky,
            (JobState::Ended, ..) => Self::Failed,
        }
    }
}

/// Where an entry's data comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Origin {
    /// This night, and it is good.
    Fresh,
    /// An earlier night.
    Carried,
    /// This night; it is not good, and nothing better is known.
    Incomplete,
}

/// Data of an entry, as a manifest has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NightData {
    /// Where it comes from.
    pub origin: Origin,
    /// The night that it was measured in.
    pub night: Date,
    /// How many nights ago that was.
    pub age_nights: u32,
    /// Its verdict of that night.
    pub status: Status,
    /// The run that it is of.
    pub run: RunToken,
}

/// Whether data of this status is carried forward.
pub fn is_good(status: Status) -> bool {
    status <= Status::Consistent
}

/// Tonight's data, if any, and what the last night's bundle has.
#[derive(Debug, Clone, Copy)]
pub struct Known<'a> {
    /// Tonight's status and run.
    pub fresh: Option<(Status, &'a RunToken)>,
    /// The last bundle's data of the entry.
    pub earlier: Option<&'a NightData>,
}

/// Chooses the data of an entry; an earlier night's only if it is at most `limit` nights old.
pub fn choose(known: Known<'_>, night: Date, limit: u32) -> Option<NightData> {
    let fresh = known.fresh.map(|(status, run)| NightData {
        origin: if is_good(status) { Origin::Fresh } else { Origin::Incomplete },
        night,
        age_nights: 0,
        status,
        run: run.clone(),
    });
    let earlier = known
        .earlier
        .map(|data| NightData {
            origin: Origin::Carried,
            age_nights: nights_between(data.night, night),
            ..data.clone()
        })
        .filter(|data| data.age_nights <= limit && data.night < night);
    match (fresh, earlier) {
        (Some(fresh), _) if is_good(fresh.status) => Some(fresh),
        (Some(fresh), Some(earlier)) if !is_good(earlier.status) => Some(fresh),
        (fresh, earlier) => earlier.or(fresh),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nightly::job::Attempt;
    use crate::nightly::list::PlaybackType;
    use playtrace_model::Slug;

    fn date(text: &str) -> Date {
        text.parse().unwrap()
    }

    fn data(night: &str, status: Status) -> NightData {
        let run = RunToken::parse("old").unwrap();
        NightData { origin: Origin::Fresh, night: date(night), age_nights: 0, status, run }
    }

    fn record(state: JobState, codes: &[Option<i32>]) -> JobRecord {
        let slug = Slug::parse("a").unwrap();
        let started = "2026-11-29T11:00:00Z".parse().unwrap();
        let mut record = JobRecord::begin(slug.clone(), slug, PlaybackType::Run, started);
        let attempt = |code: &Option<i32>| Attempt { exit_code: *code, seconds: 1, run: None, status: None };
        (record.state, record.attempts) = (state, codes.iter().map(attempt).collect());
        record
    }

    #[test]
    fn how_a_job_went() {
        let night = date("2026-11-28");
        let of =
            |record: Option<&JobRecord>, has_data| Tonight::of(record, has_data, Cadence::Nightly, night);
        assert_eq!(of(Some(&record(JobState::Ended, &[Some(0)])), true), Tonight::Passed);
        assert_eq!(of(Some(&record(JobState::Ended, &[Some(5), Some(0)])), true), Tonight::Flaky);
        assert_eq!(of(Some(&record(JobState::Ended, &[Some(1), Some(1)])), true), Tonight::Failed);
        assert_eq!(of(Some(&record(JobState::Ended, &[None])), true), Tonight::Failed);
        assert_eq!(of(Some(&record(JobState::Running, &[Some(5)])), false), Tonight::Killed);
        assert_eq!((of(None, false), of(None, true)), (Tonight::Missing, Tonight::Passed));
        // 28 November 2026 is a Saturday.
        let weekly = |night: &str| Tonight::of(None, false, Cadence::Weekly, date(night));
        assert_eq!((weekly("2026-11-28"), weekly("2026-11-29")), (Tonight::NotScheduled, Tonight::Missing));
    }

    #[test]
    fn good_data_of_tonight_counts_then_an_earlier_night_s_then_what_there_is() {
        let (night, run) = (date("2026-11-29"), RunToken::parse("new").unwrap());
        let chosen = |fresh: Option<Status>, earlier: Option<&NightData>| {
            let fresh = fresh.map(|status| (status, &run));
            choose(Known { fresh, earlier }, night, 30)
                .map(|data| (data.origin, data.status, data.age_nights))
        };
        let good = data("2026-11-26", Status::Complete);
        let bad = data("2026-11-26", Status::Failed);
        assert_eq!(
            chosen(Some(Status::Consistent), Some(&good)),
            Some((Origin::Fresh, Status::Consistent, 0))
        );
        assert_eq!(chosen(Some(Status::Partial), Some(&good)), Some((Origin::Carried, Status::Complete, 3)));
        assert_eq!(chosen(Some(Status::Failed), Some(&bad)), Some((Origin::Incomplete, Status::Failed, 0)));
        assert_eq!(chosen(Some(Status::Failed), None), Some((Origin::Incomplete, Status::Failed, 0)));
        assert_eq!(chosen(None, Some(&good)), Some((Origin::Carried, Status::Complete, 3)));
        assert_eq!(chosen(None, Some(&bad)), Some((Origin::Carried, Status::Failed, 3)));
        assert_eq!(chosen(None, None), None);
        // A month old, and one of a night to come.
        assert_eq!(chosen(None, Some(&data("2026-10-29", Status::Complete))), None);
        assert_eq!(chosen(None, Some(&data("2026-11-30", Status::Complete))), None);
    }
}
