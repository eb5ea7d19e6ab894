//! Every default and limit of the configuration.

use std::ops::RangeInclusive;
use std::time::Duration;

/// Durations that a field may have.
pub(super) struct Durations {
    pub(super) range: RangeInclusive<Duration>,
    /// The range as a person reads it.
    pub(super) expected: &'static str,
}

const fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

/// Where a packaged service keeps its state.
pub(super) const DATA_DIR: &str = "/var/lib/busyhour-agent";
/// 64 MiB: more than seven days of the default schedule to several targets.
pub(super) const SPOOL_BYTES: u64 = 64 * 1024 * 1024;
/// Room for a few blocks; below this every sealed block would push out the one before.
pub(super) const MIN_SPOOL_BYTES: u64 = 1024 * 1024;
/// A week: a branch that is cut off over a long weekend loses nothing.
pub(super) const SPOOL_AGE: &str = "7d";
/// How old live data is at most when it leaves: a block for each window of the default schedule.
pub(super) const SEAL_AFTER: &str = "10s";
/// Sessions of one agent. What they may send together is limited by the link, not by their number.
pub(super) const MAX_TARGETS: usize = 200;
/// Link capacities that are believed, in bits a second.
pub(super) const CAPACITIES: RangeInclusive<u64> = 100_000..=1_000_000_000_000;
/// Ten thousand agents' worth at some 100 bytes each is a megabyte.
pub(super) const REFLECTOR_SESSIONS: u32 = 10_000;
/// The agents behind one translated address, a few sessions each.
pub(super) const REFLECTOR_SESSIONS_PER_ADDRESS: u32 = 1_000;
/// A hundred megabytes of sessions are more than any reflector is asked for.
pub(super) const REFLECTOR_SESSION_RANGE: RangeInclusive<u32> = 1..=1_000_000;

/// Long enough for windows of every period, and for the collector to be started again in between.
pub(super) const TRIAL: &str = "5m";

/// Tests are in a hurry; nobody else has a reason to.
const SHORTEST: Duration = Duration::from_millis(100);

/// What a probe's profile takes; tests use short windows, nobody else has a reason to.
pub(super) static WINDOWS: Durations =
    Durations { range: SHORTEST..=seconds(60), expected: "from 100ms to 60s" };
/// Beyond four minutes a reflector would forget the session in between.
pub(super) static PERIODS: Durations =
    Durations { range: SHORTEST..=seconds(240), expected: "from 100ms to 4m" };
pub(super) static TRIALS: Durations =
    Durations { range: SHORTEST..=seconds(3_600), expected: "from 100ms to 1h" };
pub(super) static SEALS: Durations =
    Durations { range: SHORTEST..=seconds(600), expected: "from 100ms to 10m" };
pub(super) static SPOOL_AGES: Durations =
    Durations { range: seconds(60)..=seconds(90 * 86_400), expected: "from 1m to 90d" };
