//! Shards: the data file that one process writes for one run of one profile.

mod list;
mod name;
mod traffic;
mod writer;

pub use list::{ForeignFile, ShardInfo, foreign_files, list, list_of};
pub use name::ShardName;
pub(crate) use traffic::sources_of;
pub use traffic::{ANYONE, Owner, Sources, TrafficShard, add_traffic, anyones_label, list_traffic};
pub use writer::{ShardDraft, ShardWriter};
