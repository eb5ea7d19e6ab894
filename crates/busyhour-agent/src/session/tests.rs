use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::Duration;

use busyhour_host::HostError;
use busyhour_model::{AgentId, Body, BootId, Fact, GapReason, Record, Stamp};
use busyhour_net::SocketError;
use testkit::wait_until;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::way::{ProbeError, changed};
use super::{Board, Session, SessionState};
use crate::clock::Clock;
use crate::config::{RawConfig, Target};
use crate::load::Links;
use crate::pause::{Pause, Switch, Why};
use crate::prober::ProberThread;
use crate::spool::Recorder;

/// Far longer than anything here takes on a machine that does not stand still.
const BOUND: Duration = Duration::from_secs(60);
const PEER: &str = "192.0.2.1:862";

#[test]
fn a_session_goes_on_while_there_is_no_way_at_all_and_takes_another_when_there_is() {
    let peer: SocketAddr = PEER.parse().unwrap();
    let other: SocketAddr = "[2001:db8::1]:862".parse().unwrap();
    let here: IpAddr = "10.0.0.2".parse().unwrap();
    let elsewhere = Some("10.9.0.2".parse().unwrap());
    let table = [
        (&[peer][..], Some(here), None, None),
        (&[peer], None, None, None),
        (&[peer, other], None, None, None),
        (&[other], Some(here), None, None),
        (&[peer], elsewhere, None, Some("the route")),
        (&[peer, other], None, elsewhere, Some("the route")),
        (&[other], Some(here), elsewhere, Some("the target's address")),
    ];
    for (peers, to_peer, to_other, expected) in table {
        let local = |to| if to == peer { to_peer } else { to_other };
        assert_eq!(changed(peer, Some(here), peers, local), expected, "{peers:?} {to_peer:?}");
    }
}

#[test]
fn a_session_without_a_socket_begins_anew_as_soon_as_there_is_a_way() {
    let peer: SocketAddr = PEER.parse().unwrap();
    assert_eq!(changed(peer, None, &[peer], |_| None), None);
    let way = Some("10.0.0.2".parse().unwrap());
    assert_eq!(changed(peer, None, &[peer], |_| way), Some("the route"));
}

#[test]
fn no_way_is_an_outage_and_no_name_is_a_gap() {
    let gone = |kind: std::io::ErrorKind| {
        ProbeError::Socket(Arc::new(SocketError::Bind {
            address: PEER.parse().unwrap(),
            source: kind.into(),
        }))
    };
    let route = ProbeError::Route(HostError::NoRoute {
        destination: PEER.parse().unwrap(),
        source: std::io::ErrorKind::NetworkUnreachable.into(),
    });
    assert!(route.is_outage() && gone(std::io::ErrorKind::AddrNotAvailable).is_outage());
    assert!(!gone(std::io::ErrorKind::PermissionDenied).is_outage());
    assert!(!ProbeError::Unresolved.is_outage());
    assert_eq!(ProbeError::Unresolved.reason(), GapReason::Unresolved);
    assert_eq!(gone(std::io::ErrorKind::PermissionDenied).reason(), GapReason::NotRunning);
}

/// What is probed on this machine in windows of 200 ms without a pause.
fn continuous(port: u16) -> Target {
    let text = format!(
        "[[target]]\nname = \"localhost:{port}\"\nschedule = \"continuous\"\nwindow = \"200ms\""
    );
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("agent.toml");
    std::fs::write(&file, text).unwrap();
    let raw: RawConfig = busyhour_daemon::load(Some(&file), &[]).unwrap();
    raw.resolve().unwrap().targets.remove(0)
}

// Blocking the test's own thread does not hold up the session, which has another.
#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn another_address_closes_the_window_and_is_a_fact() {
    // Silent ones: what is not answered is observed all the same.
    let silent = UdpSocket::bind("0.0.0.0:0").unwrap();
    let port = silent.local_addr().unwrap().port();
    let [old, new] = ["127.83.8.1", "127.83.8.2"].map(|ip| SocketAddr::new(ip.parse().unwrap(), 0));
    let target = continuous(port);
    let boot: BootId = "6f1ed002-ab5e-4c0e-9d2c-0d9b8e4c3a10".parse().unwrap();
    let (publish, addresses) = watch::channel(vec![old]);
    let (recorder, mut collected) = Recorder::collecting();
    let thread = ProberThread::start().unwrap();
    let board = Board::default();
    let session = Session {
        number: 0,
        agent: AgentId::from_u128(1),
        target,
        addresses,
        clock: Clock::with_boot(boot),
        links: Links::default(),
        board: board.clone(),
        recorder,
        prober: thread.prober(),
        switch: Switch::on(),
        since: None,
    };
    let stop = CancellationToken::new();
    let running = tokio::spawn(session.run(stop.clone()));
    let peer = |board: &Board| board.views().first()?.way.as_ref().map(|way| way.peer);
    wait_until("probing", BOUND, || peer(&board));
    // The same addresses again change nothing.
    publish.send(vec![new, old]).unwrap();
    let windows = |board: &Board| board.views()[0].windows;
    wait_until("a window", BOUND, || (windows(&board) > 0).then_some(()));
    assert_eq!(peer(&board), Some(SocketAddr::new(old.ip(), port)));
    publish.send(vec![new]).unwrap();
    let other = SocketAddr::new(new.ip(), port);
    wait_until("the other address", BOUND, || (peer(&board) == Some(other)).then_some(()));
    let before = windows(&board);
    wait_until("a window of it", BOUND, || (windows(&board) > before).then_some(()));
    stop.cancel();
    running.await.unwrap();
    assert!(thread.stop());

    let records: Vec<Record> = collected().into_iter().map(|observed| observed.record).collect();
    let window = |record: &Record| matches!(&record.body, Body::Window(_));
    let facts: Vec<(usize, &Fact, &Record)> = records
        .iter()
        .enumerate()
        .filter_map(|(at, record)| match &record.body {
            Body::Fact(fact) => Some((at, fact, record)),
            _ => None,
        })
        .collect();
    let [(at, fact, record)] = facts.as_slice() else { panic!("{facts:?}") };
    assert_eq!((fact.kind.as_str(), fact.value.clone()), ("target-address", other.to_string()));
    assert_eq!(record.context.resolved, Some(other));
    let resolved = |records: &[Record]| -> Vec<Option<SocketAddr>> {
        let mut all: Vec<_> =
            records.iter().filter(|one| window(one)).map(|one| one.context.resolved).collect();
        all.dedup();
        all
    };
    let first = SocketAddr::new(old.ip(), port);
    assert_eq!(resolved(&records[..*at]), [Some(first)], "no window has both");
    assert_eq!(resolved(&records[*at..]), [Some(other)]);
    // Two sessions, with identifiers of their own.
    let mut identifiers: Vec<u16> = records
        .iter()
        .filter_map(|record| match &record.body {
            Body::Window(window) => Some(window.ssid),
            _ => None,
        })
        .collect();
    identifiers.dedup();
    assert_eq!(identifiers.len(), 2, "{identifiers:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_rest_with_two_reasons_is_a_gap_of_each_without_a_hole_or_an_overlap() {
    let silent = UdpSocket::bind("127.0.0.1:0").unwrap();
    let port = silent.local_addr().unwrap().port();
    let clock = Clock::with_boot(BootId::from_u128(7));
    let of_machine = |why| Some(Pause::of_machine(why, clock.now().wall));
    let (turn, switch) = watch::channel(of_machine(Why::Battery));
    let addresses = vec![SocketAddr::new("127.0.0.1".parse().unwrap(), 0)];
    let (_publish, addresses) = watch::channel(addresses);
    let (recorder, mut collected) = Recorder::collecting();
    let thread = ProberThread::start().unwrap();
    let board = Board::default();
    let session = Session {
        number: 0,
        agent: AgentId::from_u128(1),
        target: continuous(port),
        addresses,
        clock,
        links: Links::default(),
        board: board.clone(),
        recorder,
        prober: thread.prober(),
        switch: Switch::new(switch),
        since: None,
    };
    let stop = CancellationToken::new();
    let running = tokio::spawn(session.run(stop.clone()));
    let state = |board: &Board| board.views().first().map(|view| view.state);
    for (why, next) in [
        (Why::Battery, of_machine(Why::Owner)),
        // For how long it lasts is no other reason.
        (Why::Owner, of_machine(Why::Owner)),
        (Why::Owner, of_machine(Why::Metered)),
        (Why::Metered, None),
    ] {
        let waits = SessionState::Waiting(why.reason());
        wait_until("a rest", BOUND, || (state(&board) == Some(waits)).then_some(()));
        let begun = clock.now().monotonic;
        wait_until("some windows", BOUND, || (begun.elapsed().as_millis() > 600).then_some(()));
        turn.send(next).unwrap();
    }
    wait_until("a window", BOUND, || (board.views()[0].windows > 0).then_some(()));
    stop.cancel();
    running.await.unwrap();
    assert!(thread.stop());

    let mut gaps: Vec<(GapReason, Stamp)> = Vec::new();
    for observed in collected() {
        if let Body::Gap(gap) = &observed.record.body {
            gaps.push((gap.reason, observed.record.stamp));
        }
    }
    let reasons: Vec<GapReason> = gaps.iter().map(|(reason, _)| *reason).collect();
    assert_eq!(
        reasons.get(..3),
        Some(&[GapReason::OnBattery, GapReason::Paused, GapReason::Metered][..]),
        "{gaps:?}"
    );
    let ends = |stamp: &Stamp| stamp.started.plus(Duration::from_micros(stamp.duration_us()));
    for pair in gaps.windows(2) {
        assert_eq!(ends(&pair[0].1), pair[1].1.started, "{gaps:?}");
    }
}
