//! What `benches/source` measures besides the program: files read and parsed on all cores and nothing done with them, which
//! is the least that any analysis costs; and files analysed, without anything written.
//!
//! Usage: `sources parse DIRECTORY...` or `sources analyze DIRECTORY...`; prints how many statements or symbols.

use std::path::{Path, PathBuf};

use mimalloc::MiMalloc;
use playtrace_model::MeasuredPath;
use playtrace_pysource::{CoverageRelease, PythonVersion, Rules, SourceError, map_files, walk_python_files};
use rayon::prelude::*;
use ruff_python_ast::PySourceType;
use ruff_python_parser::{ParseOptions, parse_unchecked};

/// The program's own.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let mode = arguments.next().unwrap_or_default();
    let directories: Vec<PathBuf> = arguments.map(PathBuf::from).collect();
    let walks = directories.iter().map(|directory| walk_python_files(directory));
    let files = walks.collect::<Result<Vec<_>, _>>()?.into_iter().flatten();
    let count = if mode == "parse" { parse(files)? } else { analyze(files)? };
    std::io::Write::write_all(&mut std::io::stdout(), format!("{count}\n").as_bytes())?;
    Ok(())
}

fn parse(
    files: impl Iterator<Item = Result<PathBuf, SourceError>> + Send,
) -> Result<usize, Box<dyn std::error::Error>> {
    let statements = |file: Result<PathBuf, SourceError>| -> Result<usize, SourceError> {
        let path = file?;
        let bytes = fs_err::read(&path).map_err(|source| SourceError::Read { path, source })?;
        let options = ParseOptions::from(PySourceType::Python);
        let parsed = parse_unchecked(&String::from_utf8_lossy(&bytes), options);
        Ok(parsed.try_into_module().map_or(0, |module| module.suite().len()))
    };
    let pool = rayon::ThreadPoolBuilder::new().stack_size(256 << 20).build()?;
    Ok(pool.install(|| files.par_bridge().map(statements).sum::<Result<usize, _>>())?)
}

fn analyze(
    files: impl Iterator<Item = Result<PathBuf, SourceError>> + Send,
) -> Result<usize, Box<dyn std::error::Error>> {
    let named = files.map(|file| file.map(|file| (MeasuredPath::new(file.to_string_lossy()), file)));
    let rules = Rules::new(PythonVersion::V3_12, CoverageRelease::V7_11);
    let found = map_files(named, Path::new("/"), &rules, None, |file| file.source)?;
    Ok(found.files.values().map(|source| source.symbols.len() + source.lambdas.len()).sum())
}
