//! Recorded user sessions: `<root>/<slug>/capture/events.jsonl`, its seed files, its snapshot.
//!
//! A profile is read whole and checked before anything is done with it: a [`Profile`] in hand has events
//! that were all understood and paired. This crate refuses to know HTTP and run ids; what a request
//! means, and where it is sent, is the player's business.
//!
//! ```
//! use playtrace_profile::{Recording, Outcome};
//!
//! let text = r#"{"stage":"request","id":"1","method":"GET","endpoint":"/runs/a/cfg/"}
//! {"stage":"response","id":"1","method":"GET","endpoint":"/runs/a/cfg/","status":200,"ok":true}"#;
//! let recording = Recording::parse(text, "events.jsonl".as_ref()).unwrap();
//! assert_eq!(recording.steps[0].outcome.status(), Some(200));
//! ```

mod error;
mod event;
mod library;
mod recording;
mod seeds;

pub use error::ProfileError;
pub use event::{Answer, Category, Event, FailedCall, Failure, FormValue, Request, RequestMeta, Stage};
pub use library::{Library, Profile};
pub use recording::{Outcome, RecordedStep, Recording};
pub use seeds::Seeds;
