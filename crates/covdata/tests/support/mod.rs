//! What the oracle tests share.

use std::collections::BTreeMap;

use playtrace_covdata::CoverageData;
use playtrace_covdata::data::Measured;
use proptest::prelude::*;
use serde_json::{Value, json};

/// Context, file, pairs of numbers.
pub(crate) type Row = (u8, u8, Vec<(u16, u16)>);

/// A data file to be written by coverage.py.
#[derive(Debug, Clone)]
pub(crate) struct Shard {
    pub(crate) arcs: bool,
    pub(crate) rows: Vec<Row>,
    pub(crate) touched: Vec<u8>,
}

impl Shard {
    pub(crate) fn json(&self, name: &str) -> Value {
        let rows: Vec<Value> = self
            .rows
            .iter()
            .map(|(context, file, pairs)| {
                let numbers: Vec<Value> = pairs
                    .iter()
                    .map(|(from, to)| {
                        // Every seventh end is an entry or exit.
                        let end = |line: u16| {
                            if line.is_multiple_of(7) { -i32::from(line) - 1 } else { i32::from(line) }
                        };
                        if self.arcs { json!([end(*from), end(*to)]) } else { json!(from) }
                    })
                    .collect();
                json!([label(*context), file_name(*file), numbers])
            })
            .collect();
        let touched: Vec<String> = self.touched.iter().map(|file| file_name(*file)).collect();
        // The plug-in follows from the file's name, so that no two shards contradict each other.
        let all = self
            .rows
            .iter()
            // A row without arcs leaves no trace, one without lines leaves its file.
            .filter(|row| !self.arcs || !row.2.is_empty())
            .map(|row| row.1)
            .chain(self.touched.iter().copied());
        let tracers: BTreeMap<String, &str> =
            all.filter(|file| file % 4 == 3).map(|file| (file_name(file), "jinja.plugin")).collect();
        json!({"name": name, "arcs": self.arcs, "rows": rows, "touched": touched, "tracers": tracers})
    }
}

pub(crate) fn label(number: u8) -> String {
    ["", "profile:a", "profile:b:ü\n", "import"][usize::from(number % 4)].to_owned()
}

pub(crate) fn file_name(number: u8) -> String {
    ["app/core.py", "/srv/app/models.py", "app/größe '1'.py", "templates/x.html"][usize::from(number % 4)]
        .to_owned()
}

pub(crate) fn shard(arcs: bool) -> impl Strategy<Value = Shard> {
    let pairs = proptest::collection::vec((1u16..400, 1u16..400), 0..12);
    let rows = proptest::collection::vec((0u8..4, 0u8..4, pairs), 0..8);
    (rows, proptest::collection::vec(0u8..4, 0..3)).prop_map(move |(rows, touched)| Shard {
        arcs,
        rows,
        touched,
    })
}

/// Our reading in the form in which the oracle gives its own.
pub(crate) fn described(data: &CoverageData) -> Value {
    let mut rows = Vec::new();
    let mut arcs = false;
    match &data.measured {
        Measured::Nothing => {}
        Measured::Lines(lines) => {
            for (context, path, bits) in lines.iter().filter(|(.., bits)| !bits.is_empty()) {
                rows.push(json!([context, path, bits.iter().collect::<Vec<_>>()]));
            }
        }
        Measured::Arcs(all) => {
            arcs = true;
            for (context, path, found) in all.iter() {
                rows.push(json!([context, path, found]));
            }
        }
    }
    json!({
        "arcs": arcs,
        "files": data.files,
        "contexts": data.contexts,
        "rows": rows,
        "tracers": data.tracers,
    })
}
