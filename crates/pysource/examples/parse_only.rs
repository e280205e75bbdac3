//! Reads and parses Python files on all cores, and does nothing with them: the least that any analysis costs.
//!
//! `benches/source` measures it beside `playtrace index build`. Usage: `parse_only DIRECTORY...`

use std::path::{Path, PathBuf};

use playtrace_pysource::python_files;
use rayon::prelude::*;
use ruff_python_ast::{PySourceType, PythonVersion};
use ruff_python_parser::{ParseOptions, parse_unchecked};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut files: Vec<PathBuf> = Vec::new();
    for directory in std::env::args().skip(1) {
        files.extend(python_files(Path::new(&directory))?);
    }
    let pool = rayon::ThreadPoolBuilder::new().stack_size(64 << 20).build()?;
    let statements: usize = pool.install(|| {
        files
            .par_iter()
            .map(|file| -> Result<usize, std::io::Error> {
                let bytes = fs_err::read(file)?;
                let options =
                    ParseOptions::from(PySourceType::Python).with_target_version(PythonVersion::PY312);
                let parsed = parse_unchecked(&String::from_utf8_lossy(&bytes), options);
                Ok(parsed.try_into_module().map_or(0, |module| module.suite().len()))
            })
            .sum::<Result<usize, std::io::Error>>()
    })?;
    let mut out = std::io::stdout().lock();
    std::io::Write::write_all(&mut out, format!("{statements}\n").as_bytes())?;
    Ok(())
}
