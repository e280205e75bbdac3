//! Looking for a Python that the agent can trace: CPython 3.12 or newer, wherever it is.

use std::path::PathBuf;
use std::process::Command;

use crate::Failure;
use crate::step::ask;

/// A Python that will do.
pub(crate) struct Python {
    /// The program.
    pub(crate) program: PathBuf,
    /// `3.12.1`
    pub(crate) version: String,
}

/// The environment variable that names one.
const CHOICE: &str = "PLAYTRACE_PYTHON";
/// What the coverage engine is tested with: its pinned requirements are for this one.
const OLDER: u32 = 11;
/// What the pinned requirements are tested with, best first.
const TESTED: [u32; 2] = [12, 13];

/// Asks a candidate what it is; empty for everything but a CPython that can make virtual environments.
const QUESTION: &str = "import sys, ensurepip, venv, ssl, sqlite3
print('%d.%d.%d' % sys.version_info[:3] if sys.implementation.name == 'cpython' else '')";

/// Finds one: `$PLAYTRACE_PYTHON`, then the PATH, then the places where version managers keep theirs.
pub(crate) fn find() -> Result<Python, Failure> {
    if let Some(choice) = std::env::var_os(CHOICE) {
        let program = PathBuf::from(&choice);
        return look_at(&program)
            .filter(|python| minor(&python.version).is_some_and(|minor| minor >= 12))
            .ok_or_else(|| {
                format!(
                    "{CHOICE}={} is not a CPython 3.12 or newer with venv, ssl and sqlite3",
                    program.display()
                )
            });
    }
    let mut found: Vec<Python> = candidates().iter().filter_map(look_at).collect();
    found.retain(|python| minor(&python.version).is_some_and(|minor| minor >= 12));
    // Stable: among equals, the first one found stays first.
    found.sort_by_key(|python| {
        let minor = minor(&python.version).unwrap_or(u32::MAX);
        TESTED.iter().position(|tested| *tested == minor).map_or(minor as usize, |rank| rank)
    });
    found.into_iter().next().ok_or_else(|| {
        format!(
            "no CPython 3.12 or newer (with venv, ssl and sqlite3) was found on the PATH, nor with pyenv, uv or asdf.\n  \
             Install one (Debian: `apt-get install python3 python3-venv`; pyenv: `pyenv install 3.12`; uv: `uv python install 3.12`),\n  \
             or name it: `{CHOICE}=/path/to/python make …`"
        )
    })
}

/// Finds a CPython that the agent is tested with besides this one.
pub(crate) fn find_other(first: &Python) -> Option<Python> {
    let first = minor(&first.version);
    candidates().iter().filter_map(look_at).find(|python| {
        let other = minor(&python.version);
        other != first && other.is_some_and(|other| TESTED.contains(&other))
    })
}

/// Finds a CPython without `sys.monitoring` that the agent is tested with.
pub(crate) fn find_older() -> Option<Python> {
    candidates().iter().filter_map(look_at).find(|python| minor(&python.version) == Some(OLDER))
}

fn candidates() -> Vec<PathBuf> {
    let names = ["python3.11", "python3.12", "python3.13", "python3.14", "python3", "python"];
    let on_path = std::env::var_os("PATH").unwrap_or_default();
    let mut found: Vec<PathBuf> = names
        .iter()
        .flat_map(|name| std::env::split_paths(&on_path).map(move |dir| dir.join(name)))
        .collect();
    let home = std::env::var_os("HOME").map(PathBuf::from).unwrap_or_default();
    let pyenv = std::env::var_os("PYENV_ROOT").map_or_else(|| home.join(".pyenv"), PathBuf::from);
    for kept in
        [pyenv.join("versions"), home.join(".local/share/uv/python"), home.join(".asdf/installs/python")]
    {
        let Ok(versions) = fs_err::read_dir(kept) else { continue };
        let mut programs: Vec<PathBuf> =
            versions.flatten().map(|version| version.path().join("bin/python3")).collect();
        programs.sort();
        found.extend(programs);
    }
    found.extend(["/usr/local/bin/python3", "/opt/homebrew/bin/python3"].map(PathBuf::from));
    found.retain(|program| program.is_file());
    found
}

fn look_at(program: &PathBuf) -> Option<Python> {
    // -I: neither the user's site-packages nor PYTHON* variables have a say.
    let version = ask(Command::new(program).args(["-I", "-c", QUESTION]))?;
    (!version.is_empty()).then(|| Python { program: program.clone(), version })
}

fn minor(version: &str) -> Option<u32> {
    let mut parts = version.split('.');
    (parts.next()? == "3").then_some(())?;
    parts.next()?.parse().ok()
}
