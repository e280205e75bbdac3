//! What could run: every file and symbol of interest, without any execution.

use playtrace_model::{MeasuredPath, SourceFile, SourceHash, SymbolKind};
use serde::{Deserialize, Serialize};

use crate::AnalysisError;
use crate::error::check_document;

/// The symbol inventory of a source tree, as it stands in `coverage-symbols.json`.
///
/// Field by field this is the inventory JSON (`docs/schema/inventory.schema.json`). It holds no time and no
/// machine's path, so that equal trees give equal files.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Inventory {
    /// [`Inventory::FORMAT`].
    pub format: String,
    /// [`Inventory::VERSION`].
    pub version: u32,
    /// The program that wrote it, with its version.
    pub generator: String,
    /// Sums over everything below.
    pub totals: InventoryTotals,
    /// Files, by path.
    pub files: Vec<InventoryFile>,
    /// Symbols, by file and line.
    pub symbols: Vec<InventorySymbol>,
    /// Files that are not Python, with the reason.
    pub unparsed: Vec<UnparsedFile>,
}

/// Sums over an inventory.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct InventoryTotals {
    /// Files that could be read.
    pub files: usize,
    /// Statements, those that run at import included.
    pub statements: usize,
    /// Statements that run at import.
    pub import_statements: usize,
    /// Modules.
    pub modules: usize,
    /// Classes.
    pub classes: usize,
    /// Functions.
    pub functions: usize,
    /// Methods.
    pub methods: usize,
}

/// A file of interest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InventoryFile {
    /// Its name, as in data.
    pub path: MeasuredPath,
    /// Its module.
    pub module: String,
    /// Hash of its bytes.
    pub sha256: SourceHash,
    /// How many statements it has.
    pub statements: usize,
    /// How many of them run at import.
    pub import_statements: usize,
    /// How many lines are excluded.
    pub excluded: usize,
}

/// A symbol that could run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InventorySymbol {
    /// Full name.
    pub name: String,
    /// What it is.
    pub kind: SymbolKind,
    /// The file.
    pub file: MeasuredPath,
    /// Line of `def` or `class`.
    pub line: u32,
    /// First (decorators included) and last line.
    pub line_span: (u32, u32),
    /// How many own statements it has; 0 for a function that is excluded, dead or only a docstring.
    pub statements: usize,
}

/// A file of interest that could not be read as Python.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnparsedFile {
    /// Its name, as in data.
    pub path: MeasuredPath,
    /// What is wrong with it; names file and line.
    pub reason: String,
}

impl Inventory {
    /// What `format` says.
    pub const FORMAT: &'static str = "playtrace-inventory";
    /// The version written.
    pub const VERSION: u32 = 1;

    /// Lists `files`, which may come in any order.
    pub fn new<'a>(
        generator: String,
        files: impl IntoIterator<Item = &'a SourceFile>,
        mut unparsed: Vec<UnparsedFile>,
    ) -> Self {
        let mut sources: Vec<&SourceFile> = files.into_iter().collect();
        sources.sort_by(|a, b| a.path.cmp(&b.path));
        unparsed.sort_by(|a, b| a.path.cmp(&b.path));
        let mut totals = InventoryTotals { files: sources.len(), ..InventoryTotals::default() };
        let mut symbols = Vec::new();
        for source in &sources {
            totals.statements += source.statements.len();
            totals.import_statements += source.import_statements.len();
            for symbol in &source.symbols {
                *match symbol.kind {
                    SymbolKind::Module => &mut totals.modules,
                    SymbolKind::Class => &mut totals.classes,
                    SymbolKind::Function => &mut totals.functions,
                    SymbolKind::Method => &mut totals.methods,
                } += 1;
                symbols.push(InventorySymbol {
                    name: symbol.name.clone(),
                    kind: symbol.kind,
                    file: source.path.clone(),
                    line: symbol.line,
                    line_span: symbol.span,
                    statements: symbol.statements.len(),
                });
            }
        }
        let files = sources
            .into_iter()
            .map(|source| InventoryFile {
                path: source.path.clone(),
                module: source.module.clone(),
                sha256: source.hash.clone(),
                statements: source.statements.len(),
                import_statements: source.import_statements.len(),
                excluded: source.excluded.len(),
            })
            .collect();
        Self {
            format: Self::FORMAT.to_owned(),
            version: Self::VERSION,
            generator,
            totals,
            files,
            symbols,
            unparsed,
        }
    }

    /// Whether this is an inventory that this program understands; `name` is the file's, for the error.
    pub fn check(&self, name: &str) -> Result<(), AnalysisError> {
        check_document(name, (&self.format, self.version), (Self::FORMAT, Self::VERSION))
    }
}
