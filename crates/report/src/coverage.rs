//! coverage.py's reports: the same numbers in its own formats, and a compact JSON of ours.
//!
//! Where a format is a contract with other programs (JSON, XML, LCOV, the text table), the output is coverage.py's byte for byte, but for
//! what says who wrote it and when. The pages ([`html`]) are ours.

pub mod compact;
pub mod html;
pub mod json;
pub mod lcov;
pub mod text;
pub mod xml;

mod python;
mod stream;
mod summary;

pub(crate) use python::float as python_float;
pub use summary::Shown;

/// Who wrote a report, and when: the clock is the caller's.
#[derive(Debug, Clone)]
pub struct Origin {
    /// The program and its version, as `playtrace 1.0`.
    pub generator: String,
    /// The moment, as the format writes it: ISO 8601, or milliseconds since 1970 in XML.
    pub timestamp: String,
}
