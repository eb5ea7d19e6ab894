//! Entries of the journal: what one append accepted, so that it can be done again after a crash.
//!
//! An entry holds decisions, not questions: doing it again needs no look-up and gives the same.

use std::ops::Range;
use std::sync::Arc;

use busyhour_model::{AgentId, BlockNo, Epoch, PathId, Settlement, Slot, UtcMicros, WindowFigures};

use crate::RecordKind;
use crate::codec::{Decoded, Decoder, Encoder, bad};

const VERSION: u8 = 1;
const WHAT: &str = "journal entry";
/// Bytes of the checksum at the end.
const CHECKSUM: usize = 4;

/// What one append accepted.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Entry {
    /// What windows have in common, encoded: what no entry since the last freeze told already, each with
    /// the number by which windows name it from then on.
    pub(super) circumstances: Vec<(u64, Arc<[u8]>)>,
    pub(super) windows: Vec<EntryWindow>,
    /// The windows' encodings, one after the other.
    pub(super) bodies: Vec<u8>,
    pub(super) others: Vec<EntryOther>,
    pub(super) settlements: Vec<EntrySettlement>,
    /// The blocks that brought it.
    pub(super) receipts: Vec<(AgentId, Epoch, BlockNo)>,
    pub(super) quarantined: u64,
}

/// A window that was accepted.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct EntryWindow {
    pub(super) path: PathId,
    pub(super) placed: UtcMicros,
    /// Tells windows apart that begin in the same microsecond.
    pub(super) nth: u32,
    /// The number of its circumstance.
    pub(super) circumstance: u64,
    /// Where in the bodies it lies.
    pub(super) body: Range<usize>,
    /// Windows that should exist in its slot.
    pub(super) windows_per_slot: u32,
    /// Whether the window itself is kept, or only its slot.
    pub(super) raw: bool,
}

/// A record of another kind.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct EntryOther {
    pub(super) agent: AgentId,
    pub(super) kind: RecordKind,
    pub(super) started: UtcMicros,
    pub(super) body: Vec<u8>,
}

/// A window whose lost packets of unknown direction got one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct EntrySettlement {
    pub(super) path: PathId,
    pub(super) placed: UtcMicros,
    pub(super) nth: u32,
    pub(super) settlement: Settlement,
    /// The window's figures as observed and as settled, when it counts in its slot.
    pub(super) figures: Option<(WindowFigures, WindowFigures)>,
}

impl EntrySettlement {
    /// Settles the slot that the window was added to.
    pub(super) fn settle(&self, slot: &mut Slot) {
        if let Some((observed, settled)) = &self.figures {
            slot.counts.settle(self.settlement);
            slot.figures.replace(observed, settled);
        }
    }
}

impl Entry {
    pub(super) fn is_empty(&self) -> bool {
        self.windows.is_empty()
            && self.others.is_empty()
            && self.settlements.is_empty()
            && self.receipts.is_empty()
            && self.quarantined == 0
    }

    /// The bytes of a window.
    pub(super) fn body(&self, window: &EntryWindow) -> &[u8] {
        self.bodies.get(window.body.clone()).unwrap_or_default()
    }

    /// Encodes the entry. The checksum at its end covers its number too.
    pub(super) fn encode(&self, number: i64) -> Vec<u8> {
        let mut out = Encoder::with_version(VERSION);
        out.uint(self.receipts.len() as u64);
        for (agent, epoch, block) in &self.receipts {
            out.fixed(&agent.to_bytes());
            out.uint(epoch.0);
            out.uint(block.0);
        }
        out.uint(self.quarantined);
        out.uint(self.circumstances.len() as u64);
        for (number, circumstance) in &self.circumstances {
            out.uint(*number);
            out.uint(circumstance.len() as u64);
            out.fixed(circumstance);
        }
        out.uint(self.windows.len() as u64);
        let mut previous = 0;
        for window in &self.windows {
            out.uint(window.path.0.cast_unsigned());
            out.delta(window.placed.0, previous);
            previous = window.placed.0;
            out.uint(window.nth);
            out.uint(window.circumstance);
            out.uint(window.windows_per_slot);
            out.flag(window.raw);
            let body = self.body(window);
            out.uint(body.len() as u64);
            out.fixed(body);
        }
        out.uint(self.others.len() as u64);
        for other in &self.others {
            out.fixed(&other.agent.to_bytes());
            out.byte(other.kind.code());
            out.int(other.started.0);
            out.uint(other.body.len() as u64);
            out.fixed(&other.body);
        }
        out.uint(self.settlements.len() as u64);
        for one in &self.settlements {
            out.uint(one.path.0.cast_unsigned());
            out.int(one.placed.0);
            out.all([one.nth, one.settlement.up, one.settlement.down]);
            out.option(one.figures.as_ref(), |out, (observed, settled)| {
                put_figures(out, observed);
                put_figures(out, settled);
            });
        }
        let mut bytes = out.into_bytes();
        let checksum = checksum(number, &bytes);
        bytes.extend_from_slice(&checksum.to_le_bytes());
        bytes
    }

    /// Decodes the entry with this number.
    pub(super) fn decode(number: i64, bytes: &[u8]) -> Decoded<Self> {
        let (bytes, sum) = bytes.split_last_chunk::<CHECKSUM>().ok_or(bad(WHAT))?;
        if u32::from_le_bytes(*sum) != checksum(number, bytes) {
            return Err(bad(WHAT));
        }
        let from = &mut Decoder::of_version(bytes, VERSION, WHAT)?;
        let mut entry = Self::default();
        for _ in 0..from.length()? {
            let agent = AgentId::from_u128(u128::from_be_bytes(from.fixed()?));
            entry.receipts.push((agent, Epoch(from.uint()?), BlockNo(from.uint()?)));
        }
        entry.quarantined = from.uint()?;
        for _ in 0..from.length()? {
            entry.circumstances.push((from.uint()?, from.slice()?.into()));
        }
        let mut previous = 0;
        for _ in 0..from.length()? {
            let path = PathId(from.uint()?.cast_signed());
            previous = from.delta(previous)?;
            let (nth, circumstance, windows_per_slot) = (from.u32()?, from.uint()?, from.u32()?);
            let raw = from.flag()?;
            let start = entry.bodies.len();
            entry.bodies.extend_from_slice(from.slice()?);
            entry.windows.push(EntryWindow {
                path,
                placed: UtcMicros(previous),
                nth,
                circumstance,
                body: start..entry.bodies.len(),
                windows_per_slot,
                raw,
            });
        }
        for _ in 0..from.length()? {
            let agent = AgentId::from_u128(u128::from_be_bytes(from.fixed()?));
            let kind = RecordKind::of_code(from.byte()?).ok_or(from.error())?;
            let started = UtcMicros(from.int()?);
            let body = from.slice()?.to_vec();
            entry.others.push(EntryOther { agent, kind, started, body });
        }
        for _ in 0..from.length()? {
            let (path, placed) = (PathId(from.uint()?.cast_signed()), UtcMicros(from.int()?));
            let [nth, up, down] = from.numbers()?;
            let figures = from.option(|from| Ok((figures(from)?, figures(from)?)))?;
            let settlement = Settlement { up, down };
            entry.settlements.push(EntrySettlement { path, placed, nth, settlement, figures });
        }
        from.finish(entry)
    }
}

fn put_figures(out: &mut Encoder, figures: &WindowFigures) {
    for value in figures.values {
        out.option(value, Encoder::uint);
    }
    for mark in [figures.failed, figures.lone_loss, figures.lone_burst] {
        out.flag(mark);
    }
}

fn figures(from: &mut Decoder<'_>) -> Decoded<WindowFigures> {
    let mut figures = WindowFigures::default();
    for value in &mut figures.values {
        *value = from.option(Decoder::u32)?;
    }
    figures.failed = from.flag()?;
    figures.lone_loss = from.flag()?;
    figures.lone_burst = from.flag()?;
    Ok(figures)
}

fn checksum(number: i64, bytes: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&number.to_le_bytes());
    hasher.update(bytes);
    hasher.finalize()
}

#[cfg(test)]
mod tests {
    use busyhour_model::Figure;

    use super::*;

    fn entry() -> Entry {
        Entry {
            circumstances: vec![(7, [1, 2, 3].into()), (8, [].into())],
            windows: vec![
                EntryWindow {
                    path: PathId(7),
                    placed: UtcMicros(1_789_977_600_000_000),
                    nth: 0,
                    circumstance: 1,
                    body: 0..3,
                    windows_per_slot: 15,
                    raw: true,
                },
                EntryWindow {
                    path: PathId(1),
                    placed: UtcMicros(-5),
                    nth: 2,
                    circumstance: 0,
                    body: 3..4,
                    windows_per_slot: 0,
                    raw: false,
                },
            ],
            bodies: vec![9, 8, 7, 6],
            others: vec![EntryOther {
                agent: AgentId::from_u128(5),
                kind: RecordKind::Load,
                started: UtcMicros(3),
                body: vec![0xff; 40],
            }],
            settlements: vec![EntrySettlement {
                path: PathId(7),
                placed: UtcMicros(11),
                nth: 0,
                settlement: Settlement { up: 3, down: 1 },
                figures: Some((
                    WindowFigures::default(),
                    WindowFigures { lone_loss: true, ..WindowFigures::default() }
                        .with(Figure::Rating, 680),
                )),
            }],
            receipts: vec![(AgentId::from_u128(5), Epoch(u64::MAX), BlockNo(9))],
            quarantined: 1,
        }
    }

    #[test]
    fn an_entry_comes_back_as_it_was() {
        let entry = entry();
        assert_eq!(Entry::decode(41, &entry.encode(41)), Ok(entry));
    }

    #[test]
    fn damage_and_another_number_are_told() {
        let bytes = entry().encode(41);
        assert!(Entry::decode(42, &bytes).is_err());
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(Entry::decode(41, &flipped).is_err(), "bit {bit}");
        }
        for length in 0..bytes.len() {
            assert!(Entry::decode(41, &bytes[..length]).is_err(), "cut to {length}");
        }
    }
}
