//! The web processes: the toggle, the older middleware, and whether the agent there does what it is asked for.

use super::Facts;
use super::app::App;
use super::finding::{Check, Finding};
use super::signature;

const SET: &str = "set ENABLE_PROFILE_COVERAGE=1 in the environment of the web processes, call playtrace_agent.flask.init_app(app) \
    (or playtrace_agent.wsgi.wrap), and restart all of them";
/// What `playtrace_agent.flask` says of it.
const OLD_MIDDLEWARE: &str = "the older coverage middleware";

/// Why nothing can be said about the app's processes.
pub(super) fn without_app(facts: &Facts) -> &'static str {
    if facts.app.is_none() { "no app is named" } else { "the app can't be reached" }
}

/// Whether anything proves that an agent saw a question.
pub(super) fn header_arrived(facts: &Facts, app: &App) -> bool {
    app.with_status() > 0 || facts.recorded() > 0
}

/// Whether a refusal is about the directory: `directory.writable` tells of it.
pub(super) fn is_about_the_directory(refusal: &str) -> bool {
    refusal.contains("PT-LEDGER-") || refusal.contains("PT-COVDATA-")
}

/// `web.toggle`, `web.old-middleware`, `web.traces`.
pub(super) fn check(facts: &Facts) -> [Finding; 3] {
    let Some(app) = facts.answers() else {
        let why = without_app(facts);
        return [Check::WebToggle, Check::WebOldMiddleware, Check::WebTraces]
            .map(|check| check.not_checked(why));
    };
    [toggle(facts, app), old_middleware(app), traces(app)]
}

fn toggle(facts: &Facts, app: &App) -> Finding {
    let check = Check::WebToggle;
    let (with, all) = (app.with_status(), app.replies.len());
    if with == all {
        return check.ok(format!("{with} of {all} answers come from a process that has the agent on"));
    }
    if with > 0 {
        let without = all - with;
        return check.failed(
            format!(
                "{without} of {all} answers come from a process without the agent: some were not restarted"
            ),
            SET,
        );
    }
    if facts.recorded() > 0 {
        return check.ok("the agent has recorded the requests");
    }
    let running = facts.web_processes().count();
    if running > 0 {
        return check.ok(format!("{running} running web processes have left a boot record"));
    }
    let elsewhere =
        facts.enabled.iter().filter(|process| process.is_alive().is_none()).max_by_key(|known| known.at);
    match elsewhere {
        Some(process) => check.not_checked(format!(
            "no answer carries X-Profile-Trace-Status; whether {}, which had the agent on, still runs can't be seen from here",
            process.process
        )),
        None => check.failed(
            format!(
                "no answer carries X-Profile-Trace-Status, and no running web process has left a boot record in {}",
                facts.layout.boot_dir().display()
            ),
            SET,
        ),
    }
}

fn old_middleware(app: &App) -> Finding {
    let check = Check::WebOldMiddleware;
    match app.refusals().find(|refusal| refusal.contains(OLD_MIDDLEWARE)) {
        Some(refusal) => check.failed(
            refusal,
            "take the older middleware out of the app (its before_request hook or its wrapper), and restart the web processes",
        ),
        None if app.traced() > 0 => check.ok("the agent is the only one that traces"),
        None => check.not_checked("only an agent that is on tells (web.toggle, header.arrives)"),
    }
}

fn traces(app: &App) -> Finding {
    let check = Check::WebTraces;
    let refusals: Vec<&str> = app.refusals().collect();
    match refusals.first() {
        None if app.traced() > 0 => check.ok(format!("{} requests were traced", app.traced())),
        None => check.not_checked("no agent has answered (web.toggle, header.arrives)"),
        Some(refusal) if refusal.contains(OLD_MIDDLEWARE) => {
            check.not_checked("another tracer is in the way (web.old-middleware)")
        }
        Some(refusal) if is_about_the_directory(refusal) => {
            check.not_checked("the agent can't write what it traces (directory.writable)")
        }
        Some(refusal) if signature::is_about_it(refusal) => {
            check.not_checked("the agent does not let the player's requests in (web.signature)")
        }
        Some(refusal) => check.failed(
            format!("{} answers say off: {refusal}", refusals.len()),
            "do what the message says; docs/messages.md explains its code",
        ),
    }
}
