//! A one-way link that loses, delays, duplicates and reorders packets, without input or output:
//! packets go in with a time, and come out when their time has come.

use std::cmp::Ordering;
use std::collections::BinaryHeap;
use std::time::{Duration, Instant};

use fastrand::Rng;

/// How packets get lost.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Loss {
    /// Not at all.
    None,
    /// Each with this probability.
    Random(f64),
    /// In bursts: two states, with the probabilities to enter and to leave the bad one at each packet,
    /// in which packets are lost with `lost` (E. N. Gilbert 1960, E. O. Elliott 1963).
    GilbertElliott {
        /// Good to bad.
        enter: f64,
        /// Bad to good.
        leave: f64,
        /// Lost while bad.
        lost: f64,
    },
}

/// Whether jitter lets packets overtake each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// A queue: a packet comes out no sooner than those before it.
    Kept,
    /// Each packet takes its own time.
    Free,
}

/// What a link does to packets.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Impairment {
    /// Loss.
    pub loss: Loss,
    /// The least delay.
    pub delay: Duration,
    /// The most that is added to it, uniformly.
    pub jitter: Duration,
    /// Whether that reorders.
    pub order: Order,
    /// The probability that a packet comes out twice.
    pub duplicate: f64,
}

impl Impairment {
    /// A clean link with this delay.
    #[must_use]
    pub const fn delay(delay: Duration) -> Self {
        let order = Order::Kept;
        Self { loss: Loss::None, delay, jitter: Duration::ZERO, order, duplicate: 0.0 }
    }
}

/// What a link did so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct NetemStats {
    /// Packets put in.
    pub sent: u64,
    /// Of these, lost.
    pub lost: u64,
    /// Of these, that come out twice.
    pub duplicated: u64,
}

/// A one-way link. `P` is whatever a packet is.
#[derive(Debug)]
pub struct Netem<P> {
    /// What it does; may be changed at any time.
    pub impairment: Impairment,
    random: Rng,
    bad: bool,
    last_out: Option<Instant>,
    queue: BinaryHeap<Queued<P>>,
    stats: NetemStats,
}

impl<P: Clone> Netem<P> {
    /// A link with its own random numbers.
    #[must_use]
    pub fn new(impairment: Impairment, seed: u64) -> Self {
        let random = Rng::with_seed(seed);
        let (queue, stats) = (BinaryHeap::new(), NetemStats::default());
        Self { impairment, random, bad: false, last_out: None, queue, stats }
    }

    /// Puts a packet in. Returns false when it is lost.
    pub fn send(&mut self, now: Instant, packet: P) -> bool {
        self.stats.sent += 1;
        if self.loses() {
            self.stats.lost += 1;
            return false;
        }
        if self.random.f64() < self.impairment.duplicate {
            self.stats.duplicated += 1;
            self.enqueue(now, packet.clone());
        }
        self.enqueue(now, packet);
        true
    }

    /// The packet that has come out by `now`, if one has.
    pub fn poll(&mut self, now: Instant) -> Option<P> {
        self.poll_timed(now).map(|(_, packet)| packet)
    }

    /// The same, and when it came out: what a kernel would have stamped it with.
    pub fn poll_timed(&mut self, now: Instant) -> Option<(Instant, P)> {
        let due = self.queue.peek().is_some_and(|next| next.at <= now);
        due.then(|| self.queue.pop()).flatten().map(|queued| (queued.at, queued.packet))
    }

    /// When the next packet comes out.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        self.queue.peek().map(|next| next.at)
    }

    /// What happened so far.
    #[must_use]
    pub const fn stats(&self) -> NetemStats {
        self.stats
    }

    fn loses(&mut self) -> bool {
        match self.impairment.loss {
            Loss::None => false,
            Loss::Random(probability) => self.random.f64() < probability,
            Loss::GilbertElliott { enter, leave, lost } => {
                let change = if self.bad { leave } else { enter };
                self.bad ^= self.random.f64() < change;
                self.bad && self.random.f64() < lost
            }
        }
    }

    fn enqueue(&mut self, now: Instant, packet: P) {
        let jitter = self.impairment.jitter.mul_f64(self.random.f64());
        let mut at = now + self.impairment.delay + jitter;
        if self.impairment.order == Order::Kept {
            at = self.last_out.map_or(at, |last| last.max(at));
            self.last_out = Some(at);
        }
        // Among equals, the first in comes out first.
        let number = self.stats.sent * 2 + u64::from(self.random.bool());
        self.queue.push(Queued { at, number, packet });
    }
}

#[derive(Debug)]
struct Queued<P> {
    at: Instant,
    number: u64,
    packet: P,
}

impl<P> Ord for Queued<P> {
    fn cmp(&self, other: &Self) -> Ordering {
        // The heap's greatest is the earliest.
        (other.at, other.number).cmp(&(self.at, self.number))
    }
}

impl<P> PartialOrd for Queued<P> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<P> PartialEq for Queued<P> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl<P> Eq for Queued<P> {}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(impairment: Impairment, seed: u64) -> (Vec<u32>, NetemStats) {
        let mut link = Netem::new(impairment, seed);
        let start = Instant::now();
        for number in 0..10_000 {
            link.send(start + Duration::from_millis(u64::from(number)), number);
        }
        let end = start + Duration::from_secs(60);
        let out = std::iter::from_fn(|| link.poll(end)).collect();
        assert_eq!(link.deadline(), None);
        (out, link.stats())
    }

    #[test]
    fn the_same_seed_gives_the_same_run() {
        let mut rough = Impairment::delay(Duration::from_millis(20));
        rough.loss = Loss::Random(0.1);
        rough.jitter = Duration::from_millis(5);
        rough.order = Order::Free;
        assert_eq!(run(rough, 1), run(rough, 1));
        assert_ne!(run(rough, 1), run(rough, 2));
    }

    #[test]
    fn what_goes_in_comes_out_once_or_is_counted() {
        let mut rough = Impairment::delay(Duration::from_millis(20));
        rough.loss = Loss::GilbertElliott { enter: 0.01, leave: 0.2, lost: 0.5 };
        rough.duplicate = 0.05;
        let (out, stats) = run(rough, 3);
        assert_eq!(out.len() as u64, stats.sent - stats.lost + stats.duplicated);
        assert!(stats.lost > 0 && stats.duplicated > 0);
    }

    #[test]
    fn a_queue_keeps_the_order_and_free_packets_do_not() {
        let mut jittery = Impairment::delay(Duration::from_millis(1));
        jittery.jitter = Duration::from_millis(10);
        assert!(run(jittery, 4).0.is_sorted());
        jittery.order = Order::Free;
        assert!(!run(jittery, 4).0.is_sorted());
    }

    #[test]
    fn nothing_comes_out_before_its_delay() {
        let mut link = Netem::new(Impairment::delay(Duration::from_millis(20)), 5);
        let start = Instant::now();
        assert!(link.send(start, "packet"));
        assert_eq!(link.deadline(), Some(start + Duration::from_millis(20)));
        assert_eq!(link.poll(start + Duration::from_millis(19)), None);
        assert_eq!(link.poll(start + Duration::from_millis(20)), Some("packet"));
        assert!(link.send(start, "another"));
        let later = start + Duration::from_secs(1);
        assert_eq!(link.poll_timed(later), Some((start + Duration::from_millis(20), "another")));
    }
}
