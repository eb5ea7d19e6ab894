//! What a building's page says of findings: the incidents that concern it, and what else was noticed.

use busyhour_chart::Svg;
use busyhour_model::{BuildingId, Incident, LinkKind, SubnetId};
use busyhour_store::StoreError;

use super::files::Files;
use super::incident::{Why, building_href, dates_drawn, life};
use crate::finding::Picture;
use crate::place::{Names, is_told};
use crate::scoped::Scoped;
use crate::state::{Snapshot, worse_incident};
use crate::text;

/// Incidents that are shown on a building's page; more of one building would be a fault of ours.
const MAX_BOXES: usize = 20;
/// Findings that are shown beside them.
const MAX_NOTICED: usize = 20;

/// The findings that concern a building and are not closed.
pub(super) struct Findings {
    /// Those that people are told of, the worst first.
    pub(super) told: Vec<IncidentBox>,
    /// Those that are suspected only, or of a kind that does not alert.
    pub(super) noticed: Vec<Noticed>,
    pub(super) more_noticed: usize,
}

/// An incident that people are told of and that is not over.
pub(super) struct IncidentBox {
    pub(super) href: String,
    pub(super) title: String,
    pub(super) sentence: String,
    pub(super) state: &'static str,
    pub(super) life: String,
    pub(super) masked: bool,
    pub(super) simulated: bool,
    /// Leads to the part that is bad, when not the whole building is.
    pub(super) part_href: Option<String>,
    /// Of the worst one.
    pub(super) picture: Option<Svg>,
    /// The dates that it shows, and the building where they are looked at closer.
    pub(super) dates: String,
    pub(super) home: String,
    pub(super) files: Files,
    pub(super) left_out: usize,
    pub(super) why: Why,
}

/// What nobody is told of: it is suspected only, or of a kind that does not alert.
pub(super) struct Noticed {
    pub(super) href: String,
    pub(super) title: String,
    pub(super) life: String,
    pub(super) sentence: String,
    pub(super) simulated: bool,
}

impl Findings {
    /// Only the worst one has its picture: a page must stay readable.
    pub(super) fn read(
        services: &Scoped,
        snapshot: &Snapshot,
        building: BuildingId,
    ) -> Result<Self, StoreError> {
        let names = snapshot.names();
        let (incidents, others) = concerning(snapshot, building);
        let mut told = Vec::with_capacity(incidents.len().min(MAX_BOXES));
        for incident in incidents.into_iter().take(MAX_BOXES) {
            let picture = if told.is_empty() {
                Picture::read(services, &snapshot.paths, &names, incident)?
            } else {
                None
            };
            told.push(IncidentBox::new(incident, &names, picture));
        }
        let noticed = others.iter().take(MAX_NOTICED).map(|found| Noticed::new(found, &names));
        Ok(Self {
            told,
            noticed: noticed.collect(),
            more_noticed: others.len().saturating_sub(MAX_NOTICED),
        })
    }
}

/// The incidents that concern a building and are not closed: those that people are told of, the worst
/// first, and the others.
fn concerning(snapshot: &Snapshot, building: BuildingId) -> (Vec<&Incident>, Vec<&Incident>) {
    let concerns = |incident: &&Incident| {
        incident.building == building
            || incident.members.iter().any(|member| member.building == building)
    };
    let concerning = snapshot.incidents.iter().filter(concerns);
    let (mut told, noticed): (Vec<_>, Vec<_>) = concerning.partition(|incident| is_told(incident));
    told.sort_by(|a, b| worse_incident(a, b));
    (told, noticed)
}

impl IncidentBox {
    fn new(incident: &Incident, names: &Names<'_>, picture: Option<Picture>) -> Self {
        let part = part_query(incident.subnet(), incident.link());
        let left_out = picture.as_ref().map_or(0, |picture| picture.left_out);
        Self {
            href: incident_href(incident),
            title: title(incident, names),
            sentence: incident.sentence.clone(),
            state: incident.state.as_str(),
            life: life(incident),
            masked: incident.masked,
            simulated: incident.simulated,
            part_href: (!part.is_empty()).then(|| format!("?date={}{part}", incident.last_bad)),
            dates: picture.as_ref().map(dates_drawn).unwrap_or_default(),
            home: building_href(incident.building),
            files: Files::days(incident.number),
            picture: picture.map(|picture| picture.svg),
            left_out,
            why: Why::new(incident),
        }
    }
}

impl Noticed {
    fn new(incident: &Incident, names: &Names<'_>) -> Self {
        Self {
            href: incident_href(incident),
            title: title(incident, names),
            life: life(incident),
            sentence: incident.sentence.clone(),
            simulated: incident.simulated,
        }
    }
}

fn incident_href(incident: &Incident) -> String {
    format!("/incidents/{}", incident.number)
}

/// `Berlin HQ, floor 2, wifi: recurring peak`.
fn title(incident: &Incident, names: &Names<'_>) -> String {
    format!("{}: {}", names.words(incident), text::plain(incident.kind.as_str()))
}

/// The query that leads to a part of a building.
pub(super) fn part_query(subnet: Option<SubnetId>, link: Option<LinkKind>) -> String {
    let subnet = subnet.map(|id| format!("&subnet={id}")).unwrap_or_default();
    let link = link.map(|link| format!("&link={link}")).unwrap_or_default();
    subnet + &link
}
