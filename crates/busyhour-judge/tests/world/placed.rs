//! What places are made of here: the networks that tunnels are seen from, Microsoft's addresses; and
//! which worst hour an incident shows.

use std::net::Ipv4Addr;

use busyhour_model::{FindingKind, IncidentPlace, LinkKind, Segment, TargetName};

use crate::street::{Machine, Street, dates};

/// A reflector of one's own, another one, and an address of Teams' media.
const OWN: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 7);
const OTHER: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 8);
const MEDIA: Ipv4Addr = Ipv4Addr::new(52, 112, 0, 10);

fn wired(house: usize, targets: &[Ipv4Addr]) -> Machine {
    Machine { house, link: LinkKind::Wired, seen_from: None, targets: targets.to_vec() }
}

/// Three houses with two wired machines and a tunnel each; the tunnels are seen from these addresses.
fn tunnels(regions: [&str; 3], seen_from: [Option<Ipv4Addr>; 3]) -> Street {
    let mut machines = Vec::new();
    for (house, seen_from) in (0..).zip(seen_from) {
        let tunnel = Machine { house, link: LinkKind::Vpn, seen_from, targets: vec![OWN] };
        machines.extend([wired(house, &[OWN]), wired(house, &[OWN]), tunnel]);
    }
    Street::new(&regions, machines)
}

/// The places of what is open once all tunnels were bad from ten to twelve on a week's working days.
fn open_places(mut street: Street) -> Vec<IncidentPlace> {
    let week = dates(5);
    for &date in &week {
        street.deliver(date, &|machine, _, minute| {
            let suffers = machine % 3 == 2 && (600..720).contains(&minute);
            if suffers { 3 } else { 0 }
        });
    }
    street.judge_after(week[4]);
    let open = street.incidents().into_iter().filter(|one| one.kind.alerts() && one.is_open());
    open.map(|one| one.place).collect()
}

#[test]
fn a_concentrator_is_the_network_that_tunnels_are_seen_from() {
    let regions = ["North", "East", "South"];
    let seen = [5, 77, 200].map(|host| Some(Ipv4Addr::new(203, 0, 113, host)));
    let found = open_places(tunnels(regions, seen));
    assert_eq!(found, [IncidentPlace::Vpn("203.0.113.0/24".to_owned())]);
    // Of a region's tunnels of which nobody knows where they end, the region stands in.
    let found = open_places(tunnels(["North"; 3], [None; 3]));
    assert_eq!(found, [IncidentPlace::Vpn("North".to_owned())]);
}

#[test]
fn tunnels_that_are_seen_from_different_networks_share_no_concentrator() {
    let seen = [113, 114, 115].map(|net| Some(Ipv4Addr::new(203, 0, net, 5)));
    let found = open_places(tunnels(["North"; 3], seen));
    assert_eq!(found.len(), 3, "{found:?}");
    let shared = |place: &&IncidentPlace| {
        let IncidentPlace::Vpn(name) = place else { return false };
        !name.starts_with("203.0.")
    };
    assert_eq!(found.iter().find(shared), None);
}

#[test]
fn a_target_is_microsofts_by_its_address_and_by_nothing_else() {
    let segment = |faulty: usize| {
        let regions = ["North", "East", "South"];
        let both = |house| wired(house, &[MEDIA, OTHER]);
        let mut street = Street::new(&regions, (0..3).map(both).collect());
        let days = dates(3);
        for (number, &date) in days.iter().enumerate() {
            street.deliver(date, &|_, target, minute| {
                let fails = number == 2 && target == faulty && (600..720).contains(&minute);
                if fails { 5 } else { 0 }
            });
        }
        street.judge_after(days[2]);
        let incidents = street.incidents();
        let of_target = |kind| kind == FindingKind::TargetFault;
        let fault = incidents.iter().find(|one| of_target(one.kind)).unwrap();
        (fault.place.clone(), fault.segment)
    };
    let target = |address: Ipv4Addr| {
        IncidentPlace::Target(TargetName::new(format!("{address}:862")).unwrap())
    };
    assert_eq!(segment(0), (target(MEDIA), Segment::Microsoft));
    assert_eq!(segment(1), (target(OTHER), Segment::Unknown));
}

#[test]
fn the_worst_hour_is_one_of_the_incidents_own_of_the_path_that_suffered_most() {
    let regions = ["North", "East"];
    let machines = [0, 0, 1, 1].map(|house| wired(house, &[OWN]));
    let mut street = Street::new(&regions, machines.to_vec());
    let week = dates(5);
    for (number, &date) in week.iter().enumerate() {
        street.deliver(date, &|machine, _, minute| match (machine, minute) {
            (0, 600..720) => 2,
            (1, 600..720) => 3,
            // Once in the afternoon everything failed: worse, and no hour of what recurs.
            (0 | 1, 900..960) if number == 4 => 5,
            _ => 0,
        });
    }
    street.judge_after(week[4]);
    let alert = street.alert();
    assert_eq!((alert.hours.as_slice(), alert.last_bad), (&[(600, 720)][..], week[4]));
    let worst = alert.worst_hour.unwrap();
    assert_eq!(alert.worst_on, Some(week[3]), "that of the last day is another's");
    assert!((600..=660).contains(&worst.start_minute), "{worst:?}");
    assert_eq!((worst.bad, worst.valid), (12, 20), "of the machine that suffers more");
}
