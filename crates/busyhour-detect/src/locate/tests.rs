//! Places from votes alone.

use busyhour_model::LinkKind;

use super::{Located, Vote, Votes, asked, locate, vote};
use crate::finding::Place;
use crate::fleet::{BuildingNo, Reach, SeriesNo, SubnetNo, UpstreamNo};
use crate::layout::Layout;
use crate::stage::Stage;
use crate::suffer::Suffering;

/// The vote of a series that is never elevated otherwise.
fn of(mean: f64, level: f64, bins: u32) -> Vote {
    vote(&seen(mean, 0.0, bins), &seen(level, 0.0, 24))
}

/// What was seen on three days that were alike.
fn seen(mean: f64, usual: f64, bins: u32) -> Suffering {
    let days = std::array::from_fn(|at| (at < 3).then_some(mean));
    Suffering { days, usual, bins }
}

/// What the series of a street suffer: those that are left out were not observed.
fn place_of(stage: &Stage, asking: u32, suffers: &[(u32, f64)], days: usize) -> Located {
    let level = suffers.iter().find(|(no, _)| *no == asking).unwrap().1;
    let votes: Votes =
        suffers.iter().map(|&(no, more)| (SeriesNo(no), of(more, level, 24))).collect();
    let layout = Layout::of(&stage.fleet);
    locate(&stage.fleet, &layout, SeriesNo(asking), &votes, days, true).unwrap()
}

/// All series of a street of so many buildings, those named suffering.
fn all(buildings: u32, suffering: &[u32]) -> Vec<(u32, f64)> {
    let suffers = |no| if suffering.contains(&no) { 0.3 } else { 0.0 };
    (0..buildings * 4).map(|no| (no, suffers(no))).collect()
}

#[test]
fn four_of_five_share_it_and_three_of_five_do_not() {
    let stage = Stage::street(5, 1);
    let of =
        |count: u32| place_of(&stage, 0, &all(5, &(0..count * 4).collect::<Vec<_>>()), 3).place;
    assert_eq!(of(5), Place::Upstream(UpstreamNo(0)));
    assert_eq!(of(4), Place::Upstream(UpstreamNo(0)));
    assert_eq!(of(3), Place::Building(BuildingNo(0)));
    assert_eq!(of(1), Place::Building(BuildingNo(0)));
}

#[test]
fn buildings_that_are_fine_to_their_edge_and_beyond_it_acquit_the_upstream() {
    let mut stage = Stage::street(6, 1);
    let mut suffers = Vec::new();
    for far in (0..6 * 4).filter(|no| no % 4 < 3) {
        let near = stage.add(far, |info| {
            info.reach = Reach::Near;
            info.upstream = None;
        });
        suffers.extend([(far, if far < 2 * 4 { 0.3 } else { 0.0 }), (near, 0.0)]);
    }
    let found = place_of(&stage, 0, &suffers, 3);
    assert_eq!(found.place, Place::Building(BuildingNo(0)));
    // Where all suffer beyond edges that are fine, it is what they share.
    suffers.iter_mut().for_each(|(no, suffers)| *suffers = if *no < 6 * 4 { 0.3 } else { 0.0 });
    assert_eq!(place_of(&stage, 0, &suffers, 3).place, Place::Upstream(UpstreamNo(0)));
}

#[test]
fn a_large_building_is_one_building_among_others() {
    let mut stage = Stage::street(3, 1);
    let mut suffering = vec![0, 1, 2, 3];
    for _ in 0..30 {
        let agent = stage.agent();
        suffering.push(stage.add(0, |info| info.agent = agent));
    }
    let mut votes = all(3, &suffering);
    votes.extend(suffering[4..].iter().map(|&no| (no, 0.3)));
    assert_eq!(place_of(&stage, 0, &votes, 3).place, Place::Building(BuildingNo(0)));
}

#[test]
fn siblings_that_suffer_a_little_less_still_share_it() {
    let stage = Stage::street(1, 1);
    let votes = [(0, 0.30), (1, 0.24), (2, 0.20), (3, 0.27)];
    let found = place_of(&stage, 0, &votes, 3);
    assert_eq!(found.place, Place::Building(BuildingNo(0)));
    assert_eq!(found.suffering.len(), 4);
}

#[test]
fn more_siblings_and_more_days_make_it_surer() {
    let stage = Stage::street(5, 1);
    let sure =
        |buildings: u32, days| place_of(&stage, 0, &all(buildings, &[0, 1, 2, 3]), days).confidence;
    assert!(sure(5, 3) > sure(5, 1), "days");
    assert!(sure(5, 3) >= 0.9 && sure(5, 3) < 1.0);
    // Two series of a building, and nothing beside it: another explanation is as good.
    let few = place_of(&stage, 0, &[(0, 0.3), (1, 0.3)], 3);
    assert!(few.confidence < 0.7, "{few:?}");
}

#[test]
fn a_single_observed_series_of_a_building_is_placed_by_others_only_when_they_suffer() {
    let stage = Stage::street(4, 1);
    let others =
        |more: f64| -> Vec<(u32, f64)> { (4..16).map(|no| (no, more)).chain([(0, 0.3)]).collect() };
    assert_eq!(place_of(&stage, 0, &others(0.0), 3).place, Place::Unplaced(BuildingNo(0)));
    assert_eq!(place_of(&stage, 0, &others(0.0), 3).confidence, 0.0);
    assert_eq!(place_of(&stage, 0, &others(0.3), 3).place, Place::Upstream(UpstreamNo(0)));
}

#[test]
fn all_wifi_of_a_building_is_its_wifi() {
    let mut stage = Stage::street(2, 1);
    let agent = stage.agent();
    stage.fleet.subnets.push("10.0.9.0/24".to_owned());
    let subnet = SubnetNo(stage.fleet.subnets.len() as u32 - 1);
    let second = stage.add(2, |info| (info.agent, info.subnet) = (agent, subnet));
    let mut votes = all(2, &[2]);
    votes.push((second, 0.3));
    assert_eq!(place_of(&stage, 2, &votes, 3).place, Place::Link(BuildingNo(0), LinkKind::Wifi));
    votes.last_mut().unwrap().1 = 0.0;
    assert_eq!(place_of(&stage, 2, &votes, 3).place, Place::Subnet(SubnetNo(2), None));
}

#[test]
fn a_tunnel_of_a_suffering_building_is_not_the_concentrators_fault() {
    let stage = Stage::street(4, 1);
    let found = place_of(&stage, 3, &all(4, &[0, 1, 2, 3]), 3);
    assert_eq!(found.place, Place::Building(BuildingNo(0)));
    let found = place_of(&stage, 3, &all(4, &[3, 7, 11, 15]), 3);
    assert_eq!(found.place, Place::Vpn(UpstreamNo(1)));
}

#[test]
fn votes_are_bounded_and_rest_on_what_was_seen() {
    assert!(of(0.3, 0.3, 100).weight > 0.0);
    assert_eq!(of(0.3, 0.3, 100).weight, of(0.9, 0.3, 100).weight);
    assert!(of(0.0, 0.3, 100).weight < -of(0.3, 0.3, 100).weight);
    assert!(of(0.3, 0.3, 1).weight < of(0.3, 0.3, 4).weight);
    assert!(of(0.01, 0.01, 100).weight < of(0.1, 0.1, 100).weight, "too faint to tell");
    assert_eq!(of(0.0, 0.0, 100).weight, 0.0);
}

#[test]
fn what_is_always_elevated_says_little() {
    let asking = seen(0.4, 0.0, 24);
    let usually = |usual: f64, mean: f64| vote(&seen(mean, usual, 24), &asking).weight;
    assert!(usually(0.0, 0.0) < usually(0.2, 0.2), "half of it could be seen");
    assert!(usually(0.2, 0.2) < 0.0);
    assert_eq!(usually(0.9, 0.9), 0.0, "nothing could be seen");
    assert!(usually(0.2, 0.4) > 0.0, "all of what could be seen");
}

#[test]
fn however_large_a_provider_is_a_bounded_number_is_asked() {
    let stage = Stage::street(16, 1);
    let mut large = Stage::street(16, 1);
    // Many more buildings behind the same upstream.
    for building in 16..600 {
        large.fleet.buildings.push(stage.fleet.buildings[0].clone());
        for like in 0..4 {
            large.add(like, |info| info.building = BuildingNo(building));
        }
    }
    let count = |stage: &Stage, asking: u32| {
        asked(&stage.fleet, &Layout::of(&stage.fleet), SeriesNo(asking)).len()
    };
    assert_eq!(count(&stage, 0), 64);
    assert!(count(&large, 0) <= 17 * 4);
    let own = asked(&large.fleet, &Layout::of(&large.fleet), SeriesNo(0));
    assert!([0, 1, 2, 3].iter().all(|&no| own.contains(&SeriesNo(no))), "its own building always");
}

#[test]
fn days_are_compared_with_the_same_days() {
    // The asking one suffers a lot on the first day, little on the second; another saw the second.
    let days = |first, second| {
        let mut days = [None; 10];
        (days[0], days[1]) = (first, second);
        Suffering { days, usual: 0.0, bins: 24 }
    };
    let asking = days(Some(0.8), Some(0.2));
    assert!(vote(&days(None, Some(0.18)), &asking).weight > 0.0);
    assert!(vote(&days(Some(0.18), None), &asking).weight < 0.0);
    let neither = Suffering { days: [None; 10], usual: 0.0, bins: 24 };
    assert_eq!(vote(&neither, &asking).weight, 0.0);
}

#[test]
fn siblings_that_nobody_observed_leave_it_open() {
    let stage = Stage::street(3, 1);
    let sure = |suffers: &[(u32, f64)]| place_of(&stage, 0, suffers, 3).confidence;
    let seen = sure(&[(0, 0.3), (1, 0.0), (2, 0.0), (4, 0.0), (5, 0.0)]);
    // The other wired subnet was silent: it may share the fault.
    let silent = sure(&[(0, 0.3), (2, 0.0), (4, 0.0), (5, 0.0)]);
    assert!(seen >= 0.9 && silent < 0.7, "{seen} {silent}");
}

#[test]
fn a_subnet_that_suffers_on_all_its_kinds_of_link_is_the_subnet() {
    let mut stage = Stage::street(2, 1);
    let agent = stage.agent();
    let on_air = stage.add(0, |info| (info.agent, info.link) = (agent, LinkKind::Wifi));
    let mut votes = all(2, &[0]);
    votes.push((on_air, 0.3));
    let both = place_of(&stage, 0, &votes, 3);
    assert_eq!(both.place, Place::Subnet(SubnetNo(0), None));
    votes.last_mut().unwrap().1 = 0.0;
    let wired = place_of(&stage, 0, &votes, 3);
    assert_eq!(wired.place, Place::Subnet(SubnetNo(0), Some(LinkKind::Wired)));
    // Nobody saw whether its Wi-Fi suffers: whether it is all of it stays open.
    votes.pop();
    let half = place_of(&stage, 0, &votes, 3);
    assert_eq!(half.place, Place::Subnet(SubnetNo(0), None));
    assert!(half.confidence < 0.7 && both.confidence > 0.8, "{half:?} {both:?}");
}

#[test]
fn of_a_part_of_a_building_only_its_own_ways_to_the_edge_tell() {
    let mut stage = Stage::street(2, 1);
    let mut near = |far: u32| stage.add(far, |info| info.reach = Reach::Near);
    let (first, second, third) = (near(0), near(1), near(2));
    let edges = |suffers: [f64; 3]| [first, second, third].into_iter().zip(suffers);
    let found = |suffering: &[u32], at_edge: [f64; 3]| {
        let mut votes = all(2, suffering);
        votes.extend(edges(at_edge));
        let found = place_of(&stage, 0, &votes, 3);
        (found.place, found.near)
    };
    let subnet = Place::Subnet(SubnetNo(0), None);
    assert_eq!(found(&[0], [0.3, 0.0, 0.0]), (subnet, Some((1, 1))));
    let building = Place::Building(BuildingNo(0));
    assert_eq!(found(&[0, 1, 2, 3], [0.0, 0.0, 0.0]), (building, Some((3, 0))));
}

#[test]
fn one_agent_alone_gets_no_guess_however_many_ways_it_measures() {
    let mut stage = Stage::street(2, 1);
    let other_way = stage.add(0, |_| {});
    let mut votes: Vec<(u32, f64)> = (4..8).map(|no| (no, 0.0)).collect();
    votes.extend([(0, 0.3), (other_way, 0.3)]);
    let found = place_of(&stage, 0, &votes, 3);
    assert_eq!(found.place, Place::Unplaced(BuildingNo(0)));
    assert_eq!(found.confidence, 0.0);
}
