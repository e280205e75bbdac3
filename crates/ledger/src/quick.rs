//! The two records of a request that has nothing new, written without a step for each part: there are two for each request, and a
//! serializer takes longer for them than the rest of what is done. The bytes are the serializer's.

use crate::{Record, UnitKind};

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
        Record::Closed { unit, shard, new, entered } if new.is_empty() && entered.is_empty() => {
            bytes.extend_from_slice(b",\"t\":\"closed\",\"unit\":");
            text(unit, bytes)?;
            if let Some(shard) = shard {
                bytes.extend_from_slice(b",\"shard\":");
                text(shard, bytes)?;
            }
        }
        _ => return Ok(false),
    }
    bytes.push(b'}');
    Ok(true)
}

fn text(text: &str, bytes: &mut Vec<u8>) -> serde_json::Result<()> {
    if text.bytes().all(|byte| matches!(byte, b' '..=b'~') && byte != b'"' && byte != b'\\') {
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
    use crate::NewLines;

    proptest! {
        #[test]
        fn the_bytes_are_the_serializers(
            unit in ".*", step in option::of(any::<u32>()), what in ".*", scope in option::of(".*"), shard in option::of(".*"),
        ) {
            let (new, entered) = (NewLines::default(), NewLines::default());
            let open = Record::Open { unit: unit.clone(), kind: UnitKind::Request, step, job: None, child: None, what, scope };
            for record in [open, Record::Closed { unit, shard, new, entered }] {
                let mut bytes = b"{".to_vec();
                prop_assert!(write(&record, &mut bytes).unwrap());
                bytes.remove(1);
                prop_assert_eq!(String::from_utf8(bytes).unwrap(), serde_json::to_string(&record).unwrap());
            }
        }
    }
}
