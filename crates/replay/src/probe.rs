//! Single questions to a running app, asked as the player would ask them: same client, cookies, headers and log-in.

use jiff::Timestamp;
use jiff::fmt::rfc2822::DateTimeParser;
use playtrace_grant::TraceKey;
use playtrace_model::{RunToken, Slug};
use reqwest::header::{DATE, HeaderMap, LOCATION};
use url::Url;

use crate::ReplayError;
use crate::address::BaseUrl;
use crate::http::{Answer, Http, chain};
use crate::login;
use crate::preset::Preset;
use crate::secret::Credentials;
use crate::trace::{TRACE_STATUS, traced};

/// What a question is traced for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProbeTrace {
    /// The profile.
    pub slug: Slug,
    /// The run.
    pub run: RunToken,
    /// The step, counted from 1.
    pub step: u32,
}

/// What came back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// What was asked for.
    pub url: Url,
    /// The HTTP status.
    pub status: u16,
    /// The agent's word, `on` or `off; <reason>`; none if there was none.
    pub trace: Option<String>,
    /// What the `Date` header says, if it can be read (RFC 9110, section 6.6.1: whole seconds).
    pub date: Option<Timestamp>,
    /// Where a redirect leads.
    pub location: Option<Url>,
    /// When the question was sent, by this machine's clock.
    pub sent: Timestamp,
    /// When the answer's last byte was here.
    pub received: Timestamp,
}

/// Asks one app.
#[derive(Debug, Clone)]
pub struct Prober {
    http: Http,
    base: BaseUrl,
    preset: Preset,
    key: Option<TraceKey>,
}

impl Prober {
    /// One that has a session of its own. Nothing is sent yet.
    pub fn new(base: BaseUrl, preset: Preset) -> Result<Self, ReplayError> {
        Ok(Self { http: Http::new(&base, &preset)?, base, preset, key: None })
    }

    /// The same, which signs what it wants to have traced.
    #[must_use]
    pub fn signing(self, key: Option<TraceKey>) -> Self {
        Self { key, ..self }
    }

    /// A path under the base URL, or under the host's root where the preset says so.
    pub fn page(&self, path: &str) -> Result<Url, ReplayError> {
        let on_host = self.preset.host_paths.iter().any(|prefix| path.starts_with(prefix.as_str()));
        let url = if on_host {
            Url::parse(&format!("{}{path}", self.base.origin()))
        } else {
            self.base.under(path)
        };
        url.map_err(|error| ReplayError::BaseUrl { text: path.to_owned(), why: error.to_string() })
    }

    /// The page with the log-in form, where the app has one.
    pub fn login_page(&self) -> Result<Option<Url>, ReplayError> {
        self.preset.login.as_ref().map(|rule| login::page_url(&self.base, rule)).transpose()
    }

    /// Logs in, as the player does before a replay; false where the app wants no log-in.
    ///
    /// A cookie is taken as it is: only a page that needs a session shows whether it is good.
    pub async fn log_in(&self, credentials: &Credentials) -> Result<bool, ReplayError> {
        let Some(rule) = &self.preset.login else { return Ok(false) };
        let url = login::page_url(&self.base, rule)?;
        match credentials {
            Credentials::Cookie(cookie) => self.http.add_cookies(&url, cookie.expose()),
            Credentials::Login { email, password } => {
                login::log_in(&self.http, &self.base, rule, email, password).await?;
            }
            Credentials::Anonymous => {
                let why = "there are no credentials".to_owned();
                return Err(ReplayError::LogIn { url: url.to_string(), why });
            }
        }
        Ok(true)
    }

    /// GETs one page, to the last byte of its answer. A redirect is an answer.
    pub async fn get(&self, url: &Url, trace: Option<&ProbeTrace>) -> Result<Reply, ReplayError> {
        let mut request = self.http.direct.get(url.clone());
        if let Some(trace) = trace {
            request = traced(request, (&trace.slug, &trace.run, trace.step), self.key.as_ref());
        }
        let unreachable = |error: reqwest::Error| ReplayError::Unreachable {
            method: "GET".to_owned(),
            url: url.to_string(),
            why: chain(&error.without_url()),
        };
        let sent = Timestamp::now();
        let answer = Answer::read(request.send().await.map_err(unreachable)?).await.map_err(unreachable)?;
        let received = Timestamp::now();
        let text = |name: &str| header(&answer.headers, name);
        Ok(Reply {
            trace: text(TRACE_STATUS),
            date: text(DATE.as_str()).and_then(|date| DateTimeParser::new().parse_timestamp(&date).ok()),
            location: text(LOCATION.as_str()).and_then(|location| url.join(&location).ok()),
            status: answer.status,
            url: url.clone(),
            sent,
            received,
        })
    }
}

fn header(headers: &HeaderMap, name: &str) -> Option<String> {
    headers.get(name).map(|value| String::from_utf8_lossy(value.as_bytes()).trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of RFC 9110, section 5.6.7.
    #[test]
    fn a_date_header_is_read() {
        let read = DateTimeParser::new().parse_timestamp("Sun, 06 Nov 1994 08:49:37 GMT").unwrap();
        assert_eq!(read.as_second(), 784_111_777);
    }
}
