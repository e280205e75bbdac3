//! Where a recorded request goes now.

use url::Url;

use crate::ReplayError;

/// The app's base URL, such as `http://127.0.0.1:8080/weppcloud`; its path has no `/` at the end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BaseUrl(Url);

impl BaseUrl {
    /// Checks a base URL.
    pub fn parse(text: &str) -> Result<Self, ReplayError> {
        let wrong = |why: String| ReplayError::BaseUrl { text: text.to_owned(), why };
        let mut url = Url::parse(text).map_err(|error| wrong(error.to_string()))?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(wrong(format!("{} is not http or https", url.scheme())));
        }
        // They would stand in every log line and summary.
        if !url.username().is_empty() || url.password().is_some() {
            let shown = format!("{}://…@{}", url.scheme(), url.host_str().unwrap_or_default());
            return Err(ReplayError::BaseUrl {
                text: shown,
                why: "it holds a user name or a password".to_owned(),
            });
        }
        url.set_query(None);
        url.set_fragment(None);
        let path = url.path().trim_end_matches('/').to_owned();
        url.set_path(&path);
        Ok(Self(url))
    }

    /// The URL, without a `/` at the end.
    pub fn as_str(&self) -> &str {
        self.0.as_str().trim_end_matches('/')
    }

    /// Scheme, host and port.
    pub fn origin(&self) -> String {
        self.0.origin().ascii_serialization()
    }

    /// Whether the app runs on this machine.
    pub fn is_loopback(&self) -> bool {
        match self.0.host() {
            Some(url::Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
            Some(url::Host::Ipv4(ip)) => ip.is_loopback(),
            Some(url::Host::Ipv6(ip)) => ip.is_loopback(),
            None => false,
        }
    }

    /// `{base}` and `{origin}` of a preset's text replaced.
    pub fn fill(&self, template: &str) -> String {
        template.replace("{base}", self.as_str()).replace("{origin}", &self.origin())
    }

    /// A path under the base URL.
    pub fn under(&self, path: &str) -> Result<Url, url::ParseError> {
        Url::parse(&format!("{}/{}", self.as_str(), path.trim_start_matches('/')))
    }

    fn prefix(&self) -> &str {
        self.0.path().trim_end_matches('/')
    }
}

/// From recorded endpoints to the app's URLs.
#[derive(Debug, Clone)]
pub(crate) struct Addresses<'a> {
    base: &'a BaseUrl,
    recorded_root: Option<Url>,
    host_paths: &'a [String],
}

/// Where a recorded request goes.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Address {
    /// To the app.
    App(Url),
    /// To somebody else (a map's tiles, say).
    Elsewhere(String),
}

impl<'a> Addresses<'a> {
    pub(crate) fn new(base: &'a BaseUrl, recorded_root: Option<&str>, host_paths: &'a [String]) -> Self {
        let recorded_root = recorded_root.and_then(|url| Url::parse(url).ok());
        Self { base, recorded_root, host_paths }
    }

    /// The URL of a recorded (and rewritten) endpoint.
    pub(crate) fn locate(&self, endpoint: &str) -> Result<Address, url::ParseError> {
        let mut path = endpoint;
        if endpoint.contains("://") && !endpoint.starts_with('/') {
            let url = Url::parse(endpoint)?;
            if let Some(root) = &self.recorded_root
                && url.host() != root.host()
            {
                return Ok(Address::Elsewhere(url.host_str().unwrap_or_default().to_owned()));
            }
            // Cut from the text, not put together from the parsed URL: percent signs stay as recorded.
            let after_scheme = endpoint.split_once("://").map_or("", |(_, rest)| rest);
            path = after_scheme.find(['/', '?']).map_or("/", |at| &after_scheme[at..]);
        }
        path = path.split_once('#').map_or(path, |(path, _)| path);
        if self.host_paths.iter().any(|host_path| path.starts_with(host_path.as_str())) {
            return Url::parse(&format!("{}{path}", self.base.origin())).map(Address::App);
        }
        let recorded = self.recorded_root.as_ref().map(|root| root.path().trim_end_matches('/'));
        let prefixes = [recorded.unwrap_or_default(), self.base.prefix()];
        let inside = prefixes.into_iter().find_map(|prefix| strip_prefix(path, prefix)).unwrap_or(path);
        self.base.under(inside).map(Address::App)
    }
}

/// The path after a prefix that ends at a segment's border; `None` for an empty prefix.
fn strip_prefix<'p>(path: &'p str, prefix: &str) -> Option<&'p str> {
    let rest = path.strip_prefix(prefix).filter(|_| !prefix.is_empty())?;
    (rest.is_empty() || rest.starts_with(['/', '?'])).then_some(rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn locate(base: &str, root: Option<&str>, endpoint: &str) -> String {
        let (base, host_paths) = (BaseUrl::parse(base).unwrap(), ["/rq-engine/".to_owned()]);
        match Addresses::new(&base, root, &host_paths).locate(endpoint).unwrap() {
            Address::App(url) => url.to_string(),
            Address::Elsewhere(host) => format!("elsewhere: {host}"),
        }
    }

    #[test]
    fn recorded_prefixes_give_way_to_the_base_url() {
        let root = Some("https://wc.example.org/weppcloud");
        for (endpoint, expected) in [
            ("/weppcloud/runs/a/b/?x=%2F1", "http://h:1/app/runs/a/b/?x=%2F1"),
            ("https://wc.example.org/weppcloud/runs/a/b/", "http://h:1/app/runs/a/b/"),
            ("/runs/a/b/", "http://h:1/app/runs/a/b/"),
            ("/app/runs/a/b/", "http://h:1/app/runs/a/b/"),
            ("/weppcloudy/x", "http://h:1/app/weppcloudy/x"),
            ("/rq-engine/api/x", "http://h:1/rq-engine/api/x"),
            ("https://wc.example.org/rq-engine/api/x", "http://h:1/rq-engine/api/x"),
            ("https://tiles.example.net/1/2/3.png", "elsewhere: tiles.example.net"),
            ("/runs/profile;;tmp;;1/b/#map", "http://h:1/app/runs/profile;;tmp;;1/b/"),
            ("/x?next=http://other/", "http://h:1/app/x?next=http://other/"),
        ] {
            assert_eq!(locate("http://h:1/app/", root, endpoint), expected, "{endpoint}");
        }
    }

    #[test]
    fn without_a_recorded_root_the_base_urls_own_prefix_counts() {
        assert_eq!(locate("http://h/weppcloud", None, "/weppcloud/runs/a/"), "http://h/weppcloud/runs/a/");
        assert_eq!(locate("http://h", None, "/runs/a/"), "http://h/runs/a/");
        assert_eq!(locate("http://h", Some("https://o/weppcloud/"), "/weppcloud"), "http://h/");
    }

    #[test]
    fn base_urls_are_checked() {
        assert_eq!(BaseUrl::parse("http://h:80/a/?q#f").unwrap().as_str(), "http://h/a");
        assert_eq!(BaseUrl::parse("http://h").unwrap().as_str(), "http://h");
        for text in ["", "localhost:80", "ftp://h/", "http://"] {
            assert_eq!(BaseUrl::parse(text).unwrap_err().code(), "PT-REPLAY-005", "{text}");
        }
        let error = BaseUrl::parse("http://me:hunter2@h/").unwrap_err().to_string();
        assert!(!error.contains("hunter2"), "{error}");
    }
}
