//! Each code is explained for people, and none is explained that does not exist.

#![allow(clippy::unwrap_used, reason = "in tests, helpers included")]

use std::collections::BTreeSet;
use std::path::Path;

fn codes(file: &str) -> BTreeSet<String> {
    let text = fs_err::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(file)).unwrap();
    let code = regex::Regex::new(r"PT-COVDATA-\d{3}").unwrap();
    code.find_iter(&text).map(|found| found.as_str().to_owned()).collect()
}

#[test]
fn every_code_is_explained() {
    let known = codes("src/error.rs");
    assert!(known.len() > 20);
    assert_eq!(known, codes("../../docs/messages/covdata.md"));
}
