//! The real programs as real processes: started in folders of their own, on ports the system picks,
//! asked through the command line, and always ended again.

mod browser;
mod demo;
mod ledger;

use std::ffi::OsStr;
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use serde_json::Value;

pub use browser::Browser;
pub use demo::{Demo, chromium};
pub use ledger::{Ledger, settled};

/// How long anything may take before a test gives up on it. Generous: it bounds a hang, it measures
/// nothing.
pub const LIMIT: Duration = Duration::from_secs(120);
const POLL: Duration = Duration::from_millis(25);

/// Waits until `ready` gives a value.
///
/// # Panics
/// After [`LIMIT`], naming what was waited for.
pub fn wait_for<T>(what: &str, mut ready: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + LIMIT;
    loop {
        if let Some(value) = ready() {
            return value;
        }
        assert!(Instant::now() < deadline, "waited {LIMIT:?} for {what}");
        std::thread::sleep(POLL);
    }
}

/// Says loudly that a test cannot run here, and fails it in CI.
///
/// # Panics
/// When `CI` is set.
pub fn cannot_run(why: &str) {
    assert!(std::env::var_os("CI").is_none(), "this test must run in CI: {why}");
    eprintln!("NOT TESTED: {why}");
}

/// True when a program can be found in the usual places; says so loudly (fails in CI) otherwise.
#[must_use]
pub fn have(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path)
        .chain(["/usr/sbin".into(), "/sbin".into()])
        .any(|folder| folder.join(program).is_file());
    if !found {
        cannot_run(&format!("there is no {program}; .ci/packages installs it"));
    }
    found
}

/// The folder that built programs lie in.
fn target_folder() -> PathBuf {
    let test = std::env::current_exe().expect("a test knows where it lies");
    test.parent().and_then(Path::parent).expect("tests lie in target/PROFILE/deps").to_owned()
}

/// Where `.ci/packages` puts what is fetched for tests.
///
/// # Panics
/// When a test does not know where it lies.
#[must_use]
pub fn tools() -> PathBuf {
    target_folder().parent().expect("profiles lie in the target folder").join("tools")
}

/// One of the workspace's programs, built from the sources as they are.
///
/// # Panics
/// When it does not build.
#[must_use]
pub fn program(name: &str) -> PathBuf {
    static BUILT: OnceLock<()> = OnceLock::new();
    BUILT.get_or_init(|| {
        let folder = target_folder();
        let release = folder.file_name() == Some(OsStr::new("release"));
        let mut build = Command::new(env!("CARGO"));
        build.args(["build", "--workspace", "--bins", "--offline", "--quiet"]);
        build.args(release.then_some("--release"));
        build.arg("--target-dir").arg(folder.parent().expect("profiles lie in the target folder"));
        build.current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."));
        assert!(build.status().expect("cargo runs").success(), "the programs do not build");
    });
    target_folder().join(name)
}

/// A process that is ended when the test lets go of it.
pub struct Process {
    child: Child,
    log: PathBuf,
}

impl Process {
    /// Starts `command` with its messages in `log`.
    ///
    /// # Panics
    /// When it cannot be started.
    pub fn start(command: &mut Command, log: PathBuf) -> Self {
        let file = fs::OpenOptions::new().create(true).append(true).open(&log).expect("a log");
        let child = command
            .stdin(Stdio::null())
            .stdout(file.try_clone().expect("a log"))
            .stderr(file)
            .spawn()
            .expect("the process starts");
        Self { child, log }
    }

    /// The process's number.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// True while it runs.
    pub fn runs(&mut self) -> bool {
        self.child.try_wait().expect("a child can be waited for").is_none()
    }

    /// What it has written so far.
    #[must_use]
    pub fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Ends it at once, as `kill -9` does.
    pub fn kill(mut self) {
        self.child.kill().expect("the process can be killed");
        self.child.wait().expect("the process ends");
    }

    /// Asks it to stop (SIGTERM) and waits; true when it stopped without an error.
    pub fn stop(mut self) -> bool {
        signal(self.child.id(), "TERM");
        let status = wait_for("a process to stop", || self.child.try_wait().expect("waits"));
        status.success()
    }

    /// Waits until it ends by itself; true when it ended without an error.
    pub fn ends(mut self) -> bool {
        wait_for("a process to end", || self.child.try_wait().expect("waits")).success()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Already ended is just as well.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("--- {}\n{}", self.log.display(), self.log());
        }
    }
}

/// Sends a signal by name.
///
/// # Panics
/// When `kill` cannot be run.
pub fn signal(process: u32, name: &str) {
    let status = Command::new("kill").args([&format!("-{name}"), &process.to_string()]).status();
    assert!(status.expect("kill runs").success(), "cannot signal {process}");
}

/// Where a program is run: directly, inside a network namespace, or with a small disk of its own.
#[derive(Debug, Clone, Default)]
pub struct Place {
    namespace: Option<String>,
    small_disk: Option<(PathBuf, String)>,
}

impl Place {
    /// Inside a network namespace.
    #[must_use]
    pub fn namespace(name: &str) -> Self {
        Self { namespace: Some(name.to_owned()), ..Self::default() }
    }

    /// With a file system of `size` (such as `8m`) at `folder`, that only the program sees. Needs
    /// root.
    #[must_use]
    pub fn small_disk(folder: &Path, size: &str) -> Self {
        Self { small_disk: Some((folder.to_owned(), size.to_owned())), ..Self::default() }
    }

    /// Makes the small disk of a running process larger.
    ///
    /// # Panics
    /// When there is none, or it cannot be done.
    pub fn enlarge_disk(&self, process: u32, size: &str) {
        let (folder, _) = self.small_disk.as_ref().expect("a small disk");
        let status = Command::new("nsenter")
            .arg(format!("--mount=/proc/{process}/ns/mnt"))
            .args(["mount", "-o", &format!("remount,size={size}")])
            .arg(folder)
            .status();
        assert!(status.expect("nsenter runs").success(), "the disk grows");
    }

    /// Where a file of a running process lies for everybody else.
    #[must_use]
    pub fn file_of(&self, process: u32, file: &Path) -> PathBuf {
        match &self.small_disk {
            None => file.to_owned(),
            Some(_) => PathBuf::from(format!("/proc/{process}/root{}", file.display())),
        }
    }

    /// A command that runs `program` here.
    #[must_use]
    pub fn command(&self, program: &Path) -> Command {
        let mut command = self.around(program);
        if program.ends_with("busyhour-agent") {
            // Tests measure whatever the machine runs on.
            command.env("BUSYHOUR__PAUSE__ON_BATTERY", "false");
            command.env("BUSYHOUR__PAUSE__ON_METERED", "false");
        }
        command
    }

    fn around(&self, program: &Path) -> Command {
        if let Some(name) = &self.namespace {
            let mut command = Command::new("ip");
            command.args(["netns", "exec", name]).arg(program);
            return command;
        }
        let Some((folder, size)) = &self.small_disk else { return Command::new(program) };
        let mount = format!("mount -t tmpfs -o size={size} tmpfs \"$0\" && exec \"$@\"");
        let mut command = Command::new("unshare");
        command.args(["--mount", "--propagation", "private", "sh", "-c", &mount]);
        command.arg(folder).arg(program);
        command
    }
}

/// A collector with a folder of its own.
pub struct Collector {
    process: Option<Process>,
    folder: PathBuf,
    place: Place,
    /// Its HTTP address, such as `http://127.0.0.1:40123`.
    pub api: String,
    /// Its gRPC address.
    pub ingest: String,
}

impl Collector {
    /// Starts a collector in `folder` with `extra` at the end of its configuration, which is its
    /// section `[ingest]`.
    ///
    /// # Panics
    /// When it does not start.
    #[must_use]
    pub fn start(place: &Place, folder: &Path, extra: &str) -> Self {
        let mut collector = Self {
            process: None,
            folder: folder.to_owned(),
            place: place.clone(),
            api: String::new(),
            ingest: String::new(),
        };
        collector.configure(extra);
        collector.start_again();
        collector
    }

    /// Writes its configuration, for when it starts next, as [`Self::start`] does.
    ///
    /// # Panics
    /// When the configuration cannot be written.
    pub fn configure(&self, extra: &str) {
        fs::create_dir_all(&self.folder).expect("a folder");
        let config = format!(
            "[collector]\ndata_dir = {:?}\n[api]\nlisten = \"127.0.0.1:0\"\n\
             [judge]\ninterval = \"200ms\"\nsettle = \"0s\"\n[ingest]\nlisten = \"127.0.0.1:0\"\n{extra}",
            self.folder.join("data").to_str().expect("a printable path")
        );
        fs::write(self.folder.join("collector.toml"), config).expect("a configuration");
    }

    /// Starts it after [`Self::kill`] or [`Self::stop`].
    ///
    /// # Panics
    /// When it does not start.
    pub fn start_again(&mut self) {
        let addresses = self.folder.join("data/addresses.json");
        fs::create_dir_all(self.folder.join("data")).expect("a folder");
        let _ = fs::remove_file(&addresses);
        let mut process = self.spawn();
        let found = wait_for("the collector's addresses", || {
            if !process.runs() {
                // Its pinned port is somebody's for the moment, such as another test's connection's.
                let log = process.log();
                let last = log.lines().last().unwrap_or_default();
                assert!(last.contains("in use"), "the collector ended:\n{log}");
                process = self.spawn();
            }
            let addresses = self.place.file_of(process.id(), &addresses);
            serde_json::from_str::<Value>(&fs::read_to_string(addresses).ok()?).ok()
        });
        let address = |of: &str| format!("http://{}", found[of].as_str().expect("an address"));
        self.api = address("api");
        self.ingest = address("ingest");
        self.process = Some(process);
    }

    /// Starts it and kills it `after` so long, most likely while it still opens its databases.
    pub fn start_and_kill(&self, after: Duration) {
        let process = self.spawn();
        std::thread::sleep(after);
        process.kill();
    }

    fn spawn(&self) -> Process {
        let mut command = self.place.command(&program("busyhour-collector"));
        command.args(["run", "--config"]).arg(self.folder.join("collector.toml"));
        Process::start(&mut command, self.folder.join("collector.log"))
    }

    /// Keeps the ports that the system picked, for whoever must find it again after a restart.
    ///
    /// # Panics
    /// When the configuration cannot be written.
    pub fn pin_ports(&self) {
        let file = self.folder.join("collector.toml");
        let config = fs::read_to_string(&file).expect("a configuration");
        let pinned = [("ingest", &self.ingest), ("api", &self.api)].iter().fold(
            config,
            |config, (section, url)| {
                let address = url.trim_start_matches("http://");
                let free = format!("[{section}]\nlisten = \"127.0.0.1:0\"");
                config.replace(&free, &format!("[{section}]\nlisten = {address:?}"))
            },
        );
        fs::write(&file, pinned).expect("the configuration can be written");
    }

    /// Kills it as `kill -9` does.
    pub fn kill(&mut self) {
        if let Some(process) = self.process.take() {
            process.kill();
        }
    }

    /// Stops it; true when it stopped without an error.
    pub fn stop(&mut self) -> bool {
        self.process.take().is_none_or(Process::stop)
    }

    /// Runs `busyhour` against it.
    ///
    /// # Panics
    /// When it cannot be run.
    #[must_use]
    pub fn busyhour(&self, arguments: &[&str]) -> Output {
        let mut command = self.place.command(&program("busyhour"));
        command.args(["--collector", &self.api]).args(arguments);
        command.output().expect("busyhour runs")
    }

    /// Runs `busyhour … -o json` and gives the items.
    ///
    /// # Panics
    /// When it fails, or prints something else.
    #[must_use]
    pub fn items(&self, arguments: &[&str]) -> Vec<Value> {
        let mut all = arguments.to_vec();
        all.extend(["-o", "json"]);
        let output = self.busyhour(&all);
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        let answer: Value = serde_json::from_slice(&output.stdout)
            .unwrap_or_else(|error| panic!("{arguments:?} printed no JSON ({error}); {errors}"));
        answer["items"].as_array().unwrap_or_else(|| panic!("no items in {answer}")).clone()
    }

    /// Asks its API; the body of the answer.
    ///
    /// # Panics
    /// When it does not answer with 200.
    #[must_use]
    pub fn get(&self, path: &str) -> Vec<u8> {
        get(&self.api, path)
    }

    /// One of the figures that it tells of itself.
    ///
    /// # Panics
    /// When there is no such figure.
    #[must_use]
    pub fn figure(&self, name: &str) -> u64 {
        let status: Value = serde_json::from_slice(&self.get("/api/v1/status")).expect("JSON");
        let figures = status["items"].as_array().expect("figures");
        let found = figures.iter().find(|figure| figure["name"] == name);
        found.and_then(|figure| figure["value"].as_u64()).unwrap_or_else(|| panic!("no {name}"))
    }

    /// The process's number.
    ///
    /// # Panics
    /// When it does not run.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.process.as_ref().expect("the collector runs").id()
    }

    /// Its folder.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }
}

/// What a collector at an address such as `http://127.0.0.1:8080` answers to a request.
///
/// # Panics
/// When it does not answer with 200.
#[must_use]
pub fn get(page: &str, path: &str) -> Vec<u8> {
    let address = page.trim_start_matches("http://");
    let mut stream = TcpStream::connect(address).expect("the collector listens");
    let request = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).expect("it takes requests");
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).expect("it answers");
    let end = answer.windows(4).position(|four| four == b"\r\n\r\n").expect("a head");
    let head = String::from_utf8_lossy(&answer[..end]).into_owned();
    assert!(head.starts_with("HTTP/1.1 200"), "{head}");
    answer.split_off(end + 4)
}

/// Writes a file that only its owner may read.
///
/// # Panics
/// When it cannot be written.
pub fn write_secret(path: &Path, text: &str) {
    let mut file = fs::OpenOptions::new()
        .create_new(true)
        .write(true)
        .mode(0o600)
        .open(path)
        .expect("a new file");
    file.write_all(text.as_bytes()).expect("it can be written");
}
