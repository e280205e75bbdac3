//! Events as text: what is printed is read back, and what the browser writes is understood.

#![allow(clippy::unwrap_used, reason = "a test that can't go on has failed")]

use std::collections::BTreeMap;

use playtrace_profile::{
    Answer, Category, Event, FailedCall, Failure, FormValue, Outcome, Recording, Request, RequestMeta, Stage,
};
use proptest::option;
use proptest::prelude::*;

fn text() -> impl Strategy<Value = String> {
    // Quotes, backslashes, control characters and the line separators that JSON leaves unescaped.
    prop_oneof!["[a-z0-9/._-]{0,12}", any::<String>(), Just("a\"b\\c\n\u{2028}\u{0}".to_owned())]
}

fn meta() -> impl Strategy<Value = RequestMeta> {
    let value = prop_oneof![
        text().prop_map(FormValue::One),
        prop::collection::vec(text(), 0..3).prop_map(FormValue::Many)
    ];
    (
        any::<bool>(),
        option::of(text()),
        option::of(text()),
        option::of(text()),
        option::of(any::<u64>()),
        option::of(prop::collection::vec(text(), 0..3)),
        option::of(prop::collection::btree_map(text(), value, 0..3)),
    )
        .prop_map(
            |(has_body, body_type, json_payload, body_preview, body_length, form_keys, form_values)| {
                RequestMeta {
                    has_body,
                    body_type,
                    json_payload,
                    body_preview,
                    body_length,
                    form_keys,
                    form_values,
                }
            },
        )
}

fn stage() -> impl Strategy<Value = Stage> {
    let category =
        prop_oneof![Just(Category::HttpRequest), Just(Category::FileUpload), Just(Category::Other)];
    prop_oneof![
        (text(), text(), category, option::of(meta())).prop_map(
            |(method, endpoint, category, request_meta)| {
                Stage::Request(Request { method, endpoint, category, params: None, request_meta })
            }
        ),
        (option::of(text()), any::<u16>(), option::of(any::<bool>()), option::of(any::<u32>())).prop_map(
            |(endpoint, status, ok, ms)| Stage::Response(Answer {
                method: None,
                endpoint,
                status,
                ok,
                duration_ms: ms.map(f64::from)
            })
        ),
        (option::of(text()), option::of(text()), option::of(any::<u16>())).prop_map(
            |(name, message, status)| {
                Stage::Error(FailedCall { error: Failure { name, message, status, detail: None } })
            }
        ),
    ]
}

fn event() -> impl Strategy<Value = Event> {
    (text(), option::of(text()), option::of(text()), option::of(text()), stage()).prop_map(
        |(id, timestamp, root_url, run_id, stage)| Event {
            id,
            timestamp,
            session_id: None,
            root_url,
            run_id,
            config: None,
            pup: None,
            user: Some(serde_json::json!("a person")),
            stage,
        },
    )
}

proptest! {
    #[test]
    fn printing_and_reading_is_the_identity(event in event()) {
        let line = event.to_line().unwrap();
        prop_assert_eq!(line.lines().count(), 1);
        prop_assert_eq!(serde_json::from_str::<Event>(&line).unwrap(), event);
    }

    #[test]
    fn no_text_makes_the_reader_panic(text in any::<String>()) {
        let _ = Recording::parse(&text, "events.jsonl".as_ref());
    }
}

/// A recorder's whole line, with keys that we don't know.
const UPLOAD: &str = r#"{"stage":"request","id":7,"timestamp":"2025-11-09T12:00:00.000Z","sessionId":"s","rootUrl":"https://h/weppcloud","runId":"abc","config":"cfg","pup":null,"user":{"id":3},"method":"POST","endpoint":"/weppcloud/runs/abc/cfg/tasks/upload_sbs?x=1","category":"file_upload","params":["x"],"later":{"a":1},"requestMeta":{"hasBody":true,"bodyType":"form-data","formKeys":["input_upload_sbs","mode"],"formValues":{"mode":"1","tags":["a","b"]},"files":[{"name":"x.tif"}]}}"#;

#[test]
fn a_browsers_upload_is_understood() {
    let recording = Recording::parse(UPLOAD, "e".as_ref()).unwrap();
    assert_eq!(recording.root_url.as_deref(), Some("https://h/weppcloud"));
    assert_eq!(recording.run_id.as_deref(), Some("abc"));
    let step = &recording.steps[0];
    assert_eq!((step.line, step.id.as_str(), &step.outcome), (1, "7", &Outcome::Unanswered));
    assert_eq!(step.request.category, Category::FileUpload);
    let meta = step.request.request_meta.as_ref().unwrap();
    let values = BTreeMap::from([
        ("mode".to_owned(), FormValue::One("1".to_owned())),
        ("tags".to_owned(), FormValue::Many(vec!["a".to_owned(), "b".to_owned()])),
    ]);
    assert_eq!(meta.form_values.as_ref(), Some(&values));
}

fn pair(lines: &[&str]) -> Vec<Outcome> {
    Recording::parse(&lines.join("\n"), "e".as_ref()).unwrap().steps.into_iter().map(|s| s.outcome).collect()
}

const ASK: &str = r#"{"stage":"request","id":"a","method":"GET","endpoint":"/x"}"#;
const OK: &str = r#"{"stage":"response","id":"a","status":200}"#;
const ERROR: &str = r#"{"stage":"error","id":"a","error":{"name":"HTTPError","status":500}}"#;

#[test]
fn answers_find_their_requests() {
    let other = r#"{"stage":"request","id":"b","method":"GET","endpoint":"/y"}"#;
    let stray = r#"{"stage":"response","id":"zz","status":204}"#;
    // Answers come in another order than requests; the steps keep the requests' order.
    assert_eq!(pair(&[ASK, "", other, stray, OK]), [Outcome::Answered(200), Outcome::Unanswered]);
    let failed = Failure { name: Some("HTTPError".to_owned()), status: Some(500), ..Failure::default() };
    assert_eq!(pair(&[ASK, ERROR]), [Outcome::Failed(failed)]);
    assert_eq!(pair(&[ASK, OK, ERROR]), [Outcome::Answered(200)]);
    assert_eq!(pair(&[ASK, ERROR, OK]), [Outcome::Answered(200)]);
}
