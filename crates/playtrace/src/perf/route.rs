//! Endpoints: what requests of one kind have in common, where their URLs differ.

/// The template of a request: its method, and its path with what names one particular thing replaced: the run by `{run}`, numbers by
/// `{n}`, UUIDs and the like by `{id}`. Queries are left out.
pub fn template(method: &str, path: &str, run_ids: &[&str]) -> String {
    let segments: Vec<String> = path.split('/').map(|segment| of_segment(segment, run_ids)).collect();
    format!("{method} {}", segments.join("/"))
}

fn of_segment(segment: &str, run_ids: &[&str]) -> String {
    if run_ids.iter().any(|id| !id.is_empty() && (segment == *id || decoded(segment) == *id)) {
        return "{run}".to_owned();
    }
    // The ending of a file says what it is: `12.png` is a tile as `13.png` is.
    let (stem, ending) = match segment.rsplit_once('.') {
        Some((stem, ending))
            if !stem.is_empty() && !ending.is_empty() && !is_number(segment) && !is_number(ending) =>
        {
            (stem, format!(".{ending}"))
        }
        _ => (segment, String::new()),
    };
    if is_number(stem) {
        format!("{{n}}{ending}")
    } else if is_id(stem) {
        format!("{{id}}{ending}")
    } else {
        segment.to_owned()
    }
}

fn decoded(segment: &str) -> String {
    // As a form's value, but that `+` is itself in a path.
    let pair = format!("={}", segment.replace('+', "%2B"));
    url::form_urlencoded::parse(pair.as_bytes())
        .next()
        .map(|(_, value)| value.into_owned())
        .unwrap_or_default()
}

fn is_number(text: &str) -> bool {
    text.parse::<f64>().is_ok() && text.bytes().any(|byte| byte.is_ascii_digit())
}

/// Hexadecimal and long enough to be nobody's word, with a digit in it; hyphens as in a UUID.
fn is_id(text: &str) -> bool {
    text.len() >= 8
        && text.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-')
        && text.bytes().any(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_names_one_thing_gives_way() {
        let run = "profile;;tmp;;6f1c0f4e-0d3b-4a43-8d84-7c7f6a1a5b11";
        for (path, expected) in [
            (
                "/weppcloud/runs/profile;;tmp;;6f1c0f4e-0d3b-4a43-8d84-7c7f6a1a5b11/cfg/",
                "/weppcloud/runs/{run}/cfg/",
            ),
            ("/runs/profile%3B%3Btmp%3B%3B6f1c0f4e-0d3b-4a43-8d84-7c7f6a1a5b11/", "/runs/{run}/"),
            ("/tiles/12/655/-3.5/1583.png", "/tiles/{n}/{n}/{n}/{n}.png"),
            ("/jobs/6f1c0f4e-0d3b-4a43-8d84-7c7f6a1a5b11", "/jobs/{id}"),
            ("/blob/deadbeef01.json", "/blob/{id}.json"),
            ("/v1.2/feedback/decade", "/v1.2/feedback/decade"),
            ("/query/defaced/", "/query/defaced/"),
            ("/nan/inf/infinity", "/nan/inf/infinity"),
            ("/", "/"),
        ] {
            assert_eq!(template("GET", path, &[run]), format!("GET {expected}"), "{path}");
        }
    }

    proptest! {
        /// A template is its own template, and numbers alone never tell two endpoints apart.
        #[test]
        fn templates_are_stable(path in "(/[a-z0-9.;%-]{0,12}){1,5}", one in 0_u32..99_999, other in 0_u32..99_999) {
            let once = template("GET", &path, &[]);
            prop_assert_eq!(&template("GET", once.trim_start_matches("GET "), &[]), &once);
            prop_assert_eq!(
                template("GET", &format!("{path}/{one}"), &[]),
                template("GET", &format!("{path}/{other}"), &[])
            );
        }
    }
}
