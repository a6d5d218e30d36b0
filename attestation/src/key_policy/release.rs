//! The attestation conditions of one statement: what they bind, and what they only seem to bind.
//!
//! All conditions of a statement must hold at once, so one that is not understood can only narrow
//! what the others leave. Counted are `StringEquals` and `StringEqualsIgnoreCase` alone: they do not
//! hold where the request has no attestation document.

use std::collections::BTreeSet;

use super::finding::Excerpt;
use super::hole::Hole;
use super::json::Json;
use super::syntax::{Condition, Trouble};
use super::{Measurements, Releases};
use crate::measure::Pcr;

const ATTESTATION: &str = "kms:recipientattestation:";

/// The values that a register may have; one of them must match.
type Values = BTreeSet<Pcr>;

/// What a statement binds.
#[derive(Default)]
struct Bound {
    image: Option<Values>,
    configuration: Option<Values>,
    policy: Option<Values>,
}

/// What is wrong with the conditions of a statement that gives `attested` actions, each with the hole
/// that it is when nothing is bound at all.
pub(super) fn troubles(
    conditions: &[Condition],
    unattested: &[Hole],
    releases: Releases<'_>,
) -> Vec<Trouble> {
    let mut troubles = Vec::new();
    let bound = Bound::read(conditions, &mut troubles);
    let holes = match &bound {
        Bound { image: None, configuration: None, policy: None } => unattested.to_vec(),
        Bound {
            image: Some(images),
            configuration: Some(configurations),
            policy: Some(policies),
        } => released(images, configurations, policies, releases).into_iter().collect(),
        Bound { image, configuration, policy } => [
            (image, Hole::ImageNotBound),
            (configuration, Hole::ConfigurationNotBound),
            (policy, Hole::PolicyNotBound),
        ]
        .into_iter()
        .filter(|(values, _)| values.is_none())
        .map(|(_, hole)| hole)
        .collect(),
    };
    troubles.extend(holes.into_iter().map(|hole| (hole, None)));
    troubles
}

impl Bound {
    fn read(conditions: &[Condition], troubles: &mut Vec<Trouble>) -> Self {
        let mut bound = Self::default();
        for Condition { operator, key, values } in conditions {
            let key = key.to_ascii_lowercase();
            let Some(register) = key.strip_prefix(ATTESTATION) else { continue };
            if passes_without_document(operator) {
                troubles.push((Hole::PassesWithoutDocument, Excerpt::of(operator)));
            }
            if !matches!(operator.as_str(), "StringEquals" | "StringEqualsIgnoreCase") {
                continue;
            }
            let slot = match register {
                "imagesha384" | "pcr0" => &mut bound.image,
                "pcr16" => &mut bound.configuration,
                "pcr17" => &mut bound.policy,
                _ => continue,
            };
            let read = measurements(values, register, troubles);
            // A second condition on the register narrows the first, so the first alone is safe to take.
            slot.get_or_insert(read);
        }
        bound
    }
}

/// The values that are measurements; the others are found. A number is none: those of 64 bits have
/// too few digits.
fn measurements(values: &[Json], register: &str, troubles: &mut Vec<Trouble>) -> Values {
    let mut read = Values::new();
    for value in values {
        let pcr = if let Json::Text(text) = value { text.parse::<Pcr>().ok() } else { None };
        match pcr {
            Some(pcr) if pcr.is_zero() => {
                troubles.push((Hole::ZeroMeasurement, Excerpt::of(register)));
            }
            Some(pcr) => drop(read.insert(pcr)),
            None => troubles.push((Hole::NotAMeasurement, Excerpt::of(register))),
        }
    }
    read
}

fn passes_without_document(operator: &str) -> bool {
    let operator = operator.to_ascii_lowercase();
    operator.ends_with("ifexists") || operator.starts_with("forallvalues:")
}

/// What is wrong with the combinations that a statement releases to. The number of steps is bounded:
/// the sets have no value twice, so that the first combinations that are all allowed are few.
fn released(
    images: &Values,
    configurations: &Values,
    policies: &Values,
    releases: Releases<'_>,
) -> Option<Hole> {
    let Releases::Exactly(allowed) = releases else {
        let several = [images, configurations, policies].into_iter().filter(|v| v.len() > 1);
        return (several.count() > 1).then_some(Hole::MixedMeasurements);
    };
    let mut combinations = images.iter().flat_map(|&pcr0| {
        configurations.iter().flat_map(move |&pcr16| {
            policies.iter().map(move |&pcr17| Measurements { pcr0, pcr16, pcr17 })
        })
    });
    combinations.any(|found| !allowed.contains(&found)).then_some(Hole::OtherMeasurements)
}
