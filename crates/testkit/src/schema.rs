//! Checks a document against one of `docs/schema/`: the part of JSON Schema that those use, and nothing else.

use std::path::Path;

use serde_json::{Map, Value};

/// Panics with the place of the first difference.
pub fn check(document: &Value, name: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../../docs/schema/{name}.schema.json"));
    let root: Value = serde_json::from_str(&fs_err::read_to_string(path).expect("a schema of ours"))
        .expect("a schema of ours");
    visit(document, &root, &root, name);
}

fn visit(value: &Value, schema: &Value, root: &Value, at: &str) {
    let Value::Object(schema) = schema else { panic!("{at}: not a schema: {schema}") };
    for (keyword, rule) in schema {
        match keyword.as_str() {
            // Words for people, and what `properties` below looks at.
            "$schema"
            | "title"
            | "description"
            | "$defs"
            | "format"
            | "uniqueItems"
            | "pattern"
            | "properties"
            | "additionalProperties" => {}
            "$ref" => {
                let pointer = rule.as_str().expect("a schema of ours").trim_start_matches('#');
                visit(value, root.pointer(pointer).expect("a schema of ours"), root, at);
            }
            "allOf" => rule
                .as_array()
                .expect("a schema of ours")
                .iter()
                .for_each(|part| visit(value, part, root, at)),
            "type" => assert!(is_of_type(value, rule), "{at}: {value} is not of type {rule}"),
            "const" => assert_eq!(value, rule, "{at}"),
            "enum" => assert!(
                rule.as_array().expect("a schema of ours").contains(value),
                "{at}: {value} is none of {rule}"
            ),
            "minimum" => {
                assert!(value.is_null() || value.as_f64() >= rule.as_f64(), "{at}: {value} is below {rule}");
            }
            "maximum" => {
                assert!(value.is_null() || value.as_f64() <= rule.as_f64(), "{at}: {value} is above {rule}");
            }
            "minItems" => assert!(
                value.as_array().expect("a schema of ours").len() as u64
                    >= rule.as_u64().expect("a schema of ours"),
                "{at}"
            ),
            "maxItems" => assert!(
                value.as_array().expect("a schema of ours").len() as u64
                    <= rule.as_u64().expect("a schema of ours"),
                "{at}"
            ),
            "required" => {
                for key in rule.as_array().expect("a schema of ours") {
                    assert!(
                        value.get(key.as_str().expect("a schema of ours")).is_some(),
                        "{at}: {key} is not there"
                    );
                }
            }
            "items" => {
                for (index, item) in value.as_array().expect("a schema of ours").iter().enumerate() {
                    visit(item, rule, root, &format!("{at}[{index}]"));
                }
            }
            unknown => panic!("{at}: this check does not know {unknown:?}"),
        }
    }
    if let Value::Object(fields) = value {
        properties(fields, schema, root, at);
    }
}

fn properties(fields: &Map<String, Value>, schema: &Map<String, Value>, root: &Value, at: &str) {
    let known = schema.get("properties").and_then(Value::as_object);
    for (key, field) in fields {
        let at = format!("{at}.{key}");
        let rule = known.and_then(|known| known.get(key)).or_else(|| schema.get("additionalProperties"));
        match rule {
            Some(Value::Bool(false)) => panic!("{at}: the schema does not know this field"),
            Some(rule @ Value::Object(_)) => visit(field, rule, root, &at),
            _ => {}
        }
    }
}

fn is_of_type(value: &Value, rule: &Value) -> bool {
    match rule {
        Value::Array(types) => types.iter().any(|rule| is_of_type(value, rule)),
        _ => match rule.as_str().expect("a schema of ours") {
            "object" => value.is_object(),
            "array" => value.is_array(),
            "string" => value.is_string(),
            "boolean" => value.is_boolean(),
            "integer" => value.is_u64() || value.is_i64(),
            "number" => value.is_number(),
            "null" => value.is_null(),
            other => panic!("this check does not know the type {other:?}"),
        },
    }
}
