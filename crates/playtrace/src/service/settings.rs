//! What the environment says about places and people. The one place of the player that reads it.

use std::path::{Path, PathBuf};

use playtrace_grant::TraceKey;
use playtrace_replay::{Credentials, DEFAULT_PRESET, Preset, Secret};

use crate::exit::Exit;
use crate::messages::Failure;

/// Where the customer keeps everything.
const DATA_ROOT: &str = "/workdir/wepppy-test-engine-data";
/// Where the service is, unless said otherwise.
pub const DEFAULT_SERVICE_URL: &str = "http://127.0.0.1:8070";

/// What the player knows before it is asked for anything.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The folder that contains the profiles and `_runs`.
    pub profiles_root: PathBuf,
    /// Where sandboxes lie, if this machine sees it.
    pub run_root: Option<PathBuf>,
    /// Where forks of sandboxes lie, if this machine sees it.
    pub fork_root: Option<PathBuf>,
    /// Where archives of sandboxes are copied to.
    pub archive_root: Option<PathBuf>,
    /// The app, unless a request names another.
    pub base_url: Option<String>,
    /// Who the player is, unless a request brings a cookie.
    pub credentials: Credentials,
    /// Signs the headers of what is traced, where the app asks for that. No request and no option can bring one.
    pub trace_key: Option<TraceKey>,
    /// The directory of shards and ledgers; it need not exist here.
    pub coverage_dir: PathBuf,
    /// Where a copy of the merged file goes, unless a request says otherwise.
    pub export_dir: Option<PathBuf>,
    /// How the app wants to be replayed.
    pub preset: Preset,
}

impl Settings {
    /// Reads the environment.
    pub fn from_environment() -> Result<Self, Failure> {
        let [run_root, fork_root, archive_root] = sandbox_roots();
        let credentials = match (text("ADMIN_EMAIL"), text("ADMIN_PASSWORD")) {
            (Some(email), Some(password)) => Credentials::Login { email, password: Secret::new(password) },
            _ => Credentials::Anonymous,
        };
        Ok(Self {
            profiles_root: profiles_root(),
            run_root,
            fork_root,
            archive_root,
            base_url: base_url(),
            credentials,
            trace_key: trace_key()?,
            coverage_dir: coverage_dir(),
            export_dir: path("PROFILE_COVERAGE_EXPORT_DIR"),
            preset: Preset::built_in(DEFAULT_PRESET)?,
        })
    }
}

/// Where sandboxes, their forks and their archives lie, if this machine sees it: `PROFILE_PLAYBACK_RUN_ROOT` and its like.
pub fn sandbox_roots() -> [Option<PathBuf>; 3] {
    let base = path("PROFILE_PLAYBACK_BASE")
        .or_else(|| Some(Path::new(DATA_ROOT).join("playback")).filter(|dir| dir.is_dir()));
    let places = [
        ("PROFILE_PLAYBACK_RUN_ROOT", "runs"),
        ("PROFILE_PLAYBACK_FORK_ROOT", "fork"),
        ("PROFILE_PLAYBACK_ARCHIVE_ROOT", "archive"),
    ];
    places.map(|(variable, name)| path(variable).or_else(|| Some(base.as_ref()?.join(name))))
}

/// `PROFILE_PLAYBACK_ROOT`.
pub fn profiles_root() -> PathBuf {
    path("PROFILE_PLAYBACK_ROOT").unwrap_or_else(|| Path::new(DATA_ROOT).join("profiles"))
}

/// `PROFILE_COVERAGE_DIR`.
pub fn coverage_dir() -> PathBuf {
    path("PROFILE_COVERAGE_DIR").unwrap_or_else(|| Path::new(DATA_ROOT).join("coverage"))
}

/// `PROFILE_TRACE_SECRET`, which is shown nowhere.
pub fn trace_key() -> Result<Option<TraceKey>, Failure> {
    // One of white space is short, and one that is no text is none that could be shared; neither is a reason to go on without.
    let Some(secret) = std::env::var_os("PROFILE_TRACE_SECRET").filter(|secret| !secret.is_empty()) else {
        return Ok(None);
    };
    let Some(secret) = secret.to_str() else {
        let why = "PROFILE_TRACE_SECRET is not UTF-8: use letters and digits, such as `openssl rand -hex 32`";
        return Err(Failure::new(Exit::Usage, "PT-GRANT-001", why));
    };
    Ok(Some(TraceKey::parse(secret)?))
}

/// `PROFILE_PLAYBACK_BASE_URL`.
pub fn base_url() -> Option<String> {
    text("PROFILE_PLAYBACK_BASE_URL")
}

/// `PROFILE_PLAYBACK_URL`.
pub fn service_url() -> String {
    text("PROFILE_PLAYBACK_URL").unwrap_or_else(|| DEFAULT_SERVICE_URL.to_owned())
}

/// `PROFILE_PLAYBACK_COLOR`: whether coloured output is wished for, if it says so.
pub fn colour() -> Option<bool> {
    match text("PROFILE_PLAYBACK_COLOR")?.to_ascii_lowercase().as_str() {
        "1" | "true" | "yes" | "on" | "always" => Some(true),
        "0" | "false" | "no" | "off" | "never" => Some(false),
        _ => None,
    }
}

/// The preset of a name that comes with the program, or of a file.
pub fn preset(name: &str) -> Result<Preset, Failure> {
    let is_file = name.contains(['/', '.']) || Path::new(name).is_file();
    Ok(if is_file { Preset::read(Path::new(name))? } else { Preset::built_in(name)? })
}

/// The cookie of `--cookie` or `--cookie-file`: a `Cookie` header's value; of the file its first line that holds one.
pub fn cookie(given: Option<String>, file: Option<&Path>) -> Result<Option<String>, Failure> {
    let Some(file) = file else { return Ok(given) };
    let wrong = |exit, why: String| {
        Failure::new(exit, "PT-PLAY-001", format!("--cookie-file {}: {why}", file.display()))
            .help("put the value of a Cookie header into it, such as session=…")
    };
    let content = fs_err::read_to_string(file).map_err(|error| wrong(Exit::Io, error.to_string()))?;
    let line = content
        .lines()
        .map(|line| line.trim().trim_start_matches("Cookie:").trim())
        .find(|line| line.contains('=') && !line.starts_with('#'));
    match line {
        Some(line) => Ok(Some(line.to_owned())),
        None => Err(wrong(Exit::BadInput, "there is no cookie in it".to_owned())),
    }
}

/// The command line as it can be kept: without the path of the program and without secrets.
pub fn command_line() -> String {
    redacted(std::env::args())
}

fn redacted(args: impl Iterator<Item = String>) -> String {
    let mut words: Vec<String> = Vec::new();
    for (index, arg) in args.enumerate() {
        let word = if index == 0 {
            Path::new(&arg)
                .file_name()
                .map_or_else(|| arg.clone(), |name| name.to_string_lossy().into_owned())
        } else if words.last().is_some_and(|last| last == "--cookie") {
            "…".to_owned()
        } else if arg.starts_with("--cookie=") {
            "--cookie=…".to_owned()
        } else if arg.is_empty() || arg.contains([' ', '\'', '"', '$', '\\', '|', '`']) {
            format!("'{}'", arg.replace('\'', "'\\''"))
        } else {
            arg
        };
        words.push(word);
    }
    words.join(" ")
}

/// A path of the command line, as it is understood in another process: the service runs in another directory.
pub fn absolute(path: Option<&Path>) -> Option<PathBuf> {
    path.map(|path| std::path::absolute(path).unwrap_or_else(|_| path.to_owned()))
}

/// A variable that is set to something.
fn text(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.trim().is_empty())
}

fn path(name: &str) -> Option<PathBuf> {
    text(name).map(PathBuf::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kept_command_holds_no_cookie() {
        let args = [
            "/opt/bin/wctl",
            "run-test-profile",
            "a b",
            "--cookie",
            "session=x",
            "--cookie=session=y",
            "--trace-code",
        ];
        let kept = redacted(args.into_iter().map(str::to_owned));
        assert_eq!(kept, "wctl run-test-profile 'a b' --cookie … --cookie=… --trace-code");
    }

    #[test]
    fn a_cookie_file_holds_a_header() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("cookie");
        fs_err::write(&file, "# from the browser\n\nCookie: session=abc; other=1\n").unwrap();
        assert_eq!(cookie(None, Some(&file)).unwrap().as_deref(), Some("session=abc; other=1"));
        fs_err::write(&file, "nothing\n").unwrap();
        assert_eq!(cookie(None, Some(&file)).unwrap_err().exit, Exit::BadInput);
        assert_eq!(cookie(Some("session=abc".to_owned()), None).unwrap().as_deref(), Some("session=abc"));
    }
}
