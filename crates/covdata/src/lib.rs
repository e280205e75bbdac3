//! coverage.py's world: data files and configuration files.
//!
//! [`shard`] writes the pieces that each process leaves behind, as coverage.py would have written them.

mod error;
mod schema;
pub mod shard;

pub use error::CovdataError;
