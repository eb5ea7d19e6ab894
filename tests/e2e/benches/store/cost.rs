//! What a run costs: processor time by thread and process, memory, and bytes on disk.

#![allow(unsafe_code, reason = "processor clocks are only to be had from the system")]

use std::fs;
use std::path::Path;
use std::time::Instant;

/// Processor seconds of the calling thread.
pub(crate) fn thread_cpu() -> f64 {
    seconds_of(libc::CLOCK_THREAD_CPUTIME_ID)
}

/// Processor seconds of this process, with threads that have ended.
pub(crate) fn own_cpu() -> f64 {
    seconds_of(libc::CLOCK_PROCESS_CPUTIME_ID)
}

/// Processor seconds of another process, with threads that have ended.
pub(crate) fn cpu_of(process: u32) -> f64 {
    let mut clock = 0;
    // SAFETY: the result outlives the call.
    let found = unsafe { libc::clock_getcpuclockid(process as libc::pid_t, &raw mut clock) };
    assert!(found == 0, "process {process} runs");
    seconds_of(clock)
}

fn seconds_of(clock: libc::clockid_t) -> f64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the result outlives the call.
    let found = unsafe { libc::clock_gettime(clock, &raw mut time) };
    assert!(found == 0, "the clock can be read");
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

/// The most memory that a process had resident since it began or since [`forget_peak`], in MB.
pub(crate) fn peak_mb(process: u32) -> f64 {
    status_mb(process, "VmHWM:")
}

/// Memory that a process has resident, in MB.
pub(crate) fn resident_mb(process: u32) -> f64 {
    status_mb(process, "VmRSS:")
}

fn status_mb(process: u32, field: &str) -> f64 {
    let status = fs::read_to_string(format!("/proc/{process}/status")).expect("it runs");
    let line = status.lines().find_map(|line| line.strip_prefix(field)).expect("the field");
    let kb = line.split_whitespace().next().and_then(|number| number.parse::<f64>().ok());
    kb.expect("a number") / 1024.0
}

/// Lets the peak of this process begin anew. Where the system does not allow it, the peak is that of
/// the whole run: more than is true, never less.
pub(crate) fn forget_peak() {
    let _ = fs::write("/proc/self/clear_refs", "5");
}

/// Bytes that this process had the system write to disks so far.
pub(crate) fn written_bytes() -> u64 {
    let io = fs::read_to_string("/proc/self/io").unwrap_or_default();
    let line = io.lines().find_map(|line| line.strip_prefix("write_bytes: "));
    line.and_then(|number| number.parse().ok()).unwrap_or(0)
}

/// Bytes of all files in a folder and below.
pub(crate) fn folder_bytes(folder: &Path) -> u64 {
    let Ok(entries) = fs::read_dir(folder) else { return 0 };
    let entries = entries.filter_map(Result::ok);
    entries
        .map(|entry| match entry.metadata() {
            Ok(found) if found.is_dir() => folder_bytes(&entry.path()),
            Ok(found) => found.len(),
            Err(_) => 0,
        })
        .sum()
}

/// Wall and processor time from here on.
pub(crate) struct Watch {
    wall: Instant,
    own: f64,
}

impl Watch {
    pub(crate) fn start() -> Self {
        Self { wall: Instant::now(), own: own_cpu() }
    }

    /// Seconds since the start.
    pub(crate) fn wall(&self) -> f64 {
        self.wall.elapsed().as_secs_f64()
    }

    /// Processor seconds of this process since the start.
    pub(crate) fn cpu(&self) -> f64 {
        own_cpu() - self.own
    }
}

/// A number with thin groups: `1 234 567`.
pub(crate) fn grouped(number: f64) -> String {
    let digits = format!("{number:.0}");
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at) % 3 == 0 {
            text.push(' ');
        }
        text.push(digit);
    }
    text
}

/// The value below which the share `q` of all figures lies, by nearest rank.
pub(crate) fn quantile(figures: &[f64], q: f64) -> f64 {
    let mut sorted = figures.to_vec();
    sorted.sort_by(f64::total_cmp);
    let rank = (q * sorted.len() as f64).ceil() as usize;
    sorted.get(rank.clamp(1, sorted.len().max(1)) - 1).copied().unwrap_or(f64::NAN)
}
