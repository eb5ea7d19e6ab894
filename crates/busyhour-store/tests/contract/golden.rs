//! Databases that earlier versions wrote, and one of this version, are opened and read.
//! `tests/golden/README.md` says how they are made.

mod telemetry;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Once;

use busyhour_model::{AgentId, BuildingLoad, IncidentState, LoadSource, Scope};
use busyhour_store::{
    Act, Actor, AuditAction, AuditSubject, Binding, Control, DeliveryOutcome, DeliveryTotals,
    Enrolment, Identities as _, IncidentEvent, JudgeWrite, NewToken, Outbox as _, SqliteControl,
    TokenPlace, open,
};
use jiff::civil::date;
use rusqlite::Connection;
use tempfile::TempDir;

use crate::control::{agent, by_name, enrolled, sighting};
use crate::fixtures::{DAY, NOW, RETENTION, at, building};
use crate::identity;
use crate::incidents::{due, incident, judge};
use crate::learned::{load, month, week};
use crate::verdicts::{HOME, day};

/// The folder of the layout to be released next.
const UNRELEASED: &str = "unreleased";
/// The files of a store that are kept, within its directory.
fn files() -> impl Iterator<Item = &'static str> {
    ["control.db", "telemetry.db"].into_iter().chain(telemetry::PARTITIONS.iter().copied())
}

/// A store of this version with everything in it.
fn filled() -> TempDir {
    let directory = TempDir::new().unwrap();
    let (telemetry, control) = open(directory.path(), RETENTION).unwrap();
    fill(&control);
    telemetry::fill(&telemetry);
    directory
}

/// Copies the files that are kept.
fn copy(from: &Path, to: &Path) {
    for file in files() {
        assert!(!from.join(format!("{file}-wal")).exists(), "all is in the file");
        fs::create_dir_all(to.join(file).parent().unwrap()).unwrap();
        fs::copy(from.join(file), to.join(file)).unwrap();
    }
}

fn golden() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden")
}

fn by(name: &str, days: i64) -> Act {
    Act { at: at(NOW, days * DAY), actor: Actor::new(name).unwrap() }
}

/// Puts in what every golden database holds.
fn fill(control: &SqliteControl) {
    let first = [building("Hafen", &["10.1.0.0/24", "2001:db8::/48"]), building("Elbe", &[])];
    control.import_buildings(&first, &by("eva", 0)).unwrap();
    let moved = Binding::Address;
    for (id, name) in [(1, "hh-1"), (2, "hh-2"), (3, "hh-gone")] {
        let bound = enrolled("10.1.0.0/24", None);
        control.add_agent(&agent(id, name, bound), &by("max", 1)).unwrap();
    }
    let seen = sighting(at(NOW, DAY), "10.1.0.7/24", "192.0.2.1");
    control.saw_agent(AgentId::from_u128(1), &seen).unwrap();
    control.bind_agent(AgentId::from_u128(1), moved, &by("max", 2)).unwrap();
    control.remove_agent(AgentId::from_u128(2), &by("max", 3)).unwrap();
    control.forget_agent(AgentId::from_u128(3), &[], &Default::default(), &by("eva", 4)).unwrap();
    let second = [building("Hafen City", &["10.1.0.0/24", "2001:db8::/48", "10.2.0.0/24"])];
    control.import_buildings(&second, &by("eva", 5)).unwrap();
    let place = TokenPlace { building: by_name(control)["Hafen City"].id, subnet: None };
    let expires = at(NOW, 6 * DAY);
    let token = NewToken { place, expires, ..identity::token(place, 5) };
    control.add_token(&token, &by("max", 5)).unwrap();
    let enrolment = Enrolment { at: at(NOW, 5 * DAY), ..identity::enrolment(5, 9) };
    control.enrol(&enrolment).unwrap().unwrap();
    let today = date(2026, 9, 21);
    let write = JudgeWrite {
        days: vec![day(Scope::Building(HOME), today)],
        loads: vec![load(HOME, today, 9)],
        weeks: vec![week(HOME, today)],
        months: vec![month(1, today.first_of_month())],
        ..JudgeWrite::default()
    };
    control.write_judgement(&write, NOW).unwrap();
    control.import_loads(&[load(HOME, today, 0)], &by("eva", 6)).unwrap();
    for id in 1..=2 {
        let open = incident(id, IncidentState::Open);
        judge(control, &open, &[IncidentEvent::Opened], NOW);
    }
    let waiting = due(control, &["mail"], NOW);
    control.delivered(&[waiting[0].0], &DeliveryOutcome::Sent, NOW).unwrap();
    crate::outbox::fill(control);
    let settings = [("retention.audit", "400d".to_owned())];
    control.note_settings(&settings, &by("collector", 6)).unwrap();
    crate::accounts::fill(control);
    crate::configuration::fill(control);
    crate::desk::fill(control);
    crate::tasks::fill(control);
}

/// Reads back what [`fill`] put in.
fn check(control: &SqliteControl) {
    crate::accounts::check(control);
    crate::configuration::check(control);
    crate::desk::check(control);
    crate::tasks::check(control);
    crate::outbox::check(control);
    let files = control.building_files(9).unwrap();
    let told: Vec<_> = files.iter().map(|f| (f.number, f.buildings, f.subnets)).collect();
    assert_eq!(told, [(2, 1, 3), (1, 2, 2)]);
    assert_eq!(files[1].actor.as_deref(), Some("eva"));
    let now = by_name(control);
    assert_eq!(now.keys().collect::<Vec<_>>(), ["Hafen City"]);
    assert_eq!(now["Hafen City"].time_zone.as_deref(), Some("Europe/Berlin"));
    let then = control.inventory_at(at(NOW, 2 * DAY)).unwrap();
    let names: Vec<_> = then.buildings.iter().map(|b| b.name.as_str()).collect();
    assert_eq!(names, ["Elbe", "Hafen"]);
    assert_eq!(then.buildings[1].id, now["Hafen City"].id);
    assert_eq!(then.placements.len(), 2);

    let agents = control.agents().unwrap();
    let told: Vec<_> = agents.iter().map(|a| (a.name.as_str(), a.removed.is_some())).collect();
    let enrolled = ("Hafen City-00000009", false);
    assert_eq!(told, [enrolled, ("hh-1", false), ("hh-2", true)]);
    let agents = &agents[1..];
    let seen = sighting(at(NOW, DAY), "10.1.0.7/24", "192.0.2.1");
    assert_eq!(agents[0].sighting, Some(seen));
    assert_eq!(control.bindings(agents[0].id).unwrap().len(), 2);
    assert_eq!(control.agent_secret(agents[0].id).unwrap(), Some(([7; 32], false)));

    let date = date(2026, 9, 21);
    let days = control.days(None, date, date).unwrap();
    assert_eq!(days, [day(Scope::Building(HOME), date)]);
    let imported = BuildingLoad { source: LoadSource::Imported, ..load(HOME, date, 0) };
    let loads = control.building_loads(None, date, date).unwrap();
    assert_eq!(loads, [load(HOME, date, 9), imported]);
    assert_eq!(control.working_weeks().unwrap(), [week(HOME, date)]);
    assert_eq!(control.months().unwrap(), [month(1, date.first_of_month())]);
    assert_eq!(control.last_incident_number().unwrap(), 2);
    let open = [incident(2, IncidentState::Open), incident(1, IncidentState::Open)];
    assert_eq!(control.incidents(false).unwrap(), open);
    // That somebody has seen an incident waits to be told, too.
    let totals = DeliveryTotals { pending: 4, sent: 1, withheld: 0 };
    assert_eq!(control.delivery_totals().unwrap(), totals);

    let audit = control.audit(at(NOW, 0), at(NOW, 9 * DAY), 99).unwrap();
    let actions: Vec<_> = audit.iter().rev().map(|entry| entry.action).collect();
    let expected = [
        AuditAction::Imported,
        AuditAction::ChannelTested,
        AuditAction::AgentAdded,
        AuditAction::AgentAdded,
        AuditAction::AgentAdded,
        AuditAction::AgentBound,
        AuditAction::AgentRemoved,
        AuditAction::AgentForgotten,
        AuditAction::Imported,
        AuditAction::TokenMade,
        AuditAction::AgentEnrolled,
        AuditAction::LoadsImported,
        AuditAction::SettingsChanged,
    ];
    assert_eq!(actions, expected);
    assert_eq!(audit[5].subject, AuditSubject::Agent(AgentId::from_u128(3)));
}

/// Writes the golden database of this version anew when that is asked for, once a run.
fn update_when_asked() {
    static UPDATED: Once = Once::new();
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        UPDATED.call_once(update);
    }
}

fn update() {
    copy(filled().path(), &golden().join(UNRELEASED));
}

/// The statements that made a file's tables, indexes and triggers, and its layout's number.
fn layout(file: &Path) -> (i64, BTreeMap<String, String>) {
    let connection = Connection::open(file).unwrap();
    let number = connection.pragma_query_value(None, "user_version", |row| row.get(0)).unwrap();
    let mut statement = connection
        .prepare("SELECT type || ' ' || name, coalesce(sql, '') FROM sqlite_schema")
        .unwrap();
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
    (number, rows.collect::<Result<_, _>>().unwrap())
}

fn versions() -> Vec<PathBuf> {
    let entries = fs::read_dir(golden()).unwrap().map(|entry| entry.unwrap().path());
    entries.filter(|path| path.is_dir()).collect()
}

#[test]
fn what_every_version_wrote_is_upgraded_and_read() {
    update_when_asked();
    let versions = versions();
    assert!(versions.contains(&golden().join(UNRELEASED)), "{versions:?}");
    let fresh = filled();
    for version in versions {
        let copy = TempDir::new().unwrap();
        self::copy(&version, copy.path());
        let (telemetry, control) = open(copy.path(), RETENTION).unwrap();
        check(&control);
        telemetry::check(&telemetry);
        drop((telemetry, control));
        for file in files() {
            let (upgraded, new) = (copy.path().join(file), fresh.path().join(file));
            assert_eq!(layout(&upgraded), layout(&new), "{}: {file}", version.display());
        }
    }
}

/// Until its release a layout may change in place; then its golden database is written again.
#[test]
fn the_unreleased_database_has_the_layout_of_this_program() {
    update_when_asked();
    let fresh = filled();
    for file in files() {
        let kept = layout(&golden().join(UNRELEASED).join(file));
        let message = "run with UPDATE_GOLDEN=1 when this is meant; see tests/golden/README.md";
        assert_eq!(kept, layout(&fresh.path().join(file)), "{file}: {message}");
    }
}
