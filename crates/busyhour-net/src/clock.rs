//! The operating system's clocks.

mod state;

use std::io;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use busyhour_model::{BootId, BootMicros, ClockPair};

pub use state::{ClockState, clock_state};

/// Clocks that were read within this time of each other are close enough: a tenth of the step that
/// engines look for.
const CLOSE_ENOUGH: Duration = Duration::from_micros(100);
/// How often to read again when the process was interrupted in between.
const ATTEMPTS: u32 = 5;

/// Reads all clocks at one moment, as nearly as the scheduler allows.
#[must_use]
pub fn paired_now() -> ClockPair {
    let (mut best, mut width) = read();
    for _ in 1..ATTEMPTS {
        if width <= CLOSE_ENOUGH {
            break;
        }
        let (pair, next) = read();
        if next < width {
            (best, width) = (pair, next);
        }
    }
    best
}

fn read() -> (ClockPair, Duration) {
    let before = Instant::now();
    let wall_ns = wall_ns();
    let boot = boot();
    let width = before.elapsed();
    (ClockPair { monotonic: before + width / 2, wall_ns, boot }, width)
}

/// The wall clock alone, in nanoseconds of Unix time: for the last thing before sending.
#[must_use]
pub fn wall_ns() -> i64 {
    let ns = |duration: Duration| i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX);
    match SystemTime::now().duration_since(UNIX_EPOCH) {
        Ok(after) => ns(after),
        Err(before) => -ns(before.duration()),
    }
}

#[cfg(target_os = "linux")]
fn boot() -> BootMicros {
    use nix::time::{ClockId, clock_gettime};

    // CLOCK_BOOTTIME exists since Linux 2.6.39; zero would be read as "just booted".
    let since = clock_gettime(ClockId::CLOCK_BOOTTIME).map_or(Duration::ZERO, Duration::from);
    BootMicros(u64::try_from(since.as_micros()).unwrap_or(u64::MAX))
}

#[cfg(not(target_os = "linux"))]
fn boot() -> BootMicros {
    use std::sync::OnceLock;

    // Without a boot clock, time counts from the first reading in this process.
    static FIRST: OnceLock<Instant> = OnceLock::new();
    let since = FIRST.get_or_init(Instant::now).elapsed();
    BootMicros(u64::try_from(since.as_micros()).unwrap_or(u64::MAX))
}

/// The identity of this boot.
///
/// # Errors
/// When the system tells none, or not in the form of a UUID.
#[cfg(target_os = "linux")]
pub fn boot_id() -> io::Result<BootId> {
    let text = std::fs::read_to_string("/proc/sys/kernel/random/boot_id")?;
    text.trim().parse().map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
}

/// The identity of this boot.
///
/// # Errors
/// Always: this system tells none that is known here.
#[cfg(not(target_os = "linux"))]
pub fn boot_id() -> io::Result<BootId> {
    Err(io::Error::from(io::ErrorKind::Unsupported))
}
