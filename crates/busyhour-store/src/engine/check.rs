//! Whether everything in a file can be read back.

use rusqlite::Connection;

use super::journal::Entry;
use super::registry::Registry;
use super::{others, slots, windows};
use crate::RecordKind;
use crate::sqlite::{Family, PartitionId, unreadable};

/// Decodes everything in a partition. Gives how many windows, slots or records it has.
pub(crate) fn check_partition(sql: &Connection, id: PartitionId) -> rusqlite::Result<u64> {
    match id.family() {
        Family::Windows => windows::check(sql),
        Family::Slots | Family::Hours => slots::check(sql, id),
        Family::Loads => others::check(sql, RecordKind::Load),
        Family::Checks => others::check(sql, RecordKind::Check),
        Family::Facts => others::check(sql, RecordKind::Fact),
        Family::Gaps => others::check(sql, RecordKind::Gap),
    }
}

/// Decodes the journal and the paths of a head. Gives how many windows and records the journal has.
pub(crate) fn check_head(sql: &Connection) -> rusqlite::Result<u64> {
    Registry::load(sql)?;
    let mut statement = sql.prepare("SELECT entry, body FROM journal")?;
    let mut rows = statement.query([])?;
    let mut records = 0;
    while let Some(row) = rows.next()? {
        let body = row.get_ref(1)?.as_blob()?;
        let entry = Entry::decode(row.get(0)?, body).map_err(unreadable)?;
        records += (entry.windows.len() + entry.others.len()) as u64;
    }
    Ok(records)
}
