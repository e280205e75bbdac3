//! Following redirects where each request needs a signature of its own.
//!
//! The HTTP client follows by itself otherwise ([`crate::http`]), with the headers of the first request: the agent would take the
//! second one for a copy. The rules here are those of the Fetch standard, as the client has them, too.

use reqwest::header::{HeaderMap, LOCATION, REFERER};
use reqwest::{Method, StatusCode};
use url::Url;

/// Redirects that are followed, one after the other.
pub(crate) const MOST: usize = 10;

/// The request that an answer asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Hop {
    pub(crate) method: Method,
    pub(crate) url: Url,
    /// Whether it has the body of the one before.
    pub(crate) with_body: bool,
    /// What it says of where it comes from.
    pub(crate) referer: Option<Url>,
}

impl Hop {
    /// The first request.
    pub(crate) fn first(method: &Method, url: &Url) -> Self {
        Self { method: method.clone(), url: url.clone(), with_body: true, referer: None }
    }

    /// What comes after an answer; none where that is not a redirect, or one to another origin: trace headers are nobody else's business.
    pub(crate) fn next(&self, status: u16, headers: &HeaderMap) -> Option<Self> {
        let as_get = match StatusCode::from_u16(status).ok()? {
            StatusCode::MOVED_PERMANENTLY | StatusCode::FOUND => self.method == Method::POST,
            StatusCode::SEE_OTHER => self.method != Method::HEAD,
            StatusCode::TEMPORARY_REDIRECT | StatusCode::PERMANENT_REDIRECT => false,
            _ => return None,
        };
        let location = headers.get(LOCATION)?.to_str().ok()?;
        let url = self.url.join(location).ok().filter(|url| url.origin() == self.url.origin())?;
        let method = if as_get { Method::GET } else { self.method.clone() };
        Some(Self { method, url, with_body: self.with_body && !as_get, referer: Some(referer(&self.url)) })
    }

    /// The header that says where it comes from.
    pub(crate) fn referer(&self) -> Option<(reqwest::header::HeaderName, &str)> {
        self.referer.as_ref().map(|url| (REFERER, url.as_str()))
    }
}

fn referer(url: &Url) -> Url {
    let mut url = url.clone();
    url.set_fragment(None);
    // Of a URL that has a host, both can be taken away.
    let _ = url.set_username("").and_then(|()| url.set_password(None));
    url
}

#[cfg(test)]
mod tests {
    use super::*;

    fn next(method: &Method, status: u16, location: &str) -> Option<(String, String, bool)> {
        let url = Url::parse("http://me:secret@app.example/a/b?c#d").unwrap();
        let mut headers = HeaderMap::new();
        headers.insert(LOCATION, location.parse().unwrap());
        let hop = Hop::first(method, &url).next(status, &headers)?;
        assert_eq!(hop.referer().unwrap().1, "http://app.example/a/b?c");
        Some((hop.method.to_string(), hop.url.path().to_owned(), hop.with_body))
    }

    #[test]
    fn methods_and_bodies_follow_the_standard() {
        let get = |path: &str| Some(("GET".to_owned(), path.to_owned(), false));
        for status in [301, 302, 303] {
            assert_eq!(next(&Method::POST, status, "/x"), get("/x"));
        }
        assert_eq!(next(&Method::PUT, 303, "x"), get("/a/x"));
        assert_eq!(next(&Method::PUT, 302, "x"), Some(("PUT".to_owned(), "/a/x".to_owned(), true)));
        assert_eq!(next(&Method::HEAD, 303, "x"), Some(("HEAD".to_owned(), "/a/x".to_owned(), true)));
        for status in [307, 308] {
            assert_eq!(next(&Method::POST, status, "/x"), Some(("POST".to_owned(), "/x".to_owned(), true)));
        }
    }

    #[test]
    fn other_answers_and_other_hosts_end_it() {
        for (status, location) in [
            (200, "/x"),
            (300, "/x"),
            (304, "/x"),
            (404, "/x"),
            (302, "http://other.example/x"),
            (302, "https://app.example/x"),
            (302, "http://app.example:81/x"),
            (302, "http://"),
        ] {
            assert_eq!(next(&Method::GET, status, location), None, "{status} {location}");
        }
        let url = Url::parse("http://app.example/").unwrap();
        assert_eq!(Hop::first(&Method::GET, &url).next(302, &HeaderMap::new()), None);
    }
}
