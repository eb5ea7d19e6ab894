//! Agents whose addresses contradict where they were let in for: what they measure is judged for nobody's
//! building.

use std::net::Ipv4Addr;

use busyhour_model::LinkKind;
use busyhour_store::{Control as _, Identities as _};
use jiff::civil::Date;

use crate::street::{Machine, Street, dates, house, subnet};

const REFLECTOR: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 7);

/// Two houses with two machines each, let in by tokens. Those of the first measure badly from ten to twelve on
/// a week's working days; before the first of these they are seen with the addresses that are given.
fn judged(seen_with: &[&str; 2]) -> (Street, Vec<Date>) {
    let machine =
        |house| Machine { house, link: LinkKind::Wired, seen_from: None, targets: vec![REFLECTOR] };
    let machines = [0, 0, 1, 1].map(machine).to_vec();
    let mut street = Street::enrolled(&["North", "East"], machines);
    let week = dates(5);
    for (number, local) in seen_with.iter().enumerate() {
        street.see(number, week[0], local);
    }
    for &date in &week {
        street.deliver(date, &|machine, _, minute| {
            if machine < 2 && (600..720).contains(&minute) { 3 } else { 0 }
        });
    }
    street.judge_after(week[4]);
    (street, week)
}

/// Who is off site, how many agents are in the first house, and how many of the windows that were judged for
/// it count.
fn found(street: &Street, week: &[Date]) -> (usize, usize, u32) {
    let off_site = street.control.identities().unwrap().iter().filter(|row| row.off_site).count();
    let houses = street.control.buildings().unwrap();
    let first = houses.iter().find(|one| one.name == house(0)).unwrap().id;
    let agents = street.control.agents().unwrap();
    let there = agents.iter().filter(|row| row.placement.is_some_and(|at| at.building == first));
    let days = street.control.days(Some(first), week[0], week[4]).unwrap();
    (off_site, there.count(), days.iter().map(|day| day.valid).sum())
}

#[test]
fn what_an_agent_measures_that_is_off_site_is_judged_for_no_building() {
    let (street, week) = judged(&[&subnet(0), &subnet(1)]);
    let (off_site, there, counted) = found(&street, &week);
    assert!((off_site, there) == (0, 2) && counted > 0, "{counted}");
    assert_eq!(street.alert().last_bad, week[4], "on site it is the building that suffers");

    // At home, and in the other house: they are listed, and nowhere.
    let (street, week) = judged(&["192.168.7.0/24", &subnet(2)]);
    assert_eq!(found(&street, &week), (2, 0, 0));
    let alerts: Vec<_> = street.incidents().into_iter().filter(|one| one.kind.alerts()).collect();
    assert_eq!(alerts, [], "nobody's building suffers from it");
}
