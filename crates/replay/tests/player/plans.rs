//! What is found out before anything is sent.

use std::net::SocketAddr;

use crate::common::{Kept, plan, preset, profile, recorded};
use playtrace_replay::{Plan, PlanOptions, ReplayError};
use serde_json::{Value, json};

const NOWHERE: &str = "127.0.0.1:9";

fn planned(events: &[String], seeds: &[(&str, &str)]) -> (Result<Plan, ReplayError>, tempfile::TempDir) {
    let dir = tempfile::tempdir().unwrap();
    let profile = profile(dir.path(), events, seeds);
    (plan(&profile, &preset(), NOWHERE.parse().unwrap(), &dir.path().join("runs")), dir)
}

/// The message about a profile that can't be played, without its folder.
fn refused(events: &[String], seeds: &[(&str, &str)]) -> String {
    let (plan, dir) = planned(events, seeds);
    plan.unwrap_err().to_string().replace(&dir.path().display().to_string(), "DIR")
}

fn form(keys: &[&str]) -> Value {
    json!({"hasBody": true, "bodyType": "form-data", "formKeys": keys, "formValues": {}})
}

#[test]
fn a_missing_seed_is_named() {
    let upload = [recorded(1, "POST", "tasks/upload_cli", &form(&["input_upload_cli"]), 200)];
    insta::assert_snapshot!(
        refused(&upload, &[]),
        @"DIR/profiles/test-profile/capture/events.jsonl:1: this request can't be replayed: its field input_upload_cli needs a seed file, and DIR/profiles/test-profile/capture/seed/uploads/cli holds none"
    );
    let two = [("uploads/cli/a", ""), ("uploads/cli/b", "")];
    assert!(refused(&upload, &two).ends_with("uploads/cli holds 2; keep the one that was uploaded"));
}

#[test]
fn what_a_recording_did_not_keep_is_named() {
    let long =
        json!({"hasBody": true, "bodyType": "text", "bodyPreview": "x".repeat(256), "bodyLength": 300});
    assert!(refused(&[recorded(1, "PUT", "x", &long, 200)], &[]).ends_with(
        "only the first 256 characters of its body were recorded (length: 300); record the session again"
    ));
    let blob = json!({"hasBody": true, "bodyType": "blob"});
    assert!(refused(&[recorded(1, "PUT", "x", &blob, 200)], &[]).contains("of the type \"blob\""));
    let stray = [recorded(1, "POST", "tasks/upload_other", &form(&["f"]), 200)];
    assert!(refused(&stray, &[]).contains("no [[upload]] rule of preset weppcloud"));
    let failed = [recorded(1, "GET", "x", &json!({}), 500)];
    assert!(refused(&failed, &[]).ends_with("there is nothing to replay"));
}

#[test]
fn a_snapshot_needs_a_place() {
    let dir = tempfile::tempdir().unwrap();
    fs_err::create_dir_all(dir.path().join("profiles/test-profile/run")).unwrap();
    let profile = profile(dir.path(), &[recorded(1, "GET", "x", &json!({}), 200)], &[]);
    let base = playtrace_replay::BaseUrl::parse("http://h/").unwrap();
    let options = PlanOptions { base: &base, run_root: None, uuid: crate::common::UUID };
    assert_eq!(Plan::new(&profile, &preset(), options).unwrap_err().code(), "PT-REPLAY-008");
}

#[test]
fn a_plan_can_be_read() {
    let events = [
        recorded(1, "GET", "?a=1", &json!({"hasBody": false}), 200),
        recorded(2, "POST", "tasks/upload_sbs", &form(&["input_upload_sbs"]), 200),
        recorded(3, "GET", "elevationquery/", &json!({}), 200),
        recorded(4, "GET", "missing", &json!({}), 404),
    ];
    let (plan, dir) = planned(&events, &[("uploads/sbs/burn.tif", "")]);
    let (plan, kept) = (plan.unwrap(), Kept::default());
    plan.tell(&kept);
    let address: SocketAddr = NOWHERE.parse().unwrap();
    insta::assert_snapshot!(kept.log(address, dir.path()), @r"
    [1/2] GET http://HOST/weppcloud/runs/profile;;tmp;;UUID/cfg/?a=1 expects 200, no body
    [2/2] POST http://HOST/weppcloud/runs/profile;;tmp;;UUID/cfg/tasks/upload_sbs expects 200, multipart form: input_upload_sbs=@burn.tif
    skipped: GET https://wc.example.org/weppcloud/runs/my-run/cfg/elevationquery/ (elevation query: follows the mouse, not the work)
    skipped: GET https://wc.example.org/weppcloud/runs/my-run/cfg/missing (answered 404 in the recording)
    ");
    assert_eq!(plan.source_run_id.as_deref(), Some("my-run"));
    assert_eq!(plan.run_dir(), Some(dir.path().join("runs").join(crate::common::UUID.to_string())));
    // Planning leaves no trace.
    assert!(!dir.path().join("runs").exists());
}
