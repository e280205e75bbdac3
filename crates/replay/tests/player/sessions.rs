//! Whole replays against an app that tells what it got.

use std::path::Path;

use crate::common::{Agent, Kept, UUID, options, plan, preset, profile, recorded, replay, start, traced};
use playtrace_ledger::{Layout, Outcome, Record, RunLedger};
use playtrace_model::{RunToken, Slug};
use playtrace_replay::{Credentials, PlayOptions, Reaction, Secret, play};
use serde_json::json;

fn none() -> serde_json::Value {
    json!({"hasBody": false})
}

fn get(id: u32, path: &str) -> String {
    recorded(id, "GET", path, &none(), 200)
}

fn post(id: u32, path: &str) -> String {
    recorded(
        id,
        "POST",
        path,
        &json!({"hasBody": true, "bodyType": "json", "jsonPayload": "{\"run\": \"my-run\"}"}),
        200,
    )
}

/// What the app got of the session itself, one line a request.
fn session(app: &crate::common::App) -> Vec<String> {
    let seen = &app.lock().unwrap().seen;
    let own = seen.iter().filter(|seen| seen.target.starts_with("/weppcloud/runs/"));
    own.map(|seen| {
        let target = seen.target.replace(&format!("/weppcloud/runs/profile;;tmp;;{UUID}/cfg/"), "…/");
        format!(
            "{} {target} {} {}",
            seen.method,
            seen.content_type,
            seen.body.replace(&UUID.to_string(), "UUID")
        )
        .trim_end()
        .to_owned()
    })
    .collect()
}

#[tokio::test]
async fn a_session_is_replayed_as_it_was_recorded() {
    let (app, address) = start(Agent::Absent).await;
    let dir = tempfile::tempdir().unwrap();
    let upload = json!({"hasBody": true, "bodyType": "form-data", "formKeys": ["mode", "input_upload_sbs", "tags"],
        "formValues": {"mode": "1", "tags": ["a", "my-run"]}});
    let optional = json!({"hasBody": true, "bodyType": "form-data", "formKeys": ["fire_date"], "formValues": {"fire_date": "8/4"}});
    let empty = json!({"hasBody": true, "bodyType": "form-data", "formKeys": ["input_upload_landuse"], "formValues": {}});
    let events = [
        get(1, "?x=%2F1&run=my-run"),
        recorded(2, "POST", "tasks/upload_sbs", &upload, 200),
        recorded(3, "POST", "rq/api/run_ash", &optional, 200),
        recorded(4, "POST", "rq/api/build_landuse", &empty, 200),
        recorded(
            5,
            "PUT",
            "note",
            &json!({"hasBody": true, "bodyType": "text", "bodyPreview": "my-run ü", "bodyLength": 8}),
            200,
        ),
        recorded(6, "DELETE", "deleted", &none(), 204),
        recorded(
            7,
            "POST",
            "x",
            &json!({"hasBody": true, "bodyType": "urlencoded", "formValues": {"a": "1 2"}}),
            200,
        ),
        recorded(8, "GET", "elevationquery/", &none(), 200),
        recorded(9, "GET", "gone", &none(), 404),
        get(10, "moved"),
    ];
    let profile = profile(
        dir.path(),
        &events,
        &[("uploads/sbs/burn.tif", "pixels"), ("config/cfg.toml", "x"), ("config/a/b", "y")],
    );
    let (preset, kept, runs) = (preset(), Kept::default(), dir.path().join("runs"));
    let plan = plan(&profile, &preset, address, &runs).unwrap();
    let replay = play(&plan, &preset, &options("hunter2"), &kept).await.unwrap();

    assert_eq!(replay.failures(), [] as [&str; 0]);
    assert_eq!(
        session(&app),
        [
            format!("GET …/?x=%2F1&run=profile;;tmp;;{UUID}"),
            "POST …/tasks/upload_sbs multipart/form-data mode=1 | input_upload_sbs=@burn.tif(image/tiff):pixels | tags=a | tags=profile;;tmp;;UUID".to_owned(),
            "POST …/rq/api/run_ash multipart/form-data fire_date=8/4".to_owned(),
            "POST …/rq/api/build_landuse multipart/form-data input_upload_landuse=@(-):".to_owned(),
            "PUT …/note text/plain profile;;tmp;;UUID ü".to_owned(),
            "DELETE …/deleted".to_owned(),
            "POST …/x application/x-www-form-urlencoded a=1+2".to_owned(),
            "GET …/moved".to_owned(),
            "GET …/ok".to_owned(),
        ]
    );
    assert!(app.lock().unwrap().seen.iter().all(|seen| seen.trace.is_none()));
    let sandbox = runs.join(UUID.to_string());
    assert_eq!(fs_err::read_to_string(sandbox.join("cfg.toml")).unwrap(), "x");
    assert_eq!(fs_err::read_to_string(sandbox.join("a/b")).unwrap(), "y");
}

#[tokio::test]
async fn jobs_are_waited_for_before_the_next_get() {
    let (app, address) = start(Agent::Absent).await;
    let dir = tempfile::tempdir().unwrap();
    let events = [post(1, "enqueue_good"), post(2, "x"), get(3, "resources/late.geojson")];
    let (played, kept) = replay(dir.path(), address, &events, &options("hunter2")).await;
    let replay = played.unwrap();
    assert_eq!(replay.failures(), [] as [&str; 0]);
    assert_eq!((replay.jobs.len(), replay.job_count(), replay.steps[2].attempts), (1, 2, 3));
    let order: Vec<String> = app
        .lock()
        .unwrap()
        .seen
        .iter()
        .skip(2)
        .map(|s| s.target.rsplit('/').next().unwrap().to_owned())
        .collect();
    assert_eq!(
        order,
        ["enqueue_good", "x", "good", "good", "good", "late.geojson", "late.geojson", "late.geojson"]
    );
    insta::assert_snapshot!(kept.log(address, dir.path()), @r"
    logged in at http://HOST/weppcloud/login
    sandbox DIR/runs/UUID (0 files)
    [1/3] POST http://HOST/weppcloud/runs/profile;;tmp;;UUID/cfg/enqueue_good 200 (TIME, 44 bytes) job good
    [2/3] POST http://HOST/weppcloud/runs/profile;;tmp;;UUID/cfg/x 200 (TIME, 4 bytes)
      waiting for job good
      job good app.build: started (TIME)
      job good app.build: finished (TIME)
    [3/3] GET http://HOST/weppcloud/runs/profile;;tmp;;UUID/cfg/resources/late.geojson 200 (TIME, 2 bytes, 3 attempts)
    ");
}

#[tokio::test]
async fn a_recorded_poll_is_a_place_to_wait() {
    let (app, address) = start(Agent::Absent).await;
    let dir = tempfile::tempdir().unwrap();
    let poll = recorded(2, "GET", "x", &none(), 200)
        .replace("/weppcloud/runs/my-run/cfg/x", "/rq-engine/api/jobinfo/old");
    let events = [post(1, "enqueue_good"), poll, post(3, "x")];
    let (played, _) = replay(dir.path(), address, &events, &options("hunter2")).await;
    assert_eq!(played.unwrap().steps.len(), 2);
    let last = app.lock().unwrap().seen.last().unwrap().target.clone();
    assert!(last.ends_with("/cfg/x"), "{last}");
}

#[tokio::test]
async fn what_goes_wrong_is_a_result() {
    let (_app, address) = start(Agent::Absent).await;
    let dir = tempfile::tempdir().unwrap();
    let events = [
        get(1, "broken"),
        post(2, "enqueue_bad"),
        get(3, "kicked"),
        get(4, "resources/never.geojson"),
        post(5, "enqueue_lost"),
        get(6, "ok"),
    ];
    let (played, kept) = replay(dir.path(), address, &events, &options("hunter2")).await;
    let replay = played.unwrap();
    let failures =
        replay.failures().join("\n").replace(&UUID.to_string(), "UUID").replace(&address.to_string(), "HOST");
    insta::assert_snapshot!(failures, @r"
    step 1 (GET /weppcloud/runs/profile;;tmp;;UUID/cfg/broken): answered 500 instead of 200 (it broke here)
    step 3 (GET /weppcloud/runs/profile;;tmp;;UUID/cfg/kicked): sent to the log-in page: the app does not know the session (any more)
    step 4 (GET /weppcloud/runs/profile;;tmp;;UUID/cfg/resources/never.geojson): answered 404 instead of 200, still after 1 s
    job bad-2 (app.storm) failed: ValueError: impossible storm
    job lost: no status page knows it (http://HOST/rq-engine/api/jobinfo/lost, http://HOST/weppcloud/rq/api/jobstatus/lost)
    ");
    assert!(
        kept.log(address, dir.path())
            .contains("  job bad failed:\n    bad app.build failed\n      bad-2 app.storm failed")
    );
    assert_eq!(replay.steps.len(), 6);
}

#[tokio::test]
async fn a_preset_can_stop_at_the_first_failure() {
    let (_app, address) = start(Agent::Absent).await;
    let dir = tempfile::tempdir().unwrap();
    let profile = profile(dir.path(), &[get(1, "broken"), get(2, "ok"), get(3, "ok")], &[]);
    let mut preset = preset();
    preset.on_failure.step = Reaction::Stop;
    let plan = plan(&profile, &preset, address, dir.path()).unwrap();
    let replay = play(&plan, &preset, &options("hunter2"), &Kept::default()).await.unwrap();
    assert_eq!((replay.steps.len(), replay.not_sent), (1, 2));
    assert_eq!(replay.failures()[1], "2 steps were not sent after that");
}

#[tokio::test]
async fn a_job_that_never_ends_names_the_time_out() {
    let (_app, address) = start(Agent::Absent).await;
    let dir = tempfile::tempdir().unwrap();
    let options =
        PlayOptions { job_timeout: Some(std::time::Duration::from_millis(50)), ..options("hunter2") };
    let (played, _) = replay(dir.path(), address, &[post(1, "enqueue_endless")], &options).await;
    assert_eq!(
        played.unwrap().failures(),
        ["job endless (app.build): still started after 0 s, the job time-out (--job-timeout)"]
    );
}

#[tokio::test]
async fn a_status_page_in_trouble_is_named() {
    let (app, address) = start(Agent::Absent).await;
    app.lock().unwrap().redis_down = true;
    let dir = tempfile::tempdir().unwrap();
    let (played, _) = replay(dir.path(), address, &[post(1, "enqueue_good")], &options("hunter2")).await;
    let failures = played.unwrap().failures().join("\n").replace(&address.to_string(), "HOST");
    insta::assert_snapshot!(
        failures,
        @"job good: its status can't be read: http://HOST/rq-engine/api/jobinfo/good answers 503 (no Redis); is Redis running?"
    );
}

fn ledger(dir: &Path) -> Vec<Record> {
    let (slug, run) = (Slug::parse("test-profile").unwrap(), RunToken::parse("run-1").unwrap());
    let ledger = RunLedger::read(&Layout::new(&dir.join("coverage")), &slug, &run).unwrap();
    ledger.entries().map(|entry| entry.record.clone()).collect()
}

#[tokio::test]
async fn traced_steps_carry_headers_and_are_promised_and_accounted_for() {
    let (app, address) = start(Agent::On).await;
    let dir = tempfile::tempdir().unwrap();
    let events = [get(1, "ok"), post(2, "enqueue_good")];
    let (played, _) = replay(dir.path(), address, &events, &traced(dir.path())).await;
    assert_eq!(played.unwrap().steps[1].trace.as_deref(), Some("on"));
    for seen in &app.lock().unwrap().seen {
        let step = match seen.target.rsplit('/').next().unwrap() {
            "ok" => Some("1"),
            "enqueue_good" => Some("2"),
            // The log-in and the job polls are not part of the session.
            _ => None,
        };
        let headers = step.map(|step| ("test-profile".to_owned(), "run-1".to_owned(), step.to_owned()));
        assert_eq!(seen.trace, headers, "{}", seen.target);
    }
    let records = ledger(dir.path());
    assert!(
        matches!(&records[1], Record::Manifest { steps: 2, command, .. } if command == "playtrace play test-profile")
    );
    assert!(matches!(&records[2], Record::Sent { step: 1, .. }));
    assert!(
        matches!(&records[3], Record::Answered { step: 1, status: Some(200), trace: Some(on) } if on == "on")
    );
    let jobs: Vec<_> = records
        .iter()
        .filter_map(|r| match r {
            Record::Job { job, worker, .. } => Some((job.as_str(), worker.as_str())),
            _ => None,
        })
        .collect();
    assert_eq!(jobs, [("good", "w1"), ("good-2", "")]);
    assert!(matches!(records.last().unwrap(), Record::End { outcome: Outcome::Passed, .. }));
    let copy = fs_err::read(dir.path().join("profiles/_runs/run-1.manifest")).unwrap();
    let (copied, damages) = playtrace_ledger::decode(&copy);
    assert_eq!(copied.len(), records.len());
    assert!(damages.is_empty());
}

#[tokio::test]
async fn no_agent_is_an_error_at_once() {
    for (agent, code, word) in [
        (Agent::Absent, "PT-REPLAY-012", "no agent in the web process at http://"),
        (Agent::Off, "PT-REPLAY-013", "does not trace: the header is not signed"),
    ] {
        let (app, address) = start(agent).await;
        let dir = tempfile::tempdir().unwrap();
        let (played, _) =
            replay(dir.path(), address, &[get(1, "ok"), get(2, "ok")], &traced(dir.path())).await;
        let error = played.unwrap_err();
        assert_eq!(error.code(), code);
        assert!(error.to_string().contains(word), "{error}");
        assert_eq!(session(&app).len(), 1, "the run went on");
        assert!(matches!(ledger(dir.path()).last().unwrap(), Record::End { outcome: Outcome::Aborted, .. }));
    }
}

#[tokio::test]
async fn who_is_not_let_in_leaves_nothing_behind() {
    let (app, address) = start(Agent::On).await;
    let dir = tempfile::tempdir().unwrap();
    let wrong = PlayOptions { credentials: options("wrong-horse").credentials, ..traced(dir.path()) };
    let (played, kept) = replay(dir.path(), address, &[get(1, "ok")], &wrong).await;
    let message = played.unwrap_err().to_string();
    assert!(message.contains("did not take e-mail and password (it answers 200)"), "{message}");
    let told = format!("{message}{}{wrong:?}", kept.log(address, dir.path()));
    assert!(!told.contains("wrong-horse"), "{told}");
    let anonymous = PlayOptions { credentials: Credentials::Anonymous, ..traced(dir.path()) };
    let (played, _) = replay(dir.path(), address, &[get(1, "ok")], &anonymous).await;
    assert_eq!(played.unwrap_err().code(), "PT-REPLAY-011");
    assert!(session(&app).is_empty());
    assert!(!dir.path().join("runs").exists() && !dir.path().join("coverage").exists());
    assert!(!dir.path().join("profiles/_runs").exists());
}

#[tokio::test]
async fn a_cookie_replaces_the_log_in() {
    let (app, address) = start(Agent::Absent).await;
    let dir = tempfile::tempdir().unwrap();
    let cookie = Credentials::Cookie(Secret::new("other=1; session=good"));
    let (played, _) =
        replay(dir.path(), address, &[get(1, "ok")], &PlayOptions { credentials: cookie, ..options("") })
            .await;
    assert_eq!(played.unwrap().failures(), [] as [&str; 0]);
    assert_eq!(app.lock().unwrap().seen.len(), 1);
    let cookie = Credentials::Cookie(Secret::new("session=stale"));
    let (played, _) =
        replay(dir.path(), address, &[get(1, "ok")], &PlayOptions { credentials: cookie, ..options("") })
            .await;
    assert!(played.unwrap().failures()[0].contains("sent to the log-in page"));
}

#[tokio::test]
async fn an_app_that_is_not_there_is_named() {
    // A port that was just free: nobody listens on it.
    let address = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let dir = tempfile::tempdir().unwrap();
    for credentials in [options("x").credentials, Credentials::Cookie(Secret::new("session=good"))] {
        let options = PlayOptions { credentials, ..options("x") };
        let (played, _) = replay(dir.path(), address, &[get(1, "ok")], &options).await;
        let error = played.unwrap_err();
        assert_eq!(error.code(), "PT-REPLAY-010");
        assert!(
            error.to_string().contains(&address.to_string()) && error.to_string().contains("refused"),
            "{error}"
        );
    }
}
