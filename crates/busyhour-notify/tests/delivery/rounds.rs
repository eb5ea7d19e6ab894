//! What a round holds together when one of its parts fails.

use std::sync::Arc;
use std::time::Duration;

use busyhour_model::{IncidentId, UtcMicros};
use busyhour_notify::{
    AlertmanagerConfig, Channel, ChannelConfig, EmailConfig, Notifier, PagerDutyConfig,
    ReportConfig, ReportKind, ReportMail, ReportPlan, Reports, Route, RouteConfig, Security,
    Settings, Stores, TeamsConfig,
};
use busyhour_store::{Control as _, JudgeWrite, Outbox as _, SqliteControl};
use jiff::civil::Date;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::channels::secret;
use crate::http::Receiver;
use crate::outbox::{ForgetfulOutbox, NOW, close, stores, tell, with_building};
use crate::smtp::{Offer, SmtpServer};
use crate::tls::Identity;
use crate::{LATER, deliver, email, notifier, put_off, sent, settings, webhook};

const HOUR: Duration = Duration::from_secs(3_600);

fn teams(receiver: &Receiver) -> ChannelConfig {
    ChannelConfig::Teams(TeamsConfig {
        name: "team".to_owned(),
        url: Some(format!("http://{}/workflow", receiver.address)),
        url_file: None,
        root_ca_file: None,
        timeout: Some("20s".to_owned()),
    })
}

/// With one route: a digest at half past seven in Berlin.
fn digest(channel: &str) -> Settings {
    let config = RouteConfig {
        name: "digest".to_owned(),
        buildings: Vec::new(),
        regions: Vec::new(),
        causes: Vec::new(),
        segments: Vec::new(),
        at_least: None,
        channels: vec![channel.to_owned()],
        when: Some("digest".to_owned()),
        digest_at: Some("07:30".to_owned()),
        digest_zone: Some("Europe/Berlin".to_owned()),
        escalate_after: None,
        escalate_to: Vec::new(),
        r#continue: false,
    };
    Settings { routes: vec![Route::build(&config, &[channel]).unwrap()], ..settings() }
}

fn with_settings(
    control: &Arc<SqliteControl>,
    config: &ChannelConfig,
    settings: Settings,
) -> Notifier {
    Notifier::new(stores(control), vec![Channel::build(config).unwrap()], settings)
}

#[tokio::test]
async fn what_one_channel_took_is_noted_while_another_is_silent() {
    let directory = tempfile::tempdir().unwrap();
    let receiver = Receiver::start(None).await;
    // It takes connections, and never says a word.
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mail = ChannelConfig::Email(EmailConfig {
        name: "champion".to_owned(),
        host: "127.0.0.1".to_owned(),
        port: Some(silent.local_addr().unwrap().port()),
        security: Security::None,
        user: None,
        password_file: None,
        from: "busyhour@example.org".to_owned(),
        to: vec!["champion@example.org".to_owned()],
        root_ca_file: None,
        timeout: Some("300s".to_owned()),
    });
    let hook = webhook(format!("http://{}/hook", receiver.address), None);
    let (control, building) = with_building(directory.path());
    tell(control.as_ref(), building, 1, false);
    tell(control.as_ref(), building, 2, false);
    let outbox = ForgetfulOutbox::new(Arc::clone(&control), 0);
    let channels = [&mail, &hook].map(|config| Channel::build(config).unwrap()).into();
    let stores = Stores { outbox: outbox.clone(), ..stores(&control) };
    let mut stopped = Notifier::new(stores, channels, settings());
    let never = CancellationToken::new();
    tokio::select! {
        round = stopped.deliver_due(NOW, &never) => panic!("nobody is silent: {round:?}"),
        () = outbox.noted(2) => {}
    }
    drop(stopped);

    // Stopped in between, it knows what was taken.
    let mut after = notifier(&control, &[hook]);
    let round = deliver(&mut after, NOW).await;
    assert_eq!((round.sent, receiver.requests().len()), (0, 2));
}

#[tokio::test]
async fn nothing_is_sent_while_it_cannot_be_written_down_what_is_one_message() {
    let directory = tempfile::tempdir().unwrap();
    let (people, machines) = (Receiver::start(None).await, Receiver::start(None).await);
    let (control, building) = with_building(directory.path());
    for number in 1..=6 {
        tell(control.as_ref(), building, number, false);
    }
    let configs = [teams(&people), webhook(format!("http://{}/hook", machines.address), None)];
    let channels = configs.iter().map(|config| Channel::build(config).unwrap()).collect();
    let outbox = ForgetfulOutbox::new(Arc::clone(&control), 0);
    outbox.fail_to_bundle(1);
    let mut notifier = Notifier::new(Stores { outbox, ..stores(&control) }, channels, settings());
    assert!(notifier.deliver_due(NOW, &CancellationToken::new()).await.is_err());
    assert_eq!((people.requests().len(), machines.requests().len()), (0, 0));
    assert_eq!(deliver(&mut notifier, NOW).await, sent(12));
    assert_eq!((people.requests().len(), machines.requests().len()), (1, 6));
}

/// Whoever renders: what it was given, or nothing.
struct Rendered(Result<bool, &'static str>);

impl Reports for Rendered {
    fn render(&self, _: ReportKind, _: Date) -> Result<ReportMail, String> {
        let simulated = self.0.map_err(str::to_owned)?;
        Ok(ReportMail {
            subject: "Digest".to_owned(),
            html: "<p>Digest</p>".to_owned(),
            text: "Digest".to_owned(),
            attachments: Vec::new(),
            simulated,
        })
    }
}

/// With a report that is due now.
fn reporting(control: &Arc<SqliteControl>, config: &ChannelConfig, rendered: Rendered) -> Notifier {
    let plan = ReportConfig {
        name: "daily".to_owned(),
        kind: ReportKind::Daily,
        at: "00:00".to_owned(),
        zone: "UTC".to_owned(),
        channels: vec![config.name().to_owned()],
    };
    let plan = ReportPlan::build(&plan, &[config.name()]).unwrap();
    let settings = Settings { reports: vec![plan], ..settings() };
    with_settings(control, config, settings).with_reports(Arc::new(rendered))
}

#[tokio::test]
async fn a_report_with_simulated_data_does_not_leave_this_machine() {
    for (simulated, withheld) in [(false, 0), (true, 1)] {
        let directory = tempfile::tempdir().unwrap();
        let receiver = Receiver::start(None).await;
        let (control, _) = with_building(directory.path());
        let config = webhook(format!("http://{}/hook", receiver.address), None);
        let mut notifier = reporting(&control, &config, Rendered(Ok(simulated)));
        let round = deliver(&mut notifier, NOW).await;
        assert_eq!((round.sent, round.withheld), (1 - withheld, withheld), "{simulated}");
        assert_eq!(receiver.requests().len(), 1 - withheld, "{simulated}");
    }
}

#[tokio::test]
async fn a_report_that_cannot_be_rendered_is_no_fault_of_its_channel() {
    let directory = tempfile::tempdir().unwrap();
    let receiver = Receiver::start(None).await;
    let (control, building) = with_building(directory.path());
    let config = webhook(format!("http://{}/hook", receiver.address), None);
    let mut notifier = reporting(&control, &config, Rendered(Err("the store is busy")));
    assert_eq!(deliver(&mut notifier, NOW).await, sent(0));
    tell(control.as_ref(), building, 1, false);
    assert_eq!(deliver(&mut notifier, NOW.plus(HOUR)).await, sent(1));
    let channel = control.channels().unwrap().remove(0);
    assert_eq!((channel.waiting, channel.failing_since), (1, None));
    // Who waits for it is told, once.
    for hours in 1..=3 {
        let round = deliver(&mut notifier, NOW.plus(hours * HOUR)).await;
        assert_eq!(round, sent(usize::from(hours == 1)), "{hours}");
    }
    let request = receiver.requests().remove(1);
    assert_eq!(request.body["event"], "not-made");
    let subject = request.body["subject"].as_str().unwrap();
    assert!(subject.contains("report daily:2026-03-05"), "{subject}");
    // What is no longer configured will never be.
    let mut without = with_settings(&control, &config, settings());
    let round = deliver(&mut without, NOW.plus(4 * HOUR)).await;
    assert_eq!((round.sent, round.withheld), (0, 1));
}

#[tokio::test]
async fn what_became_simulated_is_not_said_again() {
    let directory = tempfile::tempdir().unwrap();
    let receiver = Receiver::start(None).await;
    let (control, building) = with_building(directory.path());
    tell(control.as_ref(), building, 1, false);
    let config = ChannelConfig::Alertmanager(AlertmanagerConfig {
        name: "alerts".to_owned(),
        url: Some(format!("http://{}", receiver.address)),
        url_file: None,
        user: None,
        password_file: None,
        token_file: None,
        root_ca_file: None,
        timeout: Some("20s".to_owned()),
    });
    let mut notifier = notifier(&control, &[config]);
    assert_eq!(deliver(&mut notifier, NOW).await, sent(1));
    notifier.say_again(NOW).await.unwrap();
    assert_eq!(receiver.requests().len(), 2);
    let mut incident = control.incident(IncidentId::from_u128(1)).unwrap().unwrap();
    incident.simulated = true;
    let write = JudgeWrite { incidents: vec![incident], ..JudgeWrite::default() };
    control.write_judgement(&write, NOW).unwrap();
    notifier.say_again(NOW).await.unwrap();
    assert_eq!(receiver.requests().len(), 2);
}

#[tokio::test]
async fn a_digest_for_machines_is_each_incident_and_its_end() {
    let directory = tempfile::tempdir().unwrap();
    let receiver = Receiver::start(None).await;
    let (control, building) = with_building(directory.path());
    tell(control.as_ref(), building, 1, false);
    tell(control.as_ref(), building, 2, false);
    let config = ChannelConfig::PagerDuty(PagerDutyConfig {
        name: "duty".to_owned(),
        routing_key_file: secret(directory.path(), "routing.key", "0123456789abcdef"),
        endpoint: Some(format!("http://{}/v2/enqueue", receiver.address)),
        root_ca_file: None,
        timeout: Some("20s".to_owned()),
    });
    let mut notifier = with_settings(&control, &config, digest("duty"));
    assert_eq!(deliver(&mut notifier, NOW).await, sent(0));
    assert_eq!(deliver(&mut notifier, NOW.plus(22 * HOUR)).await, sent(2));
    close(control.as_ref(), 1);
    assert_eq!(deliver(&mut notifier, NOW.plus(23 * HOUR)).await, sent(0));
    assert_eq!(deliver(&mut notifier, NOW.plus(46 * HOUR)).await, sent(1));
    let requests = receiver.requests();
    let word = |n: usize, name: &str| requests[n].body[name].as_str().unwrap().to_owned();
    let actions = [0, 1, 2].map(|n| word(n, "event_action"));
    assert_eq!(actions, ["trigger", "trigger", "resolve"]);
    assert_eq!(word(0, "dedup_key"), word(2, "dedup_key"));
    assert_ne!(word(0, "dedup_key"), word(1, "dedup_key"));
}

#[tokio::test]
async fn what_opened_and_is_over_since_the_last_digest_is_in_one() {
    let directory = tempfile::tempdir().unwrap();
    let receiver = Receiver::start(None).await;
    let (control, building) = with_building(directory.path());
    tell(control.as_ref(), building, 1, false);
    let mut notifier = with_settings(&control, &teams(&receiver), digest("team"));
    assert_eq!(deliver(&mut notifier, NOW).await, sent(0));
    close(control.as_ref(), 1);
    assert_eq!(deliver(&mut notifier, NOW.plus(HOUR)).await, sent(0));
    assert_eq!(deliver(&mut notifier, NOW.plus(22 * HOUR)).await, sent(2));
    let requests = receiver.requests();
    assert_eq!(requests.len(), 1);
    assert!(requests[0].raw.contains("1 new, 1 over"), "{}", requests[0].raw);
}

#[tokio::test]
async fn what_was_not_tried_is_a_storm_when_the_channel_is_back() {
    let directory = tempfile::tempdir().unwrap();
    let receiver = Receiver::start(None).await;
    receiver.answer_next("503 Service Unavailable");
    let (control, building) = with_building(directory.path());
    for number in 1..=5 {
        tell(control.as_ref(), building, number, false);
    }
    let mut notifier = notifier(&control, &[teams(&receiver)]);
    // One knocked; the others wait without an attempt.
    assert_eq!(deliver(&mut notifier, NOW).await, put_off(1));
    assert_eq!(deliver(&mut notifier, NOW).await, put_off(0));
    assert_eq!(receiver.requests().len(), 1);
    for number in 6..=7 {
        tell(control.as_ref(), building, number, false);
    }
    let later: UtcMicros = NOW.plus(LATER);
    assert_eq!(deliver(&mut notifier, later).await, sent(7));
    assert_eq!(receiver.requests().len(), 3, "the one that knocked, and the rest in one");
}

#[tokio::test]
async fn a_message_that_fails_often_does_not_hold_up_the_others_for_good() {
    let directory = tempfile::tempdir().unwrap();
    let receiver = Receiver::start(None).await;
    let (control, building) = with_building(directory.path());
    tell(control.as_ref(), building, 1, false);
    let config = webhook(format!("http://{}/hook", receiver.address), None);
    let mut notifier = notifier(&control, &[config]);
    for attempt in 0..4 {
        if attempt == 3 {
            tell(control.as_ref(), building, 2, false);
        }
        receiver.answer_next("500 Oh");
        let round = deliver(&mut notifier, NOW.plus(attempt * LATER)).await;
        assert_eq!((round.sent, round.put_off), (usize::from(attempt == 3), 1), "{attempt}");
    }
}

#[tokio::test]
async fn the_weekly_review_goes_by_mail_on_mondays_at_its_time_once() {
    let directory = tempfile::tempdir().unwrap();
    let identity = Identity::new(directory.path());
    let server = SmtpServer::start(Offer::Tls, identity.acceptor.clone(), None).await;
    let (control, _) = with_building(directory.path());
    let config = ChannelConfig::Email(email(&server, Security::Tls, &identity));
    let plan = ReportConfig {
        name: "review".to_owned(),
        kind: ReportKind::Weekly,
        at: "07:30".to_owned(),
        zone: "Europe/Berlin".to_owned(),
        channels: vec![config.name().to_owned()],
    };
    let plan = || vec![ReportPlan::build(&plan, &[config.name()]).unwrap()];
    let new = || {
        let settings = Settings { reports: plan(), ..settings() };
        with_settings(&control, &config, settings).with_reports(Arc::new(Rendered(Ok(false))))
    };
    let at = |text: &str| UtcMicros(text.parse::<jiff::Timestamp>().unwrap().as_microsecond());
    let mut notifier = new();
    // In Berlin it is an hour later than in UTC; the 9th of March 2026 is a Monday.
    for (moment, mails) in [
        ("2026-03-08T23:59:59Z", 0),
        ("2026-03-09T06:29:59Z", 0),
        ("2026-03-09T06:30:00Z", 1),
        ("2026-03-09T06:30:05Z", 1),
        ("2026-03-12T06:00:00Z", 1),
    ] {
        deliver(&mut notifier, at(moment)).await;
        assert_eq!(server.mails().len(), mails, "{moment}");
    }
    // A collector that was down that Monday sends it when it is back, and not again after a restart.
    drop(notifier);
    for (moment, mails) in [("2026-03-17T12:00:00Z", 2), ("2026-03-17T12:00:05Z", 2)] {
        deliver(&mut new(), at(moment)).await;
        assert_eq!(server.mails().len(), mails, "{moment}");
    }
    assert_eq!(server.mails()[0].header("Subject"), Some("Digest"));
}
