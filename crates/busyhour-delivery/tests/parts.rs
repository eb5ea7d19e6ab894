//! The parts of delivery, each by itself.
#![expect(clippy::unwrap_used, reason = "a helper of a test that cannot go on fails it")]

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use busyhour_delivery::{
    Acknowledgement, Block, BlockMeta, BlockRanges, Credit, GoAway, Hello, INITIAL_CREDIT,
    LONGEST_AWAY, Lane, MAX_CREDIT, Receiver, Refusal, SealPolicy, Sealer, SpoolCaps, SpoolIndex,
    Uplink, UplinkError, Verdict, Welcome,
};
use busyhour_model::{
    AgentId, BlockNo, Body, BootId, Epoch, GapReason, ScheduleRevision, UtcMicros,
};
use proptest::collection::vec;
use proptest::prelude::*;

const EPOCH: Epoch = Epoch(3);
const NOW: UtcMicros = UtcMicros::from_secs(1_760_000_000);

fn set(ranges: &[(u64, u64)]) -> BlockRanges {
    ranges.iter().map(|&(first, last)| (BlockNo(first), BlockNo(last))).collect()
}

fn meta(number: u64, at: UtcMicros) -> BlockMeta {
    BlockMeta {
        number: BlockNo(number),
        size_bytes: 1_000,
        records: 10,
        first: at.minus(Duration::from_secs(10)),
        last: at,
    }
}

fn caps(blocks: u64) -> SpoolCaps {
    SpoolCaps { max_bytes: blocks * 1_000, max_age: Duration::from_secs(3_600) }
}

fn spool(blocks: std::ops::RangeInclusive<u64>) -> SpoolIndex {
    let newest = BlockNo(*blocks.end());
    SpoolIndex::new(SpoolCaps::default(), blocks.map(|n| meta(n, NOW)), Some(newest))
}

fn numbers(blocks: &[BlockNo]) -> Vec<u64> {
    blocks.iter().map(|block| block.0).collect()
}

fn welcomed(spool: SpoolIndex, credit: u32) -> Uplink {
    let mut uplink = Uplink::new(EPOCH, spool);
    uplink.connected();
    let credit = Credit::of(credit);
    uplink.welcomed(&Welcome { stored: BlockRanges::new(), credit }).unwrap();
    uplink
}

fn sent(uplink: &mut Uplink) -> Vec<u64> {
    std::iter::from_fn(|| uplink.next_block()).map(|block| block.0).collect()
}

fn acknowledge(uplink: &mut Uplink, ranges: &[(u64, u64)]) -> Vec<u64> {
    let ack = Acknowledgement { epoch: EPOCH, blocks: set(ranges) };
    numbers(&uplink.acknowledged(&ack).unwrap())
}

proptest! {
    #[test]
    fn ranges_are_the_set_of_their_blocks(
        inserted in vec((0_u64..60, 0_u64..6), 0..30),
        below in 0_u64..60,
    ) {
        let mut ranges = BlockRanges::new();
        let mut model = BTreeSet::new();
        for &(first, length) in &inserted {
            ranges.insert_range(BlockNo(first), BlockNo(first + length));
            model.extend(first..=first + length);
        }
        prop_assert_eq!(ranges.count(), model.len() as u64);
        prop_assert_eq!(ranges.last(), model.last().map(|&last| BlockNo(last)));
        for block in 0..70 {
            prop_assert_eq!(ranges.contains(BlockNo(block)), model.contains(&block));
        }
        // Compact: a hole between any two ranges.
        let listed: Vec<_> = ranges.iter().collect();
        prop_assert!(listed.windows(2).all(|pair| pair[0].1.0 + 1 < pair[1].0.0));

        let rebuilt: BlockRanges = listed.into_iter().rev().collect();
        prop_assert_eq!(&rebuilt, &ranges);
        ranges.forget_below(BlockNo(below));
        for block in 0..70 {
            let expected = block >= below && model.contains(&block);
            prop_assert_eq!(ranges.contains(BlockNo(block)), expected);
        }
    }
}

#[test]
fn ranges_reach_to_the_ends_of_the_numbers() {
    let mut ranges = set(&[(u64::MAX - 1, u64::MAX), (0, 1), (5, 4)]);
    ranges.insert(BlockNo(u64::MAX));
    ranges.insert(BlockNo(0));
    assert_eq!(ranges, set(&[(0, 1), (u64::MAX - 1, u64::MAX)]));
    ranges.insert_range(BlockNo(0), BlockNo(u64::MAX));
    assert_eq!(ranges.count(), u64::MAX);
    ranges.keep_newest(0);
    assert!(ranges.is_empty());
}

#[test]
fn a_block_is_sealed_by_records_bytes_or_age() {
    let policy = SealPolicy { max_records: 3, max_bytes: 100, max_age: Duration::from_secs(10) };
    let start = Instant::now();
    let after = |seconds| start + Duration::from_secs(seconds);
    let filled = |sizes: &[usize]| {
        let mut sealer = Sealer::new(policy);
        sizes.iter().for_each(|&size| sealer.added(size, start));
        sealer
    };
    assert!(!filled(&[]).is_due(after(1_000)), "an empty block is never sealed");
    assert!(filled(&[]).fits(1_000), "an empty block takes any record");
    assert!(!filled(&[40, 40]).is_due(after(9)));
    assert!(filled(&[40, 40]).is_due(after(10)));
    assert!(filled(&[40, 40]).fits(20));
    assert!(!filled(&[40, 40]).fits(21));
    assert!(filled(&[1, 1, 1]).is_due(start));
    assert!(!filled(&[1, 1, 1]).fits(1));
    assert!(filled(&[100]).is_due(start));
    assert_eq!(filled(&[1]).deadline(), Some(after(10)));

    let mut sealer = filled(&[100]);
    sealer.sealed();
    assert_eq!((sealer.records(), sealer.deadline()), (0, None));
}

#[test]
fn a_full_spool_loses_its_oldest_blocks_whole_and_says_so() {
    let mut index = SpoolIndex::new(caps(3), (1..=5).map(|n| meta(n, NOW)), None);
    let dropped = index.enforce(NOW, |number| number == BlockNo(1)).unwrap();
    assert_eq!(numbers(&dropped.blocks), [2, 3]);
    assert_eq!(dropped.records, 20);
    assert_eq!((dropped.from, dropped.until), (NOW.minus(Duration::from_secs(10)), NOW));
    assert_eq!((index.blocks(), index.size_bytes(), index.records()), (3, 3_000, 30));
    assert_eq!(index.enforce(NOW, |_| false), None);
}

#[test]
fn old_blocks_leave_the_spool_even_when_there_is_room() {
    let at = |n: u64| NOW.minus(Duration::from_secs((10 - n) * 1_000));
    let mut index = SpoolIndex::new(caps(100), (1..=10).map(|n| meta(n, at(n))), None);
    let dropped = index.enforce(NOW, |_| false).unwrap();
    assert_eq!(numbers(&dropped.blocks), [1, 2, 3, 4, 5, 6]);
}

/// What tells of blocks that grew old is itself about old times.
#[test]
fn the_newest_block_does_not_go_for_its_age() {
    let old = NOW.minus(Duration::from_secs(10_000));
    let mut index = SpoolIndex::new(caps(100), [meta(1, old), meta(2, old)], None);
    let dropped = index.enforce(NOW, |_| false).unwrap();
    assert_eq!(numbers(&dropped.blocks), [1]);
    assert_eq!(index.enforce(NOW, |_| false), None);
    index.insert(meta(3, NOW));
    assert_eq!(numbers(&index.enforce(NOW, |_| false).unwrap().blocks), [2]);
}

#[test]
fn a_spool_that_is_given_up_names_all_that_it_held() {
    let mut uplink = welcomed(spool(1..=3), 8);
    assert_eq!(sent(&mut uplink), [3, 2, 1]);
    let dropped = uplink.abandon().unwrap();
    assert_eq!((numbers(&dropped.blocks), dropped.records), (vec![1, 2, 3], 30));
    assert!(!uplink.is_up() && uplink.spool().blocks() == 0 && uplink.spool().size_bytes() == 0);
    assert_eq!(uplink.abandon(), None);
}

#[test]
fn numbers_go_on_after_everything_was_delivered() {
    let mut index = spool(1..=4);
    assert_eq!(numbers(&index.remove_all(&set(&[(0, 2), (4, 9)]))), [1, 2, 4]);
    assert_eq!(index.oldest(), Some(BlockNo(3)));
    index.remove(BlockNo(3));
    assert_eq!((index.size_bytes(), index.next_number()), (0, BlockNo(5)));
    assert_eq!(SpoolIndex::new(caps(1), [], None).next_number(), BlockNo(1));
}

#[test]
fn a_long_loss_is_told_in_days() {
    let mut old = meta(1, NOW);
    old.first = NOW.minus(Duration::from_secs(60 * 3_600));
    let mut index = SpoolIndex::new(caps(0), [old], None);
    let dropped = index.enforce(NOW, |_| false).unwrap();
    let gaps = dropped.gaps(GapReason::SpoolFull, BootId::from_u128(1), ScheduleRevision(2));
    let hours: Vec<_> = gaps.iter().map(|gap| gap.stamp.duration_us() / 3_600_000_000).collect();
    assert_eq!(hours, [12, 24, 24]);
    assert_eq!((gaps[0].stamp.started, gaps[2].stamp.ended()), (old.first, NOW));
    assert!(gaps.windows(2).all(|pair| pair[0].stamp.ended() == pair[1].stamp.started));
    let told: Vec<_> = gaps
        .iter()
        .map(|gap| match &gap.body {
            Body::Gap(gap) => (gap.reason, gap.records),
            other => panic!("{other:?}"),
        })
        .collect();
    let full = GapReason::SpoolFull;
    assert_eq!(told, [(full, None), (full, None), (full, Some(10))]);
}

#[test]
fn a_loss_over_an_absurd_time_is_told_in_bounded_many_records() {
    let mut old = meta(1, NOW);
    old.first = UtcMicros(i64::MIN);
    let mut index = SpoolIndex::new(caps(0), [old], None);
    let dropped = index.enforce(NOW, |_| false).unwrap();
    assert_eq!(
        dropped.gaps(GapReason::SpoolFull, BootId::from_u128(1), ScheduleRevision(2)).len(),
        40
    );
}

#[test]
fn backlog_takes_half_of_the_credit_newest_first_and_live_the_rest() {
    let mut uplink = welcomed(spool(1..=10), 4);
    assert_eq!(sent(&mut uplink), [10, 9]);
    uplink.sealed(meta(11, NOW), NOW);
    uplink.sealed(meta(12, NOW), NOW);
    uplink.sealed(meta(13, NOW), NOW);
    assert_eq!(sent(&mut uplink), [11, 12]);
    assert_eq!((uplink.in_flight(), uplink.backlog_in_flight()), (4, 2));
    assert_eq!(acknowledge(&mut uplink, &[(9, 10)]), [9, 10]);
    assert_eq!(sent(&mut uplink), [13, 8], "live first, then the newest of the backlog");
}

#[test]
fn without_live_data_backlog_still_leaves_half_of_the_credit() {
    let mut uplink = welcomed(spool(1..=10), 6);
    assert_eq!(sent(&mut uplink), [10, 9, 8]);
    acknowledge(&mut uplink, &[(10, 10)]);
    assert_eq!(sent(&mut uplink), [7]);
}

#[test]
fn a_credit_of_one_moves_everything_and_of_none_nothing() {
    let mut uplink = welcomed(spool(1..=2), 1);
    assert_eq!(sent(&mut uplink), [2]);
    uplink.credited(Credit::of(0)).unwrap();
    acknowledge(&mut uplink, &[(2, 2)]);
    assert_eq!(sent(&mut uplink), []);
    uplink.credited(Credit::of(1)).unwrap();
    assert_eq!(sent(&mut uplink), [1]);
}

#[test]
fn what_was_in_flight_is_sent_again_only_in_the_next_session() {
    let mut uplink = welcomed(spool(1..=2), 8);
    assert_eq!(sent(&mut uplink), [2, 1]);
    assert_eq!(sent(&mut uplink), []);
    uplink.disconnected();
    assert_eq!(uplink.next_block(), None);
    let hello = uplink.connected();
    assert_eq!((hello.oldest, hello.newest), (Some(BlockNo(1)), Some(BlockNo(2))));
    assert_eq!(uplink.next_block(), None, "nothing before the welcome");
    let welcome = Welcome { stored: set(&[(2, 2)]), credit: Credit::of(8) };
    assert_eq!(numbers(&uplink.welcomed(&welcome).unwrap()), [2]);
    assert_eq!(sent(&mut uplink), [1]);
}

#[test]
fn an_unreadable_block_is_told_and_makes_room() {
    let mut uplink = welcomed(spool(1..=3), 2);
    assert_eq!(sent(&mut uplink), [3]);
    let dropped = uplink.unreadable(BlockNo(3)).unwrap();
    assert_eq!((numbers(&dropped.blocks), dropped.records), (vec![3], 10));
    assert_eq!(uplink.unreadable(BlockNo(3)), None);
    assert_eq!(sent(&mut uplink), [2]);
}

#[test]
fn a_collector_that_contradicts_itself_is_not_believed() {
    let mut uplink = Uplink::new(EPOCH, spool(1..=3));
    let welcome = |stored: &[(u64, u64)]| Welcome { stored: set(stored), credit: Credit::of(8) };
    let ack = |epoch| Acknowledgement { epoch, blocks: set(&[(1, 3)]) };
    assert_eq!(uplink.welcomed(&welcome(&[])), Err(UplinkError::OutOfTurn));
    assert_eq!(uplink.acknowledged(&ack(EPOCH)), Err(UplinkError::OutOfTurn));
    assert_eq!(uplink.credited(Credit::of(4)), Err(UplinkError::OutOfTurn));
    uplink.connected();
    assert_eq!(
        uplink.welcomed(&welcome(&[(1, 4)])),
        Err(UplinkError::RolledBack { stored: BlockNo(4), newest: Some(BlockNo(3)) })
    );
    uplink.welcomed(&welcome(&[])).unwrap();
    assert_eq!(uplink.acknowledged(&ack(Epoch(9))), Err(UplinkError::ForeignEpoch(Epoch(9))));
    assert_eq!(uplink.spool().blocks(), 3);
}

fn hello(oldest: u64, newest: u64) -> Hello {
    let held = Some(newest - oldest + 1);
    Hello { epoch: EPOCH, oldest: Some(BlockNo(oldest)), newest: Some(BlockNo(newest)), held }
}

fn block(number: u64) -> Block {
    Block::seal(BlockNo(number), number.to_be_bytes().to_vec())
}

#[test]
fn the_receiver_tells_what_is_stored_of_what_the_agent_still_holds() {
    let mut receiver = Receiver::new(Credit::of(INITIAL_CREDIT));
    let welcome = receiver.hello(&hello(3, 9), set(&[(1, 4), (7, 7)])).unwrap();
    assert_eq!(
        welcome,
        Welcome { stored: set(&[(3, 4), (7, 7)]), credit: Credit::of(INITIAL_CREDIT) }
    );
    assert_eq!(receiver.hello(&hello(3, 9), set(&[])), Err(Refusal::SecondHello));

    let empty = Hello { epoch: EPOCH, oldest: None, newest: Some(BlockNo(9)), held: Some(0) };
    let welcome = Receiver::new(Credit::of(1)).hello(&empty, set(&[(1, 9)])).unwrap();
    assert!(welcome.stored.is_empty());
}

#[test]
fn only_what_was_committed_is_acknowledged() {
    let mut receiver = Receiver::new(Credit::of(8));
    receiver.hello(&hello(1, 9), set(&[(1, 1)])).unwrap();
    let ack = |ranges: &[(u64, u64)]| Acknowledgement { epoch: EPOCH, blocks: set(ranges) };
    assert_eq!(receiver.block(&block(1)), Verdict::AlreadyStored(ack(&[(1, 1)])));
    for number in [2, 3, 5] {
        assert_eq!(receiver.block(&block(number)), Verdict::Store(Lane::Backlog));
    }
    assert_eq!(receiver.block(&block(2)), Verdict::Waiting);
    assert_eq!(receiver.waiting(), 3);
    assert_eq!(receiver.committed([5, 2, 3, 4].map(BlockNo)), Some(ack(&[(2, 3), (5, 5)])));
    assert_eq!(receiver.committed([BlockNo(4)]), None, "4 never came in this session");
    assert_eq!(receiver.block(&block(3)), Verdict::AlreadyStored(ack(&[(3, 3)])));
}

#[test]
fn the_receiver_refuses_what_breaks_the_protocol() {
    let refused = |receiver: &mut Receiver, block: &Block| match receiver.block(block) {
        Verdict::Refuse(refusal) => refusal,
        verdict => panic!("{verdict:?}"),
    };
    let mut receiver = Receiver::new(Credit::of(2));
    assert_eq!(refused(&mut receiver, &block(5)), Refusal::BeforeHello);
    receiver.hello(&hello(5, 9), set(&[])).unwrap();
    assert_eq!(refused(&mut receiver, &block(4)), Refusal::Foreign(BlockNo(4)));
    assert_eq!(refused(&mut receiver, &block(0)), Refusal::Foreign(BlockNo(0)));
    let mut torn = block(5);
    torn.payload[0] ^= 1;
    assert_eq!(refused(&mut receiver, &torn), Refusal::Checksum(BlockNo(5)));
    assert_eq!(receiver.block(&block(5)), Verdict::Store(Lane::Backlog));
    assert_eq!(receiver.block(&block(6)), Verdict::Store(Lane::Backlog));
    assert_eq!(refused(&mut receiver, &block(7)), Refusal::Credit(BlockNo(7)));
}

#[test]
fn credit_stays_within_its_bounds() {
    let mut receiver = Receiver::new(Credit::of(u32::MAX));
    let backlog = Credit::of(u32::MAX).backlog;
    let credit = |blocks| Credit { blocks, backlog };
    assert_eq!(receiver.set_credit(credit(MAX_CREDIT)), None, "it was held to the bound already");
    assert_eq!(receiver.set_credit(credit(0)), Some(credit(1)));
    assert_eq!(receiver.set_credit(credit(1)), None);
    receiver.hello(&hello(1, 9), set(&[])).unwrap();
    let stored = Verdict::Store(Lane::Backlog);
    assert_eq!(receiver.block(&block(1)), Verdict::Store(Lane::Backlog));
    assert_eq!(receiver.block(&block(2)), stored, "it was on its way when credit fell");
}

#[test]
fn the_checksum_is_crc_32c() {
    // RFC 3720 appendix B.4: 32 bytes of zeroes.
    assert_eq!(Block::seal(BlockNo(1), vec![0; 32]).crc32c, 0x8a91_36aa);
}

#[test]
fn without_a_turn_backlog_waits_and_live_goes_on() {
    let mut uplink = Uplink::new(EPOCH, spool(1..=10));
    uplink.connected();
    let welcome = Welcome { stored: BlockRanges::new(), credit: Credit::live_only(4) };
    uplink.welcomed(&welcome).unwrap();
    assert_eq!(sent(&mut uplink), []);
    uplink.sealed(meta(11, NOW), NOW);
    assert_eq!(sent(&mut uplink), [11]);
    uplink.credited(Credit { blocks: 4, backlog: 1 }).unwrap();
    assert_eq!(sent(&mut uplink), [10]);
    uplink.credited(Credit { blocks: 4, backlog: 9 }).unwrap();
    assert_eq!(sent(&mut uplink), [9], "never more than half of the credit");
}

#[test]
fn the_receiver_tells_live_from_backlog_and_how_much_is_left() {
    let mut receiver = Receiver::new(Credit::of(8));
    assert_eq!(receiver.backlog_left(), 0);
    // Newest first: what was delivered before lies above what is left, and is deleted.
    let said = Hello { held: Some(3), ..hello(3, 9) };
    receiver.hello(&said, set(&[(6, 8)])).unwrap();
    assert_eq!(receiver.backlog_left(), 3);
    assert_eq!(receiver.block(&block(9)), Verdict::Store(Lane::Backlog));
    assert_eq!(receiver.block(&block(10)), Verdict::Store(Lane::Live));
    assert_eq!(receiver.block(&block(9)), Verdict::Waiting);
    assert_eq!(receiver.backlog_left(), 2);

    // An agent that does not say how many it holds may hold all between oldest and newest.
    let mut receiver = Receiver::new(Credit::of(8));
    receiver.hello(&Hello { held: None, ..hello(3, 9) }, set(&[(4, 5)])).unwrap();
    assert_eq!(receiver.backlog_left(), 5);
    let mut receiver = Receiver::new(Credit::of(8));
    receiver.hello(&Hello { held: Some(u64::MAX), ..hello(3, 9) }, set(&[])).unwrap();
    assert_eq!(receiver.backlog_left(), 7, "no more than there are numbers");
}

#[test]
fn agents_that_are_sent_away_come_back_spread_over_the_time_that_all_of_them_need() {
    let places = |agents: u128| {
        let away = (0..agents).map(|n| GoAway::draining(AgentId::from_u128(n), agents as usize));
        away.map(|away| away.delay.as_millis()).collect::<Vec<_>>()
    };
    // 2,000 agents in ten seconds: no tenth of the time has much more than a tenth of them.
    let mut tenths = [0; 10];
    for delay in places(2_000) {
        tenths[(delay / 1_000).min(9) as usize] += 1;
    }
    assert!(tenths.iter().all(|&agents| (150..250).contains(&agents)), "{tenths:?}");
    assert!(places(3).iter().all(|&delay| delay <= 1_000));
    assert!(places(50_000).iter().all(|&delay| delay <= 120_000));
    let agent = AgentId::from_u128(7);
    assert_eq!(GoAway::draining(agent, 9), GoAway::draining(agent, 9), "always the same place");
}

#[test]
fn an_agent_stays_away_for_as_long_as_asked_but_never_for_good() {
    let seconds = Duration::from_secs;
    let away = GoAway { delay: seconds(30), spread: seconds(10) };
    assert_eq!((away.wait(0), away.wait(u64::MAX)), (seconds(30), seconds(40)));
    assert!(away.wait(u64::MAX / 2) > seconds(34) && away.wait(u64::MAX / 2) < seconds(36));
    let for_ever = GoAway { delay: Duration::MAX, spread: Duration::MAX };
    assert_eq!(for_ever.wait(u64::MAX), LONGEST_AWAY);
}
