//! Puts a fleet and its past into a store.

use std::path::Path;

use busyhour_model::PathId;
use busyhour_store::{
    Act, Control as _, JudgeWrite, Retention, SqliteControl, SqliteTelemetry, Telemetry as _,
};

use crate::Effort;
use crate::cost::{Watch, folder_bytes, grouped};
use crate::fleet::{
    AGENTS, BEGIN, FleetPath, agent_id, building_load, file, ids, minute, new_agent, windows,
};
use crate::slots::{DAY, Draw, SlotPool};

/// Long enough that nothing is dropped.
const RETENTION: Retention = Retention {
    windows_days: 3_000,
    slots_days: 3_000,
    hours_days: 3_000,
    checks_days: 3_000,
    facts_days: 3_000,
    loads_days: 3_000,
    gaps_days: 3_000,
};
/// Agents whose blocks go into one transaction.
const AT_ONCE: usize = 100;
/// Paths whose slots are handed over at once: some 10 MB each in memory.
const PATHS_AT_ONCE: usize = 50;
/// Blocks that make paths known: from before the first day until the end of the past.
const KNOWN: [u64; 2] = [1, 2];
/// The last minute of a day.
const LAST_MINUTE: i64 = DAY * 15 - 1;

/// Opens both halves of the store.
pub(crate) fn open(folder: &Path) -> (SqliteTelemetry, SqliteControl) {
    busyhour_store::open(folder, RETENTION).expect("the store opens")
}

/// The inventory, all days but the last, and what the buildings' load was on them.
pub(crate) fn fill(effort: &Effort, folder: &Path) {
    let watch = Watch::start();
    let (telemetry, control) = open(folder);
    let by = Act::by_operator(BEGIN);
    control.import_buildings(&file(effort.buildings), &by).expect("a building file");
    let agents = effort.buildings * AGENTS;
    for agent in 0..agents {
        control.add_agent(&new_agent(agent), &by).expect("a new agent");
    }
    println!(
        "\nJudging, {} paths in {} buildings with {} agents",
        grouped((agents * 3) as f64),
        grouped(effort.buildings as f64),
        grouped(agents as f64)
    );
    let past = effort.days - 1;
    append_everywhere(&telemetry, agents, (-1, LAST_MINUTE), KNOWN[0]);
    append_everywhere(&telemetry, agents, (past - 1, LAST_MINUTE), KNOWN[1]);
    telemetry.fold().expect("the journal is folded");
    let paths = ids(telemetry.paths(None).expect("paths"), effort.buildings);
    load_days(&telemetry, &paths, 0..past, DAY - 1);
    let mut write = JudgeWrite::default();
    for building in control.buildings().expect("buildings") {
        write.loads.extend((0..past).map(|day| building_load(building.id, day)));
    }
    control.write_judgement(&write, minute(past, 0)).expect("loads are kept");
    let slots = telemetry.totals().expect("totals").slots;
    drop((telemetry, control));
    println!(
        "  {} quarter-hours of {past} days loaded in {:.0} s, {} MB",
        grouped(slots as f64),
        watch.wall(),
        grouped(folder_bytes(folder) as f64 / 1e6)
    );
}

/// Slots of all paths on some days, up to a quarter-hour of the last.
pub(crate) fn load_days(
    telemetry: &SqliteTelemetry,
    paths: &[PathId],
    days: std::ops::Range<i64>,
    quarters_of_last: i64,
) {
    let pool = SlotPool::new();
    let numbered: Vec<(usize, PathId)> = paths.iter().copied().enumerate().collect();
    for some in numbered.chunks(PATHS_AT_ONCE) {
        let slots: Vec<_> = some
            .iter()
            .map(|&(path, id)| (id, pool.slots(FleetPath(path), days.clone(), quarters_of_last)))
            .collect();
        telemetry.load_slots(&slots).expect("the store takes slots");
    }
}

/// One window of every path of the first so many agents, in a minute of a day.
pub(crate) fn append_everywhere(
    telemetry: &SqliteTelemetry,
    agents: usize,
    at: (i64, i64),
    block: u64,
) {
    let mut draw = Draw::new(block);
    for from in (0..agents).step_by(AT_ONCE) {
        let some = from..(from + AT_ONCE).min(agents);
        telemetry.append(&windows(&mut draw, some, at, block)).expect("the store takes windows");
    }
    let found = telemetry.received(agent_id(agents - 1), busyhour_model::Epoch(1));
    assert!(found.is_ok_and(|found| !found.is_empty()), "the last agent's block is there");
}
