//! JSON as people and `diff` like it: a field a line, lists on one line.

pub(crate) mod apart;
mod python;

use std::borrow::Cow;
use std::io::{self, Write};

use serde::Serialize;
use serde_json::ser::{Formatter, Serializer};

use crate::ReportError;

pub(crate) use python::Python;

/// Writes `document` as JSON, with a newline at the end.
///
/// Line numbers come in long lists, which an ordinary pretty printer spreads over one line each.
pub fn to_json(document: &impl Serialize) -> Result<String, ReportError> {
    let mut bytes = Vec::new();
    document
        .serialize(&mut Serializer::with_formatter(&mut bytes, Layout::default()))
        .map_err(|source| ReportError::Json { source })?;
    bytes.push(b'\n');
    // The serializer writes UTF-8 only; inventories are too large to be copied for nothing.
    Ok(String::from_utf8(bytes)
        .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned()))
}

/// The elements of a list that is a field of a document, as they stand in it: for [`with_lists`].
pub fn elements<T: Serialize>(elements: &[T]) -> Result<Vec<u8>, ReportError> {
    let mut bytes = Vec::new();
    for (at, element) in elements.iter().enumerate() {
        if at > 0 {
            bytes.extend_from_slice(BETWEEN);
        }
        let within = Layout { depth: 1, has_field: false };
        element
            .serialize(&mut Serializer::with_formatter(&mut bytes, within))
            .map_err(|source| ReportError::Json { source })?;
    }
    Ok(bytes)
}

/// As [`to_json`], in pieces, for a document whose lists are long and were written elsewhere, perhaps on several threads.
///
/// `lists` are fields of the document, in their order, each empty in it, with what [`elements`] gave for their parts.
pub fn with_lists<'a>(
    document: &impl Serialize,
    lists: &[(&str, Vec<&'a [u8]>)],
) -> Result<Vec<Cow<'a, [u8]>>, ReportError> {
    let mut rest = to_json(document)?;
    let mut pieces = Vec::new();
    for (field, parts) in lists {
        // No text in the document looks like that: it would have its quotes and newlines escaped.
        let place = format!("\n  \"{field}\": [");
        let at = rest.find(&format!("{place}]")).ok_or_else(|| ReportError::Json {
            source: serde::ser::Error::custom(format!("no empty list {field:?} in the document")),
        })?;
        let after = rest.split_off(at + place.len());
        pieces.push(Cow::Owned(std::mem::replace(&mut rest, after).into_bytes()));
        let mut parts = parts.iter().filter(|part| !part.is_empty());
        pieces.extend(parts.next().map(|first| Cow::Borrowed(*first)));
        pieces.extend(parts.flat_map(|part| [Cow::Borrowed(BETWEEN), Cow::Borrowed(*part)]));
    }
    pieces.push(Cow::Owned(rest.into_bytes()));
    Ok(pieces)
}

/// What stands between the elements of a list.
const BETWEEN: &[u8] = b", ";

#[derive(Default)]
struct Layout {
    depth: usize,
    /// Whether the object that ends now has a field.
    has_field: bool,
}

impl Layout {
    fn new_line<W: ?Sized + Write>(&self, writer: &mut W) -> io::Result<()> {
        writer.write_all(b"\n")?;
        (0..self.depth).try_for_each(|_| writer.write_all(b"  "))
    }
}

impl Formatter for Layout {
    fn begin_object<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.depth += 1;
        self.has_field = false;
        writer.write_all(b"{")
    }

    fn end_object<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.depth -= 1;
        if self.has_field {
            self.new_line(writer)?;
        }
        // Whatever we are in now has a field or element: this object.
        self.has_field = true;
        writer.write_all(b"}")
    }

    fn begin_object_key<W: ?Sized + Write>(&mut self, writer: &mut W, first: bool) -> io::Result<()> {
        if !first {
            writer.write_all(b",")?;
        }
        self.new_line(writer)
    }

    fn begin_object_value<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        writer.write_all(b": ")
    }

    fn end_object_value<W: ?Sized + Write>(&mut self, _: &mut W) -> io::Result<()> {
        self.has_field = true;
        Ok(())
    }

    fn begin_array_value<W: ?Sized + Write>(&mut self, writer: &mut W, first: bool) -> io::Result<()> {
        if first { Ok(()) } else { writer.write_all(BETWEEN) }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn lists_may_be_written_elsewhere() {
        let items =
            [json!({"x": [1, {"y": "\n  \"files\": []"}], "z": {}}), json!(2), json!([]), json!({"u": 1})];
        let around = |files: &[Value], last: &[Value]| json!({"a": "\n  \"files\": []", "b": {"files": []}, "files": files, "later": last, "z": [1, {"files": []}]});
        let ways: [&[(usize, usize)]; 5] =
            [&[(0, 4)], &[(0, 1), (1, 1), (1, 4)], &[(0, 0), (0, 2), (2, 4)], &[(0, 0)], &[]];
        for cuts in ways {
            let parts: Vec<Vec<u8>> =
                cuts.iter().map(|&(from, to)| elements(&items[from..to]).unwrap()).collect();
            let parts: Vec<&[u8]> = parts.iter().map(Vec::as_slice).collect();
            let all: Vec<Value> = cuts.iter().flat_map(|&(from, to)| items[from..to].to_vec()).collect();
            let lists = [("files", parts.clone()), ("later", parts)];
            let pieces = with_lists(&around(&[], &[]), &lists).unwrap();
            assert_eq!(String::from_utf8(pieces.concat()).unwrap(), to_json(&around(&all, &all)).unwrap());
        }
        assert!(with_lists(&around(&items, &[]), &[("files", vec![])]).is_err(), "one that is not empty");
        assert!(
            with_lists(&around(&[], &[]), &[("later", vec![]), ("files", vec![])]).is_err(),
            "another order"
        );
    }

    #[test]
    fn objects_are_spread_and_lists_are_not() {
        let document = json!({"a": [1, 2], "b": {}, "c": [{"d": null, "e": []}, {"f": {"g": "\"\u{e9}\n"}}]});
        let text = to_json(&document).unwrap();
        let expected = r#"{
  "a": [1, 2],
  "b": {},
  "c": [{
    "d": null,
    "e": []
  }, {
    "f": {
      "g": "\"é\n"
    }
  }]
}
"#;
        assert_eq!(text, expected);
        assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), document);
    }
}
