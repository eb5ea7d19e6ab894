//! Buildings and subnets, as the building file tells them.

use std::collections::BTreeSet;

use ipnet::IpNet;
use jiff::civil::Date;

use crate::{AgentId, BuildingId, BusinessHours, SubnetId, UtcMicros};

/// A building. Its identity stays when its name changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Building {
    /// The identity.
    pub id: BuildingId,
    /// The name, unique among the buildings in force.
    pub name: String,
    /// The city, from the building file.
    pub city: String,
    /// The country, from the building file.
    pub country: String,
    /// The region, from the building file.
    pub region: String,
    /// The IANA time zone; `None` while nobody told, and then nothing is judged.
    pub time_zone: Option<String>,
    /// The business hours; `None` while nobody told, and then nothing is judged.
    pub business_hours: Option<BusinessHours>,
    /// Local dates on which nobody works, whatever the weekday.
    pub holidays: BTreeSet<Date>,
}

/// One network of the building file, with the columns of the Call Quality Dashboard format.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NetworkColumns {
    /// Column 2, `NetworkName`.
    pub network_name: String,
    /// Column 5.
    pub ownership_type: String,
    /// Column 6.
    pub building_type: String,
    /// Column 7.
    pub building_office_type: String,
    /// Column 8.
    pub city: String,
    /// Column 9.
    pub zip_code: String,
    /// Column 10.
    pub country: String,
    /// Column 11.
    pub state: String,
    /// Column 12.
    pub region: String,
    /// Column 13.
    pub inside_corp: bool,
    /// Column 14.
    pub express_route: bool,
    /// Column 15.
    pub vpn: bool,
}

/// A subnet; it belongs to one building.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subnet {
    /// The identity.
    pub id: SubnetId,
    /// The building.
    pub building: BuildingId,
    /// The prefix (columns 1 and 3, or the companion table's IPv6 prefix).
    pub prefix: IpNet,
    /// The public prefix that tells branches with the same private prefix apart.
    pub egress: Option<IpNet>,
    /// The other columns.
    pub columns: NetworkColumns,
}

/// Where an agent was, and when: half open, `until` is `None` while it holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Placement {
    /// The agent.
    pub agent: AgentId,
    /// The subnet.
    pub subnet: SubnetId,
    /// The subnet's building.
    pub building: BuildingId,
    /// Since when.
    pub from: UtcMicros,
    /// Until when.
    pub until: Option<UtcMicros>,
}

/// A building as a building file (with its companion table) tells it; it has no identity yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileBuilding {
    /// The name, unique in the file.
    pub name: String,
    /// The city of its first row.
    pub city: String,
    /// The country of its first row.
    pub country: String,
    /// The region of its first row.
    pub region: String,
    /// The IANA time zone, given or told from country and state.
    pub time_zone: Option<String>,
    /// The business hours, given or the country's usual ones.
    pub business_hours: Option<BusinessHours>,
    /// Public holidays and other local dates on which nobody works; none where nobody told.
    pub holidays: BTreeSet<Date>,
    /// Its networks, in the order of the file.
    pub subnets: Vec<FileSubnet>,
}

/// A network as a building file tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileSubnet {
    /// The prefix.
    pub prefix: IpNet,
    /// The public prefix that tells branches with the same private prefix apart.
    pub egress: Option<IpNet>,
    /// The other columns.
    pub columns: NetworkColumns,
}
