//! Processes that are measured, and what they cost.

#![allow(unsafe_code, reason = "a process's CPU clock is only to be had from the system")]

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// A busy loop ends by itself after this long, whatever happened to whoever started it.
const BUSY: Duration = Duration::from_secs(60);

/// A process that ends with the value.
pub(crate) struct Running(Child);

impl Running {
    /// Starts it; what it prints is thrown away.
    pub(crate) fn start(command: &mut Command) -> Self {
        let child = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("the process starts");
        Self(child)
    }

    /// Starts this very program with other arguments, and returns the first line it prints.
    pub(crate) fn own(arguments: &[&str]) -> (Self, String) {
        let mut child = own_command(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .expect("this program starts");
        let mut line = String::new();
        let stdout = child.stdout.take().expect("it was asked for");
        BufReader::new(stdout).read_line(&mut line).expect("a line");
        (Self(child), line.trim().to_owned())
    }

    /// Its number.
    pub(crate) fn id(&self) -> u32 {
        self.0.id()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn own_command(arguments: &[&str]) -> Command {
    let mut command = Command::new(std::env::current_exe().expect("this program"));
    command.args(arguments);
    command
}

/// Loads a processor until it is ended, or a minute is over.
pub(crate) fn busy() {
    let started = Instant::now();
    while started.elapsed() < BUSY {
        std::hint::black_box(0_u64);
    }
}

/// Starts busy loops.
pub(crate) fn busy_loops(count: usize) -> Vec<Running> {
    (0..count).map(|_| Running::start(&mut own_command(&["--busy"]))).collect()
}

/// CPU seconds that a process has used, with threads that have ended, to the nanosecond.
pub(crate) fn cpu_seconds(process: u32) -> f64 {
    let mut clock = 0;
    // SAFETY: zero is a value of both fields, and both results outlive their calls.
    let (found, time) = unsafe {
        let mut time: libc::timespec = std::mem::zeroed();
        let found = libc::clock_getcpuclockid(process as libc::pid_t, &raw mut clock) == 0
            && libc::clock_gettime(clock, &raw mut time) == 0;
        (found, time)
    };
    assert!(found, "the process runs");
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

/// Resident memory in kB.
pub(crate) fn resident_kb(process: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{process}/status")).expect("it runs");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|rest| rest.split_whitespace().next()?.parse().ok()).expect("resident memory")
}

/// A program of a peer; `None`, said, when it is not installed.
pub(crate) fn peer(name: &str) -> Option<PathBuf> {
    let home = std::env::var_os("CARGO_HOME").map(PathBuf::from);
    let cargo = home.or_else(|| Some(Path::new(&std::env::var_os("HOME")?).join(".cargo")));
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path)
        .chain(cargo.map(|home| home.join("bin")))
        .map(|folder| folder.join(name))
        .find(|file| file.is_file());
    if found.is_none() {
        println!("  {name:<28} not installed: not measured");
    }
    found
}

/// Writes a file.
pub(crate) fn write(folder: &Path, name: &str, text: &str) -> PathBuf {
    let file = folder.join(name);
    fs::write(&file, text).expect("a file");
    file
}
