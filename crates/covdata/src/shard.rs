//! Shards: the data file that one process writes for one run of one profile.

mod list;
mod name;
mod traffic;
mod writer;

pub use list::{ForeignFile, ShardInfo, foreign_files, list, list_of};
pub use name::ShardName;
pub(crate) use traffic::sources_of;
pub use traffic::{
    ANYONE, Owner, Sources, TrafficNews, TrafficShard, add_traffic, anyones_label, is_in_a_day,
    label_of_route, list_traffic, route_of_label,
};
pub use writer::{ShardDraft, ShardWriter};
