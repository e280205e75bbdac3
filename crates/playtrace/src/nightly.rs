//! Every night: workflows from a list of profiles, the artifacts of a night's jobs as one bundle, and what may be deleted.
//!
//! [`list`] is what is to run, [`render`] makes a CI system's files of it, [`job`] is what a job leaves behind, [`gather`] finds
//! that, [`carry`] decides what of it counts, [`bundle`] is a night on disk, [`traffic`] joins real traffic's days, [`summary`] tells it, [`prune`]
//! says what goes.

pub mod bundle;
pub mod carry;
pub mod gather;
pub mod job;
pub mod list;
pub mod prune;
pub mod render;
pub mod schedule;
pub mod summary;
pub mod traffic;
