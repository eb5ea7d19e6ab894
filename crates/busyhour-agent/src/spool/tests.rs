use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Instant;

use busyhour_model::{Body, BootId, BootMicros, Context, Load, Stamp};
use busyhour_proto::decode_payload;
use proptest::prelude::*;
use tempfile::TempDir;

use super::aside::with_suffix;
use super::*;
use crate::config::schedule_of;

const MINUTE: Duration = Duration::from_secs(60);

/// Every clock, `seconds` after the test's beginning.
fn at(begun: Instant, seconds: u64) -> Moment {
    Moment {
        monotonic: begun + Duration::from_secs(seconds),
        wall: UtcMicros::from_secs(1_800_000_000 + seconds.cast_signed()),
        boot: BootMicros((1000 + seconds) * 1_000_000),
    }
}

fn settings(folder: &Path) -> Settings {
    Settings {
        path: folder.join("spool.db"),
        caps: SpoolCaps { max_bytes: 1 << 20, max_age: MINUTE * 60 * 24 },
        policy: SealPolicy { max_records: 4, max_bytes: 4096, max_age: Duration::from_secs(10) },
        schedule: schedule_of(MINUTE),
        clock: Clock::with_boot(BootId::from_u128(7)),
    }
}

/// A record that can be recognised by its number.
fn numbered(number: u64, now: &Moment) -> Observed {
    let stamp = Stamp::new(now.wall.minus(MINUTE), now.boot, BootId::from_u128(7), 60_000_000);
    let load = Load {
        interface: "eth0".to_owned(),
        received_bytes: number,
        sent_bytes: 0,
        received_packets: 0,
        sent_packets: 0,
        link_bits_per_second: None,
    };
    let schedule = schedule_of(MINUTE);
    let record = Record {
        stamp: stamp.unwrap(),
        schedule: schedule.revision,
        context: Context::default(),
        body: Body::Load(load),
    };
    Observed { record, schedule }
}

/// What a crash leaves of a spool.
fn crash(spool: Spool) -> (TempDir, Settings) {
    let folder = tempfile::tempdir().unwrap();
    let mut left = spool.settings.clone();
    left.path = folder.path().join("spool.db");
    for suffix in ["", "-wal"] {
        let from = with_suffix(&spool.settings.path, suffix);
        if from.exists() {
            std::fs::copy(from, with_suffix(&left.path, suffix)).unwrap();
        }
    }
    drop(spool);
    (folder, left)
}

/// The far end: everything that was ever sent.
#[derive(Default)]
struct FarEnd {
    blocks: BTreeMap<(Epoch, BlockNo), Vec<u8>>,
}

impl FarEnd {
    /// Opens a session; gives the blocks' channel.
    fn connect(&self, spool: &mut Spool, now: &Moment) -> mpsc::Receiver<Block> {
        let (outgoing, blocks) = mpsc::channel(MAX_IN_FLIGHT as usize);
        let hello = spool.connected(outgoing).unwrap();
        let stored = self.blocks.keys().filter(|key| key.0 == hello.epoch).map(|key| key.1);
        let welcome = Welcome { stored: stored.collect(), credit: Credit::of(3) };
        spool.welcomed(&welcome, now);
        spool.work(now);
        blocks
    }

    /// Stores what came; acknowledges it when asked to.
    fn take(
        &mut self,
        spool: &mut Spool,
        blocks: &mut mpsc::Receiver<Block>,
        now: &Moment,
        acknowledge: bool,
    ) {
        while let Ok(block) = blocks.try_recv() {
            assert!(block.is_intact());
            let epoch = spool.store.as_ref().unwrap().uplink.epoch();
            let old = self.blocks.insert((epoch, block.number), block.payload.clone());
            assert!(old.is_none_or(|old| old == block.payload), "a sealed block changed");
            if acknowledge {
                let blocks = [block.number].into_iter().collect();
                spool.acknowledged(&Acknowledgement { epoch, blocks }, now);
                spool.work(now);
            }
        }
    }

    /// Delivers everything there is.
    fn drain(&mut self, spool: &mut Spool, now: &Moment) {
        spool.flush(now);
        let mut blocks = self.connect(spool, now);
        for _ in 0..1000 {
            self.take(spool, &mut blocks, now, true);
            if spool.is_delivered() {
                return;
            }
            spool.flush(now);
            if blocks.is_closed() {
                blocks = self.connect(spool, now);
            }
        }
        let spool = (&spool.retry_at, &spool.pending, &spool.lost, &spool.store);
        panic!("not everything was delivered: {spool:?}");
    }

    fn bodies(&self) -> Vec<(Record, Body)> {
        let decoded = self.blocks.values().map(|payload| decode_payload(payload).unwrap());
        let records = decoded.flat_map(|payload| payload.records).map(Result::unwrap);
        records.map(|record| (record.clone(), record.body)).collect()
    }

    /// The numbers of numbered records, each as often as it came.
    fn numbers(&self) -> Vec<u64> {
        let number = |(_, body)| match body {
            Body::Load(load) => Some(load.received_bytes),
            _ => None,
        };
        let mut numbers: Vec<u64> = self.bodies().into_iter().filter_map(number).collect();
        numbers.sort_unstable();
        numbers
    }

    fn gaps(&self, reason: GapReason) -> Vec<(Record, Option<u64>)> {
        let gap = |(record, body)| match body {
            Body::Gap(gap) if gap.reason == reason => Some((record, gap.records)),
            _ => None,
        };
        self.bodies().into_iter().filter_map(gap).collect()
    }
}

#[derive(Debug, Clone)]
enum Step {
    Record,
    Work,
    Wait,
    Connect,
    Store,
    Acknowledge,
    Disconnect,
    Crash,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => Just(Step::Record),
        4 => Just(Step::Work),
        2 => Just(Step::Wait),
        1 => Just(Step::Connect),
        2 => Just(Step::Store),
        2 => Just(Step::Acknowledge),
        1 => Just(Step::Disconnect),
        2 => Just(Step::Crash),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn what_was_committed_is_delivered_once_whatever_crashes(steps in prop::collection::vec(step(), 1..60)) {
        let begun = Instant::now();
        let mut folder = tempfile::tempdir().unwrap();
        let mut spool = Spool::open(settings(folder.path()), &at(begun, 0)).unwrap();
        let (mut far, mut session) = (FarEnd::default(), None);
        let (mut seconds, mut next) = (0, 0);
        let (mut pending, mut committed) = (Vec::new(), BTreeSet::new());
        for step in steps {
            seconds += 1;
            let now = at(begun, seconds);
            match step {
                Step::Record => {
                    spool.record(numbered(next, &now));
                    pending.push(next);
                    next += 1;
                }
                Step::Work | Step::Wait => {
                    seconds += if matches!(step, Step::Wait) { 11 } else { 0 };
                    spool.work(&at(begun, seconds));
                    committed.extend(pending.drain(..));
                }
                Step::Connect => session = Some(far.connect(&mut spool, &now)),
                Step::Store | Step::Acknowledge => {
                    if let Some(blocks) = &mut session {
                        far.take(&mut spool, blocks, &now, matches!(step, Step::Acknowledge));
                    }
                }
                Step::Disconnect => {
                    session = None;
                    spool.disconnected();
                }
                Step::Crash => {
                    // What was handed over and not committed may be lost; work also runs elsewhere.
                    let kept: BTreeSet<u64> = spool.pending.iter().filter_map(number).collect();
                    committed.extend(pending.drain(..).filter(|n| !kept.contains(n)));
                    let (left, settings) = crash(spool);
                    session = None;
                    spool = Spool::open(settings, &now).unwrap();
                    folder = left;
                }
            }
        }
        let now = at(begun, seconds + 1);
        committed.extend(pending);
        far.drain(&mut spool, &now);
        prop_assert_eq!(far.numbers(), committed.into_iter().collect::<Vec<_>>());
        drop(folder);
    }
}

fn number(observed: &Observed) -> Option<u64> {
    match &observed.record.body {
        Body::Load(load) => Some(load.received_bytes),
        _ => None,
    }
}

#[test]
fn time_without_an_agent_is_a_gap_from_the_last_record_to_the_start() {
    let (begun, folder) = (Instant::now(), tempfile::tempdir().unwrap());
    let mut spool = Spool::open(settings(folder.path()), &at(begun, 0)).unwrap();
    spool.record(numbered(0, &at(begun, 100)));
    spool.work(&at(begun, 100));
    let (_folder, left) = crash(spool);
    let now = at(begun, 1000);
    let mut spool = Spool::open(left, &now).unwrap();
    let mut far = FarEnd::default();
    far.drain(&mut spool, &now);
    let [(gap, records)] = far.gaps(GapReason::NotRunning).try_into().unwrap();
    assert_eq!((gap.stamp.started, gap.stamp.ended()), (at(begun, 100).wall, now.wall));
    assert_eq!(records, None);
}

#[test]
fn a_clock_that_ran_ahead_does_not_hide_the_time_without_an_agent() {
    let (begun, folder) = (Instant::now(), tempfile::tempdir().unwrap());
    let mut spool = Spool::open(settings(folder.path()), &at(begun, 0)).unwrap();
    let mut ahead = at(begun, 100);
    ahead.wall = ahead.wall.plus(MINUTE * 60 * 24 * 365);
    for now in [ahead, at(begun, 200)] {
        spool.record(numbered(0, &now));
        spool.work(&now);
    }
    let (_folder, left) = crash(spool);
    let now = at(begun, 1000);
    let mut spool = Spool::open(left, &now).unwrap();
    let mut far = FarEnd::default();
    far.drain(&mut spool, &now);
    let [(gap, _)] = far.gaps(GapReason::NotRunning).try_into().unwrap();
    assert_eq!((gap.stamp.started, gap.stamp.ended()), (at(begun, 200).wall, now.wall));
}

#[test]
fn a_clock_that_steps_forward_makes_no_block_old_and_time_that_passes_does() {
    let begun = Instant::now();
    let day = 24 * 3600;
    for (step, restart) in [(true, false), (true, true), (false, false)] {
        let folder = tempfile::tempdir().unwrap();
        let mut spool = Spool::open(settings(folder.path()), &at(begun, 0)).unwrap();
        for number in 0..8 {
            spool.record(numbered(number, &at(begun, number)));
            spool.work(&at(begun, number));
        }
        let mut now = at(begun, if step { 1000 } else { 2 * day });
        if step {
            now.wall = now.wall.plus(MINUTE * 60 * 24 * 365);
        }
        let (kept, left);
        if restart {
            (kept, left) = crash(spool);
            spool = Spool::open(left, &now).unwrap();
        } else {
            kept = folder;
        }
        spool.work(&now);
        spool.record(numbered(8, &now));
        let mut far = FarEnd::default();
        far.drain(&mut spool, &now);
        let expected: Vec<u64> = if step { (0..9).collect() } else { vec![8] };
        assert_eq!(far.numbers(), expected, "step {step}, restart {restart}");
        assert_eq!(far.gaps(GapReason::SpoolFull).is_empty(), step);
        drop(kept);
    }
}

#[test]
fn a_full_disk_has_room_again_once_the_collector_has_the_blocks() {
    let (begun, folder) = (Instant::now(), tempfile::tempdir().unwrap());
    let mut spool = Spool::open(settings(folder.path()), &at(begun, 0)).unwrap();
    for number in 0..200 {
        spool.record(numbered(number, &at(begun, number)));
        spool.work(&at(begun, number));
    }
    spool.store.as_ref().unwrap().database.limit_pages(1);
    for number in 200..400 {
        spool.record(numbered(number, &at(begun, number)));
    }
    let now = at(begun, 400);
    spool.work(&now);
    assert!(!spool.pending.is_empty(), "the disk is full");
    let mut far = FarEnd::default();
    let mut blocks = far.connect(&mut spool, &now);
    for second in 401..700 {
        far.take(&mut spool, &mut blocks, &at(begun, second), true);
    }
    spool.work(&at(begun, 700));
    assert!(spool.pending.is_empty(), "{} wait", spool.pending.len());
    far.drain(&mut spool, &at(begun, 800));
    assert_eq!(far.numbers(), (0..400).collect::<Vec<_>>());
}

#[test]
fn a_full_spool_drops_its_oldest_blocks_and_says_so() {
    let (begun, folder) = (Instant::now(), tempfile::tempdir().unwrap());
    let mut settings = settings(folder.path());
    settings.caps.max_bytes = 2000;
    let mut spool = Spool::open(settings, &at(begun, 0)).unwrap();
    for number in 0..200 {
        let now = at(begun, number * 60);
        spool.record(numbered(number, &now));
        spool.work(&now);
    }
    let now = at(begun, 200 * 60);
    let mut far = FarEnd::default();
    far.drain(&mut spool, &now);
    let kept = far.numbers();
    assert!(kept.contains(&199) && !kept.contains(&0), "{kept:?}");
    assert!(far.blocks.values().map(Vec::len).sum::<usize>() < 4000);
    // Gaps may have been dropped themselves, but then a later gap counts them and covers their time.
    let gaps = far.gaps(GapReason::SpoolFull);
    assert!(!gaps.is_empty());
    let oldest_kept = at(begun, kept[0] * 60).wall.minus(MINUTE);
    let from = gaps.iter().map(|(gap, _)| gap.stamp.started).min().unwrap();
    let until = gaps.iter().map(|(gap, _)| gap.stamp.ended()).max().unwrap();
    assert!(from < oldest_kept && until >= oldest_kept, "{gaps:?}");
}

#[test]
fn a_disk_that_is_full_stops_nothing_and_what_was_given_up_is_counted() {
    let (begun, folder) = (Instant::now(), tempfile::tempdir().unwrap());
    let mut spool = Spool::open(settings(folder.path()), &at(begun, 0)).unwrap();
    let pages = |spool: &Spool, pages| spool.store.as_ref().unwrap().database.limit_pages(pages);
    pages(&spool, 1);
    let many = MAX_PENDING as u64 + 1000;
    for number in 0..many {
        spool.record(numbered(number, &at(begun, number)));
        if number % 100 == 0 {
            spool.work(&at(begun, number));
        }
    }
    spool.work(&at(begun, many));
    assert!(spool.pending.len() <= MAX_PENDING);
    let view = spool.view();
    let why = view.failing.unwrap();
    assert!(why.since <= at(begun, 100).wall, "since it failed first: {why:?}");
    assert!(why.why.contains("full"), "{}", why.why);
    assert_eq!(view.waiting, MAX_PENDING);
    assert!((900..many - MAX_PENDING as u64 + 1).contains(&view.given_up), "{}", view.given_up);
    assert!(spool.deadline(at(begun, many).monotonic).unwrap() > at(begun, many).monotonic);
    pages(&spool, 1 << 20);
    let now = at(begun, many + 60);
    spool.work(&now);
    let mut far = FarEnd::default();
    far.drain(&mut spool, &now);
    let delivered = far.numbers();
    let lost: u64 = far.gaps(GapReason::SpoolFailed).iter().filter_map(|(_, n)| *n).sum();
    assert_eq!(delivered.len() as u64 + lost, many);
    assert!(lost >= 900, "{lost}");
    let view = spool.view();
    assert_eq!((view.failing, view.waiting, view.given_up), (None, 0, lost));
    assert_eq!(delivered.last(), Some(&(many - 1)));
}

/// As on a file system that is read-only, or not there yet.
#[test]
fn a_disk_that_cannot_be_used_at_the_start_stops_nothing_and_is_tried_again() {
    let (begun, folder) = (Instant::now(), tempfile::tempdir().unwrap());
    let blocked = folder.path().join("data");
    std::fs::write(&blocked, "a file where the folder should be").unwrap();
    let mut spool = Spool::open(settings(&blocked), &at(begun, 0)).unwrap();
    for number in 0..40 {
        spool.record(numbered(number, &at(begun, number)));
        spool.work(&at(begun, number));
    }
    let (outgoing, _blocks) = mpsc::channel(MAX_IN_FLIGHT as usize);
    assert_eq!(spool.connected(outgoing), None, "there is nothing to deliver from yet");
    let view = spool.view();
    assert_eq!((view.waiting, view.blocks, view.given_up), (40, 0, 0));
    assert_eq!(view.failing.unwrap().since, at(begun, 0).wall);

    std::fs::remove_file(&blocked).unwrap();
    std::fs::create_dir(&blocked).unwrap();
    let now = at(begun, 100);
    spool.work(&now);
    assert_eq!((spool.view().failing, spool.view().waiting), (None, 0));
    let mut far = FarEnd::default();
    far.drain(&mut spool, &now);
    assert_eq!(far.numbers(), (0..40).collect::<Vec<_>>());
}

/// What tells of blocks that grew old is about old times itself.
#[test]
fn the_loss_of_old_blocks_is_told_once_even_when_nothing_else_is_recorded() {
    let (begun, folder) = (Instant::now(), tempfile::tempdir().unwrap());
    let mut spool = Spool::open(settings(folder.path()), &at(begun, 0)).unwrap();
    for number in 0..8 {
        spool.record(numbered(number, &at(begun, number)));
        spool.work(&at(begun, number));
    }
    let day = 24 * 3600;
    for hour in 0..20 {
        spool.work(&at(begun, 2 * day + hour * 3600));
    }
    let now = at(begun, 3 * day);
    let mut far = FarEnd::default();
    far.drain(&mut spool, &now);
    let told: u64 = far.gaps(GapReason::SpoolFull).iter().filter_map(|(_, n)| *n).sum();
    assert_eq!(told + far.numbers().len() as u64, 8, "{:?}", far.gaps(GapReason::SpoolFull));
}

#[test]
fn a_damaged_spool_is_put_aside_and_a_new_epoch_begins() {
    let begun = Instant::now();
    for damage in [&b"not a database at all, but long enough to be read as one"[..], &[0; 8192]] {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("spool.db"), damage).unwrap();
        let now = at(begun, 10);
        let mut spool = Spool::open(settings(folder.path()), &now).unwrap();
        spool.record(numbered(1, &now));
        let mut far = FarEnd::default();
        far.drain(&mut spool, &now);
        assert_eq!(far.numbers(), [1]);
        assert_eq!(far.gaps(GapReason::SpoolFailed).len(), 1);
        let names = std::fs::read_dir(folder.path()).unwrap();
        let aside = names.filter(|entry| {
            entry.as_ref().unwrap().file_name().to_str().unwrap().contains(".corrupt-")
        });
        assert_eq!(aside.count(), 1);
    }
}

#[test]
fn damage_anywhere_in_the_file_is_survived_and_never_delivered_as_data() {
    let begun = Instant::now();
    let folder = tempfile::tempdir().unwrap();
    let mut spool = Spool::open(settings(folder.path()), &at(begun, 0)).unwrap();
    for number in 0..40 {
        spool.record(numbered(number, &at(begun, number)));
        spool.work(&at(begun, number));
    }
    // An orderly end moves everything from the log into the file.
    let path = spool.settings.path.clone();
    drop(spool);
    let healthy = std::fs::read(&path).unwrap();
    for offset in (0..healthy.len()).step_by(509) {
        let folder = tempfile::tempdir().unwrap();
        let mut damaged = healthy.clone();
        damaged[offset] ^= 0x55;
        std::fs::write(folder.path().join("spool.db"), &damaged).unwrap();
        let now = at(begun, 100);
        let Ok(mut spool) = Spool::open(settings(folder.path()), &now) else { continue };
        let mut far = FarEnd::default();
        far.drain(&mut spool, &now);
        let numbers = far.numbers();
        let distinct: BTreeSet<u64> = numbers.iter().copied().collect();
        assert_eq!(distinct.len(), numbers.len(), "twice after damage at {offset}");
        assert!(numbers.iter().all(|number| *number < 40), "invented after damage at {offset}");
        let told = far.gaps(GapReason::SpoolFailed).len();
        assert!(numbers.len() == 40 || told > 0, "lost in silence after damage at {offset}");
    }
}

#[test]
fn a_file_of_somebody_else_or_of_a_newer_agent_is_not_touched() {
    let (begun, folder) = (Instant::now(), tempfile::tempdir().unwrap());
    let first = Spool::open(settings(folder.path()), &at(begun, 0)).unwrap();
    let second = Spool::open(settings(folder.path()), &at(begun, 0));
    assert!(matches!(second, Err(SpoolError::InUse { .. })), "{second:?}");
    drop(first);
    let connection = rusqlite::Connection::open(folder.path().join("spool.db")).unwrap();
    connection.pragma_update(None, "user_version", 99).unwrap();
    drop(connection);
    let newer = Spool::open(settings(folder.path()), &at(begun, 0));
    assert!(matches!(newer, Err(SpoolError::Newer { .. })), "{newer:?}");
}

#[test]
fn a_spool_that_was_put_back_to_an_earlier_state_goes_on_under_a_new_epoch() {
    let (begun, folder) = (Instant::now(), tempfile::tempdir().unwrap());
    let now = at(begun, 10);
    let mut spool = Spool::open(settings(folder.path()), &now).unwrap();
    let (outgoing, _blocks) = mpsc::channel(MAX_IN_FLIGHT as usize);
    let old = spool.connected(outgoing).unwrap().epoch;
    let stored = [BlockNo(5)].into_iter().collect();
    spool.welcomed(&Welcome { stored, credit: Credit::of(8) }, &now);
    let (outgoing, _blocks) = mpsc::channel(MAX_IN_FLIGHT as usize);
    assert_ne!(spool.connected(outgoing).unwrap().epoch, old);
}

#[test]
fn a_collector_that_makes_no_sense_ends_the_session() {
    let (begun, folder) = (Instant::now(), tempfile::tempdir().unwrap());
    let now = at(begun, 10);
    let mut spool = Spool::open(settings(folder.path()), &now).unwrap();
    let mut blocks = FarEnd::default().connect(&mut spool, &now);
    let foreign = Acknowledgement { epoch: Epoch(1), blocks: BlockRanges::new() };
    spool.acknowledged(&foreign, &now);
    assert_eq!(blocks.try_recv(), Err(mpsc::error::TryRecvError::Disconnected));
}
