//! Is everything that coverage of profiles is made from in step? Inventory, configuration, coverage.py, workflows, profiles.
//!
//! [`examine`] looks at all of it and returns a [`Report`]; nothing is written unless [`Place::fix`] says so. Each module looks at one thing.

mod finding;
mod generated;
mod inventory;
mod patterns;
mod recordings;
mod release;
mod settings;
mod show;
mod tree;

use std::path::Path;

pub use finding::{Check, Examined, Finding, Kind, State};
pub use settings::{Asked, Place};
pub use show::{Format, Report};

use crate::messages::Failure;
use crate::sources::Project;

/// Looks at everything, and mends what can be made again where that is asked for.
pub fn examine(place: &Place) -> Result<Report, Failure> {
    let mut fixed = Vec::new();
    // Reading the stored inventory and the recordings goes beside the analysis of the sources, which takes longest.
    let (mut examined, written) = std::thread::scope(|scope| {
        let recordings = scope.spawn(|| recordings::examine(place));
        let sources = match Project::open(&place.source) {
            Ok(project) => of_sources(place, &project)?,
            Err(failure) => (without_configuration(place, &failure), None),
        };
        let (mut examined, written) = sources;
        examined.push(release::examine(place));
        examined.extend(recordings.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
        Ok::<_, Failure>((examined, written))
    })?;
    fixed.extend(written);
    let (workflows, generated) = generated::examine(place)?;
    examined.push(workflows);
    fixed.extend(generated);
    examined.sort_by_key(|examined| examined.check);
    Ok(Report::new(examined, fixed))
}

fn of_sources(place: &Place, project: &Project) -> Result<(Vec<Examined>, Option<String>), Failure> {
    let sources = patterns::sources(place, &project.config);
    // Without its roots a tree can't be compared with anything.
    let roots_are_there = sources.findings.is_empty();
    let (patterns, inventory) = std::thread::scope(|scope| {
        let patterns = scope.spawn(|| patterns::patterns(place, &project.config));
        let inventory =
            if roots_are_there { inventory::examine(place, project) } else { Ok(inventory::without_roots()) };
        (patterns.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)), inventory)
    });
    let (inventory, written) = inventory?;
    Ok((vec![patterns::options(place, &project.config), patterns?, sources, inventory], written))
}

/// What is left to say where the configuration can't be read.
fn without_configuration(place: &Place, failure: &Failure) -> Vec<Examined> {
    let finding = finding::at_its_place(&place.root, failure.code, &failure.message);
    let why = "the configuration can't be read";
    vec![
        Examined::of(Check::Config, vec![finding], String::new()),
        Examined::not_checked(Check::Patterns, why),
        Examined::not_checked(Check::Sources, why),
        Examined::not_checked(Check::Inventory, why),
    ]
}

/// A path as findings have it: below the repository's root, where it lies there.
fn shown(root: &Path, path: &Path) -> String {
    let real = fs_err::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    real.strip_prefix(root).unwrap_or(&real).to_string_lossy().into_owned()
}
