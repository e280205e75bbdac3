//! Recorded sessions: events.jsonl, seeds, correlation
