//! A text that stands in a document many times, and is kept once.

use serde::{Serialize as _, Serializer};
use serde_json::value::RawValue;

/// Left in the place of the text. In [`Python`](super::Python)'s style it can be nothing else: control characters are
/// escaped there.
pub(super) const MARK: u8 = 0;

/// Serializes no value, but the place of one.
pub(crate) fn leave_out<S: Serializer>(serializer: S) -> Result<S::Ok, S::Error> {
    // The style writes a mark for whatever is raw.
    RawValue::NULL.serialize(serializer)
}

/// Hands over `document`, with `text` in each of the places.
pub(crate) fn put_in<E>(
    document: &[u8],
    text: &[u8],
    sink: &mut impl FnMut(&[u8]) -> Result<(), E>,
) -> Result<(), E> {
    let mut start = 0;
    for at in memchr::memchr_iter(MARK, document) {
        sink(&document[start..at])?;
        sink(text)?;
        start = at + 1;
    }
    sink(&document[start..])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::Python;

    struct LeftOut;

    impl serde::Serialize for LeftOut {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            leave_out(serializer)
        }
    }

    #[test]
    fn the_text_comes_into_its_places() {
        for (value, expected) in [
            (vec![("a", Some(LeftOut)), ("\0", None)], r#"[["a", {"x": 1}], ["\u0000", null]]"#),
            (vec![("a", Some(LeftOut)), ("b", Some(LeftOut))], r#"[["a", {"x": 1}], ["b", {"x": 1}]]"#),
            (vec![], "[]"),
        ] {
            let (mut document, mut whole) = (Vec::new(), Vec::new());
            Python { pretty: false }.value(&mut document, 0, &value).unwrap();
            put_in::<()>(&document, br#"{"x": 1}"#, &mut |part| {
                whole.extend(part);
                Ok(())
            })
            .unwrap();
            assert_eq!(String::from_utf8(whole).unwrap(), expected);
        }
    }
}
