//! A building file in force: who stays who, what is new, what ends.

use std::collections::{BTreeSet, HashMap, HashSet};

use busyhour_model::{
    Building, BuildingId, BusinessHours, FileBuilding, FileSubnet, Subnet, SubnetId, UtcMicros,
};
use ipnet::IpNet;
use jiff::civil::Date;
use rusqlite::{Connection, params};

use super::{audit, id, inventory, parsed, parsed_option, versions};
use crate::{Act, AuditAction, AuditSubject, FileVersion, ImportPreview, ImportSummary};

pub(super) const ONCE_NAMED: &str =
    "SELECT id FROM buildings WHERE name = ?1 ORDER BY valid_until_us DESC LIMIT 1";
pub(super) const SUBNETS_ONCE: &str =
    "SELECT prefix, egress, id FROM subnets ORDER BY valid_from_us";

/// What makes a subnet the same: prefix and egress prefix.
type SubnetKey = (IpNet, Option<IpNet>);

fn key_of(subnet: &FileSubnet) -> SubnetKey {
    (subnet.prefix.trunc(), subnet.egress.map(|egress| egress.trunc()))
}

/// Puts a file in force. Without a change there is no new version.
pub(super) fn import(
    sql: &Connection,
    file: &[FileBuilding],
    by: &Act,
) -> rusqlite::Result<ImportSummary> {
    let in_force = versions::in_force(sql)?;
    let summary = apply(sql, file, by.at)?;
    let (version, detail) = match in_force {
        Some(old) if old.number == summary.version => (old, "nothing changed".to_owned()),
        _ => {
            let version = versions::add(sql, &summary, by)?;
            let detail = told(&summary, &version);
            (version, detail)
        }
    };
    let subject = AuditSubject::BuildingFile(version.number);
    audit::note(sql, by, AuditAction::Imported, subject, &detail)?;
    Ok(summary)
}

/// [`import`] if the version in force is then this one; nothing is changed otherwise.
pub(super) fn import_as(
    sql: &Connection,
    file: &[FileBuilding],
    version: u32,
    by: &Act,
) -> rusqlite::Result<Option<ImportSummary>> {
    sql.execute_batch("SAVEPOINT import_as")?;
    let summary = import(sql, file, by)?;
    if summary.version != version {
        sql.execute_batch("ROLLBACK TO import_as; RELEASE import_as")?;
        return Ok(None);
    }
    sql.execute_batch("RELEASE import_as")?;
    Ok(Some(summary))
}

fn told(done: &ImportSummary, version: &FileVersion) -> String {
    let digest: String = version.sha256.iter().map(|byte| format!("{byte:02x}")).collect();
    format!(
        "buildings={} added={} renamed={} ended={} subnets={} subnets_added={} subnets_ended={} \
         sha256={digest}",
        done.buildings,
        done.buildings_added,
        done.buildings_renamed,
        done.buildings_ended,
        done.subnets,
        done.subnets_added,
        done.subnets_ended,
    )
}

/// Changes the rows; the summary's version is the next one where a row did change.
fn apply(
    sql: &Connection,
    file: &[FileBuilding],
    now: UtcMicros,
) -> rusqlite::Result<ImportSummary> {
    versions::rewind(sql, now)?;
    let before = changes(sql)?;
    let buildings = inventory::buildings(sql)?;
    let subnets = inventory::subnets(sql)?;
    let identities = building_identities(sql, file, &buildings, &subnets)?;
    let mut summary = ImportSummary {
        buildings: count(file.len()),
        subnets: count(file.iter().map(|building| building.subnets.len()).sum()),
        ..ImportSummary::default()
    };
    // Ended first, so that names and prefixes are free when others take them.
    let kept: HashSet<_> = identities.iter().copied().collect();
    for gone in buildings.iter().filter(|old| !kept.contains(&old.id)) {
        end(sql, END_BUILDING, gone.id.to_bytes(), now)?;
        summary.buildings_ended += 1;
    }
    put_buildings(sql, file, &identities, &buildings, now, &mut summary)?;
    put_subnets(sql, file, &identities, &subnets, now, &mut summary)?;
    let newest = versions::newest(sql)?;
    summary.version = match newest {
        0 => 1,
        newest => newest.saturating_add(u32::from(changes(sql)? != before)),
    };
    Ok(summary)
}

/// Rows that this connection ever changed.
fn changes(sql: &Connection) -> rusqlite::Result<i64> {
    sql.prepare_cached("SELECT total_changes()")?.query_row([], |row| row.get(0))
}

/// What [`import`] would do: it is done and taken back.
pub(super) fn preview(
    sql: &Connection,
    file: &[FileBuilding],
    now: UtcMicros,
) -> rusqlite::Result<ImportPreview> {
    let mut buildings_ended = inventory::buildings(sql)?;
    let mut subnets_ended = inventory::subnets(sql)?;
    let former: HashMap<_, _> = buildings_ended.iter().map(|b| (b.id, b.name.clone())).collect();
    sql.execute_batch("SAVEPOINT preview")?;
    let summary = apply(sql, file, now)?;
    let after = inventory::buildings(sql)?;
    let buildings: HashSet<_> = after.iter().map(|building| building.id).collect();
    let subnets: HashSet<_> = inventory::subnets(sql)?.into_iter().map(|s| s.id).collect();
    sql.execute_batch("ROLLBACK TO preview; RELEASE preview")?;
    buildings_ended.retain(|building| !buildings.contains(&building.id));
    subnets_ended.retain(|subnet| !subnets.contains(&subnet.id));
    let (mut buildings_added, mut buildings_renamed) = (Vec::new(), Vec::new());
    for building in after {
        match former.get(&building.id) {
            None => buildings_added.push(building.name),
            Some(name) if *name != building.name => {
                buildings_renamed.push((name.clone(), building.name));
            }
            Some(_) => {}
        }
    }
    Ok(ImportPreview {
        summary,
        buildings_ended,
        subnets_ended,
        buildings_added,
        buildings_renamed,
    })
}

/// Forget what began at the same moment (it never held), then end what is in force.
const END_BUILDING: [&str; 2] = [
    "DELETE FROM buildings WHERE id = ?1 AND valid_from_us >= ?2",
    "UPDATE buildings SET valid_until_us = ?2 WHERE id = ?1 AND valid_until_us IS NULL",
];
const END_SUBNET: [&str; 2] = [
    "DELETE FROM subnets WHERE id = ?1 AND valid_from_us >= ?2",
    "UPDATE subnets SET valid_until_us = ?2 WHERE id = ?1 AND valid_until_us IS NULL",
];

fn end(
    sql: &Connection,
    statements: [&str; 2],
    id: [u8; 16],
    now: UtcMicros,
) -> rusqlite::Result<()> {
    for statement in statements {
        sql.prepare_cached(statement)?.execute(params![id, now.0])?;
    }
    Ok(())
}

/// The identity of each building of the file: by name; else that of a building whose name is gone
/// and that had most of its subnets; else that of a building that once had the name; else new.
fn building_identities(
    sql: &Connection,
    file: &[FileBuilding],
    buildings: &[Building],
    subnets: &[Subnet],
) -> rusqlite::Result<Vec<BuildingId>> {
    let by_name: HashMap<&str, BuildingId> =
        buildings.iter().map(|building| (building.name.as_str(), building.id)).collect();
    let named: HashSet<&str> = file.iter().map(|building| building.name.as_str()).collect();
    let gone: HashSet<BuildingId> = buildings
        .iter()
        .filter(|building| !named.contains(building.name.as_str()))
        .map(|building| building.id)
        .collect();
    let home: HashMap<SubnetKey, BuildingId> =
        subnets.iter().map(|subnet| ((subnet.prefix, subnet.egress), subnet.building)).collect();
    let mut taken: HashSet<BuildingId> = HashSet::new();
    let mut identities = Vec::with_capacity(file.len());
    for building in file {
        let known = by_name.get(building.name.as_str()).copied();
        let identity = match known.or_else(|| renamed_from(building, &home, &gone)) {
            Some(identity) if !taken.contains(&identity) => identity,
            _ => match once_named(sql, &building.name)? {
                Some(former) if !taken.contains(&former) && !in_force(buildings, former) => former,
                _ => new_id(sql, BuildingId::from_u128)?,
            },
        };
        taken.insert(identity);
        identities.push(identity);
    }
    Ok(identities)
}

fn in_force(buildings: &[Building], identity: BuildingId) -> bool {
    buildings.iter().any(|building| building.id == identity)
}

/// The building that had more than half of this one's subnets, when its name is gone.
fn renamed_from(
    building: &FileBuilding,
    home: &HashMap<SubnetKey, BuildingId>,
    gone: &HashSet<BuildingId>,
) -> Option<BuildingId> {
    let mut shares: HashMap<BuildingId, usize> = HashMap::new();
    for subnet in &building.subnets {
        if let Some(&former) = home.get(&key_of(subnet)) {
            *shares.entry(former).or_default() += 1;
        }
    }
    let (former, share) = shares.into_iter().max_by_key(|&(_, share)| share)?;
    (share * 2 > building.subnets.len() && gone.contains(&former)).then_some(former)
}

/// The building that last had this name; a file that left it out by mistake does not cost it its
/// history.
fn once_named(sql: &Connection, name: &str) -> rusqlite::Result<Option<BuildingId>> {
    let mut statement = sql.prepare_cached(ONCE_NAMED)?;
    let mut rows = statement.query([name])?;
    rows.next()?.map(|row| id(row, 0, BuildingId::from_u128)).transpose()
}

fn put_buildings(
    sql: &Connection,
    file: &[FileBuilding],
    identities: &[BuildingId],
    buildings: &[Building],
    now: UtcMicros,
    summary: &mut ImportSummary,
) -> rusqlite::Result<()> {
    let old: HashMap<BuildingId, &Building> =
        buildings.iter().map(|building| (building.id, building)).collect();
    let mut changed = Vec::new();
    for (building, &identity) in file.iter().zip(identities) {
        let old = old.get(&identity).copied();
        match old {
            Some(old) if says_the_same(old, building) => continue,
            Some(old) if old.name != building.name => summary.buildings_renamed += 1,
            Some(_) => {}
            None => summary.buildings_added += 1,
        }
        end(sql, END_BUILDING, identity.to_bytes(), now)?;
        changed.push((building, identity, old));
    }
    let mut insert = sql.prepare_cached(
        "INSERT INTO buildings VALUES (?1, ?2, NULL, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
    )?;
    for (building, identity, old) in changed {
        let (zone, hours) = zone_and_hours(building, old);
        insert.execute(params![
            identity.to_bytes(),
            now.0,
            building.name,
            building.city,
            building.country,
            building.region,
            zone,
            hours.map(BusinessHours::as_str),
            inventory::in_words(holidays(building, old)),
        ])?;
    }
    Ok(())
}

/// What the file tells of a building's zone and hours, else what was told before.
fn zone_and_hours<'b>(
    new: &'b FileBuilding,
    old: Option<&'b Building>,
) -> (Option<&'b str>, Option<&'b BusinessHours>) {
    let (old_zone, old_hours) =
        old.map(|old| (old.time_zone.as_deref(), old.business_hours.as_ref())).unwrap_or_default();
    (new.time_zone.as_deref().or(old_zone), new.business_hours.as_ref().or(old_hours))
}

/// The holidays that the file tells; those that were told before where it tells none.
fn holidays<'b>(new: &'b FileBuilding, old: Option<&'b Building>) -> &'b BTreeSet<Date> {
    let old = old.filter(|_| new.holidays.is_empty());
    old.map_or(&new.holidays, |old| &old.holidays)
}

fn says_the_same(old: &Building, new: &FileBuilding) -> bool {
    old.name == new.name
        && old.city == new.city
        && old.country == new.country
        && old.region == new.region
        && zone_and_hours(new, Some(old)) == (old.time_zone.as_deref(), old.business_hours.as_ref())
        && *holidays(new, Some(old)) == old.holidays
}

fn put_subnets(
    sql: &Connection,
    file: &[FileBuilding],
    identities: &[BuildingId],
    subnets: &[Subnet],
    now: UtcMicros,
    summary: &mut ImportSummary,
) -> rusqlite::Result<()> {
    let mut ending: HashMap<SubnetKey, &Subnet> =
        subnets.iter().map(|subnet| ((subnet.prefix, subnet.egress), subnet)).collect();
    let once = subnets_once(sql)?;
    for (building, &identity) in file.iter().zip(identities) {
        for subnet in &building.subnets {
            let key = key_of(subnet);
            let old = ending.remove(&key);
            let same =
                old.is_some_and(|old| old.building == identity && old.columns == subnet.columns);
            let subnet_id = match old.map(|old| old.id).or_else(|| once.get(&key).copied()) {
                Some(subnet_id) => subnet_id,
                None => new_id(sql, SubnetId::from_u128)?,
            };
            summary.subnets_added += u32::from(old.is_none());
            if same {
                continue;
            }
            end(sql, END_SUBNET, subnet_id.to_bytes(), now)?;
            insert_subnet(sql, (subnet_id, identity), key, subnet, now)?;
        }
    }
    for gone in ending.values() {
        end(sql, END_SUBNET, gone.id.to_bytes(), now)?;
        summary.subnets_ended += 1;
    }
    Ok(())
}

/// The identities that prefixes ever had; who comes back is who it was.
fn subnets_once(sql: &Connection) -> rusqlite::Result<HashMap<SubnetKey, SubnetId>> {
    sql.prepare_cached(SUBNETS_ONCE)?
        .query_map([], |row| {
            Ok(((parsed(row, 0)?, parsed_option(row, 1)?), id(row, 2, SubnetId::from_u128)?))
        })?
        .collect()
}

fn insert_subnet(
    sql: &Connection,
    (subnet, building): (SubnetId, BuildingId),
    (prefix, egress): SubnetKey,
    file: &FileSubnet,
    now: UtcMicros,
) -> rusqlite::Result<()> {
    let columns = &file.columns;
    sql.prepare_cached(
        "INSERT INTO subnets VALUES (?1, ?2, NULL, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, \
         ?11, ?12, ?13, ?14, ?15, ?16, ?17)",
    )?
    .execute(params![
        subnet.to_bytes(),
        now.0,
        building.to_bytes(),
        prefix.to_string(),
        egress.map(|egress| egress.to_string()),
        columns.network_name,
        columns.ownership_type,
        columns.building_type,
        columns.building_office_type,
        columns.city,
        columns.zip_code,
        columns.country,
        columns.state,
        columns.region,
        columns.inside_corp,
        columns.express_route,
        columns.vpn,
    ])?;
    Ok(())
}

/// A random identity; SQLite draws it from the operating system.
fn new_id<T>(sql: &Connection, from_u128: impl FnOnce(u128) -> T) -> rusqlite::Result<T> {
    sql.prepare_cached("SELECT randomblob(16)")?.query_row([], |row| id(row, 0, from_u128))
}

fn count(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}
