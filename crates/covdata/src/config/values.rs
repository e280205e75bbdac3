//! Values that coverage.py refuses, of options that have no effect here.
//!
//! Some it refuses when it reads the configuration: so do we. Others it refuses only when it measures, which never
//! happens here; those are said.

use super::source::Entry;
use crate::CovdataError;
use crate::config::Environment;

const CONCURRENCY: [&str; 5] = ["eventlet", "gevent", "greenlet", "multiprocessing", "thread"];
/// Of these there may be one.
const LIGHT_THREADS: [&str; 3] = ["eventlet", "gevent", "greenlet"];
const CORES: [&str; 3] = ["ctrace", "pytrace", "sysmon"];
const DYNAMIC_CONTEXTS: [&str; 2] = ["none", "test_function"];
const PATCHES: [&str; 4] = ["_exit", "execv", "fork", "subprocess"];

/// Checks a value; what is returned is wrong only when something is measured.
pub(super) fn check(entry: &Entry<'_>, environment: Environment<'_>) -> Result<Option<String>, CovdataError> {
    if entry.section != "run" {
        return Ok(None);
    }
    match entry.key.as_str() {
        "concurrency" => concurrency(entry, &entry.list(environment)?).map(|()| None),
        "sigterm" | "timid" => entry.boolean(environment).map(|_| None),
        "debug" | "disable_warnings" | "plugins" => entry.list(environment).map(|_| None),
        "debug_file" => entry.file(environment).map(|_| None),
        "patch" => Ok(refused_later(&entry.list(environment)?, &PATCHES)),
        "core" => Ok(refused_later(&[entry.text(environment)?], &CORES)),
        "dynamic_context" => Ok(refused_later(&[entry.text(environment)?], &DYNAMIC_CONTEXTS)),
        "command_line" | "_crash" => entry.text(environment).map(|_| None),
        _ => Ok(None),
    }
}

fn concurrency(entry: &Entry<'_>, names: &[String]) -> Result<(), CovdataError> {
    if let Some(name) = unknown(names, &CONCURRENCY) {
        return Err(entry.fault(format_args!("{name:?} is none of {}", CONCURRENCY.join(", "))));
    }
    let light: Vec<&str> =
        LIGHT_THREADS.into_iter().filter(|light| names.iter().any(|name| name == light)).collect();
    if light.len() > 1 {
        return Err(entry.fault(format_args!("{} exclude one another: give one", light.join(" and "))));
    }
    Ok(())
}

fn refused_later(values: &[String], known: &[&str]) -> Option<String> {
    let value = unknown(values, known).filter(|value| !value.is_empty())?;
    Some(format!("coverage.py refuses {value:?} when it measures: it is none of {}", known.join(", ")))
}

fn unknown<'a>(values: &'a [String], known: &[&str]) -> Option<&'a String> {
    values.iter().find(|value| !known.contains(&value.as_str()))
}
