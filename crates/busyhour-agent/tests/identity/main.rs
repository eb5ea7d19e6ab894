//! Enrolment and delivery by certificate, with processes of the agent against a collector in memory.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod authority;
mod collector;

use std::fs;
use std::io::Read as _;
use std::net::{IpAddr, Ipv4Addr, TcpListener};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::sync::Arc;
use std::time::Duration;

use authority::{Authority, HERE, Shown};
use collector::{Collector, Seen};
use rcgen::ExtendedKeyUsagePurpose::{ClientAuth, ServerAuth};
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use serde_json::Value;
use testkit::wait_until;

const BOUND: Duration = Duration::from_secs(60);
const LIFE: Duration = Duration::from_secs(14 * 86_400);
const SECRET: &str = "0123456789abcdef0123456789abcdef";

fn write_private(path: &Path, text: &str) {
    fs::write(path, text).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
}

/// Enrols with a token in a file.
fn enrol(folder: &Path, url: &str, token: &str, more: &[&str]) -> Output {
    let file = folder.join("token");
    write_private(&file, token);
    Command::new(env!("CARGO_BIN_EXE_busyhour-agent"))
        .args(["enrol", "--collector", url, "-o", "json"])
        .args(["--token-file".as_ref(), file.as_os_str()])
        .args(["--data-dir".as_ref(), folder.as_os_str()])
        .args(more)
        .output()
        .unwrap()
}

fn enrolled(folder: &Path, collector: &Collector) -> Value {
    let output = enrol(folder, &collector.url(), &collector.token(SECRET), &[]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// An agent that runs on its identity alone.
struct Running(Child);

impl Running {
    fn start(folder: &Path) -> Self {
        let file = folder.join("agent.toml");
        let text =
            format!("[agent]\ndata_dir = {folder:?}\n[reflector]\nlisten = [\"127.0.0.1:0\"]\n");
        fs::write(&file, text).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_busyhour-agent"));
        command.args(["run", "--config"]).arg(file).stderr(Stdio::null());
        // Whatever this machine runs on.
        command.env("BUSYHOUR__PAUSE__ON_BATTERY", "false");
        Self(command.spawn().unwrap())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// What the agent says of the collector, once that is `state`.
fn uplink(folder: &Path, state: &str) -> Value {
    let status = || -> Option<Value> {
        serde_json::from_slice(&fs::read(folder.join("status.json")).ok()?).ok()
    };
    wait_until(state, BOUND, || {
        status().map(|status| status["uplink"].clone()).filter(|uplink| uplink["state"] == state)
    })
}

fn certificate_on_disk(folder: &Path) -> Value {
    let text = fs::read(folder.join("identity/identity.json")).unwrap();
    serde_json::from_slice::<Value>(&text).unwrap()["certificates_pem"].clone()
}

/// Waits for a session that is as it should be.
fn session(collector: &Collector, what: &str, holds: impl Fn(&Seen) -> bool) -> Seen {
    wait_until(what, BOUND, || collector.sessions().into_iter().find(&holds))
}

#[test]
fn an_agent_is_enrolled_for_a_token_and_delivers_by_its_certificate() {
    let (folder, collector) = (tempfile::tempdir().unwrap(), Collector::start(LIFE));
    let shown = enrolled(folder.path(), &collector);
    assert_eq!(shown["agent_id"], "07070707-0707-0707-0707-070707070707");
    assert_eq!((&shown["building"], &shown["waiting"]), (&"Berlin HQ".into(), &false.into()));
    for file in fs::read_dir(folder.path().join("identity")).unwrap() {
        let mode = file.unwrap().metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o077, 0);
    }
    let enrolment = collector.state.lock().unwrap().enrolments[0].clone();
    assert_eq!(
        (enrolment.token_id.as_str(), enrolment.token_secret.as_str()),
        ("0123456789", SECRET)
    );

    // Nothing but the data directory names the collector.
    let agent = Running::start(folder.path());
    let first = session(&collector, "a session", |seen| seen.welcomed);
    assert_eq!(first.certificate, collector.state.lock().unwrap().issued[0]);
    assert!(first.nonce.is_empty());
    let uplink = uplink(folder.path(), "delivering");
    assert_eq!(
        (&uplink["building"], &uplink["subnet"]),
        (&"Berlin HQ".into(), &"10.0.0.0/24".into())
    );
    assert!(uplink["certificate_expires_utc"].as_str().is_some_and(|utc| utc.ends_with('Z')));

    // The next session says what this one was told, after a break and after a start.
    collector.change(|_| {});
    session(&collector, "the session after a break", |seen| seen.nonce == [1]);
    wait_until("it is kept", BOUND, || {
        let kept = fs::read(folder.path().join("identity/nonce")).ok()?;
        kept.ends_with(&[2]).then_some(())
    });
    drop(agent);
    let _agent = Running::start(folder.path());
    session(&collector, "the session after a start", |seen| seen.nonce == [2]);
}

/// Answers TLS on a port of its own and gives what it was sent in the clear.
fn man_in_the_middle(config: Arc<ServerConfig>) -> (String, std::thread::JoinHandle<Vec<u8>>) {
    let listener = TcpListener::bind((HERE, 0)).unwrap();
    let url = format!("https://{}", listener.local_addr().unwrap());
    let hears = std::thread::spawn(move || {
        let (plain, _) = listener.accept().unwrap();
        plain.set_read_timeout(Some(Duration::from_secs(2))).unwrap();
        let connection = ServerConnection::new(config).unwrap();
        let mut heard = Vec::new();
        // Ends with an alert, with the connection, or when nothing more comes.
        let _ = StreamOwned::new(connection, plain).read_to_end(&mut heard);
        heard
    });
    (url, hears)
}

#[test]
fn the_secret_goes_to_nobody_whom_the_pin_does_not_prove() {
    let (ours, theirs) = (Authority::new(), Authority::new());
    let token = format!("bh1.0123456789.{SECRET}.{}", ours.pin());
    let elsewhere = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));
    let attempt = |shown: Shown| {
        let folder = tempfile::tempdir().unwrap();
        let (url, hears) = man_in_the_middle(shown.config(&ours));
        let output = enrol(folder.path(), &url, &token, &[]);
        assert!(!output.status.success());
        assert!(!folder.path().join("identity/identity.json").exists());
        (String::from_utf8(output.stderr).unwrap(), hears.join().unwrap())
    };
    // Somebody who has the authority's key is heard out: the test hears what there is to hear.
    let (_, heard) = attempt(ours.serve(HERE, ServerAuth).then(&ours.certificate));
    assert!(!heard.is_empty());
    for (what, shown) in [
        ("another authority", theirs.serve(HERE, ServerAuth).then(&theirs.certificate)),
        ("ours shown behind it", theirs.serve(HERE, ServerAuth).then(&ours.certificate)),
        (
            "ours shown before theirs",
            theirs.serve(HERE, ServerAuth).then(&ours.certificate).then(&theirs.certificate),
        ),
        ("a chain that does not name the authority", ours.serve(HERE, ServerAuth)),
        ("another host", ours.serve(elsewhere, ServerAuth).then(&ours.certificate)),
        ("an agent's certificate", ours.serve(HERE, ClientAuth).then(&ours.certificate)),
    ] {
        let (said, heard) = attempt(shown);
        assert!(heard.is_empty(), "{what}: {} bytes were sent", heard.len());
        let expected = ["not the collector that this token is of", "the token was not sent"];
        assert!(expected.iter().all(|part| said.contains(part)), "{what}: {said}");
        assert!(!said.contains(SECRET), "{what}: {said}");
    }
}

#[test]
fn an_enrolment_whose_answer_was_lost_is_repeated_with_the_same_key() {
    let (folder, collector) = (tempfile::tempdir().unwrap(), Collector::start(LIFE));
    collector.change(|state| state.lose = 1);
    let lost = enrol(folder.path(), &collector.url(), &collector.token(SECRET), &[]);
    assert!(String::from_utf8(lost.stderr).unwrap().contains("run this again with the same token"));
    enrolled(folder.path(), &collector);
    let key = |request: &[u8]| {
        let parsed = rcgen::CertificateSigningRequestParams::from_der(&request.to_vec().into());
        rcgen::PublicKeyData::der_bytes(&parsed.unwrap().public_key).to_vec()
    };
    let keys: Vec<Vec<u8>> = {
        let state = collector.state.lock().unwrap();
        state.enrolments.iter().map(|enrolment| key(&enrolment.request)).collect()
    };
    assert_eq!(keys.len(), 2);
    assert_eq!(keys[0], keys[1]);
    // It is an agent now, and becomes another one only when told to.
    let again = enrol(folder.path(), &collector.url(), &collector.token(SECRET), &[]);
    assert!(String::from_utf8(again.stderr).unwrap().contains("--again"));
    let again = enrol(folder.path(), &collector.url(), &collector.token(SECRET), &["--again"]);
    assert!(again.status.success());
    let third = key(&collector.state.lock().unwrap().enrolments[2].request);
    assert_ne!(third, keys[0]);
}

#[test]
fn a_certificate_is_renewed_in_time_and_the_new_one_takes_its_place() {
    let collector = Collector::start(Duration::from_secs(10));
    let folder = tempfile::tempdir().unwrap();
    enrolled(folder.path(), &collector);
    let before = certificate_on_disk(folder.path());
    let _agent = Running::start(folder.path());
    let issued = |at: usize| collector.state.lock().unwrap().issued.get(at).cloned();
    let second = wait_until("a renewal", BOUND, || issued(1));
    session(&collector, "a session with the new certificate", |seen| seen.certificate == second);
    wait_until("the new certificate took its place", BOUND, || {
        let candidate = folder.path().join("identity/candidate.json").exists();
        (certificate_on_disk(folder.path()) != before && !candidate).then_some(())
    });
    let state = collector.state.lock().unwrap();
    assert_eq!(state.renewals[0].0, state.issued[0], "asked with the certificate that holds");
}

#[test]
fn a_new_certificate_that_the_collector_does_not_take_gives_way_to_the_old_one() {
    let collector = Collector::start(Duration::from_secs(20));
    let folder = tempfile::tempdir().unwrap();
    enrolled(folder.path(), &collector);
    let first = collector.state.lock().unwrap().issued[0].clone();
    // What is issued from now on lives long and is refused.
    collector.change(|state| {
        state.issues_unknown = true;
        state.life = LIFE;
    });
    let _agent = Running::start(folder.path());
    let refused = |seen: &Seen| !seen.welcomed;
    session(&collector, "the new certificate is refused", refused);
    wait_until("the old one is used again", BOUND, || {
        let sessions = collector.sessions();
        let at = sessions.iter().position(refused).unwrap();
        sessions[at..].iter().any(|seen| seen.welcomed && seen.certificate == first).then_some(())
    });
    wait_until("the new one is gone", BOUND, || {
        (!folder.path().join("identity/candidate.json").exists()).then_some(())
    });
}

#[test]
fn a_certificate_that_is_over_for_the_collector_is_renewed_with_the_same_key() {
    let (folder, collector) = (tempfile::tempdir().unwrap(), Collector::start(LIFE));
    enrolled(folder.path(), &collector);
    collector.change(|state| state.refusal = Some("expired"));
    let _agent = Running::start(folder.path());
    let renewal = || collector.state.lock().unwrap().renewals.first().cloned();
    let (_, request) = wait_until("a renewal", BOUND, renewal);
    let state = collector.state.lock().unwrap();
    let spki = |request: &[u8]| {
        let parsed = rcgen::CertificateSigningRequestParams::from_der(&request.to_vec().into());
        rcgen::PublicKeyData::der_bytes(&parsed.unwrap().public_key).to_vec()
    };
    assert_eq!(spki(&request), spki(&state.enrolments[0].request));
}

#[test]
fn an_agent_that_is_not_taken_says_why_and_is_taken_again() {
    let (folder, collector) = (tempfile::tempdir().unwrap(), Collector::start(LIFE));
    enrolled(folder.path(), &collector);
    collector.change(|state| state.refusal = Some("waiting"));
    let agent = Running::start(folder.path());
    assert_eq!(uplink(folder.path(), "waiting")["said"], "this agent is waiting");
    collector.change(|state| state.refusal = None);
    uplink(folder.path(), "delivering");
    collector.change(|state| state.refusal = Some("revoked"));
    uplink(folder.path(), "revoked");
    let status = Command::new(env!("CARGO_BIN_EXE_busyhour-agent"))
        .args(["status", "--data-dir"])
        .arg(folder.path())
        .output()
        .unwrap();
    let text = String::from_utf8(status.stdout).unwrap();
    for part in ["has revoked this agent", "Berlin HQ, 10.0.0.0/24", "renewed from"] {
        assert!(text.contains(part), "{part:?} is not in\n{text}");
    }
    drop(agent);
}

#[test]
fn an_agent_goes_on_with_nobody_but_its_own_collector() {
    let (folder, collector) = (tempfile::tempdir().unwrap(), Collector::start(LIFE));
    enrolled(folder.path(), &collector);
    let stranger = Collector::start(LIFE);
    let file = folder.path().join("identity/identity.json");
    let text = fs::read_to_string(&file).unwrap();
    write_private(&file, &text.replace(&collector.url(), &stranger.url()));
    let _agent = Running::start(folder.path());
    uplink(folder.path(), "stranger");
    assert!(stranger.sessions().is_empty());
}
