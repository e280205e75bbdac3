//! One record, one line: `<length> <checksum> <JSON>\n`, readable with `less` and safe against torn writes.

use std::io::BufRead;

use crate::{Entry, LedgerError, Record};

/// What was wrong at a place of a ledger file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Damage {
    /// The file ends in the middle of a record: its process was killed while it wrote, or the disk is full.
    Torn {
        /// Byte offset of the record.
        offset: usize,
    },
    /// Length, checksum or JSON don't fit.
    Corrupt {
        /// Byte offset of the record.
        offset: usize,
    },
}

/// Bytes before the JSON: two hexadecimal numbers of eight digits, each followed by a space.
const HEAD: usize = 18;

/// The bytes of one record: the JSON's length and its CRC-32 (IEEE), both as eight lower-case hexadecimal
/// digits, then the JSON, which holds no raw line break, then one.
pub fn encode(entry: &Entry) -> Result<Vec<u8>, LedgerError> {
    // Most records are shorter.
    let mut bytes = Vec::with_capacity(512);
    encode_into(entry.at, &entry.record, &mut bytes)?;
    Ok(bytes)
}

/// Appends the bytes of one record, of a time in milliseconds since 1970-01-01 UTC; nothing if that fails.
pub fn encode_into(at: u64, record: &Record, bytes: &mut Vec<u8>) -> Result<(), LedgerError> {
    let begin = bytes.len();
    bytes.resize(begin + HEAD, b' ');
    if let Err(source) = record.write_json(at, bytes) {
        bytes.truncate(begin);
        return Err(LedgerError::Encode { source });
    }
    let (head, json) = bytes[begin..].split_at_mut(HEAD);
    head.copy_from_slice(&head_of(json));
    bytes.push(b'\n');
    Ok(())
}

/// Reads a whole file. Damaged places are skipped to the next line and named: the records around them count.
pub fn decode(bytes: &[u8]) -> (Vec<Entry>, Vec<Damage>) {
    let mut entries = Vec::new();
    // Reading from memory does not fail.
    let damages = decode_each(bytes, |entry| entries.push(entry)).unwrap_or_default();
    (entries, damages)
}

/// The same, one record at a time: no more of the file than one is in memory.
pub(crate) fn decode_each(
    mut from: impl BufRead,
    mut take: impl FnMut(Entry),
) -> std::io::Result<Vec<Damage>> {
    let (mut line, mut damages) = (Vec::new(), Vec::new());
    let mut offset = 0;
    loop {
        line.clear();
        let length = from.read_until(b'\n', &mut line)?;
        if length == 0 {
            return Ok(damages);
        }
        match line.strip_suffix(b"\n") {
            None => damages.push(Damage::Torn { offset }),
            Some(line) => match decode_line(line) {
                Some(entry) => take(entry),
                None => damages.push(Damage::Corrupt { offset }),
            },
        }
        offset += length;
    }
}

/// The record of a line, without its break; `None` where it is damaged.
pub(crate) fn decode_line(line: &[u8]) -> Option<Entry> {
    let (head, json) = line.split_at_checked(HEAD)?;
    if head != head_of(json) {
        return None;
    }
    serde_json::from_slice(json).ok()
}

/// Length and checksum, as they stand before the JSON.
fn head_of(json: &[u8]) -> [u8; HEAD] {
    let mut head = [b' '; HEAD];
    // A record of four gigabytes would be read as damaged: there is none.
    let length = u32::try_from(json.len()).unwrap_or(u32::MAX);
    write_hex(&mut head[..8], length);
    write_hex(&mut head[9..17], crc32fast::hash(json));
    head
}

/// The eight hexadecimal digits of a number.
fn write_hex(place: &mut [u8], mut number: u32) {
    for digit in place.iter_mut().rev() {
        *digit = b"0123456789abcdef"[(number & 0xf) as usize];
        number >>= 4;
    }
}

#[cfg(test)]
mod tests {
    use playtrace_model::{ContextLabel, MeasuredPath};
    use proptest::prelude::*;

    use super::*;
    use crate::{NewLines, Record};

    fn entry(unit: &str, lines: &[u32]) -> Entry {
        let mut new = NewLines::default();
        new.0.add(
            &ContextLabel::new("profile:a"),
            &MeasuredPath::new("x/\n\u{1f}é.py"),
            &lines.iter().copied().collect(),
        );
        Entry {
            at: 7,
            record: Record::Closed { unit: unit.to_owned(), shard: None, new, entered: NewLines::default() },
        }
    }

    /// Byte for byte: other versions read them.
    #[test]
    fn records_are_written_as_the_golden_ones_were() {
        let golden = include_bytes!("../tests/golden/v1.ledger");
        let (entries, damage) = decode(golden);
        let written: Vec<u8> = entries.iter().flat_map(|entry| encode(entry).unwrap()).collect();
        assert!(damage.is_empty() && entries.len() > 10);
        assert_eq!(String::from_utf8_lossy(&written), String::from_utf8_lossy(golden));
    }

    proptest! {
        #[test]
        fn what_was_written_is_read(units in proptest::collection::vec(".*", 0..8), lines in proptest::collection::vec(1u32..999, 1..9)) {
            let entries: Vec<_> = units.iter().map(|unit| entry(unit, &lines)).collect();
            let bytes: Vec<u8> = entries.iter().flat_map(|entry| encode(entry).unwrap()).collect();
            prop_assert_eq!(decode(&bytes), (entries, vec![]));
        }

        #[test]
        fn a_cut_file_loses_only_its_last_record(cut in 1usize..60) {
            let entries = [entry("one", &[1]), entry("two", &[2])];
            let mut bytes: Vec<u8> = entries.iter().flat_map(|entry| encode(entry).unwrap()).collect();
            let first = encode(&entries[0]).unwrap().len();
            bytes.truncate(bytes.len() - cut);
            let (read, damage) = decode(&bytes);
            prop_assert_eq!(read, entries[..1].to_vec());
            prop_assert_eq!(damage, vec![Damage::Torn { offset: first }]);
        }

        #[test]
        fn a_flipped_bit_is_found(at in 0usize..90, bit in 0u8..8) {
            let entries = [entry("one", &[1]), entry("two", &[2])];
            let mut bytes: Vec<u8> = entries.iter().flat_map(|entry| encode(entry).unwrap()).collect();
            bytes[at] ^= 1 << bit;
            let (read, damage) = decode(&bytes);
            prop_assert!(!damage.is_empty());
            prop_assert!(read.iter().all(|entry| entries.contains(entry)));
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            decode(&bytes);
        }
    }

    #[test]
    fn a_record_of_a_later_version_is_kept_as_unknown() {
        let json = br#"{"at":1,"t":"from-the-future","x":[1]}"#;
        let line =
            format!("{:08x} {:08x} {}\n", json.len(), crc32fast::hash(json), String::from_utf8_lossy(json));
        let (entries, damage) = decode(line.as_bytes());
        assert_eq!(entries, [Entry { at: 1, record: Record::Unknown }]);
        assert_eq!(damage, []);
    }
}
