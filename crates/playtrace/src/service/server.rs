//! The profile-playback service.

use std::collections::BTreeSet;
use std::future::Future;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{HeaderName, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use playtrace_model::RunToken;
use playtrace_replay::{FlowKind, Line, Listener as _, RUNS_DIR};
use serde_json::json;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio_util::task::TaskTracker;

use super::api::{Refusal, RunBody, TOKEN_HEADER};
use super::engine::prepare_work;
use super::settings::{self, Settings};
use super::stream;
use crate::exit::Exit;
use crate::messages::Failure;

/// What all requests share.
#[derive(Clone)]
struct Service {
    settings: Arc<Settings>,
    slots: Arc<Semaphore>,
    running: Arc<Mutex<BTreeSet<RunToken>>>,
    tracker: TaskTracker,
}

/// Serves on `listener` until `shutdown`, then until the runs that are under way have ended.
pub async fn serve(
    listener: TcpListener,
    settings: Settings,
    jobs: usize,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> std::io::Result<()> {
    let service = Service {
        settings: Arc::new(settings),
        slots: Arc::new(Semaphore::new(jobs)),
        running: Arc::default(),
        tracker: TaskTracker::new(),
    };
    let tracker = service.tracker.clone();
    let router = Router::new()
        .route("/health", get(health))
        .route("/run/{profile}", post(run))
        .route("/fork/{profile}", post(fork))
        .route("/archive/{profile}", post(archive))
        .route("/run/result/{token}", get(result))
        .fallback(nowhere)
        .with_state(service);
    axum::serve(listener, router).with_graceful_shutdown(shutdown).await?;
    // Clients may have gone while their runs go on.
    tracker.close();
    tracker.wait().await;
    Ok(())
}

async fn health(State(service): State<Service>) -> impl IntoResponse {
    let running = service.running.lock().unwrap_or_else(PoisonError::into_inner).len();
    Json(json!({
        "status": "ok",
        "version": env!("CARGO_PKG_VERSION"),
        "profiles_root": service.settings.profiles_root,
        "coverage_dir": service.settings.coverage_dir,
        "running": running,
    }))
}

async fn run(State(service): State<Service>, Path(slug): Path<String>, body: Bytes) -> Response {
    begin(service, slug, None, body).await
}

async fn fork(State(service): State<Service>, Path(slug): Path<String>, body: Bytes) -> Response {
    begin(service, slug, Some(FlowKind::Fork), body).await
}

async fn archive(State(service): State<Service>, Path(slug): Path<String>, body: Bytes) -> Response {
    begin(service, slug, Some(FlowKind::Archive), body).await
}

/// Begins a replay, or a flow, and streams its log.
async fn begin(service: Service, slug: String, flow: Option<FlowKind>, body: Bytes) -> Response {
    let body = if body.iter().all(u8::is_ascii_whitespace) { b"{}".as_slice() } else { body.as_ref() };
    let body: RunBody = match serde_json::from_slice(body) {
        Ok(body) => body,
        Err(error) => {
            let why = format!(
                "the request's body is not what /{} takes: {error}",
                flow.map_or("run", FlowKind::as_str)
            );
            return refuse(StatusCode::BAD_REQUEST, &Failure::new(Exit::Usage, "PT-SERVE-001", why));
        }
    };
    let coloured = body.color.or_else(settings::colour).unwrap_or(false);
    let verbose = body.verbose;
    let prepared = {
        let settings = Arc::clone(&service.settings);
        // Reads files: no work for the threads that answer others.
        tokio::task::spawn_blocking(move || prepare_work(&settings, &slug, flow, body)).await
    };
    let prepared = match prepared {
        Ok(Ok(prepared)) => prepared,
        Ok(Err(failure)) => return refuse(status_of(&failure), &failure),
        Err(error) => {
            let failure =
                Failure::new(Exit::Io, "PT-SERVE-002", format!("the run can't be prepared: {error}"));
            return refuse(StatusCode::INTERNAL_SERVER_ERROR, &failure);
        }
    };
    let token = prepared.token().clone();
    let (listener, stream) = stream::channel(coloured, verbose);
    let registered = Registered::new(&service.running, token.clone());
    // A task of its own: the run goes on to its end also when the client hangs up.
    service.tracker.spawn(async move {
        let _registered = registered;
        if service.slots.available_permits() == 0 {
            listener.line(&Line::log().plain("waiting for another run to end"));
        }
        // The semaphore is never closed; without a permit the run would just not be limited.
        let _slot = service.slots.acquire().await;
        prepared.run(&listener).await;
    });
    let headers = [
        (header::CONTENT_TYPE, "text/plain; charset=utf-8".to_owned()),
        (header::CACHE_CONTROL, "no-store".to_owned()),
        // Proxies would hold the log back until it is complete.
        (HeaderName::from_static("x-accel-buffering"), "no".to_owned()),
        (HeaderName::from_static(TOKEN_HEADER), token.to_string()),
    ];
    (headers, stream).into_response()
}

async fn result(State(service): State<Service>, Path(token): Path<String>) -> Response {
    let unknown =
        |why: String| refuse(StatusCode::NOT_FOUND, &Failure::new(Exit::BadInput, "PT-SERVE-003", why));
    let Ok(token) = RunToken::parse(&token) else {
        let why = "the text is no run token".to_owned();
        return refuse(StatusCode::BAD_REQUEST, &Failure::new(Exit::Usage, "PT-SERVE-004", why));
    };
    if service.running.lock().unwrap_or_else(PoisonError::into_inner).contains(&token) {
        return (StatusCode::ACCEPTED, Json(json!({"token": token, "outcome": "running"}))).into_response();
    }
    let path: PathBuf = service.settings.profiles_root.join(RUNS_DIR).join(format!("{token}.json"));
    match tokio::fs::read(&path).await {
        Ok(text) => ([(header::CONTENT_TYPE, "application/json")], text).into_response(),
        Err(_) => unknown(format!("there is no run {token} (dry runs leave no result)")),
    }
}

async fn nowhere() -> Response {
    let why = "this service has GET /health, POST /run/{profile}, /fork/{profile} and /archive/{profile}, and GET /run/result/{token}";
    refuse(StatusCode::NOT_FOUND, &Failure::new(Exit::Usage, "PT-SERVE-005", why))
}

fn status_of(failure: &Failure) -> StatusCode {
    match failure.code {
        "PT-PROFILE-002" => StatusCode::NOT_FOUND,
        "PT-PROFILE-001" => StatusCode::BAD_REQUEST,
        _ => match failure.exit {
            Exit::Usage => StatusCode::BAD_REQUEST,
            Exit::BadInput => StatusCode::UNPROCESSABLE_ENTITY,
            _ => StatusCode::INTERNAL_SERVER_ERROR,
        },
    }
}

fn refuse(status: StatusCode, failure: &Failure) -> Response {
    let help = failure.help.as_ref().map(|help| format!(" ({help})")).unwrap_or_default();
    let refusal = Refusal {
        code: failure.code.to_owned(),
        error: format!("{}{help}", failure.message),
        exit_code: failure.exit as u8,
    };
    (status, Json(refusal)).into_response()
}

/// A run among those that go on; taken out when it ends, panic or not.
struct Registered {
    running: Arc<Mutex<BTreeSet<RunToken>>>,
    token: RunToken,
}

impl Registered {
    fn new(running: &Arc<Mutex<BTreeSet<RunToken>>>, token: RunToken) -> Self {
        running.lock().unwrap_or_else(PoisonError::into_inner).insert(token.clone());
        Self { running: Arc::clone(running), token }
    }
}

impl Drop for Registered {
    fn drop(&mut self) {
        self.running.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.token);
    }
}
