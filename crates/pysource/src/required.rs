//! What every match of a pattern holds.

use regex_syntax::hir::{Hir, HirKind};

/// More texts than that are not looked for one by one.
const MOST: usize = 8;

/// Texts of which each match of `pattern` holds at least one; `None` if there are none, or too many.
pub(crate) fn required(pattern: &str) -> Option<Vec<Vec<u8>>> {
    of(&regex_syntax::parse(pattern).ok()?)
}

fn of(hir: &Hir) -> Option<Vec<Vec<u8>>> {
    match hir.kind() {
        HirKind::Literal(literal) => Some(vec![literal.0.to_vec()]),
        HirKind::Capture(capture) => of(&capture.sub),
        HirKind::Repetition(repetition) if repetition.min > 0 => of(&repetition.sub),
        // Each part is in every match: the one whose shortest text is longest is met least by chance.
        HirKind::Concat(parts) => parts.iter().filter_map(of).max_by_key(|texts| shortest(texts)),
        HirKind::Alternation(ways) => {
            let mut all = Vec::new();
            for way in ways {
                all.append(&mut of(way)?);
            }
            (all.len() <= MOST).then_some(all)
        }
        _ => None,
    }
}

fn shortest(texts: &[Vec<u8>]) -> usize {
    texts.iter().map(Vec::len).min().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::CoverageRelease;

    fn texts(pattern: &str) -> Option<Vec<String>> {
        required(pattern).map(|all| all.into_iter().map(|text| String::from_utf8(text).unwrap()).collect())
    }

    #[test]
    fn what_is_optional_is_not_required() {
        assert_eq!(texts("a(bc)?d"), Some(vec!["d".to_owned()]));
        assert_eq!(texts("a(bc)+d"), Some(vec!["bc".to_owned()]));
        assert_eq!(texts("abc|de"), Some(vec!["abc".to_owned(), "de".to_owned()]));
        assert_eq!(texts("abc|d?"), None);
        assert_eq!(texts("(?i)abc"), None);
        assert_eq!(texts(r"\d+"), None);
        assert_eq!(texts("("), None);
    }

    #[test]
    fn the_defaults_require_something() {
        for release in CoverageRelease::ALL {
            for pattern in release.default_exclusions() {
                assert!(
                    texts(pattern)
                        .is_some_and(|all| shortest(&required(pattern).unwrap()) >= 3 && !all.is_empty()),
                    "{pattern}"
                );
            }
        }
    }

    proptest! {
        /// Whatever matches holds one of them.
        #[test]
        fn no_match_is_without_one(pattern in "[ab(|)?+*.\\[\\]]{0,12}", text in "[abc]{0,12}") {
            if let (Ok(regex), Some(all)) = (regex::Regex::new(&pattern), required(&pattern)) {
                for found in regex.find_iter(&text) {
                    prop_assert!(all.iter().any(|one| found.as_str().as_bytes().windows(one.len().max(1)).any(|part| part == one) || one.is_empty()));
                }
            }
        }
    }
}
