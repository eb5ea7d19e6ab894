//! Buildings back into the two texts.

use std::collections::HashMap;

use csv::{Terminator, Writer, WriterBuilder};
use ipnet::IpNet;

use super::companion;
use crate::{Building, BuildingId, FileBuilding, FileSubnet, Subnet};

/// Writes the building file: 15 columns, commas, no header, CRLF. IPv6 prefixes have no place in it;
/// they are in the companion table.
#[must_use]
pub fn export(buildings: &[FileBuilding]) -> String {
    let mut out = writer();
    for building in buildings {
        for subnet in &building.subnets {
            let IpNet::V4(prefix) = subnet.prefix else { continue };
            let columns = &subnet.columns;
            let flag = |value: bool| if value { "1" } else { "0" };
            put(
                &mut out,
                [
                    &prefix.network().to_string(),
                    &columns.network_name,
                    &prefix.prefix_len().to_string(),
                    &building.name,
                    &columns.ownership_type,
                    &columns.building_type,
                    &columns.building_office_type,
                    &columns.city,
                    &columns.zip_code,
                    &columns.country,
                    &columns.state,
                    &columns.region,
                    flag(columns.inside_corp),
                    flag(columns.express_route),
                    flag(columns.vpn),
                ],
            );
        }
    }
    finish(out)
}

/// Writes the companion table: what [`export`] has no column for.
#[must_use]
pub fn export_companion(buildings: &[FileBuilding]) -> String {
    let mut out = writer();
    put(&mut out, companion::COLUMNS);
    for building in buildings {
        let zone = building.time_zone.as_deref().unwrap_or_default();
        let hours = building.business_hours.as_ref().map_or("", |hours| hours.as_str());
        let holidays = companion::in_words(&building.holidays);
        if !zone.is_empty() || !hours.is_empty() || !holidays.is_empty() {
            put(&mut out, [&building.name, zone, hours, &holidays, "", "", ""]);
        }
        for subnet in &building.subnets {
            put_network(&mut out, &building.name, subnet);
        }
    }
    finish(out)
}

fn put_network(out: &mut Writer<Vec<u8>>, building: &str, subnet: &FileSubnet) {
    let egress = subnet.egress.map(|egress| egress.to_string());
    if egress.is_none() && matches!(subnet.prefix, IpNet::V4(_)) {
        return;
    }
    let (prefix, egress) = (subnet.prefix.to_string(), egress.unwrap_or_default());
    put(out, [building, "", "", "", &prefix, &egress, &subnet.columns.network_name]);
}

/// The buildings and subnets in force, as a file would tell them; in the order given.
#[must_use]
pub fn from_inventory(buildings: &[Building], subnets: &[Subnet]) -> Vec<FileBuilding> {
    let mut of_building: HashMap<BuildingId, Vec<FileSubnet>> = HashMap::new();
    for subnet in subnets {
        of_building.entry(subnet.building).or_default().push(FileSubnet {
            prefix: subnet.prefix,
            egress: subnet.egress,
            columns: subnet.columns.clone(),
        });
    }
    let with_subnets = |building: &Building| FileBuilding {
        name: building.name.clone(),
        city: building.city.clone(),
        country: building.country.clone(),
        region: building.region.clone(),
        time_zone: building.time_zone.clone(),
        business_hours: building.business_hours.clone(),
        holidays: building.holidays.clone(),
        subnets: of_building.remove(&building.id).unwrap_or_default(),
    };
    buildings.iter().map(with_subnets).collect()
}

fn writer() -> Writer<Vec<u8>> {
    WriterBuilder::new().terminator(Terminator::CRLF).from_writer(Vec::new())
}

fn put<const N: usize>(out: &mut Writer<Vec<u8>>, row: [&str; N]) {
    out.write_record(row).expect("memory takes every row, and all rows are equally long");
}

fn finish(out: Writer<Vec<u8>>) -> String {
    let bytes = out.into_inner().expect("memory takes every byte");
    String::from_utf8(bytes).expect("UTF-8 with ASCII between it is UTF-8")
}
