//! A collector starts, says where it is, serves, and stops cleanly.

#![expect(clippy::unwrap_used, reason = "a step that fails fails the test")]

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use busyhour_collector::{Addresses, RawConfig, Resolved, run, run_with};
use busyhour_model::UtcMicros;
use busyhour_store::{Act, AuditAction, AuditSubject, Control as _};
use rustls::pki_types::CertificateDer;
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
    for figure in ["ingest_windows_total", "judge_waiting_dates", "notify_sent_total", "uptime_s"] {
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

/// Asks over TLS, trusting the one certificate; the status line and what follows.
async fn ask_tls(address: SocketAddr, trusted: &CertificateDer<'static>, request: &str) -> String {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(trusted.clone()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let client = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let stream = TcpStream::connect(address).await.unwrap();
    let name = rustls::pki_types::ServerName::try_from("localhost").unwrap();
    let connector = tokio_rustls::TlsConnector::from(Arc::new(client));
    let mut stream = connector.connect(name, stream).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    // A server that closes without a farewell has said all by then.
    let _ = stream.read_to_string(&mut answer).await;
    answer
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_api_is_reached_from_elsewhere_once_there_is_an_administrator() {
    let directory = tempfile::tempdir().unwrap();
    let pair = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let (cert, key) = (directory.path().join("cert.pem"), directory.path().join("key.pem"));
    std::fs::write(&cert, pair.cert.pem()).unwrap();
    std::fs::write(&key, pair.signing_key.serialize_pem()).unwrap();
    let data = directory.path().join("data");
    std::fs::create_dir(&data).unwrap();
    let more = [
        ("api.listen", "0.0.0.0:0"),
        ("api.tls.cert", cert.to_str().unwrap()),
        ("api.tls.key", key.to_str().unwrap()),
    ];
    let (said, console) = std::sync::mpsc::channel();
    let shutdown = CancellationToken::new();
    let tell = move |line: &str| said.send(line.to_owned()).unwrap();
    let task = tokio::spawn(run_with(config(&data, &more), shutdown.clone(), tell));
    let addresses = tokio::task::block_in_place(|| {
        wait_until("the collector says where it is", BOUND, || {
            assert!(!task.is_finished(), "the collector ended");
            Addresses::read(&data).unwrap()
        })
    });
    let port = addresses.api.port();
    assert_eq!(addresses.api, SocketAddr::from(([127, 0, 0, 1], port)));
    // Another address of this machine stands for elsewhere.
    let elsewhere = SocketAddr::from(([127, 0, 0, 2], port));
    assert!(TcpStream::connect(elsewhere).await.is_err());

    let told = console.recv().unwrap();
    let code = told.split_whitespace().last().unwrap();
    let body =
        format!("{{\"code\":\"{code}\",\"name\":\"eva\",\"password\":\"correct horse battery\"}}");
    let request = format!(
        "POST /api/v1/set-up HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let answer = ask_tls(addresses.api, pair.cert.der(), &request).await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    let (_, rest) = answer.split_once("\"token\":\"").unwrap();
    let token = rest.split('"').next().unwrap();

    tokio::task::block_in_place(|| {
        wait_until("it is reached from elsewhere", BOUND, || {
            assert!(!task.is_finished(), "the collector ended");
            std::net::TcpStream::connect(elsewhere).ok()
        })
    });
    let ask = |more: String| {
        format!(
            "GET /api/v1/buildings HTTP/1.1\r\nHost: localhost\r\n{more}Connection: close\r\n\r\n"
        )
    };
    let nobody = ask_tls(elsewhere, pair.cert.der(), &ask(String::new())).await;
    assert!(nobody.starts_with("HTTP/1.1 401"), "{nobody}");
    let signed = ask(format!("Authorization: Bearer {token}\r\n"));
    let eva = ask_tls(elsewhere, pair.cert.der(), &signed).await;
    assert!(eva.starts_with("HTTP/1.1 200"), "{eva}");
    shutdown.cancel();
    tokio::time::timeout(BOUND, task).await.unwrap().unwrap().unwrap();
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
