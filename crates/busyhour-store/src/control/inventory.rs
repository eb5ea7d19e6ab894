//! Buildings and subnets in force.

use busyhour_model::{Building, BuildingId, NetworkColumns, Subnet, SubnetId};
use rusqlite::{Connection, Row};

use super::{id, parsed, parsed_option};

pub(super) const BUILDINGS: &str = "SELECT id, name, city, country, region, time_zone, business_hours \
     FROM buildings WHERE valid_until_us IS NULL ORDER BY name";
pub(super) const SUBNETS: &str = "SELECT s.id, s.building, s.prefix, s.egress, s.network_name, s.ownership_type, \
     s.building_type, s.building_office_type, s.city, s.zip_code, s.country, s.state, s.region, \
     s.inside_corp, s.express_route, s.vpn \
     FROM subnets s JOIN buildings b ON b.id = s.building AND b.valid_until_us IS NULL \
     WHERE s.valid_until_us IS NULL ORDER BY b.name, s.file_order";

pub(super) fn buildings(sql: &Connection) -> rusqlite::Result<Vec<Building>> {
    sql.prepare_cached(BUILDINGS)?
        .query_map([], |row| {
            Ok(Building {
                id: id(row, 0, BuildingId::from_u128)?,
                name: row.get(1)?,
                city: row.get(2)?,
                country: row.get(3)?,
                region: row.get(4)?,
                time_zone: row.get(5)?,
                business_hours: parsed_option(row, 6)?,
            })
        })?
        .collect()
}

pub(super) fn subnets(sql: &Connection) -> rusqlite::Result<Vec<Subnet>> {
    sql.prepare_cached(SUBNETS)?.query_map([], subnet)?.collect()
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
