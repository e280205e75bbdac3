//! Shards: the data file that one process writes for one run of one profile.

mod list;
mod name;
mod writer;

pub use list::{ForeignFile, ShardInfo, foreign_files, list, list_of};
pub use name::ShardName;
pub use writer::{ShardDraft, ShardWriter};
