//! Time zone and business hours from country and state, where only one answer is possible.

mod countries;

use std::collections::HashMap;

use super::{Draft, Findings};
use crate::BusinessHours;
use countries::{COUNTRIES, OTHER_HOURS, STATES, USUAL_HOURS};

/// Fills in what nobody told, and names the buildings where it cannot be told.
pub(super) fn fill(draft: &mut Draft, findings: &mut Findings) {
    let places = Places::new();
    for entry in &mut draft.buildings {
        let building = &mut entry.building;
        let code = places.country(&building.country);
        if building.business_hours.is_none() {
            building.business_hours = code.and_then(usual_hours);
        }
        if building.time_zone.is_none() {
            let zone = code.and_then(|code| places.zone(code, &entry.state));
            building.time_zone = zone.map(str::to_owned);
        }
        let needs = match (&building.time_zone, &building.business_hours) {
            (Some(_), Some(_)) => continue,
            (None, None) => "TimeZone and BusinessHours",
            (None, Some(_)) => "TimeZone",
            (Some(_), None) => "BusinessHours",
        };
        let message = format!(
            "building {:?} needs {needs}: country {:?} and state {:?} do not tell",
            building.name, building.country, entry.state,
        );
        let remedy = "tell it in the companion table; until then the building is not judged";
        findings.warning(entry.place, message, remedy);
    }
}

fn usual_hours(code: &'static str) -> Option<BusinessHours> {
    let other = OTHER_HOURS.iter().find(|(codes, _)| codes.split(' ').any(|c| c == code));
    other.map_or(USUAL_HOURS, |(_, hours)| hours).parse().ok()
}

/// The tables, by plain name.
struct Places {
    /// Code and zone; the zone is empty where the state decides.
    countries: HashMap<String, (&'static str, &'static str)>,
    states: HashMap<(&'static str, String), &'static str>,
}

impl Places {
    fn new() -> Self {
        let mut countries = HashMap::new();
        for (names, zone) in COUNTRIES {
            let code = names.split('|').next().unwrap_or_default();
            countries.extend(names.split('|').map(|name| (plain(name), (code, *zone))));
        }
        let mut states = HashMap::new();
        for (code, names, zone) in STATES {
            states.extend(names.split('|').map(|name| ((*code, plain(name)), *zone)));
        }
        Self { countries, states }
    }

    /// The two-letter code of a country that is written somehow.
    fn country(&self, text: &str) -> Option<&'static str> {
        self.countries.get(&plain(text)).map(|&(code, _)| code)
    }

    fn zone(&self, code: &'static str, state: &str) -> Option<&'static str> {
        let (_, zone) = self.countries.get(&plain(code))?;
        if !zone.is_empty() {
            return Some(zone);
        }
        let state = plain(state);
        let told = self.states.get(&(code, state.clone()));
        // "*" stands for every other state, but not for none.
        let rest = || self.states.get(&(code, "*".to_owned())).filter(|_| !state.is_empty());
        told.or_else(rest).copied()
    }
}

/// Letters and digits in lower case, so that "U.S.A." and "Usa" are the same.
fn plain(text: &str) -> String {
    if text == "*" {
        return text.to_owned();
    }
    text.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use jiff::tz::TimeZone;

    use super::*;

    #[test]
    fn every_zone_and_all_hours_of_the_tables_exist() {
        let zones = COUNTRIES.iter().map(|c| c.1).chain(STATES.iter().map(|s| s.2));
        for zone in zones.filter(|zone| !zone.is_empty()) {
            assert!(TimeZone::get(zone).is_ok(), "{zone}");
        }
        for (codes, hours) in OTHER_HOURS {
            assert!(hours.parse::<BusinessHours>().is_ok(), "{codes}");
            let known = |code: &str| COUNTRIES.iter().any(|c| c.0.starts_with(code));
            assert!(codes.split(' ').all(known), "{codes}");
        }
    }

    #[test]
    fn no_name_stands_for_two_places() {
        let mut countries = HashSet::new();
        for name in COUNTRIES.iter().flat_map(|c| c.0.split('|')) {
            assert!(countries.insert(plain(name)), "{name}");
        }
        let mut states = HashSet::new();
        for (code, names, _) in STATES {
            assert!(COUNTRIES.iter().any(|c| c.0.starts_with(code) && c.1.is_empty()), "{code}");
            for name in names.split('|') {
                assert!(states.insert((code, plain(name))), "{code} {name}");
            }
        }
    }

    #[test]
    fn zones_are_told_only_where_one_is_possible() {
        let places = Places::new();
        for (country, state, expected) in [
            ("DE", "", Some("Europe/Berlin")),
            ("Deutschland", "Bayern", Some("Europe/Berlin")),
            ("us", "WA", Some("America/Los_Angeles")),
            ("U.S.A.", "Washington", Some("America/Los_Angeles")),
            ("United States", "TX", None),
            ("US", "", None),
            ("Spain", "Madrid", Some("Europe/Madrid")),
            ("ES", "Las Palmas", Some("Atlantic/Canary")),
            ("ES", "", None),
            ("AU", "Queensland", Some("Australia/Brisbane")),
            ("CA", "BC", None),
            ("Atlantis", "", None),
            ("", "", None),
        ] {
            let code = places.country(country);
            let zone = code.and_then(|code| places.zone(code, state));
            assert_eq!(zone, expected, "{country} {state}");
        }
    }
}
