use rusqlite::Connection;

use super::{
    MIGRATIONS, acts, agents, api_tokens, audit, configuration, forget, identity, import,
    incidents, inventory, judgement, learned, outbox, place, prune, quiet, tasks, tokens, users,
    versions,
};
use crate::sqlite::plan_of;

fn empty() -> Connection {
    let connection = Connection::open_in_memory().unwrap();
    MIGRATIONS.iter().for_each(|layout| connection.execute_batch(layout).unwrap());
    connection
}

#[track_caller]
fn check_plans(plans: &[(&str, &str)]) {
    let connection = empty();
    let found = plans.iter().map(|(statement, _)| plan_of(&connection, statement));
    let found: Vec<_> = found.collect();
    let expected: Vec<_> = plans.iter().map(|&(_, plan)| plan).collect();
    assert_eq!(found, expected);
}

#[test]
fn questions_about_what_grows_use_an_index() {
    check_plans(&[
        (judgement::DAYS, "SEARCH days USING PRIMARY KEY (date>? AND date<?)"),
        (
            judgement::DAYS_OF_BUILDING,
            "SEARCH days USING INDEX days_of_building (building=? AND date>? AND date<?)",
        ),
        (judgement::DAYS_OF_SCOPE, "SEARCH days USING PRIMARY KEY (date=? AND scope=?)"),
        (incidents::ONE, "SEARCH incidents USING INDEX sqlite_autoindex_incidents_1 (id=?)"),
        (incidents::ALL, "SCAN incidents USING INDEX incidents_by_time"),
        (incidents::NOT_CLOSED, "SCAN incidents USING INDEX incidents_open"),
        (incidents::CLOSED_SINCE, "SEARCH incidents USING INDEX incidents_closed (closed_us>?)"),
        (incidents::OF_AGENT, "SEARCH incidents USING INDEX incidents_of_agents (subject=?)"),
        (
            learned::LOADS,
            "SEARCH building_loads USING INDEX building_loads_by_date (date>? AND date<?)",
        ),
        (
            learned::LOADS_OF_BUILDING,
            "SEARCH building_loads USING PRIMARY KEY (building=? AND date>? AND date<?)",
        ),
        (
            learned::FORGET_WEEKS,
            "SEARCH working_weeks USING PRIMARY KEY (building=? AND looked_on<?); \
             SCALAR SUBQUERY 1; SEARCH working_weeks USING PRIMARY KEY (building=? AND looked_on<?)",
        ),
        (
            forget::FORGET_LOADS,
            "SEARCH building_loads USING PRIMARY KEY (building=? AND date>? AND date<?)",
        ),
        (outbox::AGENT_NAME, "SEARCH agents USING PRIMARY KEY (id=?)"),
        (outbox::UNTOLD, "SEARCH events USING INDEX events_untold (look_us<?)"),
        (outbox::WAITING, "SCAN events USING COVERING INDEX events_untold"),
        (outbox::PENDING, "SCAN deliveries USING COVERING INDEX deliveries_pending"),
        (outbox::DUE_CHANNELS, "SCAN deliveries USING COVERING INDEX deliveries_pending"),
        (
            outbox::TOLD_LATELY,
            "SCAN CONSTANT ROW; SCALAR SUBQUERY 1; \
             SEARCH events USING INDEX events_of_no_incident (created_us>?)",
        ),
        (
            outbox::DUE,
            "SEARCH d USING INDEX deliveries_pending (channel=?); SEARCH e USING INTEGER PRIMARY KEY (rowid=?); \
             CORRELATED SCALAR SUBQUERY 1; SEARCH o USING INDEX sqlite_autoindex_events_1 \
             (incident=? AND openings=? AND event=?); USE TEMP B-TREE FOR ORDER BY; \
             CORRELATED SCALAR SUBQUERY 2; SEARCH o USING COVERING INDEX sqlite_autoindex_events_1 \
             (incident=? AND openings=? AND event=?); SEARCH s USING INDEX \
             sqlite_autoindex_deliveries_1 (event=? AND channel=?)",
        ),
        (outbox::BUILDING_NAME, "SEARCH buildings USING PRIMARY KEY (id=?)"),
        (outbox::SUBNET_NAME, "SEARCH subnets USING PRIMARY KEY (id=?)"),
        (audit::ENTRIES, "SEARCH audit USING INDEX audit_by_time (at_us>? AND at_us<?)"),
        (audit::CHAINED, "SEARCH audit USING INTEGER PRIMARY KEY (rowid>?)"),
        (agents::SECRET, "SEARCH agents USING PRIMARY KEY (id=?)"),
        (tokens::TOKEN, "SEARCH enrolment_tokens USING INTEGER PRIMARY KEY (rowid=?)"),
        (
            identity::IDENTITY,
            "SEARCH i USING PRIMARY KEY (agent=?); SEARCH a USING PRIMARY KEY (id=?); \
             SEARCH b USING PRIMARY KEY (agent=?) LEFT-JOIN",
        ),
        (identity::PLACING, "SEARCH identities USING PRIMARY KEY (agent=?)"),
        (
            identity::KEY_OWNER,
            "COMPOUND QUERY; LEFT-MOST SUBQUERY; SEARCH identities USING INDEX \
             sqlite_autoindex_identities_2 (key_sha256=?); UNION ALL; SEARCH identities USING INDEX \
             sqlite_autoindex_identities_3 (next_key_sha256=?)",
        ),
        (agents::BINDINGS, "SEARCH bindings USING PRIMARY KEY (agent=?)"),
        (
            agents::AGENT,
            "SEARCH a USING PRIMARY KEY (id=?); SEARCH b USING PRIMARY KEY (agent=?) LEFT-JOIN; \
             SEARCH p USING PRIMARY KEY (agent=?) LEFT-JOIN",
        ),
        (versions::VERSION_IN_FORCE, "SCAN building_files USING INDEX building_files_in_force"),
        (versions::VERSIONS, "SCAN building_files"),
        (import::ONCE_NAMED, "SEARCH buildings USING COVERING INDEX buildings_by_name (name=?)"),
    ]);
}

#[test]
fn questions_about_people_and_configurations_use_an_index() {
    check_plans(&[
        (
            users::PROVEN,
            "SEARCH users USING INDEX sqlite_autoindex_users_2 (issuer=? AND subject=?)",
        ),
        (users::PASSWORD, "SEARCH users USING INDEX sqlite_autoindex_users_1 (name=?)"),
        (
            users::SESSION,
            "SEARCH s USING PRIMARY KEY (token_sha256=?); SEARCH u USING INTEGER PRIMARY KEY (rowid=?)",
        ),
        (
            api_tokens::BY_TOKEN,
            "SEARCH api_tokens USING INDEX sqlite_autoindex_api_tokens_1 (token_sha256=?)",
        ),
        (configuration::NEWEST, "SCAN configurations"),
        (
            configuration::NEWEST_NAMED,
            "SEARCH configurations USING INDEX configurations_by_name (name=?)",
        ),
        (configuration::ONE, "SEARCH configurations USING INTEGER PRIMARY KEY (rowid=?)"),
    ]);
}

#[test]
fn questions_about_what_people_did_use_an_index() {
    let of_incident = "SEARCH acts USING INDEX acts_of_incidents (incident=?)";
    check_plans(&[
        (acts::OF_INCIDENT, of_incident),
        (acts::COUNT, "SEARCH acts USING COVERING INDEX acts_of_incidents (incident=?)"),
        (acts::MERGED, of_incident),
        (acts::OWNED, of_incident),
        (acts::ACKNOWLEDGED, of_incident),
        (acts::STANDING, "SCAN acts USING INDEX acts_that_stand"),
        (quiet::TURNING, "SEARCH quiets USING INDEX quiets_turning (from_us<?)"),
        (quiet::COUNT, "SEARCH quiets USING COVERING INDEX quiets_by_end (end_us>?)"),
        (quiet::COUNT_OF_ONE, "SEARCH quiets USING INDEX quiets_by_end (end_us>?)"),
        (quiet::SCOPES, "SEARCH quiet_scopes USING PRIMARY KEY (quiet=?)"),
        (quiet::CLASSES, "SEARCH quiet_classes USING PRIMARY KEY (quiet=?)"),
        (quiet::OLD, "SEARCH quiets USING INDEX quiets_by_end (end_us<?)"),
        (tasks::OLD, "SEARCH sign_offs USING INDEX sign_offs_by_time (at_us<?)"),
        (
            tasks::OF_PERIOD,
            "SEARCH sign_offs USING COVERING INDEX sign_offs_of_periods (task=? AND period=?)",
        ),
    ]);
}

/// The answer is all that there is, or most of it; or what is asked about is in no column.
#[test]
fn questions_about_the_whole_inventory_read_it_once() {
    check_plans(&[
        (forget::FORGOTTEN, "SCAN forgotten"),
        (incidents::MEMBERS, "SCAN incidents"),
        (learned::WEEKS, "SCAN working_weeks"),
        (learned::MONTHS, "SCAN series_months"),
        (
            agents::AGENTS,
            "SCAN a USING INDEX agents_by_name; SEARCH b USING PRIMARY KEY (agent=?) LEFT-JOIN; \
             SEARCH p USING PRIMARY KEY (agent=?) LEFT-JOIN",
        ),
        (tokens::TOKENS, "SCAN enrolment_tokens; USE TEMP B-TREE FOR ORDER BY"),
        (
            identity::IDENTITIES,
            "SCAN a USING COVERING INDEX agents_by_name; SEARCH i USING PRIMARY KEY (agent=?); \
             SEARCH b USING PRIMARY KEY (agent=?) LEFT-JOIN; USE TEMP B-TREE FOR LAST TERM OF ORDER BY",
        ),
        (place::PLACEMENTS, "SCAN placements"),
        (place::PLACEMENTS_AT, "SCAN placements"),
        (inventory::BUILDINGS, "SCAN buildings USING INDEX buildings_in_force"),
        (inventory::BUILDINGS_AT, "SCAN buildings USING INDEX buildings_by_name"),
        (inventory::SUBNETS, "SCAN subnets USING INDEX subnets_in_force"),
        (inventory::SUBNETS_AT, "SCAN subnets"),
        (import::SUBNETS_ONCE, "SCAN subnets; USE TEMP B-TREE FOR ORDER BY"),
        (versions::VERSION_AT, "SCAN building_files"),
    ]);
}

#[test]
fn retention_finds_what_is_old_by_an_index() {
    check_plans(&[
        (prune::VERDICTS, "SEARCH days USING PRIMARY KEY (date<?)"),
        (prune::LOADS, "SEARCH building_loads USING INDEX building_loads_by_date (date<?)"),
        (prune::MONTHS, "SEARCH series_months USING PRIMARY KEY (month<?)"),
        (audit::FIRST_KEPT, "SCAN audit"),
        (
            prune::DELIVERIES,
            "SEARCH deliveries USING INDEX deliveries_finished (finished_us<?); CORRELATED \
             SCALAR SUBQUERY 3; SEARCH e USING INTEGER PRIMARY KEY (rowid=?); SEARCH i \
             USING INDEX sqlite_autoindex_incidents_1 (id=?); CORRELATED SCALAR SUBQUERY 2; \
             SEARCH c USING INDEX sqlite_autoindex_events_1 (incident=? AND openings=? AND \
             event=?); CORRELATED SCALAR SUBQUERY 1; SEARCH p USING INDEX \
             sqlite_autoindex_deliveries_1 (event=?)",
        ),
        (prune::INCIDENTS, "SEARCH incidents USING INDEX incidents_closed (closed_us<?)"),
        (
            tokens::OLD_TOKENS,
            "SEARCH enrolment_tokens USING INDEX enrolment_tokens_expiring (expires_us<?)",
        ),
        (prune::BUILDINGS, "SEARCH buildings USING INDEX buildings_ended (valid_until_us<?)"),
        (prune::SUBNETS, "SEARCH subnets USING INDEX subnets_ended (valid_until_us<?)"),
        (prune::SIGHTINGS, "SCAN agents"),
        (
            prune::DELIVERIES_OF_INCIDENT,
            "SEARCH deliveries USING COVERING INDEX sqlite_autoindex_deliveries_1 (event=?); \
             LIST SUBQUERY 1; SEARCH events USING COVERING INDEX sqlite_autoindex_events_1 \
             (incident=?)",
        ),
    ]);
}

/// Of every date one look-up, instead of every row.
#[test]
fn verdicts_of_one_scope_are_found_date_by_date() {
    let connection = empty();
    for statement in [prune::PATH_VERDICTS, forget::FORGET_VERDICTS] {
        let plan = plan_of(&connection, statement);
        assert!(plan.starts_with("SEARCH days USING PRIMARY KEY (date=? AND scope=?"), "{plan}");
        assert!(!plan.contains("SCAN d;") && !plan.contains("SCAN days;"), "{plan}");
    }
    let plan = plan_of(&connection, forget::FORGET_MONTHS);
    let found = "SEARCH series_months USING PRIMARY KEY (month=? AND path=?)";
    assert!(plan.starts_with(found) && !plan.contains("SCAN series_months;"), "{plan}");
}

#[test]
fn an_entry_of_the_audit_is_neither_changed_nor_deleted_before_its_time() {
    let connection = empty();
    let entry = |at: i64| {
        let statement = "INSERT INTO audit (at_us, actor, action, subject, detail, link) \
                         VALUES (?1, 'a', 'import', 'store', '', zeroblob(32))";
        connection.execute(statement, [at]).unwrap();
    };
    (1..=3).for_each(entry);
    for refused in [
        "DELETE FROM audit",
        "DELETE FROM audit WHERE at_us = 1",
        "UPDATE audit SET actor = 'b'",
        "REPLACE INTO audit VALUES (1, 1, 'b', 'import', 'store', '', zeroblob(32))",
    ] {
        let error = connection.execute(refused, []).unwrap_err().to_string();
        assert!(error.contains("an entry of the audit is"), "{refused}: {error}");
    }
    connection.execute("UPDATE audit_kept SET from_us = 2", []).unwrap();
    assert_eq!(connection.execute("DELETE FROM audit WHERE at_us < 2", []).unwrap(), 1);
    connection.execute("DELETE FROM audit", []).unwrap_err();
}
