//! Which profiles a batch is about.

use std::path::Path;

use playtrace_model::Slug;
use playtrace_profile::{Library, ProfileError};

use crate::exit::Exit;
use crate::messages::Failure;

/// The profiles of a batch, and what was left out.
#[derive(Debug, PartialEq, Eq)]
pub struct Selection {
    /// The profiles, each once: in the order asked for, else by name.
    pub slugs: Vec<Slug>,
    /// A sentence for each folder that is no profile.
    pub skipped: Vec<String>,
}

/// Chooses: those named by `include` and the file, or all; without those of `exclude`.
pub fn select(
    library: &Library,
    include: &[String],
    file: Option<&Path>,
    exclude: &[String],
) -> Result<Selection, Failure> {
    let mut wanted = parse_all(include)?;
    if let Some(file) = file {
        wanted.extend(read_file(file)?);
    }
    let exclude = parse_all(exclude)?;
    let mut skipped = Vec::new();
    let candidates = if include.is_empty() && file.is_none() {
        let known = library.slugs()?;
        skipped = folders_without_recording(library, &known)?;
        known
    } else {
        wanted
    };
    let mut slugs: Vec<Slug> = Vec::new();
    for slug in candidates {
        if exclude.contains(&slug) || slugs.contains(&slug) {
            continue;
        }
        if library.has(&slug) {
            slugs.push(slug);
        } else if library.root().join(slug.as_str()).is_dir() {
            skipped.push(no_recording(slug.as_str()));
        } else {
            // Opening it says what is wrong, with a near miss.
            library.open(&slug)?;
        }
    }
    Ok(Selection { slugs, skipped })
}

fn no_recording(name: &str) -> String {
    format!("skipped {name}: it has no capture/events.jsonl")
}

fn folders_without_recording(library: &Library, known: &[Slug]) -> Result<Vec<String>, Failure> {
    let failed = |source| ProfileError::Read { path: library.root().to_owned(), source };
    let mut skipped = Vec::new();
    for entry in fs_err::read_dir(library.root()).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let name = entry.file_name().to_string_lossy().into_owned();
        // `_runs` and hidden folders are nobody's profile.
        let other = name.starts_with(['_', '.']) || known.iter().any(|slug| slug.as_str() == name);
        if !other && entry.path().is_dir() {
            skipped.push(no_recording(&name));
        }
    }
    skipped.sort();
    Ok(skipped)
}

fn parse_all(texts: &[String]) -> Result<Vec<Slug>, Failure> {
    texts.iter().map(|text| crate::commands::run_test_profile::checked_slug(text)).collect()
}

/// One slug a line; `#` begins a comment.
fn read_file(path: &Path) -> Result<Vec<Slug>, Failure> {
    let text = fs_err::read_to_string(path)
        .map_err(|error| Failure::new(Exit::Io, "PT-BATCH-003", format!("--profiles-file: {error}")))?;
    let mut slugs = Vec::new();
    for (line, text) in (1..).zip(text.lines()) {
        let text = text.split('#').next().unwrap_or_default().trim();
        if !text.is_empty() {
            slugs.push(Slug::parse(text).map_err(|error| {
                let shown: String = text.chars().take(80).collect();
                let why = format!("{}:{line}: {shown:?} can't name a profile: {error}", path.display());
                Failure::new(Exit::BadInput, "PT-BATCH-004", why)
            })?);
        }
    }
    Ok(slugs)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn library() -> (tempfile::TempDir, Library) {
        let dir = tempfile::tempdir().unwrap();
        for slug in ["b", "a", "c"] {
            fs_err::create_dir_all(dir.path().join(slug).join("capture")).unwrap();
            fs_err::write(dir.path().join(slug).join("capture/events.jsonl"), "").unwrap();
        }
        fs_err::create_dir_all(dir.path().join("draft")).unwrap();
        fs_err::create_dir_all(dir.path().join("_runs")).unwrap();
        let library = Library::new(dir.path());
        (dir, library)
    }

    fn texts(texts: &[&str]) -> Vec<String> {
        texts.iter().map(|text| (*text).to_owned()).collect()
    }

    fn names(selection: &Selection) -> Vec<&str> {
        selection.slugs.iter().map(Slug::as_str).collect()
    }

    #[test]
    fn all_profiles_or_those_named() {
        let (dir, library) = library();
        let all = select(&library, &[], None, &texts(&["b"])).unwrap();
        assert_eq!(names(&all), ["a", "c"]);
        assert_eq!(all.skipped, ["skipped draft: it has no capture/events.jsonl"]);
        let file = dir.path().join("list");
        fs_err::write(&file, "# nightly\nc\n\na # slow\n").unwrap();
        let named = select(&library, &texts(&["b", "draft", "c"]), Some(&file), &[]).unwrap();
        assert_eq!(names(&named), ["b", "c", "a"]);
        assert_eq!(named.skipped, ["skipped draft: it has no capture/events.jsonl"]);
    }

    #[test]
    fn bad_names_are_refused_with_their_place() {
        let (dir, library) = library();
        let file = dir.path().join("list");
        fs_err::write(&file, "a\n../b\n").unwrap();
        let failure = select(&library, &[], Some(&file), &[]).unwrap_err();
        assert!(failure.message.contains("list:2: \"../b\" can't name a profile"), "{}", failure.message);
        assert_eq!(select(&library, &texts(&["../a"]), None, &[]).unwrap_err().code, "PT-PROFILE-001");
        assert_eq!(select(&library, &texts(&["zzz"]), None, &[]).unwrap_err().code, "PT-PROFILE-002");
    }
}
