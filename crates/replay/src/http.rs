//! The HTTP client: cookies, redirects, time-outs.

use std::sync::{Arc, Once, PoisonError, RwLock};
use std::time::Duration;

use cookie_store::{CookieStore, RawCookie};
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use reqwest::redirect::Policy;
use reqwest::{Client, Response};
use url::Url;

use crate::ReplayError;
use crate::address::BaseUrl;
use crate::preset::Preset;

/// Most of an answer that is kept, in bytes; the rest is read and counted.
const KEPT: usize = 4 << 20;

/// The clients of one replay: one that follows redirects as a browser does, and one that shows them.
#[derive(Debug, Clone)]
pub(crate) struct Http {
    pub(crate) following: Client,
    pub(crate) direct: Client,
    jar: Arc<Jar>,
}

/// What came back, to its last byte.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) url: Url,
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    /// The body, or as much of it as is kept.
    pub(crate) body: Vec<u8>,
    /// The body's whole length in bytes.
    pub(crate) length: u64,
}

impl Http {
    pub(crate) fn new(base: &BaseUrl, preset: &Preset) -> Result<Self, ReplayError> {
        install_tls();
        let jar = Arc::new(Jar::default());
        let headers = headers(base, preset)?;
        let build = |redirects: Policy| {
            let builder = Client::builder()
                .user_agent(concat!("playtrace/", env!("CARGO_PKG_VERSION")))
                .default_headers(headers.clone())
                .cookie_provider(Arc::clone(&jar))
                .redirect(redirects)
                .connect_timeout(Duration::from_secs(30))
                .timeout(Duration::from_secs(preset.http.timeout_s));
            // A server closes idle connections after a time that only it knows (gunicorn: 2 s), and a request that
            // meets the closing is lost. On this machine a new connection costs nothing.
            let builder = if base.is_loopback() {
                builder.pool_max_idle_per_host(0)
            } else {
                builder.pool_idle_timeout(Duration::from_secs(1))
            };
            builder.build().map_err(|error| ReplayError::Client { why: chain(&error) })
        };
        Ok(Self { following: build(same_origin())?, direct: build(Policy::none())?, jar })
    }

    /// Takes the value of a `Cookie` header (`a=1; b=2`) as the app's cookies.
    pub(crate) fn add_cookies(&self, url: &Url, header: &str) {
        let mut store = self.jar.0.write().unwrap_or_else(PoisonError::into_inner);
        for pair in header.split(';').map(str::trim).filter(|pair| pair.contains('=')) {
            // For the whole host: the recorded paths need not lie under the base URL.
            store.parse(&format!("{pair}; Path=/"), url).ok();
        }
    }

    /// Whether a cookie of this name would be sent to `url`.
    pub(crate) fn has_cookie(&self, url: &Url, name: &str) -> bool {
        let store = self.jar.0.read().unwrap_or_else(PoisonError::into_inner);
        store.get_request_values(url).any(|(known, value)| known == name && !value.is_empty())
    }
}

impl Answer {
    /// Reads an answer to its end.
    pub(crate) async fn read(mut response: Response) -> Result<Self, reqwest::Error> {
        let (url, status) = (response.url().clone(), response.status().as_u16());
        let headers = std::mem::take(response.headers_mut());
        let (mut body, mut length) = (Vec::new(), 0);
        while let Some(chunk) = response.chunk().await? {
            length += chunk.len() as u64;
            let room = KEPT.saturating_sub(body.len()).min(chunk.len());
            body.extend_from_slice(&chunk[..room]);
        }
        Ok(Self { url, status, headers, body, length })
    }

    /// The body as JSON, if it is.
    pub(crate) fn json(&self) -> Option<serde_json::Value> {
        serde_json::from_slice(&self.body).ok()
    }

    pub(crate) fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// The beginning of a text body, on one line, for people.
    pub(crate) fn excerpt(&self) -> String {
        let text = String::from_utf8_lossy(&self.body);
        let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
        let cut: String = line.chars().take(200).collect();
        if cut.len() < line.len() { format!("{cut}…") } else { cut }
    }
}

/// An error with what caused it: reqwest's own message leaves the cause out.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        source = cause.source();
    }
    text
}

/// Follows redirects like a browser, but not to another host: trace headers are nobody else's business.
fn same_origin() -> Policy {
    Policy::custom(|attempt| {
        let same = attempt.previous().last().is_some_and(|last| last.origin() == attempt.url().origin());
        if attempt.previous().len() > 10 {
            attempt.error("more than 10 redirects")
        } else if same {
            attempt.follow()
        } else {
            attempt.stop()
        }
    })
}

fn headers(base: &BaseUrl, preset: &Preset) -> Result<HeaderMap, ReplayError> {
    let mut headers = HeaderMap::new();
    for (name, value) in &preset.http.headers {
        let wrong = |why: &dyn std::fmt::Display| ReplayError::Client {
            why: format!("header {name} of preset {}: {why}", preset.name),
        };
        headers.insert(
            HeaderName::try_from(name).map_err(|error| wrong(&error))?,
            HeaderValue::try_from(base.fill(value)).map_err(|error| wrong(&error))?,
        );
    }
    Ok(headers)
}

/// The TLS library is chosen once for the process; a program that chose another one before keeps it.
pub fn install_tls() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        rustls::crypto::ring::default_provider().install_default().ok();
    });
}

/// The cookies of one replay. Cookies marked Secure go to loopback hosts over http, too.
#[derive(Debug, Default)]
struct Jar(RwLock<CookieStore>);

impl reqwest::cookie::CookieStore for Jar {
    fn set_cookies(&self, headers: &mut dyn Iterator<Item = &HeaderValue>, url: &Url) {
        let cookies = headers.filter_map(|value| {
            RawCookie::parse(String::from_utf8_lossy(value.as_bytes()).into_owned()).ok()
        });
        let mut store = self.0.write().unwrap_or_else(PoisonError::into_inner);
        store.store_response_cookies(cookies, &secure(url));
    }

    fn cookies(&self, url: &Url) -> Option<HeaderValue> {
        let store = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let pairs: Vec<String> =
            store.get_request_values(&secure(url)).map(|(name, value)| format!("{name}={value}")).collect();
        let mut header = HeaderValue::try_from(pairs.join("; ")).ok().filter(|header| !header.is_empty())?;
        header.set_sensitive(true);
        Some(header)
    }
}

/// The URL as the cookie rules see it: loopback counts as secure, `*.localhost` included.
fn secure(url: &Url) -> Url {
    let mut seen = url.clone();
    if BaseUrl::parse(url.as_str()).is_ok_and(|base| base.is_loopback()) {
        // Both schemes are "special" ones: the change is always possible.
        seen.set_scheme("https").ok();
    }
    seen
}

#[cfg(test)]
mod tests {
    use reqwest::cookie::CookieStore as _;

    use super::*;

    fn jar_with(url: &str, cookie: &str) -> Jar {
        let jar = Jar::default();
        let header = HeaderValue::from_str(cookie).unwrap();
        jar.set_cookies(&mut std::iter::once(&header), &Url::parse(url).unwrap());
        jar
    }

    fn sent(jar: &Jar, url: &str) -> Option<String> {
        jar.cookies(&Url::parse(url).unwrap()).map(|header| header.to_str().unwrap().to_owned())
    }

    #[test]
    fn secure_cookies_go_to_loopback_only() {
        for host in ["127.0.0.1:8080", "localhost:8080", "app.localhost", "[::1]:8080"] {
            let jar =
                jar_with(&format!("http://{host}/weppcloud/login"), "session=abc; Secure; HttpOnly; Path=/");
            assert_eq!(sent(&jar, &format!("http://{host}/x")).as_deref(), Some("session=abc"), "{host}");
        }
        let jar = jar_with("https://wc.example.org/login", "session=abc; Secure; Path=/");
        assert_eq!(sent(&jar, "http://wc.example.org/x"), None);
        assert_eq!(sent(&jar, "https://wc.example.org/x").as_deref(), Some("session=abc"));
        assert_eq!(sent(&jar, "https://other.example.org/x"), None);
    }
}
