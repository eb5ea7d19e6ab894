//! Numbers of any width, bit by bit, the lowest first.

use super::{Decoded, Decoder, Encoder};

/// Appends numbers to a blob; its last byte is filled up by [`Self::finish`].
pub(super) struct BitWriter<'a> {
    out: &'a mut Encoder,
    /// Bits that are not in the blob yet.
    held: u64,
    /// How many: below 64.
    count: u32,
}

impl<'a> BitWriter<'a> {
    pub(super) const fn new(out: &'a mut Encoder) -> Self {
        Self { out, held: 0, count: 0 }
    }

    /// Appends the lowest `width` bits of `number`; `width` is at most 64.
    pub(super) fn put(&mut self, number: u64, width: u32) {
        if width == 0 {
            return;
        }
        let number = number & (u64::MAX >> (u64::BITS - width));
        self.held |= number << self.count;
        if self.count + width < u64::BITS {
            self.count += width;
            return;
        }
        self.out.fixed(&self.held.to_le_bytes());
        self.held = number.checked_shr(u64::BITS - self.count).unwrap_or(0);
        self.count = self.count + width - u64::BITS;
    }

    pub(super) fn finish(self) {
        let bytes = self.held.to_le_bytes();
        let used = self.count.div_ceil(8) as usize;
        self.out.fixed(bytes.get(..used).unwrap_or_default());
    }
}

/// As many bits as a word has wherever it begins in its first byte; seven may be taken already.
const SURE_BITS: u32 = 56;

/// Takes numbers off a blob. Behind its end there are zeros, and [`Self::finish`] tells.
pub(super) struct BitReader<'a, 'b> {
    from: &'b mut Decoder<'a>,
    bytes: &'a [u8],
    /// Bits taken.
    at: usize,
}

impl<'a, 'b> BitReader<'a, 'b> {
    /// Begins where there are at least `count` numbers of `width` bits.
    pub(super) fn new(from: &'b mut Decoder<'a>, count: usize, width: u32) -> Decoded<Self> {
        let bytes = from.rest();
        let least = (count as u64).saturating_mul(width.into());
        if least > (bytes.len() as u64).saturating_mul(8) {
            return Err(from.error());
        }
        Ok(Self { from, bytes, at: 0 })
    }

    /// The next number of `width` bits; `width` is at most 64.
    #[inline]
    pub(super) fn next(&mut self, width: u32) -> u64 {
        if width > SURE_BITS {
            return self.next_wide(width);
        }
        let number = self.word() & ((1 << width) - 1);
        self.at = self.at.saturating_add(width as usize);
        number
    }

    fn next_wide(&mut self, width: u32) -> u64 {
        let low = self.next(32);
        low | (self.next(width - 32) << 32)
    }

    /// How many ones come next, and takes them with the zero behind them; `most` (at most 56) at the
    /// most, and then no zero.
    #[inline]
    pub(super) fn ones(&mut self, most: u32) -> u32 {
        let ones = self.word().trailing_ones().min(most);
        self.at = self.at.saturating_add(ones as usize + usize::from(ones < most));
        ones
    }

    /// Goes on behind the last byte that was begun.
    ///
    /// # Errors
    /// When more was taken than there was.
    pub(super) fn finish(self) -> Decoded<()> {
        let taken = self.at.div_ceil(8);
        if taken > self.bytes.len() {
            return Err(self.from.error());
        }
        self.from.skip(taken);
        Ok(())
    }

    /// At least [`SURE_BITS`] and one more from here.
    #[inline]
    fn word(&self) -> u64 {
        let rest = self.bytes.get(self.at / 8..).unwrap_or_default();
        let word = rest.first_chunk::<8>().map_or_else(|| tail(rest), |b| u64::from_le_bytes(*b));
        word >> (self.at % 8)
    }
}

/// The last few bytes of a blob.
#[cold]
fn tail(bytes: &[u8]) -> u64 {
    bytes.iter().rev().fold(0, |word, &byte| (word << 8) | u64::from(byte))
}
