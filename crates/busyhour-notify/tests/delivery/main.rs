//! Alerts reach a real mail server, a real webhook receiver and a folder: once, and only where
//! they may go.

#![expect(clippy::unwrap_used, reason = "a step that fails fails the test")]

mod alertmanager;
mod channels;
mod http;
mod outbox;
mod refusals;
mod rounds;
mod smtp;
mod tls;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use busyhour_model::{Incident, UtcMicros};
use busyhour_notify::{
    Channel, ChannelConfig, EmailConfig, FileConfig, Notifier, Picture, Pictures, Round, Security,
    Settings, Stores, WebhookConfig,
};
use busyhour_store::{Control as _, SqliteControl};
use tokio_util::sync::CancellationToken;

use crate::http::Receiver;
use crate::outbox::{ForgetfulOutbox, NOW, open, stores, tell, with_building};
use crate::smtp::{Login, Offer, SmtpServer};
use crate::tls::Identity;

const PASSWORD: &str = "canary-correct-horse";
/// Later than any delay after a first failure.
const LATER: Duration = Duration::from_secs(3600);

fn settings() -> Settings {
    let base_url = "https://busyhour.example.org".parse().unwrap();
    Settings { settle: Duration::ZERO, ..Settings::new(base_url) }
}

fn notifier(control: &Arc<SqliteControl>, configs: &[ChannelConfig]) -> Notifier {
    let channels = configs.iter().map(|config| Channel::build(config).unwrap()).collect();
    Notifier::new(stores(control), channels, settings())
}

async fn deliver(notifier: &mut Notifier, now: UtcMicros) -> Round {
    notifier.deliver_due(now, &CancellationToken::new()).await.unwrap()
}

fn sent(n: usize) -> Round {
    Round { sent: n, ..Round::default() }
}

fn put_off(n: usize) -> Round {
    Round { put_off: n, ..Round::default() }
}

fn email(server: &SmtpServer, security: Security, identity: &Identity) -> EmailConfig {
    EmailConfig {
        name: "champion".to_owned(),
        host: "localhost".to_owned(),
        port: Some(server.address.port()),
        security,
        user: None,
        password_file: None,
        from: "Busyhour <busyhour@example.org>".to_owned(),
        to: vec!["champion@example.org".to_owned(), "netops@example.org".to_owned()],
        root_ca_file: (security != Security::None).then(|| identity.root_ca_file.clone()),
        timeout: Some("20s".to_owned()),
    }
}

fn signing_in(config: EmailConfig, directory: &Path) -> EmailConfig {
    let path = directory.join("smtp.password");
    std::fs::write(&path, PASSWORD).unwrap();
    restrict(&path);
    EmailConfig { user: Some("busyhour".to_owned()), password_file: Some(path), ..config }
}

fn restrict(path: &Path) {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).unwrap();
}

fn webhook(url: String, identity: Option<&Identity>) -> ChannelConfig {
    ChannelConfig::Webhook(WebhookConfig {
        name: "hook".to_owned(),
        url: Some(url),
        url_file: None,
        signing_key_file: None,
        template: None,
        template_file: None,
        content_type: None,
        allow_private: false,
        root_ca_file: identity.map(|identity| identity.root_ca_file.clone()),
        timeout: Some("20s".to_owned()),
    })
}

async fn mail_arrives_by(offer: Offer, security: Security) {
    let directory = tempfile::tempdir().unwrap();
    let identity = Identity::new(directory.path());
    let login = Some(Login::new("busyhour", PASSWORD));
    let server = SmtpServer::start(offer, identity.acceptor.clone(), login).await;
    let (control, building) = with_building(directory.path());
    tell(control.as_ref(), building, 1, false);
    let config = signing_in(email(&server, security, &identity), directory.path());
    let mut notifier = notifier(&control, &[ChannelConfig::Email(config)]);

    assert_eq!(deliver(&mut notifier, NOW).await, sent(1));
    assert_eq!(deliver(&mut notifier, NOW).await, sent(0));

    let mails = server.mails();
    assert_eq!(mails.len(), 1);
    let mail = &mails[0];
    assert_eq!(mail.encrypted, security != Security::None);
    assert!(mail.signed_in);
    assert_eq!(mail.from, "busyhour@example.org");
    assert_eq!(mail.to, ["champion@example.org", "netops@example.org"]);
    assert_eq!(mail.header("Auto-Submitted"), Some("auto-generated"));
    assert!(mail.header("Message-ID").unwrap().contains("-opened-"), "{}", mail.data);
    let subject = mail.header("Subject").unwrap();
    assert!(subject.starts_with("Berlin HQ: calls suffer at 10:00-12:00"), "{subject}");
    // Once as text and once as HTML, each complete by itself.
    for expected in ["every workday from 10 to 12", "0.31 % lost", "/incidents/"] {
        let data = unquoted(&mail.data);
        assert_eq!(data.matches(expected).count(), 2, "{expected}: {data}");
    }
    assert!(mail.header("Content-Type").unwrap().starts_with("multipart/alternative"));
    assert!(mail.data.contains("Content-Type: text/plain") && mail.data.contains("<html"));
    assert_eq!(control.delivery_totals().unwrap().sent, 1);
}

/// Undoes the line breaks of quoted-printable (RFC 2045, section 6.7, rule 5).
fn unquoted(data: &str) -> String {
    data.replace("=\r\n", "")
}

#[tokio::test]
async fn mail_arrives_by_starttls() {
    mail_arrives_by(Offer::Starttls, Security::Starttls).await;
}

#[tokio::test]
async fn mail_arrives_by_tls() {
    mail_arrives_by(Offer::Tls, Security::Tls).await;
}

#[tokio::test]
async fn mail_arrives_in_the_clear_on_this_machine() {
    mail_arrives_by(Offer::Nothing, Security::None).await;
}

/// Whoever draws: one picture for every incident.
struct OnePicture;

impl Pictures for OnePicture {
    fn of(&self, _: &Incident) -> Option<Picture> {
        let alt = "From 2026-03-02 to 2026-03-04. Bad on 3 of 3 days.".to_owned();
        Some(Picture { png: b"\x89PNG\r\n\x1a\nrest".to_vec(), width: 936, alt })
    }
}

#[tokio::test]
async fn a_mail_holds_its_picture_and_says_the_same_without_it() {
    let directory = tempfile::tempdir().unwrap();
    let identity = Identity::new(directory.path());
    let server = SmtpServer::start(Offer::Tls, identity.acceptor.clone(), None).await;
    let (control, building) = with_building(directory.path());
    tell(control.as_ref(), building, 1, false);
    let config = ChannelConfig::Email(email(&server, Security::Tls, &identity));
    let mut notifier = notifier(&control, &[config]).with_pictures(Arc::new(OnePicture));
    assert_eq!(deliver(&mut notifier, NOW).await, sent(1));

    let mail = &server.mails()[0];
    let data = unquoted(&mail.data);
    let order = [
        "multipart/alternative",
        "Content-Type: text/plain",
        "multipart/related",
        "Content-Type: text/html",
        "<img src=3D\"cid:picture\" width=3D\"936\"",
        "Content-Type: image/png",
    ];
    let places: Vec<_> = order.iter().map(|part| data.find(part).expect(part)).collect();
    assert!(places.is_sorted(), "{places:?}");
    assert!(data.contains("Content-ID: <picture>") && data.contains("inline"), "{data}");
    // The bytes as they are, in base 64.
    assert!(data.contains("iVBORw0KGgpyZXN0"), "{data}");
    assert!(data.contains("Bad on 3 of 3 days. Worst hour 10:15-11:15: 37 of 120"), "{data}");
    assert!(!data.contains("src=3D\"http"), "nothing is fetched");
}

#[tokio::test]
async fn nothing_is_said_to_a_server_that_does_not_offer_starttls() {
    let directory = tempfile::tempdir().unwrap();
    let identity = Identity::new(directory.path());
    let login = Some(Login::new("busyhour", PASSWORD));
    let server = SmtpServer::start(Offer::Nothing, identity.acceptor.clone(), login).await;
    let (control, building) = with_building(directory.path());
    tell(control.as_ref(), building, 1, false);
    let config = signing_in(email(&server, Security::Starttls, &identity), directory.path());
    let mut notifier = notifier(&control, &[ChannelConfig::Email(config)]);

    assert_eq!(deliver(&mut notifier, NOW).await, put_off(1));
    let heard = server.heard();
    let said = |verb: &str| heard.iter().any(|line| line.starts_with(verb));
    assert!(said("EHLO"));
    assert!(!said("AUTH") && !said("MAIL"), "{heard:?}");
}

#[tokio::test]
async fn a_server_with_a_foreign_certificate_gets_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let (identity, other) = (Identity::new(directory.path()), Identity::new(directory.path()));
    let smtp = SmtpServer::start(Offer::Tls, other.acceptor.clone(), None).await;
    let http = Receiver::start(Some(other.acceptor.clone())).await;
    let (control, building) = with_building(directory.path());
    tell(control.as_ref(), building, 1, false);
    let url = format!("https://localhost:{}/hook", http.address.port());
    let configs = [
        ChannelConfig::Email(email(&smtp, Security::Tls, &identity)),
        webhook(url, Some(&identity)),
    ];

    assert_eq!(deliver(&mut notifier(&control, &configs), NOW).await, put_off(2));
    assert!(smtp.connections() > 0);
    assert!(smtp.mails().is_empty() && http.requests().is_empty());
}

#[tokio::test]
async fn a_refused_mail_is_tried_again_and_arrives_once() {
    let directory = tempfile::tempdir().unwrap();
    let identity = Identity::new(directory.path());
    let server = SmtpServer::start(Offer::Starttls, identity.acceptor.clone(), None).await;
    server.refuse_next("451 the disk is full");
    server.refuse_next("550 nobody lives here");
    let (control, building) = with_building(directory.path());
    tell(control.as_ref(), building, 1, false);
    let config = ChannelConfig::Email(email(&server, Security::Starttls, &identity));
    let mut notifier = notifier(&control, &[config]);

    assert_eq!(deliver(&mut notifier, NOW).await, put_off(1));
    assert_eq!(deliver(&mut notifier, NOW).await, put_off(0), "not due yet");
    assert_eq!(deliver(&mut notifier, NOW.plus(LATER)).await, put_off(1));
    assert_eq!(deliver(&mut notifier, NOW.plus(2 * LATER)).await, sent(1));
    assert_eq!(deliver(&mut notifier, NOW.plus(3 * LATER)).await, sent(0));
    assert_eq!(server.mails().len(), 1);
    let counters = notifier.counters().snapshot();
    assert_eq!((counters.sent, counters.failed, counters.withheld), (1, 2, 0));
}

#[tokio::test]
async fn a_webhook_gets_json_with_the_same_key_at_every_attempt() {
    let directory = tempfile::tempdir().unwrap();
    let identity = Identity::new(directory.path());
    let receiver = Receiver::start(Some(identity.acceptor.clone())).await;
    receiver.answer_next("503 Service Unavailable");
    let (control, building) = with_building(directory.path());
    tell(control.as_ref(), building, 1, false);
    let url = format!("https://localhost:{}/hook?sig=abc", receiver.address.port());
    let mut notifier = notifier(&control, &[webhook(url, Some(&identity))]);

    assert_eq!(deliver(&mut notifier, NOW).await, put_off(1));
    assert_eq!(deliver(&mut notifier, NOW.plus(LATER)).await, sent(1));
    assert_eq!(deliver(&mut notifier, NOW.plus(2 * LATER)).await, sent(0));

    let requests = receiver.requests();
    assert_eq!(requests.len(), 2);
    assert_eq!(requests[1].line, "POST /hook?sig=abc HTTP/1.1");
    assert_eq!(requests[1].header("content-type"), Some("application/json"));
    let keys: Vec<_> = requests.iter().map(|r| r.header("idempotency-key").unwrap()).collect();
    assert_eq!(keys[0], keys[1]);
    let body = &requests[1].body;
    assert_eq!(body["idempotency_key"], keys[1]);
    assert_eq!(body["building"], "Berlin HQ");
    assert_eq!(body["schema_version"], 2);
    assert_eq!(body["local_hours"][0], "10:00-12:00");
    assert_eq!(body["masked"], true);
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let directory = tempfile::tempdir().unwrap();
    let (receiver, elsewhere) = (Receiver::start(None).await, Receiver::start(None).await);
    let statuses = ["302 Found", "303 See Other", "307 Temporary Redirect"];
    for status in statuses {
        receiver.answer_next(&format!("{status}\r\nLocation: http://{}/", elsewhere.address));
    }
    let (control, building) = with_building(directory.path());
    tell(control.as_ref(), building, 1, false);
    let mut notifier =
        notifier(&control, &[webhook(format!("http://{}/hook", receiver.address), None)]);

    for attempt in 1..=3 {
        assert_eq!(deliver(&mut notifier, NOW.plus(attempt * LATER)).await, put_off(1));
    }
    assert_eq!(receiver.requests().len(), statuses.len());
    assert!(elsewhere.requests().is_empty());
}

#[tokio::test]
async fn simulated_alerts_are_only_written_to_files_and_no_server_gets_them() {
    let directory = tempfile::tempdir().unwrap();
    let identity = Identity::new(directory.path());
    // Both are on this machine, and either may be a relay or a tunnel that passes it on.
    let receiver = Receiver::start(None).await;
    let server = SmtpServer::start(Offer::Nothing, identity.acceptor.clone(), None).await;
    let (control, building) = with_building(directory.path());
    tell(control.as_ref(), building, 1, true);
    let drop_folder = directory.path().join("alerts");
    let remote = WebhookConfig {
        // TEST-NET-1 (RFC 5737): nobody is there, and nobody must be asked.
        url: Some("https://192.0.2.1/hook".to_owned()),
        name: "remote".to_owned(),
        url_file: None,
        signing_key_file: None,
        template: None,
        template_file: None,
        content_type: None,
        allow_private: false,
        root_ca_file: None,
        timeout: None,
    };
    let configs = [
        ChannelConfig::Webhook(remote),
        ChannelConfig::Email(email(&server, Security::None, &identity)),
        webhook(format!("http://{}/hook", receiver.address), None),
        ChannelConfig::File(FileConfig { name: "files".to_owned(), folder: drop_folder.clone() }),
    ];
    let mut notifier = notifier(&control, &configs);

    let round = deliver(&mut notifier, NOW).await;
    assert_eq!(round, Round { sent: 1, put_off: 0, withheld: 3 });
    assert_eq!(deliver(&mut notifier, NOW.plus(LATER)).await, Round::default());
    assert!(receiver.requests().is_empty());
    assert_eq!((server.connections(), server.mails().len()), (0, 0));
    let files: Vec<_> = std::fs::read_dir(&drop_folder).unwrap().map(Result::unwrap).collect();
    assert_eq!(files.len(), 1);
    let text = std::fs::read_to_string(files[0].path()).unwrap();
    let alert: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(alert["simulated"], true);
    let totals = control.delivery_totals().unwrap();
    assert_eq!((totals.pending, totals.sent, totals.withheld), (0, 1, 3));
}

#[tokio::test]
async fn a_restart_forgets_nothing_and_repeats_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let receiver = Receiver::start(None).await;
    let config = webhook(format!("http://{}/hook", receiver.address), None);
    {
        let (control, building) = with_building(directory.path());
        tell(control.as_ref(), building, 1, false);
        let mut before = notifier(&control, std::slice::from_ref(&config));
        assert_eq!(deliver(&mut before, NOW).await, sent(1));
        receiver.answer_next("500 Oh");
        tell(control.as_ref(), building, 2, false);
        assert_eq!(deliver(&mut before, NOW).await, put_off(1));
    }
    let control = open(directory.path());
    let mut after = notifier(&control, &[config]);
    assert_eq!(deliver(&mut after, NOW.plus(LATER)).await, sent(1));
    assert_eq!(deliver(&mut after, NOW.plus(2 * LATER)).await, sent(0));
    let incidents: Vec<_> = receiver
        .requests()
        .iter()
        .map(|r| r.body["incident_id"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(incidents.len(), 3);
    assert_eq!(incidents[1], incidents[2]);
    assert_ne!(incidents[0], incidents[1]);
}

#[tokio::test]
async fn what_was_taken_is_not_sent_again_while_the_store_cannot_note_it() {
    let directory = tempfile::tempdir().unwrap();
    let receiver = Receiver::start(None).await;
    let (inner, building) = with_building(directory.path());
    tell(inner.as_ref(), building, 1, false);
    let outbox = ForgetfulOutbox::new(Arc::clone(&inner), 2);
    let config = webhook(format!("http://{}/hook", receiver.address), None);
    let channels = vec![Channel::build(&config).unwrap()];
    let stores = Stores { outbox, ..stores(&inner) };
    let mut notifier = Notifier::new(stores, channels, settings());

    let never = CancellationToken::new();
    assert!(notifier.deliver_due(NOW, &never).await.is_err());
    assert!(notifier.deliver_due(NOW.plus(LATER), &never).await.is_err());
    assert_eq!(inner.delivery_totals().unwrap().pending, 1);
    assert_eq!(deliver(&mut notifier, NOW.plus(2 * LATER)).await, sent(0));
    assert_eq!(receiver.requests().len(), 1);
    assert_eq!(inner.delivery_totals().unwrap().sent, 1);
    assert_eq!(notifier.counters().snapshot().store_failures, 2);
}

#[tokio::test]
async fn an_alert_nobody_takes_is_given_up_in_the_end_and_shown() {
    let directory = tempfile::tempdir().unwrap();
    let (control, building) = with_building(directory.path());
    tell(control.as_ref(), building, 1, false);
    // Bound and closed again: nobody listens there.
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let mut notifier = notifier(&control, &[webhook(format!("http://{closed}/"), None)]);

    let mut now = NOW;
    while now < NOW.plus(settings().give_up_after) {
        assert_eq!(deliver(&mut notifier, now).await, put_off(1));
        now = now.plus(6 * LATER);
    }
    let last = deliver(&mut notifier, now.plus(LATER)).await;
    assert_eq!(last, Round { withheld: 1, ..Round::default() });
    let totals = control.delivery_totals().unwrap();
    assert_eq!((totals.pending, totals.sent, totals.withheld), (0, 0, 1));
    assert_eq!(notifier.counters().snapshot().withheld, 1);
}

#[tokio::test]
async fn a_dead_channel_does_not_hold_up_the_others() {
    let directory = tempfile::tempdir().unwrap();
    let receiver = Receiver::start(None).await;
    let identity = Identity::new(directory.path());
    let server = SmtpServer::start(Offer::Nothing, identity.acceptor.clone(), None).await;
    let mut dead = email(&server, Security::None, &identity);
    drop(server);
    dead.port =
        Some(std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port());
    let (control, building) = with_building(directory.path());
    tell(control.as_ref(), building, 1, false);
    tell(control.as_ref(), building, 2, false);
    let hook = webhook(format!("http://{}/hook", receiver.address), None);
    let mut notifier = notifier(&control, &[ChannelConfig::Email(dead), hook]);

    let round = deliver(&mut notifier, NOW).await;
    // One is tried there, the other waits for it.
    assert_eq!(round, Round { sent: 2, put_off: 1, withheld: 0 });
}

#[tokio::test]
async fn after_a_shutdown_nothing_more_is_begun() {
    let directory = tempfile::tempdir().unwrap();
    let receiver = Receiver::start(None).await;
    let (control, building) = with_building(directory.path());
    tell(control.as_ref(), building, 1, false);
    let config = webhook(format!("http://{}/hook", receiver.address), None);
    let mut notifier = notifier(&control, &[config]);
    let shutdown = CancellationToken::new();
    shutdown.cancel();
    assert_eq!(notifier.deliver_due(NOW, &shutdown).await.unwrap(), Round::default());
    assert!(receiver.requests().is_empty());
    notifier.run(shutdown).await;
}

#[tokio::test]
async fn secrets_are_neither_printed_nor_stored() {
    let directory = tempfile::tempdir().unwrap();
    let store = directory.path().join("store");
    std::fs::create_dir(&store).unwrap();
    let identity = Identity::new(directory.path());
    let login = Some(Login::new("busyhour", PASSWORD));
    let server = SmtpServer::start(Offer::Starttls, identity.acceptor.clone(), login).await;
    // A server that quotes the password in its refusal.
    server.refuse_next(&format!("554 no mail for {PASSWORD}"));
    let (control, building) = with_building(&store);
    tell(control.as_ref(), building, 1, false);
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let configs = [
        ChannelConfig::Email(signing_in(
            email(&server, Security::Starttls, &identity),
            directory.path(),
        )),
        webhook(format!("http://{closed}/hook?sig={PASSWORD}"), None),
    ];
    assert!(!format!("{configs:?}").contains(PASSWORD));
    let channels: Vec<_> = configs.iter().map(|config| Channel::build(config).unwrap()).collect();
    assert!(!format!("{channels:?}").contains(PASSWORD));

    let mut notifier = notifier(&control, &configs);
    assert_eq!(deliver(&mut notifier, NOW).await, put_off(2));
    drop((notifier, control));
    let mut paths = vec![store];
    while let Some(path) = paths.pop() {
        if path.is_dir() {
            paths.extend(std::fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
            continue;
        }
        let bytes = std::fs::read(&path).unwrap();
        let found = bytes.windows(PASSWORD.len()).any(|part| part == PASSWORD.as_bytes());
        assert!(!found, "{path:?}");
    }
}

#[test]
fn a_channel_that_would_leak_or_cannot_work_is_refused_with_the_reason() {
    let directory = tempfile::tempdir().unwrap();
    let loose = directory.path().join("loose");
    std::fs::write(&loose, "secret").unwrap();
    let mail = |change: &dyn Fn(&mut EmailConfig)| {
        let mut config = EmailConfig {
            name: "champion".to_owned(),
            host: "mail.example.org".to_owned(),
            port: None,
            security: Security::Starttls,
            user: None,
            password_file: None,
            from: "busyhour@example.org".to_owned(),
            to: vec!["champion@example.org".to_owned()],
            root_ca_file: None,
            timeout: None,
        };
        change(&mut config);
        ChannelConfig::Email(config)
    };
    let hook = |url: &str| webhook(url.to_owned(), None);
    let refused: Vec<(ChannelConfig, &str)> = vec![
        (mail(&|c| c.security = Security::None), "only for a mail server on this machine"),
        (mail(&|c| c.user = Some("me".to_owned())), "go together"),
        (mail(&|c| c.to.clear()), "mail addresses"),
        (mail(&|c| c.from = "nobody".to_owned()), "not a mail address"),
        (mail(&|c| c.timeout = Some("never".to_owned())), "timeout"),
        (mail(&|c| c.name = "a/b".to_owned()), "name must be"),
        (mail(&|c| c.root_ca_file = Some(loose.clone())), "no PEM certificate"),
        (
            mail(&|c| {
                c.user = Some("me".to_owned());
                c.password_file = Some(loose.clone());
            }),
            "chmod 600",
        ),
        (hook("http://hooks.example.org/?sig=canary"), "https://"),
        (hook("nonsense canary"), "https://"),
    ];
    for (config, reason) in refused {
        let error = Channel::build(&config).unwrap_err();
        let text = busyhour_daemon::chain(&error).to_string();
        assert!(text.contains(reason), "{text}");
        assert!(!text.contains("canary"), "{text}");
    }
}
