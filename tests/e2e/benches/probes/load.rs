//! What keeps a reflector busy.

use std::net::{Ipv4Addr, SocketAddrV4, UdpSocket};
use std::os::fd::AsRawFd as _;
use std::time::{Duration, Instant};

use crate::batch::{Batch, SIZE};
use crate::requests::{Form, ntp, prepared, wall_ns};

/// Addresses that requests come from, and sessions of each: no session asks for more than the two
/// thousand answers a second that it may have, no address for more than its hundred thousand.
const ADDRESSES: u8 = 4;
const SESSIONS: u32 = 32;
/// Batches under way from each address.
const UNDER_WAY: usize = 2;
/// A reflector that answers nothing for so long is not one.
const PATIENCE: Duration = Duration::from_secs(10);

/// Has `address` answer `packets` requests.
pub(crate) fn load(address: SocketAddrV4, form: Form, packets: u64) {
    let key = prepared();
    let template = form.template();
    let mut batch = Batch::new();
    let sockets: Vec<UdpSocket> = (0..ADDRESSES)
        .map(|host| {
            let local = SocketAddrV4::new(Ipv4Addr::new(127, 0, 0, 10 + host), 0);
            let socket = UdpSocket::bind(local).expect("a socket");
            socket.connect(address).expect("an address");
            socket
        })
        .collect();
    let mut numbers = vec![0_u32; sockets.len()];
    let mut under_way = vec![0_usize; sockets.len()];
    let (mut answered, mut heard) = (0, Instant::now());
    while answered < packets {
        for (at, socket) in sockets.iter().enumerate() {
            let fd = socket.as_raw_fd();
            while under_way[at] <= (UNDER_WAY - 1) * SIZE {
                let now = ntp(wall_ns());
                for packet in &mut batch.octets {
                    let number = numbers[at];
                    numbers[at] += 1;
                    packet[..template.len()].copy_from_slice(&template);
                    let ssid = 1 + (number % SESSIONS) as u16;
                    form.fill(&mut packet[..form.len()], number / SESSIONS, ssid, now, &key);
                }
                under_way[at] += batch.send(fd, SIZE, form.len());
            }
            let came = batch.receive(fd, false);
            for datagram in 0..came {
                assert_eq!(batch.len(datagram), form.len(), "as long as its request");
            }
            under_way[at] = under_way[at].saturating_sub(came);
            answered += came as u64;
            if came > 0 {
                heard = Instant::now();
            }
        }
        let silence = heard.elapsed();
        assert!(silence < PATIENCE, "answers stopped after {answered} of {packets}");
        if silence > PATIENCE / 100 {
            // What is under way was dropped by somebody: begin again.
            under_way.fill(0);
        }
    }
}
