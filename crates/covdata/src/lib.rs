//! coverage.py's world: data files and configuration files.
//!
//! - [`shard`] writes the pieces that each process leaves behind, as coverage.py would have written them;
//! - [`data`] reads and writes whole data files, whatever state their writer left them in;
//! - [`merge`] makes one data file of many.

pub mod data;
mod error;
mod glob;
pub mod merge;
mod schema;
pub mod shard;

pub use data::CoverageData;
pub use error::CovdataError;
pub use glob::GlobMatcher;
