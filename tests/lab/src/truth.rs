//! What a wire really did to each test packet.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::Direction;
use crate::probe_packet::ProbePacket;

/// One packet on its way through the wire.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Passage {
    /// The session it belongs to.
    pub ssid: u16,
    /// Its own number.
    pub sequence: u32,
    /// The request's number: in a reply the one that is answered.
    pub request: u32,
    /// When it went in, since 1970 by the kernel's clock.
    pub entered: Duration,
    /// When it came out: never (lost), once, or twice (duplicated).
    pub left: Vec<Duration>,
}

/// All packets that a wire carried, each way in the order in which they went in.
#[derive(Debug, Clone, Default)]
pub struct Truth {
    up: Vec<Passage>,
    down: Vec<Passage>,
}

/// How many packets came behind a later one, and how far (RFC 4737 sections 3.3 and 4.2.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Reordering {
    /// Packets whose number is below one that was seen already.
    pub packets: u64,
    /// The most packets between one of them and the first that it should have come before.
    pub extent: u64,
}

impl Truth {
    /// Notes that a packet goes in.
    pub(crate) fn enter(&mut self, packet: &ProbePacket, entered: Duration) {
        let ProbePacket { ssid, sequence, request, .. } = *packet;
        let passage = Passage { ssid, sequence, request, entered, left: Vec::new() };
        self.way(packet.direction).push(passage);
    }

    /// Notes that a packet, or its double, comes out; false when it never went in.
    pub(crate) fn leave(&mut self, packet: &ProbePacket, left: Duration) -> bool {
        let own = |of: &&mut Passage| (of.ssid, of.sequence) == (packet.ssid, packet.sequence);
        let passage = self.way(packet.direction).iter_mut().rev().find(own);
        passage.map(|passage| passage.left.push(left)).is_some()
    }

    fn way(&mut self, direction: Direction) -> &mut Vec<Passage> {
        match direction {
            Direction::Up => &mut self.up,
            Direction::Down => &mut self.down,
        }
    }

    /// The passages of one direction.
    #[must_use]
    pub fn passages(&self, direction: Direction) -> &[Passage] {
        match direction {
            Direction::Up => &self.up,
            Direction::Down => &self.down,
        }
    }

    /// The truth of `count` requests from `first` on, and of the replies to them.
    #[must_use]
    pub fn of(&self, first: u32, count: u64) -> Self {
        let inside = |passage: &&Passage| u64::from(passage.request.wrapping_sub(first)) < count;
        let some = |passages: &[Passage]| passages.iter().filter(inside).cloned().collect();
        Self { up: some(&self.up), down: some(&self.down) }
    }

    /// The number of the first request.
    ///
    /// # Panics
    /// When there was none.
    #[must_use]
    pub fn first(&self) -> u32 {
        self.up.first().expect("a request").request
    }

    /// Requests that went in.
    #[must_use]
    pub fn sent(&self) -> u64 {
        self.up.iter().map(|passage| passage.request).collect::<BTreeSet<_>>().len() as u64
    }

    /// Requests of which nothing arrived at the reflector, and requests to which nothing came back
    /// although they arrived.
    #[must_use]
    pub fn lost(&self) -> [u64; 2] {
        let (arrived, answered) = (arrivals(&self.up), arrivals(&self.down));
        let back = arrived.keys().filter(|request| answered.contains_key(request)).count();
        [self.sent() - arrived.len() as u64, (arrived.len() - back) as u64]
    }

    /// Runs of requests in a row that were lost, whichever way.
    #[must_use]
    pub fn loss_runs(&self) -> u64 {
        let answered = arrivals(&self.down);
        let lost: Vec<bool> =
            self.up.iter().map(|passage| !answered.contains_key(&passage.request)).collect();
        let begins = |two: &&[bool]| !two[0] && two[1];
        let first = u64::from(lost.first() == Some(&true));
        first + lost.windows(2).filter(begins).count() as u64
    }

    /// Replies that came back beyond the first to each request, whichever way made them.
    #[must_use]
    pub fn duplicates(&self) -> u64 {
        let out: usize = self.down.iter().map(|passage| passage.left.len()).sum();
        (out - arrivals(&self.down).len()) as u64
    }

    /// How the packets' own numbers were out of order where they came out; of each request, or of the
    /// replies to it, the first to come out counts.
    #[must_use]
    pub fn reordering(&self, direction: Direction) -> Reordering {
        reordering(&in_order_of_leaving(self.passages(direction), |passage| passage.sequence))
    }

    /// How replies were out of order by the numbers of their requests: what both ways did together.
    #[must_use]
    pub fn round_trip_reordering(&self) -> Reordering {
        reordering(&in_order_of_leaving(&self.down, |passage| passage.request))
    }

    /// How long each packet's first copy was on the wire one way, in the order of coming out.
    #[must_use]
    pub fn transits(&self, direction: Direction) -> Vec<Duration> {
        let mut out: Vec<_> = self
            .passages(direction)
            .iter()
            .filter_map(|passage| Some((*passage.left.iter().min()?, passage.entered)))
            .collect();
        out.sort_unstable();
        out.iter().map(|(left, entered)| left.saturating_sub(*entered)).collect()
    }

    /// How long requests and their first replies were on the wire together.
    #[must_use]
    pub fn round_trips(&self) -> Vec<Duration> {
        let (up, down) = (arrivals(&self.up), arrivals(&self.down));
        let both = |(request, up): (&u32, &Duration)| Some(*up + *down.get(request)?);
        up.iter().filter_map(both).collect()
    }
}

/// The requests of which a copy came out, with how long the first one took.
fn arrivals(passages: &[Passage]) -> BTreeMap<u32, Duration> {
    let mut first: BTreeMap<u32, (Duration, Duration)> = BTreeMap::new();
    for passage in passages {
        let Some(left) = passage.left.iter().min() else { continue };
        let arrival = (*left, left.saturating_sub(passage.entered));
        first
            .entry(passage.request)
            .and_modify(|known| *known = arrival.min(*known))
            .or_insert(arrival);
    }
    first.into_iter().map(|(request, (_, took))| (request, took)).collect()
}

/// The numbers of what came out first for each request, in the order of coming out.
fn in_order_of_leaving(passages: &[Passage], number: impl Fn(&Passage) -> u32) -> Vec<u32> {
    let mut first: BTreeMap<u32, (Duration, u32)> = BTreeMap::new();
    for passage in passages {
        let Some(left) = passage.left.iter().min() else { continue };
        let out = (*left, number(passage));
        let known = first.entry(passage.request).or_insert(out);
        *known = out.min(*known);
    }
    let mut order: Vec<_> = first.into_values().collect();
    order.sort_unstable();
    order.into_iter().map(|(_, number)| number).collect()
}

fn reordering(numbers: &[u32]) -> Reordering {
    let mut found = Reordering::default();
    let mut highest = None;
    for (at, &number) in numbers.iter().enumerate() {
        if highest.is_none_or(|highest| number > highest) {
            highest = Some(number);
            continue;
        }
        let overtook = numbers[..at].iter().position(|&earlier| earlier > number).unwrap_or(at);
        found.packets += 1;
        found.extent = found.extent.max((at - overtook) as u64);
    }
    found
}

/// The value that a share `q` of all is not above.
///
/// # Panics
/// Without values.
#[must_use]
pub fn quantile(mut values: Vec<Duration>, q: f64) -> Duration {
    values.sort_unstable();
    let at = ((values.len() as f64 * q).ceil() as usize).clamp(1, values.len()) - 1;
    values[at]
}

/// The mean of the running interarrival jitter (RFC 3550 section 6.4.1) over transits in the order of
/// arrival.
#[must_use]
pub fn jitter(transits: &[Duration]) -> Duration {
    let (mut estimate, mut sum) = (0.0, 0.0);
    for two in transits.windows(2) {
        estimate += (two[1].abs_diff(two[0]).as_secs_f64() - estimate) / 16.0;
        sum += estimate;
    }
    Duration::from_secs_f64(sum / transits.len().saturating_sub(1).max(1) as f64)
}

/// How far transits lie above the shortest of them (RFC 5481 section 4.2).
#[must_use]
pub fn variation(transits: &[Duration]) -> Vec<Duration> {
    let least = transits.iter().min().copied().unwrap_or_default();
    transits.iter().map(|transit| transit.saturating_sub(least)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Up and down passages as (request, own number, times of leaving in milliseconds); each goes in
    /// at ten times its place.
    fn truth(up: &[(u32, u32, &[u64])], down: &[(u32, u32, &[u64])]) -> Truth {
        let ms = Duration::from_millis;
        let mut truth = Truth::default();
        for (direction, passages) in [(Direction::Up, up), (Direction::Down, down)] {
            for (at, &(request, sequence, left)) in passages.iter().enumerate() {
                let packet = ProbePacket { direction, ssid: 1, sequence, request };
                truth.enter(&packet, ms(at as u64 * 10));
                assert!(left.iter().all(|&at| truth.leave(&packet, ms(at))));
            }
        }
        truth
    }

    #[test]
    fn losses_and_duplicates_are_counted_by_request() {
        let up: &[(u32, u32, &[u64])] =
            &[(5, 5, &[1]), (6, 6, &[]), (7, 7, &[21, 22]), (8, 8, &[31])];
        let down: &[(u32, u32, &[u64])] =
            &[(5, 0, &[2]), (7, 1, &[23]), (7, 2, &[24, 25]), (8, 3, &[])];
        let truth = truth(up, down);
        assert_eq!((truth.first(), truth.sent(), truth.lost()), (5, 4, [1, 1]));
        assert_eq!(truth.duplicates(), 2);
        assert_eq!(truth.round_trips().len(), 2);
        assert_eq!(truth.of(6, 2).lost(), [1, 0]);
        assert_eq!(truth.of(8, 1).lost(), [0, 1]);
        assert_eq!(
            [truth.loss_runs(), truth.of(6, 1).loss_runs(), truth.of(7, 1).loss_runs()],
            [2, 1, 0]
        );
    }

    #[test]
    fn reordering_is_counted_with_its_extent() {
        let late: &[(u32, u32, &[u64])] =
            &[(1, 1, &[1]), (2, 2, &[60]), (3, 3, &[30]), (4, 4, &[40]), (5, 5, &[50])];
        let truth = truth(late, &[]);
        let found = Reordering { packets: 1, extent: 3 };
        assert_eq!(truth.reordering(Direction::Up), found);
        assert_eq!(truth.reordering(Direction::Down), Reordering::default());
    }

    #[test]
    fn delays_are_those_of_the_wire() {
        let up: &[(u32, u32, &[u64])] = &[(1, 1, &[5]), (2, 2, &[15]), (3, 3, &[35])];
        let transits = truth(up, &[]).transits(Direction::Up);
        let ms = Duration::from_millis;
        assert_eq!(transits, [ms(5), ms(5), ms(15)]);
        assert_eq!((quantile(transits.clone(), 0.5), variation(&transits)[2]), (ms(5), ms(10)));
        assert_eq!(jitter(&transits), Duration::from_micros(312) + Duration::from_nanos(500));
    }
}
