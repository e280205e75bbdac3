//! The way of the header: there through the proxies, back, and along redirects.

use playtrace_ledger::{Record, UnitKind};

use super::app::{App, redirect};
use super::finding::{Check, Finding};
use super::web::{header_arrived, without_app};
use super::{Facts, requests};

const PASS: &str = "have every proxy before the app pass X-Profile-Trace, X-Profile-Trace-Run and X-Profile-Trace-Step on \
    (nginx passes them unless a location sets headers of its own; header filters and WAFs need a rule)";

/// `header.arrives`, `header.run`, `header.redirects`.
pub(super) fn check(facts: &Facts) -> [Finding; 3] {
    let (arrives, redirects) = (Check::HeaderArrives, Check::HeaderRedirects);
    let Some(app) = facts.answers() else {
        let why = without_app(facts);
        return [arrives, Check::HeaderRun, redirects].map(|check| check.not_checked(why));
    };
    if !header_arrived(facts, app) {
        let [run, redirects] = [Check::HeaderRun, redirects].map(|check| {
            check.not_checked("the header does not arrive in the first place (header.arrives, web.toggle)")
        });
        // An agent that listens would have answered.
        let known = facts.web_processes().next().is_some();
        let elsewhere = facts.enabled.iter().any(|process| process.is_alive().is_none());
        return if known || elsewhere {
            let reason = if known {
                "web processes have the agent on, and no answer says that one of them saw X-Profile-Trace"
            } else {
                "no answer says that an agent saw X-Profile-Trace, and there is one, or was"
            };
            let remedy = format!("{PASS}; ask the app's own port to see which of them drops it");
            [arrives.failed(reason, remedy), run, redirects]
        } else {
            [arrives.not_checked("no web process has the agent on (web.toggle)"), run, redirects]
        };
    }
    let (back, run) = (back(facts, app, arrives), run(facts, app, Check::HeaderRun));
    if app.with_status() == 0 {
        return [back, run, redirects.not_checked("the answer's header does not come back (header.arrives)")];
    }
    [back, run, along(app, redirects)]
}

/// Whether run and step come with the profile: only the ledger tells.
fn run(facts: &Facts, app: &App, check: Check) -> Finding {
    let (known, strays) = (requests(&facts.probed), facts.strays);
    let all = known + strays;
    if strays > 0 {
        return check.failed(
            format!("{strays} of {all} requests came without X-Profile-Trace-Run: what they execute counts for no run"),
            format!("{PASS}; X-Profile-Trace-Run is dropped on the way"),
        );
    }
    if known == 0 {
        return check.not_checked(if app.traced() == 0 {
            "no agent has traced anything (web.traces, web.signature)"
        } else {
            "what is traced can't be seen from here (directory.same)"
        });
    }
    let entries = facts.probed.entries();
    let is_unnumbered =
        |record: &Record| matches!(record, Record::Open { kind: UnitKind::Request, step: None, .. });
    let unnumbered = entries.filter(|entry| is_unnumbered(&entry.record)).count();
    if unnumbered > 0 {
        return check.failed(
            format!(
                "{unnumbered} of {all} requests came without X-Profile-Trace-Step: steps can't be told apart"
            ),
            format!("{PASS}; X-Profile-Trace-Step is dropped on the way"),
        );
    }
    check.ok(format!("X-Profile-Trace-Run and X-Profile-Trace-Step come with it ({all} requests)"))
}

fn back(facts: &Facts, app: &App, check: Check) -> Finding {
    let (with, all) = (app.with_status(), app.replies.len());
    if with > 0 {
        return check.ok(format!("X-Profile-Trace arrives, and the answer comes back ({with} of {all})"));
    }
    check.failed(
        format!(
            "X-Profile-Trace arrives ({} requests are in the ledger), but no answer carries X-Profile-Trace-Status",
            facts.recorded()
        ),
        "have every proxy before the app pass the answer's header X-Profile-Trace-Status on",
    )
}

fn along(app: &App, check: Check) -> Finding {
    let (Some(first), Some(last)) = (app.hops.first(), app.hops.last()) else {
        return check.not_checked("the app was not asked");
    };
    let Some(to) = redirect(first) else {
        return check.not_checked(format!("{} does not redirect whoever is not logged in", first.url));
    };
    if let Some(next) = redirect(last) {
        return if next.origin() == last.url.origin() {
            check.failed(format!("{} redirects again and again", first.url), "mend the app's redirects")
        } else {
            check.failed(
                format!(
                    "{} redirects to {}, another origin: the player does not follow, since trace headers are nobody else's business",
                    last.url,
                    next.origin().ascii_serialization()
                ),
                "name the app as it calls itself (scheme, host and port) with --base-url, or have the proxy pass X-Forwarded-Host, -Proto and -Port on",
            )
        };
    }
    if last.trace.is_none() {
        return check
            .failed(format!("{} redirects to {}, and there the header is gone", first.url, last.url), PASS);
    }
    check.ok(format!("it survives the redirect from {} to {to}", first.url.path()))
}
