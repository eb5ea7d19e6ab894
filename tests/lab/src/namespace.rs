//! Network namespaces and the commands that set them up.

use std::fs::File;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;

use e2e::{Place, cannot_run};
use nix::sched::{CloneFlags, setns};

static NEXT: AtomicU32 = AtomicU32::new(0);

/// A network namespace; it goes when the value does.
#[derive(Debug)]
pub struct Namespace {
    name: String,
}

/// A namespace, for those who only visit.
#[derive(Debug, Clone)]
pub(crate) struct Handle(String);

impl Namespace {
    /// Makes one, with its loopback up; `None`, said loudly, where that is not allowed.
    pub(crate) fn new(role: &str) -> Option<Self> {
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("bh-{role}-{}-{number}", std::process::id());
        if !run("ip", &["netns", "add", &name]) {
            cannot_run("network namespaces cannot be made (root is needed)");
            return None;
        }
        let namespace = Self { name };
        namespace.ip(&["link", "set", "lo", "up"]);
        Some(namespace)
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// To run programs inside.
    #[must_use]
    pub fn place(&self) -> Place {
        Place::namespace(&self.name)
    }

    /// Runs `ip` for it.
    pub(crate) fn ip(&self, arguments: &[&str]) {
        must("ip", &[&["-n", &self.name], arguments].concat());
    }

    /// Runs a command inside.
    pub(crate) fn command(&self, command: &[&str]) {
        must("ip", &[&["netns", "exec", &self.name], command].concat());
    }

    /// The JSON that a command inside prints.
    pub(crate) fn json(&self, command: &[&str]) -> serde_json::Value {
        let arguments = [&["netns", "exec", &self.name], command].concat();
        let output = Command::new("ip").args(&arguments).output().expect("ip runs");
        let errors = String::from_utf8_lossy(&output.stderr);
        serde_json::from_slice(&output.stdout)
            .unwrap_or_else(|error| panic!("{command:?} printed no JSON ({error}): {errors}"))
    }

    pub(crate) fn handle(&self) -> Handle {
        Handle(self.name.clone())
    }

    /// Runs `task` in a thread of its own that lives in the namespace: sockets and devices that it
    /// opens belong there.
    ///
    /// # Panics
    /// When the namespace cannot be entered, or `task` panics.
    pub(crate) fn inside<T: Send>(&self, task: impl FnOnce() -> T + Send) -> T {
        self.handle().inside(task)
    }
}

impl Handle {
    /// As [`Namespace::inside`].
    pub(crate) fn inside<T: Send>(&self, task: impl FnOnce() -> T + Send) -> T {
        let entered = || {
            let file = File::open(format!("/run/netns/{}", self.0)).expect("the namespace");
            setns(file, CloneFlags::CLONE_NEWNET).expect("the namespace can be entered");
            task()
        };
        thread::scope(|scope| scope.spawn(entered).join()).expect("the task ends")
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        run("ip", &["netns", "del", &self.name]);
    }
}

fn run(program: &str, arguments: &[&str]) -> bool {
    let output = Command::new(program).args(arguments).output().expect("the program runs");
    if !output.status.success() {
        eprintln!("{program} {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    }
    output.status.success()
}

fn must(program: &str, arguments: &[&str]) {
    assert!(run(program, arguments), "{program} {arguments:?}");
}
