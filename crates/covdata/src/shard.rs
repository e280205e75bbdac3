//! Shards: the data file that one process writes for one run of one profile.

mod name;
mod writer;

pub use name::ShardName;
pub use writer::ShardWriter;
