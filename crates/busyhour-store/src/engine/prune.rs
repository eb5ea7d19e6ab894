//! What goes: files beyond their retention, whole; quarter-hours become hours first. And everything of
//! an agent that is to be forgotten, and judging again.

use std::sync::atomic::Ordering;

use busyhour_model::{AgentId, LimitTable, PathId, RequirementProfile, SlotStart, UtcMicros};
use rusqlite::{Connection, Transaction, params};

use super::fold::Folded;
use super::slots::Rejudging;
use super::{Engine, Trouble, listed, slots};
use crate::sqlite::{Family, PartitionId, days_before, utc_day};
use crate::{ErrorKind, Forgotten, RecordKind, StoreError};

/// Path-days made into hours in one step: some megabytes.
const ROLLED_AT_ONCE: usize = 512;
const OPERATION: &str = "delete what is too old";

/// Deletes what is beyond its retention.
pub(super) fn prune(engine: &Engine, now: UtcMicros) -> Result<u64, StoreError> {
    let mut gone = 0;
    // What the journal holds may be too old already.
    fold_twice(engine)?;
    if let Some(_guard) = engine.alone(OPERATION)? {
        for family in Family::ALL {
            let from = utc_day(days_before(now, days_kept(engine, family)));
            for id in engine.partitions.list(family).into_iter().filter(|id| id.until_day() <= from)
            {
                if family == Family::Slots {
                    roll_up(engine, id)?;
                }
                // What is listed without a file is missed.
                engine.head.write(OPERATION, |sql| listed::remove(sql, id))?;
                engine.partitions.drop_partition(id)?;
                gone += 1;
            }
        }
        gone += finish_forgetting(engine)?.paths;
        if engine.lingers.load(Ordering::Relaxed) {
            wipe_head(engine);
        }
    }
    Ok(gone + prune_head(engine, now)?)
}

const fn days_kept(engine: &Engine, family: Family) -> u32 {
    match family {
        Family::Windows => engine.retention.windows_days,
        Family::Loads => engine.days_kept(RecordKind::Load),
        Family::Checks => engine.days_kept(RecordKind::Check),
        Family::Facts => engine.days_kept(RecordKind::Fact),
        Family::Gaps => engine.days_kept(RecordKind::Gap),
        Family::Slots => engine.retention.slots_days,
        Family::Hours => engine.retention.hours_days,
    }
}

/// Makes hours of a partition of quarter-hours. Cut short and begun again it gives the same.
fn roll_up(engine: &Engine, quarters: PartitionId) -> Result<(), StoreError> {
    let Some(hours) = PartitionId::holding(Family::Hours, quarters.first_day()) else {
        return Ok(());
    };
    let mut after = Some(i64::MIN);
    while let Some(at) = after {
        let portion = engine.partitions.read(quarters, OPERATION, |sql| {
            slots::hours_after(sql, quarters, at, ROLLED_AT_ONCE)
        })?;
        let Some((days, next)) = portion else { return Ok(()) };
        engine.partitions.write(hours, OPERATION, |sql| slots::put_hours(sql, hours, &days))?;
        after = next;
    }
    engine.head.write(OPERATION, |sql| listed::add(sql, [hours]))
}

fn prune_head(engine: &Engine, now: UtcMicros) -> Result<u64, StoreError> {
    let retention = engine.retention;
    let windows_from = days_before(now, retention.windows_days);
    let gaps_from = days_before(now, retention.gaps_days);
    // What is kept as hours has paths.
    let kept_days = retention.slots_days.max(retention.hours_days);
    let paths_from = SlotStart::containing(days_before(now, kept_days)).start();
    // Marks are kept as long as the quarter-hours that they ask to be judged.
    let slots_from = utc_day(days_before(now, retention.slots_days));
    let slots_from =
        PartitionId::holding(Family::Slots, slots_from).map_or(slots_from, PartitionId::first_day);
    let mut writer = engine.head.writer();
    // The registry knows newer windows than the head does, and nothing is appended meanwhile.
    let old = engine.look_registry(|registry| registry.older(paths_from));
    let pruned = writer.write_or(|sql| {
        let mut gone =
            sql.execute("DELETE FROM unsettled WHERE placed_us < ?1", [windows_from.0])?;
        gone +=
            sql.execute("DELETE FROM session_reports WHERE placed_us < ?1", [windows_from.0])?;
        gone += sql.execute("DELETE FROM quarantine WHERE received_us < ?1", [gaps_from.0])?;
        let mut delete = sql.prepare_cached("DELETE FROM paths WHERE id = ?1")?;
        for path in &old {
            gone += delete.execute([path.0])?;
        }
        Ok(gone)
    });
    let mut gone = pruned.map_err(|trouble: Trouble| trouble.during(OPERATION))?;
    engine.registry(|registry| registry.forget_older(paths_from));
    drop(writer);
    gone += engine.look_registry(|registry| {
        engine.marks(|marks| marks.retain(slots_from, |path| registry.get(path).is_some()))
    });
    store_marks(engine, OPERATION)?;
    Ok(gone as u64)
}

/// Tells the head of marks that it does not know, or not any more.
fn store_marks(engine: &Engine, operation: &'static str) -> Result<(), StoreError> {
    let changed = engine.marks(|marks| marks.changed());
    if !changed.is_empty() {
        engine.head.write(operation, |sql| super::marks::store(sql, &changed))?;
        engine.marks(|marks| marks.stored(&changed));
    }
    Ok(())
}

/// Forgets an agent: at first that it has paths, then what partitions have of them.
pub(super) fn forget(engine: &Engine, agent: AgentId) -> Result<Forgotten, StoreError> {
    const FORGET: &str = "forget an agent";
    fold_all(engine, FORGET)?;
    let _guard = engine.alone(FORGET)?.ok_or_else(|| held(FORGET))?;
    let mut others = 0;
    {
        let mut writer = engine.head.writer();
        let others_of_head = writer
            .write_or(|sql| forget_in_head(sql, agent))
            .map_err(|trouble: Trouble| trouble.during(FORGET))?;
        engine.forgotten(|forgotten| forgotten.insert(agent));
        engine.receipts(|receipts| receipts.forget(agent));
        let paths = engine.registry(|registry| registry.forget(agent));
        for &path in &paths {
            engine.memory.forget_path(path);
        }
        others += others_of_head + engine.memory.forget_agent(agent) as u64;
        writer.memory.forget();
        engine.look_registry(|registry| {
            engine.marks(|marks| marks.retain(i64::MIN, |path| registry.get(path).is_some()))
        });
    }
    let mut forgotten = finish_forgetting(engine)?;
    forgotten.others += others;
    forgotten.lingers = wipe_head(engine);
    Ok(forgotten)
}

/// Overwrites what was deleted in the head; true when that is still to be done, as pruning tries again.
fn wipe_head(engine: &Engine) -> bool {
    let lingers = engine.head.wipe();
    engine.lingers.store(lingers, Ordering::Relaxed);
    lingers
}

fn forget_in_head(sql: &Connection, agent: AgentId) -> Result<u64, Trouble> {
    let agent = agent.to_bytes();
    sql.execute("INSERT OR IGNORE INTO forgotten VALUES (?1)", params![agent])?;
    // The agent itself stands for its other records, with a number that no path has.
    sql.execute(
        "INSERT OR REPLACE INTO leftovers SELECT id, agent FROM paths WHERE agent = ?1",
        params![agent],
    )?;
    sql.execute(
        "INSERT INTO leftovers SELECT coalesce(min(path), 0) - 1, ?1 FROM \
         (SELECT path FROM leftovers WHERE path < 0)",
        params![agent],
    )?;
    let reports = sql.execute("DELETE FROM session_reports WHERE agent = ?1", params![agent])?;
    let of_paths = "path IN (SELECT id FROM paths WHERE agent = ?1)";
    for table in ["unsettled", "dirty_days"] {
        sql.execute(&format!("DELETE FROM {table} WHERE {of_paths}"), params![agent])?;
    }
    for table in ["paths", "schedules", "receipts", "quarantine"] {
        sql.execute(&format!("DELETE FROM {table} WHERE agent = ?1"), params![agent])?;
    }
    Ok(reports as u64)
}

/// Deletes from partitions what is noted as forgotten; what a crash left too.
fn finish_forgetting(engine: &Engine) -> Result<Forgotten, StoreError> {
    const FORGET: &str = "forget an agent's records";
    let noted = engine.head.read(FORGET, |sql| {
        sql.prepare("SELECT path, agent FROM leftovers")?
            .query_map([], |row| Ok((PathId(row.get(0)?), row.get::<_, [u8; 16]>(1)?)))?
            .collect::<rusqlite::Result<Vec<_>>>()
    })?;
    let mut forgotten = Forgotten::default();
    if noted.is_empty() {
        return Ok(forgotten);
    }
    type Noted = Vec<(PathId, [u8; 16])>;
    let (paths, agents): (Noted, Noted) = noted.iter().copied().partition(|(path, _)| path.0 > 0);
    forgotten.paths = paths.len() as u64;
    for family in Family::ALL {
        for id in engine.partitions.list(family) {
            let gone = engine.partitions.write(id, FORGET, |sql| {
                overwrite_deleted(sql)?;
                let mut gone = 0;
                match family {
                    Family::Slots | Family::Hours => {
                        for (path, _) in &paths {
                            gone += slots::forget(sql, *path)?;
                        }
                    }
                    Family::Windows => {
                        for (path, _) in &paths {
                            gone += forget_packs(sql, &path.0)?;
                        }
                    }
                    Family::Loads | Family::Checks | Family::Facts | Family::Gaps => {
                        for (_, agent) in &agents {
                            gone += forget_packs(sql, agent)?;
                        }
                    }
                }
                Ok(gone)
            })?;
            engine.slot_counts(|counts| counts.remove(&id));
            match family {
                Family::Slots => forgotten.slots += gone,
                Family::Windows => forgotten.windows += gone,
                Family::Hours => {}
                Family::Loads | Family::Checks | Family::Facts | Family::Gaps => {
                    forgotten.others += gone;
                }
            }
        }
    }
    engine.head.write(FORGET, |sql| {
        let mut done = sql.prepare_cached("DELETE FROM leftovers WHERE path = ?1")?;
        for (path, _) in &noted {
            done.execute([path.0])?;
        }
        Ok(())
    })?;
    Ok(forgotten)
}

/// What is deleted through this connection is overwritten: freed bytes would keep it.
fn overwrite_deleted(sql: &Connection) -> rusqlite::Result<()> {
    sql.pragma_update_and_check(None, "secure_delete", true, |_| Ok(()))
}

/// Gives how many records went.
fn forget_packs(sql: &Connection, subject: &dyn rusqlite::ToSql) -> rusqlite::Result<u64> {
    let records: i64 = sql
        .prepare_cached("SELECT coalesce(sum(records), 0) FROM packs WHERE subject = ?1")?
        .query_row(params![subject], |row| row.get(0))?;
    sql.prepare_cached("DELETE FROM packs WHERE subject = ?1")?.execute(params![subject])?;
    Ok(records.cast_unsigned())
}

/// Counts bad windows again. What the journal holds is folded before.
pub(super) fn rejudge(
    engine: &Engine,
    span: (SlotStart, SlotStart),
    table: &dyn Fn(RequirementProfile) -> Option<&'static LimitTable>,
) -> Result<u64, StoreError> {
    const REJUDGE: &str = "judge slots again";
    fold_all(engine, REJUDGE)?;
    let _guard = engine.alone(REJUDGE)?.ok_or_else(|| held(REJUDGE))?;
    let of_path = |path: PathId| {
        engine.look_registry(|registry| registry.get(path).and_then(|row| table(row.requirement)))
    };
    let mut count = 0;
    for id in engine.partitions.list(Family::Slots) {
        let first = SlotStart::from_number(id.first_day().saturating_mul(96));
        let until = SlotStart::from_number(id.until_day().saturating_mul(96));
        if first >= span.1 || until <= span.0 {
            continue;
        }
        // Marked before and after: cut short in between, or judged in between, the days are judged
        // again once they have changed.
        let look = |sql: &Transaction<'_>| slots::rejudge(sql, id, span, &of_path, Rejudging::Look);
        let Some((days, _)) = engine.partitions.read(id, REJUDGE, look)? else { continue };
        if days.is_empty() {
            continue;
        }
        engine.marks(|marks| marks.mark(days));
        store_marks(engine, REJUDGE)?;
        let (days, slots) = engine
            .partitions
            .write(id, REJUDGE, |sql| slots::rejudge(sql, id, span, &of_path, Rejudging::Change))?;
        count += slots;
        engine.marks(|marks| marks.mark(days));
        store_marks(engine, REJUDGE)?;
    }
    Ok(count)
}

/// Folds all that the journal held when this was asked.
pub(super) fn fold_all(engine: &Engine, operation: &'static str) -> Result<(), StoreError> {
    if fold_twice(engine)? == Folded::Held { Err(held(operation)) } else { Ok(()) }
}

fn held(operation: &str) -> StoreError {
    let operation = format!("{operation} while a backup runs; try again when it is done");
    StoreError::new(operation, ErrorKind::Busy)
}

/// The first fold may only finish what another one froze.
fn fold_twice(engine: &Engine) -> Result<Folded, StoreError> {
    engine.fold_now()?;
    engine.fold_now()
}
