//! Packs for `benches/pack.rs`, which sees nothing of the crate that is not public.

use busyhour_model::{PathId, PathKey, UtcMicros};

use super::super::{Encoder, put_circumstance, put_coarsened};
use super::{Row, decode_pack, encode_pack, sizes, unpack_rows};
use crate::StoredWindow;

const PATH: PathId = PathId(1);

/// A window as the journal has it.
#[derive(Debug)]
pub struct JournalRow {
    placed: UtcMicros,
    circumstance: Vec<u8>,
    body: Vec<u8>,
}

impl JournalRow {
    /// The row of a window, coarsened.
    #[must_use]
    pub fn of(window: &StoredWindow) -> Self {
        let judged = &window.judged;
        let (mut circumstance, mut body) = (Encoder::default(), Encoder::default());
        put_circumstance(&mut circumstance, judged);
        put_coarsened(&mut body, judged, super::to_the_millisecond(window.received));
        let (circumstance, body) = (circumstance.into_bytes(), body.into_bytes());
        Self { placed: judged.placed, circumstance, body }
    }

    /// The bytes that are the window's own.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.body.len()
    }

    /// Never.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.body.is_empty()
    }
}

/// Packs rows; `None` when that cannot be.
#[must_use]
pub fn pack(rows: &[JournalRow]) -> Option<Vec<u8>> {
    let rows: Vec<Row<'_>> = rows
        .iter()
        .map(|JournalRow { placed, circumstance, body }| Row {
            placed: *placed,
            nth: 0,
            circumstance,
            body,
        })
        .collect();
    encode_pack(PATH, &rows).ok()
}

/// All windows of a pack.
#[must_use]
pub fn windows(pack: &[u8], key: &PathKey) -> Option<Vec<StoredWindow>> {
    decode_pack(pack, PATH, key, UtcMicros(i64::MIN), UtcMicros(i64::MAX)).ok()
}

/// How many rows a pack gives back.
#[must_use]
pub fn rows(pack: &[u8]) -> Option<usize> {
    Some(unpack_rows(pack, PATH).ok()?.iter().map(|row| usize::from(!row.body.is_empty())).sum())
}

/// The bytes of each part of a pack.
#[must_use]
pub fn parts(pack: &[u8]) -> Option<Vec<(String, usize)>> {
    sizes(pack, PATH).ok()
}
