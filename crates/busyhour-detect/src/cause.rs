//! The likely cause: what speaks for and against each category of the planning guide, with figures.
//!
//! A place makes causes likely, and likely alone names none: something has to show the cause by itself.
//! A queue shows a full link; several machines that suffer together show that it is none of them;
//! irregular delay shows the air. What is left when all else is excluded is not known.

use std::collections::BTreeSet;

use busyhour_model::{Breach, LinkKind};

use crate::beside::{Beside, MediaPath};
use crate::figures::{Figures, ratio};
use crate::finding::{Cause, Evidence, Finding, FindingKind, Mechanism, Place, Segment};
use crate::fleet::{AgentNo, Fleet, SeriesNo};
use crate::tell::{count_of, millis, percent};

/// A queue is seen when round trips rise by this much at the bad hours, and by a tenth; or when loss
/// follows delay (Kendall's tau, in thousandths).
const QUEUE_RISE_US: u32 = 5_000;
const QUEUE_TAU: i16 = 300;
/// Below this rise delay is flat: what is lost is dropped without waiting.
const FLAT_RISE_US: u32 = 2_000;
/// A cause is named when it is this probable and leads by this much (log-odds).
const NAMED: f64 = 0.6;
const LEADS: f64 = 1.0;
/// Of a place that is less than likely nothing follows.
const PLACED: f64 = 0.6;
/// The air is seen when so many of the bad windows break the limit of jitter, or when jitter is so high
/// at the bad hours.
const AIR_BAD: f64 = 0.25;
const AIR_JITTER_US: u32 = 10_000;
/// Irregular delay is what a machine that cannot keep up shows as well.
const MACHINE_JITTER: f64 = 0.5;
/// Packets are on time when so few of the bad windows break the limit of jitter, and when jitter rises
/// by less than this: a machine that cannot keep up sends and takes late.
const ON_TIME_BAD: f64 = 0.1;
const ON_TIME_RISE_US: u32 = 2_000;
/// What one machine that suffers alone weighs for that machine.
const ONE_MACHINE: f64 = 0.8;
/// Nobody knows, before any evidence.
const UNKNOWN: f64 = 1.0;
/// A machine is overloaded, and clearly not.
const HOST_FULL: f64 = 0.9;
const HOST_IDLE: f64 = 0.5;
/// A weak signal, a crowded channel, many retries.
const WEAK_DBM: i16 = -70;
const CROWDED: f64 = 0.6;
const RETRIED: f64 = 0.2;
/// Marks are lost when a tenth of the packets arrive without.
const MARK_LOST: f64 = 0.1;
/// Code points change on the way when a hundredth does.
const REMARKED: f64 = 0.01;

const CAUSES: [Cause; 9] = [
    Cause::Bandwidth,
    Cause::Wifi,
    Cause::Vpn,
    Cause::FirewallOrProxy,
    Cause::Qos,
    Cause::Provider,
    Cause::SubnetOrNetworkDevice,
    Cause::Device,
    Cause::CollectorOrAgent,
];

/// What was concluded.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Conclusion {
    pub(crate) cause: Cause,
    pub(crate) confidence: f64,
    pub(crate) mechanism: Mechanism,
    pub(crate) segment: Segment,
    pub(crate) evidence: Vec<Evidence>,
}

/// Weighs what is known of a finding.
pub(crate) fn conclude(
    fleet: &Fleet,
    finding: &Finding,
    figures: &Figures,
    beside: &Beside,
) -> Conclusion {
    let on = kinds_of_link(fleet, &finding.members);
    let mechanism = mechanism(figures, &on);
    let mut scales = Scales::default();
    if finding.confidence >= PLACED {
        scales.shown = shown(fleet, finding, figures, &on);
    }
    from_place(&mut scales, fleet, finding, &on);
    from_figures(&mut scales, figures, mechanism, finding.place);
    from_hours(&mut scales, finding);
    from_time(&mut scales, finding, figures, &on);
    from_edge(&mut scales, finding);
    from_hosts(&mut scales, fleet, finding, beside);
    from_radio(&mut scales, finding, beside);
    from_checks(&mut scales, fleet, finding, beside);
    from_marks(&mut scales, finding, beside);
    let (cause, confidence) = scales.verdict();
    let mut evidence = scales.evidence;
    evidence.sort_by(|a, b| b.weight.abs().total_cmp(&a.weight.abs()).then(a.cause.cmp(&b.cause)));
    let segment = segment(fleet, finding);
    Conclusion { cause, confidence, mechanism, segment, evidence }
}

#[derive(Default)]
struct Scales {
    evidence: Vec<Evidence>,
    /// Causes that something shows by itself: only these are named.
    shown: BTreeSet<Cause>,
}

impl Scales {
    fn put(&mut self, cause: Cause, weight: f64, text: &str) {
        self.evidence.push(Evidence { cause, weight, text: text.to_owned() });
    }

    /// The same of evidence that shows the cause, whatever the place.
    fn show(&mut self, cause: Cause, weight: f64, text: &str) {
        self.put(cause, weight, text);
        self.shown.insert(cause);
    }

    /// The cause that leads clearly and is shown, and how probable it is.
    fn verdict(&self) -> (Cause, f64) {
        let of = |cause: Cause| {
            let own = self.evidence.iter().filter(|one| one.cause == cause);
            prior(cause) + own.map(|one| one.weight).sum::<f64>()
        };
        let mut odds: Vec<(f64, Cause)> = CAUSES.into_iter().map(|one| (of(one), one)).collect();
        odds.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
        let all: f64 = odds.iter().map(|(weight, _)| weight.exp()).sum::<f64>() + UNKNOWN.exp();
        match odds.as_slice() {
            [(best, cause), (second, _), ..] => {
                let probable = best.exp() / all;
                let leads = probable >= NAMED && best - second >= LEADS;
                let clear = leads && self.shown.contains(cause);
                if clear { (*cause, probable) } else { (Cause::NotKnown, 1.0 - probable) }
            }
            _ => (Cause::NotKnown, 1.0),
        }
    }
}

/// What a cause weighs before anything is seen: these two are seldom what is bad at busy hours only.
const fn prior(cause: Cause) -> f64 {
    match cause {
        Cause::FirewallOrProxy | Cause::Qos => -1.0,
        _ => 0.0,
    }
}

/// The links of the members: how many are on the air, in a tunnel, and how many there are; and of how
/// many machines.
struct Links {
    wifi: usize,
    tunnel: usize,
    all: usize,
    machines: usize,
}

impl Links {
    /// True when none is on the air or in a tunnel.
    const fn is_wire(&self) -> bool {
        self.wifi == 0 && self.tunnel == 0
    }
}

fn kinds_of_link(fleet: &Fleet, members: &[SeriesNo]) -> Links {
    let count = |kind| {
        let on = |no: &&SeriesNo| fleet.info(**no).is_some_and(|info| info.link == kind);
        members.iter().filter(on).count()
    };
    let machines: BTreeSet<AgentNo> =
        members.iter().filter_map(|no| Some(fleet.info(*no)?.agent)).collect();
    Links {
        wifi: count(LinkKind::Wifi),
        tunnel: count(LinkKind::Vpn),
        all: members.len(),
        machines: machines.len(),
    }
}

/// The causes that what was measured shows by itself, where the place is sure enough.
fn shown(fleet: &Fleet, finding: &Finding, figures: &Figures, on: &Links) -> BTreeSet<Cause> {
    let by_jitter = by(figures, Breach::Jitter);
    let several = on.machines >= 2;
    let air = by_jitter >= AIR_BAD || figures.peak_jitter_us.is_some_and(|us| us >= AIR_JITTER_US);
    // One machine that suffers may be the reason itself: a queue that only delays is none of its.
    let queue = waits(figures) && by_jitter < MACHINE_JITTER;
    let constant = finding.kind == FindingKind::ConstantFault;
    let cable = (constant && drops(figures)) || (on.is_wire() && is_on_time(figures));
    let uneven = constant && on.is_wire() && is_uneven(figures);
    let known = match finding.place {
        // Buildings of one region may have nothing in common but their hours.
        Place::Upstream(no) if fleet.regions.contains(&no) => Vec::new(),
        Place::Upstream(_) => vec![Cause::Provider],
        Place::Building(_) if waits(figures) => vec![Cause::Bandwidth],
        Place::Vpn(_) if several => vec![Cause::Vpn],
        Place::Link(..) | Place::Subnet(..) if several => {
            vec![Cause::Wifi, Cause::Vpn, Cause::SubnetOrNetworkDevice]
        }
        Place::Link(..) | Place::Subnet(..) => {
            let network = (queue || cable).then_some(Cause::SubnetOrNetworkDevice);
            let machine = uneven.then_some(Cause::Device);
            network.into_iter().chain(machine).chain(air.then_some(Cause::Wifi)).collect()
        }
        Place::Agent(_) => vec![Cause::Device, Cause::CollectorOrAgent],
        Place::Building(_) | Place::Vpn(_) | Place::Target(_) | Place::Unplaced(_) => Vec::new(),
    };
    known.into_iter().collect()
}

/// True when round trips wait at the bad hours.
fn waits(figures: &Figures) -> bool {
    figures
        .rise_us()
        .is_some_and(|rise| rise >= QUEUE_RISE_US && rise >= figures.quiet_rtt_us.unwrap_or(0) / 10)
}

/// True when most of what is bad is lost without any wait.
fn drops(figures: &Figures) -> bool {
    is_lost(figures) && figures.rise_us().is_some_and(|rise| rise < FLAT_RISE_US)
}

/// True when packets are lost and those that are not come on time.
fn is_on_time(figures: &Figures) -> bool {
    is_lost(figures)
        && by(figures, Breach::Jitter) < ON_TIME_BAD
        && figures.jitter_rise_us().is_some_and(|rise| rise < ON_TIME_RISE_US)
}

/// True when packets come at irregular times and are not lost.
fn is_uneven(figures: &Figures) -> bool {
    by(figures, Breach::Jitter) >= MACHINE_JITTER && !is_lost(figures)
}

/// True when loss is what is bad.
fn is_lost(figures: &Figures) -> bool {
    by(figures, Breach::Loss).max(by(figures, Breach::Burst)) >= 0.5
}

/// The share of bad windows that break a limit, 0..=1.
fn by(figures: &Figures, breach: Breach) -> f64 {
    ratio(figures.peak.bad_by[breach as usize], figures.peak.bad)
}

fn mechanism(figures: &Figures, on: &Links) -> Mechanism {
    let by = |breach: Breach| by(figures, breach);
    if figures.peak.bad == 0 {
        return Mechanism::NotKnown;
    }
    if by(Breach::Failed) >= 0.5 {
        return Mechanism::Outage;
    }
    let waits = waits(figures);
    let all_wifi = on.all > 0 && on.wifi == on.all;
    if all_wifi && (by(Breach::Jitter) >= 0.5 || !waits) {
        return Mechanism::Radio;
    }
    if waits || figures.delay_with_loss.is_some_and(|tau| tau >= QUEUE_TAU) {
        return Mechanism::Queue;
    }
    if drops(figures) { Mechanism::Drop } else { Mechanism::NotKnown }
}

/// What the place makes likely, the more so the surer it is.
fn from_place(scales: &mut Scales, fleet: &Fleet, finding: &Finding, on: &Links) {
    let sure = 0.5 + 0.5 * finding.confidence;
    let siblings = &finding.siblings;
    let shared = format!(
        "{} within {} suffer and {} beside it do not",
        count_of(siblings.suffering, siblings.within, "observed paths"),
        finding.place.name(fleet),
        siblings.beside.saturating_sub(siblings.suffering_beside),
    );
    let radio = finding.place.link() == Some(LinkKind::Wifi) || (on.all > 0 && on.wifi == on.all);
    let tunnel = finding.place.link() == Some(LinkKind::Vpn) || (on.all > 0 && on.tunnel == on.all);
    let list: &[(Cause, f64)] = match finding.place {
        Place::Upstream(no) if fleet.regions.contains(&no) => &[],
        Place::Upstream(_) => &[(Cause::Provider, 3.2), (Cause::Bandwidth, 0.8)],
        Place::Vpn(_) => &[(Cause::Vpn, 3.6)],
        Place::Building(_) => &[(Cause::Bandwidth, 3.2), (Cause::Provider, 0.8)],
        Place::Link(..) | Place::Subnet(..) if radio => &[(Cause::Wifi, 3.4)],
        Place::Link(..) | Place::Subnet(..) if tunnel => &[(Cause::Vpn, 3.0)],
        Place::Link(..) | Place::Subnet(..) => &[(Cause::SubnetOrNetworkDevice, 3.2)],
        Place::Agent(_) => &[(Cause::CollectorOrAgent, 2.4), (Cause::Device, 1.2)],
        Place::Target(_) => &[(Cause::Provider, 0.5)],
        Place::Unplaced(_) if radio => &[(Cause::Wifi, 0.8)],
        Place::Unplaced(_) if tunnel => &[(Cause::Vpn, 0.8)],
        Place::Unplaced(_) => &[],
    };
    for &(cause, weight) in list {
        scales.put(cause, weight * sure, &shared);
    }
    if matches!(finding.place, Place::Link(..) | Place::Subnet(..)) && on.machines == 1 {
        let text = "one machine alone shows it: it may be the machine's own";
        scales.put(Cause::Device, ONE_MACHINE, text);
        scales.put(Cause::CollectorOrAgent, ONE_MACHINE / 2.0, text);
    }
}

fn from_figures(scales: &mut Scales, figures: &Figures, mechanism: Mechanism, place: Place) {
    let machine = matches!(place, Place::Agent(_));
    let rise = figures.rise_us().map_or_else(String::new, |rise| {
        format!(
            "round trips take {} longer at the bad hours ({} against {})",
            millis(rise),
            millis(figures.peak_rtt_us.unwrap_or(0)),
            millis(figures.quiet_rtt_us.unwrap_or(0)),
        )
    });
    match mechanism {
        Mechanism::Queue => {
            let text = figures.delay_with_loss.map_or_else(
                || rise.clone(),
                |tau| format!("{rise}; loss follows delay with tau {}", f64::from(tau) / 1_000.0),
            );
            scales.put(Cause::Bandwidth, 0.6, &text);
            scales.put(Cause::Provider, 0.3, &text);
            if machine {
                scales.put(Cause::Device, -0.5, &text);
                scales.put(Cause::CollectorOrAgent, 0.5, &text);
            }
        }
        Mechanism::Drop => {
            let text = format!(
                "{} of the packets are lost at the bad hours and {rise}: dropped, not delayed",
                percent(figures.peak.loss()),
            );
            scales.put(Cause::SubnetOrNetworkDevice, 0.4, &text);
            scales.put(Cause::Bandwidth, 0.2, &text);
            if machine {
                scales.put(Cause::Device, 1.5, &text);
            }
        }
        Mechanism::Radio => {
            let jitter = figures.peak_jitter_us.map_or_else(
                || "irregular delay or bursts of loss over the air".to_owned(),
                |jitter| format!("jitter over the air is {} at the bad hours", millis(jitter)),
            );
            scales.put(Cause::Wifi, 0.6, &jitter);
        }
        Mechanism::Outage => {
            let failed = figures.peak.bad_by[Breach::Failed as usize];
            let text = format!("nothing came back in {failed} of {} bad checks", figures.peak.bad);
            scales.put(Cause::Bandwidth, -1.0, &text);
            scales.put(Cause::FirewallOrProxy, 0.8, &text);
        }
        Mechanism::NotKnown => {}
    }
    // Some remarks are of answers: of all that was sent no more than all were changed.
    let remarked = ratio(figures.peak.remarked, figures.peak.sent).min(1.0);
    if remarked >= REMARKED {
        let text =
            format!("{} of the packets had their mark changed on the way", percent(remarked));
        scales.put(Cause::Qos, 1.5, &text);
    }
}

/// What is bad at all hours is not what load does.
fn from_hours(scales: &mut Scales, finding: &Finding) {
    if finding.kind != FindingKind::ConstantFault {
        return;
    }
    let text = "it is bad at all hours, not only under load";
    for cause in [Cause::Bandwidth, Cause::Provider, Cause::Wifi, Cause::Vpn] {
        scales.put(cause, -1.5, text);
    }
    scales.put(Cause::SubnetOrNetworkDevice, 1.5, text);
    scales.put(Cause::Device, 1.0, text);
}

/// Whether what one machine on a wire suffers can be the machine's own.
fn from_time(scales: &mut Scales, finding: &Finding, figures: &Figures, on: &Links) {
    let (Some(bad), Some(quiet)) = (figures.peak_jitter_us, figures.quiet_jitter_us) else {
        return;
    };
    if on.machines != 1 || !on.is_wire() {
        return;
    }
    if is_on_time(figures) {
        let text = format!(
            "what is not lost comes on time (jitter is {} against {}): the machine keeps up",
            millis(bad),
            millis(quiet),
        );
        scales.put(Cause::CollectorOrAgent, -1.0, &text);
        scales.put(Cause::Device, -0.5, &text);
    } else if finding.kind == FindingKind::ConstantFault && is_uneven(figures) {
        let text = format!(
            "jitter on a wire is {} at all hours without loss: the machine is uneven",
            millis(bad),
        );
        scales.put(Cause::Device, 2.5, &text);
        scales.put(Cause::CollectorOrAgent, 0.5, &text);
        scales.put(Cause::SubnetOrNetworkDevice, -2.5, &text);
    }
}

/// What series to the building's own edge say: from the place itself, where it is a part of the
/// building.
fn from_edge(scales: &mut Scales, finding: &Finding) {
    let siblings = &finding.siblings;
    if siblings.near == 0 {
        return;
    }
    let text = format!(
        "{} to the building's own edge suffer as well",
        count_of(siblings.suffering_near, siblings.near, "paths"),
    );
    let inside = if siblings.suffering_near * 2 >= siblings.near { 1.0 } else { -1.0 };
    for cause in [Cause::Wifi, Cause::SubnetOrNetworkDevice] {
        scales.put(cause, 0.8 * inside, &text);
    }
    for cause in [Cause::Bandwidth, Cause::Provider, Cause::Vpn] {
        scales.put(cause, -0.8 * inside, &text);
    }
}

fn from_hosts(scales: &mut Scales, fleet: &Fleet, finding: &Finding, beside: &Beside) {
    let own = |agent| {
        let of = |no: &SeriesNo| fleet.info(*no).is_some_and(|info| info.agent == agent);
        finding.members.iter().any(of)
    };
    let seen = beside.hosts.iter().filter(|host| finding.bad_days.contains(&host.date));
    let busy: Vec<f64> = seen.filter(|host| own(host.agent)).map(|host| host.busy).collect();
    let Some(mean) = mean(&busy) else { return };
    let text = format!("the measuring machines were up to {} busy then", percent(mean));
    if mean >= HOST_FULL {
        scales.show(Cause::CollectorOrAgent, 3.0, &text);
    } else if mean <= HOST_IDLE {
        scales.put(Cause::CollectorOrAgent, -2.5, &text);
        scales.put(Cause::Device, 0.5, &text);
    }
}

fn from_radio(scales: &mut Scales, finding: &Finding, beside: &Beside) {
    let seen = || {
        beside.radio.iter().filter(|facts| {
            finding.bad_days.contains(&facts.date) && finding.members.contains(&facts.series)
        })
    };
    let signal: Vec<f64> = seen().filter_map(|one| one.signal_dbm.map(f64::from)).collect();
    if let Some(mean) = mean(&signal) {
        let text = format!("the signal was {mean:.0} dBm");
        weigh_air(scales, mean <= f64::from(WEAK_DBM), 1.0, &text);
    }
    let busy: Vec<f64> = seen().filter_map(|one| one.channel_busy).collect();
    if let Some(mean) = mean(&busy) {
        let text = format!("the channel was in use for {} of the time", percent(mean));
        weigh_air(scales, mean >= CROWDED, 1.2, &text);
    }
    let retries: Vec<f64> = seen().filter_map(|one| one.retries).collect();
    if let Some(mean) = mean(&retries).filter(|mean| *mean >= RETRIED) {
        scales.show(Cause::Wifi, 0.8, &format!("{} of the frames were sent again", percent(mean)));
    }
}

/// The air is bad, or it is not.
fn weigh_air(scales: &mut Scales, is_bad: bool, weight: f64, text: &str) {
    if is_bad {
        scales.show(Cause::Wifi, weight, text);
    } else {
        scales.put(Cause::Wifi, -0.3, text);
    }
}

fn from_checks(scales: &mut Scales, fleet: &Fleet, finding: &Finding, beside: &Beside) {
    let own = |building| {
        let of = |no: &SeriesNo| fleet.info(*no).is_some_and(|info| info.building == building);
        finding.members.iter().any(of)
    };
    let Some(last) = beside.checks.iter().filter(|one| own(one.building)).max_by_key(|c| c.date)
    else {
        return;
    };
    match last.seen {
        MediaPath::Open => scales.put(Cause::FirewallOrProxy, -1.5, "media leaves by UDP directly"),
        MediaPath::UdpBlocked => {
            scales.show(Cause::FirewallOrProxy, 4.5, "UDP is blocked: calls fall back to TCP");
        }
        MediaPath::Proxied => {
            scales.show(Cause::FirewallOrProxy, 4.0, "media goes through a proxy or is inspected");
        }
    }
}

fn from_marks(scales: &mut Scales, finding: &Finding, beside: &Beside) {
    let seen = || {
        beside.marks.iter().filter(|one| {
            finding.bad_days.contains(&one.date) && finding.members.contains(&one.series)
        })
    };
    let of =
        |figure: fn(&crate::MarkedTraffic) -> f64| mean(&seen().map(figure).collect::<Vec<f64>>());
    let (Some(marked), Some(unmarked), Some(lost)) =
        (of(|one| one.marked_bad), of(|one| one.unmarked_bad), of(|one| one.mark_lost))
    else {
        return;
    };
    let text = format!(
        "{} of the marked and {} of the unmarked checks are bad, {} of the marks are lost",
        percent(marked),
        percent(unmarked),
        percent(lost),
    );
    if marked * 2.0 < unmarked {
        scales.put(Cause::Qos, -1.5, &text);
        scales.show(Cause::Bandwidth, 1.0, &text);
    } else {
        scales.show(Cause::Qos, if lost >= MARK_LOST { 4.5 } else { 1.0 }, &text);
    }
}

fn mean(values: &[f64]) -> Option<f64> {
    (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
}

/// Whose part of the way a place is.
fn segment(fleet: &Fleet, finding: &Finding) -> Segment {
    let siblings = &finding.siblings;
    match finding.place {
        Place::Upstream(no) if fleet.regions.contains(&no) => Segment::Unknown,
        Place::Upstream(_) => Segment::Provider,
        Place::Vpn(_) | Place::Building(_) => Segment::CustomerWan,
        Place::Target(no) if fleet.microsoft.contains(&no) => Segment::Microsoft,
        Place::Target(_) => Segment::Unknown,
        Place::Link(..) | Place::Subnet(..) | Place::Agent(_) => Segment::CustomerLan,
        Place::Unplaced(_) if siblings.suffering_near > 0 => Segment::CustomerLan,
        Place::Unplaced(_) => Segment::Unknown,
    }
}

#[cfg(test)]
mod tests;
