//! Instructions that a window of arithmetic takes, counted by callgrind, so that a regression shows
//! whatever else the machine is doing:
//!
//!     cargo bench --package busyhour-probe --bench window
//!
//! Fails when a figure is more than a tenth above what is recorded here.

use std::net::SocketAddr;
use std::process::Command;
use std::time::{Duration, Instant};

use busyhour_model::{BootMicros, ClockPair, TimestampMethod};
use busyhour_probe::{Datagram, Profile, Reflector, ReflectorConfig, Sender, SenderConfig};

/// Instructions for a window of 750 packets that the sender takes, recorded.
const SENDER: u64 = 4_197_000;
/// Instructions for 750 packets that the reflector takes, recorded.
const REFLECTOR: u64 = 2_020_000;
/// Windows in the shorter and in the longer run; what they differ by is no start-up.
const FEW: u64 = 2;
const MANY: u64 = 12;

const WALL_NS: i64 = 1_790_000_000_000_000_000;
const MILLISECOND: i64 = 1_000_000;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    if let ["--feed", windows, reflectors] = words[..] {
        let number = |text: &str| text.parse().expect("a number");
        return feed(number(windows), number(reflectors));
    }
    let one = per_window(1);
    let two = per_window(2);
    let reflector = two - one;
    let sender = one - reflector;
    println!(
        "Instructions for a window of 750 packets (audio-50, open, a packet lost in a hundred)"
    );
    let mut slower = false;
    for (name, found, recorded) in [("sender", sender, SENDER), ("reflector", reflector, REFLECTOR)]
    {
        let share = found as f64 / recorded.max(1) as f64;
        let each = found / 750;
        println!("  {name:<10} {found:>9}  {each:>6} a packet  recorded {recorded} ({share:.2})");
        slower |= share > 1.1;
    }
    assert!(!slower, "more than a tenth slower than recorded: mend it, or record why in this file");
}

/// Instructions for each window with so many reflectors.
fn per_window(reflectors: u64) -> u64 {
    (count(MANY, reflectors) - count(FEW, reflectors)) / (MANY - FEW)
}

/// Instructions of a run of this program under callgrind.
fn count(windows: u64, reflectors: u64) -> u64 {
    let own = std::env::current_exe().expect("this program");
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(own)
        .args(["--feed", &windows.to_string(), &reflectors.to_string()])
        .output()
        .expect("valgrind runs (.ci/packages installs it)");
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{text}");
    let collected = text.lines().find_map(|line| line.split("Collected : ").nth(1));
    collected.and_then(|number| number.trim().parse().ok()).expect("callgrind counts")
}

/// Runs windows through a sender and a reflector; further reflectors get the same requests.
fn feed(windows: u64, reflectors: u64) {
    let (agent, target) = (address("192.0.2.10:50000"), address("198.51.100.20:862"));
    let origin = Instant::now();
    let profile = Profile::named("audio-50").expect("a profile");
    let config = SenderConfig::new(profile, target, 7);
    let mut sender = Sender::new(config, origin).expect("a session");
    let mut engines: Vec<Reflector> =
        (0..reflectors).map(|_| Reflector::new(ReflectorConfig::default())).collect();
    let end = origin + profile.period() * windows as u32;
    let (mut now, mut observed, mut sent) = (origin, 0, 0_u64);
    while now < end {
        let clocks = at(origin, now);
        while let Some(packet) = sender.poll_transmit(clocks) {
            let (sequence, request) = (packet.sequence, packet.bytes.to_vec());
            sent += 1;
            sender.sent(sequence, Some(sequence));
            sender.handle_stamp(sequence, clocks.wall_ns, TimestampMethod::Kernel);
            if sent % 100 == 0 {
                continue;
            }
            let up = 5 * MILLISECOND + (sent as i64 * 7_919) % MILLISECOND;
            let mut answer = None;
            for engine in &mut engines {
                let asked = datagram(&request, agent, Some(target), clocks.wall_ns + up);
                let mut reply = engine.handle(&asked, now).expect("an answer");
                reply.finish(clocks.wall_ns + up + MILLISECOND / 20);
                answer = Some(reply.bytes().to_vec());
            }
            let back = at(origin, now + Duration::from_millis(11));
            let answer = answer.expect("a reflector");
            let heard = datagram(&answer, target, Some(agent), back.wall_ns);
            let _ = std::hint::black_box(sender.handle_reply(&heard, back));
        }
        while let Some(observation) = sender.poll_event(now) {
            std::hint::black_box(&observation);
            observed += 1;
        }
        now = sender.poll_deadline().unwrap_or(end).max(now + Duration::from_nanos(1));
    }
    assert!(observed >= windows - 1, "windows close");
}

fn address(text: &str) -> SocketAddr {
    text.parse().expect("an address")
}

fn at(origin: Instant, now: Instant) -> ClockPair {
    let since = now.duration_since(origin);
    ClockPair {
        monotonic: now,
        wall_ns: WALL_NS + since.as_nanos() as i64,
        boot: BootMicros(since.as_micros() as u64),
    }
}

fn datagram(bytes: &[u8], from: SocketAddr, to: Option<SocketAddr>, at_ns: i64) -> Datagram<'_> {
    let (tos, ttl) = (Some(46 << 2), Some(61));
    Datagram { bytes, from, to, at_ns, method: TimestampMethod::Kernel, tos, ttl }
}
