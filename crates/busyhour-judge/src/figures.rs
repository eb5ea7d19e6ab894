//! What the windows of a building's paths were like, each: read when one of a day's hours is described.

use std::cell::RefCell;
use std::collections::BTreeMap;

use busyhour_detect::WindowFigures;
use busyhour_model::{Combination, PathId, SlotStart};
use busyhour_store::{StoreError, Telemetry};

/// Quarter-hours that are read together: six hours of UTC, as they are stored.
const PART: i64 = 24;

/// The figures of a building's paths, read once for all scopes that share an hour. Holds the six hours
/// that were asked for, and no more than a day has.
pub(crate) struct DayFigures<'a> {
    telemetry: &'a dyn Telemetry,
    paths: &'a [PathId],
    parts: RefCell<BTreeMap<i64, Part>>,
    /// Why some could not be read.
    failed: RefCell<Option<StoreError>>,
}

/// Windows that six hours of a path may have without asking for memory again: one a minute, twice.
const USUAL: usize = 720;

/// Windows of a path.
type Windows = Vec<(SlotStart, Combination, u32)>;

/// Six hours, of the paths that were read.
#[derive(Default)]
struct Part {
    known: BTreeMap<PathId, Windows>,
}

/// Those of one path.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PathFigures<'a> {
    of_day: &'a DayFigures<'a>,
    path: PathId,
}

impl<'a> DayFigures<'a> {
    /// Nothing is read yet.
    pub(crate) fn of(telemetry: &'a dyn Telemetry, paths: &'a [PathId]) -> Self {
        Self { telemetry, paths, parts: RefCell::default(), failed: RefCell::default() }
    }

    /// Those of each path, in their order.
    pub(crate) fn paths(&'a self) -> impl Iterator<Item = PathFigures<'a>> {
        self.paths.iter().map(|&path| PathFigures { of_day: self, path })
    }

    /// Why some could not be read.
    pub(crate) fn failure(&self) -> Option<StoreError> {
        self.failed.take()
    }

    /// Reads six hours of a path that nobody read. Who asks first may be the only one; when somebody else
    /// does, the hour is one that all share.
    fn read(&self, number: i64, part: &mut Part, path: PathId) {
        if part.known.contains_key(&path) {
            return;
        }
        let wanted: Vec<PathId> = if part.known.is_empty() {
            vec![path]
        } else {
            let unknown = |path: &&PathId| !part.known.contains_key(path);
            self.paths.iter().filter(unknown).copied().collect()
        };
        part.known.extend(wanted.iter().map(|&path| (path, Windows::with_capacity(USUAL))));
        let first = SlotStart::from_number(number.saturating_mul(PART));
        let span = (first, first.offset(PART));
        let read = self.telemetry.visit_figures(&wanted, span, &mut |path, start, one, n| {
            if let Some(known) = part.known.get_mut(&path) {
                known.push((start, one, n));
            }
        });
        if let Err(error) = read {
            self.failed.replace(Some(error));
        }
    }
}

impl std::fmt::Debug for DayFigures<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DayFigures").field("paths", &self.paths).finish_non_exhaustive()
    }
}

impl WindowFigures for PathFigures<'_> {
    fn visit(
        &self,
        (from, until): (SlotStart, SlotStart),
        visit: &mut dyn FnMut(SlotStart, Combination, u32),
    ) {
        if from >= until {
            return;
        }
        let part_of = |start: SlotStart| start.number().div_euclid(PART);
        let mut parts = self.of_day.parts.borrow_mut();
        for number in part_of(from)..=part_of(until.offset(-1)) {
            let part = parts.entry(number).or_default();
            self.of_day.read(number, part, self.path);
            for &(start, one, n) in part.known.get(&self.path).into_iter().flatten() {
                if from <= start && start < until {
                    visit(start, one, n);
                }
            }
        }
    }
}
