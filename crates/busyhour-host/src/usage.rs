//! What this process uses of the machine.

use std::time::Duration;

use nix::time::{ClockId, clock_gettime};

use crate::{HostError, read};

/// Where the kernel tells of the process that asks.
const STATUS: &str = "/proc/self/status";

/// What this process uses of the machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Usage {
    /// Processor time of all its threads since it began.
    pub cpu: Duration,
    /// Memory that it has in RAM, in bytes, what it shares with others included.
    pub resident_bytes: u64,
}

/// What this process uses now.
///
/// # Errors
/// When the kernel does not tell.
pub fn own_usage() -> Result<Usage, HostError> {
    let unread = |source: std::io::Error| HostError::Read { path: STATUS.into(), source };
    let cpu = clock_gettime(ClockId::CLOCK_PROCESS_CPUTIME_ID)
        .map_err(|errno| unread(errno.into()))?
        .into();
    let resident_bytes =
        resident(&read(STATUS)?).ok_or_else(|| unread(std::io::ErrorKind::InvalidData.into()))?;
    Ok(Usage { cpu, resident_bytes })
}

/// `VmRSS`, in bytes, of a process's status.
fn resident(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kilobytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kilobytes.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resident_memory_is_read_in_its_unit() {
        let status = "Name:\tagent\nVmPeak:\t  999 kB\nVmRSS:\t    8844 kB\nRssAnon:\t 12 kB\n";
        assert_eq!(resident(status), Some(8_844 * 1_024));
        assert_eq!(resident("VmRSS:\t 8844 pages\n"), None);
        assert_eq!(resident(""), None);
    }

    #[test]
    fn this_process_uses_something() {
        let before = own_usage().unwrap();
        assert!(before.cpu > Duration::ZERO && before.resident_bytes > 0);
        let mut sum = 0_u64;
        let after = loop {
            sum = std::hint::black_box(sum.wrapping_add(1));
            let now = own_usage().unwrap();
            if now.cpu > before.cpu {
                break now;
            }
        };
        assert!(after.cpu < before.cpu + Duration::from_secs(3600));
    }
}
