//! The subject and the text.

use busyhour_model::desk::{Owner, Remedy, remedy};
use busyhour_model::{
    Breach, Cause, Change, FindingKind, Incident, IncidentPlace, LIKELY, SURE, Segment,
    SeverityClass, how_sure,
};
use busyhour_store::{IncidentEvent, IncidentNews};
use jiff::civil::Date;

use super::words::{
    average_says, buildings, estimate_words, kind_words, name, prose, segment_words, span,
    worst_hour_words,
};
use super::{BaseUrl, Picture};

/// The buildings that a message names; of the rest it says how many there are.
const MAX_BUILDINGS: usize = 10;
/// The buildings that a subject and the first sentence name, and so many characters of each name.
const BUILDINGS_IN_SUBJECT: usize = 3;
const MAX_NAME_IN_SUBJECT: usize = 40;
/// The stretches of hours that fit into a subject.
const HOURS_IN_SUBJECT: usize = 3;
/// The observed days that people count by, as the rule of recurrence does.
const COUNTED_DAYS: usize = 5;
/// What was seen, at most so much of each sort; the page has all of it.
const MAX_SEEN: usize = 3;

/// The parts of a message as people read them.
pub(super) struct Story<'a> {
    pub(super) event: IncidentEvent,
    pub(super) incident: &'a Incident,
    /// The building that it is shown with.
    pub(super) building: String,
    /// The first of the buildings that suffer, and how many there are.
    pub(super) buildings: Vec<String>,
    pub(super) buildings_total: usize,
    /// The name of the place: a building's, a subnet's, a region's, a target's, an agent's.
    pub(super) place_name: String,
    pub(super) sentence: String,
    /// Who must act, and how to reach them, where somebody said so.
    pub(super) owner: Option<(String, Option<String>)>,
    pub(super) url: String,
}

impl<'a> Story<'a> {
    pub(super) fn of(news: &'a IncidentNews, owner: Option<&Owner>, base_url: &BaseUrl) -> Self {
        let incident = &news.incident;
        Self {
            event: news.event,
            incident,
            building: name(&news.building),
            buildings: news.buildings.iter().take(MAX_BUILDINGS).map(|b| name(b)).collect(),
            buildings_total: news.buildings.len(),
            place_name: place_name(news),
            sentence: prose(&incident.sentence),
            owner: owner.map(|owner| {
                let contact = owner.contact.as_ref().map(|contact| name(contact.as_str()));
                (name(owner.name.as_str()), contact)
            }),
            url: format!("{base_url}/incidents/{}", incident.id),
        }
    }

    pub(super) fn subject(&self) -> String {
        let simulated = if self.incident.simulated { "[simulated] " } else { "" };
        let (place, when) = (self.place_with(&self.few_names()), self.when(HOURS_IN_SUBJECT));
        let says = match (self.event, self.incident.change) {
            (IncidentEvent::Opened, _) => {
                let again = if self.incident.openings > 1 { " again" } else { "" };
                format!("calls suffer{again} {when} since {}", self.incident.first_bad)
            }
            (IncidentEvent::Worse, _) => {
                format!("calls suffer more than before the maintenance, {when}")
            }
            (IncidentEvent::Acknowledged, _) => {
                format!("somebody has seen that calls suffer {when}")
            }
            (IncidentEvent::Merged, _) => "part of another incident now".to_owned(),
            (IncidentEvent::Closed, Change::Gone) => "no longer watched".to_owned(),
            (IncidentEvent::Closed, _) => format!("calls {when} are fine again"),
        };
        format!("{simulated}{place}: {says}")
    }

    /// What is said before anything else, a paragraph each.
    pub(super) fn lead(&self) -> Vec<String> {
        let incident = self.incident;
        let mut lead = Vec::new();
        if incident.simulated {
            lead.push("This rests on simulated data. No real calls are meant.".to_owned());
        }
        let over = match (self.event, incident.change) {
            (IncidentEvent::Opened, _) => "",
            (IncidentEvent::Acknowledged, _) => "Somebody has seen this:\n",
            (IncidentEvent::Merged, _) => {
                "This has the same origin as another incident and goes on there. What it was:\n"
            }
            (IncidentEvent::Worse, _) => "The maintenance is over, and it is worse than before:\n",
            (IncidentEvent::Closed, Change::Gone) => {
                "Nobody watches it any more; why not stands at the end of what it was:\n"
            }
            (IncidentEvent::Closed, _) => "This is over. What it was:\n",
        };
        lead.push(format!("{over}{}", self.sentence_with_names()));
        lead
    }

    /// What is said, under which label.
    pub(super) fn facts(&self) -> Vec<(&'static str, String)> {
        let incident = self.incident;
        let mut lines = vec![
            ("What", kind_words(incident.kind).to_owned()),
            ("How bad", self.how_bad()),
            ("Place", format!("{} ({})", self.place(), self.how_sure_of_place())),
        ];
        if self.is_beyond_one_building() {
            lines.push(("Buildings", self.named_buildings()));
        }
        lines.push(("Whose part", self.whose_part()));
        lines.push(("Who must act", self.who()));
        lines.push(("Local hours", self.hours()));
        lines.push(("Since", self.since()));
        lines.push(("Likely cause", self.cause()));
        lines
    }

    /// What is said to who knows networks, under which label.
    pub(super) fn details(&self) -> Vec<(&'static str, String)> {
        let incident = self.incident;
        let mut lines = Vec::new();
        if let Some(hour) = &incident.worst_hour {
            let on = incident.worst_on.map_or_else(String::new, |date| format!("{date}, "));
            lines.push(("Worst hour", format!("{on}{}", worst_hour_words(hour))));
            lines.extend(estimate_words(hour).map(|words| ("Call estimate", words)));
        }
        lines.push(("That day", format!("daily average of that path {}", average_says(incident))));
        let seen = Seen::of(incident);
        for (label, texts) in
            [("Because", seen.because), ("Against it", seen.against), ("Also seen", seen.besides)]
        {
            if !texts.is_empty() {
                lines.push((label, prose(&texts.join("; "))));
            }
        }
        lines
    }

    /// How bad it is, for those who only know calls.
    fn how_bad(&self) -> String {
        let incident = self.incident;
        let class = SeverityClass::of(incident.severity).as_str();
        let dominant = incident.worst_hour.as_ref().and_then(|hour| hour.dominant);
        let effect = dominant.map_or("calls suffer", Breach::effect_on_calls);
        let share = incident.severity * 100.0;
        format!("{class}: {effect} in {share:.0} % of the worst hour of a bad day")
    }

    pub(super) fn remedy(&self) -> Remedy {
        remedy(self.incident.cause, self.incident.segment)
    }

    /// Whose part of the way it is, with how sure the least sure is of what that rests on.
    fn whose_part(&self) -> String {
        let (incident, part) = (self.incident, segment_words(self.incident.segment));
        let confidence = match incident.cause {
            Cause::NotKnown => incident.confidence,
            _ => incident.confidence.min(incident.cause_confidence),
        };
        if incident.segment == Segment::Unknown || confidence >= SURE {
            part.to_owned()
        } else if confidence >= LIKELY {
            format!("likely {part}")
        } else {
            format!("not certain: {part}")
        }
    }

    /// Who must act; while there is something to do, that they have to hear of it.
    fn who(&self) -> String {
        let pass_on = if self.steps().is_empty() {
            ""
        } else {
            "; forward this to them, unless it went to them, too"
        };
        format!("{}{pass_on}", self.named_who())
    }

    fn named_who(&self) -> String {
        match &self.owner {
            Some((name, Some(contact))) => format!("{name} ({contact})"),
            Some((name, None)) => name.clone(),
            None => format!("nobody is named for it; usually {}", self.remedy().who),
        }
    }

    /// What to do, while there is something to do.
    pub(super) fn steps(&self) -> &'static [&'static str] {
        match self.event {
            IncidentEvent::Opened | IncidentEvent::Worse | IncidentEvent::Acknowledged => {
                self.remedy().steps
            }
            IncidentEvent::Closed | IncidentEvent::Merged => &[],
        }
    }

    /// The picture, saying with the numbers what it shows.
    pub(super) fn caption(&self, picture: Picture) -> Picture {
        let hour =
            self.incident.worst_hour.as_ref().map_or_else(String::new, |hour| {
                format!(" Worst hour {}.", worst_hour_words(hour))
            });
        let alt = format!("{} Daily average: {}.", hour, average_says(self.incident));
        Picture { alt: prose(&format!("{}{alt}", picture.alt)), ..picture }
    }

    /// The sentence; what several buildings share begins with some of their names.
    fn sentence_with_names(&self) -> String {
        let (sentence, total) = (&self.sentence, self.buildings_total);
        let names = self.few_names();
        if names.is_empty() || !matches!(self.incident.place, IncidentPlace::Upstream(_)) {
            return sentence.clone();
        }
        let some = format!("{total} of ");
        if let Some(rest) = sentence.strip_prefix("All buildings ") {
            format!("{}{names} {rest}", buildings(total))
        } else if let Some((all, rest)) =
            sentence.strip_prefix(&some).and_then(|rest| rest.split_once(" buildings "))
            && all.bytes().all(|byte| byte.is_ascii_digit())
        {
            format!("{some}{all} buildings{names} {rest}")
        } else {
            sentence.clone()
        }
    }

    /// ` (Branch 1, Branch 2, Branch 3 and 3 more)`; nothing where none is known.
    fn few_names(&self) -> String {
        let cut = |name: &String| match name.char_indices().nth(MAX_NAME_IN_SUBJECT) {
            Some((end, _)) => format!("{}...", &name[..end]),
            None => name.clone(),
        };
        let named: Vec<String> =
            self.buildings.iter().take(BUILDINGS_IN_SUBJECT).map(cut).collect();
        match self.buildings_total.saturating_sub(named.len()) {
            _ if named.is_empty() => String::new(),
            0 => format!(" ({})", named.join(", ")),
            more => format!(" ({} and {more} more)", named.join(", ")),
        }
    }

    /// Where it is, in a few words.
    pub(super) fn place(&self) -> String {
        self.place_with("")
    }

    /// The same, with names after the count of buildings.
    fn place_with(&self, names: &str) -> String {
        let (building, name) = (&self.building, &self.place_name);
        let count = format!("{}{names}", buildings(self.buildings_total));
        match self.incident.place {
            IncidentPlace::Upstream(_) if self.incident.place.egress().is_some() => {
                format!("{count} behind {name}")
            }
            IncidentPlace::Upstream(_) => format!("{count} in {name}"),
            IncidentPlace::Vpn(_) => format!("VPN through {name}, {count}"),
            IncidentPlace::Target(_) => format!("Target {name}, {count}"),
            IncidentPlace::Building(_) | IncidentPlace::Unplaced(_) => building.clone(),
            IncidentPlace::Link(_, link) => format!("{building}, {} only", link.words()),
            IncidentPlace::Subnet(_, None) => format!("{building}, {name}"),
            IncidentPlace::Subnet(_, Some(link)) => {
                format!("{building}, {name}, {} only", link.words())
            }
            IncidentPlace::Agent(_) => format!("{building}, machine {name}"),
        }
    }

    fn how_sure_of_place(&self) -> String {
        if let IncidentPlace::Unplaced(_) = self.incident.place {
            return "only one machine of this building measured then: where it is, is not known"
                .to_owned();
        }
        let siblings = &self.incident.siblings;
        let beside = match siblings.beside {
            0 => String::new(),
            beside => format!(", {} of {beside} beside it", siblings.suffering_beside),
        };
        format!(
            "{}: {} of {} paths suffer there{beside}",
            how_sure(self.incident.confidence),
            siblings.suffering,
            siblings.within
        )
    }

    fn is_beyond_one_building(&self) -> bool {
        let shared = matches!(
            self.incident.place,
            IncidentPlace::Upstream(_) | IncidentPlace::Vpn(_) | IncidentPlace::Target(_)
        );
        shared || self.buildings_total > 1
    }

    fn named_buildings(&self) -> String {
        let named = self.buildings.join(", ");
        match self.buildings_total.saturating_sub(self.buildings.len()) {
            0 if named.is_empty() => "not known any more".to_owned(),
            0 => named,
            more => format!("{named} and {more} more"),
        }
    }

    /// `at 10:00-12:00`, `on Tuesdays at 10:00-12:00`, `all day`; at most so many stretches.
    fn when(&self, stretches: usize) -> String {
        let hours = self.incident.hours_joined();
        if self.incident.kind == FindingKind::ConstantFault || hours.is_empty() {
            return "all day".to_owned();
        }
        let named: Vec<String> = hours.iter().take(stretches).map(span).collect();
        let more = if hours.len() > stretches { " and more" } else { "" };
        format!("{}at {}{more}", self.weekday(), named.join(", "))
    }

    fn weekday(&self) -> String {
        if self.incident.kind == FindingKind::WeeklyPattern {
            format!("on {}s ", self.incident.last_bad.strftime("%A"))
        } else {
            String::new()
        }
    }

    fn hours(&self) -> String {
        let zone = if self.is_beyond_one_building() {
            format!(", local time of {}", self.building)
        } else {
            String::new()
        };
        if self.incident.kind == FindingKind::ConstantFault || self.incident.hours.is_empty() {
            return "all day, not only at busy hours".to_owned();
        }
        let hours: Vec<String> = self.incident.hours_joined().iter().map(span).collect();
        format!("{}{}{zone}", self.weekday(), hours.join(", "))
    }

    fn since(&self) -> String {
        let incident = self.incident;
        let again = match incident.openings {
            0 | 1 => String::new(),
            times => format!("; opened {times} times by now"),
        };
        format!(
            "{}, last on {}, {}{again}",
            incident.first_bad,
            incident.last_bad,
            how_often(incident)
        )
    }

    fn cause(&self) -> String {
        let incident = self.incident;
        let how = incident.mechanism.words();
        let how = how.map_or_else(String::new, |how| format!("; {how}"));
        match incident.cause {
            Cause::NotKnown => format!("not known{how}"),
            cause => {
                format!("{} ({}){how}", cause.words(), how_sure(incident.cause_confidence))
            }
        }
    }
}

fn place_name(news: &IncidentNews) -> String {
    match &news.incident.place {
        IncidentPlace::Upstream(shared) | IncidentPlace::Vpn(shared) => name(shared),
        IncidentPlace::Target(target) => name(target.as_str()),
        IncidentPlace::Building(_) | IncidentPlace::Link(..) | IncidentPlace::Unplaced(_) => {
            name(&news.building)
        }
        IncidentPlace::Subnet(subnet, _) => {
            news.subnet.as_deref().map_or_else(|| subnet.to_string(), name)
        }
        IncidentPlace::Agent(agent) => {
            news.agent.as_deref().map_or_else(|| agent.to_string(), name)
        }
    }
}

/// Counted as the rule counts: the last observed days; a weekly pattern by its days.
fn how_often(incident: &Incident) -> String {
    let last: Vec<Date> = incident.observed_days.iter().rev().take(COUNTED_DAYS).copied().collect();
    if incident.kind == FindingKind::WeeklyPattern || last.is_empty() {
        let count = incident.bad_days.len();
        return format!("bad on {count} {} so far", if count == 1 { "day" } else { "days" });
    }
    let bad = last.iter().filter(|date| incident.bad_days.contains(date)).count();
    format!("bad on {bad} of the last {} observed working days", last.len())
}

/// What was seen, by what it says of the cause that is named; each once, heaviest first.
struct Seen<'a> {
    because: Vec<&'a str>,
    against: Vec<&'a str>,
    besides: Vec<&'a str>,
}

impl<'a> Seen<'a> {
    fn of(incident: &'a Incident) -> Self {
        let mut seen = Self { because: Vec::new(), against: Vec::new(), besides: Vec::new() };
        for one in incident.evidence.iter().filter(|one| one.cause == incident.cause) {
            if one.weight > 0.0 {
                add(&mut seen.because, &one.text);
            } else if one.weight < 0.0 {
                add(&mut seen.against, &one.text);
            }
        }
        for one in incident.evidence.iter().filter(|one| one.weight > 0.0) {
            let told = one.text.as_str();
            if !seen.because.contains(&told) && !seen.against.contains(&told) {
                add(&mut seen.besides, told);
            }
        }
        seen
    }
}

fn add<'a>(texts: &mut Vec<&'a str>, text: &'a str) {
    if texts.len() < MAX_SEEN && !texts.contains(&text) {
        texts.push(text);
    }
}
