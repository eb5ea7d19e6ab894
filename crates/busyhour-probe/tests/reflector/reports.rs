//! Session reports.

use std::net::SocketAddr;

use busyhour_model::SessionReport;
use busyhour_probe::ReflectorConfig;

use crate::support::{Ask, Asked, LISTEN, datagram, key, port};

fn reporting() -> Asked {
    Asked::new(ReflectorConfig { reports: true, ..ReflectorConfig::default() })
}

/// Lets time pass and takes whatever is reported.
fn reports_after(asked: &mut Asked, seconds: u64) -> Vec<SessionReport> {
    let mut reports = Vec::new();
    for _ in 0..seconds {
        asked.pass(1_000);
        while let Some(report) = asked.reflector.poll_report(asked.now) {
            reports.push(report);
        }
    }
    reports
}

#[test]
fn a_session_that_fell_silent_is_reported_with_what_did_not_come() {
    let mut asked = reporting();
    assert_eq!(asked.reflector.poll_deadline(), None);
    for sequence in (16..766).filter(|sequence| !matches!(sequence, 100 | 200..=209)) {
        asked.counter(&Ask::new(sequence, 5), port(7));
    }
    let due = asked.reflector.poll_deadline().unwrap();
    assert!(due <= asked.now, "it looks around once a second");
    assert_eq!(reports_after(&mut asked, 2), [], "some may still come");
    let reports = reports_after(&mut asked, 3);
    let [report] = &reports[..] else { panic!("{reports:?}") };
    assert_eq!((report.listen, report.peer, report.ssid), (SocketAddr::from(LISTEN), port(7), 5));
    assert_eq!((report.first_sequence, report.last_sequence, report.received), (16, 765, 739));
    assert_eq!(report.missing, [(100, 100), (200, 209)]);
    assert!(!report.missing_cut);
    assert_eq!(report.first_sent_ns, Ask::new(16, 5).sent_ns);
    assert_eq!(report.last_sent_ns, Ask::new(765, 5).sent_ns);
    assert_eq!((report.dropped, asked.reflector.poll_deadline()), (0, None));
    // The next one begins where this one ended.
    for sequence in 770..780 {
        asked.counter(&Ask::new(sequence, 5), port(7));
    }
    let reports = reports_after(&mut asked, 5);
    let [next] = &reports[..] else { panic!("{reports:?}") };
    assert_eq!((next.first_sequence, next.last_sequence), (766, 779));
    assert_eq!((&next.missing[..], next.first_sent_ns), (&[(766, 769)][..], report.last_sent_ns));
}

#[test]
fn a_session_that_never_pauses_is_reported_once_a_minute() {
    let mut asked = reporting();
    let mut reports = Vec::new();
    for sequence in 16..10_000 {
        asked.counter(&Ask::new(sequence, 5), port(7));
        reports.extend(asked.reflector.poll_report(asked.now));
    }
    assert_eq!(reports.len(), 3);
    assert!(reports.windows(2).all(|two| two[1].first_sequence == two[0].last_sequence + 1));
    assert!(reports.iter().all(|report| report.received == 3_000 && report.missing.is_empty()));
}

#[test]
fn what_a_rate_refused_did_arrive() {
    let mut config = ReflectorConfig { reports: true, ..ReflectorConfig::default() };
    config.rates.session = 10;
    let mut asked = Asked::new(config);
    for sequence in 16..66 {
        asked.counter(&Ask::new(sequence, 5), port(7));
    }
    let reports = reports_after(&mut asked, 5);
    let [report] = &reports[..] else { panic!("{reports:?}") };
    assert_eq!((report.received, report.missing.len()), (50, 0));
    assert_eq!(u64::from(report.dropped), asked.reflector.stats().dropped_rate);
    assert!(report.dropped > 20);
}

/// An answer that found no way out was not lost on the way: whoever settles must know.
#[test]
fn what_could_not_be_sent_is_told_with_what_a_rate_refused() {
    let mut asked = reporting();
    for sequence in 16..66 {
        let bytes = Ask::new(sequence, 5).bytes();
        let reply = asked.reflector.handle(&datagram(&bytes, port(7)), asked.now).unwrap();
        let ticket = reply.ticket();
        if sequence % 10 == 0 {
            asked.reflector.not_sent(ticket);
        }
        asked.pass(20);
    }
    let reports = reports_after(&mut asked, 5);
    let [report] = &reports[..] else { panic!("{reports:?}") };
    assert_eq!((report.received, report.missing.len(), report.dropped), (50, 0, 5));
}

#[test]
fn a_single_packet_is_not_reported_and_neither_is_anything_where_nobody_asked() {
    let mut asked = reporting();
    asked.counter(&Ask::new(16, 5), port(7));
    assert_eq!(reports_after(&mut asked, 5), []);
    let mut asked = Asked::new(ReflectorConfig::default());
    for sequence in 16..100 {
        asked.counter(&Ask::new(sequence, 5), port(7));
    }
    assert_eq!(asked.reflector.poll_deadline(), None);
    assert_eq!(reports_after(&mut asked, 5), []);
}

#[test]
fn reports_are_limited_and_those_left_out_are_counted() {
    let mut asked = reporting();
    for sequence in 16..18 {
        for ssid in 1..=900 {
            asked.ask(&Ask::new(sequence, ssid), port(7)).unwrap();
        }
        asked.pass(20);
    }
    let reports = reports_after(&mut asked, 20).len() as u64;
    let stats = asked.reflector.stats();
    assert!((50..=60).contains(&reports), "{reports}");
    assert_eq!((stats.reports, stats.reports_dropped), (reports, 900 - reports));
}

#[test]
fn a_session_that_moved_is_reported_for_each_address_without_a_hole() {
    let mut asked = Asked::new(ReflectorConfig {
        reports: true,
        keys: vec![key()],
        ..ReflectorConfig::default()
    });
    for sequence in 16..100 {
        let from = if sequence < 50 { port(7) } else { port(8) };
        asked.counter(&Ask::new(sequence, 5).sealed(&key()), from);
    }
    let reports = reports_after(&mut asked, 5);
    let told = |index: usize| {
        let report: &SessionReport = &reports[index];
        (report.peer, report.first_sequence, report.last_sequence, report.received)
    };
    assert_eq!(
        (told(0), told(1), reports.len()),
        ((port(7), 16, 49, 34), (port(8), 50, 99, 50), 2)
    );
}
