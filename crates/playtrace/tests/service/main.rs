//! The playback service and the batch, from the outside.
#![allow(clippy::unwrap_used, reason = "a test that can't go on has failed")]

mod app;
mod batches;

use std::time::Duration;

use app::World;
use playtrace::service::api::TOKEN_HEADER;
use reqwest::{Client, Response, StatusCode};
use serde_json::{Value, json};

fn http() -> Client {
    playtrace_replay::install_tls();
    Client::new()
}

async fn post(url: &str, slug: &str, body: &Value) -> Response {
    http().post(format!("{url}/run/{slug}")).body(body.to_string()).send().await.unwrap()
}

/// The whole stream, and the token.
async fn streamed(answer: Response) -> (String, String) {
    assert_eq!(answer.status(), StatusCode::OK);
    let token = answer.headers()[TOKEN_HEADER].to_str().unwrap().to_owned();
    (answer.text().await.unwrap(), token)
}

/// The result of a run; waits while it goes on.
async fn result(url: &str, token: &str) -> Value {
    for _ in 0..1000 {
        let answer = http().get(format!("{url}/run/result/{token}")).send().await.unwrap();
        if answer.status() == StatusCode::OK {
            return serde_json::from_str(&answer.text().await.unwrap()).unwrap();
        }
        assert_eq!(answer.status(), StatusCode::ACCEPTED);
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("the run does not end");
}

#[tokio::test]
async fn a_traced_run_streams_its_log_and_leaves_a_result() {
    let world = World::new(true).await;
    let url = world.serve(world.settings()).await;
    let body = json!({"trace_code": true, "coverage_dir": world.path("copy"), "color": false, "command": "wctl x", "later": 1});
    let (log, token) = streamed(post(&url, "good", &body).await).await;
    insta::assert_snapshot!(world.plain(&log, &token), @r"
    profile good: 2 requests to http://APP, run TOKEN, traced
    [1/2] GET http://APP/ok 200 (N ms, 4 bytes)
    [2/2] GET http://APP/ok 200 (N ms, 4 bytes)
    Profile coverage saved to DIR/copy/good.coverage
    Verdict: complete
    ");
    let result = result(&url, &token).await;
    playtrace_testkit::schema::check(&result, "run");
    for (key, value) in [
        ("profile", json!("good")),
        ("token", json!(token)),
        ("dry_run", json!(false)),
        ("command", json!("wctl x")),
        ("run_id", json!(null)),
        ("sandbox_run_id", json!(null)),
        ("source_run_id", json!(null)),
        ("run_dir", json!(null)),
        ("coverage_artifact", json!(world.path("copy/good.coverage"))),
        ("exit_code", json!(0)),
        ("base_url", json!(format!("http://{}", world.address))),
        ("report", json!("2 requests, 0 jobs")),
    ] {
        assert_eq!(result[key], value, "{key}");
    }
    assert_eq!(result["requests"].as_array().unwrap().len(), 2);
    assert_eq!(result["verdict"]["status"], "complete");
    assert!(result["timestamp"].as_str().unwrap().ends_with('Z'));
    for file in ["copy/good.coverage", "copy/good.verdict.json", "coverage/good.coverage"] {
        assert!(world.path(file).is_file(), "{file}");
    }
    let runs = world.path("profiles/_runs");
    assert!(runs.join(format!("{token}.json")).is_file() && runs.join(format!("{token}.manifest")).is_file());
}

#[tokio::test]
async fn what_can_not_be_run_is_refused_with_a_reason() {
    let world = World::new(false).await;
    world.profile("torn", &["ok"]);
    let torn = world.path("profiles/torn/capture/events.jsonl");
    fs_err::write(&torn, "{\"stage\":").unwrap();
    fs_err::write(world.path("a-file"), "").unwrap();
    let url = world.serve(world.settings()).await;
    let blocked = json!({"trace_code": true, "coverage_dir": world.path("a-file/copy")});
    for (slug, body, status, code, word) in [
        ("..%2F..%2Fetc", json!({}), 400, "PT-PROFILE-001", "can't name a profile"),
        ("goood", json!({}), 404, "PT-PROFILE-002", "did you mean good?"),
        ("torn", json!({}), 422, "PT-PROFILE-004", "events.jsonl:1:"),
        ("good", json!({"dry_run": "maybe"}), 400, "PT-SERVE-001", "expected a boolean"),
        ("good", json!({"base_url": "nowhere"}), 400, "PT-REPLAY-005", "nowhere"),
        ("good", blocked, 500, "PT-PLAY-002", "a-file/copy"),
        (
            "good",
            json!({"trace_code": true, "coverage_config": "/absent.ini"}),
            422,
            "PT-COVDATA",
            "absent.ini",
        ),
    ] {
        let answer = post(&url, slug, &body).await;
        assert_eq!(answer.status().as_u16(), status, "{slug} {body}");
        let refusal: Value = serde_json::from_str(&answer.text().await.unwrap()).unwrap();
        assert!(refusal["code"].as_str().unwrap().starts_with(code), "{refusal}");
        assert!(refusal["error"].as_str().unwrap().contains(word), "{refusal}");
        assert_ne!(refusal["exit_code"], 0);
    }
    let runs = world.path("profiles/_runs");
    assert!(!runs.exists() || fs_err::read_dir(&runs).unwrap().next().is_none(), "something was written");
    for (path, status) in
        [("run/result/unknown", 404), ("run/result/..%2Fgood", 400), ("nothing", 404), ("health", 200)]
    {
        let answer = http().get(format!("{url}/{path}")).send().await.unwrap();
        assert_eq!(answer.status().as_u16(), status, "{path}");
        assert!(serde_json::from_str::<Value>(&answer.text().await.unwrap()).unwrap().is_object());
    }
}

#[tokio::test]
async fn a_dry_run_writes_nothing() {
    let world = World::new(false).await;
    let url = world.serve(world.settings()).await;
    let (log, token) =
        streamed(post(&url, "good", &json!({"dry_run": true, "trace_code": true})).await).await;
    insta::assert_snapshot!(world.plain(&log, &token), @r"
    profile good: 2 requests to http://APP, run TOKEN, traced
    [1/2] GET http://APP/ok expects 200, no body
    [2/2] GET http://APP/ok expects 200, no body
    dry run: nothing was sent, deleted or written
    ");
    assert!(!world.path("profiles/_runs").exists());
    assert_eq!(fs_err::read_dir(world.path("coverage")).unwrap().count(), 0);
}

#[tokio::test]
async fn a_missing_agent_ends_the_run_and_says_so() {
    let world = World::new(false).await;
    let url = world.serve(world.settings()).await;
    let (log, token) = streamed(post(&url, "good", &json!({"trace_code": true})).await).await;
    insta::assert_snapshot!(world.plain(&log, &token), @r"
    profile good: 2 requests to http://APP, run TOKEN, traced
    error[PT-REPLAY-012]: no agent in the web process at http://APP/ok: step 1 was answered 200 without X-Profile-Trace-Status; start the app with ENABLE_PROFILE_COVERAGE=1 and playtrace-agent in its app factory, or have a proxy in between pass X-Profile-Trace and X-Profile-Trace-Status on
    Verdict: failed
      no agent in the web process at http://APP/ok: step 1 was answered 200 without X-Profile-Trace-Status; start the app with ENABLE_PROFILE_COVERAGE=1 and playtrace-agent in its app factory, or have a proxy in between pass X-Profile-Trace and X-Profile-Trace-Status on
    ");
    let result = result(&url, &token).await;
    assert_eq!((&result["outcome"], &result["exit_code"]), (&json!("aborted"), &json!(1)));
}

#[tokio::test]
async fn shards_that_cannot_be_seen_are_named() {
    let world = World::new(true).await;
    let mut settings = world.settings();
    settings.coverage_dir = "/container/coverage".into();
    let url = world.serve(settings).await;
    let (log, token) = streamed(post(&url, "good", &json!({"trace_code": true})).await).await;
    let log = world.plain(&log, &token);
    assert!(
        log.ends_with(
            "Verdict: partial\n  data not merged: /container/coverage can't be seen from here; run `playtrace combine \
             --profile good --run TOKEN --manifest DIR/profiles/_runs/TOKEN.manifest /container/coverage` where it is\n"
        ),
        "{log}"
    );
    assert_eq!(result(&url, &token).await["exit_code"], 3);
}

#[tokio::test]
async fn a_run_goes_on_without_its_client() {
    let world = World::new(false).await;
    world.profile("slow", &["ok", "slow", "ok"]);
    let url = world.serve(world.settings()).await;
    let answer = post(&url, "slow", &json!({})).await;
    let token = answer.headers()[TOKEN_HEADER].to_str().unwrap().to_owned();
    drop(answer);
    let running = http().get(format!("{url}/run/result/{token}")).send().await.unwrap();
    assert_eq!(running.status(), StatusCode::ACCEPTED);
    world.app.gate.add_permits(1);
    let result = result(&url, &token).await;
    assert_eq!(result["outcome"], "passed");
    assert_eq!(result["requests"].as_array().unwrap().len(), 3);
}

#[tokio::test]
async fn failures_are_told_and_counted() {
    let world = World::new(false).await;
    world.profile("bad", &["ok", "broken"]);
    let url = world.serve(world.settings()).await;
    let (log, token) = streamed(post(&url, "bad", &json!({"verbose": true})).await).await;
    assert!(log.contains("\n[context] [2/2] line 3 of the recording, expects 200, no body\n"), "{log}");
    assert!(
        log.ends_with("Verdict: failed\n  failed: step 2 (GET /broken): answered 500 instead of 200\n"),
        "{log}"
    );
    assert_eq!(result(&url, &token).await["exit_code"], 1);
}
