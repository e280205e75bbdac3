//! A writer killed at any moment leaves a shard that can be read, with everything that it had acknowledged.

#![allow(clippy::unwrap_used, reason = "in tests, helpers included")]

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Command, Stdio};

use playtrace_covdata::CoverageData;
use playtrace_covdata::merge::{MergeOptions, merge};
use playtrace_covdata::shard::{ShardDraft, ShardWriter, list_of};
use playtrace_model::{LineData, MeasuredPath, RunToken, Slug};
use tempfile::TempDir;

/// Set in the child: the directory to write shards to.
const CHILD: &str = "PLAYTRACE_TEST_KILLED_WRITER";
const KILLS: u32 = 40;
/// A busy machine may let each writer run to the end of its commit before the signal arrives: then it goes on for longer.
const MOST_KILLS: u32 = 1_000;
const FILES: u32 = 40;

fn slug() -> Slug {
    Slug::parse("victim").unwrap()
}

/// Not a test by itself: the process that the test below starts and kills.
#[test]
fn writer() {
    let Some(dir) = std::env::var_os(CHILD) else { return };
    let run = RunToken::parse("r1").unwrap();
    let mut shard = ShardWriter::create(
        &mut ShardDraft::new().unwrap(),
        dir.as_ref(),
        (&slug(), &run),
        ("h", std::process::id()),
        &LineData::new(),
    )
    .unwrap();
    for line in 1.. {
        let mut data = LineData::new();
        for file in 0..FILES {
            let path = MeasuredPath::new(format!("app/module_{file}.py"));
            data.add(&slug().context_label("profile"), &path, &[line].into_iter().collect());
        }
        shard.add(&data).unwrap();
        // In one write(2): a kill must not leave half of it.
        std::io::stderr().write_all(format!("flushed {line}\n").as_bytes()).unwrap();
    }
}

#[test]
fn no_acknowledged_line_is_lost() {
    let mut hot = 0;
    for kill in 0..MOST_KILLS {
        if kill >= KILLS && hot > 0 {
            break;
        }
        let dir = TempDir::new().unwrap();
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["writer", "--exact", "--nocapture"])
            .env(CHILD, dir.path())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        // Killed after one flush more each time, and whenever the signal happens to arrive.
        let wanted = 1 + kill % 20;
        let mut acknowledged = 0;
        while acknowledged < wanted {
            let line = lines.next().expect("the writer goes on until it is killed").unwrap();
            if let Some(number) = line.strip_prefix("flushed ") {
                acknowledged = number.parse().unwrap();
            }
        }
        child.kill().unwrap();
        child.wait().unwrap();
        for line in lines.map_while(Result::ok) {
            if let Some(number) = line.strip_prefix("flushed ") {
                acknowledged = number.parse().unwrap();
            }
        }

        let shards: Vec<_> =
            list_of(dir.path(), &slug()).unwrap().into_iter().map(|shard| shard.path).collect();
        assert_eq!(shards.len(), 1);
        hot += u32::from(std::path::PathBuf::from(format!("{}-journal", shards[0].display())).exists());
        let data = CoverageData::read(&shards[0]).unwrap();
        let by_file = data.lines().lines_by_file(|_| true);
        assert_eq!(by_file.len(), usize::try_from(FILES).unwrap());
        for (file, bits) in &by_file {
            for line in 1..=acknowledged {
                assert!(bits.contains(line), "line {line} of {file} was acknowledged and is lost");
            }
            // Whole transactions only.
            assert_eq!(bits.len(), by_file.values().next().unwrap().len());
        }
        assert!(merge(&shards, &MergeOptions::default()).unwrap().problems.is_empty());
    }
    assert!(hot > 0, "no kill came in the middle of a commit: the test says nothing about journals");
}
