//! Environment variables in values.

use std::sync::LazyLock;

use regex::{Captures, Regex};

/// Looks an environment variable up.
pub type Environment<'a> = &'a dyn Fn(&str) -> Option<String>;

static VARIABLE: LazyLock<Regex> = LazyLock::new(|| {
    let pattern =
        r"\$(?:(?P<dollar>\$)|(?P<plain>\w+)|\{(?P<word>\w+)(?:(?P<strict>\?)|-(?P<default>[^}]*))?\})";
    #[expect(clippy::expect_used, reason = "a constant, compiled in every test")]
    Regex::new(pattern).expect("the pattern is valid")
});

/// Replaces `$X`, `${X}`, `${X-default}`, `${X?}` (must be set) and `$$`; the error is the name of a variable that must be set
/// and is not.
pub(super) fn substitute(text: &str, environment: Environment<'_>) -> Result<String, String> {
    let mut unset = None;
    let replaced = VARIABLE.replace_all(text, |found: &Captures<'_>| {
        if found.name("dollar").is_some() {
            return "$".to_owned();
        }
        let name = found.name("plain").or_else(|| found.name("word")).map_or("", |word| word.as_str());
        if let Some(value) = environment(name) {
            return value;
        }
        if found.name("strict").is_some() {
            unset.get_or_insert_with(|| name.to_owned());
        }
        found.name("default").map_or(String::new(), |default| default.as_str().to_owned())
    });
    let replaced = replaced.into_owned();
    unset.map_or(Ok(replaced), Err)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_is_replaced() {
        let environment = |name: &str| (name == "HERE").then(|| "x/y".to_owned());
        let read = |text| substitute(text, &environment);
        assert_eq!(read("$HERE/a ${HERE}b").unwrap(), "x/y/a x/yb");
        assert_eq!(
            read("[$GONE] [${GONE}] [${GONE-or this}] [${HERE-no}]").unwrap(),
            "[] [] [or this] [x/y]"
        );
        assert_eq!(read("${HERE?} $$HERE $").unwrap(), "x/y $HERE $");
        assert_eq!(read("a ${GONE?}").unwrap_err(), "GONE");
    }
}
