//! A small app with an agent of its own: it writes the ledger that a real one would write.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use playtrace::service::settings::Settings;
use playtrace_ledger::{Journal, Layout, NewLines, Record, Role, UnitKind};
use playtrace_model::{ContextLabel, LineBits, LineData, MeasuredPath, RunToken, Slug};
use playtrace_replay::{Credentials, Preset};
use serde_json::json;
use tokio::sync::{Mutex, Semaphore};

/// How the app behaves.
#[derive(Debug)]
pub(crate) struct App {
    /// Where its agent writes; no agent without it.
    pub(crate) coverage: Option<PathBuf>,
    /// Requests of `/slow` need a permit.
    pub(crate) gate: Semaphore,
    /// `/flaky` answers 503 so many times.
    pub(crate) hiccups: Mutex<u32>,
}

/// The folders of a test, with one profile in them.
pub(crate) struct World {
    pub(crate) dir: tempfile::TempDir,
    pub(crate) app: Arc<App>,
    pub(crate) address: SocketAddr,
}

impl World {
    /// Starts the app; `agent` says whether it traces into the coverage directory.
    pub(crate) async fn new(agent: bool) -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs_err::create_dir_all(dir.path().join("coverage")).unwrap();
        let coverage = agent.then(|| dir.path().join("coverage"));
        let app = Arc::new(App { coverage, gate: Semaphore::new(0), hiccups: Mutex::new(0) });
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let router = Router::new().fallback(answer).with_state(Arc::clone(&app));
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        let world = Self { dir, app, address };
        world.profile("good", &["ok", "ok"]);
        world
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Records a profile of GETs that were all answered 200.
    pub(crate) fn profile(&self, slug: &str, paths: &[&str]) {
        let capture = self.path("profiles").join(slug).join("capture");
        fs_err::create_dir_all(&capture).unwrap();
        let mut events = String::new();
        for (id, path) in paths.iter().enumerate() {
            let request =
                json!({"stage": "request", "id": id, "method": "GET", "endpoint": format!("/{path}")});
            let response = json!({"stage": "response", "id": id, "status": 200});
            writeln!(events, "{request}\n{response}").unwrap();
        }
        fs_err::write(capture.join("events.jsonl"), events).unwrap();
    }

    /// A player without a log-in.
    pub(crate) fn settings(&self) -> Settings {
        let preset = self.path("preset.toml");
        fs_err::write(&preset, "format = 1\nname = \"test\"\n").unwrap();
        Settings {
            profiles_root: self.path("profiles"),
            run_root: None,
            fork_root: None,
            archive_root: None,
            base_url: Some(format!("http://{}", self.address)),
            credentials: Credentials::Anonymous,
            trace_key: None,
            coverage_dir: self.path("coverage"),
            export_dir: None,
            preset: Preset::read(&preset).unwrap(),
        }
    }

    /// Starts a service; gives its URL. It ends with the test's runtime.
    pub(crate) async fn serve(&self, settings: Settings) -> String {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let never = std::future::pending();
        tokio::spawn(async move {
            playtrace::service::server::serve(listener, settings, 2, never).await.unwrap();
        });
        url
    }

    /// The text with what differs from test to test taken out.
    pub(crate) fn plain(&self, text: &str, token: &str) -> String {
        text.replace(&self.dir.path().display().to_string(), "DIR")
            .replace(&self.address.to_string(), "APP")
            .replace(token, "TOKEN")
            .lines()
            .map(|line| match line.split_once(" ms,") {
                Some((head, tail)) => {
                    format!("{}N ms,{tail}\n", head.trim_end_matches(|c: char| c.is_ascii_digit()))
                }
                None => format!("{line}\n"),
            })
            .collect()
    }
}

async fn answer(State(app): State<Arc<App>>, request: Request) -> Response {
    let (head, _) = request.into_parts();
    let text = |name: &str| head.headers.get(name).map(|value| value.to_str().unwrap().to_owned());
    let traced = (text("x-profile-trace"), text("x-profile-trace-run"), text("x-profile-trace-step"));
    let mut response = match head.uri.path() {
        "/broken" => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
        "/slow" => {
            app.gate.acquire().await.unwrap().forget();
            "slow".into_response()
        }
        "/flaky" => {
            let mut hiccups = app.hiccups.lock().await;
            if *hiccups == 0 {
                "fine".into_response()
            } else {
                *hiccups -= 1;
                StatusCode::SERVICE_UNAVAILABLE.into_response()
            }
        }
        _ => "fine".into_response(),
    };
    if let (Some(coverage), (Some(slug), Some(run), Some(step))) = (&app.coverage, traced) {
        trace(coverage, &slug, &run, step.parse().unwrap());
        response.headers_mut().insert("x-profile-trace-status", "on".parse().unwrap());
    }
    response
}

/// The records of a request that executed lines 1 and `step` + 1 of one file.
fn trace(coverage: &Path, slug: &str, run: &str, step: u32) {
    let (slug, run) = (Slug::parse(slug).unwrap(), RunToken::parse(run).unwrap());
    let lines: LineBits = [1, step + 1].into_iter().collect();
    let mut data = LineData::new();
    data.add(&slug.context_label("profile"), &MeasuredPath::new("app.py"), &lines);
    data.add(&ContextLabel::import(), &MeasuredPath::new("app.py"), &LineBits::new());
    let mut journal = Journal::open(&Layout::new(coverage), &slug, &run, Role::Web, "test agent", 1).unwrap();
    let unit = format!("u{step}");
    let open = Record::Open {
        unit: unit.clone(),
        kind: UnitKind::Request,
        step: Some(step),
        job: None,
        child: None,
        what: String::new(),
        scope: None,
    };
    journal.append(2, open).unwrap();
    journal
        .append(3, Record::Closed { unit, shard: None, new: NewLines(data), entered: NewLines::default() })
        .unwrap();
}
