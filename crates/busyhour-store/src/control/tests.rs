use rusqlite::Connection;

use super::{MIGRATIONS, agents, inventory, judgement, outbox, place};
use crate::sqlite::plan_of;

#[test]
fn questions_about_what_grows_use_an_index() {
    let connection = Connection::open_in_memory().unwrap();
    connection.execute_batch(MIGRATIONS[0]).unwrap();
    for (statement, expected) in [
        (judgement::DAYS, "SEARCH days USING PRIMARY KEY (date>? AND date<?)"),
        (
            judgement::DAYS_OF_BUILDING,
            "SEARCH days USING INDEX days_of_building (building=? AND date>? AND date<?)",
        ),
        (judgement::INCIDENT, "SEARCH incidents USING PRIMARY KEY (id=?)"),
        (judgement::INCIDENTS, "SCAN incidents USING INDEX incidents_by_time"),
        (outbox::UNTOLD, "SCAN events USING COVERING INDEX events_untold"),
        (
            outbox::DUE,
            "SCAN d USING INDEX deliveries_pending; SEARCH e USING INTEGER PRIMARY KEY (rowid=?)",
        ),
        (place::PLACEMENTS, "SCAN placements"),
        (
            agents::AGENT,
            "SEARCH a USING PRIMARY KEY (id=?); SEARCH p USING PRIMARY KEY (agent=?) LEFT-JOIN",
        ),
        (inventory::BUILDINGS, "SCAN buildings USING INDEX buildings_in_force"),
    ] {
        assert_eq!(plan_of(&connection, statement), expected, "{statement}");
    }
}
