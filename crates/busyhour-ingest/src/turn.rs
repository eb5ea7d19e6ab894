//! Backlog by turns: however many agents come back after an outage, only some deliver what they kept
//! at a time. The others deliver what is new, and wait.

use std::future::poll_fn;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::PollSemaphore;

/// Sessions that deliver backlog at the same time. Each has half of its credit in flight, at a quarter
/// of a megabyte a block at most: 64 MB together, and enough at a round trip of 50 ms to keep the
/// store busy.
pub(crate) const MAX_TURNS: usize = 64;
/// Blocks of one turn while others wait for theirs.
const BLOCKS: u32 = 64;
/// A turn in which nothing comes for so long is over.
pub(crate) const IDLE: Duration = Duration::from_secs(2);
/// After such a turn the session does not ask for one for so long; doubled each time.
const FIRST_REST: Duration = Duration::from_secs(60);
/// The longest rest: how late backlog comes at worst of which an agent did not make use before.
const LONGEST_REST: Duration = Duration::from_secs(3600);

/// What became of a session's turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Change {
    /// It begins.
    Begun,
    /// It is over.
    Over,
}

/// What a session may ask for now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wish {
    /// It has backlog.
    Backlog,
    /// It has backlog, and some of that came and is not stored yet.
    BacklogInFlight,
    /// It has none.
    Nothing,
}

/// A session's turn, or its place in the queue for one.
#[derive(Debug)]
pub(crate) struct Turn {
    all: Arc<Semaphore>,
    queue: PollSemaphore,
    held: Option<Held>,
    /// It does not ask before this moment.
    resting_until: Instant,
    rest: Duration,
    /// How long a turn lasts in which nothing comes.
    idle: Duration,
}

#[derive(Debug)]
struct Held {
    _permit: OwnedSemaphorePermit,
    blocks_left: u32,
    /// When something came last.
    active: Instant,
}

impl Turn {
    /// A session without a turn; one in which nothing comes for as long as `idle` is over.
    pub(crate) fn new(all: Arc<Semaphore>, idle: Duration) -> Self {
        let queue = PollSemaphore::new(Arc::clone(&all));
        let resting_until = Instant::now();
        Self { all, queue, held: None, resting_until, rest: FIRST_REST, idle }
    }

    /// Begins a turn at once when nobody waits for one; true when it did.
    pub(crate) fn begin_at_once(&mut self) -> bool {
        let permit = Arc::clone(&self.all).try_acquire_owned().ok();
        let begun = permit.is_some();
        self.held = permit.map(Held::new);
        begun
    }

    /// A block of backlog came. Gives the turn back when it is used up and somebody waits for it;
    /// true when it did.
    pub(crate) fn came(&mut self) -> bool {
        self.rest = FIRST_REST;
        let Some(held) = &mut self.held else { return false };
        held.active = Instant::now();
        held.blocks_left = held.blocks_left.saturating_sub(1);
        if held.blocks_left > 0 {
            return false;
        }
        held.blocks_left = BLOCKS;
        // The semaphore is fair: nobody waits while there is something to take.
        let over = self.all.available_permits() == 0;
        if over {
            self.held = None;
        }
        over
    }

    /// There is no backlog left: whoever waits may have the turn.
    pub(crate) fn finish(&mut self) {
        self.held = None;
        self.queue = PollSemaphore::new(Arc::clone(&self.all));
    }

    /// Waits until the turn begins, or is over because nothing comes. Safe to drop: the place in the
    /// queue is kept.
    pub(crate) async fn changes(&mut self, wish: Wish) -> Change {
        let Some(at) = self.deadline(wish) else { return std::future::pending().await };
        if at > Instant::now() {
            sleep_until(at).await;
        }
        if self.held.is_some() {
            self.rest_from(Instant::now());
            return Change::Over;
        }
        match poll_fn(|context| self.queue.poll_acquire(context)).await {
            Some(permit) => {
                self.held = Some(Held::new(permit));
                Change::Begun
            }
            // It is never closed.
            None => std::future::pending().await,
        }
    }

    /// When the turn is over because nothing comes, or the session may ask for one.
    fn deadline(&self, wish: Wish) -> Option<Instant> {
        match (&self.held, wish) {
            (_, Wish::Nothing) | (Some(_), Wish::BacklogInFlight) => None,
            (Some(held), Wish::Backlog) => Some(held.active + self.idle),
            (None, Wish::Backlog | Wish::BacklogInFlight) => Some(self.resting_until),
        }
    }

    fn rest_from(&mut self, now: Instant) {
        self.held = None;
        self.resting_until = now + self.rest;
        self.rest = (self.rest * 2).min(LONGEST_REST);
    }

    /// A block was stored: what comes next may take its time from here on.
    pub(crate) fn stored(&mut self) {
        if let Some(held) = &mut self.held {
            held.active = Instant::now();
        }
    }
}

impl Held {
    fn new(permit: OwnedSemaphorePermit) -> Self {
        Self { _permit: permit, blocks_left: BLOCKS, active: Instant::now() }
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    use super::*;

    /// What happens without waiting.
    fn now(turn: &mut Turn, wish: Wish) -> Option<Change> {
        let mut context = Context::from_waker(Waker::noop());
        match pin!(turn.changes(wish)).poll(&mut context) {
            Poll::Ready(change) => Some(change),
            Poll::Pending => None,
        }
    }

    #[tokio::test]
    async fn turns_go_round_in_the_order_in_which_sessions_asked() {
        let all = Arc::new(Semaphore::new(1));
        let [mut a, mut b, mut c] = [(); 3].map(|()| Turn::new(Arc::clone(&all), IDLE));
        assert!(a.begin_at_once());
        assert!(!b.begin_at_once());
        assert_eq!(now(&mut b, Wish::Backlog), None);
        assert_eq!(now(&mut c, Wish::Backlog), None);
        let used = (0..BLOCKS).filter(|_| a.came()).count();
        assert_eq!(used, 1, "the turn is over with its last block");
        assert_eq!(now(&mut a, Wish::Backlog), None, "others asked before");
        // Whoever stopped waiting in between has its old place.
        assert_eq!(now(&mut b, Wish::Backlog), Some(Change::Begun));
        b.finish();
        assert_eq!(now(&mut a, Wish::Backlog), None);
        assert_eq!(now(&mut c, Wish::Backlog), Some(Change::Begun));
        c.finish();
        assert_eq!(now(&mut a, Wish::Backlog), Some(Change::Begun));
        assert_eq!(now(&mut b, Wish::Nothing), None);
        a.finish();
        assert_eq!(all.available_permits(), 1, "who has no backlog holds no place");
    }

    #[tokio::test]
    async fn a_turn_goes_on_while_nobody_else_waits() {
        let all = Arc::new(Semaphore::new(2));
        let mut alone = Turn::new(all, IDLE);
        assert!(alone.begin_at_once());
        assert_eq!((0..BLOCKS * 5).filter(|_| alone.came()).count(), 0);
    }

    #[tokio::test]
    async fn who_makes_no_use_of_a_turn_loses_it_and_rests_longer_each_time() {
        let all = Arc::new(Semaphore::new(1));
        let mut idle = Turn::new(Arc::clone(&all), IDLE);
        assert_eq!(now(&mut idle, Wish::Backlog), Some(Change::Begun));
        let begun = Instant::now();
        let over = idle.deadline(Wish::Backlog).unwrap();
        assert!(over > begun && over <= begun + IDLE);
        assert_eq!(idle.deadline(Wish::BacklogInFlight), None, "the store takes its time");
        let rests = (0..8).map(|_| {
            idle.rest_from(begun);
            (idle.deadline(Wish::Backlog).unwrap() - begun).as_secs()
        });
        assert_eq!(rests.collect::<Vec<_>>(), [60, 120, 240, 480, 960, 1920, 3600, 3600]);
        assert_eq!(all.available_permits(), 1);
        assert_eq!(now(&mut idle, Wish::Backlog), None, "it rests");
        idle.came();
        idle.rest_from(begun);
        assert_eq!(idle.deadline(Wish::Backlog), Some(begun + FIRST_REST));
    }
}
