//! What a link does to packets at a given utilisation: two disjoint sets of mechanisms, as tables.
//!
//! Utilisation ρ is offered load over capacity. Delays are in units of the link's depth (its full
//! buffer, or the time of one access to the air). Every mechanism is a function of ρ alone; what is
//! random about a window is drawn elsewhere.

mod contention;
mod queue;

use std::sync::LazyLock;

#[cfg(test)]
use super::plan::Mechanisms;

/// Rows for each unit of utilisation.
const ROWS_A_UNIT: usize = 200;
/// The highest utilisation that a table knows; beyond it nothing changes any more.
const HIGHEST: usize = 3;
/// Rows of a table.
pub(crate) const ROWS: usize = HIGHEST * ROWS_A_UNIT + 1;

/// How a link works.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum LinkType {
    /// A FIFO queue of `K` packets, M/M/1/K: loss `(1-ρ)ρ^K / (1-ρ^(K+1))`, waits by its stationary
    /// distribution (Kleinrock, Queueing Systems I, 3.6).
    Fifo,
    /// The air of one access point: waiting `ρ/(1-ρ)` accesses, jitter nearly as large, and retries that
    /// fail in proportion to `(ρ - 0.75)²`.
    Airtime,
    /// A policer: drops what exceeds its rate, `E[max(0, 1 - 1/x)]` with `x ~ N(ρ, 0.06)` over the
    /// window, and delays nothing (RFC 2697 with a small bucket).
    Policer,
    /// Active queue management: waiting `ρ/(1-ρ)` up to its target delay, and early drops of the
    /// excess, spread evenly (RFC 8033).
    Aqm,
    /// A cable segment: a deep FIFO queue behind a cycle of requests and grants that grows as `1 + 2ρ`
    /// with contention for requests.
    Docsis,
    /// A mobile line: a very deep queue of its own, radio retransmission that turns six of seven losses
    /// into delay, and the scheduler's constant jitter.
    Mobile,
    /// Stations that contend for the air: collision probability `c` of `1 + 20ρ²` stations (Bianchi 2000,
    /// W = 16, m = 5), loss `c^7`, delay the sum of its backoffs.
    Contention,
    /// A machine that sends late: run queue `ρ/(1-ρ)` as jitter, socket buffers that overflow beyond 1.
    Host,
}

impl LinkType {
    pub(crate) const ALL: [Self; 8] = [
        Self::Fifo,
        Self::Airtime,
        Self::Policer,
        Self::Aqm,
        Self::Docsis,
        Self::Mobile,
        Self::Contention,
        Self::Host,
    ];

    /// The set that it belongs to.
    #[cfg(test)]
    pub(crate) const fn set(self) -> Mechanisms {
        match self {
            Self::Fifo | Self::Airtime => Mechanisms::Tuning,
            Self::Policer
            | Self::Aqm
            | Self::Docsis
            | Self::Mobile
            | Self::Contention
            | Self::Host => Mechanisms::HeldOut,
        }
    }

    /// The word for it.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Fifo => "fifo",
            Self::Airtime => "airtime",
            Self::Policer => "policer",
            Self::Aqm => "aqm",
            Self::Docsis => "docsis",
            Self::Mobile => "mobile-line",
            Self::Contention => "contention",
            Self::Host => "host",
        }
    }

    /// How much its losses vary from window to window, as a place in
    /// [`super::draw::GAMMA_SHAPES`]; how much closer together they lie than chance would put them;
    /// and the spread of its jitter (of the logarithm).
    const fn manner(self) -> (usize, f32, f32) {
        match self {
            Self::Fifo | Self::Docsis => (1, 3.0, 0.15),
            Self::Airtime | Self::Contention => (0, 6.0, 0.35),
            Self::Policer => (1, 4.0, 0.1),
            Self::Aqm => (2, 1.0, 0.12),
            Self::Mobile => (1, 2.0, 0.25),
            Self::Host => (0, 8.0, 0.3),
        }
    }

    /// The row for a utilisation.
    fn row(self, rho: f64) -> Row {
        match self {
            Self::Fifo => queue::fifo(rho, 48.0, 0.5),
            Self::Airtime => contention::airtime(rho),
            Self::Policer => queue::policer(rho),
            Self::Aqm => queue::aqm(rho),
            Self::Docsis => queue::docsis(rho),
            Self::Mobile => queue::mobile(rho),
            Self::Contention => contention::stations(rho),
            Self::Host => contention::host(rho),
        }
    }
}

/// What a link does to the packets of a window, delays in depths.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(crate) struct Row {
    /// The probability that a packet is lost.
    pub(crate) loss: f32,
    /// The shortest wait.
    pub(crate) low: f32,
    /// The median wait.
    pub(crate) median: f32,
    /// The wait that one packet in twenty exceeds.
    pub(crate) high: f32,
    /// The mean difference of the waits of neighbouring packets.
    pub(crate) jitter: f32,
}

/// A mechanism's table.
#[derive(Debug)]
pub(crate) struct Table {
    rows: Box<[Row]>,
    /// A place in [`super::draw::GAMMA_SHAPES`].
    pub(crate) shape: usize,
    /// How much closer together losses lie than by chance, 1 and more.
    pub(crate) clump: f32,
    /// The spread of the jitter from window to window (of its logarithm).
    pub(crate) wobble: f32,
}

impl Table {
    /// The one table of a mechanism.
    pub(crate) fn of(link: LinkType) -> &'static Self {
        static TABLES: LazyLock<[Table; 8]> = LazyLock::new(|| LinkType::ALL.map(Table::new));
        &TABLES[link as usize]
    }

    fn new(link: LinkType) -> Self {
        let (shape, clump, wobble) = link.manner();
        let rows = (0..ROWS).map(|row| link.row(Self::utilisation(row))).collect();
        Self { rows, shape, clump, wobble }
    }

    /// The utilisation that a row stands for.
    pub(crate) fn utilisation(row: usize) -> f64 {
        row as f64 / ROWS_A_UNIT as f64
    }

    /// The place of the row that stands for a utilisation, rounded.
    #[inline]
    pub(crate) fn place(rho: f32) -> usize {
        // A negative or missing value becomes 0 here, an immense one the last row.
        ((rho * ROWS_A_UNIT as f32 + 0.5) as usize).min(ROWS - 1)
    }

    /// The row of a utilisation.
    #[inline]
    pub(crate) fn at(&self, rho: f32) -> Row {
        self.rows.get(Self::place(rho)).copied().unwrap_or_default()
    }

    /// All rows, ascending by utilisation.
    pub(crate) fn rows(&self) -> &[Row] {
        &self.rows
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_mechanism_grows_worse_with_load_and_stays_finite() {
        for link in LinkType::ALL {
            let table = Table::of(link);
            for (place, pair) in table.rows().windows(2).enumerate() {
                let [a, b] = [pair[0], pair[1]];
                let rho = Table::utilisation(place);
                assert!(b.loss >= a.loss - 1e-6, "{link:?} at {rho}: {a:?} {b:?}");
                assert!(b.median >= a.median - 1e-4, "{link:?} at {rho}: {a:?} {b:?}");
                assert!((0.0..1.0).contains(&b.loss), "{link:?} at {rho}");
                assert!(b.low <= b.median && b.median <= b.high, "{link:?} at {rho}: {b:?}");
                assert!(b.jitter.is_finite() && b.jitter >= 0.0, "{link:?} at {rho}");
            }
        }
    }

    #[test]
    fn every_mechanism_is_harmless_at_half_load() {
        for link in LinkType::ALL {
            let row = Table::of(link).at(0.5);
            assert!(row.loss < 5e-4, "{link:?} {row:?}");
        }
    }

    #[test]
    fn the_sets_are_disjoint_and_none_is_empty() {
        let of = |set| LinkType::ALL.iter().filter(move |link| link.set() == set).count();
        assert_eq!((of(Mechanisms::Tuning), of(Mechanisms::HeldOut)), (2, 6));
        for (place, link) in LinkType::ALL.into_iter().enumerate() {
            assert_eq!(link as usize, place);
        }
    }

    #[test]
    fn a_policer_drops_and_does_not_delay() {
        let row = Table::of(LinkType::Policer).at(1.25);
        assert!((row.loss - 0.2).abs() < 0.02, "{row:?}");
        assert!(row.high < 0.05, "{row:?}");
    }

    #[test]
    fn a_full_fifo_loses_one_packet_in_places_plus_one_and_is_half_full() {
        let row = Table::of(LinkType::Fifo).at(1.0);
        assert!((f64::from(row.loss) - 1.0 / 49.0).abs() < 1e-3, "{row:?}");
        assert!((row.median - 0.5).abs() < 0.02, "{row:?}");
    }

    #[test]
    fn a_mobile_line_delays_what_others_lose() {
        let (mobile, fifo) =
            (Table::of(LinkType::Mobile).at(1.1), Table::of(LinkType::Fifo).at(1.1));
        assert!(mobile.loss < fifo.loss / 5.0 && mobile.median > 0.7, "{mobile:?} {fifo:?}");
    }

    #[test]
    fn a_utilisation_beyond_the_table_is_its_last() {
        let table = Table::of(LinkType::Aqm);
        assert_eq!(table.at(1e9), table.at(3.0));
        assert_eq!(table.at(f32::NAN), table.at(0.0));
        assert_eq!(table.at(-1.0), table.at(0.0));
    }
}
