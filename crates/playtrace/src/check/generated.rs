//! The generated workflows against the list that they are generated from.

use super::finding::{Check, Examined, Finding, Kind, at_its_place};
use super::settings::Place;
use crate::commands::workflows::ListArgs;
use crate::commands::workflows::check::{What, compare, sentence};
use crate::commands::workflows::generate::write_again;
use crate::messages::Failure;

/// Compares; where it may mend and must, generates them again and says their names.
pub(super) fn examine(place: &Place) -> Result<(Examined, Vec<String>), Failure> {
    let Some(list) = &place.list else {
        return Ok((Examined::not_checked(Check::Workflows, "there is no list of profiles"), Vec::new()));
    };
    let list = ListArgs { root: place.root.clone(), list: list.clone() };
    let entries = match list.read() {
        Ok(entries) => entries,
        Err(failure) => {
            let finding = at_its_place(&place.root, failure.code, &failure.message);
            return Ok((Examined::of(Check::Workflows, vec![finding], list.name()), Vec::new()));
        }
    };
    let compared = compare(&list, &entries, &[], false)?;
    let detail = format!("{} files of {}", compared.files, list.name());
    if place.fix && !compared.differences.is_empty() {
        let written = write_again(&list, &entries)?;
        return Ok((Examined::of(Check::Workflows, Vec::new(), detail), written));
    }
    let findings = compared
        .differences
        .iter()
        .map(|difference| {
            let kind = match difference.what {
                What::Missing => Kind::Missing,
                What::Differs => Kind::Differs,
                What::NotInTheList => Kind::NotInTheList,
            };
            Finding::new("PT-CHECK-012", kind, sentence(difference))
                .at(Some(difference.file.clone()), difference.line)
        })
        .collect();
    Ok((Examined::of(Check::Workflows, findings, detail), Vec::new()))
}
