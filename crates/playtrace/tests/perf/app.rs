//! The app of the tests, and the program run against it.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use serde_json::{Value, json};
use tokio::runtime::Runtime;

/// How an app behaves.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct App {
    /// Whether it answers as an agent does.
    pub(crate) agent: bool,
    /// What `/costly/…` takes longer when traced,
    pub(crate) traced_more_ms: u64,
    /// and when not.
    pub(crate) untraced_more_ms: u64,
    /// Every other request takes longer, or not, by no rule that fits the rounds.
    pub(crate) jitter_ms: u64,
    /// Answers 500.
    pub(crate) broken: bool,
}

impl App {
    /// An app with an agent that costs nothing.
    pub(crate) fn with_agent() -> Self {
        Self { agent: true, ..Self::default() }
    }
}

async fn answer(State((app, count)): State<(App, Arc<AtomicU64>)>, request: Request) -> Response {
    let traced = request.headers().contains_key("x-profile-trace");
    let mut ms = 10;
    if request.uri().path().starts_with("/costly/") {
        ms += if traced { app.traced_more_ms } else { app.untraced_more_ms };
    }
    // A congruential generator: the same numbers each time, and no pattern in a handful of them.
    let number =
        count.fetch_add(1, Ordering::Relaxed).wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
    ms += (number >> 33) % (app.jitter_ms + 1);
    tokio::time::sleep(Duration::from_millis(ms)).await;
    let status = if app.broken { StatusCode::INTERNAL_SERVER_ERROR } else { StatusCode::OK };
    let said = if traced && app.agent { vec![("x-profile-trace-status", "on")] } else { Vec::new() };
    let mut response = (status, "hello").into_response();
    for (name, value) in said {
        response.headers_mut().insert(name, value.parse().unwrap());
    }
    response
}

/// A folder with one profile, `session`, and an app.
pub(crate) struct World {
    dir: tempfile::TempDir,
    runtime: Runtime,
    url: String,
}

/// How the program ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
    /// What it printed as JSON.
    pub(crate) document: Value,
}

impl World {
    pub(crate) fn new(app: App) -> Self {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let mut world = Self { dir: tempfile::tempdir().unwrap(), runtime, url: String::new() };
        world.url = world.start(app);
        let capture = world.path("profiles/session/capture");
        fs_err::create_dir_all(&capture).unwrap();
        let mut events = String::new();
        for (id, path) in ["/cheap", "/costly/7", "/costly/8?q=1"].iter().enumerate() {
            for event in [
                json!({"stage": "request", "id": id, "method": "GET", "endpoint": path}),
                json!({"stage": "response", "id": id, "status": 200}),
            ] {
                writeln!(events, "{event}").unwrap();
            }
        }
        fs_err::write(capture.join("events.jsonl"), events).unwrap();
        fs_err::write(world.path("preset.toml"), "format = 1\nname = \"test\"\n").unwrap();
        world
    }

    /// Starts another app; gives its URL.
    pub(crate) fn start(&self, app: App) -> String {
        self.runtime.block_on(async {
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
            let url = format!("http://{}", listener.local_addr().unwrap());
            let router = Router::new().fallback(answer).with_state((app, Arc::default()));
            tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
            url
        })
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn read(&self, name: &str) -> String {
        fs_err::read_to_string(self.path(name)).unwrap()
    }

    /// Runs `perf --json` on the profile.
    pub(crate) fn perf(&self, more: &[&str]) -> Ended {
        let mut ended = self.text(&[&["--json"], more].concat());
        ended.document =
            serde_json::from_str(&ended.out).unwrap_or_else(|error| panic!("{error}: {ended:?}"));
        ended
    }

    /// Runs `perf` on the profile.
    pub(crate) fn text(&self, more: &[&str]) -> Ended {
        let mut command = Command::new(env!("CARGO_BIN_EXE_playtrace"));
        command.current_dir(self.dir.path()).env_clear().env("PROFILE_COVERAGE_DIR", self.path("coverage"));
        command.args([
            "perf",
            "session",
            "--rounds",
            "8",
            "--profiles-root",
            "profiles",
            "--preset",
            "preset.toml",
        ]);
        if !more.contains(&"--max-rounds") {
            command.args(["--max-rounds", "8"]);
        }
        let output = command.args(["--base-url", &self.url]).args(more).output().unwrap();
        Ended {
            code: output.status.code().unwrap(),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
            document: Value::Null,
        }
    }
}
