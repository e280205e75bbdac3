//! Pacific time, as cron wants it.

use std::fmt;
use std::str::FromStr;

use jiff::civil::Date;
use jiff::tz::{Offset, TimeZone};
use jiff::{Span, Timestamp};
use serde::{Deserialize, Serialize, Serializer};

/// The zone of `schedule_pt`, as the IANA database names it.
pub const ZONE: &str = "America/Los_Angeles";
/// Pacific standard time; daylight saving time is an hour less behind UTC.
const STANDARD_HOURS: i8 = -8;
const MINUTES_A_DAY: u32 = 24 * 60;
/// The day of weekly workflows, as cron counts: Sunday.
const WEEKLY_DAY: u32 = 0;

/// How often a workflow runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Cadence {
    /// Every night.
    #[default]
    Nightly,
    /// In the night to Sunday alone.
    Weekly,
}

/// A time of day, in minutes since midnight.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct ClockTime(u32);

impl ClockTime {
    /// Minutes since midnight.
    pub const fn minutes(self) -> u32 {
        self.0
    }

    /// The hour, 0 to 23.
    pub const fn hour(self) -> u32 {
        self.0 / 60
    }

    /// The minute, 0 to 59.
    pub const fn minute(self) -> u32 {
        self.0 % 60
    }

    /// So many minutes later, and how many days later that is.
    #[must_use]
    pub const fn later(self, minutes: u32) -> (Self, u32) {
        let sum = self.0 + minutes;
        (Self(sum % MINUTES_A_DAY), sum / MINUTES_A_DAY)
    }

    /// The cron expression of this time in Pacific time.
    pub fn cron(self, cadence: Cadence) -> String {
        self.cron_on(cadence, 0)
    }

    /// The cron expression in UTC that fits Pacific standard time: while daylight saving time lasts, it is an hour later there.
    pub fn utc_cron(self, cadence: Cadence) -> String {
        let (utc, days) = self.utc();
        utc.cron_on(cadence, days)
    }

    /// The same moment in UTC, by standard time, and how many days later that is.
    pub const fn utc(self) -> (Self, u32) {
        self.later(STANDARD_HOURS.unsigned_abs() as u32 * 60)
    }

    fn cron_on(self, cadence: Cadence, days_later: u32) -> String {
        let (hour, minute) = (self.hour(), self.minute());
        match cadence {
            Cadence::Nightly => format!("{minute} {hour} * * *"),
            Cadence::Weekly => format!("{minute} {hour} * * {}", (WEEKLY_DAY + days_later) % 7),
        }
    }
}

impl FromStr for ClockTime {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("{text:?} is not a time of day, such as 05:15");
        let (hour, minute) = text.trim().split_once(':').ok_or_else(wrong)?;
        let number = |text: &str| match text.len() {
            1 | 2 if text.bytes().all(|byte| byte.is_ascii_digit()) => text.parse::<u32>().ok(),
            _ => None,
        };
        match (number(hour), number(minute)) {
            (Some(hour @ 0..24), Some(m @ 0..60)) if minute.len() == 2 => Ok(Self(hour * 60 + m)),
            _ => Err(wrong()),
        }
    }
}

impl fmt::Display for ClockTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02}:{:02}", self.hour(), self.minute())
    }
}

impl Serialize for ClockTime {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// The night that a moment belongs to: its date in Pacific time. A night ends at noon: what runs after that is the next one's.
pub fn night_of(moment: Timestamp) -> Date {
    // Without the system's time zones, an hour's difference in the afternoon changes nothing.
    let zone = TimeZone::get(ZONE).unwrap_or_else(|_| TimeZone::fixed(Offset::constant(STANDARD_HOURS)));
    let local = moment.to_zoned(zone).datetime();
    let shifted = local.checked_add(Span::new().hours(12)).unwrap_or(local);
    shifted.date()
}

/// Days from one night to a later one; 0 if it is not later.
pub fn nights_between(earlier: Date, later: Date) -> u32 {
    earlier.until(later).map_or(0, |span| u32::try_from(span.get_days()).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> ClockTime {
        text.parse().unwrap()
    }

    #[test]
    fn times_are_read_strictly() {
        assert_eq!((at("05:05").minutes(), at("5:05").to_string()), (305, "05:05".to_owned()));
        for text in ["24:00", "05:60", "0505", "05:5", "", "a:00", "05:05:00", "+5:00", "-1:00"] {
            assert!(text.parse::<ClockTime>().is_err(), "{text}");
        }
    }

    #[test]
    fn cron_in_pacific_time_and_in_utc() {
        assert_eq!(at("05:05").cron(Cadence::Nightly), "5 5 * * *");
        assert_eq!(at("05:05").utc_cron(Cadence::Nightly), "5 13 * * *");
        assert_eq!(at("03:00").utc_cron(Cadence::Weekly), "0 11 * * 0");
        // Sunday evening there is Monday morning in UTC.
        assert_eq!(at("23:30").utc_cron(Cadence::Weekly), "30 7 * * 1");
    }

    #[test]
    fn a_night_has_the_date_of_its_morning() {
        let night = |text: &str| night_of(text.parse().unwrap()).to_string();
        // 05:45 and 23:50 Pacific standard time, and 11:30 and 12:30 in summer.
        assert_eq!(night("2026-11-29T13:45:00Z"), "2026-11-29");
        assert_eq!(night("2026-11-29T07:50:00Z"), "2026-11-29");
        assert_eq!(night("2026-07-01T18:30:00Z"), "2026-07-01");
        assert_eq!(night("2026-07-01T19:30:00Z"), "2026-07-02");
        assert_eq!(nights_between("2026-11-27".parse().unwrap(), "2026-12-02".parse().unwrap()), 5);
        assert_eq!(nights_between("2026-11-27".parse().unwrap(), "2026-11-26".parse().unwrap()), 0);
    }
}
