//! The agent's end: what to send next, and what may be deleted.

use std::collections::BTreeSet;

use busyhour_model::{BlockNo, Epoch, UtcMicros};
use thiserror::Error;

use crate::spool::dropped;
use crate::{Acknowledgement, BlockMeta, Credit, Dropped, Hello, SpoolIndex, Welcome};

/// What a collector cannot say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum UplinkError {
    /// A welcome without a hello, or anything else before the welcome.
    #[error("the collector spoke out of turn")]
    OutOfTurn,
    /// An acknowledgement of another spool.
    #[error("the collector acknowledged blocks of epoch {0:?}, which is not this spool's")]
    ForeignEpoch(Epoch),
    /// The collector holds blocks that this spool never sealed: the spool was put back to an
    /// earlier state, and its next blocks would be taken for ones that are stored already. It must
    /// go on under a new epoch.
    #[error("the collector holds block {stored:?}, but the spool only sealed up to {newest:?}")]
    RolledBack {
        /// The highest block at the collector.
        stored: BlockNo,
        /// The highest block of the spool.
        newest: Option<BlockNo>,
    },
}

/// Where the session stands.
#[derive(Debug, Clone)]
enum Session {
    Down,
    /// Hello is on its way. Blocks at or above `live_from` are live.
    Greeting {
        live_from: BlockNo,
    },
    Up(Flight),
}

#[derive(Debug, Clone)]
struct Flight {
    credit: Credit,
    in_flight: BTreeSet<BlockNo>,
    /// Blocks from here on were sealed in this session: they are live, the others backlog.
    live_from: BlockNo,
    /// Live blocks are sent upwards; this is the next one at the earliest.
    live_next: BlockNo,
    /// Backlog is sent downwards; everything from here up was sent or is live.
    backlog_below: BlockNo,
}

/// Delivers a spool. Drive it with what happens, and while a session is up send what
/// [`Self::next_block`] names until it names nothing.
#[derive(Debug, Clone)]
pub struct Uplink {
    epoch: Epoch,
    spool: SpoolIndex,
    session: Session,
}

impl Uplink {
    /// Delivers this spool; no session yet.
    #[must_use]
    pub const fn new(epoch: Epoch, spool: SpoolIndex) -> Self {
        Self { epoch, spool, session: Session::Down }
    }

    /// A stream to the collector is open. Says what must be sent first on it.
    pub fn connected(&mut self) -> Hello {
        self.session = Session::Greeting { live_from: self.spool.next_number() };
        Hello {
            epoch: self.epoch,
            oldest: self.spool.oldest(),
            newest: self.spool.newest(),
            held: Some(self.spool.blocks() as u64),
        }
    }

    /// The stream is gone. What was in flight is sent again in the next session, unless the
    /// collector then says that it has it.
    pub fn disconnected(&mut self) {
        self.session = Session::Down;
    }

    /// The collector answered. Returns the blocks to delete.
    ///
    /// # Errors
    /// When there was no hello, or the collector holds what the spool never sealed. The session
    /// must be closed then.
    pub fn welcomed(&mut self, welcome: &Welcome) -> Result<Vec<BlockNo>, UplinkError> {
        let Session::Greeting { live_from } = self.session else {
            return Err(UplinkError::OutOfTurn);
        };
        let newest = self.spool.newest();
        if let Some(stored) = welcome.stored.last()
            && Some(stored) > newest
        {
            return Err(UplinkError::RolledBack { stored, newest });
        }
        self.session = Session::Up(Flight {
            credit: welcome.credit,
            in_flight: BTreeSet::new(),
            live_from,
            live_next: live_from,
            backlog_below: live_from,
        });
        Ok(self.spool.remove_all(&welcome.stored))
    }

    /// The collector acknowledged. Returns the blocks to delete.
    ///
    /// # Errors
    /// Before the welcome, or for another epoch. The session must be closed then.
    pub fn acknowledged(&mut self, ack: &Acknowledgement) -> Result<Vec<BlockNo>, UplinkError> {
        let Session::Up(flight) = &mut self.session else {
            return Err(UplinkError::OutOfTurn);
        };
        if ack.epoch != self.epoch {
            return Err(UplinkError::ForeignEpoch(ack.epoch));
        }
        flight.in_flight.retain(|&block| !ack.blocks.contains(block));
        Ok(self.spool.remove_all(&ack.blocks))
    }

    /// The collector changed the credit. Lower than what is in flight stops sending for a while.
    ///
    /// # Errors
    /// Before the welcome. The session must be closed then.
    pub fn credited(&mut self, credit: Credit) -> Result<(), UplinkError> {
        let Session::Up(flight) = &mut self.session else {
            return Err(UplinkError::OutOfTurn);
        };
        flight.credit = credit;
        Ok(())
    }

    /// A block was sealed and is durable. Returns what had to go for it.
    pub fn sealed(&mut self, block: BlockMeta, now: UtcMicros) -> Option<Dropped> {
        self.spool.insert(block);
        self.enforce(now)
    }

    /// Applies the spool's caps as time goes on. Returns what had to go.
    pub fn enforce(&mut self, now: UtcMicros) -> Option<Dropped> {
        let session = &self.session;
        self.spool.enforce(now, |number| match session {
            Session::Up(flight) => flight.in_flight.contains(&number),
            Session::Down | Session::Greeting { .. } => false,
        })
    }

    /// The spool is given up with all that it holds. Returns what is to be told of it; the session
    /// is over.
    pub fn abandon(&mut self) -> Option<Dropped> {
        self.session = Session::Down;
        self.spool.abandon()
    }

    /// A block turned out to be unreadable. Returns what is to be told of it; `None` when it was
    /// gone already.
    pub fn unreadable(&mut self, number: BlockNo) -> Option<Dropped> {
        if let Session::Up(flight) = &mut self.session {
            flight.in_flight.remove(&number);
        }
        self.spool.remove(number).and_then(|block| dropped(&[block]))
    }

    /// The block to send now; from here on it is in flight. `None` when there is nothing to send
    /// or no credit: ask again after anything happened.
    ///
    /// Live blocks go first, in their order. Backlog goes newest first and never takes more than
    /// [`Credit::backlog_in_flight`], so that there is room for what comes in.
    pub fn next_block(&mut self) -> Option<BlockNo> {
        let Session::Up(flight) = &mut self.session else { return None };
        if flight.in_flight.len() >= flight.credit.blocks as usize {
            return None;
        }
        if let Some(live) = self.spool.at_or_above(flight.live_next) {
            flight.live_next = BlockNo(live.0.saturating_add(1));
            flight.in_flight.insert(live);
            return Some(live);
        }
        if flight.backlog_in_flight() >= flight.credit.backlog_in_flight() as usize {
            return None;
        }
        let backlog = self.spool.below(flight.backlog_below)?;
        flight.backlog_below = backlog;
        flight.in_flight.insert(backlog);
        Some(backlog)
    }

    /// The spool.
    #[must_use]
    pub const fn spool(&self) -> &SpoolIndex {
        &self.spool
    }

    /// The spool's epoch.
    #[must_use]
    pub const fn epoch(&self) -> Epoch {
        self.epoch
    }

    /// True between welcome and the session's end.
    #[must_use]
    pub const fn is_up(&self) -> bool {
        matches!(self.session, Session::Up(_))
    }

    /// Blocks sent and not acknowledged in this session.
    #[must_use]
    pub fn in_flight(&self) -> usize {
        match &self.session {
            Session::Up(flight) => flight.in_flight.len(),
            Session::Down | Session::Greeting { .. } => 0,
        }
    }

    /// Those of them that are backlog.
    #[must_use]
    pub fn backlog_in_flight(&self) -> usize {
        match &self.session {
            Session::Up(flight) => flight.backlog_in_flight(),
            Session::Down | Session::Greeting { .. } => 0,
        }
    }
}

impl Flight {
    fn backlog_in_flight(&self) -> usize {
        self.in_flight.range(..self.live_from).count()
    }
}
