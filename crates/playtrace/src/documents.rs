//! Reading and writing the program's JSON documents and reports.

use std::io::Write as _;
use std::path::Path;

use serde::de::DeserializeOwned;

use crate::exit::Exit;
use crate::messages::Failure;
use crate::whole_file::write_pieces;

/// Reads one of our JSON files; an error names file, line and column.
pub fn read_json<T: DeserializeOwned>(path: &Path) -> Result<T, Failure> {
    let text = fs_err::read_to_string(path).map_err(|error| {
        Failure::new(Exit::Io, "PT-MAPS-001", error.to_string()).help("check the path and its permissions")
    })?;
    serde_json::from_str(&text).map_err(|error| {
        Failure::new(Exit::BadInput, "PT-MAPS-002", format!("{}: {error}", path.display()))
            .help("this is not a document that this playtrace wrote; make it again")
    })
}

/// Writes a file whole, with the directories that it needs.
pub fn write_document(path: &Path, text: &str) -> Result<(), Failure> {
    write_document_pieces(path, &[text])
}

/// As [`write_document`], for what is there in pieces.
pub fn write_document_pieces<P: AsRef<[u8]>>(path: &Path, pieces: &[P]) -> Result<(), Failure> {
    if let Some(parent) = path.parent() {
        fs_err::create_dir_all(parent).map_err(|error| unwritable(&error))?;
    }
    write_pieces(path, pieces).map_err(|error| unwritable(&error))
}

/// What to say when an output can't be written.
pub fn unwritable(error: &std::io::Error) -> Failure {
    Failure::new(Exit::Io, "PT-MAPS-003", error.to_string())
        .help("give another --output or --output-dir, or let this user write there")
}

/// Prints on stdout. A closed pipe (`| head`) is no error.
pub fn say(text: &str) -> Result<(), Failure> {
    say_pieces(&[text])
}

/// As [`say`], for what is there in pieces.
pub fn say_pieces<P: AsRef<[u8]>>(pieces: &[P]) -> Result<(), Failure> {
    let mut out = anstream::stdout().lock();
    match pieces.iter().try_for_each(|piece| out.write_all(piece.as_ref())).and_then(|()| out.flush()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(unwritable(&error)),
        _ => Ok(()),
    }
}
