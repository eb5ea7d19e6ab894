//! What happened, and the laws that it must keep.

use std::collections::{BTreeMap, BTreeSet};

use busyhour_delivery::Block;
use busyhour_model::{BlockNo, Epoch};

use crate::agent::{Note, decode};

/// A block by agent, epoch and number.
pub(crate) type Key = (usize, Epoch, BlockNo);

/// One thing that happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Event {
    /// An agent put a block on the network.
    Sent { key: Key, block: Block },
    /// The collector's store has it, durably.
    Stored { key: Key, block: Block },
    /// The agent heard that it is stored.
    Acknowledged { key: Key },
}

impl Event {
    /// The block that it is about.
    pub(crate) const fn key(&self) -> Option<Key> {
        match self {
            Self::Sent { key, .. } | Self::Stored { key, .. } | Self::Acknowledged { key } => {
                Some(*key)
            }
        }
    }
}

/// All that happened, in order.
#[derive(Debug, Clone, Default)]
pub(crate) struct History {
    pub(crate) events: Vec<Event>,
    /// Minutes that each agent should have measured, from 0.
    pub(crate) minutes: u64,
    pub(crate) agents: usize,
}

/// A law that was broken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Fault {
    StoredTwice(Key),
    /// Or with other content.
    NeverSent(Key),
    AcknowledgedTooSoon(Key),
    /// A window came in two blocks.
    WindowTwice {
        agent: usize,
        minute: u64,
    },
    /// A window is neither stored nor in a gap that is.
    Missing {
        agent: usize,
        minute: u64,
    },
}

/// What there was of everything.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Summary {
    pub(crate) stored: u64,
    pub(crate) sent_again: u64,
    pub(crate) windows: u64,
    pub(crate) in_gaps: u64,
}

impl Summary {
    pub(crate) fn add(&mut self, other: &Self) {
        self.stored += other.stored;
        self.sent_again += other.sent_again;
        self.windows += other.windows;
        self.in_gaps += other.in_gaps;
    }
}

/// Holds a history to the laws: stored was sent, none twice, acknowledged is stored, and every minute
/// that is missing lies in a gap that is stored.
pub(crate) fn check(history: &History) -> Result<Summary, Fault> {
    let mut sent: BTreeMap<Key, BTreeSet<&[u8]>> = BTreeMap::new();
    let mut stored: BTreeMap<Key, &Block> = BTreeMap::new();
    let mut summary = Summary::default();
    for event in &history.events {
        match event {
            Event::Sent { key, block } => {
                let contents = sent.entry(*key).or_default();
                summary.sent_again += u64::from(!contents.is_empty());
                contents.insert(&block.payload);
            }
            Event::Stored { key, block } => {
                if !sent.get(key).is_some_and(|sent| sent.contains(&block.payload[..])) {
                    return Err(Fault::NeverSent(*key));
                }
                if stored.insert(*key, block).is_some() {
                    return Err(Fault::StoredTwice(*key));
                }
            }
            Event::Acknowledged { key } if !stored.contains_key(key) => {
                return Err(Fault::AcknowledgedTooSoon(*key));
            }
            Event::Acknowledged { .. } => {}
        }
    }
    summary.stored = stored.len() as u64;
    for agent in 0..history.agents {
        let blocks = stored.iter().filter(|(key, _)| key.0 == agent).map(|(_, block)| *block);
        minutes(agent, blocks, history.minutes, &mut summary)?;
    }
    Ok(summary)
}

fn minutes<'a>(
    agent: usize,
    blocks: impl Iterator<Item = &'a Block>,
    minutes: u64,
    summary: &mut Summary,
) -> Result<(), Fault> {
    let (mut windows, mut gaps) = (BTreeSet::new(), Vec::new());
    for note in blocks.flat_map(decode) {
        match note {
            Note::Window { minute } => {
                if !windows.insert(minute) {
                    return Err(Fault::WindowTwice { agent, minute });
                }
            }
            Note::Gap { from, until } => gaps.push(from..=until),
        }
    }
    summary.windows += windows.len() as u64;
    for minute in (0..minutes).filter(|minute| !windows.contains(minute)) {
        if !gaps.iter().any(|gap| gap.contains(&minute)) {
            return Err(Fault::Missing { agent, minute });
        }
        summary.in_gaps += 1;
    }
    Ok(())
}
