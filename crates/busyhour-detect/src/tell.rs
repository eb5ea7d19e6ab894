//! The sentence for the Quality Champion and the paragraph for an engineer. Every number in them is
//! one of the finding's figures.

mod words;

use std::collections::BTreeSet;
use std::fmt::Write as _;

use busyhour_model::{Breach, IncidentState, LIKELY, LimitTable, LinkKind, SURE};

use crate::figures::{Counts, Figures};
use crate::finding::{Cause, Finding, FindingKind, Place};
use crate::fleet::{BuildingNo, Fleet, SeriesNo, UpstreamNo};

use self::words::{capital, clock, days, listed, long_date, rounded, two_digits, weekdays};
pub(crate) use self::words::{count_of, millis, percent};

/// The days that a sentence counts: the last observed working days.
const COUNTED_DAYS: usize = 5;

/// A finding and what is told of it.
pub(crate) struct Story<'a> {
    pub(crate) fleet: &'a Fleet,
    pub(crate) finding: &'a Finding,
    pub(crate) figures: &'a Figures,
    /// What the daily average is held against; `None` where no limits are published.
    pub(crate) limits: Option<&'a LimitTable>,
}

impl Story<'_> {
    /// One sentence or a few that need no training: where, what it does to calls, when, since when,
    /// how bad, what the daily average says, whose it is.
    pub(crate) fn sentence(&self) -> String {
        match self.finding.kind {
            FindingKind::RecurringPeak
            | FindingKind::WeeklyPattern
            | FindingKind::ConstantFault => self.recurring(),
            FindingKind::OneOff => self.once(),
            FindingKind::LevelShift => self.shifted(),
            FindingKind::TargetFault => self.target(),
            FindingKind::EarlyWarning => self.early(),
            FindingKind::Drift => self.drift(),
        }
    }

    fn recurring(&self) -> String {
        let finding = self.finding;
        let mut text = format!(
            "{}: {} {}",
            self.place(),
            self.figures.peak.dominant().map_or("calls suffer", Breach::effect_on_calls),
            self.when()
        );
        if finding.state == IncidentState::Suspected {
            let _ = write!(text, " on {}; it has not recurred yet.", long_date(finding.last_bad));
        } else {
            let _ = write!(text, ", {}.", self.how_often());
        }
        if let Some((date, series, worst)) = self.figures.worst {
            let _ = write!(
                text,
                " In the worst hour of {} ({}–{}{}), {} of {} checks missed the limits for calls",
                long_date(date),
                clock(worst.minute),
                clock(worst.minute + 60),
                self.elsewhere(series),
                worst.bad,
                worst.valid,
            );
            if finding.kind != FindingKind::ConstantFault && self.figures.quiet.valid > 0 {
                let quiet = &self.figures.quiet;
                let _ = write!(
                    text,
                    "; outside busy hours {} of {} did, over all paths and bad days",
                    quiet.bad, quiet.valid
                );
            }
            text.push('.');
        }
        text.push_str(&self.average());
        text.push_str(&self.whose());
        if finding.stale {
            text.push_str(" Nobody has observed it for ten working days.");
        }
        match finding.state {
            IncidentState::Closed => {
                let (bad, last) = self.bad_of_last();
                let _ = write!(
                    text,
                    " Now it was bad on {bad} of the last {last} observed working days: this is over.",
                );
            }
            IncidentState::Recovering => {
                text.push_str(" The last observed days were better.");
            }
            IncidentState::Suspected | IncidentState::Open => {}
        }
        text
    }

    fn how_often(&self) -> String {
        let finding = self.finding;
        let observed = &finding.observed_days;
        let since = long_date(finding.first_bad);
        let (bad, last) = self.bad_of_last();
        let over = finding.state == IncidentState::Closed;
        if finding.kind == FindingKind::WeeklyPattern || last == 0 || over {
            return format!("on {} so far, since {since}", days(finding.bad_days.len()));
        }
        let whole = if observed.len() > COUNTED_DAYS { "last " } else { "" };
        format!("on {bad} of the {whole}{} observed working days, since {since}", last)
    }

    /// The bad ones of the last observed days, and how many of these are counted.
    fn bad_of_last(&self) -> (usize, usize) {
        let finding = self.finding;
        let last = finding.observed_days.iter().rev().take(COUNTED_DAYS);
        let bad = last.clone().filter(|date| finding.bad_days.contains(date)).count();
        (bad, last.count())
    }

    fn when(&self) -> String {
        if self.finding.kind == FindingKind::ConstantFault {
            return "all day, not only at busy hours".to_owned();
        }
        let named =
            |&(from, until): &(u16, u16)| format!("between {} and {}", clock(from), clock(until));
        let hours: Vec<String> = self.finding.hours.spans().iter().map(named).collect();
        let weekdays = match self.finding.kind {
            FindingKind::WeeklyPattern => weekdays(&self.finding.bad_days),
            _ => String::new(),
        };
        format!("{} {}{weekdays}", listed(&hours), self.clock_of())
    }

    /// `local time`; with whose it is where clocks differ.
    fn clock_of(&self) -> String {
        let zone = |no: &SeriesNo| {
            let building = self.fleet.info(*no)?.building;
            Some(&self.fleet.site(building)?.zone)
        };
        let home = self.fleet.site(self.finding.home);
        match home {
            Some(home) if self.finding.members.iter().filter_map(zone).any(|z| *z != home.zone) => {
                format!("local time of {}", home.name)
            }
            _ => "local time".to_owned(),
        }
    }

    /// Whose clock the hour of a series is by, where that is not the one of the finding's hours.
    fn elsewhere(&self, series: SeriesNo) -> String {
        let building = self.fleet.info(series).map(|info| info.building);
        let site = building.and_then(|building| self.fleet.site(building));
        match (site, self.fleet.site(self.finding.home)) {
            (Some(site), Some(home)) if site.zone != home.zone => format!(" in {}", site.name),
            _ => String::new(),
        }
    }

    /// What the daily average would have said.
    fn average(&self) -> String {
        let (Some(limits), day) = (self.limits, &self.figures.day) else { return String::new() };
        let Some((figure, passes)) = average_of(self.figures, limits) else {
            return String::new();
        };
        if day.valid == 0 {
            return String::new();
        }
        if !passes {
            return format!(" The daily average fails too: {figure}.");
        }
        let factor = self.figures.factor().filter(|factor| *factor > 1.0);
        let hidden = factor.map_or_else(String::new, |factor| {
            format!(
                "; in the worst hour checks are bad {} times as often as over the whole days ({})",
                rounded(factor),
                percent(day.share()),
            )
        });
        format!(" The daily average would have said that all is well: {figure}{hidden}.")
    }

    /// Who suffers together, and whose it is therefore.
    fn whose(&self) -> String {
        let finding = self.finding;
        let siblings = &finding.siblings;
        if let Place::Unplaced(_) = finding.place {
            return " Only one machine of this building measured then: where on the way it is, \
                    nobody can tell yet."
                .to_owned();
        }
        let within = count_of(siblings.suffering, siblings.within, "paths");
        let beside = if siblings.beside == 0 {
            String::new()
        } else {
            format!(
                ", and {} beside it do",
                count_of(siblings.suffering_beside, siblings.beside, "paths")
            )
        };
        let sure = if finding.confidence >= SURE {
            format!("so it is {}", self.blamed())
        } else if finding.confidence >= LIKELY {
            format!("so it is probably {}", self.blamed())
        } else {
            format!("so it may be {}; where it is, is not certain yet", self.blamed())
        };
        let cause = match finding.cause {
            Cause::NotKnown => String::new(),
            cause => format!(" Likely cause: {}.", cause.words()),
        };
        format!(" There {within} suffer{beside}: {sure}.{cause}")
    }

    fn once(&self) -> String {
        let mut text = format!(
            "{}: calls broke {} on {}.",
            self.place(),
            self.when(),
            long_date(self.finding.last_bad),
        );
        if self.finding.severity > 0.0 {
            let _ = write!(
                text,
                " In the worst of it {} of the checks missed the limits for calls.",
                percent(self.finding.severity)
            );
        }
        text.push_str(" It is not known to recur.");
        text
    }

    fn shifted(&self) -> String {
        let rise = self.figures.peak_rtt_us.zip(self.figures.quiet_rtt_us);
        let moved = rise.map_or_else(String::new, |(after, before)| {
            format!(" from {} to {}", millis(before), millis(after))
        });
        format!(
            "{}: since {} round trips outside busy hours moved{moved}, at all hours alike: another \
             route, no overload.",
            self.place(),
            long_date(self.finding.first_bad),
        )
    }

    fn target(&self) -> String {
        let who = self.finding.members.len();
        format!(
            "{}: the target itself failed {} on {}, as {} {} saw: most of those that use it, and what else \
             they use does not explain it. No building is blamed for it.",
            self.place(),
            self.when(),
            long_date(self.finding.last_bad),
            who,
            if who == 1 { "path" } else { "paths" },
        )
    }

    fn early(&self) -> String {
        let figures = self.figures;
        let against =
            |what: (&str, &str), rise: Option<u32>, busy: Option<u32>, quiet: Option<u32>| {
                let (rise, busy, quiet) = (rise.filter(|rise| *rise > 0)?, busy?, quiet?);
                Some(format!(
                    "{} {} {} at busy hours than outside them ({} against {})",
                    what.0,
                    millis(rise),
                    what.1,
                    millis(busy),
                    millis(quiet),
                ))
            };
        let rtt = (figures.rise_us(), figures.peak_rtt_us, figures.quiet_rtt_us);
        let jitter = (figures.jitter_rise_us(), figures.peak_jitter_us, figures.quiet_jitter_us);
        let said: Vec<String> = [
            against(("round trips take", "longer"), rtt.0, rtt.1, rtt.2),
            against(("jitter is", "more"), jitter.0, jitter.1, jitter.2),
        ]
        .into_iter()
        .flatten()
        .collect();
        let said = if said.is_empty() { String::new() } else { format!(": {}", said.join("; ")) };
        format!(
            "{}: calls are within all limits, and busy hours are slower than the rest of the \
             day{said}, on {}.",
            self.place(),
            days(self.finding.bad_days.len()),
        )
    }

    fn drift(&self) -> String {
        let rise = self.figures.peak_rtt_us.zip(self.figures.quiet_rtt_us);
        let moved = rise.map_or_else(String::new, |(after, before)| {
            format!(", from {} to {} at busy hours", millis(before), millis(after))
        });
        format!(
            "{}: slower month by month since {}{moved}.",
            self.place(),
            long_date(self.finding.first_bad)
        )
    }

    /// The paragraph for an engineer: the counts behind the sentence, then the evidence.
    pub(crate) fn paragraph(&self) -> String {
        let (finding, figures) = (self.finding, self.figures);
        let mut text = format!(
            "{} in {} {:?}: {} to {}, {} bad of {} observed working days, {} {}.",
            capital(finding.kind.as_str()),
            finding.place.kind(),
            finding.place.name(self.fleet),
            finding.first_bad,
            finding.last_bad,
            finding.bad_days.len(),
            finding.observed_days.len(),
            finding.members.len(),
            if finding.members.len() == 1 { "path" } else { "paths" },
        );
        for (name, counts) in [
            ("Bad hours", &figures.peak),
            ("Outside busy hours", &figures.quiet),
            ("Whole days", &figures.day),
            ("Seven days, all hours", &figures.week),
        ] {
            if counts.valid > 0 {
                let _ = write!(text, " {}", counted(name, counts));
            }
        }
        if figures.week.valid > 0 {
            // A percentile over a week passes when no more than a tenth of it is bad.
            let passes = figures.week.bad * 10 <= figures.week.valid;
            let says = if passes { "passes" } else { "fails" };
            let _ = write!(text, " The 90th percentile over that week {says}.");
        }
        if let Some(limits) = self.limits.filter(|_| figures.peak.valid > 0) {
            let (version, source) = (limits.version, limits.source);
            let _ = write!(
                text,
                " Limits: version {version} ({}, {}).",
                source.document, source.published
            );
        }
        if let (Some(peak), Some(quiet)) = (figures.peak_rtt_us, figures.quiet_rtt_us) {
            let _ = write!(text, " Round trip {} against {}", millis(peak), millis(quiet));
            if let (Some(peak), Some(quiet)) = (figures.peak_jitter_us, figures.quiet_jitter_us) {
                let _ = write!(text, ", jitter {} against {}", millis(peak), millis(quiet));
            }
            text.push('.');
        }
        let siblings = &finding.siblings;
        let _ = write!(
            text,
            " Place: {} of {} paths within suffer, {} of {} beside",
            siblings.suffering, siblings.within, siblings.suffering_beside, siblings.beside,
        );
        if siblings.near > 0 {
            let _ = write!(text, ", {} of {} to the edge", siblings.suffering_near, siblings.near);
        }
        let _ = write!(text, "; confidence {}.", two_digits(finding.confidence));
        let _ = write!(
            text,
            " Mechanism: {}. Cause: {} ({}).",
            finding.mechanism.words().unwrap_or("not known"),
            finding.cause.as_str(),
            two_digits(finding.cause_confidence),
        );
        text.push_str(&self.weighed());
        text
    }

    /// What speaks for and against causes: each observation once, with what it weighs for whom.
    fn weighed(&self) -> String {
        let mut said: Vec<(&str, Vec<String>)> = Vec::new();
        for one in &self.finding.evidence {
            let weight = format!("{} {:+.1}", one.cause.as_str(), one.weight);
            match said.iter_mut().find(|(text, _)| *text == one.text) {
                Some((_, weights)) => weights.push(weight),
                None => said.push((&one.text, vec![weight])),
            }
        }
        let told = |(text, weights): &(&str, Vec<String>)| {
            format!(" {}: {text}.", capital(&weights.join(", ")))
        };
        said.iter().map(told).collect()
    }

    fn place(&self) -> String {
        let (finding, fleet) = (self.finding, self.fleet);
        let home = fleet.site(finding.home).map_or("", |site| site.name.as_str());
        let name = finding.place.name(fleet);
        match finding.place {
            Place::Building(_) | Place::Unplaced(_) => name.to_owned(),
            Place::Upstream(upstream) => self.buildings_of(upstream, name),
            Place::Vpn(_) => format!("VPN through {name}"),
            Place::Target(_) => format!("Target {name}"),
            Place::Link(_, link) => format!("{name}, on {} only", link.words()),
            Place::Subnet(_, None) => format!("{home}, {name}"),
            Place::Subnet(_, Some(link)) => format!("{home}, {name}, on {} only", link.words()),
            Place::Agent(_) => format!("{home}, machine {name}"),
        }
    }

    /// The buildings that share something, or how many of them suffer.
    fn buildings_of(&self, upstream: UpstreamNo, name: &str) -> String {
        let members = self.finding.members.iter().filter_map(|&no| self.fleet.info(no));
        let suffering: BTreeSet<BuildingNo> = members.map(|info| info.building).collect();
        let sharing = self.fleet.series.iter().filter(|info| info.upstream == Some(upstream));
        let mut all: BTreeSet<BuildingNo> = sharing.map(|info| info.building).collect();
        all.extend(&suffering);
        let lie = if self.fleet.regions.contains(&upstream) { "in" } else { "behind" };
        let (suffering, all) = (suffering.len(), all.len());
        if suffering == all {
            format!("All buildings {lie} {name}")
        } else {
            format!("{suffering} of {all} buildings {lie} {name}")
        }
    }

    fn blamed(&self) -> String {
        match self.finding.place {
            Place::Upstream(no) if self.fleet.regions.contains(&no) => {
                "something that these buildings have in common".to_owned()
            }
            Place::Upstream(_) => "what these buildings share on the way".to_owned(),
            Place::Vpn(_) => "the VPN's concentrator".to_owned(),
            Place::Target(_) => "the target".to_owned(),
            Place::Building(_) => "the building's own link".to_owned(),
            Place::Link(_, link) => format!("the building's {}", link.words()),
            // Where one machine measures, nobody can tell it from the network it is in.
            Place::Subnet(..) if self.rests_on_one_machine() => {
                "this machine or its subnet".to_owned()
            }
            Place::Subnet(_, Some(LinkKind::Wifi)) => "this network's Wi-Fi".to_owned(),
            Place::Subnet(..) => "this subnet".to_owned(),
            Place::Agent(_) => "this one machine".to_owned(),
            Place::Unplaced(_) => "somewhere on its way".to_owned(),
        }
    }

    fn rests_on_one_machine(&self) -> bool {
        let members = self.finding.members.iter();
        let mut agents = members.filter_map(|no| Some(self.fleet.info(*no)?.agent));
        let first = agents.next();
        agents.all(|agent| Some(agent) == first)
    }
}

/// What an average over the bad days says, and whether it passes: of the limit that was broken most, and
/// where that passes and another fails, of the other. `None` where that limit has no average.
pub(crate) fn average_of(figures: &Figures, limits: &LimitTable) -> Option<(String, bool)> {
    let rtt = figures
        .day_rtt_us
        .map(|mean| (format!("{} round trip", millis(mean)), mean <= limits.rtt_us));
    let jitter = figures
        .day_jitter_us
        .map(|mean| (format!("{} of jitter", millis(mean)), mean <= limits.jitter_us));
    let loss = (figures.day.sent > 0).then(|| figures.day.loss());
    let loss = loss
        .map(|loss| (format!("{} loss", percent(loss)), loss * 1e6 <= f64::from(limits.loss_ppm)));
    let (first, others) = match figures.peak.dominant()? {
        Breach::Delay => (rtt, [loss, jitter]),
        Breach::Jitter => (jitter, [loss, rtt]),
        Breach::Loss | Breach::Burst | Breach::Failed => (loss, [rtt, jitter]),
    };
    let first = first?;
    if !first.1 {
        return Some(first);
    }
    Some(others.into_iter().flatten().find(|(_, passes)| !passes).unwrap_or(first))
}

/// `Bad hours: 210 of 480 checks bad (loss 180, delay 40), 2.1 % lost.`
fn counted(name: &str, counts: &Counts) -> String {
    let by: Vec<String> = Breach::ALL
        .iter()
        .zip(counts.bad_by)
        .filter(|(_, count)| *count > 0)
        .map(|(breach, count)| format!("{} {count}", breach.as_str()))
        .collect();
    let by = if by.is_empty() { String::new() } else { format!(" ({})", by.join(", ")) };
    let lost =
        if counts.sent == 0 { String::new() } else { format!(", {} lost", percent(counts.loss())) };
    format!("{name}: {} of {} checks bad{by}{lost}.", counts.bad, counts.valid)
}

#[cfg(test)]
mod tests;
