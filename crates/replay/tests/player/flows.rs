//! Forks and archives: one request on a snapshot, and what it makes.

use std::net::SocketAddr;
use std::path::Path;

use crate::common::{Agent, App, Kept, UUID, options, preset, profile, recorded, start, traced};
use playtrace_profile::Profile;
use playtrace_replay::{BaseUrl, Flow, FlowRoots, Plan, PlanOptions, PlayOptions, Replay, ReplayError, play};
use serde_json::json;

const FORK: Flow = Flow::Fork { undisturbify: true, target_runid: None };

/// A profile with a snapshot; `files` are the snapshot's.
fn with_snapshot(dir: &Path, files: &[(&str, &str)]) -> Profile {
    for (name, content) in files {
        let path = dir.join("profiles/test-profile/run").join(name);
        fs_err::create_dir_all(path.parent().unwrap()).unwrap();
        fs_err::write(path, content).unwrap();
    }
    profile(dir, &[recorded(1, "GET", "x", &json!({}), 200)], &[])
}

fn planned(dir: &Path, profile: &Profile, address: SocketAddr, flow: &Flow) -> Result<Plan, ReplayError> {
    let base = BaseUrl::parse(&format!("http://{address}/weppcloud")).unwrap();
    let runs = dir.join("runs");
    let options = PlanOptions { base: &base, run_root: Some(&runs), uuid: UUID };
    let (fork, archive) = (dir.join("fork"), dir.join("archive"));
    Plan::flow(profile, &preset(), options, FlowRoots { fork: Some(&fork), archive: Some(&archive) }, flow)
}

async fn done(dir: &Path, address: SocketAddr, flow: &Flow, options: &PlayOptions) -> (Replay, Kept) {
    let profile = with_snapshot(dir, &[("archives/a.zip", "packed"), ("archives/b.zip", "too")]);
    let (plan, kept) = (planned(dir, &profile, address, flow).unwrap(), Kept::default());
    (play(&plan, &preset(), options, &kept).await.unwrap(), kept)
}

/// The last request below a run.
fn asked(app: &App) -> (String, String, String, Option<(String, String, String)>) {
    let seen = &app.lock().unwrap().seen;
    let last = seen.iter().rfind(|seen| seen.target.starts_with("/weppcloud/runs/")).unwrap();
    let target = last.target.replace(&UUID.to_string(), "UUID");
    (target, last.content_type.clone(), last.body.replace(&UUID.to_string(), "UUID"), last.trace.clone())
}

#[tokio::test]
async fn a_fork_is_asked_for_as_the_app_wants_it_and_followed() {
    let (app, address) = start(Agent::On).await;
    let dir = tempfile::tempdir().unwrap();
    fs_err::create_dir_all(dir.path().join("coverage")).unwrap();
    fs_err::create_dir_all(dir.path().join("profiles/_runs")).unwrap();
    app.lock().unwrap().flow =
        json!({"Success": true, "job_id": "good", "new_runid": format!("profile;;fork;;{UUID}")});
    fs_err::create_dir_all(dir.path().join("fork").join(UUID.to_string())).unwrap();
    let (replay, kept) = done(dir.path(), address, &FORK, &traced(dir.path())).await;
    let trace = |step: &str| Some(("test-profile-fork".to_owned(), "run-1".to_owned(), step.to_owned()));
    assert_eq!(
        asked(&app),
        (
            "/weppcloud/runs/profile;;tmp;;UUID/cfg/rq/api/fork".to_owned(),
            "application/x-www-form-urlencoded".to_owned(),
            "target_runid=profile%3B%3Bfork%3B%3BUUID&undisturbify=true".to_owned(),
            trace("1")
        )
    );
    let flow = replay.flow.clone().unwrap();
    assert_eq!((flow.job_id.as_deref(), flow.status.as_deref()), (Some("good"), Some("finished")));
    assert_eq!(flow.new_run_id, Some(format!("profile;;fork;;{UUID}")));
    assert_eq!(flow.fork_dir, Some(dir.path().join("fork").join(UUID.to_string())));
    assert_eq!(replay.failures(), Vec::<String>::new());
    insta::assert_snapshot!(kept.log(address, dir.path()), @r"
    logged in at http://HOST/weppcloud/login
    sandbox DIR/runs/UUID (2 files)
    [1/1] POST http://HOST/weppcloud/runs/profile;;tmp;;UUID/cfg/rq/api/fork 200 (TIME, 98 bytes) job good
      waiting for job good
      job good app.build: started (TIME)
      job good app.build: finished (TIME)
    Forked to profile;;fork;;UUID (DIR/fork/UUID)
    ");
}

#[tokio::test]
async fn an_archive_is_copied_to_its_place() {
    let (app, address) = start(Agent::Absent).await;
    let dir = tempfile::tempdir().unwrap();
    app.lock().unwrap().flow = json!({"success": true, "job_id": "good"});
    let (replay, _) = done(
        dir.path(),
        address,
        &Flow::Archive { comment: Some("why \"not\"".to_owned()) },
        &options("hunter2"),
    )
    .await;
    let (target, content_type, body, _) = asked(&app);
    assert_eq!(target, "/weppcloud/runs/profile;;tmp;;UUID/cfg/rq/api/archive");
    assert_eq!((content_type.as_str(), body.as_str()), ("application/json", r#"{"comment":"why \"not\""}"#));
    let flow = replay.flow.unwrap();
    let place = dir.path().join("archive").join(UUID.to_string());
    assert_eq!(flow.archives, Some(vec!["a.zip".to_owned(), "b.zip".to_owned()]));
    assert_eq!(fs_err::read_to_string(place.join("a.zip")).unwrap(), "packed");
    assert_eq!((flow.archive_dir, flow.failure), (Some(place), None));
    // Nothing was said: nothing is sent.
    done(dir.path(), address, &Flow::Archive { comment: None }, &options("hunter2")).await;
    assert_eq!(asked(&app).2, "{}");
}

#[tokio::test]
async fn what_an_app_leaves_undone_is_a_failure() {
    let (app, address) = start(Agent::Absent).await;
    for (answer, root, says) in [
        (json!({"Success": false, "Error": "locked"}), false, "the app refused the fork: locked"),
        (json!({"Success": false}), false, "the app refused the fork: it gives no reason"),
        (json!({"Success": true, "new_runid": "x"}), false, "the app's answer to the fork names no job"),
        (json!({"Success": true, "job_id": "bad"}), false, "impossible storm"),
        (json!({"Success": true, "job_id": "good"}), true, "is not there: do app and player have the same"),
    ] {
        let dir = tempfile::tempdir().unwrap();
        if root {
            fs_err::create_dir_all(dir.path().join("fork")).unwrap();
        }
        app.lock().unwrap().flow = answer;
        let (replay, kept) = done(dir.path(), address, &FORK, &options("hunter2")).await;
        let failures = replay.failures();
        assert!(failures.len() == 1 && failures[0].contains(says), "{says}: {failures:?}");
        assert!(kept.log(address, dir.path()).contains(says), "{says} is not in the log");
        assert!(!kept.log(address, dir.path()).contains("Forked to"));
    }
}

#[test]
fn what_can_not_be_asked_for_is_refused_before_anything_is_sent() {
    let dir = tempfile::tempdir().unwrap();
    let nowhere: SocketAddr = "127.0.0.1:9".parse().unwrap();
    let why = |profile: &Profile, flow: &Flow| {
        let error = planned(dir.path(), profile, nowhere, flow).unwrap_err();
        assert_eq!(error.code(), "PT-REPLAY-014");
        error.to_string()
    };
    let bare = profile(dir.path(), &[recorded(1, "GET", "x", &json!({}), 200)], &[]);
    assert!(why(&bare, &FORK).contains("no fork of it can be asked for: it has no snapshot"));
    let good = with_snapshot(dir.path(), &[("nodb/ron.json", "{}")]);
    let long = Flow::Archive { comment: Some("ü".repeat(201)) };
    assert!(why(&good, &long).ends_with("the comment has more than 200 characters"));
    assert!(planned(dir.path(), &good, nowhere, &Flow::Archive { comment: Some("ü".repeat(200)) }).is_ok());
    let empty = Flow::Fork { undisturbify: false, target_runid: Some(String::new()) };
    assert!(why(&good, &empty).ends_with("the target's run id is empty"));
    let odd = with_snapshot(dir.path(), &[("active_config.txt", "a;b")]);
    assert!(why(&odd, &FORK).ends_with("is no name of a configuration"));
    // The file says it better than the recording.
    let named = with_snapshot(dir.path(), &[("active_config.txt", "dev_unit_1.cfg\n")]);
    let plan = planned(dir.path(), &named, nowhere, &FORK).unwrap();
    assert!(plan.steps().next().unwrap().target().ends_with("/dev_unit_1/rq/api/fork"));
    assert!(!dir.path().join("runs").exists());
}
