//! Where it is: the place whose series suffer together while those beside it do not.
//!
//! Each observed series has a vote: for, when it suffered about as much as the one that raised the
//! question, against, when it hardly did. A place is worth the votes of what it holds, less what it
//! costs to assume one more fault. Of all ways to explain the votes by faults of upstream, building,
//! kind of link, subnet and agent the best one is taken; how sure it is follows from how much worse
//! the next best one is. Votes and costs are such that a place is named when about 80 % of its
//! children share what it is blamed for: a child that does not costs as much as four that do by
//! chance.

mod tree;

use std::collections::{BTreeMap, BTreeSet};

use busyhour_model::LinkKind;

use crate::finding::Place;
use crate::fleet::{AgentNo, BuildingNo, Fleet, Reach, SeriesInfo, SeriesNo, UpstreamNo};
use crate::layout::{Layout, spread};
use crate::suffer::{PLACE_DAYS, Suffering};

use self::tree::{Tree, Unit};

/// Suffering so much of what the asking series suffers is a full vote for, so much is none, and so
/// little is a full vote against.
const SHARED: f64 = 0.6;
const UNDECIDED: f64 = 0.4;
const SPARED: f64 = 0.15;
/// A series whose usual elevation leaves less than this share of what it could show says nothing.
const LEAST_ROOM: f64 = 0.2;
/// What full votes weigh: one that is spared speaks louder than one that shares.
const FOR: f64 = 3.0;
const AGAINST: f64 = -5.0;
/// A vote that rests on fewer bins, or on less than half of the days, weighs less in proportion.
const FULL_BINS: f64 = 4.0;
/// Below this elevation everything looks alike: votes weigh less in proportion.
const FAINT: f64 = 0.04;
/// A child that is fine costs no more than this, however many series it has.
const CHILD_AGAINST: f64 = -8.0;
/// What one more fault costs, by what is blamed.
const UPSTREAM: f64 = 3.5;
const BUILDING: f64 = 3.5;
const RADIO: f64 = 3.5;
const OTHER_LINK: f64 = 4.5;
const SUBNET: f64 = 3.0;
const AGENT: f64 = 2.5;
const TUNNEL: f64 = 2.5;
const TARGET: f64 = 3.0;
/// A vote from which on a way clearly does not suffer.
const CLEARLY_SPARED: f64 = -3.0;
/// How much worse the next best explanation is when those who could tell were not observed.
const UNSEEN_MARGIN: f64 = 1.0;
/// Days agree on a place when so many in a hundred point to it by themselves.
const AGREEING_PERCENT: usize = 60;
/// What each reason to doubt a place takes from its confidence.
const DOUBT: f64 = 0.12;
/// At most so many buildings behind an upstream are looked at, evenly spread: enough for 80 %, and
/// no more work for a large provider than for a small one.
const BUILDINGS: usize = 16;
/// And so many other series to a target or of a concentrator.
const OTHERS: usize = 64;

/// What one series says.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Vote {
    /// Above 0 when it suffers too, below when it does not.
    pub(crate) weight: f64,
    /// How much it suffers, 0..=1.
    pub(crate) suffers: f64,
}

/// The votes of all series that were asked.
pub(crate) type Votes = BTreeMap<SeriesNo, Vote>;

/// Where something is.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Located {
    pub(crate) place: Place,
    /// How sure that is, 0..=1.
    pub(crate) confidence: f64,
    /// At least half of the days point to it by themselves.
    pub(crate) most_days: bool,
    /// Series within the place that were observed, and those of them that suffer, in order.
    pub(crate) observed_within: usize,
    pub(crate) suffering: Vec<SeriesNo>,
    /// Series beside the place (behind the same upstream) that were observed, and how many of them
    /// suffer as well.
    pub(crate) observed_beside: usize,
    pub(crate) suffering_beside: usize,
    /// The series from the place to the site's edge that were observed, and how many suffer: `None`
    /// without any. Those of the whole building, of a place that is more than a part of it.
    pub(crate) near: Option<(usize, usize)>,
}

/// The vote of a series, where `asking` is how much those suffer that raised the question.
///
/// Elevation is the highest of several things, so that what is always elevated cannot show more: what
/// would be seen of it if it shared the fault is the rest, and the less that is, the less it says.
pub(crate) fn vote(seen: &Suffering, asking: &Suffering) -> Vote {
    let suffers = seen.more();
    // Days differ: what one saw is held against what the asking ones saw on the same days.
    let none = Vote { weight: 0.0, suffers };
    let Some(level) = asking.mean_with(seen) else { return none };
    let room = (level - seen.usual).max(0.0) / level.max(f64::MIN_POSITIVE);
    if room < LEAST_ROOM {
        return none;
    }
    let share = suffers / (level * room);
    let weight = if share >= UNDECIDED {
        FOR * ((share - UNDECIDED) / (SHARED - UNDECIDED)).min(1.0)
    } else {
        AGAINST * ((UNDECIDED - share) / (UNDECIDED - SPARED)).min(1.0)
    };
    let days = 2.0 * seen.seen() as f64 / asking.seen().max(1) as f64;
    let known = (f64::from(seen.bins) / FULL_BINS).min(1.0)
        * days.min(1.0)
        * (asking.more() / FAINT).min(1.0);
    Vote { weight: weight * known * room.min(1.0), suffers }
}

/// The vote of a series that says the same, or does not.
pub(crate) const fn says(same: bool) -> Vote {
    if same { Vote { weight: FOR, suffers: 1.0 } } else { Vote { weight: AGAINST, suffers: 0.0 } }
}

/// The series that are asked where something is: those of the building, of what it shares an
/// upstream with, of the same concentrator and of the same target. Bounded whatever the fleet.
pub(crate) fn asked(fleet: &Fleet, layout: &Layout, asking: SeriesNo) -> Vec<SeriesNo> {
    let Some(info) = fleet.info(asking) else { return Vec::new() };
    let mut buildings = vec![info.building];
    if let Some(upstream) = upstream_of(fleet, layout, info) {
        buildings = spread(layout.behind(upstream), BUILDINGS, |one| one == info.building);
    }
    let mut all: Vec<SeriesNo> =
        buildings.iter().flat_map(|&one| layout.of_building(one)).copied().collect();
    let tunnel = info.upstream.filter(|_| info.link == LinkKind::Vpn);
    let of_tunnel = tunnel.map_or(&[][..], |upstream| layout.tunnels(upstream));
    all.extend(spread(of_tunnel, OTHERS, |one| one == asking));
    let of_target = info.target.map_or(&[][..], |target| layout.to_target(target));
    let agents = spread(of_target, OTHERS, |one| one == asking);
    for series in agents.into_iter().filter_map(|series| fleet.info(series)) {
        let own = layout.of_building(series.building).iter().copied();
        all.extend(own.filter(|&one| fleet.info(one).is_some_and(|i| i.agent == series.agent)));
    }
    all.sort_unstable();
    all.dedup();
    all
}

/// What a building's series share on the way: the series' own upstream, or for a tunnel the one that
/// most of its building's other series have (the first of equals).
fn upstream_of(fleet: &Fleet, layout: &Layout, info: &SeriesInfo) -> Option<UpstreamNo> {
    if info.link != LinkKind::Vpn {
        return info.upstream;
    }
    let mut counts: BTreeMap<UpstreamNo, usize> = BTreeMap::new();
    for other in layout.of_building(info.building).iter().filter_map(|&no| fleet.info(no)) {
        if let Some(upstream) = other.upstream.filter(|_| other.link != LinkKind::Vpn) {
            *counts.entry(upstream).or_default() += 1;
        }
    }
    counts.into_iter().rev().max_by_key(|&(_, count)| count).map(|(upstream, _)| upstream)
}

/// Finds the place of what `asking` suffers from. `near` tells whether series to the sites' edges
/// have a say.
pub(crate) fn locate(
    fleet: &Fleet,
    layout: &Layout,
    asking: SeriesNo,
    votes: &Votes,
    days: usize,
    near: bool,
) -> Option<Located> {
    let info = fleet.info(asking)?;
    let (place, margin) = best(fleet, layout, info, votes, near);
    let others = |holds: &dyn Fn(&SeriesInfo) -> bool| {
        votes
            .iter()
            .filter(|&(&no, _)| fleet.info(no).is_some_and(|i| i.reach == Reach::Far && holds(i)))
            .map(|(&no, vote)| (no, vote.weight > 0.0))
            .collect::<Vec<_>>()
    };
    let within = others(&|one| place.holds(one));
    // A tunnel from behind an upstream passes it, too.
    let passes =
        |one: &SeriesInfo| matches!(place, Place::Upstream(_)) && one.link == LinkKind::Vpn;
    let beside = others(&|one| !place.holds(one) && !passes(one));
    let agents: BTreeSet<AgentNo> = votes
        .keys()
        .filter_map(|&no| fleet.info(no))
        .filter(|one| one.reach == Reach::Far && one.building == info.building)
        .map(|one| one.agent)
        .collect();
    let alone = within.len() + beside.len() <= 1 || (agents.len() == 1 && is_inside(place, info));
    let near_of_all = near_seen(fleet, info, Place::Building(info.building), votes);
    let (place, confidence) = if alone && near_of_all.is_none() {
        (Place::Unplaced(info.building), 0.0)
    } else {
        (place, confidence(margin, within.len() + beside.len(), days))
    };
    let suffering: Vec<SeriesNo> = within.iter().filter(|one| one.1).map(|one| one.0).collect();
    Some(Located {
        place,
        confidence,
        most_days: true,
        observed_within: within.len(),
        suffering,
        observed_beside: beside.len(),
        suffering_beside: beside.iter().filter(|one| one.1).count(),
        near: near_seen(fleet, info, place, votes),
    })
}

/// The place that explains the votes best, and how much worse the next best explanation is.
fn best(
    fleet: &Fleet,
    layout: &Layout,
    info: &SeriesInfo,
    votes: &Votes,
    near: bool,
) -> (Place, f64) {
    let upstream = upstream_of(fleet, layout, info);
    target_of(fleet, info, votes)
        .or_else(|| tunnel_of(fleet, info, votes, upstream, near))
        .unwrap_or_else(|| {
            let tree = Tree::of(fleet, votes, upstream, near);
            let (place, margin) = tree.place_of(info);
            (place, margin.min(unseen(fleet, layout, votes, upstream, info, place)))
        })
}

/// The votes of each of the bad days on which those who ask suffered enough to tell.
pub(crate) fn by_day(asking: &Suffering, seen: &[(SeriesNo, Suffering)]) -> Vec<Votes> {
    let own = (0..PLACE_DAYS).filter_map(|at| Some((at, asking.of_day(at)?)));
    let of = |(at, own): (usize, Suffering)| {
        let all = seen.iter().filter_map(|(no, one)| Some((*no, vote(&one.of_day(at)?, &own))));
        all.collect()
    };
    own.filter(|(_, own)| own.more() >= FAINT).map(of).collect()
}

impl Located {
    /// Takes what each day says by itself: days are what a place rests on, and places that only their
    /// sum points to are less sure.
    pub(crate) fn with_days(
        mut self,
        fleet: &Fleet,
        layout: &Layout,
        asking: SeriesNo,
        days: &[Votes],
        near: bool,
    ) -> Self {
        let Some(info) = fleet.info(asking) else { return self };
        let same = |votes: &&Votes| best(fleet, layout, info, votes, near).0 == self.place;
        let agreeing = days.iter().filter(same).count();
        self.most_days = agreeing * 2 >= days.len();
        if agreeing * 100 < days.len() * AGREEING_PERCENT {
            self.doubt();
        }
        self
    }

    /// Lowers the confidence for one reason to doubt the place.
    pub(crate) fn doubt(&mut self) {
        self.confidence = (self.confidence - DOUBT).max(0.0);
    }
}

/// How much worse at most the next best explanation is, when those who could tell were not observed:
/// other buildings behind the upstream, other subnets on the kind of link, other agents.
fn unseen(
    fleet: &Fleet,
    layout: &Layout,
    votes: &Votes,
    upstream: Option<UpstreamNo>,
    info: &SeriesInfo,
    place: Place,
) -> f64 {
    let own = || {
        let all = layout.of_building(info.building).iter();
        all.filter_map(|&no| Some((no, fleet.info(no)?))).filter(|(_, i)| i.reach == Reach::Far)
    };
    // Others exist, and none of them was seen.
    let hidden = |other: &dyn Fn(&SeriesInfo) -> bool| {
        own().any(|(_, one)| other(one))
            && !own().any(|(no, one)| other(one) && votes.contains_key(&no))
    };
    let agent = |one: &SeriesInfo| unit_of(one) == unit_of(info) && one.agent != info.agent;
    let unit = |one: &SeriesInfo| one.link == info.link && one.subnet != info.subnet;
    let kind = |one: &SeriesInfo| {
        one.subnet == info.subnet && one.link != info.link && one.link != LinkKind::Vpn
    };
    let beyond = || {
        let others = upstream.map_or(&[][..], |upstream| layout.behind(upstream));
        let seen = |building: &BuildingNo| {
            layout.of_building(*building).iter().any(|no| votes.contains_key(no))
        };
        others.len() > 1 && !others.iter().any(|one| *one != info.building && seen(one))
    };
    let open = match place {
        Place::Subnet(_, link) => {
            let other_kind = link.is_none() && hidden(&kind);
            hidden(&agent) || hidden(&unit) || other_kind || beyond()
        }
        Place::Agent(_) => hidden(&unit) || beyond(),
        Place::Building(_) | Place::Link(..) => beyond(),
        Place::Upstream(_) | Place::Vpn(_) | Place::Target(_) | Place::Unplaced(_) => false,
    };
    if open { UNSEEN_MARGIN } else { f64::MAX }
}

/// True for the places within a building that are no whole one, and the building itself.
fn is_inside(place: Place, info: &SeriesInfo) -> bool {
    match place {
        Place::Upstream(_) | Place::Vpn(_) | Place::Target(_) => false,
        Place::Building(_)
        | Place::Link(..)
        | Place::Subnet(..)
        | Place::Agent(_)
        | Place::Unplaced(_) => info.reach == Reach::Far,
    }
}

/// The near series of a place in a building: observed ones, and those that suffer. What others of the
/// building see on their way to its edge says nothing of a part that they are not in.
fn near_seen(
    fleet: &Fleet,
    info: &SeriesInfo,
    place: Place,
    votes: &Votes,
) -> Option<(usize, usize)> {
    let is_part = matches!(place, Place::Link(..) | Place::Subnet(..) | Place::Agent(_));
    let is_of_it = |one: &SeriesInfo| {
        one.reach == Reach::Near && one.building == info.building && (!is_part || place.holds(one))
    };
    let near: Vec<bool> = votes
        .iter()
        .filter(|&(&no, _)| fleet.info(no).is_some_and(is_of_it))
        .map(|(_, vote)| vote.weight > 0.0)
        .collect();
    (!near.is_empty()).then(|| (near.len(), near.iter().filter(|&&suffers| suffers).count()))
}

/// The target, when agents that suffer on the way to it clearly do not on their ways to others, and
/// outnumber those who do: two agents at least.
fn target_of(fleet: &Fleet, info: &SeriesInfo, votes: &Votes) -> Option<(Place, f64)> {
    let target = info.target?;
    // The highest vote of each agent's series to the target, and of those to others: a way that
    // suffers as well is not the target's.
    let mut agents: BTreeMap<AgentNo, (Option<f64>, Option<f64>)> = BTreeMap::new();
    for (&no, vote) in votes {
        let Some(one) = fleet.info(no).filter(|one| one.reach == Reach::Far) else { continue };
        let (here, elsewhere) = agents.entry(one.agent).or_default();
        let place = if one.target == Some(target) { here } else { elsewhere };
        *place = Some(place.map_or(vote.weight, |known| known.max(vote.weight)));
    }
    let says = |(here, elsewhere): &(Option<f64>, Option<f64>)| match (here, elsewhere) {
        (Some(here), Some(elsewhere)) if *here > 0.0 && *elsewhere <= CLEARLY_SPARED => *here,
        (Some(here), Some(elsewhere)) if *here > 0.0 && *elsewhere > 0.0 => -FOR,
        (Some(here), _) => here.min(0.0),
        (None, _) => 0.0,
    };
    if !agents.get(&info.agent).is_some_and(|own| says(own) > 0.0) {
        return None;
    }
    let margin = agents.values().map(says).sum::<f64>() - TARGET;
    (margin > 0.0).then_some((Place::Target(target), margin))
}

/// The concentrator, when assuming it explains the tunnels better than faults of their buildings.
fn tunnel_of(
    fleet: &Fleet,
    info: &SeriesInfo,
    votes: &Votes,
    upstream: Option<UpstreamNo>,
    near: bool,
) -> Option<(Place, f64)> {
    let shared = info.upstream.filter(|_| info.link == LinkKind::Vpn)?;
    let own = votes.iter().filter(|&(&no, _)| {
        fleet.info(no).is_some_and(|one| Place::Vpn(shared).holds(one) && one.reach == Reach::Far)
    });
    let mut buildings: BTreeMap<BuildingNo, f64> = BTreeMap::new();
    for (&no, vote) in own {
        let Some(one) = fleet.info(no) else { continue };
        *buildings.entry(one.building).or_default() += vote.weight;
    }
    let value: f64 = buildings.values().map(|weight| weight.max(CHILD_AGAINST)).sum();
    let tunnel = |no: &SeriesNo| fleet.info(*no).is_some_and(|one| one.link == LinkKind::Vpn);
    let direct: Votes =
        votes.iter().filter(|(no, _)| !tunnel(no)).map(|(&no, &vote)| (no, vote)).collect();
    let without = Tree::of(fleet, &direct, upstream, near).best();
    let with = Tree::of(fleet, votes, upstream, near).best();
    let margin = value - TUNNEL + without - with;
    (margin > 0.0).then_some((Place::Vpn(shared), margin))
}

/// How sure a place is that nothing else speaks against ([`Located::doubt`]): by how much worse the next
/// best explanation is, how many series were observed, on how many bad days.
///
/// The figures are shares of places that were right; `docs/DETECT.md` has the counts.
fn confidence(margin: f64, observed: usize, days: usize) -> f64 {
    const MARGINS: [f64; 5] = [0.5, 1.5, 3.5, 5.5, 10.0];
    const RIGHT: [f64; 6] = [0.4, 0.55, 0.88, 0.95, 0.97, 0.98];
    let at = MARGINS.iter().take_while(|&&edge| margin >= edge).count();
    let few_series = match observed {
        0..=2 => 0.1,
        3 => 0.04,
        _ => 0.0,
    };
    let few_days = match days {
        0 | 1 => 0.1,
        2 => 0.04,
        _ => 0.0,
    };
    (RIGHT.get(at).copied().unwrap_or(0.0) - few_series - few_days).max(0.0)
}

/// A building's units: its series by kind of link and subnet.
fn unit_of(info: &SeriesInfo) -> Unit {
    (info.link, info.subnet)
}

#[cfg(test)]
mod tests;
