//! Which requests are "the same": a method and a path without what differs from run to run.

/// What stands for a part of a path that names a run, a job or an object.
const ANY: &str = "*";

/// How a sandbox's run id begins, `;` plain or percent-encoded.
const SANDBOX: [&str; 3] = ["profile;;tmp;;", "profile%3b%3btmp%3b%3b", "profile%3B%3Btmp%3B%3B"];

/// The route of a request that is told as `METHOD /path?query`: the query is left out, and run ids of sandboxes, UUIDs and
/// segments of digits become `*`.
pub fn route_of(request: &str) -> String {
    let (method, target) = request.split_once(' ').unwrap_or(("", request));
    let path = target.split(['?', '#']).next().unwrap_or_default();
    let segments: Vec<String> = path.split('/').map(normal).collect();
    let path = segments.join("/");
    if method.is_empty() { path } else { format!("{method} {path}") }
}

fn normal(segment: &str) -> String {
    let digits = !segment.is_empty() && segment.bytes().all(|byte| byte.is_ascii_digit());
    if digits || SANDBOX.iter().any(|prefix| segment.starts_with(prefix)) {
        return ANY.to_owned();
    }
    let mut out = String::with_capacity(segment.len());
    let mut rest = segment;
    while let Some(first) = rest.chars().next() {
        // In the middle of a longer number (a hash, say) begins no UUID.
        let begins = !out.ends_with(|last: char| last.is_ascii_hexdigit());
        if let Some(length) = uuid_at(rest.as_bytes()).filter(|_| begins) {
            out.push_str(ANY);
            rest = &rest[length..];
        } else {
            out.push(first);
            rest = &rest[first.len_utf8()..];
        }
    }
    out
}

/// The length of the UUID that `bytes` begin with: 32 hexadecimal digits, in groups of 8-4-4-4-12 or in one.
fn uuid_at(bytes: &[u8]) -> Option<usize> {
    let hyphens = [8, 13, 18, 23];
    let hyphened = |at: usize, byte: u8| {
        if hyphens.contains(&at) { byte == b'-' } else { byte.is_ascii_hexdigit() }
    };
    let fits = |length: usize, is: &dyn Fn(usize, u8) -> bool| {
        bytes.get(..length).is_some_and(|head| head.iter().enumerate().all(|(at, &byte)| is(at, byte)))
            && !bytes.get(length).is_some_and(u8::is_ascii_hexdigit)
    };
    if fits(36, &hyphened) { Some(36) } else { fits(32, &|_, byte| byte.is_ascii_hexdigit()).then_some(32) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_differs_from_run_to_run_is_left_out() {
        let uuid = "0b1f3c5e-9d2a-4e6f-8a7b-112233445566";
        for (request, route) in [
            (format!("GET /app/runs/profile;;tmp;;{uuid}/legacy/?x=1/2"), "GET /app/runs/*/legacy/"),
            (format!("GET /app/runs/profile%3B%3Btmp%3B%3B{uuid}/legacy"), "GET /app/runs/*/legacy"),
            (format!("GET /jobinfo/{uuid}"), "GET /jobinfo/*"),
            (format!("GET /jobinfo/{}#top", uuid.replace('-', "")), "GET /jobinfo/*"),
            (format!("GET /files/é{uuid}.zip"), "GET /files/é*.zip"),
            ("DELETE /item/17/part2/3".to_owned(), "DELETE /item/*/part2/*"),
            // Longer than a UUID: a hash, a file's name, no run's.
            (
                format!("GET /static/{}", "a".repeat(40)),
                "GET /static/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
            ),
            ("POST /".to_owned(), "POST /"),
            ("somewhere".to_owned(), "somewhere"),
        ] {
            assert_eq!(route_of(&request), route, "{request}");
        }
    }
}
