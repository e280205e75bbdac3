//! The preset and the profiles: can each be read, and each recorded request be sent again?

use std::path::Path;

use playtrace_model::Slug;
use playtrace_profile::Library;
use playtrace_replay::{BaseUrl, Flow, FlowRoots, Plan, PlanOptions, Preset, ReplayError};
use rayon::prelude::*;
use uuid::Uuid;

use super::finding::{Check, Examined, Finding, Kind, at_its_place};
use super::settings::Place;
use super::shown;
use crate::nightly::list::{self, Entry, PlaybackType};
use crate::service::settings;

/// Reads the preset, and every profile by it.
pub(super) fn examine(place: &Place) -> [Examined; 2] {
    let preset = match settings::preset(&place.preset) {
        Ok(preset) => preset,
        Err(failure) => {
            let file = Path::new(&place.preset);
            let finding = Finding::new(failure.code, Kind::Unreadable, failure.message)
                .at(file.is_file().then(|| shown(&place.root, file)), None);
            return [
                Examined::of(Check::Preset, vec![finding], place.preset.clone()),
                Examined::not_checked(Check::Profiles, "the preset can't be read"),
            ];
        }
    };
    let known = Examined::of(Check::Preset, Vec::new(), preset.name.clone());
    let Some(root) = &place.profiles_root else {
        return [known, Examined::not_checked(Check::Profiles, "no folder of profiles is known")];
    };
    let library = Library::new(root);
    let slugs = match library.slugs() {
        Ok(slugs) => slugs,
        Err(error) => {
            let finding = Finding::new(error.code(), Kind::Missing, error.to_string());
            return [known, Examined::of(Check::Profiles, vec![finding], String::new())];
        }
    };
    let mut findings: Vec<Finding> = slugs
        .par_iter()
        .filter_map(|slug| of_profile(place, &library, slug, &preset).err().map(|finding| *finding))
        .collect();
    findings.extend(of_list(place, &library, &slugs, &preset));
    let detail = format!("{} in {}", slugs.len(), shown(&place.root, root));
    [known, Examined::of(Check::Profiles, findings, detail)]
}

fn of_profile(place: &Place, library: &Library, slug: &Slug, preset: &Preset) -> Result<(), Box<Finding>> {
    // Messages about a recording begin with its file and line.
    let told =
        |code, error: &dyn std::fmt::Display| Box::new(at_its_place(&place.root, code, &error.to_string()));
    let profile = library.open(slug).map_err(|error| told(error.code(), &error))?;
    with_options(|options| Plan::new(&profile, preset, options))
        .map_err(|error| told(error.code(), &error))?;
    Ok(())
}

/// What the list of the nights wants of profiles: that they are there, and that flows can be asked for.
fn of_list(place: &Place, library: &Library, slugs: &[Slug], preset: &Preset) -> Vec<Finding> {
    let Some(path) = &place.list else { return Vec::new() };
    // A list that can't be read is a finding of the workflows.
    let Ok(entries) = list::read(&place.root.join(path)) else { return Vec::new() };
    let name = path.to_string_lossy().into_owned();
    entries
        .iter()
        .filter_map(|entry| {
            let Entry { workflow_slug: workflow, profile_slug: profile, .. } = entry;
            if !slugs.contains(profile) {
                let why = format!("workflow {workflow}: there is no profile {profile}");
                return Some(Finding::new("PT-CHECK-011", Kind::Missing, why).at(Some(name.clone()), None));
            }
            let flow = match entry.playback_type {
                PlaybackType::Run => return None,
                PlaybackType::Fork => Flow::Fork { undisturbify: false, target_runid: None },
                PlaybackType::Archive => Flow::Archive { comment: None },
            };
            // One that can't be read was told already.
            let profile = library.open(profile).ok()?;
            let planned =
                with_options(|options| Plan::flow(&profile, preset, options, FlowRoots::default(), &flow));
            let error = planned.err()?;
            let why = format!("workflow {workflow}: {error}");
            Some(Finding::new(error.code(), Kind::Unreadable, why).at(Some(name.clone()), None))
        })
        .collect()
}

/// Plans for an app that nobody asks: nothing is sent or written.
fn with_options(
    plan: impl FnOnce(PlanOptions<'_>) -> Result<Plan, ReplayError>,
) -> Result<Plan, ReplayError> {
    let base = BaseUrl::parse("http://127.0.0.1/")?;
    plan(PlanOptions { base: &base, run_root: Some(Path::new("runs")), uuid: Uuid::nil() })
}
