//! Clocks: the ledger and the verdict compare times of several machines.

use playtrace_ledger::Record;

use super::Facts;
use super::finding::{Check, Finding};
use super::web::without_app;

/// `clock.skew`.
pub(super) fn check(most: f64, facts: &Facts) -> Finding {
    let check = Check::ClockSkew;
    let mut seen: Vec<(String, f64)> = Vec::new();
    if let Some(Ok(redis)) = &facts.redis {
        seen.push((format!("Redis at {}", redis.address), redis.ahead));
    }
    if let Some(app) = facts.answers() {
        let (sent, received) = (
            app.replies.iter().map(|reply| reply.sent).min(),
            app.replies.iter().map(|reply| reply.received).max(),
        );
        let dated = app.replies.iter().find_map(|reply| Some((reply.date?, reply.sent, reply.received)));
        if let Some((date, sent, received)) = dated {
            // Whole seconds, cut off: the time is up to one second later.
            let date = seconds(date);
            let ahead = beyond((date, date + 1.0), (seconds(sent), seconds(received)));
            seen.push((format!("{} (Date header)", app.url), ahead));
        }
        let entries = facts.probed.entries();
        let opened =
            entries.filter(|entry| matches!(entry.record, Record::Open { .. })).map(|entry| entry.at).min();
        if let (Some(at), Some(sent), Some(received)) = (opened, sent, received) {
            let at = at as f64 / 1000.0;
            let ahead = beyond((at, at), (seconds(sent), seconds(received)));
            seen.push(("the web process (ledger)".to_owned(), ahead));
        }
    }
    let Some((who, ahead)) = seen.iter().max_by(|a, b| a.1.abs().total_cmp(&b.1.abs())) else {
        return check.not_checked(without_app(facts));
    };
    if ahead.abs() > most {
        let word = if *ahead > 0.0 { "ahead of" } else { "behind" };
        return check.failed(
            format!("the clock of {who} is {:.0} s {word} this machine's", ahead.abs()),
            "synchronise the clocks of all hosts (NTP, chrony), that of a proxy that writes Date too; records are compared by their time",
        );
    }
    let names: Vec<&str> = seen.iter().map(|(who, _)| who.as_str()).collect();
    check.ok(format!("within {most:.0} s of this machine's: {}", names.join(", ")))
}

fn seconds(time: jiff::Timestamp) -> f64 {
    time.as_duration().as_secs_f64()
}

/// By how many seconds a time that was read between two looks at our clock lies before (negative) or after both.
fn beyond((earliest, latest): (f64, f64), (sent, received): (f64, f64)) -> f64 {
    (latest - sent).min(0.0) + (earliest - received).max(0.0)
}

#[cfg(test)]
mod tests {
    use super::beyond;

    #[test]
    fn what_lies_between_is_not_skewed() {
        assert!(beyond((10.0, 11.0), (10.9, 10.95)).abs() < 1e-9);
        assert!((beyond((3610.0, 3611.0), (10.5, 10.6)) - 3599.4).abs() < 1e-6);
        assert!((beyond((10.0, 11.0), (3610.0, 3610.1)) + 3599.0).abs() < 1e-6);
    }
}
