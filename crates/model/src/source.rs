//! What a source file holds: statements and symbols. Filled in by pysource, read by analysis and report.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::{LineBits, MeasuredPath, hex};

/// SHA-256 of a source file's bytes, as 64 lower-case hexadecimal digits.
///
/// A line number means nothing without its source: the agent notes this hash for each file as loaded,
/// and reports compare it with the tree at hand.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SourceHash(String);

impl SourceHash {
    /// From the digest's 32 bytes.
    pub fn from_digest(digest: &[u8]) -> Self {
        Self(hex(digest))
    }

    /// From text in one of our own files.
    pub fn from_hex(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// What a symbol is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SymbolKind {
    /// A file.
    Module,
    /// A class.
    Class,
    /// A function outside a class body, nested ones included.
    Function,
    /// A function whose direct parent is a class body.
    Method,
}

impl SymbolKind {
    /// The word used in every output.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Module => "module",
            Self::Class => "class",
            Self::Function => "function",
            Self::Method => "method",
        }
    }
}

/// What is special about a definition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SymbolTrait {
    /// `abstractmethod`.
    Abstract,
    /// `async def`.
    Async,
    /// `classmethod`.
    ClassMethod,
    /// Inside an `if`, `try`, loop or the like of its scope: whether it is defined shows when the scope runs.
    Conditional,
    /// Inside a function.
    Nested,
    /// One of several signatures (`typing.overload`).
    Overload,
    /// A property, or a setter or deleter of one.
    Property,
    /// `staticmethod`.
    StaticMethod,
}

/// What a definition's head says about it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct SymbolDetails {
    /// What is special about it, by its decorators' names and its place.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub traits: BTreeSet<SymbolTrait>,
    /// Its decorators as written, without `@`, white space folded.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub decorators: Vec<String>,
    /// First and last line of its docstring.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub docstring: Option<(u32, u32)>,
}

/// A named definition.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Symbol {
    /// Full name: the module, then `__qualname__` (PEP 3155, with `<locals>` for nested functions). Two
    /// definitions of one name in a file have the same name; `line` tells them apart.
    pub name: String,
    /// What it is.
    pub kind: SymbolKind,
    /// Line of `def` or `class` itself (1 for a module).
    pub line: u32,
    /// First (decorators included) and last line, both inclusive.
    pub span: (u32, u32),
    /// The statements that are its own: of a function its body without nested functions and classes, of a
    /// class or module the statements run when the body is executed (at import, mostly), nested `def` lines included.
    /// Excluded lines are not in it.
    #[serde(skip)]
    pub statements: LineBits,
    /// What its head says.
    #[serde(skip)]
    pub details: SymbolDetails,
}

/// A function without a name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lambda {
    /// `__qualname__`; lambdas of one scope share it.
    pub qualname: String,
    /// The line of `lambda`.
    pub line: u32,
    /// How many characters stand before `lambda` on its line.
    pub column: u32,
    /// First and last line.
    pub span: (u32, u32),
}

/// A function's or class's lines in coverage.py's reports, comments and blank lines included.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Region {
    /// Whether it is a class; a function otherwise.
    pub is_class: bool,
    /// The names that it stands in and its own, joined with dots.
    pub name: String,
    /// The line of `def` or `class`.
    pub start: u32,
    /// Its lines: nobody else's of its kind.
    pub lines: LineBits,
}

/// One source file of interest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceFile {
    /// Its name, as in data.
    pub path: MeasuredPath,
    /// Dotted name of the module.
    pub module: String,
    /// Hash of its bytes.
    pub hash: SourceHash,
    /// Statements as coverage.py counts them, excluded ones left out.
    pub statements: LineBits,
    /// Excluded lines (`# pragma: no cover` and the like), as coverage.py lists them.
    pub excluded: LineBits,
    /// The statements run when the module is imported: module level, and class bodies outside functions.
    pub import_statements: LineBits,
    /// Symbols, the module first, in order of their lines.
    pub symbols: Vec<Symbol>,
    /// Functions without a name, in order of their places. Their statements belong to what they stand in.
    pub lambdas: Vec<Lambda>,
    /// `(first, last)` lines of each statement or expression that spans several: an event on any of them is the first.
    pub multiline: Vec<(u32, u32)>,
}
