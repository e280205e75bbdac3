//! What `benches/source` measures besides the program: files read and parsed on all cores and nothing done with them, which
//! is the least that any analysis costs; and files analysed, without anything written.
//!
//! Usage: `sources parse DIRECTORY...` or `sources analyze DIRECTORY...`; prints how many statements or symbols.

use std::path::{Path, PathBuf};

use mimalloc::MiMalloc;
use playtrace_model::MeasuredPath;
use playtrace_pysource::{CoverageRelease, PythonVersion, Rules, python_files, read_files};
use rayon::prelude::*;
use ruff_python_ast::PySourceType;
use ruff_python_parser::{ParseOptions, parse_unchecked};

/// The program's own.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let mode = arguments.next().unwrap_or_default();
    let mut files: Vec<PathBuf> = Vec::new();
    for directory in arguments {
        files.extend(python_files(Path::new(&directory))?);
    }
    let count = if mode == "parse" { parse(&files)? } else { analyze(files)? };
    std::io::Write::write_all(&mut std::io::stdout(), format!("{count}\n").as_bytes())?;
    Ok(())
}

fn parse(files: &[PathBuf]) -> Result<usize, Box<dyn std::error::Error>> {
    let statements = |file: &PathBuf| -> Result<usize, std::io::Error> {
        let bytes = fs_err::read(file)?;
        let options = ParseOptions::from(PySourceType::Python);
        let parsed = parse_unchecked(&String::from_utf8_lossy(&bytes), options);
        Ok(parsed.try_into_module().map_or(0, |module| module.suite().len()))
    };
    let pool = rayon::ThreadPoolBuilder::new().stack_size(64 << 20).build()?;
    Ok(pool.install(|| files.par_iter().with_max_len(4).map(statements).sum::<Result<usize, _>>())?)
}

fn analyze(files: Vec<PathBuf>) -> Result<usize, Box<dyn std::error::Error>> {
    let named: Vec<_> =
        files.into_iter().map(|file| (MeasuredPath::new(file.to_string_lossy()), file)).collect();
    let rules = Rules::new(PythonVersion::V3_12, CoverageRelease::V7_11);
    let tree = read_files(&named, Path::new("/"), &rules, None)?;
    Ok(tree.files.values().map(|file| file.source.symbols.len() + file.source.lambdas.len()).sum())
}
