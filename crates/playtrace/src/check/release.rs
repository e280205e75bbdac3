//! One coverage.py: the one that is asked for is the one that requirements pin and that is installed.

use std::path::Path;

use playtrace_covdata::config::Release;

use super::finding::{Check, Examined, Finding, Kind};
use super::settings::Place;
use super::shown;

/// Compares.
pub(super) fn examine(place: &Place) -> Examined {
    let wanted = place.coverage_py;
    let (mut findings, mut seen) = (Vec::new(), Vec::new());
    for path in &place.requirements {
        let name = shown(&place.root, path);
        let text = match fs_err::read_to_string(path) {
            Ok(text) => text,
            Err(error) => {
                findings.push(
                    Finding::new("PT-CHECK-010", Kind::Missing, error.to_string()).at(Some(name), None),
                );
                continue;
            }
        };
        let before = (findings.len(), seen.len());
        for (line, pin) in pins(&text) {
            let at = |finding: Finding| finding.at(Some(name.clone()), Some(line));
            match pin {
                Some(release) if is(wanted, &release) => seen.push(format!("pinned by {name}")),
                Some(release) => findings.push(at(Finding::new(
                    "PT-CHECK-010",
                    Kind::OtherRelease,
                    format!("coverage.py {release} is pinned, and {wanted} is asked for"),
                ))),
                None => findings.push(at(Finding::new(
                    "PT-CHECK-010",
                    Kind::NotPinned,
                    format!("coverage.py is required and not pinned: write coverage=={wanted}"),
                ))),
            }
        }
        if place.names_requirements && (findings.len(), seen.len()) == before {
            let why = format!("{name} does not require coverage.py: write coverage=={wanted}");
            findings.push(Finding::new("PT-CHECK-010", Kind::NotPinned, why).at(Some(name), None));
        }
    }
    if let Some(venv) = &place.venv {
        let name = shown(&place.root, venv);
        for release in installed(venv) {
            if is(wanted, &release) {
                seen.push(format!("installed in {name}"));
            } else {
                let why = format!("coverage.py {release} is installed in {name}, and {wanted} is asked for");
                findings.push(Finding::new("PT-CHECK-010", Kind::OtherRelease, why));
            }
        }
    }
    if findings.is_empty() && seen.is_empty() {
        return Examined::not_checked(
            Check::CoveragePy,
            format!("{wanted} is asked for; nothing here pins or holds one"),
        );
    }
    Examined::of(Check::CoveragePy, findings, format!("{wanted}, {}", seen.join(", ")))
}

fn is(wanted: Release, text: &str) -> bool {
    text.parse() == Ok(wanted)
}

/// Each requirement of coverage.py in a requirements file: its line, and the release if it is pinned.
fn pins(text: &str) -> Vec<(usize, Option<String>)> {
    (1..)
        .zip(text.lines())
        .filter_map(|(number, line)| {
            let line = line.split(" #").next().unwrap_or_default().trim();
            // PEP 508: a name, perhaps extras, then what is asked of the release.
            let rest =
                line.get(..8).filter(|name| name.eq_ignore_ascii_case("coverage")).and(line.get(8..))?;
            let rest = match rest.trim_start().strip_prefix('[') {
                Some(extras) => extras.split_once(']')?.1,
                None => rest,
            };
            let rest = rest.trim_start();
            if !rest.is_empty() && !rest.starts_with(['=', '<', '>', '!', '~', ';', '@', '\\']) {
                return None;
            }
            let pinned = rest.strip_prefix("===").or_else(|| rest.strip_prefix("==")).map(|release| {
                let release = release.trim_start();
                let end = release.find(|c: char| c == ';' || c == ',' || c.is_whitespace());
                release[..end.unwrap_or(release.len())].to_owned()
            });
            Some((number, pinned.filter(|release| !release.contains('*'))))
        })
        .collect()
}

/// The releases whose metadata lies in a virtual environment (the core metadata of PEP 376).
fn installed(venv: &Path) -> Vec<String> {
    let mut found = Vec::new();
    let Ok(pythons) = fs_err::read_dir(venv.join("lib")) else { return found };
    for python in pythons.flatten() {
        let Ok(packages) = fs_err::read_dir(python.path().join("site-packages")) else { continue };
        found.extend(packages.flatten().filter_map(|entry| {
            let name = entry.file_name().to_string_lossy().into_owned();
            Some(name.strip_prefix("coverage-")?.strip_suffix(".dist-info")?.to_owned())
        }));
    }
    found.sort();
    found.dedup();
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requirements_of_coverage_are_found_and_no_others() {
        let text = "flask==3.1.2\ncoverage==7.11.3 \\\n    --hash=sha256:00\nCoverage[toml] >= 7.0  # any\n\
                    coverage-badge==1.0\ncoverage\n# coverage==1.0\ncoverage == 7.11.3 ; python_version > '3'\ncoverage==7.11.*\n";
        let pin = |release: &str| Some(release.to_owned());
        assert_eq!(pins(text), [(2, pin("7.11.3")), (4, None), (6, None), (8, pin("7.11.3")), (9, None)]);
    }
}
