//! The sessions of a stateful reflector: never more than a fixed number, in all and of one address.
//!
//! Room is made by forgetting sessions of which only one request came: those are what a flood of forged
//! identifiers leaves behind. An address that has its share forgets its own; a full table forgets
//! anybody's. Which one is left to chance: were it the oldest, more agents than there is room for, each
//! sending in turn, would displace each other for ever. A session that proved itself by a second request
//! is never forgotten for a stranger's sake: when there is no room the stranger is answered without a
//! counter.

use std::collections::hash_map::Entry;
use std::collections::{BTreeSet, HashMap};
use std::hash::{BuildHasher, DefaultHasher, Hasher as _};
use std::net::{IpAddr, Ipv6Addr};
use std::time::{Duration, Instant};

use super::pace::Pace;
use super::report::Reports;
use super::session::{Arrival, Name, Session};
use super::{Rates, ReflectorConfig, ReflectorStats};

/// A session that was silent for so long is over: longer than the longest period of any profile.
const IDLE: Duration = Duration::from_secs(300);
/// Idle sessions are looked for no more often, so that a flood of new ones costs no scans.
const SWEEP_EVERY: Duration = Duration::from_secs(10);
/// Sessions of one identifier and no key that are looked at when a request comes from a new address.
const MAX_ALIKE: usize = 8;
/// The same under a key. Where it protects them there are no more.
const MAX_ALIKE_KEYED: usize = 64;

/// What becomes of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Admitted {
    /// Answered with its session's counter, from 0.
    Session {
        /// The session's place.
        slot: usize,
        /// The number of the answer.
        sequence: u32,
    },
    /// Answered without a counter.
    Stateless,
    /// Not answered; counted.
    Refused,
}

/// A place in the table and who has it.
type Seat = (usize, u32);

/// An IPv4 address or an IPv6 /64: what one host can have of its own.
#[derive(Debug)]
struct Owner {
    ip: IpAddr,
    /// Its sessions, and those of them that count for its share: all that a stranger could begin.
    sessions: usize,
    shared: usize,
    pace: Pace,
    /// Those that count for its share and began; some of them are gone or proven since.
    young: Vec<Seat>,
}

/// Hashes with a seed, because names are chosen by strangers.
#[derive(Debug, Clone, Copy)]
struct Seeded(u64);

impl BuildHasher for Seeded {
    type Hasher = DefaultHasher;

    fn build_hasher(&self) -> DefaultHasher {
        let mut hasher = DefaultHasher::new();
        hasher.write_u64(self.0);
        hasher
    }
}

/// A generator of chance that strangers cannot foresee (xorshift, Marsaglia 2003, seeded by the caller).
#[derive(Debug)]
struct Chance(u64);

impl Chance {
    /// A number below `end`, which must not be 0.
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 32) as usize % end
    }
}

#[derive(Debug)]
pub(super) struct Sessions {
    slots: Vec<Option<Session>>,
    free: Vec<usize>,
    by_name: HashMap<Name, usize, Seeded>,
    by_ssid: BTreeSet<(u16, u32, usize)>,
    owners: Vec<Owner>,
    free_owners: Vec<usize>,
    by_ip: HashMap<IpAddr, usize, Seeded>,
    /// As in an owner, of all owners.
    young: Vec<Seat>,
    chance: Chance,
    generation: u32,
    max: usize,
    max_per_address: usize,
    rates: Rates,
    stateless: Pace,
    total: Pace,
    next_sweep: Option<Instant>,
    reports: Option<Reports>,
}

impl Sessions {
    pub(super) fn new(config: &ReflectorConfig) -> Self {
        let seeded = Seeded(config.seed);
        let stateful = config.stateful;
        Self {
            slots: Vec::new(),
            free: Vec::new(),
            by_name: HashMap::with_hasher(seeded),
            by_ssid: BTreeSet::new(),
            owners: Vec::new(),
            free_owners: Vec::new(),
            by_ip: HashMap::with_hasher(seeded),
            young: Vec::new(),
            chance: Chance(config.seed | 1),
            generation: 0,
            max: if stateful { config.max_sessions } else { 0 },
            max_per_address: config.max_sessions_per_address,
            rates: config.rates,
            stateless: Pace::new(config.rates.stateless),
            total: Pace::new(config.rates.total),
            next_sweep: None,
            reports: (stateful && config.reports).then(Reports::default),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.by_name.len()
    }

    pub(super) fn get_mut(&mut self, slot: usize, generation: u32) -> Option<&mut Session> {
        self.slot_mut(slot).filter(|session| session.generation == generation)
    }

    pub(super) fn slot_mut(&mut self, slot: usize) -> Option<&mut Session> {
        self.slots.get_mut(slot)?.as_mut()
    }

    pub(super) const fn reports_mut(&mut self) -> Option<&mut Reports> {
        self.reports.as_mut()
    }

    pub(super) const fn reports(&self) -> Option<&Reports> {
        self.reports.as_ref()
    }

    /// What becomes of this request.
    pub(super) fn admit(&mut self, arrival: &Arrival, stats: &mut ReflectorStats) -> Admitted {
        self.sweep(arrival.now, stats);
        let slot = match self.by_name.get(&arrival.name) {
            Some(&slot) => Some(slot),
            None if arrival.name.key.is_key() && self.saw(arrival) => {
                stats.dropped_replays += 1;
                return Admitted::Refused;
            }
            None => self.enter(arrival, stats),
        };
        let Some(slot) = slot else { return self.admit_stateless(arrival.now, stats) };
        self.admit_to(slot, arrival, stats)
    }

    fn admit_stateless(&mut self, now: Instant, stats: &mut ReflectorStats) -> Admitted {
        if self.stateless.admits(now) && self.total.admits(now) {
            return Admitted::Stateless;
        }
        stats.dropped_rate += 1;
        Admitted::Refused
    }

    fn admit_to(&mut self, slot: usize, arrival: &Arrival, stats: &mut ReflectorStats) -> Admitted {
        let Some(session) = self.slots.get_mut(slot).and_then(Option::as_mut) else {
            return self.admit_stateless(arrival.now, stats);
        };
        let (is_fresh, over) = session.take(arrival, self.reports.is_some());
        if let Some(reports) = &mut self.reports {
            reports.expect(arrival.now);
            if let Some(span) = over {
                reports.push(session, span, arrival.now, stats);
            }
        }
        if !is_fresh {
            stats.dropped_replays += 1;
            return Admitted::Refused;
        }
        let owner = self.owners.get_mut(session.owner);
        let admitted = session.pace.admits(arrival.now)
            && owner.is_none_or(|owner| owner.pace.admits(arrival.now))
            && self.total.admits(arrival.now);
        if !admitted {
            session.spans.refuse();
            stats.dropped_rate += 1;
            return Admitted::Refused;
        }
        let counts = &mut session.counts;
        let sequence = counts.next;
        counts.next = sequence.wrapping_add(1);
        counts.sent = counts.sent.wrapping_add(1);
        Admitted::Session { slot, sequence }
    }

    /// A request of no session that is found by its address. One that goes on where a session of its
    /// identifier is comes from a new address of the same sender (RFC 8972 section 3 leaves to the
    /// reflector which elements of the address identify a session). Under a key that is proven, and the
    /// session moves. Without one a stranger could have guessed it, so the other session stays as it is
    /// and a new one goes on with a copy of its counters: a stranger gains nothing and spoils nothing.
    fn enter(&mut self, arrival: &Arrival, stats: &mut ReflectorStats) -> Option<usize> {
        let before = self.alike(arrival).find(|slot| {
            let session = self.slots.get(*slot).and_then(Option::as_ref);
            session.is_some_and(|session| session.goes_on_with(arrival))
        });
        if let Some(slot) = before.filter(|_| arrival.name.key.is_key()) {
            self.move_to(slot, arrival, stats);
            return Some(slot);
        }
        if !self.make_room(arrival, stats) {
            return None;
        }
        let counts = before.and_then(|slot| self.slot_mut(slot)).map(|session| session.counts);
        let slot = self.begin(arrival);
        stats.sessions_begun += 1;
        if let Some((session, counts)) = self.slot_mut(slot).zip(counts) {
            session.counts = counts;
            stats.sessions_forked += 1;
        }
        Some(slot)
    }

    /// Sessions with a request's identifier and key, some at least. Without an identifier none is alike.
    fn alike(&self, arrival: &Arrival) -> impl Iterator<Item = usize> {
        let Name { ssid, key, .. } = arrival.name;
        let kind = arrival.name.kind();
        let same = self.by_ssid.range((ssid, kind, 0)..=(ssid, kind, usize::MAX));
        let tells = ssid != 0 || key.is_key();
        let most = if key.is_key() { MAX_ALIKE_KEYED } else { MAX_ALIKE };
        same.take(most).map(|seat| seat.2).filter(move |_| tells)
    }

    /// True when a session under the same key saw this request come from another address.
    fn saw(&self, arrival: &Arrival) -> bool {
        self.alike(arrival).any(|slot| {
            let session = self.slots.get(slot).and_then(Option::as_ref);
            session.is_some_and(|session| session.has_seen(arrival))
        })
    }

    fn begin(&mut self, arrival: &Arrival) -> usize {
        let name = &arrival.name;
        self.generation = self.generation.wrapping_add(1);
        let owner = self.own(name);
        let pace = Pace::new(self.rates.session);
        let session = Session::new(arrival, self.generation, owner, pace);
        let slot = self.free.pop().unwrap_or_else(|| {
            self.slots.push(None);
            self.slots.len() - 1
        });
        let seat = (slot, session.generation);
        if let Some(place) = self.slots.get_mut(slot) {
            *place = Some(session);
        }
        if !name.is_protected() {
            let Self { slots, owners, young, max, max_per_address, .. } = self;
            note_young(young, *max, slots, seat);
            if let Some(owner) = owners.get_mut(owner) {
                note_young(&mut owner.young, *max_per_address, slots, seat);
            }
        }
        self.by_name.insert(*name, slot);
        self.by_ssid.insert((name.ssid, name.kind(), slot));
        slot
    }

    fn move_to(&mut self, slot: usize, arrival: &Arrival, stats: &mut ReflectorStats) {
        let owner = self.own(&arrival.name);
        let Some(session) = self.slots.get_mut(slot).and_then(Option::as_mut) else { return };
        for span in session.spans.take().into_iter().flatten() {
            if let Some(reports) = &mut self.reports {
                reports.push(session, span, arrival.now, stats);
            }
        }
        let (former, former_owner) = (session.name, session.owner);
        session.name = arrival.name;
        session.listen = arrival.listen;
        session.owner = owner;
        self.by_name.remove(&former);
        self.by_name.insert(arrival.name, slot);
        self.disown(former_owner, &former);
        stats.sessions_moved += 1;
    }

    /// Forgets a session for this one, if it must. False when there is no room.
    fn make_room(&mut self, arrival: &Arrival, stats: &mut ReflectorStats) -> bool {
        let name = &arrival.name;
        let protected = name.is_protected();
        if self.max == 0 {
            return false;
        }
        let owner = self.by_ip.get(&share_of(name.ip)).copied();
        let share = owner.and_then(|owner| self.owners.get(owner)).map_or(0, |owner| owner.shared);
        if !protected && share >= self.max_per_address {
            let Some(slot) = owner.and_then(|owner| self.some_young(Some(owner))) else {
                return false;
            };
            self.remove(slot);
            stats.sessions_displaced += 1;
        }
        if protected && self.alike(arrival).count() >= MAX_ALIKE_KEYED {
            let Some(slot) = self.idlest(self.alike(arrival)) else { return false };
            self.remove(slot);
            stats.sessions_displaced += 1;
        }
        if self.len() < self.max {
            return true;
        }
        let mut slot = self.some_young(None);
        if slot.is_none() && protected {
            // Only who holds a key can make us look through all of them.
            let others = self.by_name.iter().filter(|(name, _)| !name.is_protected());
            slot = self.idlest(others.map(|(_, slot)| *slot));
        }
        let Some(slot) = slot else { return false };
        self.remove(slot);
        stats.sessions_displaced += 1;
        true
    }

    /// A session that only one request came of, of an owner or of all. The newcomer takes the same chance
    /// as each of them: when it is the one to go, there is none.
    fn some_young(&mut self, owner: Option<usize>) -> Option<usize> {
        let Self { slots, owners, young, chance, .. } = self;
        let young = match owner {
            Some(owner) => &mut owners.get_mut(owner)?.young,
            None => young,
        };
        while !young.is_empty() {
            let index = chance.below(young.len() + 1);
            if index == young.len() {
                return None;
            }
            let seat = young.swap_remove(index);
            if is_young(slots, seat) {
                return Some(seat.0);
            }
        }
        None
    }

    fn idlest(&self, slots: impl Iterator<Item = usize>) -> Option<usize> {
        let sessions = slots.filter_map(|slot| Some((slot, self.slots.get(slot)?.as_ref()?)));
        sessions.min_by_key(|(_, session)| session.last_seen).map(|(slot, _)| slot)
    }

    fn remove(&mut self, slot: usize) {
        let Some(session) = self.slots.get_mut(slot).and_then(Option::take) else { return };
        self.by_name.remove(&session.name);
        self.by_ssid.remove(&(session.name.ssid, session.name.kind(), slot));
        self.free.push(slot);
        self.disown(session.owner, &session.name);
    }

    fn own(&mut self, name: &Name) -> usize {
        let ip = share_of(name.ip);
        let index = match self.by_ip.entry(ip) {
            Entry::Occupied(entry) => *entry.get(),
            Entry::Vacant(entry) => {
                let pace = Pace::new(self.rates.address);
                let young = Vec::new();
                let owner = Owner { ip, sessions: 0, shared: 0, pace, young };
                let index = self.free_owners.pop().unwrap_or(self.owners.len());
                match self.owners.get_mut(index) {
                    Some(place) => *place = owner,
                    None => self.owners.push(owner),
                }
                *entry.insert(index)
            }
        };
        if let Some(owner) = self.owners.get_mut(index) {
            owner.sessions += 1;
            owner.shared += usize::from(!name.is_protected());
        }
        index
    }

    fn disown(&mut self, index: usize, name: &Name) {
        let Some(owner) = self.owners.get_mut(index) else { return };
        owner.sessions -= 1;
        owner.shared -= usize::from(!name.is_protected());
        if owner.sessions == 0 {
            self.by_ip.remove(&owner.ip);
            owner.young = Vec::new();
            self.free_owners.push(index);
        }
    }

    fn sweep(&mut self, now: Instant, stats: &mut ReflectorStats) {
        if self.next_sweep.is_some_and(|next| now < next) {
            return;
        }
        self.next_sweep = Some(now + SWEEP_EVERY);
        for slot in 0..self.slots.len() {
            let session = self.slots.get(slot).and_then(Option::as_ref);
            if session.is_some_and(|s| now.saturating_duration_since(s.last_seen) >= IDLE) {
                self.remove(slot);
                stats.sessions_evicted += 1;
            }
        }
        let Self { slots, owners, young, .. } = self;
        young.retain(|seat| is_young(slots, *seat));
        for owner in owners {
            owner.young.retain(|seat| is_young(slots, *seat));
        }
    }

    /// Makes the reports that are due, when it is time to look for them.
    pub(super) fn look_for_reports(&mut self, now: Instant, stats: &mut ReflectorStats) {
        let Some(reports) = &mut self.reports else { return };
        if !reports.is_time_to_look(now) {
            return;
        }
        let mut more = false;
        for session in self.slots.iter_mut().flatten() {
            while let Some(span) = session.spans.poll(session.last_seen, now) {
                reports.push(session, span, now, stats);
            }
            more |= session.spans.has_any();
        }
        reports.looked(now, more);
    }
}

/// Adds one to a list of the young, and keeps the list from growing beyond twice what there can be.
fn note_young(young: &mut Vec<Seat>, most: usize, slots: &[Option<Session>], seat: Seat) {
    if young.len() > most.saturating_mul(2) {
        young.retain(|seat| is_young(slots, *seat));
    }
    young.push(seat);
}

fn is_young(slots: &[Option<Session>], (slot, generation): Seat) -> bool {
    let session = slots.get(slot).and_then(Option::as_ref);
    session.is_some_and(|session| session.generation == generation && !session.is_proven)
}

/// Whose share an address takes from: its own, or its /64's.
fn share_of(ip: IpAddr) -> IpAddr {
    match ip.to_canonical() {
        IpAddr::V4(ip) => IpAddr::V4(ip),
        IpAddr::V6(ip) => {
            let [a, b, c, d, ..] = ip.segments();
            IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use busyhour_wire::Mode;

    use super::*;
    use crate::reflector::gate::KeyId;
    use crate::reflector::replay::SentAt;

    fn arrival(from: SocketAddr, ssid: u16, sequence: u32, now: Instant) -> Arrival {
        let (mode, key, sent) = (Mode::Unauthenticated, KeyId::NONE, SentAt::Unknown);
        let name = Name { ip: from.ip(), port: from.port(), ssid, mode, key };
        Arrival { name, listen: None, sequence, sent, now }
    }

    /// A flood from one address that has its share, and from many when the table is full.
    #[test]
    fn no_list_grows_with_a_flood() {
        let config = ReflectorConfig {
            max_sessions: 50,
            max_sessions_per_address: 20,
            ..ReflectorConfig::default()
        };
        let mut sessions = Sessions::new(&config);
        let (mut stats, now) = (ReflectorStats::default(), Instant::now());
        for forged in 0..20_000_u32 {
            let [_, a, b, c] = forged.to_be_bytes();
            let host = if forged < 10_000 { 1 } else { c % 100 };
            let from = SocketAddr::from(([10, 0, 0, host], u16::from_be_bytes([b, c])));
            sessions.admit(&arrival(from, u16::from(a) + 1, forged, now), &mut stats);
        }
        assert!(sessions.len() <= 50 && sessions.slots.len() <= 50);
        assert!(sessions.young.len() <= 101, "{}", sessions.young.len());
        assert!(sessions.owners.iter().all(|owner| owner.young.len() <= 41));
        assert!(sessions.by_ip.len() <= 50 && sessions.owners.len() <= 51);
        assert_eq!(sessions.by_ssid.len(), sessions.len());
        sessions.sweep(now + SWEEP_EVERY + IDLE, &mut stats);
        assert_eq!((sessions.len(), sessions.by_ssid.len(), sessions.by_ip.len()), (0, 0, 0));
    }
}
