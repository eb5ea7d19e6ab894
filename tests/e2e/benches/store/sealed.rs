//! Blocks as agents send them, put together from windows that were encoded before the clock runs: each
//! agent of a real fleet encodes on a machine of its own, and here all of them share two processors
//! with the collector.

use busyhour_delivery::Block;
use busyhour_model::{BlockNo, Body, Record};
use busyhour_proto::v1;
use prost::Message as _;

use crate::fleet::{Fleet, Restamped, SCHEDULE};

/// The tags of `BlockPayload.records` and `Record.window`, both of them length-delimited.
const RECORD_TAG: u8 = 4 << 3 | 2;
const WINDOW_TAG: u8 = 10 << 3 | 2;
/// What a record takes on the wire beside its window, at most, in bytes.
const AROUND_WINDOW: usize = 96;
/// Of each shape so many blocks are compared with what an agent encodes.
const COMPARED: u64 = 3;

/// The blocks of a fleet.
pub(crate) struct Sealed {
    fleet: Fleet,
    /// Windows of one path in a block; 1 is one of each path.
    run: i64,
    /// The pool's windows without what restamping gives them, encoded.
    pooled: Vec<Vec<Pooled>>,
    /// For each agent, or where a block is of one path, for each path.
    openings: Vec<Opening>,
}

struct Pooled {
    window: Vec<u8>,
    has_seen_port: bool,
}

/// What is the same in each block of an agent or of a path.
struct Opening {
    /// The dictionaries, encoded.
    bytes: Vec<u8>,
    /// The positions that its records name, one for each path.
    positions: Vec<Positions>,
}

#[derive(Clone, Copy)]
struct Positions {
    path: u32,
    context: u32,
    schedule: u32,
}

impl Sealed {
    /// Encodes all that is the same in many blocks.
    pub(crate) fn new(fleet: Fleet, run: i64) -> Self {
        let pooled = fleet.pool().iter().map(|series| {
            let windows = series.windows.iter().map(|observed| Pooled::new(&observed.window));
            windows.collect()
        });
        let pooled = pooled.collect();
        let openings = if run == 1 {
            (0..fleet.agents())
                .map(|agent| Opening::new(fleet.paths_of(agent).map(|path| fleet.record(path, 0))))
                .collect()
        } else {
            (0..fleet.paths()).map(|path| Opening::new([fleet.record(path, 0)])).collect()
        };
        let sealed = Self { fleet, run, pooled, openings };
        for number in 0..COMPARED {
            sealed.compare(number as usize % sealed.agents(), number);
        }
        sealed
    }

    pub(crate) fn agents(&self) -> usize {
        self.fleet.agents()
    }

    /// An agent's block of this number from 0, and how many windows it has.
    pub(crate) fn block(&self, agent: usize, number: u64) -> (v1::Block, u64) {
        let (opening, windows) = self.content(agent, number);
        let sizes = windows.iter().map(|&(path, minute)| {
            let (series, at) = self.fleet.restamped(path, minute).pooled;
            self.pooled[series][at].window.len() + AROUND_WINDOW
        });
        let mut payload = Vec::with_capacity(opening.bytes.len() + sizes.sum::<usize>());
        payload.extend_from_slice(&opening.bytes);
        for (nth, &(path, minute)) in windows.iter().enumerate() {
            let positions = opening.positions[nth % opening.positions.len()];
            self.put_record(&mut payload, positions, &self.fleet.restamped(path, minute));
        }
        let Block { number, crc32c, payload } = Block::seal(BlockNo(number + 1), payload);
        (v1::Block { block: number.0, crc32c, payload }, windows.len() as u64)
    }

    /// What a block begins with, and the path and minute of each of its windows.
    fn content(&self, agent: usize, number: u64) -> (&Opening, Vec<(usize, i64)>) {
        let mut paths = self.fleet.paths_of(agent);
        if self.run == 1 {
            return (&self.openings[agent], paths.map(|path| (path, number as i64)).collect());
        }
        let each = paths.len();
        let path = paths.nth(number as usize % each).expect("an agent has paths");
        let first = (number as i64 / each as i64) * self.run;
        let minutes = first..first + self.run;
        (&self.openings[path], minutes.map(|minute| (path, minute)).collect())
    }

    /// Fields of a message may come in any order: those of restamping follow the pool's.
    fn put_record(&self, payload: &mut Vec<u8>, at: Positions, new: &Restamped<'_>) {
        let pooled = &self.pooled[new.pooled.0][new.pooled.1];
        let source_port = u32::from(new.source_port);
        let of_path = v1::Window {
            path: at.path,
            first_sequence: new.first_sequence,
            source_port,
            seen_source_port: pooled.has_seen_port.then_some(source_port),
            ssid: new.ssid.into(),
            ..v1::Window::default()
        };
        let outside = v1::Record {
            started_us: new.stamp.started.0,
            started_boot_us: new.stamp.started_boot.0,
            boot: new.stamp.boot.to_bytes().to_vec(),
            duration_us: new.stamp.duration_us(),
            schedule: at.schedule,
            context: at.context,
            body: None,
        };
        let window_bytes = pooled.window.len() + of_path.encoded_len();
        let window_prefix = 1 + prost::length_delimiter_len(window_bytes);
        let record_bytes = outside.encoded_len() + window_prefix + window_bytes;
        payload.push(RECORD_TAG);
        prost::encode_length_delimiter(record_bytes, payload).expect("room in a vector");
        outside.encode(payload).expect("room in a vector");
        payload.push(WINDOW_TAG);
        prost::encode_length_delimiter(window_bytes, payload).expect("room in a vector");
        payload.extend_from_slice(&pooled.window);
        of_path.encode(payload).expect("room in a vector");
    }

    /// What was put together says what the agent would have encoded, in as many bytes.
    fn compare(&self, agent: usize, number: u64) {
        let (_, windows) = self.content(agent, number);
        let records: Vec<Record> =
            windows.into_iter().map(|(path, minute)| self.fleet.record(path, minute)).collect();
        let (block, _) = self.block(agent, number);
        let said = busyhour_proto::decode_payload(&block.payload).expect("a payload");
        assert_eq!(said.schedules, [SCHEDULE]);
        let said: Vec<Record> = said.records.into_iter().map(|one| one.expect("valid")).collect();
        assert!(said == records, "block {number} of agent {agent} is another");
        let encoded = busyhour_proto::encode_payload(&records, &[SCHEDULE]);
        assert_eq!(block.payload.len(), encoded.len(), "block {number} of agent {agent}");
    }
}

impl Pooled {
    fn new(window: &busyhour_model::Window) -> Self {
        let mut wire = alone(window);
        let has_seen_port = wire.seen_source_port.is_some();
        wire.path = 0;
        wire.first_sequence = 0;
        wire.source_port = 0;
        wire.seen_source_port = None;
        wire.ssid = 0;
        Self { window: wire.encode_to_vec(), has_seen_port }
    }
}

/// A window of the pool as it goes over the wire.
fn alone(window: &busyhour_model::Window) -> v1::Window {
    let stamp = busyhour_model::Stamp::new(
        busyhour_model::UtcMicros(0),
        busyhour_model::BootMicros(0),
        busyhour_model::BootId::from_u128(0),
        0,
    );
    let record = Record {
        stamp: stamp.expect("no duration"),
        schedule: SCHEDULE.revision,
        context: busyhour_model::Context::default(),
        body: Body::Window(Box::new(window.clone())),
    };
    let mut wire = payload_of(&[record]);
    match wire.records.pop().and_then(|record| record.body) {
        Some(v1::record::Body::Window(window)) => window,
        other => panic!("a window became {other:?}"),
    }
}

impl Opening {
    fn new(records: impl IntoIterator<Item = Record>) -> Self {
        let records: Vec<Record> = records.into_iter().collect();
        let mut wire = payload_of(&records);
        let positions = std::mem::take(&mut wire.records).into_iter().map(|record| {
            let Some(v1::record::Body::Window(window)) = record.body else {
                panic!("a window became {record:?}")
            };
            Positions { path: window.path, context: record.context, schedule: record.schedule }
        });
        let positions = positions.collect();
        Self { bytes: wire.encode_to_vec(), positions }
    }
}

fn payload_of(records: &[Record]) -> v1::BlockPayload {
    let bytes = busyhour_proto::encode_payload(records, &[SCHEDULE]);
    v1::BlockPayload::decode(&bytes[..]).expect("an encoded payload")
}
