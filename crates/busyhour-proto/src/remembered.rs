//! Values that were decoded before, by their encodings.

use std::collections::HashMap;

/// What one kind of entry may take in memory, its encodings and values together.
const MAX_BYTES: usize = 48 << 20;
/// What an entry takes beside its encoding, about: the value with its texts, and its place in the map.
const ENTRY_BYTES: usize = 512;
/// Longer encodings are not remembered: an honest one is as long as the longest names.
const MAX_ENCODING: usize = 512;

/// Values by their encodings. The same bytes give the same value, so remembering changes nothing.
#[derive(Debug)]
pub(crate) struct Remembered<T> {
    // Agents choose the keys, so they are hashed with a secret.
    known: HashMap<Box<[u8]>, T>,
    size_bytes: usize,
}

impl<T> Default for Remembered<T> {
    fn default() -> Self {
        Self { known: HashMap::new(), size_bytes: 0 }
    }
}

impl<T: Clone> Remembered<T> {
    /// What `bytes` decode to; what does not decode is not remembered. When there is no room, all is
    /// forgotten, and those that still come are soon here again.
    pub(crate) fn get<E>(
        &mut self,
        bytes: &[u8],
        decode: impl FnOnce(&[u8]) -> Result<T, E>,
    ) -> Result<T, E> {
        if let Some(known) = self.known.get(bytes) {
            return Ok(known.clone());
        }
        let value = decode(bytes)?;
        if bytes.len() <= MAX_ENCODING {
            let size_bytes = bytes.len() + ENTRY_BYTES;
            if self.size_bytes + size_bytes > MAX_BYTES {
                self.known.clear();
                self.size_bytes = 0;
            }
            self.size_bytes += size_bytes;
            self.known.insert(bytes.into(), value.clone());
        }
        Ok(value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Decodes numbers of up to eight bytes, and counts how often.
    fn decoding(calls: &mut usize, bytes: &[u8]) -> Result<usize, String> {
        *calls += 1;
        if bytes.starts_with(b"bad") { Err("no value".to_owned()) } else { Ok(bytes.len()) }
    }

    #[test]
    fn the_same_bytes_are_decoded_once_and_bad_ones_each_time() {
        let (mut known, mut calls) = (Remembered::default(), 0);
        for _ in 0..3 {
            assert_eq!(known.get(b"one", |bytes| decoding(&mut calls, bytes)), Ok(3));
            assert_eq!(known.get(b"other", |bytes| decoding(&mut calls, bytes)), Ok(5));
            assert!(known.get(b"bad", |bytes| decoding(&mut calls, bytes)).is_err());
        }
        assert_eq!(calls, 2 + 3);
    }

    #[test]
    fn long_encodings_are_not_remembered() {
        let (mut known, mut calls) = (Remembered::default(), 0);
        for _ in 0..2 {
            let long = [7; MAX_ENCODING + 1];
            assert_eq!(known.get(&long, |bytes| decoding(&mut calls, bytes)), Ok(long.len()));
        }
        assert_eq!((calls, known.known.len(), known.size_bytes), (2, 0, 0));
    }

    #[test]
    fn whoever_sends_ever_new_entries_fills_no_more_than_there_is_room_for() {
        let mut known = Remembered::default();
        let most = MAX_BYTES / (8 + ENTRY_BYTES);
        for number in 0..(most as u64 + 10) {
            let value = known.get(&number.to_be_bytes(), |bytes| decoding(&mut 0, bytes));
            assert_eq!(value, Ok(8));
            assert!(known.size_bytes <= MAX_BYTES);
        }
        assert_eq!(known.known.len(), 10, "those since there was no room");
    }
}
