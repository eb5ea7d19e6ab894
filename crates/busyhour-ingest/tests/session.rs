//! Agents at the door: real streams on the loopback into a real store.
#![expect(clippy::unwrap_used, reason = "a helper of a test that cannot go on fails it")]

#[path = "session/configuration.rs"]
mod configuration;
#[path = "session/floods.rs"]
mod floods;
#[path = "session/identity.rs"]
mod identity;
#[path = "session/support.rs"]
mod support;

use std::collections::BTreeMap;
use std::time::Duration;

use busyhour_delivery::{
    Acknowledgement, BlockMeta, BlockRanges, Credit, SpoolCaps, SpoolIndex, Uplink, Welcome,
};
use busyhour_ingest::CommitterEnded;
use busyhour_model::{BlockNo, Epoch, UtcMicros};
use busyhour_proto::v1;
use busyhour_proto::v1::agent_message::Message as Up;
use busyhour_proto::v1::collector_message::Message as Down;
use busyhour_store::{Act, Control as _, ErrorKind, Forgotten, Telemetry as _};
use support::{
    Agent, Collector, EPOCH, SECRET, agent, block, hello, now, sealed, session_report,
    unsettled_window, window,
};
use tonic::Code;

fn minutes_ago(minutes: u64) -> UtcMicros {
    now().minus(Duration::from_secs(minutes * 60))
}

/// A block that no free page of a fresh database has room for.
fn large_block(number: u64) -> v1::Block {
    let windows: Vec<_> = (0..200).map(|n| window(minutes_ago(number * 1_000 + n))).collect();
    block(number, &windows)
}

fn ranges(ranges: &[v1::BlockRange]) -> BlockRanges {
    ranges.iter().map(|range| (BlockNo(range.first), BlockNo(range.last))).collect()
}

/// What an agent of boot 7 says of its clock, and of what it measured.
fn clock_request(sent: UtcMicros, offset_us: Option<i64>) -> v1::ClockRequest {
    v1::ClockRequest {
        agent_sent_us: sent.0,
        offset_us,
        round_trip_us: offset_us.map(|_| 900),
        boot: 7_u128.to_be_bytes().to_vec(),
    }
}

/// Asks for the clock and hears nothing else before it. Whatever was told before was handled then.
async fn hear_clock(session: &mut Agent) {
    session.say(Up::Clock(clock_request(now(), None))).await;
    let answer = session.hear().await.unwrap();
    assert!(matches!(answer, Down::Clock(_)), "{answer:?}");
}

#[tokio::test]
async fn what_is_acknowledged_is_stored_and_the_next_welcome_says_so() {
    let collector = Collector::start().await;
    let (mut session, welcome) = collector.session(1, 3).await;
    assert!(welcome.stored.is_empty());
    assert!(welcome.credit > 0);
    for number in [1, 3] {
        session.say(Up::Block(block(number, &[window(minutes_ago(number))]))).await;
    }
    session.hear_acknowledged(&[1, 3]).await;
    assert_eq!(collector.telemetry.totals().unwrap().windows, 2);

    let (mut session, welcome) = collector.session(1, 3).await;
    let stored = ranges(&welcome.stored);
    assert!(stored.contains(BlockNo(1)) && stored.contains(BlockNo(3)) && stored.count() == 2);
    session.say(Up::Block(block(3, &[window(minutes_ago(3))]))).await;
    session.say(Up::Block(block(2, &[window(minutes_ago(2))]))).await;
    session.hear_acknowledged(&[2, 3]).await;
    assert_eq!(collector.telemetry.totals().unwrap().windows, 3);
    let counters = collector.counters();
    assert_eq!((counters.blocks, counters.windows, counters.records), (3, 3, 3));
    assert_eq!((counters.duplicates, counters.quarantined), (1, 0));
}

/// What the reflector's agent says settles what the measuring agent could not tell.
#[tokio::test]
async fn a_session_report_settles_a_window() {
    let collector = Collector::start().await;
    let (mut session, _) = collector.session(1, 2).await;
    let started = minutes_ago(1);
    session.say(Up::Block(block(1, &[unsettled_window(started)]))).await;
    session.say(Up::Block(block(2, &[session_report(started)]))).await;
    session.hear_acknowledged(&[1, 2]).await;
    let path = collector.telemetry.paths(None).unwrap()[0].id;
    let (from, until) = (UtcMicros(i64::MIN), UtcMicros(i64::MAX));
    let stored = collector.telemetry.windows(path, from, until, 9).unwrap().remove(0);
    let counts = stored.judged.window.counts;
    assert!(stored.judged.window.settled);
    assert_eq!((counts.lost_up(), counts.lost_down(), counts.lost_unknown()), (1, 2, 0));
}

#[tokio::test]
async fn who_is_not_known_is_turned_away_with_a_reason() {
    let collector = Collector::start().await;
    let one = agent(1);
    let unknown = agent(2);
    let cases = [
        (None, "no agent credentials"),
        (Some("Basic YWxhZGRpbg==".to_owned()), "no agent credentials"),
        (Some("Bearer nonsense".to_owned()), "malformed"),
        (Some(format!("Bearer {one}.")), "malformed"),
        (Some(format!("Bearer {one}.{}", "x".repeat(513))), "malformed"),
        (Some(format!("Bearer {unknown}.{SECRET}")), "is not known to this collector"),
        (Some(format!("Bearer {one}.guess")), "does not match"),
    ];
    let number = cases.len() as u64;
    for (authorization, reason) in cases {
        let status = collector.call(authorization.as_deref()).await.unwrap_err();
        assert_eq!(status.code(), Code::Unauthenticated, "{authorization:?}");
        assert!(status.message().contains(reason), "{}", status.message());
        assert!(!status.message().contains(SECRET));
    }
    assert_eq!(collector.counters().unauthenticated, number);
    assert_eq!(collector.counters().sessions, 0);
}

#[tokio::test]
async fn a_newer_session_replaces_the_older_one() {
    let collector = Collector::start().await;
    let (mut older, _) = collector.session(0, 0).await;
    let (mut newer, _) = collector.session(0, 0).await;
    assert_eq!(older.hear_end().await.code(), Code::Aborted);
    newer.say(Up::Block(block(1, &[window(minutes_ago(1))]))).await;
    newer.hear_acknowledged(&[1]).await;
    let counters = collector.counters();
    assert_eq!((counters.sessions, counters.replaced), (2, 1));
}

#[tokio::test]
async fn sessions_that_break_the_protocol_end_and_nothing_of_them_is_stored() {
    let collector = Collector::start().await;
    let torn = || {
        let mut block = block(1, &[window(minutes_ago(1))]);
        block.crc32c ^= 1;
        Up::Block(block)
    };
    let foreign = || Up::Block(block(4, &[window(minutes_ago(1))]));
    let strange = || Up::Hello(v1::Hello { boot: vec![1; 3], ..v1::Hello::default() });
    let cases = [
        ("a block before hello", vec![foreign()], Code::InvalidArgument),
        ("a second hello", vec![hello(5, 9), hello(5, 9)], Code::InvalidArgument),
        ("a boot of three bytes", vec![strange()], Code::InvalidArgument),
        ("a torn block", vec![hello(1, 1), torn()], Code::DataLoss),
        ("a block not announced", vec![hello(5, 9), foreign()], Code::InvalidArgument),
    ];
    let number = cases.len() as u64;
    for (name, messages, code) in cases {
        let mut session = collector.agent().await;
        for message in messages {
            session.say(message).await;
        }
        assert_eq!(session.hear_end().await.code(), code, "{name}");
    }
    collector.until("the last refusal", |counters| counters.refused == number).await;
    assert_eq!(collector.telemetry.totals().unwrap().blocks, 0);
}

#[tokio::test]
async fn an_oversized_message_ends_its_session_only() {
    let collector = Collector::start().await;
    let (mut session, _) = collector.session(1, 1).await;
    session.say(Up::Block(sealed(1, vec![0; 1_100_000]))).await;
    assert_eq!(session.hear_end().await.code(), Code::OutOfRange);
    let (mut session, _) = collector.session(1, 1).await;
    session.say(Up::Block(block(1, &[window(minutes_ago(1))]))).await;
    session.hear_acknowledged(&[1]).await;
}

#[tokio::test]
async fn what_cannot_be_placed_or_read_is_acknowledged_counted_and_kept_apart() {
    let collector = Collector::start().await;
    let (mut session, _) = collector.session(1, 2).await;
    let year = Duration::from_secs(366 * 24 * 3_600);
    let records =
        [window(now().plus(year)), window(now().minus(year * 2)), window(minutes_ago(5 * 60))];
    session.say(Up::Block(block(1, &records))).await;
    session.say(Up::Block(sealed(2, vec![0xff; 100]))).await;
    session.hear_acknowledged(&[1, 2]).await;
    let totals = collector.telemetry.totals().unwrap();
    assert_eq!((totals.blocks, totals.windows, totals.quarantined), (2, 1, 3));
    assert_eq!(collector.counters().quarantined, 3);
}

#[tokio::test]
async fn the_clock_is_answered_and_corrects_where_records_lie() {
    let collector = Collector::start().await;
    let (mut session, _) = collector.session(1, 2).await;
    let ahead = now().plus(Duration::from_secs(2 * 3_600));
    // However long this is on its way, it is no measurement.
    let late = now().minus(Duration::from_secs(50));
    session.say(Up::Clock(clock_request(late, None))).await;
    assert!(matches!(session.hear().await.unwrap(), Down::Clock(_)));
    session.say(Up::Block(block(1, &[window(minutes_ago(1))]))).await;
    session.hear_acknowledged(&[1]).await;
    let path = &collector.telemetry.paths(None).unwrap()[0];
    assert!(path.newest <= minutes_ago(1), "moved: {:?}", path.newest);

    session.say(Up::Clock(clock_request(ahead, Some(-2 * 3_600_000_000)))).await;
    match session.hear().await.unwrap() {
        Down::Clock(reply) => {
            assert_eq!(reply.agent_sent_us, ahead.0);
            assert!(reply.collector_received_us <= reply.collector_sent_us);
            assert!(reply.collector_sent_us <= now().0);
        }
        other => panic!("{other:?}"),
    }
    session.say(Up::Block(block(2, &[window(ahead)]))).await;
    session.hear_acknowledged(&[2]).await;
    let path = &collector.telemetry.paths(None).unwrap()[0];
    assert!(path.newest <= now() && path.newest > minutes_ago(1), "{:?}", path.newest);
}

#[tokio::test]
async fn while_the_disk_is_full_sessions_stay_and_go_on_when_there_is_room() {
    let collector = Collector::start().await;
    let (mut session, welcome) = collector.session(1, 100).await;
    collector.telemetry.limit_size(4_096).unwrap();
    for number in 1..=4 {
        session.say(Up::Block(large_block(number))).await;
    }
    collector.until("a store failure", |counters| counters.store_failures > 0).await;
    hear_clock(&mut session).await;
    assert_eq!(collector.counters().blocks, 0);

    collector.telemetry.limit_size(u64::from(u32::MAX)).unwrap();
    session.hear_acknowledged(&[1, 2, 3, 4]).await;
    assert_eq!(collector.telemetry.totals().unwrap().windows, 800);

    // Nobody may send more than the credit meanwhile.
    collector.telemetry.limit_size(4_096).unwrap();
    for number in 5..=5 + u64::from(welcome.credit) {
        session.say(Up::Block(large_block(number))).await;
    }
    let end = session.hear_end().await;
    assert_eq!(end.code(), Code::InvalidArgument);
    assert!(end.message().contains("credit"), "{}", end.message());
    // A collector that is stopped now gives up what was never acknowledged.
    collector.stop().await;
}

#[tokio::test]
async fn an_agent_that_is_forgotten_while_it_delivers_leaves_nothing_behind() {
    let collector = Collector::start().await;
    let (mut session, _) = collector.session(1, 3).await;
    session.say(Up::Block(block(1, &[window(minutes_ago(3))]))).await;
    session.hear_acknowledged(&[1]).await;
    collector.telemetry.forget(agent(1)).unwrap();
    session.say(Up::Block(block(2, &[window(minutes_ago(2))]))).await;
    let end = session.hear_end().await;
    assert_eq!((end.code(), end.message()), (Code::Unauthenticated, "this agent was forgotten"));
    assert_eq!(collector.telemetry.paths(None).unwrap(), []);
    // What is left of it goes, and it is nobody known.
    let by = Act::by_operator(now());
    collector.control.forget_agent(agent(1), &[], &Forgotten::default(), &by).unwrap();
    let stranger = collector.call(Some(&format!("Bearer {}.{SECRET}", agent(1)))).await;
    assert_eq!(stranger.map(drop).unwrap_err().code(), Code::Unauthenticated);
    let counters = collector.counters();
    assert_eq!((counters.blocks, counters.unauthenticated), (1, 2));
}

#[tokio::test]
async fn an_agent_that_was_removed_is_told_so_when_it_is_next_seen() {
    let collector = Collector::start().await;
    let (mut session, _) = collector.session(1, 3).await;
    let seen = |_: &_| collector.control.agents().unwrap()[0].sighting.is_some();
    collector.until("what was seen at the hello", seen).await;
    collector.control.remove_agent(agent(1), &Act::by_operator(now())).unwrap();
    // The first window that tells its network is noted at once.
    session.say(Up::Block(block(1, &[window(minutes_ago(3))]))).await;
    // The end of a session may overtake what was said before it.
    let end = session.hear_end().await;
    assert_eq!(end.code(), Code::Unauthenticated);
    assert!(end.message().contains("not let in any more"), "{}", end.message());
    assert_eq!(collector.telemetry.totals().unwrap().blocks, 1, "what came before is stored");
}

#[tokio::test]
async fn a_block_that_the_store_refuses_holds_up_no_other() {
    for kind in [ErrorKind::Conflict, ErrorKind::Corrupt] {
        let collector = Collector::start_refusing(3, Some(kind)).await;
        let (mut session, _) = collector.session(1, 5).await;
        for number in 1..=5 {
            session.say(Up::Block(block(number, &[window(minutes_ago(number))]))).await;
        }
        session.hear_acknowledged(&[1, 2, 3, 4, 5]).await;
        let totals = collector.telemetry.totals().unwrap();
        assert_eq!((totals.blocks, totals.windows, totals.quarantined), (5, 4, 1), "{kind:?}");
        assert!(collector.counters().store_failures > 0);
    }
}

#[tokio::test]
async fn a_collector_that_stores_no_more_says_so() {
    let collector = Collector::start_refusing(1, None).await;
    let (mut session, _) = collector.session(1, 2).await;
    session.say(Up::Block(block(1, &[window(minutes_ago(1))]))).await;
    assert_eq!(collector.failed().await, Err(CommitterEnded));
    session.say(Up::Block(block(2, &[window(minutes_ago(2))]))).await;
    assert_eq!(session.hear_end().await.code(), Code::Internal);

    let asked = Collector::start().await;
    asked.shutdown.cancel();
    assert_eq!(asked.failed().await, Ok(()));
}

#[tokio::test]
async fn where_an_agent_was_seen_is_noted() {
    let collector = Collector::start().await;
    let (mut session, _) = collector.session(1, 2).await;
    let seen = || collector.control.agents().unwrap()[0].sighting.clone();
    collector.until("the first sighting", |_| seen().is_some()).await;
    let first = seen().unwrap();
    assert_eq!((first.version.as_str(), first.os.as_str()), ("0.1.0", "linux"));
    assert_eq!(first.peer, Some("127.0.0.1".parse().unwrap()));
    assert_eq!(first.local_prefix, None);

    // The prefix of the newest window counts, whatever order blocks come in.
    let mut elsewhere = window(minutes_ago(50));
    elsewhere.context.local_prefix = Some("10.99.0.0/16".parse().unwrap());
    session.say(Up::Block(block(2, &[window(minutes_ago(1))]))).await;
    session.hear_acknowledged(&[2]).await;
    session.say(Up::Block(block(1, &[elsewhere]))).await;
    session.hear_acknowledged(&[1]).await;
    let newest = "10.20.30.0/24".parse().ok();
    collector.until("the newest", |_| seen().unwrap().local_prefix == newest).await;
    hear_clock(&mut session).await;
    assert_eq!(seen().unwrap().local_prefix, newest);
}

#[tokio::test]
async fn a_stopping_collector_says_so_and_keeps_what_it_acknowledged() {
    let collector = Collector::start().await;
    let (mut session, _) = collector.session(1, 1).await;
    session.say(Up::Block(block(1, &[window(minutes_ago(1))]))).await;
    session.hear_acknowledged(&[1]).await;
    collector.shutdown.cancel();
    assert_eq!(session.hear_end().await.code(), Code::Unavailable);
    let telemetry = collector.telemetry.clone();
    drop(session);
    assert_eq!(collector.stop().await.blocks, 1);
    assert_eq!(telemetry.totals().unwrap().windows, 1);
}

#[tokio::test]
async fn a_stopping_collector_asks_its_agents_to_come_back_later() {
    let collector = Collector::start().await;
    let (mut session, _) = collector.session(1, 1).await;
    collector.shutdown.cancel();
    match session.hear().await.unwrap() {
        // One agent alone need not wait for long.
        Down::GoAway(away) => assert!(away.delay_ms <= 1_000 && away.spread_ms > 0, "{away:?}"),
        other => panic!("{other:?}"),
    }
    assert_eq!(session.hear_end().await.code(), Code::Unavailable);
    drop(session);
    assert_eq!(collector.stop().await.sent_away, 1);
}

/// 64 agents deliver what they kept at a time. The next one delivers what is new meanwhile, and what
/// it kept when one of them is done.
#[tokio::test]
async fn backlog_comes_by_turns_and_live_data_at_once() {
    const TURNS: u128 = 64;
    let collector = Collector::start().await;
    let mut sessions = Vec::new();
    for number in 1..=TURNS + 1 {
        if number > 1 {
            collector.let_in(number);
        }
        let (session, welcome) = collector.session_of(number, 1, 2).await;
        let expected = if number <= TURNS { Some(4) } else { Some(0) };
        assert_eq!((welcome.credit, welcome.backlog), (8, expected), "agent {number}");
        sessions.push(session);
    }
    let mut last = sessions.pop().unwrap();
    last.say(Up::Block(block(3, &[window(minutes_ago(1))]))).await;
    last.hear_acknowledged(&[3]).await;

    let mut first = sessions.remove(0);
    first.say(Up::Block(block(2, &[window(minutes_ago(1))]))).await;
    first.hear_acknowledged(&[2]).await;
    hear_clock(&mut last).await;
    assert_eq!(collector.counters().turns, 64, "it has another block, so its turn is not over");
    first.say(Up::Block(block(1, &[window(minutes_ago(2))]))).await;
    match last.hear_any().await.unwrap() {
        Down::Credit(credit) => assert_eq!((credit.blocks, credit.backlog), (8, Some(4))),
        other => panic!("{other:?}"),
    }
    // An agent that does not know of turns sends without one, and is heard.
    let mut older = sessions.pop().unwrap();
    older.say(Up::Block(block(1, &[window(minutes_ago(2))]))).await;
    older.hear_acknowledged(&[1]).await;
    assert_eq!(collector.counters().turns, 65);
}

/// Delivers a spool over connections that break at any moment, as an agent does.
#[tokio::test]
async fn a_spool_arrives_once_over_connections_that_break() {
    const BLOCKS: u64 = 60;
    let collector = Collector::start().await;
    let spool: BTreeMap<BlockNo, v1::Block> = (1..=BLOCKS)
        .map(|n| (BlockNo(n), block(n, &[window(minutes_ago(BLOCKS - n + 1))])))
        .collect();
    let held = spool.keys().map(|&number| BlockMeta {
        number,
        size_bytes: 300,
        records: 1,
        first: minutes_ago(1),
        last: now(),
    });
    let index = SpoolIndex::new(SpoolCaps::default(), held, None);
    let mut uplink = Uplink::new(Epoch(EPOCH), index);
    let mut random = fastrand::Rng::with_seed(20);
    for _ in 0..200 {
        if uplink.spool().blocks() == 0 {
            break;
        }
        let said = uplink.connected();
        let number = |block: Option<BlockNo>| block.map_or(0, |block| block.0);
        let (mut session, welcome) =
            collector.session(number(said.oldest), number(said.newest)).await;
        let credit = Credit::of(welcome.credit);
        let welcome = Welcome { stored: ranges(&welcome.stored), credit };
        uplink.welcomed(&welcome).unwrap();
        for _ in 0..random.usize(0..6) {
            while let Some(number) = uplink.next_block() {
                session.say(Up::Block(spool[&number].clone())).await;
            }
            if uplink.in_flight() == 0 {
                break;
            }
            match session.hear().await.unwrap() {
                Down::Acknowledgement(ack) => {
                    let ack =
                        Acknowledgement { epoch: Epoch(ack.epoch), blocks: ranges(&ack.blocks) };
                    uplink.acknowledged(&ack).unwrap();
                }
                other => panic!("{other:?}"),
            }
        }
        drop(session);
        uplink.disconnected();
    }
    assert_eq!(uplink.spool().blocks(), 0);
    let totals = collector.telemetry.totals().unwrap();
    assert_eq!((totals.blocks, totals.windows), (BLOCKS, BLOCKS));
}
