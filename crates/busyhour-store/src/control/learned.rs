//! What is learned of buildings and paths: loads, working weeks, months.

use std::collections::BTreeSet;

use busyhour_model::{
    BuildingId, BuildingLoad, LoadSource, PathId, SeriesMonth, SubnetId, WorkingWeek,
};
use jiff::ToSpan as _;
use jiff::civil::Date;
use rusqlite::{Connection, Row, params};

use super::forget::Silenced;
use super::{audit, id, parsed};
use crate::codec::{decode_quarters, decode_week, encode_quarters, encode_week};
use crate::sqlite::unreadable;
use crate::{Act, AuditAction, AuditSubject, JudgeWrite};

/// How long a building's working weeks are kept, back from its newest: longer than days are looked
/// back at.
const WEEKS_KEPT_DAYS: i32 = 60;

pub(super) const LOADS: &str = "SELECT building, date, source, machines, quarters \
     FROM building_loads WHERE date >= ?1 AND date <= ?2";
pub(super) const LOADS_OF_BUILDING: &str = "SELECT building, date, source, machines, quarters \
     FROM building_loads WHERE building = ?3 AND date >= ?1 AND date <= ?2";
const ALL_LOADS: &str = "SELECT building, date, source, machines, quarters FROM building_loads";
pub(super) const WEEKS: &str =
    "SELECT building, looked_on, week FROM working_weeks ORDER BY building, looked_on";
/// The one that held on a date stays, and all after it.
pub(super) const FORGET_WEEKS: &str = "DELETE FROM working_weeks WHERE building = ?1 AND looked_on < \
     (SELECT max(looked_on) FROM working_weeks WHERE building = ?1 AND looked_on <= ?2)";
pub(super) const MONTHS: &str =
    "SELECT path, building, subnet, month, quiet_us, busy_us FROM series_months";

/// Writes what was learned, in place of what is of the same building or path and time.
pub(super) fn put(
    sql: &Connection,
    write: &JudgeWrite,
    silenced: &Silenced,
) -> rusqlite::Result<()> {
    for load in &write.loads {
        put_load(sql, load, load.source)?;
    }
    for week in &write.weeks {
        put_week(sql, week)?;
    }
    let mut put_month =
        sql.prepare_cached("INSERT OR REPLACE INTO series_months VALUES (?1, ?2, ?3, ?4, ?5, ?6)")?;
    for month in write.months.iter().filter(|month| !silenced.has_path(month.path)) {
        put_month.execute(params![
            month.first.to_string(),
            month.path.0,
            month.building.to_bytes(),
            month.subnet.to_bytes(),
            month.quiet_us,
            month.busy_us,
        ])?;
    }
    Ok(())
}

/// Writes loads that somebody imported.
pub(super) fn import(sql: &Connection, loads: &[BuildingLoad], by: &Act) -> rusqlite::Result<()> {
    for load in loads {
        put_load(sql, load, LoadSource::Imported)?;
    }
    let buildings: BTreeSet<BuildingId> = loads.iter().map(|load| load.building).collect();
    let detail = format!("buildings={} days={}", buildings.len(), loads.len());
    audit::note(sql, by, AuditAction::LoadsImported, AuditSubject::Store, &detail)
}

fn put_load(sql: &Connection, load: &BuildingLoad, source: LoadSource) -> rusqlite::Result<()> {
    sql.prepare_cached("INSERT OR REPLACE INTO building_loads VALUES (?1, ?2, ?3, ?4, ?5)")?
        .execute(params![
            load.building.to_bytes(),
            load.date.to_string(),
            source.as_str(),
            load.machines,
            encode_quarters(load),
        ])?;
    Ok(())
}

fn put_week(sql: &Connection, week: &WorkingWeek) -> rusqlite::Result<()> {
    let building = week.building.to_bytes();
    sql.prepare_cached("INSERT OR REPLACE INTO working_weeks VALUES (?1, ?2, ?3)")?
        .execute(params![building, week.looked_on.to_string(), encode_week(week)])?;
    let forgotten = week.looked_on.saturating_sub(WEEKS_KEPT_DAYS.days());
    sql.prepare_cached(FORGET_WEEKS)?.execute(params![building, forgotten.to_string()])?;
    Ok(())
}

pub(super) fn loads(
    sql: &Connection,
    building: Option<BuildingId>,
    from: Date,
    until: Date,
) -> rusqlite::Result<Vec<BuildingLoad>> {
    let (from, until) = (from.to_string(), until.to_string());
    let mut loads = match building {
        Some(building) => sql
            .prepare_cached(LOADS_OF_BUILDING)?
            .query_map(params![from, until, building.to_bytes()], load)?
            .collect::<rusqlite::Result<Vec<_>>>()?,
        None => sql
            .prepare_cached(LOADS)?
            .query_map(params![from, until], load)?
            .collect::<rusqlite::Result<Vec<_>>>()?,
    };
    loads.sort_unstable_by_key(|load| (load.building, load.date, load.source));
    Ok(loads)
}

pub(super) fn weeks(sql: &Connection) -> rusqlite::Result<Vec<WorkingWeek>> {
    sql.prepare_cached(WEEKS)?.query_map([], week)?.collect()
}

pub(super) fn months(sql: &Connection) -> rusqlite::Result<Vec<SeriesMonth>> {
    let mut months = sql
        .prepare_cached(MONTHS)?
        .query_map([], month)?
        .collect::<rusqlite::Result<Vec<SeriesMonth>>>()?;
    months.sort_unstable_by_key(|one| (one.path, one.building, one.subnet, one.first));
    Ok(months)
}

/// Decodes everything; how much that is.
pub(super) fn check(sql: &Connection) -> rusqlite::Result<u64> {
    let mut loads = sql.prepare(ALL_LOADS)?;
    let loads = loads.query_map([], load)?.try_fold(0, |count, one| one.map(|_| count + 1))?;
    Ok(loads + weeks(sql)?.len() as u64 + months(sql)?.len() as u64)
}

fn load(row: &Row<'_>) -> rusqlite::Result<BuildingLoad> {
    Ok(BuildingLoad {
        building: id(row, 0, BuildingId::from_u128)?,
        date: parsed(row, 1)?,
        source: parsed(row, 2)?,
        machines: row.get(3)?,
        quarters: decode_quarters(row.get_ref(4)?.as_blob()?).map_err(unreadable)?,
    })
}

fn week(row: &Row<'_>) -> rusqlite::Result<WorkingWeek> {
    let (building, looked_on) = (id(row, 0, BuildingId::from_u128)?, parsed(row, 1)?);
    decode_week(row.get_ref(2)?.as_blob()?, building, looked_on).map_err(unreadable)
}

fn month(row: &Row<'_>) -> rusqlite::Result<SeriesMonth> {
    Ok(SeriesMonth {
        path: PathId(row.get(0)?),
        building: id(row, 1, BuildingId::from_u128)?,
        subnet: id(row, 2, SubnetId::from_u128)?,
        first: parsed(row, 3)?,
        quiet_us: row.get(4)?,
        busy_us: row.get(5)?,
    })
}
