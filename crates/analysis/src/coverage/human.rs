//! The order in which people expect names with numbers in them.

use std::cmp::Ordering;

/// Compares texts with their numbers taken as numbers: `a2` comes before `a10`.
///
/// coverage.py sorts names of files, packages and contexts so (`human_sorted` in its `misc.py`). Equal numbers with other
/// zeros before them fall back on the text.
pub fn human_cmp(a: &str, b: &str) -> Ordering {
    let (mut left, mut right) = (chunks(a), chunks(b));
    loop {
        let order = match (left.next(), right.next()) {
            (None, None) => return a.cmp(b),
            (None, Some(_)) => return Ordering::Less,
            (Some(_), None) => return Ordering::Greater,
            (Some((text_a, number_a)), Some((text_b, number_b))) => {
                text_a.cmp(text_b).then_with(|| compare_numbers(number_a, number_b))
            }
        };
        if order != Ordering::Equal {
            return order;
        }
    }
}

/// Pairs of a text without digits and the digits that follow it; the last pair may have none.
fn chunks(text: &str) -> impl Iterator<Item = (&str, Option<&str>)> {
    let mut rest = Some(text);
    std::iter::from_fn(move || {
        let text = rest.take()?;
        let Some(start) = text.find(|c: char| c.is_ascii_digit()) else { return Some((text, None)) };
        let (before, digits) = text.split_at(start);
        let end = digits.find(|c: char| !c.is_ascii_digit()).unwrap_or(digits.len());
        rest = Some(&digits[end..]);
        Some((before, Some(&digits[..end])))
    })
}

fn compare_numbers(a: Option<&str>, b: Option<&str>) -> Ordering {
    match (a, b) {
        (Some(a), Some(b)) => {
            let (a, b) = (a.trim_start_matches('0'), b.trim_start_matches('0'));
            a.len().cmp(&b.len()).then_with(|| a.cmp(b))
        }
        (a, b) => a.is_some().cmp(&b.is_some()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_numbers() {
        // The order of coverage.py 7.11.3's human_sorted.
        let sorted = ["", "9", "10", "a", "a/b001.py", "a/b1.py", "a/b2.py", "a/b10.py", "a/b.py", "b", "é1"];
        let mut names = sorted;
        names.reverse();
        names.sort_by(|a, b| human_cmp(a, b));
        assert_eq!(names, sorted);
    }
}
