//! The folder that holds the profiles.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use playtrace_model::Slug;

use crate::{ProfileError, Recording, Seeds};

/// Where a profile keeps its recording.
const EVENTS: &str = "capture/events.jsonl";

/// The folder that contains one folder a profile (and the player's `_runs`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Library {
    root: PathBuf,
}

/// A recorded session with everything that belongs to it.
#[derive(Debug, Clone, PartialEq)]
pub struct Profile {
    /// Its name.
    pub slug: Slug,
    /// Its folder.
    pub dir: PathBuf,
    /// What was recorded.
    pub recording: Recording,
    /// The files that were uploaded.
    pub seeds: Seeds,
    /// The working directory as it was before the session, if the profile has one (`run/`).
    pub snapshot: Option<PathBuf>,
}

impl Library {
    /// The library in `root`. Nothing is read yet.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// The folder.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The profiles, sorted. Folders without `capture/events.jsonl`, or whose name is no slug, are none.
    pub fn slugs(&self) -> Result<Vec<Slug>, ProfileError> {
        let read = |source| ProfileError::Read { path: self.root.clone(), source };
        let mut slugs = Vec::new();
        for entry in fs_err::read_dir(&self.root).map_err(read)? {
            let name = entry.map_err(read)?.file_name();
            if let Some(slug) = name.to_str().and_then(|name| Slug::parse(name).ok())
                && self.events(&slug).is_file()
            {
                slugs.push(slug);
            }
        }
        slugs.sort();
        Ok(slugs)
    }

    /// Whether the profile's folder has a recording.
    pub fn has(&self, slug: &Slug) -> bool {
        self.events(slug).is_file()
    }

    /// Checks a text from outside and reads the profile that it names.
    pub fn open_named(&self, text: &str) -> Result<Profile, ProfileError> {
        let slug = Slug::parse(text)
            .map_err(|source| ProfileError::BadSlug { text: text.chars().take(80).collect(), source })?;
        self.open(&slug)
    }

    /// Reads a profile whole.
    pub fn open(&self, slug: &Slug) -> Result<Profile, ProfileError> {
        let dir = self.root.join(slug.as_str());
        let recording = match Recording::read(&self.events(slug)) {
            Err(ProfileError::Read { source, .. })
                if matches!(source.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) =>
            {
                return Err(self.unknown(slug));
            }
            other => other?,
        };
        let seeds = Seeds::read(&dir.join("capture/seed"))?;
        let snapshot = Some(dir.join("run")).filter(|run| run.is_dir());
        Ok(Profile { slug: slug.clone(), dir, recording, seeds, snapshot })
    }

    fn events(&self, slug: &Slug) -> PathBuf {
        self.root.join(slug.as_str()).join(EVENTS)
    }

    fn unknown(&self, slug: &Slug) -> ProfileError {
        let near = |known: &Slug| strsim::normalized_damerau_levenshtein(known.as_str(), slug.as_str());
        // The message is about the missing profile, also where the whole folder is missing.
        let suggestion = self
            .slugs()
            .unwrap_or_default()
            .into_iter()
            .filter(|known| near(known) > 0.6 || known.as_str().starts_with(slug.as_str()))
            .max_by(|a, b| near(a).total_cmp(&near(b)));
        ProfileError::Unknown { slug: slug.clone(), root: self.root.clone(), suggestion }
    }
}
