use rusqlite::Connection;

use super::{MIGRATIONS, prune, read, settle};
use crate::sqlite::plan_of;

#[test]
fn every_question_walks_a_key() {
    let connection = Connection::open_in_memory().unwrap();
    connection.execute_batch(&MIGRATIONS.concat()).unwrap();
    for (statement, expected) in [
        (read::RECEIPTS, "SEARCH receipts USING PRIMARY KEY (agent=? AND epoch=?)"),
        (read::PATHS, "SCAN paths"),
        (read::PATH, "SEARCH paths USING INTEGER PRIMARY KEY (rowid=?)"),
        (read::SLOTS, "SEARCH slots USING PRIMARY KEY (path=? AND slot>? AND slot<?)"),
        (
            read::WINDOWS,
            "SEARCH windows USING PRIMARY KEY (path=? AND placed_us>? AND placed_us<?)",
        ),
        (read::CIRCUMSTANCE, "SEARCH circumstances USING INTEGER PRIMARY KEY (rowid=?)"),
        (
            read::OTHERS,
            "SEARCH others USING PRIMARY KEY (agent=? AND kind=? AND started_us>? AND started_us<?)",
        ),
        (read::DIRTY_DAYS, "SCAN dirty_days"),
        (
            settle::REPORTS,
            "CO-ROUTINE (subquery-1); \
             SEARCH session_reports USING PRIMARY KEY (listen=? AND ssid=? AND last_sent_us>?); \
             SCAN (subquery-1)",
        ),
        (
            settle::UNSETTLED,
            "CO-ROUTINE (subquery-1); \
             SEARCH unsettled USING PRIMARY KEY (listen=? AND ssid=? AND ended_us>?); \
             SCAN (subquery-1)",
        ),
        (prune::NEXT_OTHERS, "SEARCH others USING PRIMARY KEY ((agent,kind)>(?,?))"),
    ] {
        assert_eq!(plan_of(&connection, statement), expected, "{statement}");
    }
    // Sorted by number, which the index is not; an agent has few paths.
    let of_agent = plan_of(&connection, read::PATHS_OF_AGENT);
    assert!(of_agent.starts_with("SEARCH paths USING INDEX sqlite_autoindex_paths_1 (agent=?)"));
}
