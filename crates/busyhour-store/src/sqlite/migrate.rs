//! Layouts of a file: forward only, each step and its number in one transaction.

use std::path::Path;

use rusqlite::Connection;

use super::OpenError;
use super::database::begin;
use super::digest;

/// The statements that lead from one layout to the next. Never edited once released.
pub(crate) type Migration = &'static str;

/// Brings the file to the newest layout. A new file gets the application's mark; a file with
/// another mark, or with tables and no mark, is not touched. Digests are counted anew.
pub(super) fn migrate(
    connection: &mut Connection,
    file: &Path,
    application_id: i32,
    migrations: &[Migration],
) -> Result<(), OpenError> {
    let refused = |source| OpenError::Database { file: file.to_owned(), source };
    let transaction = begin(connection).map_err(refused)?;
    let number = |name: &str| {
        transaction.pragma_query_value(None, name, |row| row.get::<_, i64>(0)).map_err(refused)
    };
    let (mark, found) = (number("application_id")?, number("user_version")?);
    let tables: i64 = transaction
        .query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))
        .map_err(refused)?;
    if mark != i64::from(application_id) && (mark != 0 || tables != 0) {
        return Err(OpenError::Foreign { file: file.to_owned() });
    }
    let known = i64::try_from(migrations.len()).unwrap_or(i64::MAX);
    if found > known {
        return Err(OpenError::Newer { file: file.to_owned(), found, known });
    }
    if found == known {
        return Ok(());
    }
    let upgrade = || {
        for migration in migrations.iter().skip(usize::try_from(found).unwrap_or(0)) {
            transaction.execute_batch(migration)?;
        }
        digest::recount(&transaction)?;
        transaction.pragma_update(None, "application_id", application_id)?;
        transaction.pragma_update(None, "user_version", known)?;
        transaction.commit()
    };
    upgrade().map_err(refused)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MARK: i32 = 7;

    fn version(connection: &Connection) -> i64 {
        connection.pragma_query_value(None, "user_version", |row| row.get(0)).unwrap()
    }

    fn run(connection: &mut Connection, migrations: &[Migration]) -> Result<(), OpenError> {
        migrate(connection, Path::new("test.db"), MARK, migrations)
    }

    #[test]
    fn each_step_runs_once_and_in_order() {
        let mut connection = Connection::open_in_memory().unwrap();
        let first = "CREATE TABLE a (x INTEGER);";
        let second = "ALTER TABLE a ADD COLUMN y INTEGER;";
        run(&mut connection, &[first]).unwrap();
        run(&mut connection, &[first, second]).unwrap();
        run(&mut connection, &[first, second]).unwrap();
        assert_eq!(version(&connection), 2);
        connection.execute("INSERT INTO a (x, y) VALUES (1, 2)", []).unwrap();
    }

    #[test]
    fn a_step_that_fails_leaves_the_old_layout() {
        let mut connection = Connection::open_in_memory().unwrap();
        let first = "CREATE TABLE a (x INTEGER);";
        run(&mut connection, &[first]).unwrap();
        let broken = "CREATE TABLE b (x INTEGER); CREATE TABLE a (x INTEGER);";
        assert!(matches!(run(&mut connection, &[first, broken]), Err(OpenError::Database { .. })));
        assert_eq!(version(&connection), 1);
        connection.execute("CREATE TABLE b (x INTEGER)", []).unwrap();
    }

    #[test]
    fn newer_and_foreign_files_are_refused() {
        let mut newer = Connection::open_in_memory().unwrap();
        run(&mut newer, &["CREATE TABLE a (x INTEGER);"]).unwrap();
        assert!(matches!(run(&mut newer, &[]), Err(OpenError::Newer { found: 1, known: 0, .. })));
        let mut foreign = Connection::open_in_memory().unwrap();
        foreign.execute("CREATE TABLE somebody_elses (x INTEGER)", []).unwrap();
        assert!(matches!(run(&mut foreign, &[]), Err(OpenError::Foreign { .. })));
    }
}
