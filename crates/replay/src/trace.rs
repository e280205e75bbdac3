//! The headers that have a request traced.

use std::time::{SystemTime, UNIX_EPOCH};

use playtrace_grant::{Nonce, SIGNATURE, TraceKey, Wanted};
use playtrace_model::{RunToken, Slug};
use reqwest::RequestBuilder;
use reqwest::header::HeaderValue;
use uuid::Uuid;

/// Activates tracing of a request for a profile.
pub(crate) const TRACE: &str = "X-Profile-Trace";
/// Names the run.
pub(crate) const TRACE_RUN: &str = "X-Profile-Trace-Run";
/// Numbers the step.
pub(crate) const TRACE_STEP: &str = "X-Profile-Trace-Step";
/// The agent's answer: `on`, or `off; <reason>`.
pub(crate) const TRACE_STATUS: &str = "X-Profile-Trace-Status";

/// The headers of one request, in order: what it is traced for and, with a key, a signature of that, good now and once.
pub fn trace_headers(
    slug: &Slug,
    run: Option<&RunToken>,
    step: Option<u32>,
    key: Option<&TraceKey>,
) -> Vec<(&'static str, String)> {
    let mut headers = vec![(TRACE, slug.to_string())];
    headers.extend(run.map(|run| (TRACE_RUN, run.to_string())));
    headers.extend(step.map(|step| (TRACE_STEP, step.to_string())));
    // The digits of a random UUID are a nonce: see the tests.
    let nonce = key.and_then(|_| Nonce::parse(&Uuid::new_v4().simple().to_string()));
    if let (Some(key), Some(nonce)) = (key, nonce) {
        let seconds = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        headers.push((SIGNATURE, key.sign(Wanted { slug, run, step }, seconds, &nonce).to_string()));
    }
    headers
}

/// Puts them on a request. A request that is sent again needs new ones.
pub(crate) fn traced(
    mut request: RequestBuilder,
    (slug, run, step): (&Slug, &RunToken, u32),
    key: Option<&TraceKey>,
) -> RequestBuilder {
    for (name, value) in trace_headers(slug, Some(run), Some(step), key) {
        // Each of them is of printable ASCII.
        if let Ok(mut value) = HeaderValue::try_from(value) {
            value.set_sensitive(name == SIGNATURE);
            request = request.header(name, value);
        }
    }
    request
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_signed_where_there_is_a_key_and_never_twice_alike() {
        let (slug, run) = (Slug::parse("p").unwrap(), RunToken::parse("r").unwrap());
        let names =
            |headers: &[(&'static str, String)]| headers.iter().map(|(name, _)| *name).collect::<Vec<_>>();
        assert_eq!(names(&trace_headers(&slug, None, None, None)), [TRACE]);
        assert_eq!(names(&trace_headers(&slug, Some(&run), Some(1), None)), [TRACE, TRACE_RUN, TRACE_STEP]);
        let key = TraceKey::parse("0123456789abcdef").unwrap();
        let [one, other] = [0, 1].map(|_| trace_headers(&slug, Some(&run), Some(1), Some(&key)));
        assert_eq!(names(&one), [TRACE, TRACE_RUN, TRACE_STEP, SIGNATURE]);
        assert_eq!(one[..3], other[..3]);
        assert_ne!(one[3], other[3]);
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
        let wanted = Wanted { slug: &slug, run: Some(&run), step: Some(1) };
        assert!(key.verify(wanted, &one[3].1, now).is_ok());
    }
}
