//! Where it is: the building, one kind of link in it, a subnet, or a subnet on one kind of link.

use std::collections::{BTreeMap, BTreeSet};

use busyhour_model::{LinkKind, SubnetId};

use crate::quarters::Quarters;

/// What this share of the observed members has belongs to the whole; counted, never weighted.
pub(crate) const SHARE_PERCENT: usize = 80;
/// A whole needs at least so many observed members to be told from its only one.
const MEMBERS: usize = 2;

/// The agents of a subnet on one kind of link.
pub(crate) type Unit = (SubnetId, LinkKind);

/// Where something recurs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Place {
    /// `None` when it is the whole building's.
    pub(crate) subnet: Option<SubnetId>,
    /// `None` when every observed kind of link has it.
    pub(crate) link: Option<LinkKind>,
    pub(crate) hours: Quarters,
}

impl Place {
    pub(crate) fn holds(&self, unit: Unit) -> bool {
        self.subnet.is_none_or(|subnet| subnet == unit.0)
            && self.link.is_none_or(|link| link == unit.1)
    }
}

/// Finds the places from the units that were observed, each with the hours it is bad at (none when
/// it is fine). What the building shares is taken first, then what its subnets share on one kind of
/// link; the rest is the subnets' own.
pub(crate) fn places(units: &BTreeMap<Unit, Quarters>) -> Vec<Place> {
    let mut rest = units.clone();
    let mut found = Vec::new();
    let kinds: BTreeSet<LinkKind> = units.keys().map(|unit| unit.1).collect();
    let one_kind = kinds.iter().filter(|_| kinds.len() > 1).map(|&kind| Some(kind));
    for link in std::iter::once(None).chain(one_kind) {
        if let Some(hours) = shared_by_subnets(&rest, link) {
            for (_, own) in rest.iter_mut().filter(|(unit, _)| link.is_none_or(|l| l == unit.1)) {
                *own = own.away_from(hours);
            }
            found.push(Place { subnet: None, link, hours });
        }
    }
    for (&(subnet, link), &hours) in &rest {
        if hours.is_empty() {
            continue;
        }
        let siblings = || units.iter().filter(|((s, l), _)| *s == subnet && *l != link);
        let alone = siblings().any(|(_, hours_there)| !hours_there.overlaps(hours));
        let place = Place { subnet: Some(subnet), link: alone.then_some(link), hours };
        match found.iter_mut().find(|p| p.subnet == place.subnet && p.link == place.link) {
            Some(known) => known.hours = known.hours.or(hours),
            None => found.push(place),
        }
    }
    found
}

/// The hours that enough of the observed subnets have, on one kind of link or on every kind that is
/// observed there.
fn shared_by_subnets(units: &BTreeMap<Unit, Quarters>, link: Option<LinkKind>) -> Option<Quarters> {
    let mut subnets: BTreeMap<SubnetId, Vec<Quarters>> = BTreeMap::new();
    for (&(subnet, kind), &hours) in units {
        if link.is_none_or(|link| link == kind) {
            subnets.entry(subnet).or_default().push(hours);
        }
    }
    let near: Vec<Quarters> = subnets
        .values()
        .map(|kinds| {
            let near: Vec<Quarters> = kinds.iter().map(|hours| hours.dilated()).collect();
            Quarters::in_at_least(&near, kinds.len())
        })
        .collect();
    let own = subnets.values().flatten().fold(Quarters::default(), |all, &hours| all.or(hours));
    let needed = (subnets.len() * SHARE_PERCENT).div_ceil(100);
    let shared = Quarters::in_at_least(&near, needed).and(own);
    (subnets.len() >= MEMBERS && !shared.is_empty()).then_some(shared)
}

#[cfg(test)]
mod tests {
    use super::*;

    const WIRED: LinkKind = LinkKind::Wired;
    const WIFI: LinkKind = LinkKind::Wifi;

    /// Units as (subnet, link, hours as whole clock hours); the places as (subnet, link).
    fn check(units: &[(u128, LinkKind, &[u16])], expected: &[(Option<u128>, Option<LinkKind>)]) {
        let units = units
            .iter()
            .map(|&(subnet, link, hours)| {
                let hours = hours.iter().fold(Quarters::default(), |set, &hour| {
                    set.or(Quarters::between(hour * 60, hour * 60 + 60))
                });
                ((SubnetId::from_u128(subnet), link), hours)
            })
            .collect();
        let found: Vec<_> = places(&units)
            .into_iter()
            .map(|place| (place.subnet.map(SubnetId::as_u128), place.link))
            .collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn what_all_subnets_share_is_the_buildings() {
        check(&[(1, WIRED, &[10]), (2, WIRED, &[10]), (2, WIFI, &[10])], &[(None, None)]);
    }

    #[test]
    fn one_of_three_subnets_is_its_own() {
        check(&[(1, WIRED, &[13]), (2, WIRED, &[]), (3, WIRED, &[])], &[(Some(1), None)]);
    }

    #[test]
    fn an_only_subnet_is_not_the_building() {
        check(&[(1, WIRED, &[13])], &[(Some(1), None)]);
    }

    #[test]
    fn the_link_is_named_when_its_sibling_is_good() {
        check(&[(1, WIRED, &[]), (1, WIFI, &[14]), (2, WIRED, &[])], &[(Some(1), Some(WIFI))]);
    }

    #[test]
    fn wifi_everywhere_is_the_buildings_wifi() {
        let units: &[(u128, LinkKind, &[u16])] =
            &[(1, WIRED, &[]), (1, WIFI, &[14]), (2, WIRED, &[]), (2, WIFI, &[14])];
        check(units, &[(None, Some(WIFI))]);
    }

    #[test]
    fn subnets_that_are_bad_at_different_hours_share_nothing() {
        check(&[(1, WIRED, &[9]), (2, WIRED, &[15])], &[(Some(1), None), (Some(2), None)]);
    }

    #[test]
    fn what_a_subnet_has_beyond_the_shared_hours_is_its_own() {
        check(&[(1, WIRED, &[10, 15]), (2, WIRED, &[10])], &[(None, None), (Some(1), None)]);
    }

    #[test]
    fn subnets_that_are_fine_give_no_place() {
        check(&[(1, WIRED, &[]), (2, WIFI, &[])], &[]);
    }
}
