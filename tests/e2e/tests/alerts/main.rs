//! An alert reaches a Quality Champion: a real SMTP server (aiosmtpd, with STARTTLS and with TLS)
//! and a real webhook receiver get it, once per incident.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on stops")]

mod judged;
mod mail;
mod questions;
mod storm;
mod telling;

use std::collections::{HashMap, HashSet};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::process::Command;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use e2e::{Collector, Place, program, wait_for};
use serde_json::Value;
use tempfile::TempDir;

use crate::mail::{MailServer, certificate, have_mail_server, mail_channel};

/// The building whose daily average hides its bad hours.
const MASKED: &str = "Berlin HQ";

/// Each of these tests loads a fleet and judges it: they take turns.
fn turn() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Delivers the newest weeks of a simulated fleet through the ingest, of agents that do not count as
/// simulated.
fn load_as_real(collector: &Collector, weeks: &str) {
    let loaded = Command::new(program("busyhour"))
        .args(["--collector", &collector.api, "role", "simulate", "--as-real", "--weeks", weeks])
        .args(["--ingest", &collector.ingest])
        .output()
        .unwrap();
    assert!(loaded.status.success(), "{}", String::from_utf8_lossy(&loaded.stderr));
}

/// An HTTP server that keeps the JSON it is sent. The first request may be turned away, as a receiver does that
/// is about to restart.
struct WebhookReceiver {
    address: SocketAddr,
    bodies: Arc<Mutex<Vec<Value>>>,
}

impl WebhookReceiver {
    /// Answers this to the first request.
    fn answering(first: &'static str) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let bodies = Arc::new(Mutex::new(Vec::new()));
        let kept = bodies.clone();
        std::thread::spawn(move || {
            for (number, stream) in listener.incoming().enumerate() {
                let mut stream = stream.unwrap();
                let body = read_request(&stream);
                let status = if number == 0 { first } else { "200 OK" };
                if status == "200 OK" {
                    kept.lock().unwrap().push(body);
                }
                let answer =
                    format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
                stream.write_all(answer.as_bytes()).unwrap();
            }
        });
        Self { address, bodies }
    }

    fn bodies(&self) -> Vec<Value> {
        self.bodies.lock().unwrap().clone()
    }
}

fn read_request(stream: &TcpStream) -> Value {
    let mut reader = BufReader::new(stream);
    let mut length = 0;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
        if line.trim().is_empty() {
            break;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).unwrap();
    serde_json::from_slice(&body).unwrap()
}

/// The collector's own figures, by name.
fn status(api: &str) -> HashMap<String, i64> {
    let address = api.trim_start_matches("http://");
    let mut stream = TcpStream::connect(address).unwrap();
    let request =
        format!("GET /api/v1/status HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).unwrap();
    let status = read_request(&stream);
    let figures = status["items"].as_array().unwrap();
    let figure =
        |item: &Value| (item["name"].as_str().unwrap().to_owned(), item["value"].as_i64().unwrap());
    figures.iter().map(figure).collect()
}

/// True when all dates with new data were judged and all that is due was told. It is asked twice: figures are noted
/// one by one.
fn is_idle(api: &str) -> bool {
    let is_so = || {
        let figures = status(api);
        is_judged(&figures) && figures.get("alerts_pending") == Some(&0)
    };
    is_so() && is_so()
}

/// True when all dates with new data were judged.
fn is_judged(figures: &HashMap<String, i64>) -> bool {
    let judged = figures.get("judge_dates_total").is_some_and(|&dates| dates > 0);
    let none = |name| figures.get(name) == Some(&0);
    judged && ["judge_waiting_dates", "judge_rebuild_dates"].into_iter().all(none)
}

/// The identities of what is open: suspected ones are listed, and nobody is told of them.
fn open_incidents(collector: &Collector) -> Vec<String> {
    let incidents = collector.items(&["incident", "ls"]);
    let open = |item: &&Value| item["state"] == "open" || item["state"] == "recovering";
    let mut open: Vec<String> =
        incidents.iter().filter(open).map(|item| text(item, "id")).collect();
    open.sort_unstable();
    open
}

fn text(item: &Value, key: &str) -> String {
    item[key].as_str().unwrap_or_default().to_owned()
}

#[test]
fn mail_and_webhook_get_each_incident_once() {
    if !have_mail_server() {
        return;
    }
    let _turn = turn();
    let folder = TempDir::new().unwrap();
    let (certificate, key) = certificate(folder.path());
    let files = [certificate.as_path(), key.as_path()];
    let starttls = MailServer::start(folder.path(), "starttls", ["--tlscert", "--tlskey"], files);
    let tls = MailServer::start(folder.path(), "tls", ["--smtpscert", "--smtpskey"], files);
    let webhook = WebhookReceiver::answering("503 Service Unavailable");
    let channels = format!(
        "{}{}[[channel]]\nname = \"hook\"\nkind = \"webhook\"\nurl = \"http://{}/alerts\"\n",
        mail_channel("champion", "starttls", &starttls, &certificate),
        mail_channel("deputy", "tls", &tls, &certificate),
        webhook.address
    );
    let mut collector = Collector::start(&Place::default(), &folder.path().join("collector"), "");

    // Two weeks of history: in one week, begun on most weekdays, what is bad at all hours is not seen
    // long enough.
    load_as_real(&collector, "2");
    // Agents come one after the other: some of what is seen meanwhile is part of something else in the end.
    // The round that goes on now may have begun before the last of it came; the next one did not.
    let rounds = status(&collector.api)["judge_rounds_total"] + 2;
    wait_for("the verdict", || {
        let figures = status(&collector.api);
        (figures["judge_rounds_total"] >= rounds && is_judged(&figures)).then_some(())
    });
    let open = open_incidents(&collector);
    assert!(open.len() >= 4, "{open:?}");

    // Somebody says where to tell it.
    assert!(collector.stop(), "the collector stops in order");
    collector.configure(&channels);
    collector.start_again();
    wait_for("everybody to be told", || is_idle(&collector.api).then_some(()));
    let told = |bodies: &[Value]| -> Vec<String> {
        bodies.iter().map(|body| text(body, "idempotency_key")).collect()
    };
    let bodies = webhook.bodies();
    let opened: Vec<String> = bodies
        .iter()
        .filter(|body| body["event"] == "opened")
        .map(|body| text(body, "incident_id"))
        .collect();
    let once: HashSet<&String> = opened.iter().collect();
    assert_eq!(once.len(), opened.len(), "one alert an incident: {bodies:?}");
    for incident in &open {
        assert!(once.contains(incident), "{incident} is open and was not told: {bodies:?}");
    }
    let masked = |text: &str| text.contains(MASKED);
    let of_masked = |body: &&Value| body["building"] == MASKED && body["event"] == "opened";
    let alert = bodies.iter().find(of_masked).expect("an alert on the masked building");
    assert_eq!(bodies.iter().filter(of_masked).count(), 1, "told once: {bodies:?}");
    assert_eq!(alert["masked"], true, "{alert}");
    let mails = starttls.messages();
    let mail = mails.iter().find(|mail| masked(mail)).expect("a mail on the masked building");
    assert!(mail.contains("To: champion@example.com"), "{mail}");
    assert!(mail.contains("10:00") && mail.contains("average"), "{mail}");
    for healthy in ["Seattle Campus", "London Bridge House"] {
        assert!(!mails.iter().any(|mail| mail.contains(healthy)), "{healthy} is not alerted");
    }

    // After a restart nobody is told again: everything due is due at once then.
    assert!(collector.stop(), "the collector stops in order");
    collector.start_again();
    wait_for("everything to be judged again", || is_idle(&collector.api).then_some(()));
    let after = open_incidents(&collector);
    let incidents = || collector.items(&["incident", "ls", "--closed"]);
    assert_eq!(after, open, "{:?}", incidents());
    assert!(collector.stop(), "the collector stops in order");
    assert_eq!(told(&webhook.bodies()), told(&bodies), "nothing more was told");
    // Machines are told as well when one goes on in another.
    let of_people = bodies.iter().filter(|body| body["event"] != "merged").count();
    for count in [starttls.messages().len(), tls.messages().len()] {
        assert_eq!(count, of_people, "the same alerts on each channel");
    }
}
