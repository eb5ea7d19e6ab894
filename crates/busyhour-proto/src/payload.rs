//! The payload of a sealed block: dictionaries, and the records that refer to them.

use busyhour_model::{Context, PathKey, Record, Schedule, UtcMicros};
use prost::Message as _;
use prost::bytes::Bytes;
use thiserror::Error;

use crate::decode::{self, Dictionaries, RecordError};
use crate::encode::Encoder;
use crate::remembered::Remembered;
use crate::v1;

/// The most records, and the most entries of each dictionary, in a block: a block is one unit of
/// loss, of memory at the collector and of a transaction, so it stays small.
pub const MAX_BLOCK_RECORDS: usize = 2_000;
/// The largest payload, in bytes: half of what the collector accepts as a message, so that framing
/// never decides.
pub const MAX_PAYLOAD_BYTES: usize = 512 * 1024;

/// Why nothing of a payload can be used.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum PayloadError {
    /// It is larger than [`MAX_PAYLOAD_BYTES`].
    #[error("a payload of {0} bytes is too large")]
    TooLarge(usize),
    /// It holds more of something than [`MAX_BLOCK_RECORDS`].
    #[error("a payload with {count} {what} holds too many")]
    TooMany {
        /// Records, paths, contexts or schedules.
        what: &'static str,
        /// How many.
        count: usize,
    },
    /// Its outer structure cannot be read.
    #[error("the payload is not a valid message")]
    Malformed(#[source] prost::DecodeError),
}

/// A record that cannot be used, with what could be read of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadRecord {
    /// The agent's wall clock at its beginning, where that could be read.
    pub started: Option<UtcMicros>,
    /// Why it cannot be used.
    pub error: RecordError,
}

/// What a payload holds.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct DecodedPayload {
    /// The schedules that can be used; those that nobody described are not here.
    pub schedules: Vec<Schedule>,
    /// The records in their order.
    pub records: Vec<Result<Record, BadRecord>>,
}

/// `BlockPayload` one level deep, so that what cannot be read spoils nothing else, and nothing is
/// allocated before it was counted. The parts share the payload's memory.
#[derive(Clone, PartialEq, prost::Message)]
struct Envelope {
    #[prost(bytes = "bytes", repeated, tag = "1")]
    paths: Vec<Bytes>,
    #[prost(bytes = "bytes", repeated, tag = "2")]
    contexts: Vec<Bytes>,
    #[prost(bytes = "bytes", repeated, tag = "3")]
    schedules: Vec<Bytes>,
    #[prost(bytes = "bytes", repeated, tag = "4")]
    records: Vec<Bytes>,
}

/// Encodes records with the schedules that they name.
///
/// The caller keeps to [`MAX_BLOCK_RECORDS`] and [`MAX_PAYLOAD_BYTES`] (see [`encoded_len`]);
/// beyond them the payload is not decoded by anybody.
#[must_use]
pub fn encode_payload(records: &[Record], schedules: &[Schedule]) -> Vec<u8> {
    payload_of(records, schedules).encode_to_vec()
}

/// The most bytes that a record adds to a payload: its own and those of its dictionary entries.
#[must_use]
pub fn encoded_len(record: &Record) -> usize {
    payload_of(std::slice::from_ref(record), &[]).encoded_len() + POSITION_SLACK
}

/// A full payload may need this many bytes more for a record than a payload of it alone: three
/// positions (0 is not written, others take up to three bytes) and two longer length prefixes.
const POSITION_SLACK: usize = 3 * 3 + 2;

fn payload_of(records: &[Record], schedules: &[Schedule]) -> v1::BlockPayload {
    let mut encoder = Encoder::new(schedules);
    let records = records.iter().map(|record| encoder.record(record)).collect();
    encoder.finish(records)
}

/// Decodes a payload; a bad record spoils no other.
///
/// # Errors
/// When the payload is too large, holds too many of anything, or is no message at all.
pub fn decode_payload(payload: &[u8]) -> Result<DecodedPayload, PayloadError> {
    PayloadReader::default().decode(payload)
}

/// Decodes payloads, and remembers the paths and contexts of earlier ones: an agent sends much the same
/// with each block. What it remembers takes at most some 100 MB.
#[derive(Debug, Default)]
pub struct PayloadReader {
    paths: Remembered<PathKey>,
    contexts: Remembered<Context>,
}

impl PayloadReader {
    /// Decodes a payload as [`decode_payload`] does.
    ///
    /// # Errors
    /// As there.
    pub fn decode(&mut self, payload: &[u8]) -> Result<DecodedPayload, PayloadError> {
        if payload.len() > MAX_PAYLOAD_BYTES {
            return Err(PayloadError::TooLarge(payload.len()));
        }
        let shared = Bytes::copy_from_slice(payload);
        let envelope = Envelope::decode(shared).map_err(PayloadError::Malformed)?;
        for (what, count) in [
            ("records", envelope.records.len()),
            ("paths", envelope.paths.len()),
            ("contexts", envelope.contexts.len()),
            ("schedules", envelope.schedules.len()),
        ] {
            if count > MAX_BLOCK_RECORDS {
                return Err(PayloadError::TooMany { what, count });
            }
        }
        let (paths, contexts) = (envelope.paths.iter(), envelope.contexts.iter());
        let dictionaries = Dictionaries {
            paths: paths.map(|bytes| self.paths.get(bytes, decode::path)).collect(),
            contexts: contexts.map(|bytes| self.contexts.get(bytes, decode::context)).collect(),
            schedules: envelope.schedules.iter().map(|bytes| decode::schedule(bytes)).collect(),
        };
        let records = envelope.records.iter().map(|bytes| decode_record(&dictionaries, bytes));
        let described = |schedule: &&Schedule| schedule.period_us != 0;
        Ok(DecodedPayload {
            records: records.collect(),
            schedules: dictionaries.schedules.iter().flatten().filter(described).copied().collect(),
        })
    }
}

fn decode_record(dictionaries: &Dictionaries, bytes: &[u8]) -> Result<Record, BadRecord> {
    let wire: v1::Record =
        decode::message("record", bytes).map_err(|error| BadRecord { started: None, error })?;
    let started = Some(UtcMicros(wire.started_us));
    dictionaries.record(wire).map_err(|error| BadRecord { started, error })
}

/// The laws of the payload, for the fuzzer and the tests: what was decoded encodes to something that
/// decodes to the same, and what a reader remembers changes nothing.
///
/// # Panics
/// When a law is broken.
pub fn fuzz_payload(data: &[u8]) {
    let mut reader = PayloadReader::default();
    let first = reader.decode(data);
    assert!(reader.decode(data) == first, "what was read before is read otherwise");
    let Ok(first) = first else { return };
    let records: Vec<Record> = first.records.into_iter().flatten().collect();
    let again = encode_payload(&records, &first.schedules);
    // What was redundant on the wire may grow a little when it is written in full.
    if again.len() > MAX_PAYLOAD_BYTES {
        return;
    }
    match decode_payload(&again) {
        Ok(second) => {
            assert!(first.schedules == second.schedules, "schedules changed");
            let kept = second.records.into_iter().map(|record| match record {
                Ok(record) => record,
                Err(bad) => panic!("an encoded record does not decode: {bad:?}"),
            });
            assert!(records == kept.collect::<Vec<_>>(), "records changed");
        }
        Err(error) => panic!("an encoded payload does not decode: {error:?}"),
    }
}
