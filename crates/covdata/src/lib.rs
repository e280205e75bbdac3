//! coverage.py's world: data files and configuration files.
//!
//! - [`shard`] writes the pieces that each process leaves behind, as coverage.py would have written them;
//! - [`data`] reads and writes whole data files, whatever state their writer left them in;
//! - [`merge`] makes one data file of many;
//! - [`config`] reads coverage.py's configuration, and [`files`] says by it which files are measured.

pub mod config;
pub mod data;
mod error;
pub mod files;
#[doc(hidden)]
pub mod fuzzing;
mod glob;
mod location;
pub mod merge;
mod schema;
pub mod shard;

pub use config::CoverageConfig;
pub use data::CoverageData;
pub use error::CovdataError;
pub use files::{Disposition, FileFilter, FilePatterns, Installation};
pub use glob::GlobMatcher;
