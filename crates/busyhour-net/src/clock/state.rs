//! How well the wall clock is kept.

use std::io;
use std::time::Duration;

/// How well the wall clock is kept, as the system claims.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClockState {
    /// True when a daemon keeps the clock to an outside source.
    pub synchronized: bool,
    /// How far from the source's time the clock is at most; [`Duration::MAX`] when nobody knows.
    pub error: Duration,
}

impl ClockState {
    /// What is known where the system tells nothing.
    pub const UNKNOWN: Self = Self { synchronized: false, error: Duration::MAX };
}

/// Reads how well the wall clock is kept.
///
/// The claim is the kernel's (adjtimex(2)): synchronised unless `STA_UNSYNC` is set or the call returns
/// `TIME_ERROR`. The error is `maxerror`, which the time daemon sets to its root distance (RFC 5905
/// section 11.2: half the round trip to the primary source and all dispersion on the way) and the kernel
/// lets grow by 500 ppm until the next update; `esterror`, the expected error, bounds nothing. At 16 s the
/// kernel ends the claim by itself. Of a clock that is not synchronised the kernel's figure says nothing,
/// and its error is unknown.
///
/// # Errors
/// When the kernel refuses, as some sandboxes make it.
#[cfg(target_os = "linux")]
pub fn clock_state() -> io::Result<ClockState> {
    use nix::libc;

    // SAFETY: all fields are integers, for which zero is a value; no modes means that nothing is set.
    let mut timex: libc::timex = unsafe { std::mem::zeroed() };
    // SAFETY: the kernel writes to the structure, which is borrowed mutably and outlives the call.
    let state = unsafe { libc::adjtimex(&raw mut timex) };
    if state < 0 {
        return Err(io::Error::last_os_error());
    }
    let claims = state != libc::TIME_ERROR && timex.status & libc::STA_UNSYNC == 0;
    // A C `long`, whose size depends on the machine.
    Ok(state_of(claims, timex.maxerror as _))
}

/// Reads how well the wall clock is kept: this system tells nothing that is known here.
///
/// # Errors
/// None; the signature is that of systems that can refuse.
#[cfg(not(target_os = "linux"))]
pub fn clock_state() -> io::Result<ClockState> {
    Ok(ClockState::UNKNOWN)
}

#[cfg(target_os = "linux")]
fn state_of(claims: bool, max_error_us: i64) -> ClockState {
    match u64::try_from(max_error_us) {
        Ok(error_us) if claims => {
            ClockState { synchronized: true, error: Duration::from_micros(error_us) }
        }
        _ => ClockState::UNKNOWN,
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn only_a_clock_that_claims_to_be_synchronised_has_a_known_error() {
        let error = Duration::from_micros(1_500);
        assert_eq!(state_of(true, 1_500), ClockState { synchronized: true, error });
        assert_eq!(state_of(false, 1_500), ClockState::UNKNOWN);
        assert_eq!(state_of(true, -1), ClockState::UNKNOWN);
    }

    #[test]
    fn the_system_tells_the_state_of_its_clock() {
        let state = clock_state().unwrap();
        assert_eq!(state.synchronized, state.error < Duration::MAX);
    }
}
