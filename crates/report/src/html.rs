//! A profile's report as static pages: an index with all files, a page with source for each touched file.
//!
//! The pages need no network and no server, and work without JavaScript (only sorting the table needs it).

mod pages;
mod source;

pub use pages::{HtmlReport, Page};
pub(crate) use pages::{href, page_path};
