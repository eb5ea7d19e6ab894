//! The thread's loop step by step, and the thread.

use std::net::UdpSocket;
use std::time::{Duration, Instant};

use busyhour_model::{Body, BootId, TimestampMethod};
use busyhour_net::{Ready, wait};
use busyhour_wire::{
    ErrorEstimate, FOLLOW_UP, FollowUp, Mode, ReflectorPacket, SenderPacket, TimestampFormat, Tlv,
    Tlvs, WireTimestamp, write_tlv,
};

use super::*;
use crate::config::Timestamps;

/// Far longer than anything here takes on a machine that does not stand still.
const BOUND: Duration = Duration::from_secs(60);
const ANY: &str = "127.0.0.1:0";

fn clock() -> Clock {
    Clock::with_boot(BootId::from_u128(7))
}

pub(crate) fn settings() -> ReflectorSettings {
    ReflectorSettings {
        listen: Vec::new(),
        admission: Admitted::Permissive,
        allow: Vec::new(),
        keys: Vec::new(),
        require_key: false,
        stateful: true,
        disclose_addresses: false,
        max_sessions: 10,
        max_sessions_per_address: 10,
        timestamps: Timestamps::Ntp,
    }
}

fn responder() -> Responder {
    Responder::bind(ANY.parse().unwrap(), &settings()).unwrap()
}

fn owner(reports: Option<Reports>) -> (Owner, Waker) {
    let (owner, waker, _) = responder().into_owner(reports);
    (owner, waker)
}

fn sender() -> UdpSocket {
    let socket = UdpSocket::bind(ANY).unwrap();
    socket.set_read_timeout(Some(BOUND)).unwrap();
    socket
}

/// Waits until there is something, as the loop does.
fn ready(owner: &Owner, waker: &Waker) -> Ready {
    wait(&[&owner.socket], waker, Some(Instant::now() + BOUND)).unwrap()
}

fn request(sequence: u32, tlvs: &[Tlv<'_>]) -> Vec<u8> {
    let sent = WireTimestamp::from_unix_ns(busyhour_net::wall_ns(), TimestampFormat::Ntp);
    let error_estimate = ErrorEstimate::UNSYNCHRONIZED;
    let mut bytes = Vec::new();
    SenderPacket { sequence, sent, error_estimate, ssid: 4711 }
        .write(Mode::Unauthenticated, &mut bytes);
    for tlv in tlvs {
        write_tlv(&mut bytes, tlv);
    }
    bytes
}

#[test]
fn a_datagram_from_the_socket_itself_is_dropped_and_others_are_answered() {
    let (mut owner, waker) = owner(None);
    let listen = owner.socket.local_addr();
    owner.socket.try_send_to(&[0; 44], listen, 0).unwrap();
    let seen = ready(&owner, &waker);
    owner.work(seen).unwrap();
    assert_eq!((owner.counts().dropped_own, owner.counts().engine.answered), (1, 0));

    let other = sender();
    other.send_to(&[0; 44], listen).unwrap();
    let seen = ready(&owner, &waker);
    owner.work(seen).unwrap();
    assert_eq!(other.recv(&mut [0; 100]).unwrap(), 44);
    assert_eq!(owner.counts().engine.answered, 1);
}

#[test]
fn requests_that_wait_are_answered_in_batches_in_their_order() {
    let (mut owner, waker) = owner(None);
    let other = sender();
    for sequence in 0..100 {
        other.send_to(&request(sequence, &[]), owner.socket.local_addr()).unwrap();
    }
    let seen = ready(&owner, &waker);
    owner.work(seen).unwrap();
    for sequence in 0..100_u32 {
        let mut answer = [0; 100];
        assert_eq!(other.recv(&mut answer).unwrap(), 44);
        assert_eq!(answer[..4], sequence.to_be_bytes(), "counted in the order of arrival");
        assert_eq!(answer[24..28], sequence.to_be_bytes());
    }
}

#[test]
fn departures_are_stamped_from_the_first_session_on_that_asks_for_them() {
    let (mut owner, waker) = owner(None);
    let (plain, asking) = (sender(), sender());
    let listen = owner.socket.local_addr();
    let mut exchange = |socket: &UdpSocket, bytes: &[u8]| {
        socket.send_to(bytes, listen).unwrap();
        let seen = ready(&owner, &waker);
        owner.work(seen).unwrap();
        let mut answer = [0; 200];
        let length = socket.recv(&mut answer).unwrap();
        (answer[..length].to_vec(), owner.socket.methods().sent)
    };
    let (_, before) = exchange(&plain, &request(0, &[]));
    assert_eq!(before, TimestampMethod::User);
    let tlv = Tlv { flags: 0x80, kind: FOLLOW_UP, value: &[0; 16] };
    let (first, after) = exchange(&asking, &request(0, &[tlv]));
    let (second, _) = exchange(&asking, &request(1, &[tlv]));
    let told = Tlvs::new(&second[44..]).next().unwrap().unwrap();
    let told = FollowUp::parse(told.value).unwrap();
    assert_eq!(told.sequence, 0);
    assert_eq!(after, TimestampMethod::Kernel);
    // The first answer left after it was written, and before the second one was.
    let (first, _) = ReflectorPacket::parse(Mode::Unauthenticated, &first).unwrap();
    let (second, _) = ReflectorPacket::parse(Mode::Unauthenticated, &second).unwrap();
    let moments = [first.sent, told.sent, second.sent]
        .map(|moment| moment.to_unix_ns(TimestampFormat::Ntp).unwrap());
    assert!(moments[0] < moments[1] && moments[1] < moments[2], "{moments:?}");
}

#[test]
fn what_came_of_a_session_becomes_a_record() {
    let (recorder, mut recorded) = Recorder::collecting();
    let (mut owner, waker) = owner(Some(Reports { recorder, clock: clock() }));
    let other = sender();
    for sequence in [5, 6, 9] {
        other.send_to(&request(sequence, &[]), owner.socket.local_addr()).unwrap();
    }
    let seen = ready(&owner, &waker);
    owner.work(seen).unwrap();
    owner.look(Instant::now());
    assert_eq!(recorded().len(), 0, "more may come");
    // Whatever it waits for is over by then.
    for seconds in [5, 10] {
        owner.look(Instant::now() + Duration::from_secs(seconds));
    }
    let [observed] = recorded().try_into().unwrap();
    let Body::SessionReport(report) = &observed.record.body else { panic!("{observed:?}") };
    assert_eq!((report.ssid, report.received), (4711, 3));
    assert_eq!(report.missing, [(7, 8)]);
    assert_eq!(report.listen, owner.socket.local_addr());
    assert_eq!(report.peer, other.local_addr().unwrap());
    let stamp = observed.record.stamp;
    let now = clock().now();
    assert!(stamp.started < now.wall && stamp.ended() <= now.wall);
    // What it waited for is part of it.
    assert!(stamp.duration_us() >= 3_000_000, "{stamp:?}");
    // The beginning on both clocks, although the record was made at the end.
    assert!(stamp.started_boot.0 + stamp.duration_us() <= now.boot.0);
}

#[test]
fn the_thread_answers_until_it_is_told_to_stop() {
    let responder = responder();
    let (view, listen) = (responder.view(), responder.address());
    let (_publish, quality) = watch::channel(ClockQuality::default());
    let thread = responder.start(quality, None).unwrap();
    let other = sender();
    other.send_to(&request(0, &[]), listen).unwrap();
    assert_eq!(other.recv(&mut [0; 100]).unwrap(), 44);
    let stop = CancellationToken::new();
    stop.cancel();
    runtime().block_on(thread.run(stop));
    assert_eq!(view.now().1.engine.answered, 1, "its counts are known to others");
    UdpSocket::bind(listen).unwrap();
}

#[test]
fn a_panic_of_the_thread_goes_on_in_its_watcher() {
    let responder = responder();
    let (living, alive) = oneshot::channel::<()>();
    let thread = ResponderThread {
        thread: std::thread::spawn(|| resume_unwind(Box::new("as a test"))),
        alive,
        ending: Ending { waker: responder.waker, shared: responder.view.shared },
    };
    drop(living);
    let ended =
        runtime().block_on(async { tokio::spawn(thread.run(CancellationToken::new())).await });
    assert!(ended.unwrap_err().is_panic());
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().build().unwrap()
}
