//! Lines that a process has executed and not put into its shard yet: what its shared memory map holds.
//!
//! The agent writes the map while it traces (a store per new line, no system call); the kernel keeps what was stored
//! when the process is killed. Whoever merges reads the file. The format's contract is in
//! `docs/adr/0007-memory-map.md`; the numbers are little-endian:
//!
//! | bytes | what |
//! |---|---|
//! | 0..8 | [`MAGIC`] |
//! | 8..16 | how many bytes of records follow the header; stored last, so that what it counts is whole |
//! | 16.. | records, each a multiple of eight bytes long |
//!
//! A record begins with a word. Its two lowest bits say what it is: `LINE` (label << 2, file << 24, line << 44),
//! `FILE` and `LABEL` (number << 2, length of the text << 32; the text follows, padded with zeros). Zero is for kinds that
//! came later: bits 2 to 9 say which, bits 10 to 31 hold a number, bits 32 to 63 the length of a text that follows. So far
//! there are `SCOPE` (lines under that number are first lines of functions that the scope entered) and `OPENED` (the text is
//! a line of the ledger that the process will put there with its next one: a unit of work began). A number is
//! defined before it is used, and means the same thing as long as the file lives.

use std::collections::BTreeMap;
use std::path::Path;

use playtrace_model::{ContextLabel, LineBits, LineData, MeasuredPath};

use crate::frame::decode_line;
use crate::{Entry, LedgerError};

/// How the file begins.
pub const MAGIC: [u8; 8] = *b"PTLINES1";
/// Where the records begin.
pub const HEADER: usize = 16;

const LINE: u64 = 1;
const FILE: u64 = 2;
const LABEL: u64 = 3;
const LATER: u64 = 0;
/// Among the later kinds. A word of zeros is none of them: it is damage.
const SCOPE: u32 = 1;
const OPENED: u32 = 2;

/// Contexts and scopes have lower numbers.
pub const LABELS: u32 = 1 << LABEL_BITS;
/// Lines have lower numbers.
pub const LINES: u32 = 1 << LINE_BITS;
const LABEL_BITS: u32 = 22;
const FILE_BITS: u32 = 20;
const LINE_BITS: u32 = 20;

/// The record of one line; `None` where a number is too large for it.
pub fn line_record(label: u32, file: u32, line: u32) -> Option<u64> {
    let fits = |number: u32, bits: u32| number >> bits == 0;
    (fits(label, LABEL_BITS) && fits(file, FILE_BITS) && fits(line, LINE_BITS))
        .then(|| LINE | u64::from(label) << 2 | u64::from(file) << 24 | u64::from(line) << 44)
}

/// The record of another line of the same context and file as one of line 0; `None` where its number is too large.
#[inline]
pub fn with_line(record: u64, line: u32) -> Option<u64> {
    (line < LINES).then(|| with_low_line(record, line))
}

/// The same for a line that is known to be below [`LINES`].
#[inline]
pub fn with_low_line(record: u64, line: u32) -> u64 {
    record | u64::from(line) << 44
}

/// The record that says which file a number means.
pub fn file_record(file: u32, path: &MeasuredPath) -> Vec<u8> {
    definition(FILE, file, path.as_str())
}

/// The record that says which context a number means.
pub fn label_record(number: u32, label: &ContextLabel) -> Vec<u8> {
    definition(LABEL, number, label.as_str())
}

/// The record that says which request or job (by its scope's name) a number means. What stands under the number is no
/// executed line: it is the first line of a function that was entered.
pub fn scope_record(number: u32, name: &str) -> Vec<u8> {
    with_text(LATER | u64::from(SCOPE) << 2 | u64::from(number & (LABELS - 1)) << 10, name)
}

/// The record that says that a unit began; `line` is the ledger's, as [`encode`](crate::encode) makes it.
pub fn opened_record(line: &[u8]) -> Vec<u8> {
    with_bytes(LATER | u64::from(OPENED) << 2, line.strip_suffix(b"\n").unwrap_or(line))
}

fn definition(tag: u64, number: u32, text: &str) -> Vec<u8> {
    with_text(tag | u64::from(number & ((1 << 30) - 1)) << 2, text)
}

fn with_text(word: u64, text: &str) -> Vec<u8> {
    with_bytes(word, text.as_bytes())
}

fn with_bytes(word: u64, text: &[u8]) -> Vec<u8> {
    // Neither paths nor labels are four thousand million bytes long.
    let length = u32::try_from(text.len()).unwrap_or(u32::MAX);
    let mut record = Vec::with_capacity((size_of::<u64>() + text.len()).next_multiple_of(8));
    record.extend_from_slice(&(word | u64::from(length) << 32).to_le_bytes());
    record.extend_from_slice(text);
    record.resize(record.len().next_multiple_of(8), 0);
    record
}

/// What a map's file holds.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Contents {
    /// The lines.
    pub lines: LineData,
    /// First lines of functions that were entered, by the names of scopes, as in [`Record::Closed`](crate::Record::Closed).
    pub entered: LineData,
    /// Units that began; the ledger may have them in the meantime.
    pub opened: Vec<Entry>,
    /// Whether everything that its header counts is there and could be understood.
    pub whole: bool,
}

/// Reads a map's file. What can't be understood ends the reading: everything before it counts.
pub fn read(path: &Path) -> Result<Contents, LedgerError> {
    let bytes = fs_err::read(path).map_err(|source| LedgerError::Read { path: path.to_owned(), source })?;
    Ok(parse(&bytes))
}

/// The contents of a map's bytes.
pub fn parse(bytes: &[u8]) -> Contents {
    if bytes.iter().take(HEADER).all(|&byte| byte == 0) {
        // Its process was killed when it had made the file, and before it wrote anything.
        return Contents { whole: true, ..Contents::default() };
    }
    let mut lines: BTreeMap<(u32, u32), LineBits> = BTreeMap::new();
    let (mut files, mut labels, mut scopes) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
    let (mut rest, mut whole) = records(bytes).unwrap_or_default();
    let mut opened = Vec::new();
    while let Some((word, after)) = split_word(rest) {
        rest = after;
        if word & 3 == LINE {
            let (label, file) = (field(word, 2, LABEL_BITS), field(word, 24, FILE_BITS));
            lines.entry((label, file)).or_default().insert(field(word, 44, LINE_BITS));
            continue;
        }
        let Some((text, after)) = text_of(word, rest).filter(|_| word != 0) else {
            whole = false;
            break;
        };
        rest = after;
        match word & 3 {
            FILE => drop(files.insert(field(word, 2, 30), text)),
            LABEL => drop(labels.insert(field(word, 2, 30), text)),
            _ if field(word, 2, 8) == SCOPE => drop(scopes.insert(field(word, 10, LABEL_BITS), text)),
            _ if field(word, 2, 8) == OPENED => match decode_line(text.as_bytes()) {
                Some(entry) => opened.push(entry),
                None => whole = false,
            },
            // A later version's. What stands under its number is left out, like that of every unknown number.
            _ => whole = false,
        }
    }
    let mut contents = Contents { opened, whole, ..Contents::default() };
    for ((number, file), lines) in &lines {
        let (data, name) = match (labels.get(number), scopes.get(number)) {
            (Some(label), None) => (&mut contents.lines, label),
            (None, Some(scope)) => (&mut contents.entered, scope),
            // A number without a definition, or with two: the file was read while its process began to use it anew.
            _ => {
                contents.whole = false;
                continue;
            }
        };
        match files.get(file) {
            Some(file) => data.add(&ContextLabel::new(*name), &MeasuredPath::new(*file), lines),
            None => contents.whole = false,
        }
    }
    contents
}

/// The text that follows a word, and what comes after it.
fn text_of(word: u64, rest: &[u8]) -> Option<(&str, &[u8])> {
    let length = field(word, 32, 32) as usize;
    let text = rest.get(..length).and_then(|text| std::str::from_utf8(text).ok())?;
    Some((text, rest.get(length.next_multiple_of(8)..)?))
}

/// The records, and whether all that the header counts are there.
fn records(bytes: &[u8]) -> Option<(&[u8], bool)> {
    let (magic, rest) = bytes.split_at_checked(MAGIC.len())?;
    let (used, rest) = split_word(rest)?;
    let used = usize::try_from(used).unwrap_or(usize::MAX);
    (magic == MAGIC).then(|| (&rest[..used.min(rest.len())], used <= rest.len() && used.is_multiple_of(8)))
}

fn split_word(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let (word, rest) = bytes.split_first_chunk()?;
    Some((u64::from_le_bytes(*word), rest))
}

fn field(word: u64, shift: u32, bits: u32) -> u32 {
    // At most 32 bits are left.
    #[allow(clippy::cast_possible_truncation)]
    let field = (word >> shift & ((1 << bits) - 1)) as u32;
    field
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{Record, UnitKind, encode};

    fn file(records: &[u8], used: u64) -> Vec<u8> {
        [&MAGIC[..], &used.to_le_bytes(), records].concat()
    }

    fn sample() -> Vec<u8> {
        let mut records = label_record(0, &ContextLabel::new("profile:a"));
        records.extend(label_record(9, &ContextLabel::new("import")));
        records.extend(file_record(3, &MeasuredPath::new("app/ä.py")));
        records.extend(line_record(0, 3, 7).unwrap().to_le_bytes());
        records.extend(line_record(9, 3, (1 << 20) - 1).unwrap().to_le_bytes());
        records
    }

    #[test]
    fn lines_come_back() {
        let records = sample();
        let data = parse(&file(&records, records.len() as u64));
        assert!(data.whole);
        let found: Vec<_> = data
            .lines
            .iter()
            .map(|(label, path, lines)| (label.as_str(), path.as_str(), lines.iter().collect::<Vec<_>>()))
            .collect();
        assert_eq!(found, [("import", "app/ä.py", vec![(1 << 20) - 1]), ("profile:a", "app/ä.py", vec![7])]);
    }

    #[test]
    fn what_a_scope_entered_is_no_line_of_a_context() {
        let mut records = sample();
        records.extend(scope_record(LABELS - 1, "job:f:ä"));
        records.extend(line_record(LABELS - 1, 3, 20).unwrap().to_le_bytes());
        let contents = parse(&file(&records, records.len() as u64));
        assert!(contents.whole);
        assert_eq!(contents.lines, parse(&file(&sample(), sample().len() as u64)).lines);
        let entered: Vec<_> = contents
            .entered
            .iter()
            .map(|(scope, path, lines)| (scope.as_str(), path.as_str(), lines.iter().collect::<Vec<_>>()))
            .collect();
        assert_eq!(entered, [("job:f:ä", "app/ä.py", vec![20])]);
    }

    fn opened(unit: u64) -> Entry {
        let unit = unit.to_string();
        let (kind, step, what) = (UnitKind::Request, Some(3), "GET /ä".to_owned());
        Entry { at: 7, record: Record::Open { unit, kind, step, job: None, child: None, what, scope: None } }
    }

    #[test]
    fn units_that_began_come_back_and_a_damaged_one_is_named() {
        let mut records = opened_record(&encode(&opened(4)).unwrap());
        records.extend(sample());
        records.extend(opened_record(&encode(&opened(5)).unwrap()));
        let bytes = file(&records, records.len() as u64);
        let contents = parse(&bytes);
        assert!(contents.whole);
        assert_eq!(contents.opened, [opened(4), opened(5)]);
        assert_eq!(contents.lines, parse(&file(&sample(), sample().len() as u64)).lines);
        let mut scribbled = bytes;
        scribbled[HEADER + 40] ^= 1;
        let contents = parse(&scribbled);
        assert_eq!((contents.opened, contents.whole), (vec![opened(5)], false));
    }

    #[test]
    fn a_later_kind_is_passed_over_and_named() {
        let mut records = with_text(LATER | 3 << 2 | 5 << 10, "what is this?");
        records.extend(sample());
        records.extend(line_record(5, 3, 20).unwrap().to_le_bytes());
        let contents = parse(&file(&records, records.len() as u64));
        assert!(!contents.whole);
        assert_eq!(contents.lines, parse(&file(&sample(), sample().len() as u64)).lines);
        assert!(contents.entered.is_empty());
    }

    #[test]
    fn what_is_not_counted_is_not_there() {
        let records = sample();
        let all_but_last = parse(&file(&records, records.len() as u64 - 8));
        assert_eq!((all_but_last.lines.iter().count(), all_but_last.whole), (1, true));
        assert_eq!(parse(&file(&records, 0)), Contents { whole: true, ..Contents::default() });
    }

    #[test]
    fn what_is_counted_and_not_there_is_named() {
        let records = sample();
        let whole = file(&records, records.len() as u64);
        for cut in [1, 8, 20] {
            assert!(!parse(&whole[..whole.len() - cut]).whole, "{cut} bytes cut off");
        }
        let mut scribbled = whole.clone();
        scribbled[HEADER] = 0;
        assert!(!parse(&scribbled).whole);
        assert!(!parse(&file(&[0; 8], 8)).whole, "a word of zeros");
        assert!(!parse(b"something else that is long enough").whole);
        assert!(parse(&[]).whole && parse(&[0; 64]).whole, "made, and not begun");
    }

    #[test]
    fn numbers_that_do_not_fit_are_refused() {
        assert!(line_record(1 << 22, 0, 1).is_none());
        assert!(line_record(0, 1 << 20, 1).is_none());
        assert!(line_record(0, 0, 1 << 20).is_none());
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200), used: u64) {
            parse(&bytes);
            parse(&file(&bytes, used));
        }
    }
}
