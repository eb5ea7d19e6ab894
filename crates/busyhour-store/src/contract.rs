//! The two contracts of the store. Engines implement them; one behavioural suite tests each.
//!
//! Telemetry is large and append-mostly: windows, slots, other records, receipts. Control is small
//! and transactional: buildings, agents, verdicts, incidents, outbox. No invariant spans both. Accounts
//! lie with control.

pub(crate) mod accounts;
pub(crate) mod configuration;
pub(crate) mod control;
pub(crate) mod desk;
pub(crate) mod identity;
pub(crate) mod outbox;
pub(crate) mod tasks;

use std::path::PathBuf;

use busyhour_model::{
    AgentId, BlockNo, Combination, Context, Epoch, LimitTable, LimitsVersion, PathId, PathKey,
    Record, RequirementProfile, Schedule, ScheduleRevision, Slot, SlotGist, SlotStart, Stamp,
    UtcMicros, Window, WindowVerdict,
};

use crate::StoreError;

/// A window, judged and placed in time, ready to be stored.
#[derive(Debug, Clone, PartialEq)]
pub struct JudgedWindow {
    /// Where it lies: the agent's wall clock at its beginning, corrected by the exchanged offset.
    pub placed: UtcMicros,
    /// When, as the agent said it.
    pub stamp: Stamp,
    /// The schedule it ran under.
    pub schedule: ScheduleRevision,
    /// The circumstances.
    pub context: Context,
    /// What was measured.
    pub window: Window,
    /// What its target's paths are judged by.
    pub requirement: RequirementProfile,
    /// The version of the limit tables that `verdict` was made with.
    pub limits: LimitsVersion,
    /// The verdict.
    pub verdict: WindowVerdict,
}

/// A record that could not be placed or read, and why. Counted and shown, never judged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quarantined {
    /// When the agent said it was, where that could be read.
    pub started: Option<UtcMicros>,
    /// Why: a short sentence.
    pub reason: String,
}

/// What one block brings. Its rows and its receipt are committed together.
#[derive(Debug, Clone, PartialEq)]
pub struct BlockRows {
    /// Who sent it, from the authenticator.
    pub agent: AgentId,
    /// Of which spool.
    pub epoch: Epoch,
    /// Which block.
    pub block: BlockNo,
    /// When it came, by the collector's clock.
    pub received: UtcMicros,
    /// The schedules its records name.
    pub schedules: Vec<Schedule>,
    /// Its windows.
    pub windows: Vec<JudgedWindow>,
    /// Its checks, facts, loads, gaps and session reports (never windows). Their wall times are
    /// corrected as [`JudgedWindow::placed`] is; the boot-relative time is the agent's.
    pub others: Vec<Record>,
    /// What could not be placed or read.
    pub quarantined: Vec<Quarantined>,
}

/// What became of a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Appended {
    /// Its rows and its receipt are durable.
    Stored,
    /// It was durable already; nothing changed.
    Duplicate,
    /// Its agent was forgotten ([`Telemetry::forget`]); nothing changed.
    Refused,
}

/// A path that was ever measured.
#[derive(Debug, Clone, PartialEq)]
pub struct PathRow {
    /// The store's number for it.
    pub id: PathId,
    /// The agent.
    pub agent: AgentId,
    /// The path as the agent names it.
    pub key: PathKey,
    /// What it was last judged by.
    pub requirement: RequirementProfile,
    /// Windows that should exist in one slot, by the last schedule.
    pub windows_per_slot: u32,
    /// The placed beginning of its oldest window ever, pruned or not.
    pub oldest: UtcMicros,
    /// The placed beginning of its newest window.
    pub newest: UtcMicros,
    /// The circumstances of its newest window.
    pub context: Context,
}

/// How paths changed since they were asked about last.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct PathChanges {
    /// Those that are new, and those of which more is other than their newest window; ordered by
    /// number.
    pub rows: Vec<PathRow>,
    /// The newest window of those of which nothing else is other.
    pub heard: Vec<(PathId, UtcMicros)>,
    /// `rows` are all paths, and there are no others: it is not known what changed, or some were
    /// forgotten.
    pub all: bool,
    /// Changes so far, to ask with the next time; `None` where they are not counted.
    pub until: Option<u64>,
}

/// A window as it is stored.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredWindow {
    /// The window with its stamp, schedule, context and verdict.
    pub judged: JudgedWindow,
    /// When its block came.
    pub received: UtcMicros,
}

/// The kinds of record that are not windows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RecordKind {
    /// Conditions looked at.
    Check,
    /// Things that hold for a while.
    Fact,
    /// The machine's own traffic.
    Load,
    /// Times for which there is nothing.
    Gap,
}

/// A path and UTC day that got new windows since it was last judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct DirtyDay {
    /// The path.
    pub path: PathId,
    /// Days of UTC since 1970.
    pub utc_day: i64,
    /// Grows with each append; a mark is cleared only at the generation that was read.
    pub generation: i64,
}

/// How long each kind of data is kept, in days before now. What lies in one file goes together, so a
/// kind may be there for a few days longer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retention {
    /// Raw windows, and the session reports that may settle them; older windows are merged into slots
    /// only.
    pub windows_days: u32,
    /// Quarter-hours. Nothing older is accepted.
    pub slots_days: u32,
    /// Hours, which quarter-hours become when they go.
    pub hours_days: u32,
    /// Checks.
    pub checks_days: u32,
    /// Facts.
    pub facts_days: u32,
    /// Loads.
    pub loads_days: u32,
    /// Gaps, and what is known of quarantined records.
    pub gaps_days: u32,
}

/// Which part of a slot is wanted. Counts always are; what was not asked for is empty.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SlotDetail {
    /// Counts alone.
    Counts,
    /// Counts, and the figures of windows.
    Figures,
    /// Counts, and the histograms of packets.
    Sketches,
    /// Everything.
    All,
}

/// A path's day of UTC in short.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DayTally<'a> {
    /// The path.
    pub path: PathId,
    /// The first quarter-hour of `slots`.
    pub first: SlotStart,
    /// Of each quarter-hour from there on: valid windows, and how many of them are bad.
    pub slots: &'a [(u32, u32)],
}

/// How long a slot is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Grain {
    /// A quarter-hour, as long as those are kept.
    Quarter,
    /// An hour of UTC, as long as hours are kept.
    Hour,
}

/// What went with an agent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Forgotten {
    /// Paths.
    pub paths: u64,
    /// Raw windows.
    pub windows: u64,
    /// Slots.
    pub slots: u64,
    /// Checks, facts, loads, gaps and session reports.
    pub others: u64,
    /// Bytes of it may still be in a log or in free space of a file, because a reader or another process
    /// was in the way or the disk was full. [`Telemetry::prune`] overwrites them.
    pub lingers: bool,
}

/// A file that was found damaged and set aside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DamagedFile {
    /// Where it lies now, within the data directory.
    pub file: PathBuf,
    /// The first day of UTC that it held, since 1970.
    pub first_day: i64,
    /// The first day after.
    pub until_day: i64,
    /// What it held: "windows", "slots", and so on.
    pub holds: &'static str,
    /// What was found.
    pub reason: String,
}

/// What is in telemetry, for the status page.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TelemetryTotals {
    /// Windows ever merged into slots.
    pub windows: u64,
    /// Quarter-hours now, without those that are in the journal alone.
    pub slots: u64,
    /// Blocks ever received.
    pub blocks: u64,
    /// Records ever quarantined.
    pub quarantined: u64,
    /// Bytes of the database files.
    pub size_bytes: u64,
}

/// The large contract: append, range, merge.
pub trait Telemetry: Send + Sync {
    /// Stores blocks in one durable transaction, each exactly once: rows, slots, receipts and dirty
    /// marks together. The answers are in the order of `blocks`. A raw window older than
    /// `retention.windows_days` before `BlockRows::received` is merged into its slot only. A raw
    /// window that is there already, from whatever block, changes nothing. What is quarantined also
    /// leaves a gap of the whole agent; so does a window that is older than quarter-hours are kept, one
    /// of a path beyond the 256 of an agent, and one beyond the 900 of a path in a quarter-hour.
    ///
    /// Raw windows with losses of unknown direction are settled by session reports
    /// ([`busyhour_model::settle`]), whichever comes first, with their slots and in the same
    /// transaction. One window is compared with at most 64 reports, one report with at most 512
    /// windows, the earliest.
    ///
    /// # Errors
    /// When the transaction could not be made durable; then nothing of it is.
    fn append(&self, blocks: &[BlockRows]) -> Result<Vec<Appended>, StoreError>;

    /// The blocks of an agent's spool that are durable, as inclusive ranges in ascending order.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn received(&self, agent: AgentId, epoch: Epoch)
    -> Result<Vec<(BlockNo, BlockNo)>, StoreError>;

    /// All paths, ordered by number; of one agent when given.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn paths(&self, agent: Option<AgentId>) -> Result<Vec<PathRow>, StoreError>;

    /// The paths that changed since [`PathChanges::until`] was `since`; all of them for `None`. Changes are
    /// counted from when the store was opened.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn path_changes(&self, since: Option<u64>) -> Result<PathChanges, StoreError> {
        let _ = since;
        Ok(PathChanges { rows: self.paths(None)?, all: true, ..PathChanges::default() })
    }

    /// Hands out the slots of `paths` with `from <= start < until`: each path's in the order of time,
    /// the paths in whatever order, and not all of one before any of another. Slots without windows
    /// are not there. An hour begins on the hour.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn visit_slots(
        &self,
        paths: &[PathId],
        span: (SlotStart, SlotStart),
        grain: Grain,
        detail: SlotDetail,
        visit: &mut dyn FnMut(PathId, &Slot),
    ) -> Result<(), StoreError>;

    /// Hands over what `paths` were like in the quarter-hours with `from <= start < until`, in short: some of
    /// one path at a time, in the order of time, the paths in whatever order.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn take_gists(
        &self,
        paths: &[PathId],
        span: (SlotStart, SlotStart),
        take: &mut dyn FnMut(PathId, Vec<SlotGist>),
    ) -> Result<(), StoreError> {
        let what = (Grain::Quarter, SlotDetail::Figures);
        self.visit_slots(paths, span, what.0, what.1, &mut |path, slot| {
            take(path, vec![SlotGist::of(slot)]);
        })
    }

    /// Hands out how many windows were valid and bad in each quarter-hour of `paths` with
    /// `from <= start < until`, day by day, in whatever order: for questions over very many paths.
    /// Days without windows are not there.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn visit_tallies(
        &self,
        paths: &[PathId],
        span: (SlotStart, SlotStart),
        visit: &mut dyn FnMut(&DayTally<'_>),
    ) -> Result<(), StoreError>;

    /// Hands out the figures of the quarter-hours of `paths` with `from <= start < until`, one
    /// combination with how many windows had it at a time, in whatever order: for percentiles over
    /// many slots.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn visit_figures(
        &self,
        paths: &[PathId],
        span: (SlotStart, SlotStart),
        visit: &mut dyn FnMut(PathId, SlotStart, Combination, u32),
    ) -> Result<(), StoreError> {
        let (grain, detail) = (Grain::Quarter, SlotDetail::Figures);
        self.visit_slots(paths, span, grain, detail, &mut |path, slot| {
            for &(combination, n) in slot.figures.combinations() {
                visit(path, slot.start, combination, n);
            }
        })
    }

    /// The quarter-hours of `paths` with `from <= start < until`, whole, ordered by path and time.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn slots(
        &self,
        paths: &[PathId],
        from: SlotStart,
        until: SlotStart,
    ) -> Result<Vec<(PathId, Slot)>, StoreError> {
        let mut found = Vec::new();
        self.visit_slots(
            paths,
            (from, until),
            Grain::Quarter,
            SlotDetail::All,
            &mut |path, slot| {
                found.push((path, slot.clone()));
            },
        )?;
        found.sort_by_key(|(path, slot)| (*path, slot.start));
        Ok(found)
    }

    /// Raw windows of a path with `from <= placed < until`, oldest first, at most `limit`.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn windows(
        &self,
        path: PathId,
        from: UtcMicros,
        until: UtcMicros,
        limit: usize,
    ) -> Result<Vec<StoredWindow>, StoreError>;

    /// Other records of an agent that began in `from..until`, oldest first, at most `limit`.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn others(
        &self,
        agent: AgentId,
        kind: RecordKind,
        from: UtcMicros,
        until: UtcMicros,
        limit: usize,
    ) -> Result<Vec<Record>, StoreError>;

    /// Days to judge again, newest day first, at most `limit`.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn dirty_days(&self, limit: usize) -> Result<Vec<DirtyDay>, StoreError>;

    /// Clears marks that got nothing new since they were read.
    ///
    /// # Errors
    /// When the store cannot be written.
    fn clear_dirty(&self, days: &[DirtyDay]) -> Result<(), StoreError>;

    /// Deletes what is older than its retention, in whole files; quarter-hours become hours first.
    /// Returns how many files and rows went.
    ///
    /// # Errors
    /// When the store cannot be written.
    fn prune(&self, now: UtcMicros) -> Result<u64, StoreError>;

    /// Counts the bad windows of quarter-hours with `from <= start < until` again, each path by the table
    /// that `table` gives for its requirement profile (`None` leaves it), and marks the days. Exact for every table
    /// whose limits are edges of the figures' scale. Raw windows keep the verdict they were given.
    /// Returns how many slots changed.
    ///
    /// # Errors
    /// When the store cannot be written; then some days may be counted again and others not, and doing
    /// it once more is right.
    fn rejudge(
        &self,
        span: (SlotStart, SlotStart),
        table: &dyn Fn(RequirementProfile) -> Option<&'static LimitTable>,
    ) -> Result<u64, StoreError>;

    /// Deletes all that an agent delivered, and its receipts. From then on its blocks are refused
    /// ([`Appended::Refused`]), also those that are under way. Doing it again changes nothing.
    ///
    /// # Errors
    /// When the store cannot be written; then some of it may be left, and doing it once more is right.
    fn forget(&self, agent: AgentId) -> Result<Forgotten, StoreError>;

    /// The files that were found damaged and set aside, ever.
    fn damaged(&self) -> Vec<DamagedFile>;

    /// Totals for the status page; cheap.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn totals(&self) -> Result<TelemetryTotals, StoreError>;
}
