//! What is known of the files, whose turn it is to write, and connections that wait to read.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use rusqlite::Connection;

use super::{Damage, PartitionId};

/// Connections that read, over all partitions, at work and idle. Each has two file handles, a
/// mapping and at most [`super::READER_CACHE_KIB`] of pages.
pub(super) const MAX_READERS: usize = 64;
/// Damaged files remembered; of more, the first ones are.
const MAX_DAMAGED: usize = 256;

/// A file that replaces a dropped one has another number.
type Incarnation = u64;

#[derive(Debug, Default)]
pub(super) struct Pool {
    /// Held only to look something up or note it.
    state: Mutex<State>,
    /// A turn ended or a reader came back.
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    files: BTreeMap<PartitionId, Incarnation>,
    incarnations: Incarnation,
    writing: BTreeSet<PartitionId>,
    /// Files that were found to be as they were written.
    sound: BTreeSet<PartitionId>,
    /// The longest idle first.
    idle: VecDeque<Idle>,
    /// At work and idle.
    readers: usize,
    damage: Vec<Damage>,
}

#[derive(Debug)]
struct Idle {
    id: PartitionId,
    connection: Connection,
}

impl Pool {
    fn state(&self) -> MutexGuard<'_, State> {
        // No holder leaves the state half-changed.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until nobody else writes the partition.
    pub(super) fn turn(&self, id: PartitionId) -> Turn<'_> {
        let mut state = self.state();
        while !state.writing.insert(id) {
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        Turn { pool: self, id }
    }

    pub(super) fn has(&self, id: PartitionId) -> bool {
        self.state().files.contains_key(&id)
    }

    pub(super) fn list(&self) -> Vec<PartitionId> {
        self.state().files.keys().copied().collect()
    }

    /// Notes that the file is there.
    pub(super) fn add(&self, id: PartitionId) {
        let mut state = self.state();
        state.incarnations += 1;
        let incarnation = state.incarnations;
        state.files.entry(id).or_insert(incarnation);
    }

    /// Notes that the file is about to go, and closes who waits to read it. Readers at work finish.
    pub(super) fn remove(&self, id: PartitionId) -> bool {
        let mut state = self.state();
        state.sound.remove(&id);
        let known = state.files.remove(&id).is_some();
        drop(state);
        self.close_idle(id);
        known
    }

    pub(super) fn is_sound(&self, id: PartitionId) -> bool {
        self.state().sound.contains(&id)
    }

    /// Notes that the file was found to be as it was written.
    pub(super) fn note_sound(&self, id: PartitionId) {
        self.state().sound.insert(id);
    }

    /// Closes who waits to read the partition.
    pub(super) fn close_idle(&self, id: PartitionId) {
        let mut state = self.state();
        let idle = std::mem::take(&mut state.idle);
        let (gone, left) = idle.into_iter().partition::<VecDeque<_>, _>(|idle| idle.id == id);
        state.idle = left;
        state.readers -= gone.len();
        drop(state); // closing touches the disk
        drop(gone);
        self.changed.notify_all();
    }

    pub(super) fn note_damage(&self, damage: Damage) {
        let mut state = self.state();
        if state.damage.len() < MAX_DAMAGED {
            state.damage.push(damage);
        }
    }

    /// What was found damaged, in this run and before.
    pub(super) fn damage(&self) -> Vec<Damage> {
        self.state().damage.clone()
    }

    /// A connection to read with, idle or made by `open`; waits when too many are at work. `None`
    /// when there is no such file.
    pub(super) fn reader<E>(
        &self,
        id: PartitionId,
        open: impl FnOnce() -> Result<Connection, E>,
    ) -> Result<Option<Reader<'_>>, E> {
        let mut state = self.state();
        let (incarnation, waiting) = loop {
            let Some(&incarnation) = state.files.get(&id) else { return Ok(None) };
            if let Some(at) = state.idle.iter().rposition(|idle| idle.id == id) {
                let connection = state.idle.remove(at).map(|idle| idle.connection);
                return Ok(Some(Reader { pool: self, id, incarnation, connection }));
            }
            if state.readers < MAX_READERS {
                state.readers += 1;
                break (incarnation, None);
            }
            if let Some(longest) = state.idle.pop_front() {
                break (incarnation, Some(longest)); // its place is taken over
            }
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        };
        drop(state); // opening and closing touch the disk
        drop(waiting);
        let mut reader = Reader { pool: self, id, incarnation, connection: None };
        reader.connection = Some(open()?);
        Ok(Some(reader))
    }
}

/// The right to write one partition, until dropped.
#[derive(Debug)]
pub(super) struct Turn<'a> {
    pool: &'a Pool,
    id: PartitionId,
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.pool.state().writing.remove(&self.id);
        self.pool.changed.notify_all();
    }
}

/// A connection that goes back when dropped, whatever happened.
#[derive(Debug)]
pub(super) struct Reader<'a> {
    pool: &'a Pool,
    id: PartitionId,
    incarnation: Incarnation,
    connection: Option<Connection>,
}

impl Reader<'_> {
    pub(super) fn connection(&mut self) -> &mut Connection {
        self.connection.as_mut().expect("taken only at the end")
    }

    /// Closes the connection: what it remembers of the file may be wrong.
    pub(super) fn discard(mut self) {
        self.connection = None;
    }
}

impl Drop for Reader<'_> {
    fn drop(&mut self) {
        let mut state = self.pool.state();
        let same_file = state.files.get(&self.id) == Some(&self.incarnation);
        match self.connection.take() {
            Some(connection) if same_file => {
                state.idle.push_back(Idle { id: self.id, connection });
                drop(state);
            }
            gone => {
                state.readers -= 1;
                drop(state); // closing touches the disk
                drop(gone);
            }
        }
        self.pool.changed.notify_all();
    }
}
