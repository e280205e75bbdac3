//! Executed lines against source: what a profile executed, and how profiles compare.
//!
//! Everything here is a function of model types: no file system, no SQLite, no parser, no clock. A
//! [`ProfileReport`] is one profile's result, an [`Inventory`] is what could run, a [`Matrix`] compares the
//! reports of several profiles with an inventory, and with what each request and job entered ([`RunSteps`]).
//!
//! "Not covered" (missing), "not traced" (import code, excluded code, files that are not of interest) and "data
//! lost" (a status below `complete`) are three things, and no function here turns one into another.
//!
//! ```
//! use playtrace_analysis::percent;
//!
//! assert_eq!(percent(4521, 8903), Some(50.8));
//! assert_eq!(percent(0, 0), None);
//! ```

mod coverage;
mod error;
mod fates;
mod inventory;
mod inventory_diff;
mod matrix;
mod profile;
mod reached;
mod report;
mod route;
mod steps;
mod traffic;
mod traffic_record;

pub use coverage::{
    CoverageReport, Edition, FileCoverage, FileInput, LineContexts, LineState, Narrowed, Numbers, Threshold,
    display_percent, human_cmp, reaches,
};
pub use error::AnalysisError;
pub use fates::{Fates, fold};
pub use inventory::{
    Inventory, InventoryFile, InventoryLambda, InventoryPart, InventorySource, InventorySymbol,
    InventoryTotals, UnparsedFile,
};
pub use inventory_diff::{InventoryDiff, Move, SpanChange};
pub use matrix::{
    Gap, GapFile, Gaps, Matrix, MatrixProfile, MatrixSymbol, MatrixTotals, SymbolEntry, build_matrix,
};
pub use profile::{MeasuredSource, ProfileInput, analyze_profile};
pub use reached::{MatrixRoute, MatrixStep};
pub use report::{FileReport, Measured, ProfileReport, Summary, SymbolRef, SymbolReport};
pub use route::route_of;
pub use steps::{RunSteps, StepEntries, StepInfo, StepKind};
pub use traffic::{BY_ROUTE, Traffic, TrafficDay, TrafficRoute};
pub use traffic_record::TrafficRecord;

/// `part` of `whole` as a percentage with one decimal; `None` where there is nothing to be a part of.
pub fn percent(part: usize, whole: usize) -> Option<f64> {
    (whole > 0).then(|| (part as f64 * 1000.0 / whole as f64).round() / 10.0)
}
