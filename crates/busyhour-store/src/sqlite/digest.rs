//! A digest of each table, changed in the transaction that changes the rows.
//!
//! The digest is the sum of a 64-bit figure of each row, so that it does not depend on the order and
//! a change costs no more than the row that changes. Triggers of the writing connection keep it:
//! whatever statement changes a row, the digest follows. It tells what neither SQLite's own check
//! nor a checksum in a row does: a value that changed, a row that is gone or came back.

use rusqlite::functions::{Context, FunctionFlags};
use rusqlite::types::ValueRef;
use rusqlite::{Connection, params};

/// The table that keeps the digests. It has none itself.
const TABLE: &str = "digests";
const CREATE: &str = "\
CREATE TABLE IF NOT EXISTS digests (
    name TEXT PRIMARY KEY,
    -- How many, and the sum of their figures modulo 2^64.
    rows INTEGER NOT NULL,
    sum INTEGER NOT NULL
) STRICT, WITHOUT ROWID;";

/// A table and its columns, quoted for SQL.
#[derive(Debug)]
struct Table {
    name: String,
    columns: Vec<String>,
}

impl Table {
    fn quoted(&self) -> String {
        quote(&self.name)
    }

    /// The arguments of `row_digest` for `NEW`, `OLD` or the table.
    fn arguments(&self, of: &str) -> String {
        let columns = self.columns.iter().map(|column| format!("{of}.{column}"));
        columns.collect::<Vec<_>>().join(", ")
    }
}

fn quote(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

fn tables(connection: &Connection) -> rusqlite::Result<Vec<Table>> {
    let mut names = connection.prepare(
        "SELECT name FROM main.sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite\\_%' \
         ESCAPE '\\' AND name != ?1 ORDER BY name",
    )?;
    let names = names.query_map([TABLE], |row| row.get::<_, String>(0))?;
    let mut columns = connection.prepare("SELECT name FROM pragma_table_info(?1) ORDER BY cid")?;
    let mut tables = Vec::new();
    for name in names {
        let name = name?;
        let columns = columns.query_map([&name], |row| row.get::<_, String>(0))?;
        let columns = columns.map(|column| column.map(|name| quote(&name)));
        let columns = columns.collect::<rusqlite::Result<_>>()?;
        tables.push(Table { name, columns });
    }
    Ok(tables)
}

/// Makes every later change through this connection change the digests. The layout must be the
/// newest, and not change any more.
pub(super) fn watch(connection: &Connection) -> rusqlite::Result<()> {
    let flags = FunctionFlags::SQLITE_UTF8
        | FunctionFlags::SQLITE_DETERMINISTIC
        | FunctionFlags::SQLITE_INNOCUOUS;
    connection.create_scalar_function("row_digest", -1, flags, |row: &Context<'_>| {
        let mut figure = RowFigure::default();
        (0..row.len()).for_each(|column| figure.add(row.get_raw(column)));
        Ok(figure.value())
    })?;
    let sums = |row: &Context<'_>| Ok((row.get::<i64>(0)?, row.get::<i64>(1)?));
    connection.create_scalar_function("digest_with", 2, flags, move |row: &Context<'_>| {
        sums(row).map(|(sum, figure)| sum.wrapping_add(figure))
    })?;
    connection.create_scalar_function("digest_without", 2, flags, move |row: &Context<'_>| {
        sums(row).map(|(sum, figure)| sum.wrapping_sub(figure))
    })?;
    connection.pragma_update(None, "temp_store", "memory")?;
    // REPLACE deletes; only so does it fire the trigger of a deletion.
    connection.pragma_update(None, "recursive_triggers", true)?;
    for table in tables(connection)? {
        connection.execute_batch(&triggers(&table))?;
    }
    Ok(())
}

fn triggers(table: &Table) -> String {
    let Table { name, .. } = table;
    let (quoted, text) = (table.quoted(), name.replace('\'', "''"));
    let (new, old) = (table.arguments("NEW"), table.arguments("OLD"));
    let trigger = |event: &str, change: &str| {
        let trigger = quote(&format!("digest {name} {event}"));
        format!(
            "CREATE TEMP TRIGGER {trigger} AFTER {event} ON main.{quoted} BEGIN \
             UPDATE digests SET {change} WHERE name = '{text}'; END;"
        )
    };
    let inserted = format!("rows = rows + 1, sum = digest_with(sum, row_digest({new}))");
    let deleted = format!("rows = rows - 1, sum = digest_without(sum, row_digest({old}))");
    let updated =
        format!("sum = digest_with(digest_without(sum, row_digest({old})), row_digest({new}))");
    [trigger("INSERT", &inserted), trigger("DELETE", &deleted), trigger("UPDATE", &updated)]
        .concat()
}

/// Counts all digests again: to be called in a transaction that changed the layout.
pub(super) fn recount(transaction: &Connection) -> rusqlite::Result<()> {
    transaction.execute_batch(CREATE)?;
    transaction.execute("DELETE FROM digests", [])?;
    for table in tables(transaction)? {
        let Digest { rows, sum } = count(transaction, &table)?;
        transaction.execute(
            "INSERT INTO digests (name, rows, sum) VALUES (?1, ?2, ?3)",
            params![table.name, rows, sum],
        )?;
    }
    Ok(())
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Digest {
    rows: i64,
    sum: i64,
}

fn count(connection: &Connection, table: &Table) -> rusqlite::Result<Digest> {
    let (columns, name) = (table.columns.join(", "), table.quoted());
    // Not an index that happens to have all columns: the table itself.
    let sql = format!("SELECT {columns} FROM main.{name} NOT INDEXED");
    let mut statement = connection.prepare(&sql)?;
    let mut found = statement.query([])?;
    let mut digest = Digest { rows: 0, sum: 0 };
    while let Some(row) = found.next()? {
        let mut figure = RowFigure::default();
        for column in 0..table.columns.len() {
            figure.add(row.get_ref(column)?);
        }
        digest.rows += 1;
        digest.sum = digest.sum.wrapping_add(figure.value());
    }
    Ok(digest)
}

/// Counts the digests of a file again and tells what differs, a sentence each. Changes nothing.
pub(super) fn verify(connection: &Connection) -> rusqlite::Result<Vec<String>> {
    let mut kept = connection.prepare("SELECT rows, sum FROM digests WHERE name = ?1")?;
    let mut findings = Vec::new();
    for table in tables(connection)? {
        let name = &table.name;
        let mut kept = kept.query([name])?;
        let Some(row) = kept.next()? else {
            findings.push(format!("table {name:?} has no digest"));
            continue;
        };
        let kept = Digest { rows: row.get(0)?, sum: row.get(1)? };
        let found = count(connection, &table)?;
        if found.rows != kept.rows {
            let (found, kept) = (found.rows, kept.rows);
            findings.push(format!("table {name:?} has {found} rows, its digest knows {kept}"));
        } else if found.sum != kept.sum {
            findings.push(format!("table {name:?} does not have the content that was written"));
        }
    }
    Ok(findings)
}

/// One figure of all digests of a file: files with the same have the same content.
pub(super) fn figure(connection: &Connection) -> rusqlite::Result<u64> {
    let mut digests = connection.prepare("SELECT name, rows, sum FROM digests ORDER BY name")?;
    let mut digests = digests.query([])?;
    let mut figure = RowFigure::default();
    while let Some(digest) = digests.next()? {
        for column in 0..3 {
            figure.add(digest.get_ref(column)?);
        }
    }
    Ok(figure.value().cast_unsigned())
}

/// The figure of one row: two checksums of its values, spread over 64 bits so that sums of figures
/// differ as the rows do.
#[derive(Debug, Default)]
struct RowFigure {
    ieee: crc32fast::Hasher,
    castagnoli: u32,
}

impl RowFigure {
    fn add(&mut self, value: ValueRef<'_>) {
        match value {
            ValueRef::Null => self.add_bytes(&[0]),
            ValueRef::Integer(integer) => {
                let [a, b, c, d, e, f, g, h] = integer.to_le_bytes();
                self.add_bytes(&[1, a, b, c, d, e, f, g, h]);
            }
            ValueRef::Real(real) => {
                let [a, b, c, d, e, f, g, h] = real.to_bits().to_le_bytes();
                self.add_bytes(&[2, a, b, c, d, e, f, g, h]);
            }
            ValueRef::Text(bytes) => self.add_sized(3, bytes),
            ValueRef::Blob(bytes) => self.add_sized(4, bytes),
        }
    }

    /// The size comes first, so that no two rows are the same bytes.
    fn add_sized(&mut self, kind: u8, bytes: &[u8]) {
        let [a, b, c, d, e, f, g, h] = (bytes.len() as u64).to_le_bytes();
        self.add_bytes(&[kind, a, b, c, d, e, f, g, h]);
        self.add_bytes(bytes);
    }

    fn add_bytes(&mut self, bytes: &[u8]) {
        self.ieee.update(bytes);
        self.castagnoli = crc32c::crc32c_append(self.castagnoli, bytes);
    }

    fn value(self) -> i64 {
        let both = u64::from(self.ieee.finalize()) << 32 | u64::from(self.castagnoli);
        spread(both).cast_signed()
    }
}

/// The finisher of SplitMix64 (Steele, Lea, Flood 2014): a bijection.
const fn spread(mut bits: u64) -> u64 {
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    bits ^ (bits >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn connection(sql: &str) -> Connection {
        let connection = Connection::open_in_memory().unwrap();
        connection.pragma_update(None, "trusted_schema", false).unwrap();
        connection.execute_batch(sql).unwrap();
        recount(&connection).unwrap();
        watch(&connection).unwrap();
        connection
    }

    const TWO: &str = "
        CREATE TABLE parents (id INTEGER PRIMARY KEY, name TEXT UNIQUE, figure REAL);
        CREATE TABLE \"odd 'name\" (
            parent INTEGER REFERENCES parents (id) ON DELETE CASCADE,
            body BLOB,
            PRIMARY KEY (parent, body)
        ) WITHOUT ROWID;
        INSERT INTO parents (name, figure) VALUES ('there before', 1.5);";

    #[test]
    fn the_digests_follow_every_way_of_changing_rows() {
        let connection = connection(TWO);
        for change in [
            "INSERT INTO parents (id, name, figure) VALUES (2, 'two', 2.0), (3, NULL, NULL)",
            "INSERT INTO \"odd 'name\" VALUES (2, x'0102'), (2, x''), (3, x'00')",
            "UPDATE parents SET figure = 7, name = 'renamed' WHERE id = 2",
            "INSERT OR REPLACE INTO parents (id, name) VALUES (4, 'renamed')",
            "INSERT INTO parents (id, name) VALUES (4, 'x') ON CONFLICT DO UPDATE SET figure = 9",
            "INSERT OR IGNORE INTO parents (id, name) VALUES (4, 'x')",
            "UPDATE OR REPLACE parents SET id = 3 WHERE id = 4",
            "SAVEPOINT s; DELETE FROM parents; ROLLBACK TO s; RELEASE s",
            "DELETE FROM parents WHERE id = 1",
            "DELETE FROM parents",
        ] {
            connection.execute_batch(change).unwrap();
            assert_eq!(verify(&connection).unwrap(), Vec::<String>::new(), "{change}");
        }
        let left = "SELECT sum(rows), sum(abs(sum)) FROM digests";
        let left = connection.query_row(left, [], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
        assert_eq!(left, (0, 0));
    }

    #[test]
    fn a_statement_that_fails_half_way_leaves_the_digests_right() {
        let connection = connection(TWO);
        let half = "INSERT INTO parents (id, name) VALUES (7, 'a'), (8, 'b'), (7, 'c')";
        connection.execute(half, []).unwrap_err();
        assert_eq!(verify(&connection).unwrap(), Vec::<String>::new());
    }

    #[test]
    fn what_changes_behind_the_writers_back_is_told() {
        for (change, finding) in [
            ("UPDATE parents SET figure = 1.25", "not have the content"),
            ("DELETE FROM parents", "has 0 rows, its digest knows 1"),
            ("INSERT INTO parents (name) VALUES ('x')", "has 2 rows, its digest knows 1"),
            ("DELETE FROM digests WHERE name = 'parents'", "has no digest"),
            ("UPDATE digests SET sum = sum + 1 WHERE name = 'parents'", "not have the content"),
        ] {
            let connection = Connection::open_in_memory().unwrap();
            connection.execute_batch(TWO).unwrap();
            recount(&connection).unwrap();
            connection.execute_batch(change).unwrap();
            let findings = verify(&connection).unwrap();
            let [one] = findings.as_slice() else { panic!("{change}: {findings:?}") };
            assert!(one.contains("\"parents\"") && one.contains(finding), "{change}: {one}");
        }
    }

    #[test]
    fn rows_that_differ_in_kind_or_in_where_values_end_have_different_figures() {
        let figure = |values: &[ValueRef<'_>]| {
            let mut figure = RowFigure::default();
            values.iter().for_each(|value| figure.add(*value));
            figure.value()
        };
        let rows = [
            figure(&[]),
            figure(&[ValueRef::Null]),
            figure(&[ValueRef::Integer(0)]),
            figure(&[ValueRef::Real(0.0)]),
            figure(&[ValueRef::Text(b"ab"), ValueRef::Text(b"c")]),
            figure(&[ValueRef::Text(b"a"), ValueRef::Text(b"bc")]),
            figure(&[ValueRef::Blob(b"a"), ValueRef::Blob(b"bc")]),
        ];
        let distinct: std::collections::BTreeSet<_> = rows.iter().collect();
        assert_eq!(distinct.len(), rows.len());
    }
}
