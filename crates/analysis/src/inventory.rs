//! What could run: every file and symbol of interest, without any execution.

use std::collections::BTreeMap;
use std::ops::AddAssign;

use playtrace_model::{Lambda, MeasuredPath, SourceFile, SourceHash, Symbol, SymbolDetails, SymbolKind};
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
    /// The Python whose compiler's rules say which lines are statements: `3.12`.
    pub python: String,
    /// The coverage.py whose rules say what is excluded: `7.11`.
    pub coverage: String,
    /// Sums over everything below.
    pub totals: InventoryTotals,
    /// Files, by path.
    pub files: Vec<InventoryFile>,
    /// Symbols, by file and line.
    pub symbols: Vec<InventorySymbol>,
    /// Functions without a name, by file and place.
    pub lambdas: Vec<InventoryLambda>,
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
    /// Functions without a name.
    pub lambdas: usize,
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
    /// What names it in every inventory of this tree: the file, `::` and `__qualname__` (the file alone for a module);
    /// the second definition of one name in a file ends in `#2`, and so on.
    pub id: String,
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
    /// The first 16 digits of the SHA-256 of its lines (decorators included) without their common indentation: equal
    /// where nothing but the place changed. A module's is its file's.
    pub digest: String,
    /// What its head says.
    #[serde(flatten)]
    pub details: SymbolDetails,
}

/// A lambda.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InventoryLambda {
    /// As [`InventorySymbol::id`]; lambdas of one scope are counted in order of their places.
    pub id: String,
    /// The file.
    pub file: MeasuredPath,
    /// The line of `lambda`.
    pub line: u32,
    /// How many characters stand before it.
    pub column: u32,
    /// First and last line.
    pub line_span: (u32, u32),
}

/// What an inventory is made from.
#[derive(Debug)]
pub struct InventorySource<'a> {
    /// A file's statements and symbols.
    pub source: &'a SourceFile,
    /// The digests of its symbols, in the same order.
    pub digests: Vec<String>,
}

/// What an inventory says of one file. Parts can be made on several threads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InventoryPart {
    /// Sums over it.
    pub totals: InventoryTotals,
    /// The file.
    pub file: InventoryFile,
    /// Its symbols, by line.
    pub symbols: Vec<InventorySymbol>,
    /// Its functions without a name, by place.
    pub lambdas: Vec<InventoryLambda>,
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
    pub const VERSION: u32 = 2;

    /// Lists `sources`, which may come in any order, for a Python and a coverage.py.
    pub fn new<'a>(
        generator: String,
        (python, coverage): (&str, &str),
        sources: impl IntoIterator<Item = InventorySource<'a>>,
        unparsed: Vec<UnparsedFile>,
    ) -> Self {
        let parts = sources.into_iter().map(InventoryPart::of).collect();
        Self::of_parts(generator, (python, coverage), parts, unparsed)
    }

    /// Puts parts together, which may come in any order.
    pub fn of_parts(
        generator: String,
        (python, coverage): (&str, &str),
        mut parts: Vec<InventoryPart>,
        mut unparsed: Vec<UnparsedFile>,
    ) -> Self {
        parts.sort_by(|a, b| a.file.path.cmp(&b.file.path));
        unparsed.sort_by(|a, b| a.path.cmp(&b.path));
        let mut inventory = Self {
            format: Self::FORMAT.to_owned(),
            version: Self::VERSION,
            generator,
            python: python.to_owned(),
            coverage: coverage.to_owned(),
            totals: InventoryTotals::default(),
            files: Vec::with_capacity(parts.len()),
            symbols: Vec::with_capacity(parts.iter().map(|part| part.symbols.len()).sum()),
            lambdas: Vec::new(),
            unparsed,
        };
        for mut part in parts {
            inventory.totals += &part.totals;
            inventory.files.push(part.file);
            inventory.symbols.append(&mut part.symbols);
            inventory.lambdas.append(&mut part.lambdas);
        }
        inventory
    }

    /// Whether this is an inventory that this program understands; `name` is the file's, for the error.
    pub fn check(&self, name: &str) -> Result<(), AnalysisError> {
        check_document(name, (&self.format, self.version), (Self::FORMAT, Self::VERSION))
    }
}

impl InventoryPart {
    /// What is to be said of a file.
    pub fn of(InventorySource { source, digests }: InventorySource) -> Self {
        let mut totals = InventoryTotals {
            files: 1,
            statements: source.statements.len(),
            import_statements: source.import_statements.len(),
            lambdas: source.lambdas.len(),
            ..InventoryTotals::default()
        };
        let mut ids = Ids { source, seen: BTreeMap::new() };
        let mut digests = digests.into_iter();
        let symbol = |symbol: &Symbol| {
            *match symbol.kind {
                SymbolKind::Module => &mut totals.modules,
                SymbolKind::Class => &mut totals.classes,
                SymbolKind::Function => &mut totals.functions,
                SymbolKind::Method => &mut totals.methods,
            } += 1;
            InventorySymbol {
                id: ids.symbol(symbol),
                name: symbol.name.clone(),
                kind: symbol.kind,
                file: source.path.clone(),
                line: symbol.line,
                line_span: symbol.span,
                statements: symbol.statements.len(),
                digest: digests.next().unwrap_or_default(),
                details: symbol.details.clone(),
            }
        };
        let symbols = source.symbols.iter().map(symbol).collect();
        let lambda = |lambda: &Lambda| InventoryLambda {
            id: ids.next(&lambda.qualname),
            file: source.path.clone(),
            line: lambda.line,
            column: lambda.column,
            line_span: lambda.span,
        };
        let lambdas = source.lambdas.iter().map(lambda).collect();
        let file = InventoryFile {
            path: source.path.clone(),
            module: source.module.clone(),
            sha256: source.hash.clone(),
            statements: source.statements.len(),
            import_statements: source.import_statements.len(),
            excluded: source.excluded.len(),
        };
        Self { totals, file, symbols, lambdas }
    }
}

impl AddAssign<&Self> for InventoryTotals {
    fn add_assign(&mut self, more: &Self) {
        let Self { files, statements, import_statements, modules, classes, functions, methods, lambdas } =
            more;
        self.files += files;
        self.statements += statements;
        self.import_statements += import_statements;
        self.modules += modules;
        self.classes += classes;
        self.functions += functions;
        self.methods += methods;
        self.lambdas += lambdas;
    }
}

/// Gives out the ids of one file.
struct Ids<'a> {
    source: &'a SourceFile,
    /// How often a qualified name came.
    seen: BTreeMap<String, usize>,
}

impl Ids<'_> {
    fn symbol(&mut self, symbol: &Symbol) -> String {
        if symbol.kind == SymbolKind::Module {
            return self.source.path.to_string();
        }
        let module = &self.source.module;
        let qualname = symbol.name.strip_prefix(module.as_str()).and_then(|rest| rest.strip_prefix('.'));
        self.next(qualname.unwrap_or(&symbol.name))
    }

    fn next(&mut self, qualname: &str) -> String {
        let count = self.seen.entry(qualname.to_owned()).or_default();
        *count += 1;
        match count {
            1 => format!("{}::{qualname}", self.source.path),
            count => format!("{}::{qualname}#{count}", self.source.path),
        }
    }
}
