//! Verdicts, and writing all that was judged.

use busyhour_model::{
    AgentId, BuildingId, DaySummary, LinkKind, PathId, Scope, SubnetId, UtcMicros,
};
use jiff::ToSpan as _;
use jiff::civil::Date;
use rusqlite::{Connection, Row, params};

use super::forget::Silenced;
use super::{id, incidents, learned, parsed};
use crate::JudgeWrite;
use crate::codec::{bad, decode_day, encode_day};
use crate::sqlite::unreadable;

pub(super) const DAYS: &str = "SELECT date, scope, subject, link, building, verdict, masked, \
     figures FROM days WHERE date >= ?1 AND date <= ?2";
pub(super) const DAYS_OF_BUILDING: &str = "SELECT date, scope, subject, link, building, verdict, masked, figures FROM days \
     WHERE building = ?3 AND date >= ?1 AND date <= ?2";
/// Of one date and one kind of scope, by the key.
pub(super) const DAYS_OF_SCOPE: &str = "SELECT date, scope, subject, link, building, verdict, masked, figures FROM days \
     WHERE date = ?1 AND scope = ?2";
/// A verdict that is new, or other than it was in the same building: no index has to change then.
pub(super) const PUT_DAY: &str = "INSERT INTO days VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8) \
     ON CONFLICT DO UPDATE SET verdict = excluded.verdict, masked = excluded.masked, \
     figures = excluded.figures WHERE building = excluded.building";
/// One that was another building's.
pub(super) const MOVE_DAY: &str =
    "INSERT OR REPLACE INTO days VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)";
/// Every verdict, for looking through them.
const ALL_DAYS: &str =
    "SELECT date, scope, subject, link, building, verdict, masked, figures FROM days";

pub(super) fn write(sql: &Connection, write: &JudgeWrite, now: UtcMicros) -> rusqlite::Result<()> {
    let mut put_day = sql.prepare_cached(PUT_DAY)?;
    let mut move_day = sql.prepare_cached(MOVE_DAY)?;
    let silenced = Silenced::load(sql)?;
    for day in write.days.iter().filter(|day| !silenced.has_scope(day.scope)) {
        let (scope, subject, link) = scope_columns(day.scope);
        let (date, building, figures) =
            (day.date.to_string(), day.building.to_bytes(), encode_day(day));
        let verdict = day.verdict.as_str();
        let row = params![date, scope, subject, link, building, verdict, day.masked, figures];
        if put_day.execute(row)? == 0 {
            move_day.execute(row)?;
        }
    }
    for incident in write.incidents.iter().filter_map(|incident| silenced.without(incident)) {
        incidents::put(sql, &incident)?;
    }
    incidents::tell(sql, &write.tell, now)?;
    learned::put(sql, write, &silenced)
}

pub(super) fn days(
    sql: &Connection,
    building: Option<BuildingId>,
    from: Date,
    until: Date,
) -> rusqlite::Result<Vec<DaySummary>> {
    let (from, until) = (from.to_string(), until.to_string());
    let mut days = match building {
        Some(building) => sql
            .prepare_cached(DAYS_OF_BUILDING)?
            .query_map(params![from, until, building.to_bytes()], day)?
            .collect::<rusqlite::Result<Vec<_>>>()?,
        None => sql
            .prepare_cached(DAYS)?
            .query_map(params![from, until], day)?
            .collect::<rusqlite::Result<Vec<_>>>()?,
    };
    days.sort_unstable_by_key(|day| (day.date, day.scope));
    Ok(days)
}

/// Verdicts of one kind of scope, by date.
pub(super) fn days_of(
    sql: &Connection,
    scope: &str,
    from: Date,
    until: Date,
) -> rusqlite::Result<Vec<DaySummary>> {
    let mut of_date = sql.prepare_cached(DAYS_OF_SCOPE)?;
    let mut days = Vec::new();
    for date in from.series(1.day()).take_while(|date| *date <= until) {
        let of_date = of_date.query_map([date.to_string().as_str(), scope], day)?;
        days.append(&mut of_date.collect::<rusqlite::Result<Vec<_>>>()?);
    }
    Ok(days)
}

fn day(row: &Row<'_>) -> rusqlite::Result<DaySummary> {
    let date: Date = parsed(row, 0)?;
    let scope = scope(row, 1)?;
    let building = id(row, 4, BuildingId::from_u128)?;
    let figures = row.get_ref(7)?.as_blob()?;
    decode_day(figures, (scope, building, date), parsed(row, 5)?, row.get(6)?).map_err(unreadable)
}

/// Decodes every verdict; how many there are.
pub(super) fn check(sql: &Connection) -> rusqlite::Result<u64> {
    let mut days = sql.prepare(ALL_DAYS)?;
    days.query_map([], day)?.try_fold(0, |count, day| day.map(|_| count + 1))
}

/// A scope as three columns: kind, subject, link.
fn scope_columns(scope: Scope) -> (&'static str, Vec<u8>, &'static str) {
    match scope {
        Scope::Path(path) => ("path", path.0.to_be_bytes().to_vec(), ""),
        Scope::Agent(agent, link) => ("agent", agent.to_bytes().to_vec(), link.as_str()),
        Scope::Subnet(subnet, link) => ("subnet", subnet.to_bytes().to_vec(), link.as_str()),
        Scope::Building(building) => ("building", building.to_bytes().to_vec(), ""),
    }
}

/// Reads the three columns of a scope, beginning at `at`.
fn scope(row: &Row<'_>, at: usize) -> rusqlite::Result<Scope> {
    let link = || parsed::<LinkKind>(row, at + 2);
    match row.get_ref(at)?.as_str()? {
        "path" => Ok(Scope::Path(PathId(i64::from_be_bytes(row.get(at + 1)?)))),
        "agent" => Ok(Scope::Agent(id(row, at + 1, AgentId::from_u128)?, link()?)),
        "subnet" => Ok(Scope::Subnet(id(row, at + 1, SubnetId::from_u128)?, link()?)),
        "building" => Ok(Scope::Building(id(row, at + 1, BuildingId::from_u128)?)),
        _ => Err(unreadable(bad("scope"))),
    }
}
