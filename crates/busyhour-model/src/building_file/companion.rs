//! The companion table: what the building file has no column for.

use std::collections::BTreeSet;
use std::net::IpAddr;

use ipnet::IpNet;
use jiff::civil::Date;
use jiff::tz::TimeZone;

use super::table::{TableRow, delimiter_of, rows, without_mark};
use super::{Draft, DraftNetwork, Findings, Place, Source};
use crate::{BusinessHours, FileSubnet, NetworkColumns};

/// The columns that may be there, in any order.
pub(super) const COLUMNS: [&str; 7] = [
    "BuildingName",
    "TimeZone",
    "BusinessHours",
    "Holidays",
    "Prefix",
    "EgressPrefix",
    "NetworkName",
];
const BUILDING_NAME: usize = 0;
const TIME_ZONE: usize = 1;
const BUSINESS_HOURS: usize = 2;
const HOLIDAYS: usize = 3;
const PREFIX: usize = 4;
const EGRESS_PREFIX: usize = 5;
const NETWORK_NAME: usize = 6;
/// Dates that a building may have: forty a year for ten years.
const MOST_HOLIDAYS: usize = 400;

/// Dates as the table writes them.
pub(super) fn in_words(dates: &BTreeSet<Date>) -> String {
    let dates: Vec<String> = dates.iter().map(Date::to_string).collect();
    dates.join(" ")
}

pub(super) fn read(text: &str, draft: &mut Draft, findings: &mut Findings) {
    let text = without_mark(text);
    let rows = rows(text, delimiter_of(text));
    let Some((header, rows)) = rows.split_first() else { return };
    let Some(positions) = positions(header, findings) else { return };
    for row in rows {
        if row.fields.iter().all(String::is_empty) {
            continue;
        }
        let row = Row { positions, row };
        row.apply(draft, findings);
    }
}

/// Where each of [`COLUMNS`] is in the table.
type Positions = [Option<usize>; COLUMNS.len()];

fn positions(header: &TableRow, findings: &mut Findings) -> Option<Positions> {
    let place = Place::line(Source::Companion, header.line);
    let mut positions: Positions = [None; COLUMNS.len()];
    for (at, name) in header.fields.iter().enumerate() {
        let known = COLUMNS.iter().position(|column| column.eq_ignore_ascii_case(name));
        match known {
            Some(column) if positions[column].is_some() => {
                let message = format!("the column {} is there twice", COLUMNS[column]);
                findings.error(place.column(at), message, "delete one of them");
                return None;
            }
            Some(column) => positions[column] = Some(at),
            None if name.is_empty() => {}
            None => {
                let message = format!("the column {name:?} is not known and not read");
                let remedy = format!("the columns are {}", COLUMNS.join(", "));
                findings.warning(place.column(at), message, remedy);
            }
        }
    }
    if positions[BUILDING_NAME].is_none() {
        let remedy = "begin the table with a line of column names; BuildingName must be one";
        findings.error(place, "there is no column BuildingName", remedy);
        return None;
    }
    Some(positions)
}

struct Row<'r> {
    positions: Positions,
    row: &'r TableRow,
}

impl<'r> Row<'r> {
    fn apply(&self, draft: &mut Draft, findings: &mut Findings) {
        let name = self.field(BUILDING_NAME).unwrap_or_default();
        let Some(&building) = draft.by_name.get(name) else {
            let message = format!("the building file has no building {name:?}");
            let remedy = "write BuildingName exactly as in the building file";
            findings.error(self.place(BUILDING_NAME), message, remedy);
            return;
        };
        if let Some(zone) = self.time_zone(findings) {
            let told = &mut draft.buildings[building].building.time_zone;
            self.set(TIME_ZONE, told, zone, findings);
        }
        if let Some(hours) = self.business_hours(findings) {
            let told = &mut draft.buildings[building].building.business_hours;
            self.set(BUSINESS_HOURS, told, hours, findings);
        }
        self.holidays(&mut draft.buildings[building].building.holidays, findings);
        self.network(building, draft, findings);
    }

    fn set<T: PartialEq>(
        &self,
        column: usize,
        told: &mut Option<T>,
        value: T,
        findings: &mut Findings,
    ) {
        if told.as_ref().is_some_and(|told| *told != value) {
            let message = format!("{} was told differently before", COLUMNS[column]);
            findings.error(self.place(column), message, "tell it once for each building");
        } else {
            *told = Some(value);
        }
    }

    fn time_zone(&self, findings: &mut Findings) -> Option<String> {
        let text = self.field(TIME_ZONE)?;
        let zone = TimeZone::get(text).ok();
        let name = zone.as_ref().and_then(|zone| zone.iana_name()).map(str::to_owned);
        if name.is_none() {
            let message = format!("TimeZone {text:?} is not a time zone");
            let remedy = "write a name of the IANA database, such as Europe/Berlin";
            findings.error(self.place(TIME_ZONE), message, remedy);
        }
        name
    }

    fn business_hours(&self, findings: &mut Findings) -> Option<BusinessHours> {
        let text = self.field(BUSINESS_HOURS)?;
        let hours = text.parse().ok();
        if hours.is_none() {
            let message = format!("BusinessHours {text:?} cannot be read");
            let remedy = "write, for example, \"Mo-Fr 08:00-18:00\" or \"Su-Th 09:00-17:00\"";
            findings.error(self.place(BUSINESS_HOURS), message, remedy);
        }
        hours
    }

    /// Adds dates to those that other rows told.
    fn holidays(&self, told: &mut BTreeSet<Date>, findings: &mut Findings) {
        let text = self.field(HOLIDAYS).unwrap_or_default();
        let dates = text.split([' ', ';', '|', ',']).filter(|part| !part.is_empty());
        for part in dates {
            let Ok(date) = part.parse::<Date>() else {
                let message = format!("Holidays has {part:?}, which is no date");
                let remedy = "write dates such as 2026-12-25, separated by spaces";
                findings.error(self.place(HOLIDAYS), message, remedy);
                return;
            };
            if told.len() >= MOST_HOLIDAYS && !told.contains(&date) {
                let message = format!("Holidays are more than {MOST_HOLIDAYS} dates");
                let remedy = "leave out those of years that are over";
                findings.error(self.place(HOLIDAYS), message, remedy);
                return;
            }
            told.insert(date);
        }
    }

    fn network(&self, building: usize, draft: &mut Draft, findings: &mut Findings) {
        let egress = match self.field(EGRESS_PREFIX) {
            Some(_) => match self.prefix(EGRESS_PREFIX, findings) {
                Some(egress) => Some(egress),
                None => return,
            },
            None => None,
        };
        match (self.field(PREFIX), egress) {
            (None, None) => {}
            (None, Some(_)) => findings.error(
                self.place(EGRESS_PREFIX),
                "EgressPrefix has no Prefix to qualify",
                "write the network in the column Prefix",
            ),
            (Some(_), egress) => match self.prefix(PREFIX, findings) {
                Some(prefix @ IpNet::V4(_)) => {
                    self.qualify(building, prefix, egress, draft, findings);
                }
                Some(prefix @ IpNet::V6(_)) => self.add(building, prefix, egress, draft),
                None => {}
            },
        }
    }

    /// Gives a network of the file its egress prefix.
    fn qualify(
        &self,
        building: usize,
        prefix: IpNet,
        egress: Option<IpNet>,
        draft: &mut Draft,
        findings: &mut Findings,
    ) {
        let found = draft
            .networks
            .iter_mut()
            .find(|network| network.building == building && network.subnet.prefix == prefix);
        let Some(network) = found else {
            let message = format!("the building has no network {prefix} in the building file");
            let remedy = "IPv4 networks belong into the building file; write Prefix as it is there";
            findings.error(self.place(PREFIX), message, remedy);
            return;
        };
        let Some(egress) = egress else { return };
        if network.subnet.egress.is_some_and(|told| told != egress) {
            let message = format!("the network {prefix} has another egress prefix already");
            let remedy = "give one prefix that holds all addresses that it is seen under";
            findings.error(self.place(EGRESS_PREFIX), message, remedy);
            return;
        }
        network.subnet.egress = Some(egress);
    }

    /// Adds an IPv6 network; its other columns are those of the building's first network.
    fn add(&self, building: usize, prefix: IpNet, egress: Option<IpNet>, draft: &mut Draft) {
        let first = draft.networks.iter().find(|network| network.building == building);
        let Some(first) = first else { return };
        let network_name =
            self.field(NETWORK_NAME).unwrap_or(&first.subnet.columns.network_name).to_owned();
        let columns = NetworkColumns { network_name, ..first.subnet.columns.clone() };
        let subnet = FileSubnet { prefix, egress, columns };
        draft.networks.push(DraftNetwork { subnet, building, place: self.place(PREFIX) });
    }

    fn prefix(&self, column: usize, findings: &mut Findings) -> Option<IpNet> {
        let (text, name) = (self.field(column)?, COLUMNS[column]);
        let Ok(net) = text.parse::<IpNet>() else {
            let remedy = match text.parse::<IpAddr>() {
                Ok(address) => format!("write the length too, such as {address}/24"),
                Err(_) => "write a prefix, such as 2001:db8:7::/48 or 10.1.2.0/24".to_owned(),
            };
            findings.error(self.place(column), format!("{name} {text:?} is not a prefix"), remedy);
            return None;
        };
        if net.prefix_len() == 0 {
            let message = format!("{name} {net} is every address");
            findings.error(self.place(column), message, "write the prefix of this building");
            return None;
        }
        if net.addr() != net.network() {
            let message = format!("{name} {net} is an address inside the network {}", net.trunc());
            findings.error(self.place(column), message, format!("write {}", net.trunc()));
            return None;
        }
        Some(net)
    }

    /// The field, when the column is there and not empty.
    fn field(&self, column: usize) -> Option<&'r str> {
        let field = self.row.fields.get(self.positions[column]?)?;
        (!field.is_empty()).then_some(field.as_str())
    }

    fn place(&self, column: usize) -> Place {
        let line = Place::line(Source::Companion, self.row.line);
        self.positions[column].map_or(line, |at| line.column(at))
    }
}
