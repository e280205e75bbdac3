//! The matrix of reports.

use std::collections::{BTreeMap, BTreeSet};

use playtrace_model::MeasuredPath;

use super::gaps::{different_versions, files, gaps};
use super::known::{Known, symbol_ref};
use super::{Gaps, Matrix, MatrixProfile, MatrixTotals, SymbolEntry};
use crate::reached::Reached;
use crate::{AnalysisError, Inventory, ProfileReport, RunSteps, percent};

/// Compares reports, each with the name of the file that it comes from; `steps` are of the same runs, likewise named.
pub fn build_matrix(
    reports: &[(String, ProfileReport)],
    steps: &[(String, RunSteps)],
    inventory: Option<&Inventory>,
    timestamp: String,
) -> Result<Matrix, AnalysisError> {
    let mut by_profile: BTreeMap<&str, (&str, &ProfileReport)> = BTreeMap::new();
    for (name, report) in reports {
        report.check(name)?;
        if let Some((first, _)) = by_profile.insert(&report.profile, (name, report)) {
            return Err(AnalysisError::DuplicateProfile {
                profile: report.profile.clone(),
                first: first.to_owned(),
                second: name.clone(),
            });
        }
    }
    if by_profile.is_empty() {
        return Err(AnalysisError::NoReports);
    }
    let reports: Vec<&ProfileReport> = by_profile.into_values().map(|(_, report)| report).collect();
    let known = Known::collect(&reports, inventory);

    let mut profile_symbols: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut symbol_profiles: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for report in &reports {
        let keys: BTreeSet<String> =
            report.covered_functions().map(|symbol| known.key(&symbol_ref(symbol))).collect();
        for key in &keys {
            symbol_profiles.entry(key.clone()).or_default().push(report.profile.clone());
        }
        profile_symbols.insert(report.profile.clone(), keys.into_iter().collect());
    }
    let mut only_here: BTreeMap<String, Vec<String>> =
        reports.iter().map(|report| (report.profile.clone(), Vec::new())).collect();
    for (key, profiles) in &symbol_profiles {
        if let [only] = profiles.as_slice() {
            only_here.entry(only.clone()).or_default().push(key.clone());
        }
    }

    let gaps = gaps(&reports, inventory.is_some(), &known, &symbol_profiles);
    let profiles: Vec<MatrixProfile> = reports
        .iter()
        .map(|report| MatrixProfile {
            profile: report.profile.clone(),
            status: report.status,
            reasons: report.reasons.clone(),
            timestamp: report.timestamp.clone(),
            measured: report.measured,
            requests: report.requests,
            jobs: report.jobs,
            files: report.summary.file_count,
            lines_covered: report.summary.lines_covered,
            lines_total: report.summary.lines_total,
            symbols: profile_symbols[&report.profile].len(),
            only_here: only_here[&report.profile].len(),
        })
        .collect();
    let totals = totals(&reports, &gaps, &symbol_profiles, &only_here);
    let mut reached = Reached::collect(&reports, steps, &known.by_first_line())?;
    let symbols = known
        .symbols
        .iter()
        .map(|(reference, (symbol, _))| {
            let key = known.key(reference);
            let covered_by = symbol_profiles.get(&key).map_or(&[][..], Vec::as_slice);
            let only_failed_steps = reached.only_failed(&key, covered_by);
            let steps = reached.by_symbol.remove(&key).unwrap_or_default().into_iter().collect();
            (key, SymbolEntry { symbol: symbol.clone(), steps, only_failed_steps })
        })
        .collect();
    let mut notes = notes(&reports, inventory);
    notes.append(&mut reached.notes);
    Ok(Matrix {
        format: Matrix::FORMAT.to_owned(),
        version: Matrix::VERSION,
        timestamp,
        profiles,
        profile_symbols,
        symbol_profiles,
        only_here,
        symbols,
        steps: reached.steps,
        routes: reached.routes,
        steps_not_traced: reached.not_traced,
        traffic_routes: BTreeMap::new(),
        gaps,
        totals,
        notes,
    })
}

fn totals(
    reports: &[&ProfileReport],
    gaps: &Gaps,
    symbol_profiles: &BTreeMap<String, Vec<String>>,
    only_here: &BTreeMap<String, Vec<String>>,
) -> MatrixTotals {
    let mut covered: BTreeMap<&MeasuredPath, BTreeSet<u32>> = BTreeMap::new();
    let mut counted: BTreeMap<&MeasuredPath, BTreeSet<u32>> = BTreeMap::new();
    let touched: BTreeSet<&MeasuredPath> =
        files(reports).filter(|file| file.is_touched()).map(|file| &file.path).collect();
    for file in files(reports) {
        counted.entry(&file.path).or_default().extend(file.executed_lines.iter().chain(&file.missing_lines));
        if file.lines_covered > 0 {
            covered.entry(&file.path).or_default().extend(&file.executed_lines);
        }
    }
    let lines_covered = covered.values().map(BTreeSet::len).sum();
    let lines_total = counted.values().map(BTreeSet::len).sum();
    MatrixTotals {
        profiles: reports.len(),
        requests: sum_of_known(reports.iter().map(|report| report.requests)),
        jobs: sum_of_known(reports.iter().map(|report| report.jobs)),
        files: touched.len(),
        lines_covered,
        lines_total,
        coverage_percent: percent(lines_covered, lines_total),
        symbols: symbol_profiles.len(),
        only_here: only_here.values().map(Vec::len).sum(),
        unreached_symbols: gaps.symbols.len(),
        unreached_files: gaps.files.len(),
    }
}

/// "Not known" plus "not known" is not 0.
fn sum_of_known(numbers: impl Iterator<Item = Option<u64>>) -> Option<u64> {
    numbers.flatten().reduce(|sum, number| sum + number)
}

fn notes(reports: &[&ProfileReport], inventory: Option<&Inventory>) -> Vec<String> {
    let mut notes: Vec<String> = different_versions(reports, inventory)
        .into_iter()
        .map(|path| {
            format!("{path}: reports and inventory were made from different versions of it; its lines and symbols may be mixed up")
        })
        .collect();
    if inventory.is_none() {
        notes.push(
            "no inventory was given: symbols of files that no profile touches are not in the list of gaps"
                .to_owned(),
        );
    }
    notes
}
