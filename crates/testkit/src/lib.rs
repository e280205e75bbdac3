//! What tests of several rooms need: Python as an oracle, and builders of files that are damaged on purpose.
//!
//! Used as a dev-dependency only. Everything here panics on trouble: a test that can't run has failed.

#![expect(
    clippy::expect_used,
    clippy::panic,
    clippy::missing_panics_doc,
    reason = "test support: trouble is a failed test, and says so"
)]

pub mod damage;
pub mod datafile;
pub mod python;
pub mod schema;

pub use python::Python;
