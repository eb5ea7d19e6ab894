//! The prober with real sockets on loopback, and its loop step by step.

use std::net::UdpSocket;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use busyhour_model::{GapReason, PacketCounts, TimestampMethod, TrafficClass};
use busyhour_probe::{
    Datagram, PeerProfile, Profile, Reflector, ReflectorConfig, Security, SenderConfig,
};
use busyhour_wire::{
    ErrorEstimate, Key, Mode, ReflectorPacket, SenderPacket, TimestampFormat, WireTimestamp,
};

use super::owner::tell_drops;
use super::running::Running;
use super::sockets::Shared;
use super::*;
use crate::gap::between;

const HERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);
/// Far longer than anything here takes on a machine that does not stand still.
const BOUND: Duration = Duration::from_secs(60);
/// What one who receives waits for at most before looking whether it is over.
const GLANCE: Duration = Duration::from_millis(20);

/// What a reflector does with the identifier.
#[derive(Clone, Copy)]
enum Identifier {
    Kept,
    Zeroed,
    /// And what is behind the time to live is left out (RFC 5357 section 4.2.1).
    ZeroedAndCut,
}

/// A stateful reflector without TLVs.
struct Far {
    address: SocketAddr,
    over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Far {
    /// One that knows keys, and TLVs.
    fn with_key(key: &Key) -> Self {
        let config = ReflectorConfig { keys: vec![key.clone()], ..ReflectorConfig::default() };
        let mut engine = Reflector::new(config);
        Self::answering(move |bytes, from| {
            let request = Datagram {
                bytes,
                from,
                to: None,
                at_ns: busyhour_net::wall_ns(),
                method: TimestampMethod::User,
                tos: None,
                ttl: None,
            };
            let mut reply = engine.handle(&request, Instant::now())?;
            reply.finish(busyhour_net::wall_ns());
            Some(reply.bytes().to_vec())
        })
    }

    fn start(identifier: Identifier) -> Self {
        let mut counts = Vec::new();
        Self::answering(move |bytes, _| Some(answer(bytes, identifier, &mut counts)))
    }

    fn answering(
        mut answer: impl FnMut(&[u8], SocketAddr) -> Option<Vec<u8>> + Send + 'static,
    ) -> Self {
        let socket = UdpSocket::bind((HERE, 0)).unwrap();
        socket.set_read_timeout(Some(GLANCE)).unwrap();
        let address = socket.local_addr().unwrap();
        let over = Arc::new(AtomicBool::new(false));
        let end = Arc::clone(&over);
        let thread = std::thread::spawn(move || {
            let mut buffer = [0; 2048];
            while !end.load(Ordering::Acquire) {
                let Ok((length, from)) = socket.recv_from(&mut buffer) else { continue };
                if let Some(answer) = answer(&buffer[..length], from) {
                    socket.send_to(&answer, from).unwrap();
                }
            }
        });
        Self { address, over, thread: Some(thread) }
    }
}

impl Drop for Far {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Release);
        let _ = self.thread.take().unwrap().join();
    }
}

fn answer(request: &[u8], identifier: Identifier, counts: &mut Vec<(u16, u32)>) -> Vec<u8> {
    let (request, tail) = SenderPacket::parse(Mode::Unauthenticated, request).unwrap();
    let at = counts.iter().position(|(ssid, _)| *ssid == request.ssid).unwrap_or_else(|| {
        counts.push((request.ssid, 0));
        counts.len() - 1
    });
    let sequence = counts[at].1;
    counts[at].1 += 1;
    let now = WireTimestamp::from_unix_ns(busyhour_net::wall_ns(), TimestampFormat::Ntp);
    let reply = ReflectorPacket {
        sequence,
        sent: now,
        error_estimate: ErrorEstimate::UNSYNCHRONIZED,
        ssid: match identifier {
            Identifier::Kept => request.ssid,
            Identifier::Zeroed | Identifier::ZeroedAndCut => 0,
        },
        received: now,
        sender_sequence: request.sequence,
        sender_sent: request.sent,
        sender_error_estimate: request.error_estimate,
        sender_ttl: 64,
    };
    let mut bytes = Vec::new();
    reply.write(Mode::Unauthenticated, &mut bytes);
    match identifier {
        Identifier::Kept | Identifier::Zeroed => bytes.extend_from_slice(tail),
        Identifier::ZeroedAndCut => bytes.truncate(41),
    }
    bytes
}

fn thread() -> ProberThread {
    ProberThread::start().unwrap()
}

fn order(profile: Profile, peer: SocketAddr) -> Order {
    Order {
        number: 0,
        local: HERE,
        config: SenderConfig::new(profile, peer, 0),
        start: Instant::now(),
        on_address_gone: OnAddressGone::Fail,
    }
}

fn continuous(name: &str) -> Profile {
    Profile::named(name).unwrap().continuous()
}

fn began(probing: &mut Probing) -> Began {
    match probing.events.blocking_recv() {
        Some(Event::Began(began)) => began,
        other => panic!("{other:?} is no beginning"),
    }
}

/// Everything that was counted until the end, and how it ended.
fn ended(mut probing: Probing) -> (PacketCounts, Ended) {
    let mut total = PacketCounts::default();
    while let Some(event) = probing.events.blocking_recv() {
        let Event::Window(observation) = event else { continue };
        let counts = observation.counts;
        total = PacketCounts::new(
            total.scheduled() + counts.scheduled(),
            total.sent() + counts.sent(),
            [
                total.lost_up() + counts.lost_up(),
                total.lost_down() + counts.lost_down(),
                total.lost_unknown() + counts.lost_unknown(),
            ],
            0,
            0,
        )
        .unwrap();
    }
    (total, block_on(&mut probing.ended).unwrap())
}

fn block_on<F: Future>(future: F) -> F::Output {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
}

fn report(prober: &Prober) -> Report {
    block_on(prober.report()).unwrap()
}

/// Waits until every session had this many answers.
fn wait_for_answers(prober: &Prober, answers: u64) -> Report {
    testkit::wait_until("answers came to all sessions", BOUND, || {
        let report = report(prober);
        let enough = report.sessions.iter().all(|session| session.stats.accepted >= answers);
        enough.then_some(report)
    })
}

#[test]
fn sessions_of_one_class_share_a_socket_and_each_gets_its_own_answers() {
    let far = Far::start(Identifier::Kept);
    let (thread, profile) = (thread(), continuous("audio-50"));
    let prober = thread.prober();
    let mut sessions: Vec<Probing> =
        (0..5).map(|_| prober.start(order(profile, far.address)).unwrap()).collect();
    let began: Vec<Began> = sessions.iter_mut().map(began).collect();
    let report = wait_for_answers(&prober, 5);
    let [socket] = report.sockets.as_slice() else { panic!("{:?}", report.sockets) };
    assert_eq!((socket.sessions, socket.counts.stray, socket.counts.stray_stamps), (5, 0, 0));
    assert!(began.iter().all(|one| one.socket == Some(socket.facts)), "{began:?}");
    let mut identifiers: Vec<u16> = began.iter().map(|one| one.ssid).collect();
    identifiers.sort_unstable();
    identifiers.dedup();
    assert_eq!(identifiers.len(), 5, "each has its own");
    assert!(!identifiers.contains(&0));
    for session in sessions {
        session.finish(Finish::AfterAnswers);
        let (counts, ended) = ended(session);
        assert!(matches!(ended.cause, Cause::Told), "{ended:?}");
        assert!(counts.received() >= 5 && counts.lost() == 0, "{counts:?}");
        assert_eq!(ended.stats.rejected, 0, "nobody got what was another's");
    }
    assert!(thread.stop());
}

#[test]
fn each_class_has_a_socket_of_its_own_from_its_own_ports() {
    let far = Far::start(Identifier::Kept);
    let thread = thread();
    let prober = thread.prober();
    let classes = ["audio-50", "video-150", "sharing-150", "best-effort-50"];
    let mut sessions: Vec<Probing> = classes
        .iter()
        .map(|name| prober.start(order(continuous(name), far.address)).unwrap())
        .collect();
    for (session, name) in sessions.iter_mut().zip(classes) {
        let socket = began(session).socket.unwrap();
        let profile = Profile::named(name).unwrap();
        assert_eq!(socket.class, profile.class());
        assert_eq!(socket.preferred, profile.ports().contains(&socket.local.port()), "{socket:?}");
    }
    assert_eq!(report(&prober).sockets.len(), 4);
    drop(sessions);
    // A session that nobody listens to any more ends, and so does its socket.
    testkit::wait_until("the sockets are closed", BOUND, || {
        report(&prober).sockets.is_empty().then_some(())
    });
    assert!(thread.stop());
}

#[test]
fn a_port_of_the_class_that_is_taken_is_noted() {
    // An address of loopback that nobody else uses, so that only these sockets are in the way.
    let local: IpAddr = "127.83.7.1".parse().unwrap();
    let profile = continuous("audio-50");
    let _taken: Vec<UdpSocket> =
        profile.ports().map(|port| UdpSocket::bind((local, port)).unwrap()).collect();
    let thread = thread();
    let far = Far::start(Identifier::Kept);
    let order = Order { local, ..order(profile, far.address) };
    let mut session = thread.prober().start(order).unwrap();
    let socket = began(&mut session).socket.unwrap();
    assert!(!socket.preferred && !profile.ports().contains(&socket.local.port()), "{socket:?}");
    drop(session);
    assert!(thread.stop());
}

#[test]
fn answers_without_an_identifier_go_by_their_peer() {
    let (one, other) = (Far::start(Identifier::Zeroed), Far::start(Identifier::Zeroed));
    let (thread, profile) = (thread(), continuous("audio-50"));
    let prober = thread.prober();
    // Two to the same peer: then it is the numbers and times that tell.
    let peers = [one.address, other.address, other.address];
    let sessions: Vec<Probing> =
        peers.iter().map(|&peer| prober.start(order(profile, peer)).unwrap()).collect();
    wait_for_answers(&prober, 5);
    for session in sessions {
        session.finish(Finish::AfterAnswers);
        let (counts, ended) = ended(session);
        assert!(counts.received() >= 5 && counts.lost() == 0, "{counts:?} {ended:?}");
    }
    assert!(thread.stop());
}

#[test]
fn the_shortest_answers_that_routers_give_find_their_session() {
    let far = Far::start(Identifier::ZeroedAndCut);
    let thread = thread();
    let mut order = order(continuous("audio-50"), far.address);
    order.config.peer_profile = PeerProfile::TWAMP_LIGHT;
    let session = thread.prober().start(order).unwrap();
    let report = wait_for_answers(&thread.prober(), 5);
    assert_eq!(report.sockets[0].counts.stray, 0);
    drop(session);
    assert!(thread.stop());
}

#[test]
fn authenticated_and_open_sessions_share_a_socket() {
    let key = Key::new(b"a key of theirs");
    let far = Far::with_key(&key);
    let thread = thread();
    let prober = thread.prober();
    let with = |security| {
        let mut order = order(continuous("audio-50-190"), far.address);
        order.config.security = security;
        prober.start(order).unwrap()
    };
    let sessions = [
        with(Security::Open),
        with(Security::Authenticated(key.clone())),
        with(Security::Tlvs(key.clone())),
    ];
    let report = wait_for_answers(&prober, 5);
    let [socket] = report.sockets.as_slice() else { panic!("{:?}", report.sockets) };
    assert_eq!((socket.sessions, socket.counts.stray), (3, 0));
    for session in sessions {
        session.finish(Finish::AfterAnswers);
        let (counts, ended) = ended(session);
        assert!(counts.received() >= 5 && counts.lost() == 0, "{counts:?} {ended:?}");
        assert_eq!(ended.stats.rejected, 0, "{ended:?}");
    }
    assert!(thread.stop());
}

#[test]
fn what_belongs_to_nobody_is_counted_as_stray() {
    let silent = UdpSocket::bind((HERE, 0)).unwrap();
    let thread = thread();
    let prober = thread.prober();
    let order = order(continuous("audio-50"), silent.local_addr().unwrap());
    let mut session = prober.start(order).unwrap();
    let Began { ssid, socket } = began(&mut session);
    let to = socket.unwrap().local;
    let stranger = UdpSocket::bind((HERE, 0)).unwrap();
    let foreign = |ssid: u16| {
        let mut bytes = vec![0; 44];
        bytes[14..16].copy_from_slice(&ssid.to_be_bytes());
        bytes
    };
    // Too short, of another session, of none with a foreign address, and ours with a foreign address.
    for bytes in [vec![0; 43], foreign(ssid ^ 1), foreign(0), foreign(ssid)] {
        stranger.send_to(&bytes, to).unwrap();
    }
    let counted = testkit::wait_until("all arrived", BOUND, || {
        let report = report(&prober);
        (report.sockets[0].counts.received == 4).then_some(report)
    });
    assert_eq!(counted.sockets[0].counts.stray, 3);
    assert_eq!(counted.sessions[0].stats.rejected, 1);
    drop(session);
    assert!(thread.stop());
}

#[test]
fn a_session_that_begins_anew_takes_no_answers_of_the_one_before() {
    let far = UdpSocket::bind((HERE, 0)).unwrap();
    far.set_read_timeout(Some(BOUND)).unwrap();
    let (thread, profile) = (thread(), continuous("audio-50"));
    let prober = thread.prober();
    let another = prober.start(order(profile, far.local_addr().unwrap())).unwrap();
    let mut first = prober.start(order(profile, far.local_addr().unwrap())).unwrap();
    let before = began(&mut first).ssid;
    let mut buffer = [0; 2048];
    // A request of the first session, to be answered when there is a second one in its place.
    let (late, from) = loop {
        let (length, from) = far.recv_from(&mut buffer).unwrap();
        let (request, _) = SenderPacket::parse(Mode::Unauthenticated, &buffer[..length]).unwrap();
        if request.ssid == before {
            break (answer(&buffer[..length], Identifier::Kept, &mut Vec::new()), from);
        }
    };
    first.finish(Finish::Now);
    let (counts, _) = ended(first);
    assert_eq!(counts.lost(), 0, "what was still under way does not count");
    let mut second = prober.start(order(profile, far.local_addr().unwrap())).unwrap();
    assert_ne!(began(&mut second).ssid, before);
    far.send_to(&late, from).unwrap();
    let counted = testkit::wait_until("the late answer arrived", BOUND, || {
        let report = report(&prober);
        (report.sockets[0].counts.received == 1).then_some(report)
    });
    assert_eq!(counted.sockets[0].counts.stray, 1);
    drop((another, second));
    assert!(thread.stop());
}

#[test]
fn what_this_machine_cannot_send_is_lost() {
    // From a loopback address there is no way to anywhere else.
    let thread = thread();
    let prober = thread.prober();
    let elsewhere = "192.0.2.1:862".parse().unwrap();
    let session = prober.start(order(continuous("audio-50"), elsewhere)).unwrap();
    testkit::wait_until("some were due", BOUND, || {
        (report(&prober).sockets[0].counts.unreachable >= 5).then_some(())
    });
    session.finish(Finish::AfterAnswers);
    let (counts, _) = ended(session);
    assert!(counts.sent() >= 5, "{counts:?}");
    assert_eq!((counts.received(), counts.lost_unknown()), (0, counts.sent()));
    assert!(thread.stop());
}

#[test]
fn an_address_that_is_gone_is_an_error_or_an_outage() {
    let thread = thread();
    let prober = thread.prober();
    let local = "192.0.2.77".parse().unwrap();
    let peer = "192.0.2.1:862".parse().unwrap();
    let gone =
        |on_address_gone| Order { local, on_address_gone, ..order(continuous("audio-50"), peer) };
    let (_, refused) = ended(prober.start(gone(OnAddressGone::Fail)).unwrap());
    assert!(
        matches!(&refused.cause, Cause::Unopened(error) if error.is_address_gone()),
        "{refused:?}"
    );
    let mut outage = prober.start(gone(OnAddressGone::LoseAll)).unwrap();
    assert_eq!(began(&mut outage).socket, None);
    // There is nothing to count packets by but the windows; a short one is over soon.
    let short = Duration::from_millis(100);
    let quick = continuous("audio-50").with_schedule(short, short).unwrap();
    let order = Order { config: SenderConfig::new(quick, peer, 0), ..gone(OnAddressGone::LoseAll) };
    let mut windows = prober.start(order).unwrap();
    assert_eq!(began(&mut windows).socket, None);
    let Some(Event::Window(window)) = windows.events.blocking_recv() else { panic!("no window") };
    assert!(window.counts.sent() > 0, "{:?}", window.counts);
    assert_eq!(window.counts.lost_unknown(), window.counts.sent());
    drop((outage, windows));
    assert!(thread.stop());
}

#[test]
fn a_session_that_cannot_be_is_refused_with_its_reason() {
    let thread = thread();
    let mut order = order(continuous("audio-50"), "127.0.0.1:9".parse().unwrap());
    order.config.security = Security::Authenticated(Key::new(b"a key"));
    let (_, refused) = ended(thread.prober().start(order).unwrap());
    assert!(matches!(refused.cause, Cause::Invalid(_)), "{refused:?}");
    assert_eq!(report(&thread.prober()).sockets, [], "its socket is not kept");
    assert!(thread.stop());
}

#[test]
fn the_end_of_the_thread_ends_its_sessions_and_is_noticed() {
    let far = Far::start(Identifier::Kept);
    let mut thread = thread();
    let prober = thread.prober();
    let session = prober.start(order(continuous("audio-50"), far.address)).unwrap();
    wait_for_answers(&prober, 1);
    prober.tell(Command::Stop).unwrap();
    let (counts, ended) = ended(session);
    assert!(counts.received() >= 1 && matches!(ended.cause, Cause::Told), "{counts:?}");
    block_on(thread.ended());
    assert!(prober.start(order(continuous("audio-50"), far.address)).is_err());
    assert!(thread.stop());
}

/// An owner without a thread, to be driven by hand.
fn owner() -> Owner {
    Owner::new(sync_channel(1).1, Waker::new().unwrap())
}

/// Gives it a session as its task would.
fn begin(owner: &mut Owner, order: Order) -> Probing {
    begin_with(owner, order, MAX_EVENTS)
}

/// The same with a task that hears of so many events at a time.
fn begin_with(owner: &mut Owner, order: Order, events: usize) -> Probing {
    let (events, heard) = mpsc::channel(events);
    let (ended, end) = oneshot::channel();
    let wish = Arc::new(Wish::default());
    let waker = Waker::new().unwrap();
    let commission = Commission { order, events, ended, wish: Arc::clone(&wish) };
    owner.begin(commission);
    Probing { events: heard, ended: end, wish, waker }
}

#[test]
fn what_is_due_is_sent_in_the_order_in_which_it_was_due() {
    let far = UdpSocket::bind((HERE, 0)).unwrap();
    let mut owner = owner();
    let now = busyhour_net::paired_now();
    let late = |millis| now.monotonic.checked_sub(Duration::from_millis(millis)).unwrap();
    let mut expected = Vec::new();
    let mut sessions = Vec::new();
    for millis in [3, 9, 1, 7, 5] {
        let order = Order {
            start: late(millis),
            ..order(continuous("audio-50"), far.local_addr().unwrap())
        };
        let mut session = begin(&mut owner, order);
        expected.push((late(millis), began(&mut session).ssid));
        sessions.push(session);
    }
    expected.sort_unstable();
    owner.send_due(now);
    // By the socket's own count; loopback itself does not keep the order between processors.
    for (id, (_, ssid)) in (0..).zip(expected) {
        assert_eq!(owner.sockets[0].sender_of(id), Some(ssid), "the packet sent as {id}");
    }
    drop(sessions);
}

#[test]
fn a_session_that_ends_waits_for_what_is_under_way() {
    let far = UdpSocket::bind((HERE, 0)).unwrap();
    far.set_read_timeout(Some(BOUND)).unwrap();
    let mut owner = owner();
    let now = busyhour_net::paired_now();
    let order =
        Order { start: now.monotonic, ..order(continuous("audio-50"), far.local_addr().unwrap()) };
    let session = begin(&mut owner, order);
    owner.send_due(now);
    session.finish(Finish::AfterAnswers);
    owner.obey(now);
    assert_eq!(owner.sessions.len(), 1, "it does not end yet");
    let mut buffer = [0; 2048];
    let (length, from) = far.recv_from(&mut buffer).unwrap();
    let answer = answer(&buffer[..length], Identifier::Kept, &mut Vec::new());
    far.send_to(&answer, from).unwrap();
    let ready = owner.wait();
    owner.receive(ready);
    owner.obey(busyhour_net::paired_now());
    let (counts, _) = ended(session);
    assert_eq!((counts.sent(), counts.received()), (1, 1));
}

#[test]
fn sleep_ends_every_session_and_only_what_was_over_before_is_kept() {
    let far = UdpSocket::bind((HERE, 0)).unwrap();
    let mut owner = owner();
    let now = busyhour_net::paired_now();
    let order =
        Order { start: now.monotonic, ..order(continuous("audio-50"), far.local_addr().unwrap()) };
    let session = begin(&mut owner, order);
    owner.look(now);
    owner.send_due(now);
    // Boot time ran on by ten seconds, which monotonic time did not.
    let mut after = busyhour_net::paired_now();
    after.boot.0 += 10_000_000;
    after.wall_ns += 10_000_000_000;
    let spans = between(&now.into(), &after.into());
    assert_eq!(spans[0].reason, GapReason::Asleep);
    owner.look(after);
    let (counts, ended) = ended(session);
    assert!(matches!(ended.cause, Cause::Disturbed), "{ended:?}");
    assert_eq!((counts.sent(), ended.windows_discarded), (0, 1));
}

#[test]
fn drops_of_a_shared_socket_are_told_to_those_who_wait_for_answers() {
    let far = UdpSocket::bind((HERE, 0)).unwrap();
    let mut owner = owner();
    let now = busyhour_net::paired_now();
    let later = now.monotonic + Duration::from_secs(3600);
    let peer = far.local_addr().unwrap();
    let profile = continuous("audio-50");
    let at = |start| Order { start, ..order(profile, peer) };
    let sessions = [begin(&mut owner, at(now.monotonic)), begin(&mut owner, at(later))];
    owner.send_due(now);
    let key = owner.sockets[0].key();
    assert_eq!(owner.sockets[0].take_drops(3), 3);
    assert_eq!(owner.sockets[0].take_drops(5), 2);
    assert_eq!(owner.sockets[0].counts.queue_drops, 5);
    tell_drops(&mut owner.sessions, key, 5);
    let told: Vec<u32> = owner.sessions.iter().map(Running::queue_drops).collect();
    assert_eq!(told, [5, 0]);
    assert_eq!(owner.sockets.iter().map(Shared::key).collect::<Vec<_>>(), [key]);
    assert_eq!(key.class, TrafficClass::Audio);
    drop(sessions);
}

#[test]
fn a_socket_that_breaks_ends_the_sessions_that_share_it_and_no_others() {
    let far = UdpSocket::bind((HERE, 0)).unwrap();
    let peer = far.local_addr().unwrap();
    let mut owner = owner();
    let now = busyhour_net::paired_now();
    let mut start = |name: &str| {
        begin(&mut owner, Order { start: now.monotonic, ..order(continuous(name), peer) })
    };
    let sessions = [start("audio-50"), start("best-effort-50"), start("audio-50")];
    owner.send_due(now);
    assert_eq!(owner.sockets[0].key().class, TrafficClass::Audio);
    let broken = SocketError::Bind { address: peer, source: io::ErrorKind::NetworkDown.into() };
    owner.fail(0, broken, now.monotonic);
    let [one, stays, other] = sessions;
    for session in [one, other] {
        let (counts, ended) = ended(session);
        assert!(matches!(ended.cause, Cause::Broken(_)), "{ended:?}");
        assert_eq!((counts.sent(), counts.lost()), (0, 0), "what was under way does not count");
    }
    assert_eq!((owner.sockets.len(), owner.sessions.len()), (1, 1));
    assert_eq!(owner.sockets[0].key().class, TrafficClass::BestEffort);
    drop(stays);
}

#[test]
fn of_windows_that_its_task_does_not_take_it_hears_when_and_how_many_they_were() {
    let length = Duration::from_millis(100);
    let profile = continuous("audio-50").with_schedule(length, length).unwrap();
    let now = busyhour_net::paired_now();
    let order = Order { start: now.monotonic, ..order(profile, "192.0.2.1:862".parse().unwrap()) };
    let (events, mut heard) = mpsc::channel(1);
    let (ended, mut end) = oneshot::channel();
    let commission = Commission { order, events, ended, wish: Arc::new(Wish::default()) };
    let mut session = Running::begin(commission, 7, None, None).unwrap();
    let mut until = now;
    let mut run = |session: &mut Running, windows: u32| {
        let over = now.monotonic + length * windows + Duration::from_secs(3);
        while until.monotonic < over {
            until.monotonic += Duration::from_millis(20);
            until.wall_ns += 20_000_000;
            // Once more when a packet was due: a window may be to be closed, too.
            while session.transmit(None, until) {}
            session.close(until.monotonic);
        }
        until.monotonic
    };
    // Its beginning fills the queue until the first windows are closed.
    run(&mut session, 3);
    assert!(matches!(heard.try_recv(), Ok(Event::Began(_))));
    let last = run(&mut session, 40);
    let Ok(Event::Missed(missed)) = heard.try_recv() else {
        panic!("windows went missing in silence")
    };
    assert_eq!(missed.started.monotonic, now.monotonic);
    assert!(missed.windows >= 3, "{missed:?}");
    assert_eq!(
        missed.length,
        length * missed.windows as u32,
        "one after the other, from the first"
    );
    session.end(last, Cause::Told, None);
    let ended = end.try_recv().unwrap();
    // The queue had room for one more.
    let Ok(Event::Missed(then)) = heard.try_recv() else {
        panic!("windows went missing in silence")
    };
    assert_eq!(then.started.monotonic, missed.started.monotonic + missed.length);
    let rest = ended.missed.unwrap();
    assert_eq!(rest.started.monotonic, then.started.monotonic + then.length);
    assert_eq!(ended.windows_dropped, missed.windows + then.windows + rest.windows);
}
