//! Prefixes against each other, and against those that every home has.

use std::collections::{BTreeMap, HashMap};
use std::net::{IpAddr, Ipv4Addr};

use ipnet::{IpNet, Ipv4Net};

use super::{Draft, DraftBuilding, DraftNetwork, Findings, Place};

/// What home routers and telephones hand out by default ("Quality of Experience Review Guide"): a
/// machine at home looks as if it were in the building.
const HOME_PREFIXES: [Ipv4Net; 6] = [
    home(10, 0, 0),
    home(192, 168, 0),
    home(192, 168, 1),
    home(192, 168, 2),
    home(172, 20, 10),
    home(192, 168, 43),
];

const fn home(a: u8, b: u8, c: u8) -> Ipv4Net {
    Ipv4Net::new_assert(Ipv4Addr::new(a, b, c, 0), 24)
}

/// A larger network that holds a home prefix is somebody's plan for a whole company, not a branch.
const LARGEST_WITH_HOMES: u8 = 16;

pub(super) fn check(draft: &Draft, findings: &mut Findings) {
    check_names(draft, findings);
    let mut by_prefix: BTreeMap<(IpAddr, u8), Vec<&DraftNetwork>> = BTreeMap::new();
    for network in &draft.networks {
        let prefix = network.subnet.prefix;
        by_prefix.entry((prefix.addr(), prefix.prefix_len())).or_default().push(network);
        check_home(network, findings);
    }
    // In this order a prefix comes right after those that hold it.
    let mut around: Vec<&DraftNetwork> = Vec::new();
    for same in by_prefix.values() {
        check_same(draft, same, findings);
        let first = same[0];
        while around.pop_if(|outer| !outer.subnet.prefix.contains(&first.subnet.prefix)).is_some() {
        }
        if let Some(outer) = around.last() {
            for network in same {
                warn_nested(network, outer, findings);
            }
        }
        around.push(first);
    }
}

/// Equal prefixes must each have an egress prefix, all different.
fn check_same(draft: &Draft, same: &[&DraftNetwork], findings: &mut Findings) {
    for (position, network) in same.iter().enumerate().skip(1) {
        let clash = same[..position].iter().find(|earlier| {
            let egresses = (earlier.subnet.egress, network.subnet.egress);
            egresses.0 == egresses.1 || egresses.0.is_none() || egresses.1.is_none()
        });
        let Some(earlier) = clash else { continue };
        let prefix = network.subnet.prefix;
        let message = format!(
            "{prefix} is there twice: here and for {:?} ({})",
            draft.buildings[earlier.building].building.name,
            at(earlier.place),
        );
        let remedy = if earlier.building == network.building {
            "delete one of them"
        } else {
            "give both an EgressPrefix in the companion table that tells them apart"
        };
        findings.error(network.place, message, remedy);
    }
}

fn warn_nested(network: &DraftNetwork, outer: &DraftNetwork, findings: &mut Findings) {
    let message = format!(
        "{} lies inside {} ({}); the longest prefix wins",
        network.subnet.prefix,
        outer.subnet.prefix,
        at(outer.place),
    );
    let remedy = "the Call Quality Dashboard does not take overlaps: split the larger network";
    findings.warning(network.place, message, remedy);
}

fn check_home(network: &DraftNetwork, findings: &mut Findings) {
    let IpNet::V4(prefix) = network.subnet.prefix else { return };
    let around =
        |home: &&Ipv4Net| prefix.contains(*home) && prefix.prefix_len() >= LARGEST_WITH_HOMES;
    let at_home = HOME_PREFIXES.iter().find(|home| home.contains(&prefix));
    let relation = if at_home.is_some() { "lies in" } else { "holds" };
    let at_home = at_home.or_else(|| HOME_PREFIXES.iter().find(around));
    let (Some(home), None) = (at_home, network.subnet.egress) else { return };
    let message = format!("{prefix} {relation} {home}, which many homes use too");
    let remedy = "give it an EgressPrefix in the companion table, so that machines at home do not \
                  count for the building";
    findings.warning(network.place, message, remedy);
}

/// Two buildings whose names differ in case only are most likely one, mistyped.
fn check_names(draft: &Draft, findings: &mut Findings) {
    let mut seen: HashMap<String, &DraftBuilding> = HashMap::new();
    for building in &draft.buildings {
        let name = &building.building.name;
        let Some(first) = seen.get(&name.to_lowercase()) else {
            seen.insert(name.to_lowercase(), building);
            continue;
        };
        let message = format!(
            "the building {name:?} differs from {:?} ({}) in case only, and counts as another",
            first.building.name,
            at(first.place),
        );
        findings.warning(building.place, message, "write the name of a building always the same");
    }
}

fn at(place: Place) -> String {
    format!("{}, line {}", place.source, place.line)
}
