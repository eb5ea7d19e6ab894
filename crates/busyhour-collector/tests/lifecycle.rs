//! A collector starts, says where it is, serves, and stops cleanly.

#![expect(clippy::unwrap_used, reason = "a step that fails fails the test")]

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use busyhour_collector::{Addresses, RawConfig, Resolved, run};
use busyhour_model::UtcMicros;
use busyhour_store::{Act, AuditAction, AuditSubject, Control as _};
use testkit::wait_until;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// Far more than any step takes on a loaded machine.
const BOUND: Duration = Duration::from_secs(60);

fn config(directory: &Path, more: &[(&str, &str)]) -> Resolved {
    let data_dir = directory.to_str().unwrap();
    let basics = [
        ("collector.data_dir", data_dir),
        ("ingest.listen", "127.0.0.1:0"),
        ("api.listen", "127.0.0.1:0"),
    ];
    let overrides: Vec<(String, String)> = basics
        .iter()
        .chain(more)
        .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
        .collect();
    busyhour_daemon::load::<RawConfig>(None, &overrides).unwrap().resolve().unwrap()
}

struct Running {
    task: JoinHandle<anyhow::Result<()>>,
    shutdown: CancellationToken,
    addresses: Addresses,
}

impl Running {
    async fn start(directory: &Path) -> Self {
        Self::start_with(directory, &[]).await
    }

    async fn start_with(directory: &Path, more: &[(&str, &str)]) -> Self {
        let shutdown = CancellationToken::new();
        let task = tokio::spawn(run(config(directory, more), shutdown.clone()));
        let addresses = tokio::task::block_in_place(|| {
            wait_until("the collector says where it is", BOUND, || {
                assert!(!task.is_finished(), "the collector ended");
                Addresses::read(directory).unwrap()
            })
        });
        Self { task, shutdown, addresses }
    }

    async fn stop(self) {
        self.shutdown.cancel();
        tokio::time::timeout(BOUND, self.task).await.unwrap().unwrap().unwrap();
    }
}

async fn get(address: SocketAddr, path: &str) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_collector_says_where_it_is_serves_and_stops() {
    let directory = tempfile::tempdir().unwrap();
    let running = Running::start(directory.path()).await;
    let addresses = running.addresses.clone();
    assert_ne!(addresses.api.port(), 0);
    assert_ne!(addresses.ingest.port(), 0);
    assert_eq!(addresses.pid, std::process::id());

    assert!(get(addresses.api, "/healthz").await.starts_with("HTTP/1.1 200"));
    let status = get(addresses.api, "/api/v1/status").await;
    for figure in ["ingest_windows_total", "judge_waiting_days", "notify_sent_total", "uptime_s"] {
        assert!(status.contains(figure), "{figure}: {status}");
    }
    TcpStream::connect(addresses.ingest).await.unwrap();

    running.stop().await;
    assert_eq!(Addresses::read(directory.path()).unwrap(), None);
    assert!(TcpStream::connect(addresses.api).await.is_err());

    let again = Running::start(directory.path()).await;
    again.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn control_data_goes_after_its_time_and_a_change_of_that_time_is_audited() {
    let directory = tempfile::tempdir().unwrap();
    let resolved = config(directory.path(), &[]);
    let (telemetry, control) = busyhour_store::open(directory.path(), resolved.retention).unwrap();
    let in_1970 = Act::by_operator(UtcMicros(7));
    control.note(&in_1970, AuditAction::JudgedAgain, AuditSubject::Store, "long-ago").unwrap();
    drop((telemetry, control));
    for (days, told) in [("400d", "retention.audit=400d "), ("30d", "retention.audit=400d->30d")] {
        let running = Running::start_with(directory.path(), &[("retention.audit", days)]).await;
        let ask = || {
            tokio::runtime::Handle::current().block_on(get(running.addresses.api, "/api/v1/audit"))
        };
        let audit = tokio::task::block_in_place(|| {
            wait_until("the old entry goes", BOUND, || {
                let audit = ask();
                (!audit.contains("long-ago")).then_some(audit)
            })
        });
        assert!(audit.contains(told), "{audit}");
        running.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_collector_on_the_same_data_is_refused_and_disturbs_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let running = Running::start(directory.path()).await;

    let second = run(config(directory.path(), &[]), CancellationToken::new()).await;
    let message = format!("{:#}", second.unwrap_err());
    assert!(message.contains(directory.path().to_str().unwrap()), "{message}");

    let addresses = Addresses::read(directory.path()).unwrap();
    assert_eq!(addresses.as_ref(), Some(&running.addresses));
    assert!(get(running.addresses.api, "/healthz").await.starts_with("HTTP/1.1 200"));
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_taken_port_is_named() {
    let directory = tempfile::tempdir().unwrap();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let config = config(directory.path(), &[("api.listen", &address)]);
    let error = run(config, CancellationToken::new()).await.unwrap_err();
    let message = format!("{error:#}");
    assert!(message.contains("api.listen") && message.contains(&address), "{message}");
}
