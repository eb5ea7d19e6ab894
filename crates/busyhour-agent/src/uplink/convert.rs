//! Between the messages of busyhour-delivery and those on the wire.

use std::time::Duration;

use busyhour_delivery::{Acknowledgement, Block, BlockRanges, Credit, GoAway, Hello, Welcome};
use busyhour_model::{BlockNo, BootId, Epoch};
use busyhour_proto::v1;

pub(super) fn hello(hello: &Hello, boot: BootId, nonce: Vec<u8>) -> v1::Hello {
    v1::Hello {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        epoch: hello.epoch.0,
        boot: boot.to_bytes().to_vec(),
        os: std::env::consts::OS.to_owned(),
        oldest_block: hello.oldest.map_or(0, |block| block.0),
        newest_block: hello.newest.map_or(0, |block| block.0),
        held_blocks: hello.held.unwrap_or(0),
        nonce,
    }
}

pub(super) fn block(block: Block) -> v1::Block {
    v1::Block { block: block.number.0, crc32c: block.crc32c, payload: block.payload }
}

pub(super) fn welcome(welcome: &v1::Welcome) -> Welcome {
    let credit = credited(welcome.credit, welcome.backlog);
    Welcome { stored: ranges(&welcome.stored), credit }
}

pub(super) fn credit(credit: &v1::Credit) -> Credit {
    credited(credit.blocks, credit.backlog)
}

fn credited(blocks: u32, backlog: Option<u32>) -> Credit {
    let otherwise = Credit::of(blocks);
    Credit { backlog: backlog.unwrap_or(otherwise.backlog), ..otherwise }
}

pub(super) fn go_away(away: &v1::GoAway) -> GoAway {
    let millis = |millis: u32| Duration::from_millis(u64::from(millis));
    GoAway { delay: millis(away.delay_ms), spread: millis(away.spread_ms) }
}

pub(super) fn acknowledgement(more: &v1::Acknowledgement) -> Acknowledgement {
    Acknowledgement { epoch: Epoch(more.epoch), blocks: ranges(&more.blocks) }
}

fn ranges(ranges: &[v1::BlockRange]) -> BlockRanges {
    ranges.iter().map(|range| (BlockNo(range.first), BlockNo(range.last))).collect()
}
