//! JSON as Python's `json.dump` writes it: ASCII only, `, ` and `: ` between things, or spread over lines.

use std::io::{self, Write};

use serde::Serialize;
use serde_json::ser::{Formatter, Serializer};

use super::apart::MARK;
use crate::ReportError;
use crate::coverage::python_float;

/// The style, with or without `indent=4`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Python {
    pub(crate) pretty: bool,
}

impl Python {
    /// Writes a value that stands `depth` deep.
    pub(crate) fn value(
        self,
        out: &mut Vec<u8>,
        depth: usize,
        value: &impl Serialize,
    ) -> Result<(), ReportError> {
        let layout = Layout { style: self, depth, has_value: false };
        value
            .serialize(&mut Serializer::with_formatter(out, layout))
            .map_err(|source| ReportError::Json { source })
    }

    /// Writes the beginning of a field of an object that is written by hand.
    pub(crate) fn key(
        self,
        out: &mut Vec<u8>,
        depth: usize,
        key: &str,
        first: bool,
    ) -> Result<(), ReportError> {
        if !first {
            out.extend(if self.pretty { &b","[..] } else { &b", "[..] });
        }
        self.new_line(out, depth);
        self.value(out, depth, &key)?;
        out.extend(b": ");
        Ok(())
    }

    /// Begins a line, where there are lines.
    pub(crate) fn new_line(self, out: &mut Vec<u8>, depth: usize) {
        if self.pretty {
            out.push(b'\n');
            out.extend(std::iter::repeat_n(b' ', 4 * depth));
        }
    }
}

struct Layout {
    style: Python,
    depth: usize,
    /// Whether the object or array that ends now has something in it.
    has_value: bool,
}

impl Layout {
    fn begin<W: ?Sized + Write>(&mut self, writer: &mut W, bracket: &[u8]) -> io::Result<()> {
        self.depth += 1;
        self.has_value = false;
        writer.write_all(bracket)
    }

    fn end<W: ?Sized + Write>(&mut self, writer: &mut W, bracket: &[u8]) -> io::Result<()> {
        self.depth -= 1;
        if self.has_value {
            self.new_line(writer)?;
        }
        writer.write_all(bracket)
    }

    fn next<W: ?Sized + Write>(&self, writer: &mut W, first: bool) -> io::Result<()> {
        match (first, self.style.pretty) {
            (true, _) => {}
            (false, true) => writer.write_all(b",")?,
            (false, false) => writer.write_all(b", ")?,
        }
        self.new_line(writer)
    }

    fn new_line<W: ?Sized + Write>(&self, writer: &mut W) -> io::Result<()> {
        if !self.style.pretty {
            return Ok(());
        }
        writer.write_all(b"\n")?;
        (0..self.depth).try_for_each(|_| writer.write_all(b"    "))
    }
}

impl Formatter for Layout {
    fn begin_array<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.begin(writer, b"[")
    }

    fn end_array<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.end(writer, b"]")
    }

    fn begin_array_value<W: ?Sized + Write>(&mut self, writer: &mut W, first: bool) -> io::Result<()> {
        self.next(writer, first)
    }

    fn end_array_value<W: ?Sized + Write>(&mut self, _: &mut W) -> io::Result<()> {
        self.has_value = true;
        Ok(())
    }

    fn begin_object<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.begin(writer, b"{")
    }

    fn end_object<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.end(writer, b"}")
    }

    fn begin_object_key<W: ?Sized + Write>(&mut self, writer: &mut W, first: bool) -> io::Result<()> {
        self.next(writer, first)
    }

    fn begin_object_value<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        writer.write_all(b": ")
    }

    fn end_object_value<W: ?Sized + Write>(&mut self, _: &mut W) -> io::Result<()> {
        self.has_value = true;
        Ok(())
    }

    fn write_f64<W: ?Sized + Write>(&mut self, writer: &mut W, value: f64) -> io::Result<()> {
        writer.write_all(python_float(value).as_bytes())
    }

    fn write_raw_fragment<W: ?Sized + Write>(&mut self, writer: &mut W, _: &str) -> io::Result<()> {
        writer.write_all(&[MARK])
    }

    fn write_string_fragment<W: ?Sized + Write>(&mut self, writer: &mut W, fragment: &str) -> io::Result<()> {
        if fragment.bytes().all(|byte| (b' '..=b'~').contains(&byte)) {
            return writer.write_all(fragment.as_bytes());
        }
        for c in fragment.chars() {
            if (' '..='~').contains(&c) {
                writer.write_all(&[c as u8])?;
            } else {
                for unit in c.encode_utf16(&mut [0; 2]) {
                    write!(writer, "\\u{unit:04x}")?;
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn written(value: &Value, pretty: bool) -> String {
        let mut out = Vec::new();
        Python { pretty }.value(&mut out, 0, value).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn the_style_is_python_s() {
        let value = json!({"a": [1, 2.5, 100.0], "b": {}, "c": [], "d": "\"\\\n\u{8}\u{1}\u{7f}é\u{1f600}/"});
        // json.dumps(value) and json.dumps(value, indent=4) of CPython 3.12.
        assert_eq!(
            written(&value, false),
            r#"{"a": [1, 2.5, 100.0], "b": {}, "c": [], "d": "\"\\\n\b\u0001\u007f\u00e9\ud83d\ude00/"}"#
        );
        let pretty = "{\n    \"a\": [\n        1,\n        2.5\n    ],\n    \"b\": {},\n    \"c\": {\n        \"d\": []\n    }\n}";
        assert_eq!(written(&json!({"a": [1, 2.5], "b": {}, "c": {"d": []}}), true), pretty);
    }
}
