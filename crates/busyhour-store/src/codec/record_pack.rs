//! Packs of checks, facts, loads or gaps of one agent: each record as what differs from the one before.

use busyhour_model::{AgentId, UtcMicros};

use super::{Decoded, Decoder, Encoder, bad};

const VERSION: u8 = 1;
const WHAT: &str = "pack of records";
/// Bytes of the checksum at the end.
const CHECKSUM: usize = 4;

/// Encodes records, which are in the order of time, each with its own encoding. The checksum at the
/// end covers the agent too.
pub(crate) fn encode_records<'a>(
    agent: AgentId,
    records: impl ExactSizeIterator<Item = (UtcMicros, &'a [u8])>,
) -> Vec<u8> {
    let mut out = Encoder::with_version(VERSION);
    out.uint(records.len() as u64);
    let (mut started, mut previous): (i64, &[u8]) = (0, &[]);
    for (at, body) in records {
        out.delta(at.0, started);
        // Records of one kind begin alike (boot, schedule, context) and end alike.
        let alike = body.iter().zip(previous).take_while(|(a, b)| a == b).count();
        let rest = body.get(alike..).unwrap_or_default();
        let longest = rest.len().min(previous.len() - alike);
        let tails = rest.iter().rev().zip(previous.iter().rev()).take(longest);
        let tail = tails.take_while(|(a, b)| a == b).count();
        let middle = rest.get(..rest.len() - tail).unwrap_or_default();
        out.uint(alike as u64);
        out.uint(tail as u64);
        out.uint(middle.len() as u64);
        out.fixed(middle);
        (started, previous) = (at.0, body);
    }
    let mut bytes = out.into_bytes();
    let sum = checksum(agent, &bytes);
    bytes.extend_from_slice(&sum.to_le_bytes());
    bytes
}

pub(crate) fn decode_records(bytes: &[u8], agent: AgentId) -> Decoded<Vec<(UtcMicros, Vec<u8>)>> {
    let (bytes, sum) = bytes.split_last_chunk::<CHECKSUM>().ok_or(bad(WHAT))?;
    if u32::from_le_bytes(*sum) != checksum(agent, bytes) {
        return Err(bad(WHAT));
    }
    let from = &mut Decoder::of_version(bytes, VERSION, WHAT)?;
    let mut records: Vec<(UtcMicros, Vec<u8>)> = Vec::new();
    let mut started = 0;
    for _ in 0..from.length()? {
        started = from.delta(started)?;
        let (alike, tail, middle) = (from.uint()?, from.uint()?, from.slice()?);
        let previous = records.last().map_or(&[][..], |(_, body)| body);
        let (alike, tail) = (alike as usize, tail as usize);
        let head = previous.get(..alike).ok_or(from.error())?;
        let keep =
            previous.len().checked_sub(tail).filter(|&at| at >= alike).ok_or(from.error())?;
        let tail = previous.get(keep..).ok_or(from.error())?;
        let body = [head, middle, tail].concat();
        records.push((UtcMicros(started), body));
    }
    from.finish(records)
}

fn checksum(agent: AgentId, bytes: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&agent.to_bytes());
    hasher.update(bytes);
    hasher.finalize()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const AGENT: AgentId = AgentId::from_u128(7);

    fn encode(records: &[(UtcMicros, Vec<u8>)]) -> Vec<u8> {
        encode_records(AGENT, records.iter().map(|(at, body)| (*at, body.as_slice())))
    }

    proptest! {
        #[test]
        fn records_come_back_as_they_were(
            records in prop::collection::vec(
                (any::<i64>(), prop::collection::vec(0u8..3, 0..40)), 0..40,
            ),
        ) {
            let records: Vec<_> = records.into_iter().map(|(at, body)| (UtcMicros(at), body)).collect();
            prop_assert_eq!(decode_records(&encode(&records), AGENT), Ok(records));
        }
    }

    #[test]
    fn damage_and_another_agent_are_told() {
        let bytes = encode(&[(UtcMicros(5), vec![1, 2, 3]), (UtcMicros(9), vec![1, 9, 3])]);
        assert!(decode_records(&bytes, AgentId::from_u128(8)).is_err());
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(decode_records(&flipped, AGENT).is_err(), "bit {bit}");
        }
        for length in 0..bytes.len() {
            assert!(decode_records(&bytes[..length], AGENT).is_err(), "cut to {length}");
        }
    }

    #[test]
    fn what_repeats_costs_little() {
        let body = [7; 60];
        let records: Vec<_> =
            (0..100).map(|n| (UtcMicros(n * 60_000_000), body.to_vec())).collect();
        assert!(encode(&records).len() < 100 * 8);
    }
}
