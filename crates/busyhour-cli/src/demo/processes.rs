//! The demonstration's processes: this same program in other roles.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, bail};
use tokio::process::{Child, Command};
use tokio::time::{Instant, sleep, timeout};

/// How long a process may take to say where it listens.
const START_LIMIT: Duration = Duration::from_secs(30);
/// How long a process may take to stop before it is ended.
const STOP_LIMIT: Duration = Duration::from_secs(15);
const POLL: Duration = Duration::from_millis(20);
/// How much of a process's log is shown when it ends unexpectedly.
const LOG_TAIL_LINES: usize = 12;

/// A process of the demonstration. Its standard input is a pipe from here: it stops when the pipe
/// closes, so that it cannot outlive the demonstration, however that ends.
pub(super) struct Process {
    name: String,
    folder: PathBuf,
    child: Child,
}

impl Process {
    /// Starts this program as `role`, with `config` as its configuration file, in a folder of its
    /// own.
    ///
    /// # Errors
    /// When the folder, the file or the process cannot be made.
    pub(super) fn start(
        name: &str,
        role: &str,
        folder: PathBuf,
        config: &str,
    ) -> anyhow::Result<Self> {
        fs::create_dir_all(&folder).with_context(|| format!("create {}", folder.display()))?;
        let file = folder.join("config.toml");
        fs::write(&file, config).with_context(|| format!("write {}", file.display()))?;
        let log = File::create(folder.join("log")).context("create a log")?;
        let child = Command::new(std::env::current_exe().context("find this program")?)
            .args(["role", role, "run", "--stop-with-stdin", "--config"])
            .arg(&file)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(log)
            // Ctrl-C reaches only the demonstration, which stops the others in order.
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("start the {name}"))?;
        Ok(Self { name: name.to_owned(), folder, child })
    }

    /// Waits until the process says where it listens.
    ///
    /// # Errors
    /// When it ends, or does not say so in time.
    pub(super) async fn addresses(&mut self) -> anyhow::Result<serde_json::Value> {
        let file = self.folder.join("data").join("addresses.json");
        let deadline = Instant::now() + START_LIMIT;
        loop {
            if let Ok(text) = fs::read_to_string(&file) {
                return serde_json::from_str(&text)
                    .with_context(|| format!("read {}", file.display()));
            }
            self.check()?;
            if Instant::now() >= deadline {
                bail!("the {} does not start; {}", self.name, self.log_tail());
            }
            sleep(POLL).await;
        }
    }

    /// Checks that the process still runs.
    ///
    /// # Errors
    /// When it has ended.
    pub(super) fn check(&mut self) -> anyhow::Result<()> {
        match self.child.try_wait().context("look after a process")? {
            None => Ok(()),
            Some(status) => bail!("the {} ended ({status}); {}", self.name, self.log_tail()),
        }
    }

    /// Closes the process's standard input and waits until it has stopped.
    pub(super) async fn stop(mut self) {
        drop(self.child.stdin.take());
        if timeout(STOP_LIMIT, self.child.wait()).await.is_err() {
            eprintln!("the {} does not stop; ending it", self.name);
            // Nothing is left to do where even that does not work.
            let _ = self.child.kill().await;
        }
    }

    fn log_tail(&self) -> String {
        let log = self.folder.join("log");
        let text = fs::read_to_string(&log).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        let tail = &lines[lines.len().saturating_sub(LOG_TAIL_LINES)..];
        if tail.is_empty() {
            return "it wrote no log".to_owned();
        }
        format!("the end of its log:\n{}", tail.join("\n"))
    }
}

/// The folder of a process's own data, as configurations name it.
pub(super) fn data_dir(folder: &Path) -> String {
    toml_string(&folder.join("data").to_string_lossy())
}

/// A TOML basic string; its escapes are those of JSON.
pub(super) fn toml_string(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}
