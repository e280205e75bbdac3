//! Requests and jobs against symbols: which route reaches what, and what failed steps alone reach.

use std::collections::{BTreeMap, BTreeSet};

use playtrace_model::MeasuredPath;
use serde::{Deserialize, Serialize};

use crate::{AnalysisError, ProfileReport, RunSteps, StepInfo, StepKind, route_of};

/// A request or job in the matrix.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MatrixStep {
    /// The profile whose run it is of.
    pub profile: String,
    /// What it is, and how it ended.
    #[serde(flatten)]
    pub info: StepInfo,
}

/// The requests of one method and path.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct MatrixRoute {
    /// The profiles that send such requests.
    pub profiles: BTreeSet<String>,
    /// The requests, as keys of the matrix's `steps`.
    pub steps: Vec<String>,
    /// How many of them failed.
    pub failed: usize,
    /// Keys of the functions and methods that they entered.
    pub symbols: BTreeSet<String>,
}

/// What the steps of all profiles come to.
#[derive(Debug, Default)]
pub(crate) struct Reached {
    pub(crate) steps: BTreeMap<String, MatrixStep>,
    pub(crate) routes: BTreeMap<String, MatrixRoute>,
    /// Key of a symbol → keys of the steps that entered it.
    pub(crate) by_symbol: BTreeMap<String, BTreeSet<String>>,
    pub(crate) not_traced: Vec<String>,
    pub(crate) notes: Vec<String>,
}

impl Reached {
    /// Looks up what `steps` entered. `symbols` has the keys by file and first line; code that is no symbol's (a lambda, a
    /// comprehension) is left out, and so are files whose source is another one than was measured.
    pub(crate) fn collect(
        reports: &[&ProfileReport],
        steps: &[(String, RunSteps)],
        symbols: &BTreeMap<(&MeasuredPath, u32), String>,
    ) -> Result<Self, AnalysisError> {
        for (name, of) in steps {
            of.check(name)?;
        }
        let mut reached = Self::default();
        for report in reports {
            let mine = steps.iter().find(|(_, of)| of.profile == report.profile);
            match mine {
                Some((_, of)) if report.run.as_ref() == Some(&of.run) => {
                    reached.add(report, of, symbols);
                }
                Some((name, of)) => {
                    reached.not_traced.push(report.profile.clone());
                    let theirs =
                        report.run.as_ref().map_or("an unknown run".to_owned(), |run| format!("run {run}"));
                    reached.notes.push(format!(
                        "{name} is of run {}, and the report of {} of {theirs}: its steps are left out",
                        of.run, report.profile
                    ));
                }
                None => reached.not_traced.push(report.profile.clone()),
            }
        }
        Ok(reached)
    }

    fn add(
        &mut self,
        report: &ProfileReport,
        of: &RunSteps,
        symbols: &BTreeMap<(&MeasuredPath, u32), String>,
    ) {
        let stale: BTreeSet<&MeasuredPath> =
            report.files.iter().filter(|file| file.stale).map(|file| &file.path).collect();
        for step in &of.steps {
            let key = format!("{}:{}", report.profile, step.scope);
            let entered: BTreeSet<&String> = step
                .functions
                .iter()
                .filter(|(path, _)| !stale.contains(path))
                .flat_map(|(path, lines)| lines.iter().filter_map(move |line| symbols.get(&(path, *line))))
                .collect();
            for symbol in &entered {
                self.by_symbol.entry((*symbol).clone()).or_default().insert(key.clone());
            }
            if step.what.kind == StepKind::Request {
                let route = self.routes.entry(route_of(&step.what.what)).or_default();
                route.profiles.insert(report.profile.clone());
                route.steps.push(key.clone());
                route.failed += usize::from(step.what.failed);
                route.symbols.extend(entered.into_iter().cloned());
            }
            let info = step.what.clone();
            self.steps.insert(key, MatrixStep { profile: report.profile.clone(), info });
        }
    }

    /// Whether failed steps alone reach a symbol. A profile that covers it outside its steps (or whose steps are not known)
    /// may have done so without any failure.
    pub(crate) fn only_failed(&self, symbol: &str, covered_by: &[String]) -> bool {
        let Some(keys) = self.by_symbol.get(symbol) else { return false };
        let steps: Vec<&MatrixStep> = keys.iter().filter_map(|key| self.steps.get(key)).collect();
        steps.iter().all(|step| step.info.failed)
            && covered_by.iter().all(|profile| steps.iter().any(|step| step.profile == *profile))
    }
}
