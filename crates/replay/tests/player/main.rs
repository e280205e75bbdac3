//! The player against an app that tells what it got.
#![allow(clippy::unwrap_used, reason = "a test that can't go on has failed")]

mod common;
mod flows;
mod plans;
mod sessions;
