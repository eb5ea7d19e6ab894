//! A disk that knows what was synced, and what may be left when power goes.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use fastrand::Rng;

/// What a disk writes as a whole.
const SECTOR: usize = 512;

/// How a disk answers a sync.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Honesty {
    /// What it says is durable is.
    Honest,
    /// It answers, and syncs nothing.
    Lies,
    /// It lies about write-ahead logs only.
    LiesAboutLogs,
}

/// How the disk is with an operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Tick {
    Alive,
    /// It dies of this one.
    Dying,
    /// It died of an earlier one.
    Dead,
}

/// A file apart from its names.
pub(crate) type FileNo = usize;

/// What happened to a file since its last sync.
#[derive(Debug, Clone)]
enum Pending {
    Write { offset: usize, bytes: Vec<u8> },
    Truncate { size: usize },
}

#[derive(Debug, Default)]
struct Content {
    durable: Vec<u8>,
    pending: Vec<Pending>,
}

/// What names stand for.
type Names = BTreeMap<PathBuf, FileNo>;

/// What happened to names of a folder at once: what each stands for since.
type Naming = Vec<(PathBuf, Option<FileNo>)>;

#[derive(Debug, Default)]
struct State {
    files: Vec<Content>,
    names: Names,
    /// As of the last sync of each name's folder.
    durable: Names,
    /// What happened in each folder since, in order.
    namings: BTreeMap<PathBuf, Vec<Naming>>,
    /// Files that names stood for at any time; others were never seen.
    seen: BTreeSet<PathBuf>,
    /// Writes, cuts, syncs, deletions and renamings so far.
    operations: u64,
    dies_at: Option<u64>,
}

/// The disk under one folder; see the crate's documentation for what it models.
#[derive(Debug)]
pub struct Disk {
    root: PathBuf,
    honesty: Honesty,
    /// Held for one operation; SQLite's own locks keep writers of a file apart.
    state: Mutex<State>,
    dead: AtomicBool,
}

impl Disk {
    pub(crate) fn new(root: PathBuf, honesty: Honesty) -> Self {
        Self { root, honesty, state: Mutex::default(), dead: AtomicBool::new(false) }
    }

    /// The folder.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Writes, cuts, syncs, deletions and renamings so far.
    #[must_use]
    pub fn operations(&self) -> u64 {
        self.state().operations
    }

    /// Lets the disk die with the operation that comes after this many, or never.
    pub fn dies_after(&self, operations: Option<u64>) {
        let mut state = self.state();
        state.dies_at = operations.map(|operations| state.operations + operations);
    }

    /// True when it died.
    #[must_use]
    pub fn is_dead(&self) -> bool {
        self.dead.load(Ordering::Acquire)
    }

    /// Writes into `into` what is left of the folder. May be asked again, for another fate.
    ///
    /// # Panics
    /// When the files cannot be written.
    pub fn lose_power(&self, into: &Path, random: &mut Rng) {
        let state = self.state();
        let fate = Fate::draw(random);
        let mut names = state.durable.clone();
        for happened in state.namings.values() {
            let so_far = match fate {
                Fate::Nothing => 0,
                Fate::Everything => happened.len(),
                Fate::Parts { .. } => random.usize(..=happened.len()),
            };
            for (path, file) in happened[..so_far].iter().flatten() {
                set(&mut names, path, *file);
            }
        }
        for (path, file) in names {
            if is_wal_index(&path) {
                continue;
            }
            let target = self.moved(&path, into);
            fs::create_dir_all(target.parent().expect("files lie in folders")).expect("a folder");
            fs::write(target, state.files[file].left(fate, random)).expect("a file is written");
        }
        self.copy_unseen(&state, &self.root, into);
    }

    /// Folders, and files that SQLite never opened.
    fn copy_unseen(&self, state: &State, folder: &Path, into: &Path) {
        fs::create_dir_all(self.moved(folder, into)).expect("a folder");
        for entry in fs::read_dir(folder).expect("the folder can be read") {
            let path = entry.expect("the folder can be read").path();
            if path.is_dir() {
                self.copy_unseen(state, &path, into);
            } else if !is_wal_index(&path) && !state.seen.contains(&path) {
                fs::copy(&path, self.moved(&path, into)).expect("a file is copied");
            }
        }
    }

    fn moved(&self, path: &Path, into: &Path) -> PathBuf {
        into.join(path.strip_prefix(&self.root).expect("watched files lie in the folder"))
    }

    /// A file was opened under this name; `existed` before, or was made. `None` when nothing is there.
    pub(crate) fn opened(&self, path: &Path, existed: bool) -> Option<FileNo> {
        let mut state = self.state();
        if existed {
            return state.file_at(path);
        }
        if !path.exists() {
            return None;
        }
        let file = state.files.len();
        state.files.push(Content::default());
        state.happened(vec![(path.to_owned(), Some(file))]);
        Some(file)
    }

    /// Notes a write, and lets it happen unless the disk is dead.
    pub(crate) fn write(
        &self,
        file: FileNo,
        offset: usize,
        bytes: &[u8],
        write: impl FnOnce() -> i32,
    ) -> Option<i32> {
        let pending = Pending::Write { offset, bytes: bytes.to_vec() };
        self.change(|state| state.files[file].pending.push(pending), write)
    }

    /// Notes that a file is cut, and lets it happen unless the disk is dead.
    pub(crate) fn truncate(
        &self,
        file: FileNo,
        size: usize,
        truncate: impl FnOnce() -> i32,
    ) -> Option<i32> {
        let pending = Pending::Truncate { size };
        self.change(|state| state.files[file].pending.push(pending), truncate)
    }

    /// Makes a file durable, and the names in `folder` when given; `None` when the disk is dead.
    pub(crate) fn sync(&self, file: FileNo, is_log: bool, folder: Option<&Path>) -> Option<()> {
        let mut state = self.state();
        if self.tick(&mut state) != Tick::Alive {
            return None;
        }
        let lies = match self.honesty {
            Honesty::Honest => false,
            Honesty::Lies => true,
            Honesty::LiesAboutLogs => is_log,
        };
        if !lies {
            state.files[file].sync();
            folder.inspect(|folder| state.sync_folder(folder));
        }
        Some(())
    }

    /// Makes the names in a folder durable, or the file of this name; `None` when the disk is dead.
    pub(crate) fn sync_at(&self, path: &Path) -> Option<()> {
        let mut state = self.state();
        if self.tick(&mut state) != Tick::Alive {
            return None;
        }
        if self.honesty != Honesty::Lies {
            state.sync_folder(path);
            if let Some(&file) = state.names.get(path) {
                state.files[file].sync();
            }
        }
        Some(())
    }

    /// Notes that a name goes, for good when its folder is synced, and lets it happen unless the disk
    /// is dead.
    pub(crate) fn delete(
        &self,
        path: &Path,
        folder: Option<&Path>,
        delete: impl FnOnce() -> i32,
    ) -> Option<i32> {
        let gone = |state: &mut State| {
            if path.exists() {
                state.file_at(path);
                state.happened(vec![(path.to_owned(), None)]);
            }
        };
        let deleted = self.change(gone, delete);
        if deleted.is_some() && self.honesty != Honesty::Lies {
            folder.inspect(|folder| self.state().sync_folder(folder));
        }
        deleted
    }

    /// Notes that a file gets another name, at once within a folder, and lets it happen unless the disk
    /// is dead.
    pub(crate) fn rename(
        &self,
        from: &Path,
        to: &Path,
        rename: impl FnOnce() -> i32,
    ) -> Option<i32> {
        let renamed = |state: &mut State| {
            state.file_at(to);
            let Some(file) = state.file_at(from) else { return };
            let (gone, there) = ((from.to_owned(), None), (to.to_owned(), Some(file)));
            if from.parent() == to.parent() {
                state.happened(vec![gone, there]);
            } else {
                state.happened(vec![there]);
                state.happened(vec![gone]);
            }
        };
        self.change(renamed, rename)
    }

    /// What the disk was doing when it died may have come to pass, or parts of it.
    fn change(&self, note: impl FnOnce(&mut State), act: impl FnOnce() -> i32) -> Option<i32> {
        let mut state = self.state();
        let tick = self.tick(&mut state);
        if tick != Tick::Dead {
            note(&mut state);
        }
        (tick == Tick::Alive).then(act)
    }

    fn tick(&self, state: &mut State) -> Tick {
        if self.is_dead() {
            return Tick::Dead;
        }
        state.operations += 1;
        if state.dies_at.is_some_and(|at| state.operations > at) {
            self.dead.store(true, Ordering::Release);
            return Tick::Dying;
        }
        Tick::Alive
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// The file of a name; one that nobody saw before is durable as it is.
    fn file_at(&mut self, path: &Path) -> Option<FileNo> {
        if let Some(&file) = self.names.get(path) {
            return Some(file);
        }
        let durable = fs::read(path).ok()?;
        let file = self.files.len();
        self.files.push(Content { durable, pending: Vec::new() });
        self.seen.insert(path.to_owned());
        self.names.insert(path.to_owned(), file);
        self.durable.insert(path.to_owned(), file);
        Some(file)
    }

    /// Names in one folder stand for other files since.
    fn happened(&mut self, naming: Naming) {
        for (path, file) in &naming {
            self.seen.insert(path.clone());
            set(&mut self.names, path, *file);
        }
        if let Some(folder) = naming.first().and_then(|(path, _)| path.parent()) {
            self.namings.entry(folder.to_owned()).or_default().push(naming);
        }
    }

    fn sync_folder(&mut self, folder: &Path) {
        for (path, file) in self.namings.remove(folder).into_iter().flatten().flatten() {
            set(&mut self.durable, &path, file);
        }
    }
}

fn set(names: &mut Names, path: &Path, file: Option<FileNo>) {
    match file {
        Some(file) => names.insert(path.to_owned(), file),
        None => names.remove(path),
    };
}

impl Content {
    fn sync(&mut self) {
        for pending in self.pending.drain(..) {
            match pending {
                Pending::Write { offset, bytes } => put(&mut self.durable, offset, &bytes, || 0),
                Pending::Truncate { size } => self.durable.truncate(size),
            }
        }
    }

    /// What is left of the file.
    fn left(&self, fate: Fate, random: &mut Rng) -> Vec<u8> {
        let mut left = self.durable.clone();
        let Fate::Parts { whole, torn, garbage } = fate else {
            let mut all = Self { durable: left, pending: Vec::new() };
            if fate == Fate::Everything {
                all.pending.clone_from(&self.pending);
                all.sync();
            }
            return all.durable;
        };
        let filler = if garbage { random.u8(..) } else { 0 };
        for pending in &self.pending {
            match pending {
                Pending::Write { offset, bytes } => {
                    let is_whole = random.f64() < whole;
                    let is_torn = !is_whole && random.f64() < torn;
                    for (offset, sector) in sectors(*offset, bytes) {
                        if is_whole || (is_torn && random.bool()) {
                            put(&mut left, offset, sector, || filler);
                        } else if offset >= left.len() && random.u8(..4) == 0 {
                            // The file grew, and what it grew by did not arrive.
                            left.resize(offset + sector.len(), filler);
                        }
                    }
                }
                Pending::Truncate { size } if random.f64() < whole => left.truncate(*size),
                Pending::Truncate { .. } => {}
            }
        }
        left
    }
}

/// What becomes of all that was not synced.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Fate {
    /// None of it is there.
    Nothing,
    /// All of it is there.
    Everything,
    /// Some of it is: writes as a whole with a probability, the others in part with another; what is
    /// missing within a file that grew reads as zeros or as something else.
    Parts { whole: f64, torn: f64, garbage: bool },
}

impl Fate {
    fn draw(random: &mut Rng) -> Self {
        match random.u8(..8) {
            0 => Self::Nothing,
            1 => Self::Everything,
            _ => Self::Parts { whole: random.f64(), torn: random.f64(), garbage: random.bool() },
        }
    }
}

/// The pieces of a write that lie in one sector each.
fn sectors(offset: usize, bytes: &[u8]) -> impl Iterator<Item = (usize, &[u8])> {
    let (mut at, mut rest) = (offset, bytes);
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let (sector, more) = rest.split_at((SECTOR - at % SECTOR).min(rest.len()));
        let from = at;
        (at, rest) = (at + sector.len(), more);
        Some((from, sector))
    })
}

fn put(file: &mut Vec<u8>, offset: usize, bytes: &[u8], filler: impl FnMut() -> u8) {
    let end = offset + bytes.len();
    if file.len() < end {
        file.resize_with(end, filler);
    }
    file[offset..end].copy_from_slice(bytes);
}

fn is_wal_index(path: &Path) -> bool {
    path.as_os_str().as_encoded_bytes().ends_with(b"-shm")
}
