//! Versions of the building file, and what time is when a clock goes back.

use busyhour_model::{UtcMicros, building_file};
use rusqlite::{Connection, OptionalExtension as _, Row, params};
use sha2::{Digest as _, Sha256};

use super::{inventory, place};
use crate::sqlite::row_limit;
use crate::{Act, FileVersion, ImportSummary, InventoryAt};

pub(super) const VERSIONS: &str = "SELECT number, imported_us, valid_from_us, valid_until_us, actor, sha256, buildings, subnets \
     FROM building_files ORDER BY number DESC LIMIT ?1";
pub(super) const VERSION_IN_FORCE: &str = "SELECT number, imported_us, valid_from_us, valid_until_us, actor, sha256, buildings, subnets \
     FROM building_files WHERE valid_until_us IS NULL";
pub(super) const VERSION_AT: &str = "SELECT number, imported_us, valid_from_us, valid_until_us, actor, sha256, buildings, subnets \
     FROM building_files WHERE valid_from_us <= ?1 AND (valid_until_us IS NULL OR valid_until_us > ?1)";

/// The newest versions first.
pub(super) fn list(sql: &Connection, limit: usize) -> rusqlite::Result<Vec<FileVersion>> {
    sql.prepare_cached(VERSIONS)?.query_map([row_limit(limit)], version)?.collect()
}

pub(super) fn in_force(sql: &Connection) -> rusqlite::Result<Option<FileVersion>> {
    sql.prepare_cached(VERSION_IN_FORCE)?.query_row([], version).optional()
}

/// The newest number ever given; 0 when there is none.
pub(super) fn newest(sql: &Connection) -> rusqlite::Result<u32> {
    Ok(list(sql, 1)?.first().map_or(0, |newest| newest.number))
}

/// All that was in force at a moment.
pub(super) fn inventory_at(sql: &Connection, at: UtcMicros) -> rusqlite::Result<InventoryAt> {
    let file = sql.prepare_cached(VERSION_AT)?.query_row([at.0], version).optional()?;
    let (buildings, subnets) = inventory::at(sql, at)?;
    Ok(InventoryAt { file, buildings, subnets, placements: place::placements_at(sql, at)? })
}

/// Makes what was just put in force a version.
pub(super) fn add(
    sql: &Connection,
    summary: &ImportSummary,
    by: &Act,
) -> rusqlite::Result<FileVersion> {
    sql.prepare_cached(
        "UPDATE building_files SET valid_until_us = ?1 WHERE valid_until_us IS NULL",
    )?
    .execute([by.at.0])?;
    let version = FileVersion {
        number: summary.version,
        imported: by.at,
        from: by.at,
        until: None,
        actor: Some(by.actor.as_str().to_owned()),
        sha256: digest(sql)?,
        buildings: summary.buildings,
        subnets: summary.subnets,
    };
    sql.prepare_cached("INSERT INTO building_files VALUES (?1, ?2, ?2, NULL, ?3, ?4, ?5, ?6)")?
        .execute(params![
            version.number,
            by.at.0,
            version.actor,
            version.sha256,
            version.buildings,
            version.subnets,
        ])?;
    Ok(version)
}

/// SHA-256 of what is in force, as it is exported.
fn digest(sql: &Connection) -> rusqlite::Result<[u8; 32]> {
    let file =
        building_file::from_inventory(&inventory::buildings(sql)?, &inventory::subnets(sql)?);
    let digest = Sha256::new()
        .chain_update(building_file::export(&file))
        .chain_update(building_file::export_companion(&file));
    Ok(digest.finalize().into())
}

/// After the clock went back, what began at `now` or later begins at `now`, and what ended in between
/// never held: so dates never overlap.
pub(super) fn rewind(sql: &Connection, now: UtcMicros) -> rusqlite::Result<()> {
    if in_force(sql)?.is_none_or(|newest| newest.from < now) {
        return Ok(());
    }
    for table in ["buildings", "subnets"] {
        for statement in [
            "DELETE FROM @ WHERE valid_from_us >= ?1 AND valid_until_us IS NOT NULL",
            "UPDATE @ SET valid_until_us = ?1 WHERE valid_until_us > ?1",
            "UPDATE @ SET valid_from_us = ?1 WHERE valid_from_us > ?1",
        ] {
            sql.prepare_cached(&statement.replace('@', table))?.execute([now.0])?;
        }
    }
    sql.prepare_cached(
        "UPDATE building_files SET valid_from_us = min(valid_from_us, ?1), \
         valid_until_us = min(valid_until_us, ?1) \
         WHERE valid_from_us > ?1 OR valid_until_us > ?1",
    )?
    .execute([now.0])?;
    Ok(())
}

fn version(row: &Row<'_>) -> rusqlite::Result<FileVersion> {
    Ok(FileVersion {
        number: row.get(0)?,
        imported: UtcMicros(row.get(1)?),
        from: UtcMicros(row.get(2)?),
        until: row.get::<_, Option<i64>>(3)?.map(UtcMicros),
        actor: row.get(4)?,
        sha256: row.get(5)?,
        buildings: row.get(6)?,
        subnets: row.get(7)?,
    })
}
