//! The records of a ledger. Their JSON spelling is a contract: `docs/adr/0002-formats-on-disk.md`.

use std::collections::BTreeMap;

use playtrace_model::{ContextLabel, LineBits, LineData, MeasuredPath, RunToken, Slug, SourceHash};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::{Engine, Granularity, ProcessId, Role, quick};

/// The version of the format that this crate writes. Readers take every version up to it.
pub const VERSION: u32 = 1;

/// A record with the time at which it was written. In JSON, one object: `at`, and the record's own fields.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Entry {
    /// Milliseconds since 1970-01-01 UTC.
    pub at: u64,
    /// What was written.
    #[serde(flatten)]
    pub record: Record,
}

impl Record {
    /// Appends the JSON of its [`Entry`]. (`serde(flatten)` would take a record apart into a map first; that was half of what it costs to
    /// write one.)
    pub(crate) fn write_json(&self, at: u64, bytes: &mut Vec<u8>) -> serde_json::Result<()> {
        bytes.extend_from_slice(b"{\"at\":");
        bytes.extend_from_slice(itoa::Buffer::new().format(at).as_bytes());
        if quick::write(self, bytes)? {
            return Ok(());
        }
        let comma = bytes.len();
        serde_json::to_writer(&mut *bytes, self)?;
        // Every record has a field at least, its name: this was its opening brace.
        bytes[comma] = b',';
        Ok(())
    }

    /// The lines that the end of a unit brings; none of any other record.
    pub fn into_new_lines(self) -> LineData {
        match self {
            Self::Closed { new, .. } => new.0,
            _ => LineData::new(),
        }
    }
}

/// What a unit of traced work is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum UnitKind {
    /// A request, to the last byte of its body.
    Request,
    /// A background job.
    Job,
    /// A child process.
    Child,
    /// A thread or pool task started by traced work.
    Thread,
    /// A `with playtrace_agent.trace(slug)` block.
    Block,
}

/// How a replay ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// Every step and job did what the recording did.
    Passed,
    /// A step or a job went wrong; the run went to its end.
    Failed,
    /// The run was broken off.
    Aborted,
}

/// One record of a ledger.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "t", rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Record {
    /// First in every file: who writes it. The agent also keeps one in the boot directory from the moment that
    /// it is switched on, before any run.
    Boot {
        /// [`VERSION`] of the writer.
        version: u32,
        /// The process.
        process: ProcessId,
        /// Its parent's pid.
        ppid: u32,
        /// What it does.
        role: Role,
        /// `playtrace-agent 0.1.0, CPython 3.12.1, native`, say.
        program: String,
        /// Of an agent: how finely it records.
        #[serde(default, skip_serializing_if = "Granularity::is_profile")]
        granularity: Granularity,
        /// Of an agent: what reports lines to it.
        #[serde(default, skip_serializing_if = "Engine::is_native")]
        engine: Engine,
    },
    /// Among the boot records: what an agent found and put in place. Written at the start, and again when more is in place:
    /// the last one counts.
    Setup {
        /// The release of coverage.py that is installed there; the agent itself doesn't need it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        coverage: Option<String>,
        /// The release of RQ, where one of the hooks is on it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        rq: Option<String>,
        /// What follows work out of the process: `rq-queue`, `celery-publish`, `dramatiq`, `huey` and `arq` tag jobs; `rq-worker`,
        /// `celery-worker` and so on trace them.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        hooks: Vec<String>,
    },
    /// A unit of traced work is about to begin.
    Open {
        /// Unique among the units of this file.
        unit: String,
        /// What it is.
        kind: UnitKind,
        /// Of a request: the player's step, if it said one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        step: Option<u32>,
        /// Of a job: its id.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        job: Option<String>,
        /// Of a child process: the token that its parent gave it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        child: Option<String>,
        /// For people: `POST /weppcloud/…`, a function's name.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        what: String,
        /// With a granularity finer than the profile: what the labels of its data end in, after the slug.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        scope: Option<String>,
    },
    /// A unit of work is over, but something that it left behind (a task, a timer, a stored context) may go on.
    Left {
        /// The unit. Its `closed` follows when nothing is left.
        unit: String,
    },
    /// A unit of work ended and its lines are on disk: here, and in the shard that is named.
    Closed {
        /// The unit.
        unit: String,
        /// The shard that holds all lines of this process and run so far; none if there are none yet, or if some are here only and
        /// wait for its next transaction.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        shard: Option<String>,
        /// The lines that this process has executed in this run since the record before this one.
        #[serde(default, skip_serializing_if = "NewLines::is_empty")]
        new: NewLines,
        /// With step granularity: the first line of every function entered since the record before this one.
        #[serde(default, skip_serializing_if = "NewLines::is_empty")]
        entered: NewLines,
    },
    /// Data was lost, and why.
    Lost {
        /// The unit, if it hit one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        unit: Option<String>,
        /// A sentence.
        reason: String,
    },
    /// Work was not traced, because it was not to be: a limit of this process or of the directory is reached. Among the boot
    /// records: requests that nobody here was to trace; the last one of a reason counts.
    Refused {
        /// A sentence.
        reason: String,
        /// How often so far, in this process. In a run's ledger, that it was.
        count: u64,
    },
    /// Work ran, or was handed on, without the slug that it owed: a job whose meta was replaced, say.
    Owed {
        /// A sentence.
        what: String,
    },
    /// A job is about to be put where workers see it.
    Enqueue {
        /// Its id.
        job: String,
        /// The function's full name.
        function: String,
        /// The queue.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        queue: String,
        /// Whether an execution of the job puts it there for another one (a retry): that one is owed besides.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        again: bool,
    },
    /// The job was not put there after all (Redis refused it, say).
    Withdrawn {
        /// Its id.
        job: String,
        /// A sentence.
        reason: String,
    },
    /// A worker took the job from its queue and will not run it.
    Dropped {
        /// Its id.
        job: String,
        /// Why: `revoked before it began`, say.
        reason: String,
        /// Whether the app asked for that. What it did not ask for (an expiry, a task that no worker knows) leaves work undone.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        asked: bool,
    },
    /// A worker's parent process is about to start the job.
    JobStart {
        /// The job's id.
        job: String,
        /// The worker's name.
        worker: String,
    },
    /// A child process is about to be started.
    Spawn {
        /// The token that it gets.
        child: String,
        /// Its command, cut to 200 characters.
        command: String,
        /// Whether it certainly is Python: only then is its own record owed.
        python: bool,
    },
    /// The content of a measured file as this process loaded it.
    Source {
        /// The file.
        path: MeasuredPath,
        /// SHA-256 of its bytes.
        hash: SourceHash,
    },
    /// The player's promise, before the first request.
    Manifest {
        /// [`VERSION`] of the writer.
        version: u32,
        /// The profile.
        profile: Slug,
        /// The run.
        run: RunToken,
        /// How many steps it is going to send.
        steps: u32,
        /// The app.
        base_url: String,
        /// The command that started it, without secrets.
        command: String,
    },
    /// The player is about to send a step.
    Sent {
        /// The step, counted from 1.
        step: u32,
        /// The HTTP method.
        method: String,
        /// Path and query.
        target: String,
    },
    /// The last byte of the answer to a step is here.
    Answered {
        /// The step.
        step: u32,
        /// The HTTP status; none if there was no answer.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        status: Option<u16>,
        /// The value of `X-Profile-Trace-Status`; none if there was no such header.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        trace: Option<String>,
    },
    /// The player saw a job end.
    Job {
        /// Its id.
        job: String,
        /// The app's word for its state.
        state: String,
        /// The function's full name, where the app tells.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        function: String,
        /// The worker's name, where the app tells.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        worker: String,
    },
    /// The player is done.
    End {
        /// How it went.
        outcome: Outcome,
        /// A sentence for each failed step and job.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        failures: Vec<String>,
    },
    /// These shards are in a merged file that is safe on disk.
    Merged {
        /// Their file names.
        shards: Vec<String>,
        /// The merged file's name.
        into: String,
    },
    /// A record of a later version of this program; counted, not understood.
    #[serde(other)]
    Unknown,
}

/// Lines inside a record: context → file → numbits in hexadecimal.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct NewLines(pub LineData);

impl NewLines {
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Serialize for NewLines {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut contexts: BTreeMap<&ContextLabel, BTreeMap<&MeasuredPath, String>> = BTreeMap::new();
        for (context, path, lines) in self.0.iter() {
            contexts.entry(context).or_default().insert(path, lines.to_hex());
        }
        contexts.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for NewLines {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let contexts: BTreeMap<ContextLabel, BTreeMap<MeasuredPath, String>> =
            Deserialize::deserialize(deserializer)?;
        let mut data = LineData::new();
        for (context, files) in &contexts {
            for (path, hex) in files {
                let lines = LineBits::from_hex(hex).ok_or_else(|| {
                    serde::de::Error::custom(format!("{hex:?} is not a numbits blob in hexadecimal"))
                })?;
                data.add(context, path, &lines);
            }
        }
        Ok(Self(data))
    }
}
