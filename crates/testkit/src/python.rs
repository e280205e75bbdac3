//! Python programs that know the right answer.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The variable that names the interpreter of a virtual environment with coverage.py 7.11.3 and the demo's requirements.
pub const VARIABLE: &str = "PLAYTRACE_TEST_PYTHON";

/// An interpreter to ask.
#[derive(Debug, Clone)]
pub struct Python {
    interpreter: PathBuf,
}

impl Python {
    /// The interpreter that the test run provides; without it the test fails and says what to do.
    pub fn required() -> Self {
        let interpreter = std::env::var_os(VARIABLE).map_or_else(|| {
            panic!("{VARIABLE} is not set: it names the Python of the test environment; run the tests with `make test`")
        }, PathBuf::from);
        assert!(interpreter.exists(), "{VARIABLE} is {}, which does not exist", interpreter.display());
        Self { interpreter }
    }

    /// The interpreter's path.
    pub fn interpreter(&self) -> &Path {
        &self.interpreter
    }

    /// A command that runs `script` in `dir`, deaf to settings of the person who runs the tests.
    pub fn command(&self, script: &Path, dir: &Path) -> Command {
        let mut command = Command::new(&self.interpreter);
        command.arg(script).current_dir(dir).env_clear();
        for name in ["PATH", "HOME", "TMPDIR", "LANG"] {
            if let Some(value) = std::env::var_os(name) {
                command.env(name, value);
            }
        }
        command.env("PYTHONDONTWRITEBYTECODE", "1");
        command
    }

    /// Runs `script` in `dir` with `input` on its standard input, and returns what it prints.
    pub fn run(&self, script: &Path, dir: &Path, arguments: &[&str], input: &str) -> String {
        let mut child = self
            .command(script, dir)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("can't start {}: {error}", self.interpreter.display()));
        let mut stdin = child.stdin.take().expect("it was asked for");
        // Written while the output is read: both pipes may fill up.
        let output = std::thread::scope(|scope| {
            scope.spawn(move || {
                // A script that ends early says why on stderr.
                let _ = stdin.write_all(input.as_bytes());
            });
            child.wait_with_output().expect("a child that was started can be waited for")
        });
        assert!(
            output.status.success(),
            "{} failed ({}):\n{}",
            script.display(),
            output.status,
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8(output.stdout).expect("the oracles print UTF-8")
    }
}
