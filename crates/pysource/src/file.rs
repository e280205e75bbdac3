//! One source file, analysed.

use playtrace_model::{LineBits, MeasuredPath, SourceFile, SourceHash, Symbol, SymbolKind};
use ruff_python_ast::{PySourceType, PythonVersion};
use ruff_python_parser::{ParseOptions, parse_unchecked};
use sha2::{Digest as _, Sha256};

use crate::layout::Layout;
use crate::reach::code_lines;
use crate::symbols::{Definition, Definitions};
use crate::{Exclusions, SourceError, SourceText};

/// What a file holds, with the text that it was read from.
#[derive(Debug, Clone)]
pub struct AnalyzedFile {
    /// Statements, exclusions and symbols.
    pub source: SourceFile,
    /// Lines of docstrings: neither statements nor excluded.
    pub docstrings: LineBits,
    /// The text, as its lines are counted.
    pub text: SourceText,
}

/// Analyses the bytes of one file, known as `path`, whose module is `module`.
pub fn analyze(
    bytes: &[u8],
    path: &MeasuredPath,
    module: &str,
    exclusions: &Exclusions,
) -> Result<AnalyzedFile, SourceError> {
    let name = path.as_str();
    let text = SourceText::decode(bytes, name)?;
    if u32::try_from(text.as_str().len()).is_err() {
        return Err(SourceError::Syntax {
            name: name.to_owned(),
            line: 1,
            problem: "longer than 4 GiB".to_owned(),
        });
    }
    let options = ParseOptions::from(PySourceType::Python).with_target_version(PythonVersion::PY313);
    let parsed = parse_unchecked(text.as_str(), options);
    if let Some(error) = parsed.errors().first() {
        return Err(SourceError::Syntax {
            name: name.to_owned(),
            line: text.line(error.location.start()),
            problem: error.error.to_string(),
        });
    }
    let Some(parsed) = parsed.try_into_module() else {
        // Asked to parse a module, the parser gives a module.
        return Err(SourceError::Syntax {
            name: name.to_owned(),
            line: 1,
            problem: "not a module".to_owned(),
        });
    };

    let mut layout = Layout::of(parsed.tokens(), &text, exclusions.matching_lines(&text, name)?);
    let definitions = Definitions::of(parsed.suite(), &text);
    carry_exclusions(&mut layout.excluded, &definitions.list);
    let docstrings: LineBits =
        definitions.docstrings.iter().flat_map(|&(first, last)| first..=last).collect();
    let own = if layout.has_code {
        code_lines(parsed.suite(), &text, &layout, &definitions)
    } else {
        // coverage.py does not even compile such a file: its only instruction would be on line 1.
        vec![LineBits::new(); definitions.list.len()]
    };

    let mut ignored = layout.excluded.clone();
    ignored.union_with(&docstrings);
    let own: Vec<LineBits> = own.iter().map(|lines| lines.difference(&ignored)).collect();
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
        .map(|(definition, statements)| symbol(&definition, statements, module, &layout))
        .collect();
    let source = SourceFile {
        path: path.clone(),
        module: module.to_owned(),
        hash: SourceHash::from_digest(&Sha256::digest(bytes)),
        statements,
        excluded: layout.excluded,
        import_statements,
        symbols,
        multiline: layout.multiline,
    };
    Ok(AnalyzedFile { source, docstrings, text })
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

fn symbol(definition: &Definition, statements: LineBits, module: &str, layout: &Layout) -> Symbol {
    let name = match (module, definition.qualname.as_str()) {
        (module, "") => module.to_owned(),
        ("", qualname) => qualname.to_owned(),
        (module, qualname) => format!("{module}.{qualname}"),
    };
    let line = if definition.kind == SymbolKind::Module { 1 } else { layout.first_line(definition.line) };
    Symbol { name, kind: definition.kind, line, span: definition.span, statements }
}
