//! The law that a store is held to, however often power goes.

use std::path::Path;
use std::sync::Arc;

use busyhour_model::{LIMITS, LimitTable, RequirementProfile, SlotStart, UtcMicros};
use busyhour_store::{
    Appended, BlockRows, Control as _, SqliteControl, SqliteTelemetry, StoreError, Telemetry as _,
};
use fastrand::Rng;
use tempfile::TempDir;

use crate::disk::{Disk, Honesty};
use crate::expected::{Contents, Expected};
use crate::inventory::{act, agent, file};
use crate::load::{Step, steps};
use crate::{findings, open, scratch, watch};

/// Operations on the disk that opening takes, about.
const OPENING: u64 = 12;

/// What happened in a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tally {
    /// Losses of power.
    pub losses: u32,
    /// Those while the store was opened.
    pub while_opening: u32,
    /// Those that hit a call which then turned out to have happened.
    pub done_unanswered: u32,
    /// Those that hit a call which then turned out not to have happened.
    pub undone: u32,
    /// Blocks stored in the end.
    pub blocks: u64,
    /// Windows stored in the end.
    pub windows: u64,
}

impl Tally {
    /// Adds another run.
    pub fn add(&mut self, other: Self) {
        self.losses += other.losses;
        self.while_opening += other.while_opening;
        self.done_unanswered += other.done_unanswered;
        self.undone += other.undone;
        self.blocks += other.blocks;
        self.windows += other.windows;
    }
}

/// Why a call on the store did not end well.
enum Trouble {
    /// The disk died under it.
    Power,
    /// The law is broken.
    Broken(String),
}

/// All quarter-hours that there may be.
const ALWAYS: (SlotStart, SlotStart) =
    (SlotStart::containing(UtcMicros(0)), SlotStart::containing(UtcMicros(1 << 52)));

type Store = (SqliteTelemetry, SqliteControl);

/// Puts `count` steps on a store whose power goes again and again, and holds it to the law.
///
/// # Errors
/// With what the store lost, doubled, or says of a sound disk.
pub fn survives(seed: u64, count: usize, honesty: Honesty) -> Result<Tally, String> {
    let steps = steps(seed, count);
    let mut run = Run::new(seed, honesty);
    while run.done < steps.len() {
        match run.live(&steps) {
            Ok(()) => {}
            Err(Trouble::Power) => run.lose_power(),
            Err(Trouble::Broken(what)) => {
                let losses = run.tally.losses;
                let mut history = steps[..run.done].iter().rev().take(6).map(Step::to_string);
                let before: Vec<_> = history.by_ref().collect();
                let at = steps[run.done].to_string();
                return Err(format!(
                    "seed {seed}, after {losses} losses, at {at}, after {before:?}: {what}"
                ));
            }
        }
    }
    let told = |what: String| format!("seed {seed}, in the end: {what}");
    is_sound(run.folder.path()).map_err(told)?;
    let store = open(run.folder.path()).map_err(|error| told(error.to_string()))?;
    let found = Contents::of(&store.0, &store.1).map_err(|error| told(error.to_string()))?;
    let found = found.without_drawn();
    match found.differs(&undisturbed(&steps)) {
        Some(difference) => Err(told(format!("unlike a store that lost nothing: {difference}"))),
        None => {
            let (blocks, windows) = (run.expected.blocks() as u64, found.windows() as u64);
            Ok(Tally { blocks, windows, ..run.tally })
        }
    }
}

/// The check finds nothing, also where a start has to clean up.
fn is_sound(folder: &Path) -> Result<(), String> {
    match findings(folder)[..] {
        [] => Ok(()),
        ref found => Err(format!("the check finds {found:?}")),
    }
}

/// What a store holds that takes the same steps and never loses power.
fn undisturbed(steps: &[Step]) -> Contents {
    let folder = scratch();
    let _disk = watch(folder.path(), Honesty::Honest);
    take(steps, folder.path()).without_drawn()
}

/// Takes steps on a store that nothing happens to, and closes it.
///
/// # Panics
/// When the store refuses something.
#[must_use]
pub fn take(steps: &[Step], folder: &Path) -> Contents {
    let mut store = open(folder).expect("it opens");
    for step in steps {
        if matches!(step, Step::Reopen) {
            drop(store);
            store = open(folder).expect("it opens");
        }
        step_on(&store, step).expect("it does what it is asked");
    }
    Contents::of(&store.0, &store.1).expect("it reads")
}

fn newest_table(requirement: RequirementProfile) -> Option<&'static LimitTable> {
    LIMITS.iter().rfind(|table| table.requirement == requirement)
}

/// Takes a step; what came of its blocks.
fn step_on((telemetry, control): &Store, step: &Step) -> Result<Vec<Appended>, StoreError> {
    match step {
        Step::Append(blocks) => return telemetry.append(blocks),
        Step::AddAgent(number) => control.add_agent(&agent(*number), &act(*number))?,
        Step::Import(number) => drop(control.import_buildings(&file(*number), &act(*number))?),
        Step::Judge => telemetry.clear_dirty(&telemetry.dirty_days(usize::MAX)?)?,
        Step::Reopen => {}
        Step::Fold => telemetry.fold()?,
        Step::Rejudge => drop(telemetry.rejudge(ALWAYS, &newest_table)?),
        Step::Prune(now) => drop(telemetry.prune(*now)?),
        Step::Forget(agent) => drop(telemetry.forget(*agent)?),
    }
    Ok(Vec::new())
}

struct Run {
    random: Rng,
    honesty: Honesty,
    folder: TempDir,
    disk: Arc<Disk>,
    expected: Expected,
    /// Steps that are known to have happened.
    done: usize,
    /// The step after them was begun.
    begun: bool,
    /// The store was opened before: there is something to check.
    was_open: bool,
    /// The most operations that a life gets; grows when nothing gets done.
    patience: u64,
    tally: Tally,
}

impl Run {
    fn new(seed: u64, honesty: Honesty) -> Self {
        let folder = scratch();
        Self {
            random: Rng::with_seed(seed ^ 0x9e37_79b9_7f4a_7c15),
            honesty,
            disk: watch(folder.path(), honesty),
            folder,
            expected: Expected::default(),
            done: 0,
            begun: false,
            was_open: false,
            patience: 60,
            tally: Tally::default(),
        }
    }

    /// From one start to the loss of power, or to the end of the steps.
    fn live(&mut self, steps: &[Step]) -> Result<(), Trouble> {
        if self.was_open && self.random.u8(..4) == 0 {
            is_sound(self.folder.path()).map_err(Trouble::Broken)?;
        }
        if self.random.u8(..3) == 0 {
            self.disk.dies_after(Some(self.random.u64(..OPENING)));
        }
        let mut store = self.open().inspect_err(|trouble| {
            self.tally.while_opening += u32::from(matches!(trouble, Trouble::Power));
        })?;
        self.was_open = true;
        self.disk.dies_after(None);
        self.inspect(&store, steps)?;
        let left = self.random.u64(..self.patience);
        self.disk.dies_after(Some(left));
        let before = self.done;
        while let Some(step) = steps.get(self.done) {
            self.begun = true;
            store = self.step(store, step).inspect_err(|_| {
                self.patience += u64::from(self.done == before) * 30;
            })?;
            self.begun = false;
            self.done += 1;
        }
        drop(store);
        if self.disk.is_dead() {
            return Err(Trouble::Power);
        }
        self.disk.dies_after(None);
        Ok(())
    }

    fn open(&self) -> Result<Store, Trouble> {
        open(self.folder.path()).map_err(|error| self.trouble("open", &error))
    }

    fn trouble(&self, what: &str, error: &dyn std::error::Error) -> Trouble {
        if self.disk.is_dead() {
            return Trouble::Power;
        }
        let source = error.source().map_or(String::new(), |source| format!(": {source}"));
        Trouble::Broken(format!("{what}: {error}{source}"))
    }

    fn differs(&self, store: &Store, expected: &Expected) -> Result<Option<String>, Trouble> {
        expected
            .differs(&store.0, &store.1)
            .map_err(|error| self.trouble("look at all that is there", &error))
    }

    /// Everything acknowledged is there; the step that was interrupted happened or did not.
    fn inspect(&mut self, store: &Store, steps: &[Step]) -> Result<(), Trouble> {
        if self.begun && steps.get(self.done).is_some_and(|step| !step.is_atomic()) {
            return Ok(());
        }
        let difference = self.differs(store, &self.expected)?;
        let interrupted = steps.get(self.done).filter(|_| self.begun);
        let Some(step) = interrupted else {
            return difference.map_or(Ok(()), |what| Err(Trouble::Broken(what)));
        };
        let mut after = self.expected.clone();
        after.take(step);
        let Some(difference) = difference else {
            self.begun = false;
            self.tally.undone += 1;
            return Ok(());
        };
        if let Some(other) = self.differs(store, &after)? {
            let both = format!("without what was interrupted: {difference}; with it: {other}");
            return Err(Trouble::Broken(both));
        }
        self.expected = after;
        self.begun = false;
        self.done += 1;
        self.tally.done_unanswered += 1;
        if let Step::Append(blocks) = step {
            let again = store.0.append(blocks).map_err(|error| self.trouble("again", &error))?;
            if again.contains(&Appended::Stored) {
                return Err(Trouble::Broken("a block is stored a second time".to_owned()));
            }
        }
        Ok(())
    }

    fn step(&mut self, store: Store, step: &Step) -> Result<Store, Trouble> {
        let mut store = store;
        if matches!(step, Step::Reopen) {
            drop(store);
            store = self.open()?;
        }
        if matches!(step, Step::Judge) {
            // Once it began, the marks may be gone.
            self.expected.take(step);
        }
        let appended = step_on(&store, step).map_err(|error| self.trouble("a step", &error))?;
        if let Step::Append(blocks) = step {
            self.is_answer(blocks, &appended)?;
        }
        self.expected.take(step);
        Ok(store)
    }

    /// Each block is stored the first time it comes.
    fn is_answer(&self, blocks: &[BlockRows], answer: &[Appended]) -> Result<(), Trouble> {
        let mut expected = self.expected.clone();
        for (block, answer) in blocks.iter().zip(answer) {
            if *answer != expected.answer(block) {
                let what = format!("{:?} of {:?}: {answer:?}", block.block, block.agent);
                return Err(Trouble::Broken(what));
            }
            expected.append(std::slice::from_ref(block));
        }
        Ok(())
    }

    /// The folder as the next start finds it.
    fn lose_power(&mut self) {
        let left = scratch();
        self.disk.lose_power(left.path(), &mut self.random);
        self.disk = watch(left.path(), self.honesty);
        self.folder = left;
        self.tally.losses += 1;
    }
}
