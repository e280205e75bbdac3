//! JSON as people and `diff` like it: a field a line, lists on one line.

mod python;

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
        if first { Ok(()) } else { writer.write_all(b", ") }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

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
