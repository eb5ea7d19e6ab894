//! How values lie in the store's blobs: little varints, lengths before texts, a version first.
//!
//! Everything decodes to exactly what was encoded, and nothing that was cut short decodes at all.
//! A new layout is a new version byte; from the first release on, old ones stay readable.

mod bits;
mod building;
mod column;
mod incident;
mod judgement;
pub(crate) mod pack;
mod record;
mod record_pack;
mod report;
mod slot_day;
mod tally;
mod window;

#[cfg(test)]
mod tests;

use busyhour_model::Histogram;
use thiserror::Error;

pub(crate) use building::{decode_quarters, decode_week, encode_quarters, encode_week};
pub(crate) use column::Room;
pub(crate) use incident::{
    IncidentColumns, decode_incident, decode_members, encode_incident, encode_members,
};
pub(crate) use judgement::{decode_day, encode_day};
pub(crate) use pack::{
    Row, UnpackedRows, decode_pack, encode_pack, pack_times, to_the_millisecond, unpack_rows,
};
pub(crate) use record::{
    decode_context, decode_other, encode_context, encode_endpoint, encode_other,
};
pub(crate) use record_pack::{decode_records, encode_records};
pub(crate) use report::{decode_report, encode_report};
pub(crate) use slot_day::{
    DAY_SLOTS, decode_counts, decode_figures, decode_gists, decode_sketches, decode_spreads,
    encode_counts, encode_figures, encode_sketches, encode_spreads, visit_figures,
};
pub(crate) use tally::{SLOTS as SLOTS_A_DAY, Tallies, decode_tallies, encode_tallies};
pub(crate) use window::{
    Circumstance, decode_circumstance, decode_window, encode_settled, put_circumstance,
    put_coarsened, same_window,
};
#[cfg(test)]
use window::{encode_circumstance, encode_window};

/// A blob that cannot be read back.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub(crate) enum DecodeError {
    /// It cannot be what this program wrote.
    #[error("stored {0} cannot be read back")]
    Damaged(&'static str),
    /// Another release of this program wrote it.
    #[error("stored {what} has layout {found}; this program reads layout {known}")]
    Layout {
        /// What it is.
        what: &'static str,
        /// The layout it has.
        found: u8,
        /// The layout that is known.
        known: u8,
    },
}

pub(crate) type Decoded<T> = Result<T, DecodeError>;

/// Builds the error for a blob or one of its fields.
pub(crate) const fn bad(what: &'static str) -> DecodeError {
    DecodeError::Damaged(what)
}

/// Appends values to a blob.
#[derive(Debug, Default)]
pub(crate) struct Encoder {
    bytes: Vec<u8>,
}

impl Encoder {
    pub(crate) fn with_version(version: u8) -> Self {
        let mut bytes = Vec::with_capacity(256);
        bytes.push(version);
        Self { bytes }
    }

    pub(crate) fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    pub(crate) fn byte(&mut self, value: u8) {
        self.bytes.push(value);
    }

    pub(crate) fn flag(&mut self, value: bool) {
        self.byte(u8::from(value));
    }

    pub(crate) fn all(&mut self, values: impl IntoIterator<Item = u32>) {
        for value in values {
            self.uint(value);
        }
    }

    pub(crate) fn uint(&mut self, value: impl Into<u64>) {
        let mut value = value.into();
        while value >= 0x80 {
            self.bytes.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.bytes.push(value as u8);
    }

    pub(crate) fn int(&mut self, value: i64) {
        self.uint((value.wrapping_shl(1) ^ (value >> 63)).cast_unsigned());
    }

    /// A difference that may be anything: wrapping, so that it can always be undone.
    pub(crate) fn delta(&mut self, value: i64, base: i64) {
        self.int(value.wrapping_sub(base));
    }

    pub(crate) fn fixed(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    pub(crate) fn text(&mut self, text: &str) {
        self.uint(text.len() as u64);
        self.fixed(text.as_bytes());
    }

    /// A value that may be absent: 0, or 1 and the value.
    pub(crate) fn option<T>(&mut self, value: Option<T>, encode: impl FnOnce(&mut Self, T)) {
        self.byte(u8::from(value.is_some()));
        if let Some(value) = value {
            encode(self, value);
        }
    }

    /// How many bytes there are.
    pub(crate) const fn written(&self) -> usize {
        self.bytes.len()
    }

    /// Number of buckets, then lowest, spread, sum and, per bucket, its distance from the one
    /// before with a small count in one byte. An empty histogram is one byte.
    #[cfg(test)]
    pub(crate) fn histogram(&mut self, histogram: &Histogram) {
        self.totals(histogram, histogram.buckets().len());
        let mut previous = 0;
        histogram.buckets().iter().for_each(|&bucket| self.bucket(bucket, &mut previous));
    }

    /// The same of the histogram as coarse as it is stored.
    pub(crate) fn coarse_histogram(&mut self, histogram: &Histogram) {
        self.totals(histogram, histogram.coarse_buckets());
        let mut previous = 0;
        histogram.each_coarse_bucket(|bucket, n| self.bucket((bucket, n), &mut previous));
    }

    fn totals(&mut self, histogram: &Histogram, buckets: usize) {
        self.uint(buckets as u64);
        if buckets > 0 {
            self.uint(histogram.min());
            self.uint(histogram.max() - histogram.min());
            self.uint(histogram.sum());
        }
    }

    fn bucket(&mut self, (bucket, count): (u16, u64), previous: &mut u16) {
        let small = count.min(SMALL_COUNT);
        self.uint((u64::from(bucket - *previous) << SMALL_BITS) | small);
        if small == SMALL_COUNT {
            self.uint(count - SMALL_COUNT);
        }
        *previous = bucket;
    }
}

/// Counts below this share a byte with the distance of their bucket.
const SMALL_COUNT: u64 = (1 << SMALL_BITS) - 1;
const SMALL_BITS: u32 = 4;

/// Takes values off a blob.
#[derive(Debug)]
pub(crate) struct Decoder<'a> {
    rest: &'a [u8],
    what: &'static str,
}

impl<'a> Decoder<'a> {
    /// Starts reading a blob that begins with `version`.
    pub(crate) fn of_version(bytes: &'a [u8], version: u8, what: &'static str) -> Decoded<Self> {
        match bytes.split_first() {
            Some((&found, rest)) if found == version => Ok(Self { rest, what }),
            Some((&found, _)) => Err(DecodeError::Layout { what, found, known: version }),
            None => Err(bad(what)),
        }
    }

    pub(crate) const fn error(&self) -> DecodeError {
        bad(self.what)
    }

    /// Ends reading; bytes left over are an error.
    pub(crate) fn finish<T>(&self, value: T) -> Decoded<T> {
        if self.rest.is_empty() { Ok(value) } else { Err(self.error()) }
    }

    /// What was not read yet.
    pub(crate) const fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// Leaves out the next `count` bytes, or as many as there are.
    pub(crate) fn skip(&mut self, count: usize) {
        self.rest = self.rest.get(count..).unwrap_or_default();
    }

    pub(crate) fn byte(&mut self) -> Decoded<u8> {
        let (&byte, rest) = self.rest.split_first().ok_or(bad(self.what))?;
        self.rest = rest;
        Ok(byte)
    }

    #[inline]
    pub(crate) fn uint(&mut self) -> Decoded<u64> {
        match self.rest.split_first() {
            Some((&byte, rest)) if byte < 0x80 => {
                self.rest = rest;
                Ok(byte.into())
            }
            _ => self.long_uint(),
        }
    }

    fn long_uint(&mut self) -> Decoded<u64> {
        let mut value = 0u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            let bits = u64::from(byte & 0x7f);
            if shift == 63 && bits > 1 {
                return Err(self.error());
            }
            value |= bits << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(self.error())
    }

    pub(crate) fn u32(&mut self) -> Decoded<u32> {
        self.uint()?.try_into().map_err(|_| self.error())
    }

    pub(crate) fn u16(&mut self) -> Decoded<u16> {
        self.uint()?.try_into().map_err(|_| self.error())
    }

    pub(crate) fn int(&mut self) -> Decoded<i64> {
        let value = self.uint()?;
        Ok((value >> 1).cast_signed() ^ -((value & 1).cast_signed()))
    }

    pub(crate) fn numbers<const N: usize>(&mut self) -> Decoded<[u32; N]> {
        let mut numbers = [0; N];
        for number in &mut numbers {
            *number = self.u32()?;
        }
        Ok(numbers)
    }

    pub(crate) fn flag(&mut self) -> Decoded<bool> {
        match self.byte()? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(self.error()),
        }
    }

    pub(crate) fn delta(&mut self, base: i64) -> Decoded<i64> {
        Ok(self.int()?.wrapping_add(base))
    }

    pub(crate) fn fixed<const N: usize>(&mut self) -> Decoded<[u8; N]> {
        let (bytes, rest) = self.rest.split_first_chunk::<N>().ok_or(bad(self.what))?;
        self.rest = rest;
        Ok(*bytes)
    }

    /// Bytes behind their number.
    pub(crate) fn slice(&mut self) -> Decoded<&'a [u8]> {
        let length = usize::try_from(self.uint()?).map_err(|_| self.error())?;
        let (bytes, rest) = self.rest.split_at_checked(length).ok_or(bad(self.what))?;
        self.rest = rest;
        Ok(bytes)
    }

    pub(crate) fn text(&mut self) -> Decoded<&'a str> {
        std::str::from_utf8(self.slice()?).map_err(|_| self.error())
    }

    /// Reads a word of one of the model's enumerations.
    pub(crate) fn word<T: std::str::FromStr>(&mut self) -> Decoded<T> {
        let text = self.text()?;
        text.parse().map_err(|_| self.error())
    }

    pub(crate) fn option<T>(
        &mut self,
        decode: impl FnOnce(&mut Self) -> Decoded<T>,
    ) -> Decoded<Option<T>> {
        match self.byte()? {
            0 => Ok(None),
            1 => decode(self).map(Some),
            _ => Err(self.error()),
        }
    }

    /// A length that is at most the bytes left (each element takes at least one), so that a damaged
    /// blob cannot ask for much memory.
    pub(crate) fn length(&mut self) -> Decoded<usize> {
        let length = usize::try_from(self.uint()?).map_err(|_| self.error())?;
        if length > self.rest.len() { Err(self.error()) } else { Ok(length) }
    }

    pub(crate) fn histogram(&mut self) -> Decoded<Histogram> {
        let length = self.length()?;
        if length == 0 {
            return Ok(Histogram::new());
        }
        let min = self.u32()?;
        let max = self.u32()?.checked_add(min).ok_or(bad(self.what))?;
        let sum = self.uint()?;
        let mut buckets = Vec::with_capacity(length);
        let mut bucket = 0u16;
        for _ in 0..length {
            let token = self.uint()?;
            let step = u16::try_from(token >> SMALL_BITS).map_err(|_| self.error())?;
            bucket = bucket.checked_add(step).ok_or(bad(self.what))?;
            let mut count = token & SMALL_COUNT;
            if count == SMALL_COUNT {
                count = self.uint()?.checked_add(SMALL_COUNT).ok_or(bad(self.what))?;
            }
            buckets.push((bucket, count));
        }
        Histogram::from_parts(buckets, sum, min, max).map_err(|_| self.error())
    }
}
