//! The bare loops: what answering and probing cost at least, with the same ancillary data and the
//! same HMACs as ours, and without sessions, checks or arithmetic.

use std::net::SocketAddrV4;
use std::os::fd::AsRawFd as _;
use std::time::{Duration, Instant};

use crate::batch::{self, Batch, SIZE};
use crate::requests::{Form, ntp, prepared, wall_ns};

/// Loops end by themselves after this long.
const LIMIT: Duration = Duration::from_secs(1_800);

/// Answers everything until it is ended.
pub(crate) fn reflector(form: Form) {
    let socket = batch::socket(form.follow_up);
    println!("{}", socket.local_addr().expect("its address"));
    let (fd, key) = (socket.as_raw_fd(), prepared());
    let mut batch = Batch::new();
    let (mut lens, mut marks) = ([0; SIZE], [0; SIZE]);
    let mut counter = 0_u32;
    let started = Instant::now();
    while started.elapsed() < LIMIT {
        let count = batch.receive(fd, true);
        for at in 0..count {
            lens[at] = batch.len(at);
            let ancillary = batch.ancillary(at);
            std::hint::black_box(ancillary.drops);
            marks[at] = 46 << 2;
            let packet = &mut batch.octets[at][..lens[at]];
            if form.keyed && !form.is_sealed(packet, &key) {
                continue;
            }
            answer(form, packet, counter, ancillary);
            counter = counter.wrapping_add(1);
            if form.keyed {
                form.seal(packet, &key);
            }
        }
        batch.answer(fd, count, &lens, &marks);
        if form.follow_up {
            batch.drain_errors(fd);
        }
    }
}

/// Turns a request into an answer at fixed places.
fn answer(form: Form, packet: &mut [u8], counter: u32, ancillary: batch::Ancillary) {
    let received = ntp(ancillary.at_ns).to_be_bytes();
    let request_sequence: [u8; 4] = packet[..4].try_into().expect("four octets");
    let (time, estimate, _) = form.time();
    let request_time: [u8; 8] = packet[time..time + 8].try_into().expect("eight octets");
    let request_estimate: [u8; 2] = packet[estimate..estimate + 2].try_into().expect("two");
    packet[..4].copy_from_slice(&counter.to_be_bytes());
    let (at, sequence, sent, ttl) = if form.keyed { (32, 48, 64, 80) } else { (16, 24, 28, 40) };
    packet[at..at + 8].copy_from_slice(&received);
    packet[sequence..sequence + 4].copy_from_slice(&request_sequence);
    packet[sent..sent + 8].copy_from_slice(&request_time);
    packet[sent + 8..sent + 10].copy_from_slice(&request_estimate);
    packet[ttl] = ancillary.ttl;
    let tlvs = form.base();
    // Class of Service: what arrived; Direct Measurement: two counters.
    packet[tlvs] = 0;
    packet[tlvs + 4] = 46 << 2 | ancillary.tos >> 6;
    packet[tlvs + 5] = (ancillary.tos >> 2) << 4;
    packet[tlvs + 8] = 0;
    packet[tlvs + 16..tlvs + 20].copy_from_slice(&counter.to_be_bytes());
    packet[tlvs + 20..tlvs + 24].copy_from_slice(&counter.to_be_bytes());
    packet[time..time + 8].copy_from_slice(&ntp(wall_ns()).to_be_bytes());
}

/// Sends `rate` packets a second to each target and takes the answers, one by one.
pub(crate) fn agent(rate: &str, targets: &[&str]) {
    let rate: u64 = rate.parse().expect("packets a second");
    let targets: Vec<SocketAddrV4> =
        targets.iter().map(|text| text.parse().expect("an address")).collect();
    let form = Form { keyed: false, follow_up: true };
    let (socket, key) = (batch::socket(true), prepared());
    batch::mark(&socket, 46 << 2);
    println!("ready");
    let fd = socket.as_raw_fd();
    let mut request = form.template();
    let mut buffer = [0; batch::OCTETS];
    let step = Duration::from_nanos(1_000_000_000 / (rate * targets.len() as u64));
    let started = Instant::now();
    let mut number = 0_u32;
    while started.elapsed() < LIMIT {
        let due = started + step * number;
        let left = due.saturating_duration_since(Instant::now());
        if !left.is_zero() && !batch::wait(fd, left.as_nanos() as u64) {
            // Nothing came, and the next packet is due.
        }
        while batch::receive_one(fd, &mut buffer, libc::MSG_ERRQUEUE).is_some() {}
        while let Some((_, ancillary)) = batch::receive_one(fd, &mut buffer, 0) {
            std::hint::black_box((ancillary.at_ns, ancillary.tos, ancillary.ttl, wall_ns()));
        }
        if Instant::now() >= due {
            let to = targets[number as usize % targets.len()];
            form.fill(&mut request, number, 1 + (number % 100) as u16, ntp(wall_ns()), &key);
            batch::send_one(fd, &request, to);
            number += 1;
        }
    }
}
