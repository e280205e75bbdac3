//! The encodings inside `SQLite`'s pages: <https://www.sqlite.org/fileformat2.html>.

/// A value of a row; numbers that aren't whole are nowhere in a data file.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Value<'a> {
    Null,
    Integer(i64),
    Text(&'a str),
    Blob(&'a [u8]),
}

impl<'a> Value<'a> {
    pub(super) fn text(self) -> Option<&'a str> {
        if let Self::Text(text) = self { Some(text) } else { None }
    }

    pub(super) fn integer(self) -> Option<i64> {
        if let Self::Integer(number) = self { Some(number) } else { None }
    }

    pub(super) fn blob(self) -> Option<&'a [u8]> {
        if let Self::Blob(bytes) = self { Some(bytes) } else { None }
    }
}

/// The values of one row, in order.
#[derive(Debug)]
pub(super) struct Record<'a> {
    types: &'a [u8],
    body: &'a [u8],
}

impl<'a> Record<'a> {
    pub(super) fn new(payload: &'a [u8]) -> Option<Self> {
        let (header, len) = varint(payload)?;
        let header = usize::try_from(header).ok()?;
        Some(Self { types: payload.get(len..header)?, body: payload.get(header..)? })
    }

    /// The next value; `None` as well for what can't be understood.
    pub(super) fn next(&mut self) -> Option<Value<'a>> {
        let (kind, len) = varint(self.types)?;
        self.types = &self.types[len..];
        let size = match kind {
            0 | 8 | 9 => 0,
            1..=4 => kind,
            5 => 6,
            6 => 8,
            12.. => (kind - 12) / 2,
            _ => return None,
        };
        let size = usize::try_from(size).ok()?;
        let bytes = self.body.get(..size)?;
        self.body = &self.body[size..];
        Some(match kind {
            0 => Value::Null,
            8 => Value::Integer(0),
            9 => Value::Integer(1),
            1..=6 => Value::Integer(integer(bytes)),
            _ if kind % 2 == 0 => Value::Blob(bytes),
            _ => Value::Text(std::str::from_utf8(bytes).ok()?),
        })
    }
}

/// Big-endian, signed, of 1 to 8 bytes.
fn integer(bytes: &[u8]) -> i64 {
    let sign = if bytes[0] >= 0x80 { -1 } else { 0 };
    bytes.iter().fold(sign, |number, byte| (number << 8) | i64::from(*byte))
}

/// A number of 1 to 9 bytes, and how many they are.
#[inline]
pub(super) fn varint(bytes: &[u8]) -> Option<(u64, usize)> {
    let first = *bytes.first()?;
    if first < 0x80 {
        return Some((u64::from(first), 1));
    }
    let mut number = u64::from(first & 0x7f);
    for at in 1..8 {
        let byte = *bytes.get(at)?;
        number = (number << 7) | u64::from(byte & 0x7f);
        if byte < 0x80 {
            return Some((number, at + 1));
        }
    }
    Some(((number << 8) | u64::from(*bytes.get(8)?), 9))
}

pub(super) fn push_varint(into: &mut Vec<u8>, number: u64) {
    if number >= 1 << 56 {
        for shift in (1..=8).rev() {
            into.push(0x80 | ((number >> (shift * 7 + 1)) & 0x7f) as u8);
        }
        into.push((number & 0xff) as u8);
        return;
    }
    let sevens = (64 - number.leading_zeros()).div_ceil(7).max(1);
    for place in (0..sevens).rev() {
        let more = if place > 0 { 0x80 } else { 0 };
        into.push(more | ((number >> (place * 7)) & 0x7f) as u8);
    }
}

/// Writes the values of one row.
#[derive(Debug, Default)]
pub(super) struct RecordWriter {
    types: Vec<u8>,
    body: Vec<u8>,
}

impl RecordWriter {
    /// The payload of a row, into `payload` in place of what is there.
    pub(super) fn write(&mut self, values: &[Value<'_>], payload: &mut Vec<u8>) {
        self.types.clear();
        self.body.clear();
        for value in values {
            match *value {
                Value::Null => self.types.push(0),
                Value::Integer(0) => self.types.push(8),
                Value::Integer(1) => self.types.push(9),
                Value::Integer(number) => {
                    let (kind, size) = integer_kind(number);
                    self.types.push(kind);
                    self.body.extend_from_slice(&number.to_be_bytes()[8 - size..]);
                }
                Value::Text(text) => {
                    push_varint(&mut self.types, text.len() as u64 * 2 + 13);
                    self.body.extend_from_slice(text.as_bytes());
                }
                Value::Blob(bytes) => {
                    push_varint(&mut self.types, bytes.len() as u64 * 2 + 12);
                    self.body.extend_from_slice(bytes);
                }
            }
        }
        payload.clear();
        // The header's length counts its own bytes: one, or two from 127 on.
        let len = self.types.len() as u64;
        push_varint(payload, if len < 127 { len + 1 } else { len + 2 });
        payload.extend_from_slice(&self.types);
        payload.extend_from_slice(&self.body);
    }
}

/// The smallest form of a number: its type and its bytes.
fn integer_kind(number: i64) -> (u8, usize) {
    for (kind, size) in [(1, 1), (2, 2), (3, 3), (4, 4), (5, 6)] {
        let bits = size * 8 - 1;
        if number >= -(1i64 << bits) && number < 1i64 << bits {
            return (kind, size);
        }
    }
    (6, 8)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_is_written_is_read(numbers in proptest::collection::vec(any::<i64>(), 0..6), shift in 0u32..64, text: String, bytes: Vec<u8>) {
            let mut values: Vec<Value<'_>> = numbers.iter().map(|number| Value::Integer(number >> shift)).collect();
            values.extend([Value::Text(&text), Value::Null, Value::Blob(&bytes)]);
            let mut payload = vec![7];
            RecordWriter::default().write(&values, &mut payload);
            let mut record = Record::new(&payload).unwrap();
            for value in values {
                prop_assert_eq!(record.next(), Some(value));
            }
            prop_assert_eq!(record.next(), None);
        }

        #[test]
        fn varints_come_back(number: u64, shift in 0u32..64) {
            let number = number >> shift;
            let mut bytes = Vec::new();
            push_varint(&mut bytes, number);
            prop_assert_eq!(varint(&bytes), Some((number, bytes.len())));
        }
    }
}
