//! One module per output format; each turns a result of [`playtrace_analysis`] into text.
//!
//! Nothing here reads a file, asks for the time or decides what is covered: the results come in complete, and the
//! texts go out to whoever writes them. Equal results give equal bytes.
//!
//! ```
//! let document = playtrace_report::json::to_json(&[1, 2, 3])?;
//! assert_eq!(document, "[1, 2, 3]\n");
//! # Ok::<(), playtrace_report::ReportError>(())
//! ```

pub mod coverage;
pub mod html;
pub mod json;
pub mod markdown;
pub mod text;

mod error;

pub use error::ReportError;
