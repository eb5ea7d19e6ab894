//! What people did with an incident, what they can do, and what mending it changed.

use busyhour_model::desk::{
    Deed, IncidentAct, Proof, QuietKind, Remedy, ShortRemark, Side, remedy,
};
use busyhour_model::{Incident, IncidentMember, IncidentState, UtcMicros, local_day_span};
use jiff::tz::TimeZone;

use crate::json::people::Around;
use crate::problem::Problem;
use crate::scoped::Scoped;
use crate::text;

/// Acts that are shown, the latest; the JSON has all of them.
const MAX_ACTS: usize = 100;

/// Whose an incident is, and what became of it.
pub(super) struct People {
    /// The team's or the person's name, and how to reach them.
    pub(super) owner: Option<(String, Option<String>)>,
    pub(super) owner_by_hand: bool,
    /// By whom, when, and what becomes of it.
    pub(super) acknowledged: Option<(String, String, String)>,
    /// Why it is not told now, and until when.
    pub(super) quiet: Option<(&'static str, String)>,
    pub(super) part_of: Option<u64>,
    pub(super) parts: Vec<u64>,
    pub(super) remedy: Remedy,
    pub(super) proof: Vec<ProofRow>,
    /// Why there is none, where there could be.
    pub(super) no_proof: &'static str,
    pub(super) acts: Vec<ActRow>,
    pub(super) more_acts: usize,
    /// What can be done now, by who asks.
    pub(super) can: Option<Can>,
}

/// The same before and after.
pub(super) struct ProofRow {
    pub(super) what: &'static str,
    pub(super) before: String,
    pub(super) after: String,
}

pub(super) struct ActRow {
    pub(super) at: String,
    pub(super) by: String,
    pub(super) what: String,
    /// What was said with it.
    pub(super) said: Option<String>,
}

/// What can be done with an incident now.
pub(super) struct Can {
    pub(super) form_token: String,
    pub(super) acknowledge: bool,
    pub(super) unacknowledge: bool,
    pub(super) disown: bool,
    pub(super) merge: bool,
    pub(super) split: bool,
    pub(super) silence: bool,
}

impl People {
    /// `form_token` is that of the session of somebody who may act.
    pub(super) fn read(
        services: &Scoped,
        incident: &Incident,
        form_token: Option<String>,
    ) -> Result<Self, Problem> {
        let around = Around::read(services, incident)?;
        let acts = services.desk.acts(incident)?;
        let mut rows = Vec::new();
        for act in acts.iter().rev().take(MAX_ACTS) {
            rows.push(ActRow::new(act, services.desk.hides(act)?));
        }
        let standing = &around.laid.standing;
        let is_better = matches!(incident.state, IncidentState::Recovering | IncidentState::Closed);
        let is_closed = incident.state == IncidentState::Closed;
        let merged = matches!(
            acts.iter().rev().find(|act| matches!(act.deed, Deed::Merge { .. } | Deed::Split)),
            Some(IncidentAct { deed: Deed::Merge { .. }, .. })
        );
        Ok(Self {
            owner: standing.owner.as_ref().map(|owner| {
                (owner.name.to_string(), owner.contact.as_ref().map(ShortRemark::to_string))
            }),
            owner_by_hand: standing.owner_by_hand,
            acknowledged: standing
                .acknowledged
                .as_ref()
                .map(|seen| (seen.by.clone(), text::utc(seen.at), seen.reason.to_string())),
            quiet: standing.quiet.as_ref().map(|cover| {
                let why = match cover.kind {
                    QuietKind::Silence => "somebody silenced it",
                    QuietKind::Maintenance => "somebody works there",
                };
                (why, text::utc(cover.until))
            }),
            part_of: around.laid.part_of,
            parts: around.parts,
            remedy: remedy(incident.cause, incident.segment),
            proof: around.proof.as_ref().map(proof_rows).unwrap_or_default(),
            no_proof: if is_better {
                "It is better, but too few days were observed since to prove it: three are needed."
            } else {
                ""
            },
            more_acts: acts.len().saturating_sub(MAX_ACTS),
            acts: rows,
            can: form_token.map(|form_token| Can {
                form_token,
                acknowledge: incident.is_open() && standing.acknowledged.is_none(),
                unacknowledge: standing.acknowledged.is_some(),
                disown: standing.owner_by_hand,
                merge: !is_closed && !merged,
                split: merged,
                silence: !is_closed && standing.quiet.is_none(),
            }),
        })
    }
}

impl ActRow {
    /// `hidden` when who asks does not see the incident that it was merged into.
    fn new(act: &IncidentAct, hidden: bool) -> Self {
        let what = match &act.deed {
            Deed::Note(_) => "said".to_owned(),
            Deed::Acknowledge(_) => "acknowledged it".to_owned(),
            Deed::Unacknowledge => "took the acknowledgement back".to_owned(),
            Deed::Own(owner) => match &owner.contact {
                Some(contact) => format!("gave it to {} ({contact})", owner.name),
                None => format!("gave it to {}", owner.name),
            },
            Deed::Disown => "left it to the table of owners".to_owned(),
            Deed::Merge { .. } if hidden => "made it part of another incident".to_owned(),
            Deed::Merge { into_number, .. } => format!("made it part of incident {into_number}"),
            Deed::Split => "made it stand by itself again".to_owned(),
        };
        let said = act.deed.remark().filter(|_| !hidden).map(ToString::to_string);
        Self { at: text::utc(act.at), by: act.by.clone(), what, said }
    }
}

fn proof_rows(proof: &Proof) -> Vec<ProofRow> {
    let row = |what, figure: fn(&Side) -> String| ProofRow {
        what,
        before: figure(&proof.before),
        after: figure(&proof.after),
    };
    vec![
        row("Days", |side| format!("{}, {} of them bad", side.days, side.bad_days)),
        row("Windows bad in the worst hour", |side| format!("{:.1} %", side.bad_share * 100.0)),
        row("Loss, in one of ten windows at least", |side| text::percent_ppm(side.loss_ppm)),
        row("Round trip, the same", |side| text::milliseconds(side.rtt_us)),
        row("Jitter, the same", |side| text::milliseconds(side.jitter_us)),
    ]
}

/// Where a path is shown, and where its raw windows are: of the day that the incident was worst on.
pub(super) fn path_hrefs(
    incident: &Incident,
    member: &IncidentMember,
    zone: &TimeZone,
) -> (String, String) {
    let date = incident.worst_on.unwrap_or(incident.last_bad);
    let moment = |at: UtcMicros| text::utc(at);
    let time = local_day_span(date, zone)
        .map(|(from, until)| format!("from={}&until={}", moment(from), moment(until)))
        .unwrap_or_default();
    let path = member.path;
    (
        format!("/paths/{path}?{time}"),
        format!("/api/v1/paths/{path}/windows?format=csv&{time}").trim_end_matches('&').to_owned(),
    )
}
