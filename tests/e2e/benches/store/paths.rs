//! What a path does to packets: delays and losses with the noise of real networks, from a seed.

use fastrand::Rng;

const MICROSECOND: f64 = 1_000.0;
const MILLISECOND: f64 = 1_000_000.0;

/// The kinds of path that are imitated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A wired branch with room to spare: delays vary by some tens of microseconds.
    Quiet,
    /// A wired branch behind a queue that is full all day: delays vary by tens of milliseconds, two
    /// packets in a hundred are lost.
    Congested,
    /// Wi-Fi: contention for the air, and every half a minute a look at other channels.
    Wifi,
}

impl Kind {
    pub(crate) const ALL: [Self; 3] = [Self::Quiet, Self::Congested, Self::Wifi];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Quiet => "quiet wired",
            Self::Congested => "congested queue",
            Self::Wifi => "Wi-Fi",
        }
    }
}

/// What becomes of a packet and its answer.
pub(crate) struct Fate {
    /// Nanoseconds on the way up; `None` when lost on it.
    pub(crate) up: Option<f64>,
    /// Nanoseconds on the way down; `None` when lost on it.
    pub(crate) down: Option<f64>,
}

/// A value that remembers: `x' = ρx + √(1−ρ²)·z`, so that it stays normal with variance one.
struct Wander {
    value: f64,
    memory: f64,
}

impl Wander {
    const fn new(memory: f64) -> Self {
        Self { value: 0.0, memory }
    }

    fn next(&mut self, rng: &mut Rng) -> f64 {
        let fresh = (1.0 - self.memory * self.memory).sqrt() * normal(rng);
        self.value = self.memory * self.value + fresh;
        self.value
    }
}

/// One path in the order of its packets.
pub(crate) struct PathModel {
    rng: Rng,
    kind: Kind,
    base_up: f64,
    base_down: f64,
    /// What this path is like among those of its kind: the scale of its noise, and how far it spreads.
    scale: f64,
    spread: f64,
    queue_up: Wander,
    queue_down: Wander,
    /// Packets of a radio that still wait until it is back on its channel.
    away: u32,
    dropping: bool,
}

impl PathModel {
    /// A path 3 to 18 ms long each way.
    pub(crate) fn new(kind: Kind, mut rng: Rng) -> Self {
        let base_up = (3.0 + 15.0 * rng.f64()) * MILLISECOND;
        let base_down = base_up + (rng.f64() - 0.5) * MILLISECOND;
        // At 50 packets a second a queue forgets in a second or so, the air in a fifth of that.
        // Paths of a kind differ by a factor of six or so.
        let scale = (0.9 * (2.0 * rng.f64() - 1.0)).exp();
        let spread = 0.4 + 0.4 * rng.f64();
        let memory = if kind == Kind::Wifi { 0.9 } else { 0.98 };
        Self {
            rng,
            kind,
            base_up,
            base_down,
            scale,
            spread,
            queue_up: Wander::new(memory),
            queue_down: Wander::new(memory),
            away: 0,
            dropping: false,
        }
    }

    /// Between windows the way itself changes by a few microseconds.
    pub(crate) fn next_window(&mut self) {
        self.base_up += 2.0 * MICROSECOND * normal(&mut self.rng);
        self.base_down += 2.0 * MICROSECOND * normal(&mut self.rng);
    }

    pub(crate) fn next_packet(&mut self) -> Fate {
        match self.kind {
            Kind::Quiet => self.quiet(),
            Kind::Congested => self.congested(),
            Kind::Wifi => self.wifi(),
        }
    }

    fn quiet(&mut self) -> Fate {
        let noise = 60.0 * MICROSECOND * self.scale;
        let mut way = |base: f64| {
            let mut delay = base + exponential(&mut self.rng, noise);
            if self.rng.f64() < 0.003 {
                delay += (0.2 + 1.8 * self.rng.f64()) * MILLISECOND;
            }
            (self.rng.f64() >= 0.000_02).then_some(delay)
        };
        Fate { up: way(self.base_up), down: way(self.base_down) }
    }

    fn congested(&mut self) -> Fate {
        let fill = self.queue_up.next(&mut self.rng);
        let up = self.base_up
            + 15.0 * MILLISECOND * self.scale * (self.spread * fill).exp()
            + exponential(&mut self.rng, 100.0 * MICROSECOND);
        let back = self.queue_down.next(&mut self.rng);
        let down = self.base_down
            + 6.0 * MILLISECOND * self.scale * (self.spread * back).exp()
            + exponential(&mut self.rng, 100.0 * MICROSECOND);
        // A full queue drops several in a row.
        let change = if self.dropping { 0.4 } else { 0.004 + 0.02 * (fill - 1.0).max(0.0) };
        self.dropping ^= self.rng.f64() < change;
        let up = (!self.dropping || self.rng.f64() < 0.2).then_some(up);
        Fate { up, down: (self.rng.f64() >= 0.002).then_some(down) }
    }

    fn wifi(&mut self) -> Fate {
        if self.away == 0 && self.rng.f64() < 1.0 / 1_500.0 {
            self.away = self.rng.u32(3..=6);
        }
        let wait = f64::from(self.away) * 20.0 * MILLISECOND;
        self.away = self.away.saturating_sub(1);
        let (scale, spread) = (self.scale, self.spread + 0.1);
        let mut way = |base: f64, air: f64| {
            let air = 1.2 * MILLISECOND * scale * (spread * air).exp();
            let delay = base + air + exponential(&mut self.rng, 400.0 * MICROSECOND * scale);
            (self.rng.f64() >= 0.000_7).then_some(delay)
        };
        let (above, below) = (self.queue_up.value, self.queue_down.value);
        let fate = Fate {
            up: way(self.base_up, above).map(|delay| delay + wait),
            down: way(self.base_down, below),
        };
        self.queue_up.next(&mut self.rng);
        self.queue_down.next(&mut self.rng);
        fate
    }
}

/// Nearly normal: the sum of four uniform draws, held within ±3.5.
pub(crate) fn normal(rng: &mut Rng) -> f64 {
    let sum: f64 = (0..4).map(|_| rng.f64()).sum();
    (sum - 2.0) * 3.0f64.sqrt()
}

fn exponential(rng: &mut Rng, mean: f64) -> f64 {
    -mean * (1.0 - rng.f64()).ln()
}
