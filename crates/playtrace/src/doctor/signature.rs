//! Signed headers: whether player and app have one secret.

use super::Facts;
use super::app::App;
use super::finding::{Check, Finding};
use super::web::without_app;

const ONE_SECRET: &str = "set PROFILE_TRACE_SECRET to one value for the player, the service and all web processes, and restart those";

/// What each refusal means here, and what to do. The codes are the agent's.
const MEANINGS: [(&str, &str, &str); 8] = [
    (
        "PT-GRANT-003",
        "no signature arrives, and the app wants one",
        "set PROFILE_TRACE_SECRET here and where the service runs; if it is, have every proxy before the app pass X-Profile-Trace-Signature on",
    ),
    (
        "PT-GRANT-004",
        "what arrives is not the signature that was sent",
        "find the proxy that changes X-Profile-Trace-Signature",
    ),
    (
        "PT-GRANT-005",
        "the secret here is not the app's",
        "set PROFILE_TRACE_SECRET to one value for the player, the service and all web processes, and restart those; if it is one, have every \
         proxy before the app pass X-Profile-Trace-Run and X-Profile-Trace-Step on: they are signed, too",
    ),
    (
        "PT-GRANT-006",
        "the signature is too old for the app's clock",
        "synchronise the clocks (clock.skew); a proxy may hold requests back",
    ),
    ("PT-GRANT-007", "the signature is ahead of the app's clock", "synchronise the clocks (clock.skew)"),
    (
        "PT-GRANT-008",
        "a request arrives twice",
        "find the proxy that sends requests again (nginx: proxy_next_upstream)",
    ),
    (
        "PT-GRANT-009",
        "the app traces nobody who comes from here",
        "add this player's network to PROFILE_TRACE_ALLOW; behind a proxy, the app sees the proxy's address",
    ),
    (
        "PT-GRANT-010",
        "a web process wants signatures and has no secret to compare them with",
        "have whoever starts it leave PROFILE_TRACE_SECRET in its environment",
    ),
];

/// Whether a refusal is about who may have something traced.
pub(super) fn is_about_it(refusal: &str) -> bool {
    refusal.contains("PT-GRANT-")
}

/// `web.signature`.
pub(super) fn check(has_secret: bool, facts: &Facts) -> Finding {
    let check = Check::WebSignature;
    let Some(app) = facts.answers() else { return check.not_checked(without_app(facts)) };
    let found = judged(has_secret, app.refusals(), app);
    let refused: u64 = facts.web_processes().flat_map(|process| process.refused.values()).sum();
    let Finding { reason, .. } = &found;
    match refused {
        0 => found,
        _ => Finding {
            reason: format!("{reason}; {refused} requests or more were refused by processes that run now"),
            ..found
        },
    }
}

fn judged<'a>(has_secret: bool, refusals: impl Iterator<Item = &'a str>, app: &App) -> Finding {
    let check = Check::WebSignature;
    let known = refusals.filter_map(|refusal| MEANINGS.iter().find(|(code, ..)| refusal.contains(code)));
    let known: Vec<_> = known.collect();
    if let Some((code, meaning, remedy)) = known.first() {
        let traced = app.traced();
        let some = if traced > 0 {
            format!(" ({traced} others were traced: not all processes are alike)")
        } else {
            String::new()
        };
        return check.failed(format!("{meaning} [{code}]{some}"), *remedy);
    }
    if app.traced() == 0 {
        return check
            .not_checked("no agent has answered that it traces (web.toggle, header.arrives, web.traces)");
    }
    match app.unsigned.as_ref().and_then(|reply| reply.trace.as_deref()) {
        Some("on") => check.failed(
            "the app traces requests that are not signed: PROFILE_TRACE_SECRET is set here, and not there",
            ONE_SECRET,
        ),
        Some(_) => check.ok("what is signed is traced, and what is not signed is not"),
        None if has_secret => check.not_checked("no agent has answered the request that was not signed"),
        None => check.ok("no signature is asked for: PROFILE_TRACE_SECRET is set neither here nor there"),
    }
}
