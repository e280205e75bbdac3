//! Every night: workflows from a list of profiles, and what their jobs leave behind.
//!
//! [`list`] is what is to run, [`render`] makes a CI system's files of it, [`job`] is what a job leaves behind.

pub mod job;
pub mod list;
pub mod render;
pub mod schedule;
