//! Messages and recipients that are refused, slow channels, and what PagerDuty hears beside begin and end.

use std::path::Path;
use std::time::Duration;

use busyhour_model::IncidentId;
use busyhour_model::desk::{Deed, QuietKind, QuietScope, Remark};
use busyhour_notify::{
    AlertmanagerConfig, Channel, ChannelConfig, EmailConfig, FileConfig, Notifier, PagerDutyConfig,
    Round, Security, Settings, WebhookConfig,
};
use busyhour_store::{Act, ChannelTest, Control as _, Desk as _, NewQuiet, Outbox as _};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::channels::secret;
use crate::http::Receiver;
use crate::outbox::{NOW, close_at, merge, stores, tell, tell_at, utc_now, with_building};
use crate::smtp::{Offer, SmtpServer};
use crate::tls::Identity;
use crate::{LATER, deliver, email, notifier, put_off, sent, settings, webhook};

/// Bounds a wait for something that never comes.
const MOST: Duration = Duration::from_secs(60);

fn hook(receiver: &Receiver) -> ChannelConfig {
    webhook(format!("http://{}/hook", receiver.address), None)
}

/// A second channel, on which it is told what becomes of the first.
fn files(directory: &Path) -> ChannelConfig {
    let folder = directory.join("alerts");
    ChannelConfig::File(FileConfig { name: "files".to_owned(), folder })
}

/// The events of what was written to files.
fn written(directory: &Path) -> Vec<serde_json::Value> {
    let Ok(entries) = std::fs::read_dir(directory.join("alerts")) else { return Vec::new() };
    let read = |path: std::path::PathBuf| {
        serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
    };
    entries.map(|entry| read(entry.unwrap().path())).collect()
}

fn events(directory: &Path, event: &str) -> usize {
    written(directory).iter().filter(|one| one["event"] == event).count()
}

#[tokio::test]
async fn a_message_that_can_never_be_taken_is_given_up_at_once_and_told() {
    for status in ["413 Content Too Large", "422 Unprocessable Content"] {
        let directory = tempfile::tempdir().unwrap();
        let receiver = Receiver::start(None).await;
        receiver.answer_next(status);
        let (control, building) = with_building(directory.path());
        tell(control.as_ref(), building, 1, false);
        let mut notifier = notifier(&control, &[hook(&receiver), files(directory.path())]);
        let round = deliver(&mut notifier, NOW).await;
        assert_eq!(round, Round { sent: 1, put_off: 0, withheld: 1 }, "{status}");
        assert_eq!(deliver(&mut notifier, NOW).await, sent(1), "told on the other");
        assert_eq!(events(directory.path(), "message-refused"), 1, "{status}");
        // The channel is not at fault.
        let row = control.channels().unwrap().into_iter().find(|row| row.name == "hook").unwrap();
        assert_eq!((row.failing_since, row.waiting), (None, 0), "{status}");
        assert_eq!(deliver(&mut notifier, NOW.plus(LATER)).await, sent(0));
        assert_eq!(receiver.requests().len(), 1, "{status}");
    }
}

#[tokio::test]
async fn of_a_refusal_that_may_be_the_channels_the_next_message_tells() {
    let directory = tempfile::tempdir().unwrap();
    let receiver = Receiver::start(None).await;
    let (control, building) = with_building(directory.path());
    tell(control.as_ref(), building, 1, false);
    // Alone it may be either: it is tried again, and the channel is said to fail.
    receiver.answer_next("400 Bad Request");
    let mut notifier = notifier(&control, &[hook(&receiver), files(directory.path())]);
    assert_eq!(deliver(&mut notifier, NOW).await, Round { sent: 1, put_off: 1, withheld: 0 });
    // With another that is taken it is the message.
    tell(control.as_ref(), building, 2, false);
    receiver.answer_next("400 Bad Request");
    let round = deliver(&mut notifier, NOW.plus(LATER)).await;
    assert_eq!((round.put_off, round.withheld), (0, 1), "{round:?}");
    deliver(&mut notifier, NOW.plus(LATER)).await;
    assert_eq!(events(directory.path(), "message-refused"), 1);
    // Where all are refused it is the channel: nothing is given up.
    tell(control.as_ref(), building, 3, false);
    tell(control.as_ref(), building, 4, false);
    receiver.answer_next("400 Bad Request");
    receiver.answer_next("400 Bad Request");
    let round = deliver(&mut notifier, NOW.plus(2 * LATER)).await;
    assert_eq!((round.put_off, round.withheld), (2, 0), "{round:?}");
}

#[tokio::test]
async fn what_a_server_says_of_a_whole_mail_is_about_that_mail_or_about_more() {
    let withheld = Round { withheld: 1, ..Round::default() };
    for (answer, expected) in [
        ("552 5.3.4 too large", withheld),
        ("552 5.2.3 longer than is let in", withheld),
        ("554 5.6.0 not in this form", withheld),
        ("552 5.2.2 the mailbox is full", put_off(1)),
        ("552 no room", put_off(1)),
        ("550 5.7.1 from 10.5.6.7 nothing is taken", put_off(1)),
    ] {
        let directory = tempfile::tempdir().unwrap();
        let (server, config) = mail_server(directory.path()).await;
        let (control, building) = with_building(directory.path());
        let mut notifier = notifier(&control, &[config]);
        tell(control.as_ref(), building, 1, false);
        server.refuse_next(answer);
        assert_eq!(deliver(&mut notifier, NOW).await, expected, "{answer}");
        let row = control.channels().unwrap().remove(0);
        assert_eq!(row.failing_since.is_some(), expected == put_off(1), "{answer}");
        // Either the mail comes later, or that it was refused.
        assert_eq!(deliver(&mut notifier, NOW.plus(LATER)).await, sent(1), "{answer}");
        let subject = server.mails()[0].header("Subject").unwrap().to_owned();
        assert_eq!(subject.contains("could not tell everybody"), expected == withheld, "{answer}");
    }
}

#[tokio::test]
async fn a_mail_without_room_is_at_fault_when_the_next_one_has_room() {
    let directory = tempfile::tempdir().unwrap();
    let (server, config) = mail_server(directory.path()).await;
    let (control, building) = with_building(directory.path());
    tell(control.as_ref(), building, 1, false);
    tell(control.as_ref(), building, 2, false);
    server.refuse_next("552 no room");
    let round = deliver(&mut notifier(&control, &[config]), NOW).await;
    assert_eq!(round, Round { sent: 1, put_off: 0, withheld: 1 });
    let row = control.channels().unwrap().remove(0);
    assert!(row.error.unwrap().contains("no room") && row.failing_since.is_none());
}

#[tokio::test]
async fn what_is_refused_for_good_is_told_on_its_own_channel_when_there_is_no_other() {
    let directory = tempfile::tempdir().unwrap();
    let receiver = Receiver::start(None).await;
    let (control, building) = with_building(directory.path());
    tell(control.as_ref(), building, 1, false);
    receiver.answer_next("413 Content Too Large");
    let mut notifier = notifier(&control, &[hook(&receiver)]);
    let withheld = Round { withheld: 1, ..Round::default() };
    assert_eq!(deliver(&mut notifier, NOW).await, withheld);
    let row = control.channels().unwrap().remove(0);
    assert!(row.error.unwrap().contains("413"), "it shows");
    assert_eq!((row.failing_since, row.taken), (None, None), "and says nothing of the channel");
    assert_eq!(deliver(&mut notifier, NOW).await, sent(1));
    assert_eq!(receiver.requests()[1].body["event"], "message-refused");
    // That this is refused, too, is told to nobody.
    tell(control.as_ref(), building, 2, false);
    for _ in 0..2 {
        receiver.answer_next("413 Content Too Large");
        assert_eq!(deliver(&mut notifier, NOW.plus(2 * LATER)).await, withheld);
    }
    assert_eq!(deliver(&mut notifier, NOW.plus(4 * LATER)).await, sent(0));
}

#[tokio::test]
async fn what_was_taken_stays_taken_when_nobody_says_good_bye() {
    let directory = tempfile::tempdir().unwrap();
    let (server, config) = mail_server(directory.path()).await;
    server.be_silent_at_quit();
    let (control, building) = with_building(directory.path());
    tell(control.as_ref(), building, 1, false);
    server.refuse_recipient("netops@example.org", "451 greylisted, come again");
    let mut notifier = notifier(&control, &[config]);
    assert_eq!(deliver(&mut notifier, NOW).await, put_off(1));
    // Who was refused is known as well.
    assert_eq!(deliver(&mut notifier, NOW.plus(LATER)).await, sent(1));
    assert_eq!(deliver(&mut notifier, NOW.plus(2 * LATER)).await, sent(0));
    assert_eq!(readers(&server), [["champion@example.org"], ["netops@example.org"]]);
}

#[tokio::test]
async fn whoever_never_gets_a_mail_is_told_of_and_the_others_hear_the_end() {
    let directory = tempfile::tempdir().unwrap();
    let (server, config) = mail_server(directory.path()).await;
    let (control, building) = with_building(directory.path());
    tell(control.as_ref(), building, 1, false);
    server.keep_refusing("netops@example.org", "452 4.2.2 the mailbox is full");
    let mut notifier = notifier(&control, &[config, files(directory.path())]);
    assert_eq!(deliver(&mut notifier, NOW).await, Round { sent: 1, put_off: 1, withheld: 0 });
    let mut now = NOW.plus(6 * LATER);
    while now <= NOW.plus(settings().give_up_after) {
        assert_eq!(deliver(&mut notifier, now).await, put_off(1));
        now = now.plus(6 * LATER);
    }
    assert_eq!(events(directory.path(), "message-refused"), 0, "so long there is hope");
    let withheld = Round { withheld: 1, ..Round::default() };
    assert_eq!(deliver(&mut notifier, now).await, withheld);
    assert_eq!(deliver(&mut notifier, now).await, sent(1));
    assert_eq!(events(directory.path(), "message-refused"), 1);
    let totals = control.delivery_totals().unwrap();
    assert_eq!((totals.pending, totals.sent, totals.withheld), (0, 3, 0), "somebody has it");
    server.refuse_nobody();
    close_at(control.as_ref(), 1, now);
    assert_eq!(deliver(&mut notifier, now).await, sent(2), "the end is told");
    assert_eq!(readers(&server).len(), 2);
    assert_eq!(readers(&server)[0], ["champion@example.org"]);
}

#[tokio::test]
async fn one_who_is_still_left_neither_hides_nor_makes_a_failing_channel() {
    let directory = tempfile::tempdir().unwrap();
    let (server, config) = mail_server(directory.path()).await;
    let (control, building) = with_building(directory.path());
    tell(control.as_ref(), building, 1, false);
    server.keep_refusing("netops@example.org", "451 greylisted, come again");
    let mut notifier = notifier(&control, &[config, files(directory.path())]);
    assert_eq!(deliver(&mut notifier, NOW).await, Round { sent: 1, put_off: 1, withheld: 0 });
    // For hours it is one mailbox alone.
    for hours in 1..=3 {
        assert_eq!(deliver(&mut notifier, NOW.plus(hours * LATER)).await, put_off(1));
    }
    let row =
        || control.channels().unwrap().into_iter().find(|row| row.name == "champion").unwrap();
    assert_eq!((row().taken, row().failing_since), (Some(NOW), None));
    assert_eq!(events(directory.path(), "channel-failed"), 0);
    // Then nobody gets anything any more.
    server.keep_refusing("champion@example.org", "452 4.3.1 the disk is full");
    tell(control.as_ref(), building, 2, false);
    let round = deliver(&mut notifier, NOW.plus(4 * LATER)).await;
    assert_eq!(round, Round { sent: 1, put_off: 2, withheld: 0 });
    assert_eq!(row().failing_since, Some(NOW.plus(4 * LATER)));
    for hours in 5..=6 {
        deliver(&mut notifier, NOW.plus(hours * LATER)).await;
    }
    assert_eq!(events(directory.path(), "channel-failed"), 1);
    assert_eq!(row().taken, Some(NOW));
    // It works again when it takes something, and not before.
    assert_eq!(events(directory.path(), "channel-works"), 0);
    server.refuse_nobody();
    for hours in 7..=8 {
        deliver(&mut notifier, NOW.plus(hours * LATER)).await;
    }
    assert_eq!(events(directory.path(), "channel-works"), 1);
}

#[tokio::test]
async fn who_was_left_and_is_refused_for_good_is_told_of_and_says_nothing_of_the_channel() {
    let directory = tempfile::tempdir().unwrap();
    let (server, config) = mail_server(directory.path()).await;
    let (control, building) = with_building(directory.path());
    tell(control.as_ref(), building, 1, false);
    server.refuse_recipient("netops@example.org", "451 greylisted, come again");
    server.refuse_recipient("netops@example.org", "550 nobody of that name");
    let mut notifier = notifier(&control, &[config, files(directory.path())]);
    assert_eq!(deliver(&mut notifier, NOW).await, Round { sent: 1, put_off: 1, withheld: 0 });
    let withheld = Round { withheld: 1, ..Round::default() };
    assert_eq!(deliver(&mut notifier, NOW.plus(LATER)).await, withheld);
    assert_eq!(deliver(&mut notifier, NOW.plus(LATER)).await, sent(1));
    assert_eq!(events(directory.path(), "message-refused"), 1);
    let row = control.channels().unwrap().into_iter().find(|row| row.name == "champion").unwrap();
    assert_eq!((row.taken, row.failing_since), (Some(NOW), None));
    assert_eq!(control.delivery_totals().unwrap().withheld, 0, "somebody has it");
}

#[tokio::test]
async fn a_test_that_not_everybody_gets_is_refused_at_once_with_whom() {
    for answer in ["550 nobody of that name", "451 greylisted, come again"] {
        let directory = tempfile::tempdir().unwrap();
        let (server, config) = mail_server(directory.path()).await;
        let (control, _) = with_building(directory.path());
        let mut notifier = notifier(&control, &[config]);
        assert_eq!(deliver(&mut notifier, NOW).await, sent(0));
        let test = control.test_channel("champion", &Act::by_operator(NOW)).unwrap().unwrap();
        server.refuse_recipient("netops@example.org", answer);
        let round = deliver(&mut notifier, NOW).await;
        assert_eq!(round, Round { withheld: 1, ..Round::default() }, "{answer}");
        let Some(ChannelTest::Refused(says)) = control.channel_test(test).unwrap() else {
            panic!("{answer} is no success")
        };
        assert!(says.contains("netops@example.org is refused"), "{says}");
        assert_eq!(deliver(&mut notifier, NOW.plus(LATER)).await, sent(0), "{answer}");
        assert_eq!(server.mails().len(), 1);
    }
}

#[tokio::test]
async fn who_has_seen_it_while_it_was_quiet_is_not_called() {
    let directory = tempfile::tempdir().unwrap();
    let receiver = Receiver::start(None).await;
    let (control, building) = with_building(directory.path());
    let quiet = NewQuiet {
        kind: QuietKind::Silence,
        scopes: vec![QuietScope::Everything],
        from: NOW,
        until: NOW.plus(LATER),
        reason: Remark::new("new switches").unwrap(),
    };
    control.add_quiet(&quiet, &Act::by_operator(NOW)).unwrap().unwrap();
    tell(control.as_ref(), building, 1, false);
    let mut notifier = notifier(&control, &[pagerduty(directory.path(), &receiver)]);
    assert_eq!(deliver(&mut notifier, NOW).await, sent(0));
    let seen = Deed::Acknowledge(Remark::new("ticket 4711").unwrap());
    control.act(IncidentId::from_u128(1), &seen, &Act::by_operator(NOW)).unwrap().unwrap();
    assert_eq!(deliver(&mut notifier, NOW).await, sent(0));
    // The call, and in the next round that it is seen.
    for _ in 0..2 {
        assert_eq!(deliver(&mut notifier, NOW.plus(LATER)).await, sent(1));
    }
    let requests = receiver.requests();
    let actions: Vec<_> = requests.iter().map(|one| &one.body["event_action"]).collect();
    assert_eq!(actions, ["trigger", "acknowledge"]);
}

/// A mail server of this test's own, and a channel to it for two readers.
async fn mail_server(directory: &Path) -> (SmtpServer, ChannelConfig) {
    let identity = Identity::new(directory);
    let server = SmtpServer::start(Offer::Nothing, identity.acceptor.clone(), None).await;
    let config =
        EmailConfig { timeout: Some("5s".to_owned()), ..email(&server, Security::None, &identity) };
    (server, ChannelConfig::Email(config))
}

/// Who got each of the mails.
fn readers(server: &SmtpServer) -> Vec<Vec<String>> {
    server.mails().into_iter().map(|mail| mail.to).collect()
}

#[tokio::test]
async fn who_is_refused_does_not_keep_a_mail_from_the_others() {
    let directory = tempfile::tempdir().unwrap();
    let identity = Identity::new(directory.path());
    let server = SmtpServer::start(Offer::Tls, identity.acceptor.clone(), None).await;
    let (control, building) = with_building(directory.path());
    tell(control.as_ref(), building, 1, false);
    let config = EmailConfig {
        to: ["a", "b", "c"].map(|name| format!("{name}@example.org")).to_vec(),
        ..email(&server, Security::Tls, &identity)
    };
    let configs = [ChannelConfig::Email(config), files(directory.path())];
    let mut first = notifier(&control, &configs);
    server.refuse_recipient("b@example.org", "451 greylisted, come again");
    server.refuse_recipient("c@example.org", "550 nobody of that name");
    assert_eq!(deliver(&mut first, NOW).await, Round { sent: 1, put_off: 1, withheld: 0 });
    let to = || server.mails().iter().map(|mail| mail.to.clone()).collect::<Vec<_>>();
    assert_eq!(to(), [["a@example.org"]]);
    let row =
        || control.channels().unwrap().into_iter().find(|row| row.name == "champion").unwrap();
    assert_eq!(row().failing_since, None);
    let error = row().error.unwrap();
    assert!(error.contains("c@example.org is refused") && error.contains("nobody"), "{error}");
    drop(first);

    // Also after a restart only who was left is asked again, and who never will be is told of.
    let mut second = notifier(&control, &configs);
    server.refuse_recipient("c@example.org", "550 nobody of that name");
    assert_eq!(deliver(&mut second, NOW.plus(LATER)).await, sent(1));
    assert_eq!(to(), [["a@example.org"], ["b@example.org"]]);
    assert_eq!(deliver(&mut second, NOW.plus(LATER)).await, sent(1));
    assert_eq!(events(directory.path(), "message-refused"), 1);
    assert_eq!(deliver(&mut second, NOW.plus(2 * LATER)).await, sent(0));
}

#[tokio::test]
async fn a_mail_that_nobody_may_get_waits() {
    let directory = tempfile::tempdir().unwrap();
    let identity = Identity::new(directory.path());
    let server = SmtpServer::start(Offer::Tls, identity.acceptor.clone(), None).await;
    let (control, building) = with_building(directory.path());
    tell(control.as_ref(), building, 1, false);
    let config = ChannelConfig::Email(email(&server, Security::Tls, &identity));
    let mut notifier = notifier(&control, &[config]);
    for name in ["champion", "netops"] {
        server.refuse_recipient(&format!("{name}@example.org"), "550 no");
    }
    assert_eq!(deliver(&mut notifier, NOW).await, put_off(1));
    assert!(control.channels().unwrap()[0].failing_since.is_some());
    assert_eq!(deliver(&mut notifier, NOW.plus(LATER)).await, sent(1));
    assert_eq!(server.mails().len(), 1);
}

/// Looks until it is so.
async fn until(what: &str, is_so: impl Fn() -> bool) {
    let looking = async {
        while !is_so() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    assert!(tokio::time::timeout(MOST, looking).await.is_ok(), "{what}");
}

#[tokio::test]
async fn a_channel_that_is_silent_holds_up_no_other() {
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
    let (control, building) = with_building(directory.path());
    let channels = [&mail, &hook(&receiver)].map(|config| Channel::build(config).unwrap()).into();
    let settings = Settings { poll: Duration::from_millis(5), ..settings() };
    let stop = CancellationToken::new();
    let notifier = Notifier::new(stores(&control), channels, settings);
    let running = tokio::spawn(notifier.run(stop.clone()));
    // One after the other, so that each takes a round of its own while the mail waits for its answer.
    for number in 1..=3 {
        tell_at(control.as_ref(), building, number, false, utc_now());
        let told = usize::try_from(number).unwrap();
        until("the webhook is told", || receiver.requests().len() == told).await;
    }
    let waiting = |name: &str| {
        let rows = control.channels().unwrap();
        rows.iter().find(|row| row.name == name).map(|row| row.waiting)
    };
    until("what was taken is noted", || waiting("hook") == Some(0)).await;
    assert_eq!(waiting("champion"), Some(3));
    stop.cancel();
    // The mail server hangs up: what was under way is over.
    drop(silent);
    running.abort();
}

fn pagerduty(directory: &Path, receiver: &Receiver) -> ChannelConfig {
    ChannelConfig::PagerDuty(PagerDutyConfig {
        name: "duty".to_owned(),
        routing_key_file: secret(directory, "routing.key", "0123456789abcdef"),
        endpoint: Some(format!("http://{}/v2/enqueue", receiver.address)),
        root_ca_file: None,
        timeout: Some("20s".to_owned()),
    })
}

#[tokio::test]
async fn pagerduty_resolves_what_was_merged_and_mail_says_nothing_of_it() {
    let directory = tempfile::tempdir().unwrap();
    let identity = Identity::new(directory.path());
    let server = SmtpServer::start(Offer::Tls, identity.acceptor.clone(), None).await;
    let receiver = Receiver::start(None).await;
    let (control, building) = with_building(directory.path());
    tell(control.as_ref(), building, 1, false);
    tell(control.as_ref(), building, 2, false);
    let mail = ChannelConfig::Email(email(&server, Security::Tls, &identity));
    let mut notifier = notifier(&control, &[pagerduty(directory.path(), &receiver), mail]);
    assert_eq!(deliver(&mut notifier, NOW).await, sent(4));
    merge(control.as_ref(), 1, 2);
    assert_eq!(deliver(&mut notifier, NOW).await, sent(1));
    let requests = receiver.requests();
    let first =
        requests.iter().position(|one| one.body["dedup_key"] == requests[2].body["dedup_key"]);
    assert_eq!(requests[2].body["event_action"], "resolve");
    assert_eq!(requests[first.unwrap()].body["event_action"], "trigger");
    assert_eq!(requests[2].body["dedup_key"], IncidentId::from_u128(1).to_string());
    assert_eq!(server.mails().len(), 2);
}

#[tokio::test]
async fn pagerduty_stops_calling_when_somebody_has_seen_it_and_alertmanager_hears_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let (receiver, alerts) = (Receiver::start(None).await, Receiver::start(None).await);
    let (control, building) = with_building(directory.path());
    tell(control.as_ref(), building, 1, false);
    let configs = [pagerduty(directory.path(), &receiver), alertmanager(&alerts)];
    let mut notifier = notifier(&control, &configs);
    assert_eq!(deliver(&mut notifier, NOW).await, sent(2));
    let seen = Deed::Acknowledge(Remark::new("ticket 4711").unwrap());
    control.act(IncidentId::from_u128(1), &seen, &Act::by_operator(NOW)).unwrap().unwrap();
    assert_eq!(deliver(&mut notifier, NOW).await, sent(1));
    let requests = receiver.requests();
    assert_eq!(requests[1].body["event_action"], "acknowledge");
    assert_eq!(requests[0].body["dedup_key"], requests[1].body["dedup_key"]);
    assert_eq!(alerts.requests().len(), 1);
}

fn alertmanager(receiver: &Receiver) -> ChannelConfig {
    ChannelConfig::Alertmanager(AlertmanagerConfig {
        name: "alerts".to_owned(),
        url: Some(format!("http://{}", receiver.address)),
        url_file: None,
        user: None,
        password_file: None,
        token_file: None,
        root_ca_file: None,
        timeout: Some("20s".to_owned()),
    })
}

#[tokio::test]
async fn failing_to_say_again_shows_at_the_channel() {
    let directory = tempfile::tempdir().unwrap();
    let receiver = Receiver::start(None).await;
    let (control, building) = with_building(directory.path());
    tell(control.as_ref(), building, 1, false);
    let mut notifier = notifier(&control, &[alertmanager(&receiver)]);
    assert_eq!(deliver(&mut notifier, NOW).await, sent(1));
    receiver.answer_next("500 Oh");
    notifier.say_again(NOW.plus(LATER)).await.unwrap();
    let row = control.channels().unwrap().remove(0);
    assert_eq!(row.failing_since, Some(NOW.plus(LATER)));
    assert!(row.error.unwrap().contains("500"));
    notifier.say_again(NOW.plus(2 * LATER)).await.unwrap();
    assert_eq!(control.channels().unwrap().remove(0).failing_since, None);
}

#[tokio::test]
async fn a_template_makes_what_is_posted_and_it_is_what_is_signed() {
    use hmac::{Hmac, KeyInit as _, Mac as _};

    const KEY: &str = "canary-0123456789abcdef0123456789";
    let directory = tempfile::tempdir().unwrap();
    let receiver = Receiver::start(None).await;
    let (control, building) = with_building(directory.path());
    tell(control.as_ref(), building, 1, false);
    let config = |template: &str, kind: &str| {
        ChannelConfig::Webhook(WebhookConfig {
            name: "hook".to_owned(),
            url: Some(format!("http://{}/hook", receiver.address)),
            url_file: None,
            signing_key_file: Some(secret(directory.path(), "hook.key", KEY)),
            template: Some(template.to_owned()),
            template_file: None,
            content_type: Some(kind.to_owned()),
            allow_private: false,
            root_ca_file: None,
            timeout: Some("20s".to_owned()),
        })
    };
    let template = "{{ event }}: {{ subject }}\n{{ text }}";
    let mut notifier = notifier(&control, &[config(template, "text/plain; charset=utf-8")]);
    assert_eq!(deliver(&mut notifier, NOW).await, sent(1));
    let request = receiver.requests().remove(0);
    assert_eq!(request.header("content-type"), Some("text/plain; charset=utf-8"));
    assert!(request.raw.starts_with("opened: Berlin HQ: calls suffer at"), "{}", request.raw);
    assert!(request.raw.contains("What to do:"), "{}", request.raw);
    let mut mac = Hmac::<sha2::Sha256>::new_from_slice(KEY.as_bytes()).unwrap();
    let at = request.header("busyhour-timestamp").unwrap();
    mac.update(format!("{at}.{}", request.raw).as_bytes());
    let digest = mac.finalize().into_bytes();
    let digest: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(request.header("busyhour-signature"), Some(format!("v1={digest}").as_str()));
    for (template, says) in
        [("{\"text\": {{ sentense }}}", "undefined"), ("{{ subject", "understood")]
    {
        let error = Channel::build(&config(template, "application/json")).unwrap_err();
        let text = busyhour_daemon::chain(&error).to_string();
        assert!(text.contains("\"hook\"") && text.contains(says), "{text}");
    }
}
