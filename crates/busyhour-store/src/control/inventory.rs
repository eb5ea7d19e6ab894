//! Buildings and subnets: those in force, and those of another time.

use std::collections::{BTreeSet, HashMap};

use busyhour_model::{Building, BuildingId, NetworkColumns, Subnet, SubnetId, UtcMicros};
use jiff::civil::Date;
use rusqlite::{Connection, Row};

use super::{id, parsed, parsed_option};
use crate::sqlite::unreadable;

pub(super) const BUILDINGS: &str = "SELECT id, name, city, country, region, time_zone, business_hours, \
     holidays FROM buildings WHERE valid_until_us IS NULL ORDER BY name";
pub(super) const BUILDINGS_AT: &str = "SELECT id, name, city, country, region, time_zone, business_hours, \
     holidays FROM buildings WHERE valid_from_us <= ?1 AND (valid_until_us IS NULL OR valid_until_us > ?1) \
     ORDER BY name";
pub(super) const SUBNETS: &str = "SELECT id, building, prefix, egress, network_name, ownership_type, building_type, \
     building_office_type, city, zip_code, country, state, region, inside_corp, express_route, vpn \
     FROM subnets WHERE valid_until_us IS NULL";
pub(super) const SUBNETS_AT: &str = "SELECT id, building, prefix, egress, network_name, ownership_type, building_type, \
     building_office_type, city, zip_code, country, state, region, inside_corp, express_route, vpn \
     FROM subnets WHERE valid_from_us <= ?1 AND (valid_until_us IS NULL OR valid_until_us > ?1)";

/// Buildings in force, by name.
pub(super) fn buildings(sql: &Connection) -> rusqlite::Result<Vec<Building>> {
    sql.prepare_cached(BUILDINGS)?.query_map([], building)?.collect()
}

/// Subnets in force, in their order.
pub(super) fn subnets(sql: &Connection) -> rusqlite::Result<Vec<Subnet>> {
    let found: rusqlite::Result<_> = sql.prepare_cached(SUBNETS)?.query_map([], subnet)?.collect();
    Ok(ordered(found?, &buildings(sql)?))
}

/// Buildings and subnets at another time, as [`buildings`] and [`subnets`] give those of now.
pub(super) fn at(
    sql: &Connection,
    at: UtcMicros,
) -> rusqlite::Result<(Vec<Building>, Vec<Subnet>)> {
    let buildings: rusqlite::Result<Vec<_>> =
        sql.prepare_cached(BUILDINGS_AT)?.query_map([at.0], building)?.collect();
    let subnets: rusqlite::Result<_> =
        sql.prepare_cached(SUBNETS_AT)?.query_map([at.0], subnet)?.collect();
    let buildings = buildings?;
    let subnets = ordered(subnets?, &buildings);
    Ok((buildings, subnets))
}

/// By building name, prefix and egress prefix: a file's own order says nothing and is not kept, so
/// the same inventory always reads the same.
fn ordered(mut subnets: Vec<Subnet>, buildings: &[Building]) -> Vec<Subnet> {
    let rank: HashMap<BuildingId, usize> =
        buildings.iter().enumerate().map(|(rank, building)| (building.id, rank)).collect();
    subnets.retain(|subnet| rank.contains_key(&subnet.building));
    subnets.sort_unstable_by_key(|subnet| {
        (rank.get(&subnet.building).copied(), subnet.prefix, subnet.egress)
    });
    subnets
}

fn building(row: &Row<'_>) -> rusqlite::Result<Building> {
    Ok(Building {
        id: id(row, 0, BuildingId::from_u128)?,
        name: row.get(1)?,
        city: row.get(2)?,
        country: row.get(3)?,
        region: row.get(4)?,
        time_zone: row.get(5)?,
        business_hours: parsed_option(row, 6)?,
        holidays: dates(row, 7)?,
    })
}

/// Dates as they are kept: separated by spaces, ascending.
pub(super) fn in_words(dates: &BTreeSet<Date>) -> String {
    let dates: Vec<String> = dates.iter().map(Date::to_string).collect();
    dates.join(" ")
}

fn dates(row: &Row<'_>, column: usize) -> rusqlite::Result<BTreeSet<Date>> {
    let text: String = row.get(column)?;
    text.split_whitespace().map(|part| part.parse().map_err(unreadable)).collect()
}

fn subnet(row: &Row<'_>) -> rusqlite::Result<Subnet> {
    Ok(Subnet {
        id: id(row, 0, SubnetId::from_u128)?,
        building: id(row, 1, BuildingId::from_u128)?,
        prefix: parsed(row, 2)?,
        egress: parsed_option(row, 3)?,
        columns: NetworkColumns {
            network_name: row.get(4)?,
            ownership_type: row.get(5)?,
            building_type: row.get(6)?,
            building_office_type: row.get(7)?,
            city: row.get(8)?,
            zip_code: row.get(9)?,
            country: row.get(10)?,
            state: row.get(11)?,
            region: row.get(12)?,
            inside_corp: row.get(13)?,
            express_route: row.get(14)?,
            vpn: row.get(15)?,
        },
    })
}
