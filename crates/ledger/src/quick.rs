//! The records of a request, written without a step for each part: there are two for each, and one for each file that it brings. A
//! serializer takes longer for them than the rest of what is done. The bytes are the serializer's.

use crate::{NewLines, Record, UnitKind};

/// Appends the fields of a record, each after a comma, and the closing brace; says whether it is one of those.
pub(crate) fn write(record: &Record, bytes: &mut Vec<u8>) -> serde_json::Result<bool> {
    match record {
        Record::Open { unit, kind: UnitKind::Request, step, job: None, child: None, what, scope } => {
            bytes.extend_from_slice(b",\"t\":\"open\",\"unit\":");
            text(unit, bytes)?;
            bytes.extend_from_slice(b",\"kind\":\"request\"");
            if let Some(step) = step {
                bytes.extend_from_slice(b",\"step\":");
                bytes.extend_from_slice(itoa::Buffer::new().format(*step).as_bytes());
            }
            if !what.is_empty() {
                bytes.extend_from_slice(b",\"what\":");
                text(what, bytes)?;
            }
            if let Some(scope) = scope {
                bytes.extend_from_slice(b",\"scope\":");
                text(scope, bytes)?;
            }
        }
        Record::Closed { unit, shard, new, entered } => {
            bytes.extend_from_slice(b",\"t\":\"closed\",\"unit\":");
            text(unit, bytes)?;
            if let Some(shard) = shard {
                bytes.extend_from_slice(b",\"shard\":");
                text(shard, bytes)?;
            }
            for (name, lines) in [(b",\"new\":".as_slice(), new), (b",\"entered\":", entered)] {
                if !lines.is_empty() {
                    bytes.extend_from_slice(name);
                    write_lines(lines, bytes)?;
                }
            }
        }
        Record::Source { path, hash } => {
            bytes.extend_from_slice(b",\"t\":\"source\",\"path\":");
            text(path.as_str(), bytes)?;
            bytes.extend_from_slice(b",\"hash\":");
            text(hash.as_str(), bytes)?;
        }
        _ => return Ok(false),
    }
    bytes.push(b'}');
    Ok(true)
}

/// Lines by context and file, both in order.
fn write_lines(lines: &NewLines, bytes: &mut Vec<u8>) -> serde_json::Result<()> {
    let mut last = None;
    for (context, path, lines) in lines.0.iter() {
        if last == Some(context) {
            bytes.push(b',');
        } else {
            bytes.extend_from_slice(if last.is_some() { b"}," } else { b"{" });
            text(context.as_str(), bytes)?;
            bytes.extend_from_slice(b":{");
        }
        last = Some(context);
        text(path.as_str(), bytes)?;
        bytes.extend_from_slice(b":\"");
        lines.hex_into(bytes);
        bytes.push(b'"');
    }
    bytes.extend_from_slice(b"}}");
    Ok(())
}

fn text(text: &str, bytes: &mut Vec<u8>) -> serde_json::Result<()> {
    // All of it, without a way out in the middle: the compiler looks at sixteen bytes at once.
    let odd = |byte: u8| u8::from(!matches!(byte, b' '..=b'~')) | u8::from(matches!(byte, b'"' | b'\\'));
    if text.bytes().fold(0, |any, byte| any | odd(byte)) == 0 {
        bytes.push(b'"');
        bytes.extend_from_slice(text.as_bytes());
        bytes.push(b'"');
        return Ok(());
    }
    serde_json::to_writer(bytes, text)
}

#[cfg(test)]
mod tests {
    use proptest::option;
    use proptest::prelude::*;

    use super::*;
    use playtrace_model::{ContextLabel, LineData, MeasuredPath, SourceHash};

    fn lines() -> impl Strategy<Value = NewLines> {
        let texts = || prop_oneof!["[a-c]", "\\PC{0,3}", any::<String>()];
        proptest::collection::vec((texts(), texts(), proptest::collection::vec(0u32..90, 0..4)), 0..6)
            .prop_map(|rows| {
                let mut data = LineData::new();
                for (context, path, lines) in rows {
                    data.add(
                        &ContextLabel::new(context),
                        &MeasuredPath::new(path),
                        &lines.into_iter().collect(),
                    );
                }
                NewLines(data)
            })
    }

    proptest! {
        #[test]
        fn the_bytes_are_the_serializers(
            unit in ".*", step in option::of(any::<u32>()), what in ".*", scope in option::of(".*"), shard in option::of(".*"),
            new in lines(), entered in lines(), path in any::<String>(), hash in any::<String>(),
        ) {
            let open = Record::Open { unit: unit.clone(), kind: UnitKind::Request, step, job: None, child: None, what, scope };
            let source = Record::Source { path: MeasuredPath::new(path), hash: SourceHash::from_hex(hash) };
            for record in [open, Record::Closed { unit, shard, new, entered }, source] {
                let mut bytes = b"{".to_vec();
                prop_assert!(write(&record, &mut bytes).unwrap());
                bytes.remove(1);
                prop_assert_eq!(String::from_utf8(bytes).unwrap(), serde_json::to_string(&record).unwrap());
            }
        }
    }
}
