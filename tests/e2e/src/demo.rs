//! The demonstration as a newcomer starts it, and a real browser.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};

use serde_json::Value;

use crate::{get, program, signal, wait_for};

/// The demonstration, which is ended when the test lets go of it.
pub struct Demo {
    child: Child,
    page: String,
    printed: Vec<String>,
    messages: PathBuf,
    /// Held open: what prints into a closed pipe ends.
    _output: BufReader<ChildStdout>,
}

impl Demo {
    /// Starts the demonstration and reads what it prints until the page's address and the commands
    /// to try are there.
    ///
    /// # Panics
    /// When it cannot be started, or ends before that.
    #[must_use]
    pub fn start(temporary: &Path, messages: PathBuf) -> Self {
        let mut child = Command::new(program("busyhour"))
            .args(["demo", "--weeks", "2"])
            .env("TMPDIR", temporary)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(fs::File::create(&messages).expect("its messages have a file"))
            .spawn()
            .expect("the demonstration starts");
        let mut printed = Vec::new();
        let mut output = BufReader::new(child.stdout.take().expect("its output is a pipe"));
        for line in output.by_ref().lines() {
            let line = line.expect("it prints text");
            let done = line.contains("path ls");
            printed.push(line);
            if done {
                break;
            }
        }
        let page = printed
            .iter()
            .flat_map(|line| line.split_whitespace())
            .find(|word| word.starts_with("http://127.0.0.1:"))
            .unwrap_or_else(|| panic!("no address in {printed:?}"))
            .to_owned();
        Self { child, page, printed, messages, _output: output }
    }

    /// The page's address.
    #[must_use]
    pub fn page(&self) -> &str {
        &self.page
    }

    /// What it printed.
    #[must_use]
    pub fn printed(&self) -> &[String] {
        &self.printed
    }

    /// What it says while it works.
    #[must_use]
    pub fn said(&self) -> String {
        fs::read_to_string(&self.messages).unwrap_or_default()
    }

    /// What the collector answers to a request.
    ///
    /// # Panics
    /// When it does not answer with 200.
    #[must_use]
    pub fn get(&self, path: &str) -> Vec<u8> {
        get(&self.page, path)
    }

    /// What a command prints.
    ///
    /// # Panics
    /// When it fails.
    #[must_use]
    pub fn busyhour(&self, arguments: &[&str]) -> String {
        let output = Command::new(program("busyhour"))
            .args(["--collector", &self.page])
            .args(arguments)
            .output()
            .expect("the command runs");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).expect("a command prints text")
    }

    /// The number of an open incident that is shown with a building.
    ///
    /// # Panics
    /// When the answer is none.
    #[must_use]
    pub fn open_incident_of(&self, building: &str) -> Option<String> {
        let answer: Value = serde_json::from_str(&self.busyhour(&["incident", "ls", "-o", "json"]))
            .expect("an answer in JSON");
        let open = |item: &&Value| item["building"] == building && item["state"] == "open";
        answer["items"].as_array()?.iter().find(open).map(|item| item["number"].to_string())
    }

    /// Interrupts it as Ctrl-C does; true when it ended in order.
    ///
    /// # Panics
    /// When it does not end.
    #[must_use]
    pub fn interrupt(mut self) -> bool {
        signal(self.child.id(), "INT");
        wait_for("the demonstration to stop", || {
            self.child.try_wait().expect("a child can be waited for")
        })
        .success()
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What Chromium is told: no window, and nothing that would call home.
pub(crate) const QUIET_CHROMIUM: [&str; 9] = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
];

/// Headless Chromium with a profile of its own, without anything that would call home.
///
/// # Panics
/// When it fails.
pub fn chromium(profile: &Path, arguments: &[&str]) -> Vec<u8> {
    let output = Command::new("chromium")
        .args(QUIET_CHROMIUM)
        .arg(format!("--user-data-dir={}", profile.display()))
        .args(arguments)
        .stderr(Stdio::null())
        .output()
        .expect("chromium runs");
    assert!(output.status.success(), "chromium {arguments:?}");
    output.stdout
}
