//! `.venv`: a suitable Python with everything that the demo and the tests need, each pinned with its hash.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::python::{self, Python};
use crate::stamp::Stamp;
use crate::{Failure, step};

/// What the demo and the tests need.
const REQUIREMENTS: [&str; 2] = ["demo", "dev"];

/// What few processes of the tests import, if any (twisted and autobahn: daphne's; of lexers: pytest's two): a pattern of compileall's.
const NOT_COMPILED: &str =
    "/(tests?|mypy|mypyc|pip|setuptools|lexers|twisted|autobahn|gis|locale|mssql|mysql|oracle|postgresql)/";

/// A virtual environment.
pub(crate) struct Venv {
    /// Its directory.
    pub(crate) dir: PathBuf,
}

impl Venv {
    /// Its interpreter.
    pub(crate) fn python(&self) -> PathBuf {
        self.dir.join("bin/python")
    }

    /// `pip` in it, with what every call needs.
    pub(crate) fn pip(&self, task: &str) -> Command {
        let mut pip = Command::new(self.python());
        pip.args(["-m", "pip", "--disable-pip-version-check", task, "--quiet"]);
        pip
    }
}

/// Makes `.venv`, unless it is there and nothing changed.
pub(crate) fn make(root: &Path) -> Result<Venv, Failure> {
    make_in(root, ".venv", &python::find()?, &REQUIREMENTS)
}

/// Makes `.tools/other-python`, with the other CPython that the agent is tested with; `None` where there is none.
pub(crate) fn make_other(root: &Path) -> Result<Option<Venv>, Failure> {
    const DIR: &str = ".tools/other-python";
    let first = python::find()?;
    if let Some(other) = python::find_other(&first) {
        return make_in(root, DIR, &other, &REQUIREMENTS).map(Some);
    }
    remove_left(root, DIR)
}

/// Makes `.tools/older-python`, with a CPython that has no `sys.monitoring`; `None` where there is none.
pub(crate) fn make_older(root: &Path) -> Result<Option<Venv>, Failure> {
    const DIR: &str = ".tools/older-python";
    match python::find_older() {
        Some(older) => make_in(root, DIR, &older, &["older"]).map(Some),
        None => remove_left(root, DIR),
    }
}

/// One that was made from a Python that is gone would be run.
fn remove_left(root: &Path, dir: &str) -> Result<Option<Venv>, Failure> {
    let left = root.join(dir);
    if left.exists() {
        fs_err::remove_dir_all(&left).map_err(|error| error.to_string())?;
    }
    Ok(None)
}

fn make_in(root: &Path, dir: &str, made_from: &Python, files: &[&str]) -> Result<Venv, Failure> {
    let venv = Venv { dir: root.join(dir) };
    let requirements: Vec<PathBuf> =
        files.iter().map(|name| root.join(format!("requirements/{name}.txt"))).collect();
    let stamp = Stamp::new(
        venv.dir.join("made-from"),
        &[&made_from.version, &made_from.program.to_string_lossy(), NOT_COMPILED],
        &requirements,
    )?;
    if stamp.is_fresh() && venv.python().is_file() {
        return Ok(venv);
    }
    step::say(&format!("Python {} ({}): making {dir}", made_from.version, made_from.program.display()));
    if venv.dir.exists() {
        fs_err::remove_dir_all(&venv.dir).map_err(|error| error.to_string())?;
    }
    step::run(Command::new(&made_from.program).args(["-I", "-m", "venv"]).arg(&venv.dir))?;
    step::say("installing the Python requirements (pinned, with hashes)");
    install(&venv, &root.join("requirements/uv.txt"), &requirements)?;
    compile(&venv);
    stamp.set()?;
    Ok(venv)
}

/// Installs by uv, which takes seconds where pip takes a minute; by pip where uv can't (it does not read pip's configuration).
fn install(venv: &Venv, uv: &Path, requirements: &[PathBuf]) -> Result<(), Failure> {
    step::run(venv.pip("install").arg("--require-hashes").arg("-r").arg(uv))?;
    let mut by_uv = Command::new(venv.dir.join("bin/uv"));
    by_uv.args(["pip", "install", "--quiet", "--python"]).arg(venv.python());
    if let Err(fault) = step::run(with_hashes(&mut by_uv, requirements)) {
        step::say(&format!("once more with pip: {fault}"));
        return step::run(with_hashes(&mut venv.pip("install"), requirements));
    }
    Ok(())
}

/// Compiles what was installed. uv leaves that to the first process that imports it, and the tests' thousands of processes
/// write no bytecode beside an app that changes: each would compile its frameworks again, which is half of its time.
fn compile(venv: &Venv) {
    let mut all = Command::new(venv.python());
    all.args(["-I", "-m", "compileall", "-q", "-j", "0", "-x", NOT_COMPILED]).arg(venv.dir.join("lib"));
    if let Err(fault) = step::run(&mut all) {
        // A file that is no Python of this version is not imported either.
        step::say(&format!("not all of it was compiled: {fault}"));
    }
}

fn with_hashes<'a>(install: &'a mut Command, requirements: &[PathBuf]) -> &'a mut Command {
    install.arg("--require-hashes");
    for file in requirements {
        install.arg("-r").arg(file);
    }
    install
}
