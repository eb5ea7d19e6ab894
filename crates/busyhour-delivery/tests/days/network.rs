//! Connections between an agent and the collector: in order within each, over a path that may be
//! silent in one direction, in both, or lossy, which delays what lies behind.

use std::time::Duration;

use busyhour_delivery::{Acknowledgement, Block, Credit, GoAway, Hello, Welcome};
use fastrand::Rng;

/// A moment: time since the world began.
pub(crate) type Moment = Duration;

/// A side that heard nothing for so long gives the connection up, as keepalives have it.
pub(crate) const SILENCE: Duration = Duration::from_secs(45);

#[derive(Debug, Clone)]
pub(crate) enum Up {
    Hello(Hello),
    Block(Block),
}

#[derive(Debug, Clone)]
pub(crate) enum Down {
    Welcome(Welcome),
    Acknowledgement(Acknowledgement),
    Credit(Credit),
    GoAway(GoAway),
}

/// Which way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    Up,
    Down,
}

/// What the path does for a while.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Weather {
    Fair,
    /// A tenth of all packets is lost: they come again later.
    Lossy,
    Parted,
    UpSilent,
    DownSilent,
}

impl Weather {
    /// What comes next, and for how long.
    pub(crate) fn next(self, rng: &mut Rng) -> (Self, Duration) {
        if self != Self::Fair {
            return (Self::Fair, Duration::from_secs(rng.u64(600..14_400)));
        }
        let kinds = [Self::Lossy, Self::Parted, Self::UpSilent, Self::DownSilent];
        let seconds = match rng.u32(0..3) {
            0 => rng.u64(1..60),
            1 => rng.u64(60..3_600),
            _ => rng.u64(3_600..18_000),
        };
        (kinds[rng.usize(..kinds.len())], Duration::from_secs(seconds))
    }

    pub(crate) fn silences(self, way: Way) -> bool {
        match self {
            Self::Fair | Self::Lossy => false,
            Self::Parted => true,
            Self::UpSilent => way == Way::Up,
            Self::DownSilent => way == Way::Down,
        }
    }
}

/// An agent's path to the collector.
#[derive(Debug)]
pub(crate) struct Path {
    pub(crate) weather: Weather,
    /// Until then.
    pub(crate) until: Moment,
    /// When either way was silenced.
    pub(crate) silent_since: Option<Moment>,
    /// Up to here, messages of a connection were promised: later ones come later.
    promised: [Moment; 2],
}

impl Path {
    pub(crate) fn new() -> Self {
        let promised = [Moment::ZERO; 2];
        Self { weather: Weather::Fair, until: Moment::ZERO, silent_since: None, promised }
    }

    /// Lets the weather change.
    pub(crate) fn change(&mut self, now: Moment, rng: &mut Rng) {
        let (weather, lasting) = self.weather.next(rng);
        (self.weather, self.until) = (weather, now + lasting);
        let silent = weather.silences(Way::Up) || weather.silences(Way::Down);
        self.silent_since = silent.then_some(now);
    }

    /// A new connection owes nothing to the one before.
    pub(crate) fn reconnected(&mut self) {
        self.promised = [Moment::ZERO; 2];
    }

    /// When a message that is sent now arrives, if the connection lasts until then.
    pub(crate) fn arrival(&mut self, way: Way, now: Moment, rng: &mut Rng) -> Moment {
        let mut at = now + Duration::from_millis(rng.u64(1..300));
        if self.weather == Weather::Lossy && rng.u32(0..10) == 0 {
            at += Duration::from_millis(rng.u64(200..8_000));
        }
        if self.weather.silences(way) {
            at = at.max(self.until + Duration::from_millis(rng.u64(1..2_000)));
        }
        let promised = &mut self.promised[usize::from(way == Way::Down)];
        *promised = at.max(*promised + Duration::from_micros(1));
        *promised
    }
}
