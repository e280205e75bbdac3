//! From the recorded run's id to the sandbox's, wherever a request names it.

/// Replaces the recorded run's id by the sandbox's.
///
/// Only whole ids are replaced: `abc` is left alone inside `abc-2` and `my_abc`, which are other runs.
/// Texts are rewritten as they are, JSON too, so that everything else stays byte for byte.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunIdRewriter {
    from: Vec<String>,
    to: String,
}

impl RunIdRewriter {
    /// Replaces `from` by `to`; also where `from` stands percent-encoded, as browsers write it.
    pub fn new(from: &str, to: &str) -> Self {
        let encoded: String = url::form_urlencoded::byte_serialize(from.as_bytes()).collect();
        let mut forms = vec![from.to_owned(), encoded];
        forms.dedup();
        // An empty id would be found everywhere.
        forms.retain(|form| !form.is_empty());
        Self { from: forms, to: to.to_owned() }
    }

    /// The text with every whole occurrence replaced.
    pub fn rewrite(&self, text: &str) -> String {
        self.from.iter().fold(text.to_owned(), |text, from| replace_whole(&text, from, &self.to))
    }
}

/// Replaces the occurrences of `from` that are not parts of a longer word.
fn replace_whole(text: &str, from: &str, to: &str) -> String {
    let mut result = String::with_capacity(text.len());
    let mut rest = text;
    let mut before = None;
    while let Some(at) = rest.find(from) {
        let (head, tail) = (&rest[..at], &rest[at + from.len()..]);
        let previous = head.chars().next_back().or(before);
        result.push_str(head);
        if is_part(previous) || is_part(tail.chars().next()) {
            result.push_str(from);
        } else {
            result.push_str(to);
        }
        before = from.chars().next_back();
        rest = tail;
    }
    result.push_str(rest);
    result
}

/// Whether a neighbouring character makes the occurrence a part of another id.
fn is_part(neighbour: Option<char>) -> bool {
    neighbour.is_some_and(|character| character.is_alphanumeric() || matches!(character, '-' | '_'))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const TO: &str = "profile;;tmp;;0b0e";

    fn rewrite(text: &str) -> String {
        RunIdRewriter::new("abc", TO).rewrite(text)
    }

    #[test]
    fn whole_ids_are_replaced_wherever_they_stand() {
        assert_eq!(rewrite("/runs/abc/cfg/?run=abc&x=1"), format!("/runs/{TO}/cfg/?run={TO}&x=1"));
        assert_eq!(rewrite(r#"{"run":"abc", "n": 1.50}"#), format!(r#"{{"run":"{TO}", "n": 1.50}}"#));
        assert_eq!(rewrite("abc,abc.zip"), format!("{TO},{TO}.zip"));
    }

    #[test]
    fn parts_of_other_ids_are_left_alone() {
        for text in ["abc-2", "my_abc", "abcabc", "xabc", "abc1", "abcabcabc"] {
            assert_eq!(rewrite(text), text);
        }
    }

    #[test]
    fn encoded_ids_are_found() {
        let rewriter = RunIdRewriter::new("batch;;spring;;run-1", TO);
        assert_eq!(rewriter.rewrite("/runs/batch%3B%3Bspring%3B%3Brun-1/x"), format!("/runs/{TO}/x"));
        assert_eq!(rewriter.rewrite("/runs/batch;;spring;;run-1/x"), format!("/runs/{TO}/x"));
    }

    proptest! {
        /// Built from pieces, so that the right answer is known without a second implementation.
        #[test]
        fn exactly_the_whole_ids_change(pieces in prop::collection::vec(
            (prop::sample::select(vec!["abc", "abc-2", "xabc", "ab", "", "ünï"]),
             prop::sample::select(vec!["/", "\"", " ", "?", "&", ".", ";"])), 0..12)) {
            let build = |id: &str| pieces.iter().fold(String::new(), |text, (word, end)| {
                text + if *word == "abc" { id } else { word } + end
            });
            prop_assert_eq!(rewrite(&build("abc")), build(TO));
        }

        #[test]
        fn a_text_without_the_id_is_unchanged(text in "[^c]*") {
            prop_assert_eq!(rewrite(&text), text);
        }

        #[test]
        fn rewriting_twice_changes_nothing_more(text in any::<String>(), id in "[a-z]{1,8}(-[a-z]{1,4})?") {
            prop_assume!(!TO.split(";;").any(|part| part == id));
            let rewriter = RunIdRewriter::new(&id, TO);
            let once = rewriter.rewrite(&format!("/runs/{id}/{text}"));
            prop_assert_eq!(rewriter.rewrite(&once), once);
        }
    }
}
