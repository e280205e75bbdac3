//! Python source: which lines *could* run, and the symbols that own them.
//!
//! Statements are counted as coverage.py counts them on CPython 3.12 and 3.13: the lines of the compiled
//! code, folded to the first line of their logical line, without docstrings and excluded lines. coverage.py asks
//! the compiler; this crate never runs Python, it follows the compiler's rules on ruff's syntax tree. The tests
//! compare both, line by line, over whole packages.
//!
//! This crate knows no coverage data and no config files: patterns and the choice of files are handed in.
//!
//! ```
//! use playtrace_model::MeasuredPath;
//! use playtrace_pysource::{CoverageRelease, PythonVersion, Rules, analyze};
//!
//! let source = b"def f(x):\n    global y\n    return x\n    y = 1\n";
//! let rules = Rules::new(PythonVersion::V3_12, CoverageRelease::V7_11);
//! let file = analyze(source, &MeasuredPath::new("a.py"), "a", &rules)?;
//! assert_eq!(file.source.statements.iter().collect::<Vec<_>>(), [1, 3]);
//! assert_eq!(file.source.symbols[1].name, "a.f");
//! # Ok::<(), playtrace_pysource::SourceError>(())
//! ```

mod cache;
mod constant;
mod error;
mod exclude;
mod file;
mod fold;
mod future;
mod lambdas;
mod layout;
mod module_name;
mod python_regex;
mod reach;
mod regions;
mod required;
mod rules;
mod search;
mod stack;
mod symbols;
mod text;
mod tree;

pub use cache::SourceCache;
pub use error::SourceError;
pub use exclude::Exclusions;
pub use file::{AnalyzedFile, analyze};
pub use module_name::module_name;
pub use playtrace_model::Region;
pub use python_regex::regex_problem;
pub use rules::{CoverageRelease, PythonVersion, Rules};
pub use search::SearchPatterns;
pub use text::SourceText;
pub use tree::{Mapped, SourceTree, Unparsed, map_files, python_files, read_files, walk_python_files};
