//! The messages of a session, between the wire and the delivery engine.

use std::time::Duration;

use busyhour_delivery::{Acknowledgement, Block, BlockRanges, Credit, GoAway, Hello, Welcome};
use busyhour_model::{BlockNo, BootId, Epoch, UtcMicros};
use busyhour_proto::v1;
use busyhour_proto::v1::collector_message::Message;
use tonic::Status;

use crate::place::ClockOffset;

/// The longest version and operating system that are kept, in characters.
const MAX_LABEL: usize = 64;

/// What an agent says of itself first.
#[derive(Debug)]
pub(crate) struct Introduction {
    pub(crate) hello: Hello,
    pub(crate) version: String,
    pub(crate) os: String,
    /// The number of its session, as an earlier welcome told it; 0 before the first.
    pub(crate) session: u64,
}

pub(crate) fn introduction(wire: &v1::Hello) -> Result<Introduction, Status> {
    BootId::from_slice(&wire.boot)
        .map_err(|_| Status::invalid_argument("hello: boot is not 16 bytes"))?;
    let block = |number: u64| (number > 0).then_some(BlockNo(number));
    Ok(Introduction {
        hello: Hello {
            epoch: Epoch(wire.epoch),
            oldest: block(wire.oldest_block),
            newest: block(wire.newest_block),
            held: (wire.held_blocks > 0).then_some(wire.held_blocks),
        },
        version: label(&wire.version),
        os: label(&wire.os),
        session: session(&wire.nonce)?,
    })
}

fn session(nonce: &[u8]) -> Result<u64, Status> {
    match nonce {
        [] => Ok(0),
        some => some
            .try_into()
            .map(u64::from_be_bytes)
            .map_err(|_| Status::invalid_argument("hello: nonce is none that was given")),
    }
}

pub(crate) fn block(wire: v1::Block) -> Block {
    Block { number: BlockNo(wire.block), crc32c: wire.crc32c, payload: wire.payload }
}

pub(crate) fn welcome(welcome: &Welcome, next: Option<u64>) -> v1::CollectorMessage {
    message(Message::Welcome(v1::Welcome {
        stored: ranges(&welcome.stored),
        credit: welcome.credit.blocks,
        backlog: Some(welcome.credit.backlog_in_flight()),
        nonce: next.map(|next| next.to_be_bytes().to_vec()).unwrap_or_default(),
    }))
}

pub(crate) fn credit(credit: Credit) -> v1::CollectorMessage {
    let backlog = Some(credit.backlog_in_flight());
    message(Message::Credit(v1::Credit { blocks: credit.blocks, backlog }))
}

pub(crate) fn go_away(away: GoAway) -> v1::CollectorMessage {
    let millis = |time: Duration| u32::try_from(time.as_millis()).unwrap_or(u32::MAX);
    message(Message::GoAway(v1::GoAway {
        delay_ms: millis(away.delay),
        spread_ms: millis(away.spread),
    }))
}

pub(crate) fn acknowledgement(ack: &Acknowledgement) -> v1::CollectorMessage {
    message(Message::Acknowledgement(v1::Acknowledgement {
        epoch: ack.epoch.0,
        blocks: ranges(&ack.blocks),
    }))
}

/// What the agent measured in an earlier exchange, if anything of use.
pub(crate) fn clock_offset(request: &v1::ClockRequest) -> Option<ClockOffset> {
    let boot = BootId::from_slice(&request.boot).ok()?;
    ClockOffset::measured(boot, request.offset_us?, request.round_trip_us?)
}

pub(crate) fn clock_reply(
    request: &v1::ClockRequest,
    received: UtcMicros,
    sent: UtcMicros,
) -> v1::CollectorMessage {
    message(Message::Clock(v1::ClockReply {
        agent_sent_us: request.agent_sent_us,
        collector_received_us: received.0,
        collector_sent_us: sent.0,
    }))
}

fn message(message: Message) -> v1::CollectorMessage {
    v1::CollectorMessage { message: Some(message) }
}

fn ranges(ranges: &BlockRanges) -> Vec<v1::BlockRange> {
    ranges.iter().map(|(first, last)| v1::BlockRange { first: first.0, last: last.0 }).collect()
}

/// A text to be shown: printable and short.
fn label(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(MAX_LABEL).collect()
}
