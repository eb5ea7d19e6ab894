//! How many windows were valid and how many bad in each quarter-hour of a path's day: what questions over
//! very many paths read.

use busyhour_model::PathId;

use super::{Decoded, bad};

const VERSION: u8 = 1;
const WHAT: &str = "slot tallies";
/// Quarter-hours of a day.
pub(crate) const SLOTS: usize = 96;
/// Bytes of the checksum at the end.
const CHECKSUM: usize = 4;
/// Version, width of a number.
const HEAD: usize = 2;

/// Valid and bad windows of each quarter-hour.
pub(crate) type Tallies = [(u32, u32); SLOTS];

/// Encodes tallies, each number in as many bytes as the largest needs. The checksum covers path and day.
pub(crate) fn encode_tallies(path: PathId, utc_day: i64, tallies: &Tallies) -> Vec<u8> {
    let largest = tallies.iter().map(|&(valid, bad)| valid.max(bad)).max().unwrap_or(0);
    let width = match largest {
        0..=0xff => 1u8,
        0x100..=0xffff => 2,
        _ => 4,
    };
    let mut bytes = Vec::with_capacity(HEAD + 2 * SLOTS * usize::from(width) + CHECKSUM);
    bytes.extend_from_slice(&[VERSION, width]);
    let numbers = tallies.iter().flat_map(|&(valid, bad)| [valid, bad]);
    for number in numbers {
        bytes.extend(number.to_le_bytes().into_iter().take(usize::from(width)));
    }
    let sum = checksum(path, utc_day, &bytes);
    bytes.extend_from_slice(&sum.to_le_bytes());
    bytes
}

pub(crate) fn decode_tallies(bytes: &[u8], path: PathId, utc_day: i64) -> Decoded<Tallies> {
    let (content, sum) = bytes.split_last_chunk::<CHECKSUM>().ok_or(bad(WHAT))?;
    if u32::from_le_bytes(*sum) != checksum(path, utc_day, content) {
        return Err(bad(WHAT));
    }
    let ([VERSION, width], numbers) = content.split_first_chunk::<HEAD>().ok_or(bad(WHAT))? else {
        return Err(bad(WHAT));
    };
    let width = usize::from(*width);
    if !matches!(width, 1 | 2 | 4) || numbers.len() != 2 * SLOTS * width {
        return Err(bad(WHAT));
    }
    let mut tallies = [(0, 0); SLOTS];
    let number = |bytes: &[u8]| {
        bytes.iter().rev().fold(0u32, |number, &byte| (number << 8) | u32::from(byte))
    };
    for (tally, pair) in tallies.iter_mut().zip(numbers.chunks_exact(2 * width)) {
        let (valid, bad) = pair.split_at(width);
        *tally = (number(valid), number(bad));
    }
    Ok(tallies)
}

fn checksum(path: PathId, utc_day: i64, content: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&path.0.to_le_bytes());
    hasher.update(&utc_day.to_le_bytes());
    hasher.update(content);
    hasher.finalize()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tallies(largest: u32) -> Tallies {
        let mut tallies = [(0, 0); SLOTS];
        for (at, tally) in tallies.iter_mut().enumerate() {
            *tally = (largest / (at as u32 + 1), at as u32 % 3);
        }
        tallies
    }

    #[test]
    fn tallies_of_every_width_come_back() {
        for largest in [0, 60, 255, 256, 65_535, 65_536, u32::MAX] {
            let tallies = tallies(largest);
            let bytes = encode_tallies(PathId(3), 20_000, &tallies);
            assert_eq!(decode_tallies(&bytes, PathId(3), 20_000), Ok(tallies));
            assert!(decode_tallies(&bytes, PathId(4), 20_000).is_err());
            assert!(decode_tallies(&bytes, PathId(3), 20_001).is_err());
        }
        assert_eq!(encode_tallies(PathId(3), 0, &tallies(60)).len(), 198);
    }

    #[test]
    fn damage_is_told() {
        let bytes = encode_tallies(PathId(3), 20_000, &tallies(60));
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(decode_tallies(&flipped, PathId(3), 20_000).is_err(), "bit {bit}");
        }
        for length in 0..bytes.len() {
            assert!(decode_tallies(&bytes[..length], PathId(3), 20_000).is_err());
        }
    }
}
