//! The types that every room of playtrace speaks.
//!
//! This crate knows no file system, no `SQLite`, no Python and no HTTP: it holds values that are valid
//! by construction ("parse, don't validate"), so that the rooms can hand them to each other unchecked.
//!
//! ```
//! use playtrace_model::{LineBits, Slug};
//!
//! let slug = Slug::parse("legacy-palouse").unwrap();
//! let lines: LineBits = [3, 4, 9].into_iter().collect();
//! assert_eq!(slug.context_label("profile").as_str(), "profile:legacy-palouse");
//! assert_eq!(lines.iter().collect::<Vec<_>>(), [3, 4, 9]);
//! ```

mod context;
mod hex;
mod line_bits;
mod line_data;
mod path;
mod run;
mod slug;
mod source;
mod verdict;

pub use context::ContextLabel;
pub use hex::hex;
pub use line_bits::LineBits;
pub use line_data::LineData;
pub use path::MeasuredPath;
pub use run::{InvalidRunToken, RunToken};
pub use slug::{InvalidSlug, Slug};
pub use source::{Lambda, Region, SourceFile, SourceHash, Symbol, SymbolDetails, SymbolKind, SymbolTrait};
pub use verdict::{Status, Verdict};
