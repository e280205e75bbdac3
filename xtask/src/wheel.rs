//! The agent's wheel: built with maturin into `dist/`, installed into `.venv`.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::stamp::Stamp;
use crate::venv::Venv;
use crate::{Failure, step};

/// What ends up in it of the Python package; its tests do not.
const PACKAGE: [&str; 4] = ["README.md", "playtrace_agent", "playtrace_agent.data", "pyproject.toml"];

/// The crates that end up in the wheel.
const CRATES: [&str; 6] = ["agent", "covdata", "grant", "ledger", "model", "tracer"];

/// Builds the wheel, unless nothing that goes into it changed; gives its path.
pub(crate) fn build(root: &Path) -> Result<PathBuf, Failure> {
    let dist = root.join("dist");
    fs_err::create_dir_all(&dist).map_err(|error| error.to_string())?;
    let mut inputs: Vec<PathBuf> = CRATES.iter().map(|name| root.join("crates").join(name)).collect();
    inputs.extend(["Cargo.toml", "Cargo.lock"].map(|name| root.join(name)));
    inputs.extend(PACKAGE.map(|name| root.join("python").join(name)));
    let stamp = Stamp::new(dist.join(".made-from"), &[], &inputs)?;
    if stamp.is_fresh()
        && let Some(wheel) = built(&dist)?
    {
        return Ok(wheel);
    }
    step::say("building the agent's wheel into dist/");
    while let Some(old) = built(&dist)? {
        fs_err::remove_file(old).map_err(|error| error.to_string())?;
    }
    let maturin = root.join(".venv/bin/maturin");
    step::run(
        Command::new(maturin)
            .args(["build", "--release", "--locked", "--quiet", "--interpreter"])
            .arg(root.join(".venv/bin/python"))
            .arg("--out")
            .arg(&dist)
            .current_dir(root.join("python")),
    )?;
    stamp.set()?;
    built(&dist)?.ok_or_else(|| "maturin ended well and left no wheel in dist/".to_owned())
}

/// Installs the wheel, unless this very one is installed there.
pub(crate) fn install(root: &Path, venv: &Venv, wheel: &Path) -> Result<(), Failure> {
    let stamp = Stamp::new(venv.dir.join("agent-from"), &[], &[wheel.to_owned(), root.join("requirements")])?;
    if stamp.is_fresh() {
        return Ok(());
    }
    let dir = venv.dir.strip_prefix(root).unwrap_or(&venv.dir);
    step::say(&format!("installing the agent into {}", dir.display()));
    step::run(venv.pip("install").args(["--no-deps", "--force-reinstall"]).arg(wheel))?;
    stamp.set()
}

fn built(dist: &Path) -> Result<Option<PathBuf>, Failure> {
    let entries = fs_err::read_dir(dist).map_err(|error| error.to_string())?;
    Ok(entries.flatten().map(|entry| entry.path()).find(|path| {
        path.extension().is_some_and(|ending| ending == "whl")
            && path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("playtrace_agent-"))
    }))
}

/// Builds the program's wheel, completions and manual pages into `dist/`.
pub(crate) fn packages(root: &Path) -> Result<(), Failure> {
    let dist = root.join("dist");
    step::say("building the program's wheel into dist/");
    step::run(
        Command::new(root.join(".venv/bin/python"))
            .args(["-m", "maturin", "build", "--release", "--locked", "--quiet", "--out"])
            .arg(&dist)
            .current_dir(root.join("crates/playtrace")),
    )?;
    let program = root.join("target/release/playtrace");
    step::say("writing completions and manual pages into dist/");
    step::run(Command::new(&program).args(["man", "--output-dir"]).arg(dist.join("man/man1")))?;
    let completions = dist.join("completions");
    fs_err::create_dir_all(&completions).map_err(|error| error.to_string())?;
    for name in ["playtrace", "wctl"] {
        // Each shell looks for a file that is called so.
        for (shell, file) in
            [("bash", name.to_owned()), ("zsh", format!("_{name}")), ("fish", format!("{name}.fish"))]
        {
            let script = step::ask(Command::new(&program).args(["completions", shell, "--name", name]))
                .ok_or_else(|| format!("no completions for {shell}"))?;
            let folder = completions.join(shell);
            fs_err::create_dir_all(&folder)
                .and_then(|()| fs_err::write(folder.join(file), script))
                .map_err(|error| error.to_string())?;
        }
    }
    Ok(())
}
