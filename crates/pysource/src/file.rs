//! One source file, analysed.

use std::borrow::Cow;

use playtrace_model::{LineBits, MeasuredPath, Region, SourceFile, SourceHash, Symbol, SymbolKind};
use ruff_python_ast::PySourceType;
use ruff_python_parser::{ParseOptions, parse_unchecked};
use sha2::{Digest as _, Sha256};

use crate::cache::{Lines, Stored, StoredSymbol};
use crate::lambdas::lambdas;
use crate::layout::Layout;
use crate::reach::code_lines;
use crate::regions::RegionNodes;
use crate::stack::{roomy_stack, too_nested};
use crate::symbols::{CatchAll, Definition, Definitions};
use crate::{CoverageRelease, Rules, SourceError, SourceText};

/// What a file holds, with the text that it was read from.
#[derive(Debug, Clone)]
pub struct AnalyzedFile {
    /// Statements, exclusions and symbols.
    pub source: SourceFile,
    /// Lines of docstrings: neither statements nor excluded.
    pub docstrings: LineBits,
    /// The text, as its lines are counted.
    pub text: SourceText,
    regions: RegionNodes,
    coverage: CoverageRelease,
}

impl AnalyzedFile {
    /// Functions and classes as coverage.py's reports divide the file among them.
    pub fn regions(&self) -> Vec<Region> {
        self.regions.regions(self.coverage)
    }

    /// What a cache keeps of it.
    pub(crate) fn to_stored(&self) -> Stored {
        let source = &self.source;
        Stored {
            statements: Lines::from(&source.statements),
            excluded: Lines::from(&source.excluded),
            import_statements: Lines::from(&source.import_statements),
            docstrings: Lines::from(&self.docstrings),
            multiline: source.multiline.clone(),
            symbols: source.symbols.iter().map(StoredSymbol::from).collect(),
            lambdas: source.lambdas.clone(),
            regions: self.regions.0.clone(),
        }
    }

    /// The file again, from what was kept for `bytes`.
    pub(crate) fn from_stored(
        stored: &Stored,
        bytes: Cow<'_, [u8]>,
        hash: SourceHash,
        path: &MeasuredPath,
        module: &str,
        coverage: CoverageRelease,
    ) -> Result<Self, SourceError> {
        let source = SourceFile {
            path: path.clone(),
            module: module.to_owned(),
            hash,
            statements: stored.statements.to_bits(),
            excluded: stored.excluded.to_bits(),
            import_statements: stored.import_statements.to_bits(),
            symbols: stored.symbols.iter().map(Symbol::from).collect(),
            lambdas: stored.lambdas.clone(),
            multiline: stored.multiline.clone(),
        };
        Ok(Self {
            source,
            docstrings: stored.docstrings.to_bits(),
            text: SourceText::decode(bytes, path.as_str())?,
            regions: RegionNodes(stored.regions.clone()),
            coverage,
        })
    }
}

/// Analyses the bytes of one file, known as `path`, whose module is `module`.
///
/// Runs on a stack of its own, so that no nesting of the source can exhaust the caller's.
pub fn analyze(
    bytes: &[u8],
    path: &MeasuredPath,
    module: &str,
    rules: &Rules,
) -> Result<AnalyzedFile, SourceError> {
    let hash = hash_of(bytes);
    roomy_stack(|| analyze_here(bytes.into(), hash, path, module, rules))
        .unwrap_or_else(|source| Err(SourceError::Read { path: path.as_str().into(), source }))
}

/// The hash of a file with these bytes.
pub(crate) fn hash_of(bytes: &[u8]) -> SourceHash {
    SourceHash::from_digest(&Sha256::digest(bytes))
}

/// As [`analyze`], for a thread that has [`STACK_BYTES`](crate::stack::STACK_BYTES) already.
pub(crate) fn analyze_here(
    bytes: Cow<'_, [u8]>,
    hash: SourceHash,
    path: &MeasuredPath,
    module: &str,
    rules: &Rules,
) -> Result<AnalyzedFile, SourceError> {
    let name = path.as_str();
    let not_python =
        |line: u32, problem: String| SourceError::Syntax { name: name.to_owned(), line, problem };
    let text = SourceText::decode(bytes, name)?;
    if u32::try_from(text.as_str().len()).is_err() {
        return Err(not_python(1, "longer than 4 GiB".to_owned()));
    }
    if let Some(statement) = too_nested(text.as_str()) {
        return Err(not_python(1, format!("statement {statement} nests too deeply to be parsed")));
    }
    let options = ParseOptions::from(PySourceType::Python).with_target_version(rules.python.grammar());
    let parsed = parse_unchecked(text.as_str(), options);
    if let Some(error) = parsed.errors().first() {
        return Err(not_python(text.line(error.location.start()), error.error.to_string()));
    }
    if let Some(error) = parsed.unsupported_syntax_errors().first() {
        return Err(not_python(text.line(error.range.start()), error.to_string()));
    }
    let Some(parsed) = parsed.try_into_module() else {
        // Asked to parse a module, the parser gives a module.
        return Err(not_python(1, "not a module".to_owned()));
    };

    let mut layout = Layout::of(parsed.tokens(), &text, rules.exclusions.matching_lines(&text, name)?);
    if let Some((line, problem)) = layout.too_deep {
        return Err(not_python(line, problem.to_owned()));
    }
    let definitions = Definitions::of(parsed.suite(), &text, layout.has_global);
    if let Some((at, problem)) = definitions.problem {
        return Err(not_python(text.line(at), problem.to_owned()));
    }
    carry_exclusions(&mut layout.excluded, &definitions.list);
    let docstrings: LineBits = definitions.docstrings().flat_map(|(first, last)| first..=last).collect();
    let lambdas = lambdas(parsed.suite(), &text, &definitions, &layout.lambdas);
    let mut own = if layout.has_code() {
        code_lines(parsed.suite(), &layout, &definitions, rules.python)
    } else {
        // coverage.py does not even compile such a file: its only instruction would be on line 1.
        vec![LineBits::new(); definitions.list.len()]
    };
    if rules.coverage >= CoverageRelease::V7_17 {
        exclude_catch_alls(&mut layout, &definitions.catch_alls, &own);
    }

    let mut ignored = layout.excluded.clone();
    ignored.union_with(&docstrings);
    for lines in &mut own {
        lines.subtract(&ignored);
    }
    let mut statements = LineBits::new();
    let mut import_statements = LineBits::new();
    for (lines, definition) in own.iter().zip(&definitions.list) {
        statements.union_with(lines);
        if definition.at_import {
            import_statements.union_with(lines);
        }
    }
    let symbols = definitions
        .list
        .into_iter()
        .zip(own)
        .map(|(definition, statements)| symbol(definition, statements, module, &layout))
        .collect();
    let source = SourceFile {
        path: path.clone(),
        module: module.to_owned(),
        hash,
        statements,
        excluded: layout.excluded,
        import_statements,
        symbols,
        lambdas,
        multiline: layout.multiline,
    };
    Ok(AnalyzedFile { source, docstrings, text, regions: definitions.regions, coverage: rules.coverage })
}

/// A `case _:` is excluded with its body, as an `else:` is (which has no code of its own).
///
/// coverage.py asks whether every line with code is excluded before lines are folded, so that a statement of several
/// lines in the body prevents it.
fn exclude_catch_alls(layout: &mut Layout, catch_alls: &[CatchAll], own: &[LineBits]) {
    for case in catch_alls {
        let mut lines =
            own.iter().flat_map(|lines| (case.body.0..=case.body.1).filter(|&line| lines.contains(line)));
        let any = lines.next();
        let all = any.into_iter().chain(lines).all(|line| layout.excluded.contains(line));
        let folded =
            layout.multiline.iter().any(|&(first, last)| first <= case.body.1 && last >= case.body.0);
        if any.is_some() && all && !folded {
            layout.excluded.extend(case.pattern.0..=case.pattern.1);
        }
    }
}

/// An exclusion of a decorator or of a signature excludes the whole definition.
fn carry_exclusions(excluded: &mut LineBits, definitions: &[Definition]) {
    for definition in definitions.iter().filter(|definition| definition.kind != SymbolKind::Module) {
        let (first, last) = definition.span;
        if (first..=definition.line).any(|line| excluded.contains(line)) {
            excluded.extend(first..=last);
        }
    }
}

fn symbol(definition: Definition, statements: LineBits, module: &str, layout: &Layout) -> Symbol {
    let name = match (module, definition.qualname.as_str()) {
        (module, "") => module.to_owned(),
        ("", qualname) => qualname.to_owned(),
        (module, qualname) => [module, ".", qualname].concat(),
    };
    let line = if definition.kind == SymbolKind::Module { 1 } else { layout.first_line(definition.line) };
    let Definition { kind, span, details, .. } = definition;
    Symbol { name, kind, line, span, statements, details }
}
