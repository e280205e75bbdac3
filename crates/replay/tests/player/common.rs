//! An app in the customer's shape, small enough to know each request: log-in, jobs, uploads, "not yet" answers.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{FromRequest as _, Multipart, Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use playtrace_model::{RunToken, Slug};
use playtrace_profile::{Library, Profile};
use playtrace_replay::{
    BaseUrl, Credentials, DEFAULT_PRESET, Line, Listener, Plan, PlanOptions, PlayOptions, Preset, Replay,
    ReplayError, Secret, Tracing, play,
};
use serde_json::{Value, json};
use uuid::Uuid;

/// What the app's agent answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Agent {
    Absent,
    On,
    Off,
}

/// A request as the app got it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) method: String,
    pub(crate) target: String,
    pub(crate) trace: Option<(String, String, String)>,
    pub(crate) content_type: String,
    pub(crate) body: String,
}

#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) agent: Agent,
    pub(crate) redis_down: bool,
    pub(crate) seen: Vec<Seen>,
    /// What a fork or an archive is answered with.
    pub(crate) flow: Value,
    polls: BTreeMap<String, u32>,
}

pub(crate) type App = Arc<Mutex<Inner>>;

/// Starts the app; it ends with the test's runtime.
pub(crate) async fn start(agent: Agent) -> (App, SocketAddr) {
    let app = Arc::new(Mutex::new(Inner {
        agent,
        redis_down: false,
        seen: Vec::new(),
        flow: Value::Null,
        polls: BTreeMap::new(),
    }));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let router = Router::new().fallback(answer).with_state(Arc::clone(&app));
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    (app, address)
}

fn text(headers: &HeaderMap, name: &str) -> String {
    headers.get(name).map(|value| value.to_str().unwrap().to_owned()).unwrap_or_default()
}

/// A multipart body in one line: `name=value | name=@file(type):content`.
async fn fields(request: Request) -> String {
    let mut form = Multipart::from_request(request, &()).await.unwrap();
    let mut fields = Vec::new();
    while let Some(field) = form.next_field().await.unwrap() {
        let name = field.name().unwrap().to_owned();
        let file = field.file_name().map(|file| format!("@{file}({}):", field.content_type().unwrap_or("-")));
        let value = field.text().await.unwrap();
        fields.push(format!("{name}={}{value}", file.unwrap_or_default()));
    }
    fields.join(" | ")
}

async fn answer(State(app): State<App>, request: Request) -> Response {
    let (method, uri, headers) =
        (request.method().to_string(), request.uri().clone(), request.headers().clone());
    let content_type = text(&headers, "content-type");
    let body = if content_type.starts_with("multipart/") {
        fields(request).await
    } else {
        String::from_utf8(to_bytes(request.into_body(), 1 << 20).await.unwrap().to_vec()).unwrap()
    };
    let trace = headers.contains_key("x-profile-trace").then(|| {
        let of = |name| text(&headers, name);
        (of("x-profile-trace"), of("x-profile-trace-run"), of("x-profile-trace-step"))
    });
    let path = uri.path().to_owned();
    let mut inner = app.lock().unwrap();
    inner.seen.push(Seen {
        method: method.clone(),
        target: uri.to_string(),
        trace: trace.clone(),
        content_type: content_type.split(';').next().unwrap().to_owned(),
        body: body.clone(),
    });
    let logged_in = text(&headers, "cookie").split("; ").any(|cookie| cookie == "session=good");
    let mut response = if path == "/weppcloud/login" {
        if logged_in { Response::new(Body::from("the form")) } else { log_in(&method, &body) }
    } else if path.starts_with("/weppcloud/rq/api/jobstatus/") {
        StatusCode::NOT_FOUND.into_response()
    } else if let Some(id) = path.strip_prefix("/rq-engine/api/jobinfo/") {
        job(&mut inner, id)
    } else if !logged_in {
        (StatusCode::FOUND, [(header::LOCATION, format!("/weppcloud/login?next={path}"))]).into_response()
    } else {
        page(&mut inner, &path)
    };
    if trace.is_some() && path.starts_with("/weppcloud/") {
        match inner.agent {
            Agent::Absent => {}
            Agent::On => drop(response.headers_mut().insert("x-profile-trace-status", "on".parse().unwrap())),
            Agent::Off => {
                let why = "off; the header is not signed".parse().unwrap();
                response.headers_mut().insert("x-profile-trace-status", why);
            }
        }
    }
    response
}

fn log_in(method: &str, body: &str) -> Response {
    let form = "<form method=post><input type=hidden name=csrf_token value='t&amp;k'></form>";
    // As Flask does: a wrong password leaves a session cookie too, one that nobody is logged in with.
    let cookie = |value: &str| [(header::SET_COOKIE, format!("session={value}; Secure; HttpOnly; Path=/"))];
    let good = "csrf_token=t%26k&email=me%40example.org&password=hunter2&remember=y";
    match (method, body == good) {
        ("POST", true) => {
            let location = [(header::LOCATION, "/weppcloud/")];
            (StatusCode::FOUND, cookie("good"), location).into_response()
        }
        _ => (cookie("nobody"), form).into_response(),
    }
}

fn job(inner: &mut Inner, id: &str) -> Response {
    if inner.redis_down {
        return (StatusCode::SERVICE_UNAVAILABLE, "no Redis").into_response();
    }
    let polls = inner.polls.entry(id.to_owned()).or_default();
    *polls += 1;
    let info = |status: &str, children: Value| {
        axum::Json(json!({"job_id": id, "status": status, "func_name": "app.build", "children": children, "worker_name": "w1"})).into_response()
    };
    match id {
        "good" if *polls < 3 => info("started", json!({})),
        "good" => info(
            "finished",
            json!({"0": [{"job_id": "good-2", "status": "finished", "func_name": "app.part"}]}),
        ),
        "endless" => info("started", json!({})),
        "bad" => info(
            "failed",
            json!({"0": [{"job_id": "bad-2", "status": "failed", "func_name": "app.storm", "exc_info": "Traceback\nValueError: impossible storm\n"}]}),
        ),
        _ => StatusCode::NOT_FOUND.into_response(),
    }
}

fn page(inner: &mut Inner, path: &str) -> Response {
    let last = path.rsplit('/').next().unwrap();
    match last {
        "fork" | "archive" => axum::Json(inner.flow.clone()).into_response(),
        "enqueue_good" => axum::Json(json!({"Success": true, "Content": {"job_id": "good"}})).into_response(),
        "enqueue_bad" => axum::Json(json!({"job_id": "bad"})).into_response(),
        "enqueue_endless" => axum::Json(json!({"jobId": "endless"})).into_response(),
        "enqueue_lost" => axum::Json(json!({"job_id": "lost"})).into_response(),
        "broken" => (StatusCode::INTERNAL_SERVER_ERROR, "it  broke\nhere").into_response(),
        "kicked" => (StatusCode::FOUND, [(header::LOCATION, "/weppcloud/login?next=x")]).into_response(),
        "moved" => (StatusCode::FOUND, [(header::LOCATION, "ok")]).into_response(),
        "late.geojson" => {
            let polls = inner.polls.entry(path.to_owned()).or_default();
            *polls += 1;
            if *polls < 3 {
                StatusCode::NOT_FOUND.into_response()
            } else {
                axum::Json(json!({})).into_response()
            }
        }
        "never.geojson" => StatusCode::NOT_FOUND.into_response(),
        "deleted" => StatusCode::NO_CONTENT.into_response(),
        _ => Response::new(Body::from("fine")),
    }
}

/// A listener that keeps everything.
#[derive(Debug, Default)]
pub(crate) struct Kept(pub Mutex<Vec<Line>>);

impl Listener for Kept {
    fn line(&self, line: &Line) {
        self.0.lock().unwrap().push(line.clone());
    }
}

impl Kept {
    /// The log with what differs from run to run taken out.
    pub(crate) fn log(&self, address: SocketAddr, dir: &Path) -> String {
        let lines = self.0.lock().unwrap();
        let text: Vec<String> = lines
            .iter()
            .filter(|line| line.channel == playtrace_replay::Channel::Log)
            .map(Line::to_plain)
            .collect();
        let text =
            text.join("\n").replace(&address.to_string(), "HOST").replace(&dir.display().to_string(), "DIR");
        let text = text.replace(&UUID.to_string(), "UUID");
        let times = regex::Regex::new(r"\d+ ms|\d\.\d s").unwrap();
        times.replace_all(&text, "TIME").into_owned()
    }
}

/// The sandbox's UUID in all tests.
pub(crate) const UUID: Uuid = Uuid::from_u128(0x0b0e_1111_2222_4333_8444_5555_6666_7777);

/// A recorded request with its answer: two lines.
pub(crate) fn recorded(id: u32, method: &str, path: &str, meta: &Value, status: u16) -> String {
    let endpoint = format!("https://wc.example.org/weppcloud/runs/my-run/cfg/{path}");
    let category = if path.contains("upload") { "file_upload" } else { "http_request" };
    let request = json!({"stage": "request", "id": id, "rootUrl": "https://wc.example.org/weppcloud", "method": method,
        "endpoint": endpoint, "category": category, "requestMeta": meta});
    let response = json!({"stage": "response", "id": id, "status": status, "ok": status < 300});
    format!("{request}\n{response}\n")
}

/// Makes a profile out of recorded lines and seed files in `dir`.
pub(crate) fn profile(dir: &Path, events: &[String], seeds: &[(&str, &str)]) -> Profile {
    let capture = dir.join("profiles/test-profile/capture");
    fs_err::create_dir_all(&capture).unwrap();
    fs_err::write(capture.join("events.jsonl"), events.concat()).unwrap();
    for (name, content) in seeds {
        let path = capture.join("seed").join(name);
        fs_err::create_dir_all(path.parent().unwrap()).unwrap();
        fs_err::write(path, content).unwrap();
    }
    Library::new(dir.join("profiles")).open(&Slug::parse("test-profile").unwrap()).unwrap()
}

/// The built-in preset, in a hurry.
pub(crate) fn preset() -> Preset {
    let mut preset = Preset::built_in(DEFAULT_PRESET).unwrap();
    let jobs = preset.jobs.as_mut().unwrap();
    (jobs.interval_ms, jobs.unknown_grace_s) = (5, 0);
    preset.poll.iter_mut().for_each(|rule| (rule.interval_ms, rule.timeout_s) = (5, 1));
    preset
}

pub(crate) fn plan(
    profile: &Profile,
    preset: &Preset,
    address: SocketAddr,
    run_root: &Path,
) -> Result<Plan, ReplayError> {
    let base = BaseUrl::parse(&format!("http://{address}/weppcloud/")).unwrap();
    Plan::new(profile, preset, PlanOptions { base: &base, run_root: Some(run_root), uuid: UUID })
}

pub(crate) fn options(password: &str) -> PlayOptions {
    PlayOptions {
        credentials: Credentials::Login {
            email: "me@example.org".to_owned(),
            password: Secret::new(password),
        },
        tracing: None,
        job_timeout: None,
        command: "playtrace play test-profile".to_owned(),
    }
}

/// Tracing with a coverage directory that the player sees.
pub(crate) fn traced(dir: &Path) -> PlayOptions {
    let tracing = Tracing {
        run: RunToken::parse("run-1").unwrap(),
        coverage_dir: Some(dir.join("coverage")),
        manifest_copy: Some(dir.join("profiles/_runs/run-1.manifest")),
        key: None,
    };
    PlayOptions { tracing: Some(tracing), ..options("hunter2") }
}

/// Plays `events` and gives everything back.
pub(crate) async fn replay(
    dir: &Path,
    app: SocketAddr,
    events: &[String],
    options: &PlayOptions,
) -> (Result<Replay, ReplayError>, Kept) {
    let (profile, preset, kept) = (profile(dir, events, &[]), preset(), Kept::default());
    let plan = plan(&profile, &preset, app, &dir.join("runs")).unwrap();
    (play(&plan, &preset, options, &kept).await, kept)
}
