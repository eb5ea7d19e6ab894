//! Incidents by their names: which one is asked for, what its place is called, whom it concerns.

use std::collections::HashMap;
use std::str::FromStr;

use busyhour_model::{
    AgentId, Building, BuildingId, Incident, IncidentId, IncidentPlace, InvalidId, Subnet, SubnetId,
};
use busyhour_store::{AgentRow, StoreError};

use crate::scoped::{Scoped, ScopedControl};

/// An incident as an address names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum IncidentRef {
    /// By its identity.
    Id(IncidentId),
    /// By its number in this collector's history.
    Number(u64),
}

impl FromStr for IncidentRef {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        match text.parse() {
            Ok(number) => Ok(Self::Number(number)),
            Err(_) => text.parse().map(Self::Id),
        }
    }
}

impl IncidentRef {
    /// The incident, closed or not.
    pub(crate) fn find(self, control: &ScopedControl) -> Result<Option<Incident>, StoreError> {
        match self {
            Self::Id(id) => control.incident(id),
            Self::Number(number) => {
                let among = |incidents: Vec<Incident>| {
                    incidents.into_iter().find(|incident| incident.number == number)
                };
                // Those that are not closed are few.
                match among(control.incidents(false)?) {
                    Some(incident) => Ok(Some(incident)),
                    None => Ok(among(control.incidents(true)?)),
                }
            }
        }
    }
}

/// True for what people are told of and is not over.
pub(crate) const fn is_told(incident: &Incident) -> bool {
    incident.kind.alerts() && incident.is_open()
}

/// What names are told from.
pub(crate) struct Inventory {
    buildings: Vec<Building>,
    subnets: Vec<Subnet>,
    agents: Vec<AgentRow>,
}

impl Inventory {
    pub(crate) fn read(services: &Scoped) -> Result<Self, StoreError> {
        let control = &services.control;
        Ok(Self {
            buildings: control.buildings()?,
            subnets: control.subnets()?,
            agents: control.agents()?,
        })
    }

    /// By identity.
    pub(crate) fn names(&self) -> Names<'_> {
        Names::new(&self.buildings, &self.subnets, &self.agents)
    }
}

/// The names of places, as they are now.
pub(crate) struct Names<'a> {
    buildings: HashMap<BuildingId, &'a Building>,
    subnets: HashMap<SubnetId, &'a Subnet>,
    agents: HashMap<AgentId, &'a AgentRow>,
}

impl<'a> Names<'a> {
    pub(crate) fn new(
        buildings: &'a [Building],
        subnets: &'a [Subnet],
        agents: &'a [AgentRow],
    ) -> Self {
        Self {
            buildings: buildings.iter().map(|building| (building.id, building)).collect(),
            subnets: subnets.iter().map(|subnet| (subnet.id, subnet)).collect(),
            agents: agents.iter().map(|agent| (agent.id, agent)).collect(),
        }
    }

    pub(crate) fn building(&self, id: BuildingId) -> Option<&'a Building> {
        self.buildings.get(&id).copied()
    }

    pub(crate) fn subnet(&self, id: SubnetId) -> Option<&'a Subnet> {
        self.subnets.get(&id).copied()
    }

    pub(crate) fn agent(&self, id: AgentId) -> Option<&'a AgentRow> {
        self.agents.get(&id).copied()
    }

    /// What a place is called: of a link, and of what could not be placed, its building; `None` for
    /// what is no longer known.
    pub(crate) fn of(&self, place: &IncidentPlace) -> Option<String> {
        match place {
            IncidentPlace::Upstream(name) | IncidentPlace::Vpn(name) => Some(name.clone()),
            IncidentPlace::Target(target) => Some(target.to_string()),
            IncidentPlace::Building(id)
            | IncidentPlace::Link(id, _)
            | IncidentPlace::Unplaced(id) => self.building(*id).map(|found| found.name.clone()),
            IncidentPlace::Subnet(id, _) => self.subnet(*id).map(network),
            IncidentPlace::Agent(id) => self.agent(*id).map(|agent| agent.name.clone()),
        }
    }

    /// The place in words, with its building where it lies in one: `Berlin HQ, floor 2, Wi-Fi`.
    pub(crate) fn words(&self, incident: &Incident) -> String {
        let home = || match self.building(incident.building) {
            Some(building) => building.name.clone(),
            None => "a building that is no longer in force".to_owned(),
        };
        let place = self.of(&incident.place);
        let known = |unknown: &str| place.clone().unwrap_or_else(|| unknown.to_owned());
        let words = match &incident.place {
            IncidentPlace::Upstream(name) if incident.place.egress().is_some() => {
                format!("{name}, shared upstream")
            }
            IncidentPlace::Upstream(name) => format!("several buildings in {name}"),
            IncidentPlace::Vpn(name) => format!("{name}, VPN"),
            IncidentPlace::Target(target) => format!("target {target}"),
            IncidentPlace::Building(_) | IncidentPlace::Link(..) => home(),
            IncidentPlace::Unplaced(_) => format!("{}, where one agent measures", home()),
            IncidentPlace::Subnet(..) => {
                format!("{}, {}", home(), known("a subnet that is no longer in force"))
            }
            IncidentPlace::Agent(_) => format!("{}, agent {}", home(), known("no longer known")),
        };
        match incident.link() {
            Some(link) => format!("{words}, {}", link.words()),
            None => words,
        }
    }
}

/// A subnet's network name, or its prefix where it has none.
fn network(subnet: &Subnet) -> String {
    match subnet.columns.network_name.as_str() {
        "" => subnet.prefix.to_string(),
        name => name.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_incident_is_named_by_its_number_or_its_identity() {
        let id = IncidentId::from_u128(17);
        assert_eq!("17".parse(), Ok(IncidentRef::Number(17)));
        assert_eq!(id.to_string().parse(), Ok(IncidentRef::Id(id)));
        // 32 digits are an identity and no number.
        let digits = "12345678901234567890123456789012";
        let id = IncidentId::from_u128(0x1234_5678_9012_3456_7890_1234_5678_9012);
        assert_eq!(digits.parse(), Ok(IncidentRef::Id(id)));
        for wrong in ["", "seventeen", "-1", "99999999999999999999"] {
            assert!(wrong.parse::<IncidentRef>().is_err(), "{wrong}");
        }
    }
}
