//! Asking the service for a run.

use std::time::Duration;

use playtrace_replay::install_tls;
use reqwest::{Client, StatusCode};

use super::api::{CONTEXT_MARK, Refusal, RunBody, RunResult, TOKEN_HEADER};
use crate::exit::Exit;
use crate::messages::Failure;

/// A service.
#[derive(Debug, Clone)]
pub struct ServiceClient {
    url: String,
    http: Client,
}

/// What takes the lines of a stream.
pub trait Lines: Sync {
    /// A line of the log.
    fn log(&self, line: &str);
    /// A line of context.
    fn context(&self, line: &str);
}

impl Lines for super::console::Console {
    fn log(&self, line: &str) {
        Self::log(self, line);
    }

    fn context(&self, line: &str) {
        Self::context(self, line);
    }
}

impl ServiceClient {
    /// A client of the service at `url`. Nothing is sent yet.
    pub fn new(url: &str) -> Result<Self, Failure> {
        install_tls();
        let wrong = |why: String| {
            Failure::new(
                Exit::Usage,
                "PT-SERVE-006",
                format!("{url:?} is no URL of a playback service: {why}"),
            )
        };
        let parsed = url::Url::parse(url).map_err(|error| wrong(error.to_string()))?;
        if !matches!(parsed.scheme(), "http" | "https") {
            return Err(wrong(format!("{} is not http or https", parsed.scheme())));
        }
        let http = Client::builder()
            .connect_timeout(Duration::from_secs(10))
            .build()
            .map_err(|error| wrong(error.to_string()))?;
        Ok(Self { url: url.trim_end_matches('/').to_owned(), http })
    }

    /// The service's URL.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Whether a service answers there.
    pub async fn is_reachable(&self) -> bool {
        let request = self.http.get(format!("{}/health", self.url)).timeout(Duration::from_secs(10));
        request.send().await.is_ok_and(|answer| answer.status().is_success())
    }

    /// What `GET /health` answers; the error is a sentence.
    pub async fn health(&self) -> Result<Vec<u8>, String> {
        let told = |error: reqwest::Error| {
            let mut text = format!("{} does not answer", self.url);
            let mut cause = std::error::Error::source(&error);
            while let Some(error) = cause {
                text = format!("{text}: {error}");
                cause = error.source();
            }
            text
        };
        let request = self.http.get(format!("{}/health", self.url)).timeout(Duration::from_secs(10));
        let answer = request.send().await.map_err(told)?;
        if !answer.status().is_success() {
            return Err(format!("{} answers {} to GET /health", self.url, answer.status().as_u16()));
        }
        answer.bytes().await.map(|bytes| bytes.to_vec()).map_err(told)
    }

    /// Has a profile replayed, hands its log on as it comes, and gives the result; none after a dry run.
    pub async fn run(
        &self,
        slug: &str,
        body: &RunBody,
        lines: &dyn Lines,
    ) -> Result<Option<RunResult>, Failure> {
        self.work("run", slug, body, lines).await
    }

    /// The same for any of the service's `run`, `fork` and `archive`.
    pub async fn work(
        &self,
        what: &str,
        slug: &str,
        body: &RunBody,
        lines: &dyn Lines,
    ) -> Result<Option<RunResult>, Failure> {
        // The slug was checked: it needs no encoding.
        let url = format!("{}/{what}/{slug}", self.url);
        let answer =
            self.http.post(&url).json(body).send().await.map_err(|error| self.unreachable(&error))?;
        let token =
            answer.headers().get(TOKEN_HEADER).and_then(|token| token.to_str().ok()).map(str::to_owned);
        let Some(token) = token.filter(|_| answer.status().is_success()) else {
            return Err(self.refusal(answer).await);
        };
        self.forward(answer, &token, lines).await?;
        if body.dry_run { Ok(None) } else { self.result(&token).await.map(Some) }
    }

    async fn forward(
        &self,
        mut answer: reqwest::Response,
        token: &str,
        lines: &dyn Lines,
    ) -> Result<(), Failure> {
        let mut buffer = Vec::new();
        let tell = |line: &[u8]| {
            let line = String::from_utf8_lossy(line);
            match line.strip_prefix(CONTEXT_MARK) {
                Some(context) => lines.context(context),
                None => lines.log(&line),
            }
        };
        loop {
            let chunk = answer.chunk().await.map_err(|error| {
                self.unreachable(&error).help(format!(
                    "the run goes on there; its result will be at {}/run/result/{token}",
                    self.url
                ))
            })?;
            let Some(chunk) = chunk else { break };
            buffer.extend_from_slice(&chunk);
            while let Some(end) = buffer.iter().position(|byte| *byte == b'\n') {
                tell(&buffer[..end]);
                buffer.drain(..=end);
            }
        }
        if !buffer.is_empty() {
            tell(&buffer);
        }
        Ok(())
    }

    /// The result of a run whose stream has ended.
    async fn result(&self, token: &str) -> Result<RunResult, Failure> {
        let url = format!("{}/run/result/{token}", self.url);
        let mut attempts = 0;
        loop {
            let answer = self.http.get(&url).send().await.map_err(|error| self.unreachable(&error))?;
            match answer.status() {
                StatusCode::OK => {
                    return answer.json().await.map_err(|error| {
                        let why = format!("the service's result of run {token} can't be read: {error}");
                        Failure::new(Exit::BadInput, "PT-SERVE-007", why)
                    });
                }
                // Between the stream's last line and the run's end lies a moment.
                StatusCode::ACCEPTED if attempts < 200 => {
                    attempts += 1;
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
                _ => return Err(self.refusal(answer).await),
            }
        }
    }

    async fn refusal(&self, answer: reqwest::Response) -> Failure {
        let status = answer.status();
        let text = answer.text().await.unwrap_or_default();
        if let Ok(refusal) = serde_json::from_str::<Refusal>(&text) {
            let why = format!("the service refuses: {} [{}]", refusal.error, refusal.code);
            return Failure::new(exit_of(refusal.exit_code), "PT-SERVE-008", why);
        }
        let excerpt: String = text.chars().take(200).collect();
        let why = format!("{} answers {status}: {excerpt}", self.url);
        Failure::new(Exit::Unreachable, "PT-SERVE-009", why).help("is that the URL of a playback service?")
    }

    fn unreachable(&self, error: &reqwest::Error) -> Failure {
        let mut why = error.to_string();
        let mut source = std::error::Error::source(error);
        while let Some(cause) = source {
            why = cause.to_string();
            source = cause.source();
        }
        Failure::new(Exit::Unreachable, "PT-SERVE-010", format!("the playback service at {} is not reachable: {why}", self.url))
            .help("start it with `playtrace serve`, or name another with --service-url or PROFILE_PLAYBACK_URL; `playtrace play` needs none")
    }
}

/// The exit code that a service names.
pub fn exit_of(code: u8) -> Exit {
    [
        Exit::Success,
        Exit::Usage,
        Exit::Partial,
        Exit::BadInput,
        Exit::Unreachable,
        Exit::Io,
        Exit::Inconclusive,
        Exit::Interrupted,
    ]
    .into_iter()
    .find(|exit| *exit as u8 == code)
    .unwrap_or(Exit::Failed)
}
