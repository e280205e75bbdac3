//! Questions to the app: without a session, with one, and along a redirect.

use playtrace_model::{RunToken, Slug};
use playtrace_replay::{BaseUrl, Credentials, ProbeTrace, Prober, ReplayError, Reply};
use tokio::task::JoinSet;

use super::Asked;
use super::finding::{Check, Finding};

/// So many questions at once reach several processes of a server, most likely all.
const QUESTIONS: u32 = 8;
/// More redirects than a page needs.
const HOPS: u32 = 5;

/// The step of the question that is not signed.
const UNSIGNED: u32 = 99;

/// What the app answered.
pub(super) struct App {
    /// The page that everybody may see.
    pub(super) url: String,
    /// The answers to traced questions for it.
    pub(super) replies: Vec<Reply>,
    /// The answer to one that was not signed, where there is a secret.
    pub(super) unsigned: Option<Reply>,
    /// How the log-in went.
    pub(super) login: LogIn,
    /// The traced answers from the base URL, without a session, to where its redirects lead; the last may be a redirect to another
    /// origin, which the player does not follow.
    pub(super) hops: Vec<Reply>,
    /// Asks with the session of the log-in.
    pub(super) prober: Prober,
}

/// How a log-in went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum LogIn {
    /// The app wants none.
    NotWanted,
    /// There is nobody to log in.
    Nobody,
    /// The session is good.
    In,
    /// It was refused; a sentence.
    Refused(String),
}

impl App {
    /// How many answers say that they were traced.
    pub(super) fn traced(&self) -> usize {
        self.replies.iter().chain(&self.hops).filter(|reply| reply.trace.as_deref() == Some("on")).count()
    }

    /// What the agent says in answers to which it says no.
    pub(super) fn refusals(&self) -> impl Iterator<Item = &str> {
        let said = self.replies.iter().chain(&self.hops).filter_map(|reply| reply.trace.as_deref());
        said.filter_map(|trace| trace.strip_prefix("off;")).map(str::trim)
    }

    /// How many of the first answers come from an agent.
    pub(super) fn with_status(&self) -> usize {
        self.replies.iter().filter(|reply| reply.trace.is_some()).count()
    }
}

/// Asks. The error says that the app can't be reached.
pub(super) async fn look(
    prober: &Prober,
    base: &BaseUrl,
    asked: &Asked,
    run: &(Slug, RunToken),
) -> Result<App, String> {
    let told = |error: ReplayError| error.to_string();
    let home = prober.page("/").map_err(told)?;
    let page = prober.login_page().map_err(told)?.unwrap_or_else(|| home.clone());
    let trace = |step| ProbeTrace { slug: run.0.clone(), run: run.1.clone(), step };
    let mut asking = JoinSet::new();
    for step in 1..=QUESTIONS {
        let (prober, page, trace) = (prober.clone(), page.clone(), trace(step));
        asking.spawn(async move { prober.get(&page, Some(&trace)).await });
    }
    let mut replies = Vec::new();
    for reply in asking.join_all().await {
        replies.push(reply.map_err(told)?);
    }
    // Nobody's session leads to the log-in page.
    let nobody = Prober::new(base.clone(), asked.preset.clone()).map_err(told)?;
    let unsigned = match &asked.trace_key {
        Some(_) => Some(nobody.get(&page, Some(&trace(UNSIGNED))).await.map_err(told)?),
        None => None,
    };
    let nobody = nobody.signing(asked.trace_key.clone());
    let mut hops = vec![nobody.get(&home, Some(&trace(QUESTIONS + 1))).await.map_err(told)?];
    for step in QUESTIONS + 2..QUESTIONS + 2 + HOPS {
        let Some((from, to)) = hops.last().and_then(|hop| Some((&hop.url, redirect(hop)?))) else { break };
        if to.origin() != from.origin() {
            break;
        }
        let next = nobody.get(&to.clone(), Some(&trace(step))).await.map_err(told)?;
        hops.push(next);
    }
    let login = log_in(prober, &asked.credentials, &home).await;
    Ok(App { url: page.to_string(), replies, unsigned, login, hops, prober: prober.clone() })
}

/// Where an answer sends whoever asked.
pub(super) fn redirect(reply: &Reply) -> Option<&url::Url> {
    reply.location.as_ref().filter(|_| (300..400).contains(&reply.status))
}

async fn log_in(prober: &Prober, credentials: &Credentials, home: &url::Url) -> LogIn {
    match prober.login_page() {
        Ok(None) => return LogIn::NotWanted,
        Ok(Some(_)) if matches!(credentials, Credentials::Anonymous) => return LogIn::Nobody,
        _ => {}
    }
    if let Err(error) = prober.log_in(credentials).await {
        return LogIn::Refused(error.to_string());
    }
    // A cookie may be an old one, and a session may not come back with the next request.
    match prober.get(home, None).await {
        Err(error) => LogIn::Refused(error.to_string()),
        Ok(reply) => match (redirect(&reply), prober.login_page()) {
            (Some(to), Ok(Some(page))) if to.path() == page.path() => {
                LogIn::Refused(format!("{home} sends whoever has just logged in back to the log-in page"))
            }
            _ => LogIn::In,
        },
    }
}

/// `app.reachable`, `app.login`.
pub(super) fn check(app: Option<&Result<App, String>>) -> [Finding; 2] {
    let (reachable, login) = (Check::AppReachable, Check::AppLogin);
    match app {
        None => [
            reachable.not_checked("no app is named: give --base-url or set PROFILE_PLAYBACK_BASE_URL"),
            login.not_checked("no app is named"),
        ],
        Some(Err(why)) => [
            reachable.failed(
                why,
                "start the app, or name it as the player reaches it: --base-url or PROFILE_PLAYBACK_BASE_URL",
            ),
            login.not_checked("the app can't be reached"),
        ],
        Some(Ok(app)) => [reached(reachable, app), logged_in(login, &app.login)],
    }
}

fn reached(check: Check, app: &App) -> Finding {
    let bad = app.replies.iter().map(|reply| reply.status).find(|status| *status >= 400);
    match bad {
        Some(status) => check.failed(
            format!("{} answers {status}", app.url),
            "look at the app's log, and at the base URL: it ends where the app's own paths begin",
        ),
        None => {
            check.ok(format!("{} answers {}", app.url, app.replies.first().map_or(0, |reply| reply.status)))
        }
    }
}

fn logged_in(check: Check, login: &LogIn) -> Finding {
    match login {
        LogIn::NotWanted => check.ok("the preset knows no log-in"),
        LogIn::Nobody => check.not_checked(
            "there are no credentials: set ADMIN_EMAIL and ADMIN_PASSWORD, or give --cookie-file",
        ),
        LogIn::In => check.ok("the app lets the player in"),
        LogIn::Refused(why) => check.failed(
            why,
            "set ADMIN_EMAIL and ADMIN_PASSWORD to those of a user that the app knows, here and where the service runs (or give --cookie-file)",
        ),
    }
}
