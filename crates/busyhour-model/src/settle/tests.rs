use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;
use crate::{
    AddressFamily, BootId, BootMicros, Link, LinkKind, PacketCounts, PathKey, ProfileName,
    SessionReportParts, TargetName, TrafficClass, Transport, UtcMicros, WindowParts,
};

const START_US: i64 = 1_790_000_000_000_000;
/// A packet each 20 ms.
const EVERY_US: i64 = 20_000;
const SSID: u16 = 77;

fn listen() -> SocketAddr {
    "192.0.2.7:862".parse().unwrap()
}

fn peer() -> SocketAddr {
    "198.51.100.9:50003".parse().unwrap()
}

fn context() -> Context {
    Context { resolved: Some(listen()), ..Context::default() }
}

/// What became of a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Back,
    LostUp,
    LostDown,
}

/// A session of packets with known fates.
struct Session {
    first: u32,
    start_us: i64,
    fates: Vec<Fate>,
}

impl Session {
    fn new(first: u32, fates: &[Fate]) -> Self {
        Self { first, start_us: START_US, fates: fates.to_vec() }
    }

    fn number(&self, index: usize) -> u32 {
        self.first.wrapping_add(index as u32)
    }

    fn sent_ns(&self, index: usize) -> i64 {
        (self.start_us + index as i64 * EVERY_US) * 1_000
    }

    /// The window of these packets, of whose losses those in `unknown` have no direction.
    fn window(&self, packets: std::ops::Range<usize>, unknown: &[bool]) -> (Window, Stamp) {
        let lost = |fate, known: bool| {
            let is = |index: &usize| self.fates[*index] == fate && unknown[*index] != known;
            packets.clone().filter(is).count() as u32
        };
        let no_direction = lost(Fate::LostUp, false) + lost(Fate::LostDown, false);
        let sent = packets.len() as u32;
        let lost = [lost(Fate::LostUp, true), lost(Fate::LostDown, true), no_direction];
        let path = PathKey {
            link: Link::new(LinkKind::Wired, "eth0").unwrap(),
            family: AddressFamily::Ipv4,
            target: TargetName::new("reflector:862").unwrap(),
            class: TrafficClass::Audio,
            profile: ProfileName::new("audio-50").unwrap(),
            transport: Transport::Udp,
        };
        let window = Window::new(WindowParts {
            ssid: SSID,
            first_sequence: self.number(packets.start),
            sequences: sent,
            ..WindowParts::new(path, 50, PacketCounts::new(sent, sent, lost, 0, 0).unwrap())
        });
        let started = UtcMicros(self.start_us + packets.start as i64 * EVERY_US);
        let duration = u64::from(sent) * EVERY_US as u64;
        (
            window.unwrap(),
            Stamp::new(started, BootMicros(0), BootId::from_u128(1), duration).unwrap(),
        )
    }

    /// What an honest reflector says, when its spans end after these packets at the latest and it
    /// names no more than `ranges` ranges of each.
    fn reports(&self, ends: &BTreeSet<usize>, ranges: usize) -> Vec<SessionReport> {
        let mut reports = Vec::new();
        let mut after: Option<usize> = None;
        let mut from = 0;
        for until in ends.iter().copied().chain([self.fates.len()]) {
            let until = until.clamp(from, self.fates.len());
            let came: Vec<usize> =
                (from..until).filter(|&index| self.fates[index] != Fate::LostUp).collect();
            from = until;
            let (Some(&first_came), Some(&last)) = (came.first(), came.last()) else { continue };
            let first = after.map_or(first_came, |after| after + 1);
            let mut missing: Vec<(u32, u32)> = Vec::new();
            let mut cut = false;
            for index in (first..last).filter(|index| self.fates[*index] == Fate::LostUp) {
                if cut {
                    break;
                }
                let number = self.number(index);
                let follows = |(_, to): &(u32, u32)| to.wrapping_add(1) == number;
                if missing.last().is_some_and(follows) {
                    missing.last_mut().unwrap().1 = number;
                } else if missing.len() < ranges {
                    missing.push((number, number));
                } else {
                    cut = true;
                }
            }
            let report = SessionReport::new(SessionReportParts {
                listen: listen(),
                peer: peer(),
                ssid: SSID,
                first_sequence: self.number(first),
                last_sequence: self.number(last),
                received: came.len() as u32,
                missing,
                missing_cut: cut,
                first_sent_ns: self.sent_ns(after.unwrap_or(first)),
                last_sent_ns: self.sent_ns(last),
                dropped: 0,
            });
            reports.push(report.unwrap());
            after = Some(last);
        }
        reports
    }
}

fn changed(report: &SessionReport, change: impl FnOnce(&mut SessionReportParts)) -> SessionReport {
    let mut parts = report.clone().into_parts();
    change(&mut parts);
    SessionReport::new(parts).unwrap()
}

/// Ten packets: four lost up, three of them without direction, and two lost down, one without.
fn sample() -> (Window, Stamp, Vec<SessionReport>) {
    use Fate::{Back, LostDown, LostUp};
    let fates = [Back, LostUp, LostUp, LostUp, Back, LostDown, Back, LostDown, LostUp, Back];
    let mut unknown = [true; 10];
    (unknown[1], unknown[5]) = (false, false);
    let session = Session::new(u32::MAX - 4, &fates);
    let (window, stamp) = session.window(0..10, &unknown);
    (window, stamp, session.reports(&BTreeSet::new(), 64))
}

/// Checks that the sample is settled as it is, and not after this change.
fn check_unsettled(why: &str, change: impl FnOnce(&mut WindowParts, &mut SessionReportParts)) {
    let (window, stamp, reports) = sample();
    let settled = settle(&window, &stamp, &context(), &reports);
    assert_eq!(settled, Some(Settlement { up: 3, down: 1 }), "{why}");
    let [report] = <[_; 1]>::try_from(reports).unwrap();
    let (mut window, mut report) = (window.into_parts(), report.into_parts());
    change(&mut window, &mut report);
    let window = Window::new(window).unwrap();
    let reports = [SessionReport::new(report).unwrap()];
    assert_eq!(settle(&window, &stamp, &context(), &reports), None, "{why}");
}

#[test]
fn only_a_report_of_the_same_session_settles() {
    let other = SocketAddr::from(([192, 0, 2, 8], 862));
    check_unsettled("another address was asked", |_, report| report.listen = other);
    check_unsettled("another port was asked", |_, report| report.listen.set_port(863));
    check_unsettled("another identifier", |_, report| report.ssid += 1);
    check_unsettled("no identifier", |window, report| (window.ssid, report.ssid) = (0, 0));
    check_unsettled("an earlier time", |_, report| {
        (report.first_sent_ns, report.last_sent_ns) = (0, START_US * 1_000 - 1);
    });
    check_unsettled("a later time", |_, report| {
        report.first_sent_ns = (START_US + 10 * EVERY_US + 2) * 1_000;
        report.last_sent_ns = i64::MAX;
    });
    check_unsettled("earlier numbers", |window, _| window.first_sequence -= 1);
    check_unsettled("later numbers", |window, _| window.first_sequence += 1);
}

#[test]
fn a_report_that_does_not_tell_everything_settles_nothing() {
    check_unsettled("refused by a cap", |_, report| report.dropped = 1);
    check_unsettled("ranges were cut", |_, report| {
        report.missing.pop();
        report.missing_cut = true;
    });
    check_unsettled("fewer missing than were lost up for certain", |_, report| {
        (report.missing, report.received) = (vec![], 10);
    });
    check_unsettled("more missing than were lost", |_, report| {
        let first = report.first_sequence;
        report.missing = vec![(first, first.wrapping_add(8))];
        report.received = 1;
    });
    check_unsettled("a packet did not leave", |window, _| {
        window.counts = PacketCounts::new(10, 9, [1, 1, 3], 0, 0).unwrap();
    });
    check_unsettled("numbers are not known", |window, _| window.sequences = 0);
    check_unsettled("this machine dropped answers", |window, _| window.receive_queue_drops = 1);
    check_unsettled("the reflector dropped some", |window, _| window.reflector_drops = 1);
}

#[test]
fn reports_of_two_addresses_settle_only_when_the_window_knows_its_own() {
    let (window, stamp, mut reports) = sample();
    let stranger = changed(&reports[0], |report| {
        report.peer = "203.0.113.1:50003".parse().unwrap();
        (report.missing, report.received) = (vec![], 10);
    });
    reports.push(stranger);
    assert_eq!(settle(&window, &stamp, &context(), &reports), None);
    let known = Context { reflexive: Some(peer().ip()), ..context() };
    let settled = settle(&window, &stamp, &known, &reports);
    assert_eq!(settled, Some(Settlement { up: 3, down: 1 }));
    let mut parts = window.into_parts();
    parts.seen_source_port = Some(peer().port());
    let window = Window::new(parts).unwrap();
    assert_eq!(settle(&window, &stamp, &context(), &reports), None, "both come from that port");
    reports[1] = changed(&reports[1], |report| report.peer.set_port(9));
    let settled = settle(&window, &stamp, &context(), &reports);
    assert_eq!(settled, Some(Settlement { up: 3, down: 1 }));
}

#[test]
fn reports_that_contradict_each_other_settle_nothing_and_equal_ones_do() {
    let (window, stamp, mut reports) = sample();
    reports.push(reports[0].clone());
    assert!(settle(&window, &stamp, &context(), &reports).is_some());
    let lie = changed(&reports[0], |report| {
        report.missing.pop();
        report.received += 1;
    });
    reports.push(lie);
    assert_eq!(settle(&window, &stamp, &context(), &reports), None);
}

#[test]
fn a_settled_window_keeps_its_counts_and_is_not_settled_again() {
    let (window, stamp, reports) = sample();
    let context = context();
    assert!(is_unsettled(&window, &context));
    let settlement = settle(&window, &stamp, &context, &reports).unwrap();
    let before = window.counts;
    assert!(window.clone().settle(Settlement { up: 3, down: 2 }).is_err());
    assert!(window.clone().settle(Settlement { up: u32::MAX, down: 1 }).is_err());
    let window = window.settle(settlement).unwrap();
    let lost = (window.counts.lost_up(), window.counts.lost_down(), window.counts.lost_unknown());
    assert_eq!((lost, window.settled), ((4, 2, 0), true));
    assert_eq!((window.counts.lost(), window.counts.sent()), (before.lost(), before.sent()));
    assert!(!is_unsettled(&window, &context));
}

/// A one-way cut: nothing comes back for a whole window and no answer tells why; the reflector does.
#[test]
fn an_outage_is_settled_by_what_the_reflector_received_before_and_after() {
    for cut in [Fate::LostUp, Fate::LostDown] {
        let mut fates = vec![Fate::Back; 300];
        fates[100..200].fill(cut);
        let session = Session::new(16, &fates);
        let (window, stamp) = session.window(100..200, &[true; 300]);
        assert!(window.failed());
        // It falls silent when the way up is cut.
        let reports = session.reports(&BTreeSet::from([100, 200]), 64);
        let up = if cut == Fate::LostUp { 100 } else { 0 };
        let settled = settle(&window, &stamp, &context(), &reports);
        assert_eq!(settled, Some(Settlement { up, down: 100 - up }), "{cut:?}");
        assert_eq!(settle(&window, &stamp, &context(), &reports[..1]), None, "{cut:?}");
    }
}

/// Reports that are no help, or lies about somebody else.
fn noise(session: &Session, report: &SessionReport, kind: u8) -> SessionReport {
    let shift_ns = (session.fates.len() as i64 + 10) * EVERY_US * 1_000;
    changed(report, |parts| match kind % 5 {
        0 => parts.ssid = SSID + 1,
        1 => parts.listen.set_port(4_000),
        2 => {
            // The same numbers of a session long ago.
            parts.first_sent_ns -= shift_ns;
            parts.last_sent_ns -= shift_ns;
        }
        3 => parts.dropped = 3,
        _ => {}
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever is lost, reported, left out, repeated or mixed with others: a settled window is
    /// right to the packet, and one that is told of wholly is settled.
    #[test]
    fn a_settlement_is_the_truth(
        first in prop_oneof![Just(16_u32), any::<u32>(), u32::MAX - 200..=u32::MAX],
        fates in prop::collection::vec(
            prop_oneof![
                8 => Just(Fate::Back), 1 => Just(Fate::LostUp), 1 => Just(Fate::LostDown),
            ],
            60..400,
        ),
        unknown in prop::collection::vec(prop::bool::weighted(0.7), 400),
        cut in (0_usize..400, 0_usize..200, any::<bool>()),
        ends in prop::collection::btree_set(0_usize..400, 0..6),
        ranges in prop_oneof![3 => Just(64_usize), 1 => 0_usize..6],
        left_out in prop::option::weighted(0.3, any::<prop::sample::Index>()),
        others in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6),
        widths in prop::collection::vec(10_usize..120, 40),
    ) {
        let mut fates = fates;
        let (from, length, up) = cut;
        let from = from.min(fates.len());
        let until = (from + length).min(fates.len());
        fates[from..until].fill(if up { Fate::LostUp } else { Fate::LostDown });
        let session = Session::new(first, &fates);
        let honest = session.reports(&ends, ranges);
        let mut reports = honest.clone();
        if let Some(index) = left_out && !reports.is_empty() {
            reports.remove(index.index(reports.len()));
        }
        let whole = reports.len() == honest.len() && honest.iter().all(|report| !report.missing_cut);
        if !honest.is_empty() {
            for (index, kind) in others {
                reports.push(noise(&session, index.get(&honest), kind));
            }
        }
        let told = honest.first().zip(honest.last());
        let mut begins = 0;
        for width in widths {
            let ends = (begins + width).min(fates.len());
            if begins == ends {
                break;
            }
            let (window, stamp) = session.window(begins..ends, &unknown);
            let (settled, counts) =
                (settle(&window, &stamp, &context(), &reports), &window.counts);
            let lost_up = (begins..ends).filter(|i| fates[*i] == Fate::LostUp).count() as u32;
            if let Some(Settlement { up, down }) = settled {
                prop_assert_eq!(up + down, counts.lost_unknown());
                prop_assert_eq!(up + counts.lost_up(), lost_up);
            }
            let within = told.is_some_and(|(oldest, newest)| {
                let index = |sequence: u32| sequence.wrapping_sub(first) as usize;
                index(oldest.first_sequence) <= begins && ends <= index(newest.last_sequence) + 1
            });
            if whole && within && counts.lost_unknown() > 0 {
                prop_assert!(settled.is_some(), "{begins}..{ends} of {}", fates.len());
            }
            begins = ends;
        }
    }

    #[test]
    fn missing_ranges_survive_as_runs(
        fates in prop::collection::vec(any::<bool>(), 2..400),
        first in any::<u32>(),
    ) {
        let fates: Vec<Fate> =
            fates.iter().map(|&lost| if lost { Fate::LostUp } else { Fate::Back }).collect();
        for report in Session::new(first, &fates).reports(&BTreeSet::from([100]), 64) {
            let runs = report.missing_runs();
            let missing = SessionReportParts::missing_from_runs(report.first_sequence, &runs);
            prop_assert_eq!(missing.as_ref(), Ok(&report.missing));
        }
    }
}

#[test]
fn runs_of_nothing_or_beyond_the_numbers_are_refused() {
    let ranges = |runs: &[u32]| SessionReportParts::missing_from_runs(5, runs);
    assert_eq!(ranges(&[0, 1, 3, 2]), Ok(vec![(5, 5), (9, 10)]));
    assert!(ranges(&[1, 0]).is_err());
    assert!(ranges(&[1]).is_err());
    assert!(ranges(&[u32::MAX, 1]).is_err());
    assert!(ranges(&[1; 130]).is_err());
}
