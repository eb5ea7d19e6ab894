//! What is not about one incident: several at once, a test, a channel, a report.

use std::collections::BTreeMap;

use busyhour_store::{Delivery, IncidentEvent, IncidentNews, Purpose};
use serde_json::json;

use super::{BaseUrl, Message, Stage, Tone};
use crate::message::rfc3339;
use crate::message::words::prose;
use crate::report::ReportMail;

/// Alerts of one message that are told with a line each; of more it is said how many there are.
const MAX_LINES: usize = 100;

impl Message {
    /// Several alerts at once: a storm, or a digest. `seen` are those that somebody said to have seen.
    pub(crate) fn of_several(
        deliveries: &[(&Delivery, &IncidentNews, bool)],
        base_url: &BaseUrl,
    ) -> Option<Self> {
        let (first, _, _) = deliveries.first()?;
        let mut several = deliveries.to_vec();
        several.sort_by_key(|(_, news, seen)| (*seen, news.event == IncidentEvent::Closed));
        let count = |event: IncidentEvent| {
            deliveries.iter().filter(|(_, news, _)| news.event == event).count()
        };
        let parts = [
            (count(IncidentEvent::Opened), "new"),
            (count(IncidentEvent::Worse), "worse after maintenance"),
            (count(IncidentEvent::Closed), "over"),
        ];
        let parts = parts.iter().filter(|(count, _)| *count > 0);
        let parts: Vec<String> = parts.map(|(count, what)| format!("{count} {what}")).collect();
        let digest = first.purpose == Purpose::Digest;
        let what = if digest { "Digest" } else { "Many incidents at once" };
        let mut facts: Vec<(&'static str, String)> = several
            .iter()
            .take(MAX_LINES)
            .map(|(delivery, news, seen)| {
                let one = Self::of(delivery, news, None, base_url, None);
                let label = match (news.event, seen) {
                    (IncidentEvent::Closed | IncidentEvent::Merged, _) => "Over",
                    (_, true) | (IncidentEvent::Acknowledged, _) => "Seen",
                    (IncidentEvent::Opened, false) => "New",
                    (IncidentEvent::Worse, false) => "Worse",
                };
                (label, format!("{}. {} {}", one.subject, one.lead.join(" "), one.url))
            })
            .collect();
        if let Some(more) = several.len().checked_sub(MAX_LINES).filter(|more| *more > 0) {
            facts.push(("And", format!("{more} more, which the page lists")));
        }
        let says = if digest {
            "What happened since the last digest, what nobody has seen yet first."
        } else {
            "They opened within a few minutes of each other; look for what they share."
        };
        Some(Self::notice(Notice {
            key: format!("bundle-{}-{}", first.id, first.created.0),
            subject_key: format!("bundle-{}", first.id),
            event: if digest { "digest" } else { "several" },
            tone: if parts.len() == 1 && facts.iter().all(|(label, _)| *label == "Over") {
                Tone::Good
            } else {
                Tone::Major
            },
            stage: Stage::Firing,
            subject: format!("{what}: {}", parts.join(", ")),
            says: says.to_owned(),
            facts,
            url: format!("{base_url}/incidents"),
            link: "All incidents",
            alert_name: "BusyhourSeveral",
            created: first.created,
        }))
    }

    /// That the channel works.
    pub(crate) fn test(delivery: &Delivery, base_url: &BaseUrl) -> Self {
        Self::notice(Notice {
            key: format!("test-{}-{}", delivery.id, delivery.created.0),
            subject_key: format!("test-{}", delivery.id),
            event: "test",
            tone: Tone::Plain,
            stage: Stage::Over,
            subject: "Busyhour: a test of this channel".to_owned(),
            says: "Somebody asked for it. No calls are meant, and nothing is to be done."
                .to_owned(),
            facts: vec![("Channel", delivery.channel.clone())],
            url: base_url.to_string(),
            link: "Busyhour",
            alert_name: "BusyhourTest",
            created: delivery.created,
        })
    }

    /// That another channel fails, with what went wrong; or works again.
    pub(crate) fn of_channel(
        delivery: &Delivery,
        channel: &str,
        error: Option<&str>,
        base_url: &BaseUrl,
    ) -> Self {
        let (event, subject, says) = match error {
            Some(_) => (
                "channel-failed",
                format!("Busyhour cannot tell anybody on channel {channel}"),
                "It does not take messages. They wait, and are tried again for three days.",
            ),
            None => (
                "channel-works",
                format!("Busyhour tells people on channel {channel} again"),
                "It takes messages again; those that waited were sent.",
            ),
        };
        let error = error.map(|error| ("It says", prose(error)));
        Self::notice(Notice {
            key: format!("{event}-{channel}-{}", delivery.created.0),
            subject_key: format!("channel-{channel}"),
            event,
            tone: if error.is_some() { Tone::Major } else { Tone::Good },
            stage: if error.is_some() { Stage::Firing } else { Stage::Over },
            subject,
            says: says.to_owned(),
            facts: [("Channel", channel.to_owned())].into_iter().chain(error).collect(),
            url: base_url.to_string(),
            link: "Busyhour",
            alert_name: "BusyhourChannelFails",
            created: delivery.created,
        })
    }

    /// That another channel did not take a message for good, or not for everybody: which channel, what it said, and
    /// what the message was about.
    pub(crate) fn of_refused(
        delivery: &Delivery,
        (channel, error, what): (&str, &str, &str),
        base_url: &BaseUrl,
    ) -> Self {
        let event = "message-refused";
        Self::notice(Notice {
            key: format!("{event}-{channel}-{}", delivery.created.0),
            subject_key: format!("{event}-{channel}-{}", delivery.created.0),
            event,
            tone: Tone::Major,
            stage: Stage::Firing,
            subject: format!("Busyhour could not tell everybody on channel {channel}"),
            says: "A message was refused in a way that trying again does not mend, or was tried for too long. Not \
                   everybody who should have it does: look at the page, and at the channel."
                .to_owned(),
            facts: vec![
                ("Channel", channel.to_owned()),
                ("It was about", prose(what)),
                ("It says", prose(error)),
            ],
            url: base_url.to_string(),
            link: "Busyhour",
            alert_name: "BusyhourMessageRefused",
            created: delivery.created,
        })
    }

    /// That a message for this channel cannot be put into words: why, and what it is about.
    pub(crate) fn of_not_made(
        delivery: &Delivery,
        (error, what): (&str, &str),
        base_url: &BaseUrl,
    ) -> Self {
        let event = "not-made";
        Self::notice(Notice {
            key: format!("{event}-{}-{}", delivery.id, delivery.created.0),
            subject_key: format!("{event}-{}", delivery.id),
            event,
            tone: Tone::Major,
            stage: Stage::Firing,
            subject: format!("Busyhour could not make a message: {}", prose(what)),
            says: "A message for you could not be made for an hour. It is tried for three days; what it says is on \
                   the page, unless that fails, too."
                .to_owned(),
            facts: vec![("It is about", prose(what)), ("What is wrong", prose(error))],
            url: base_url.to_string(),
            link: "Busyhour",
            alert_name: "BusyhourMessageNotMade",
            created: delivery.created,
        })
    }

    /// A report, as it was rendered.
    pub(crate) fn of_report(
        delivery: &Delivery,
        name: &str,
        report: ReportMail,
        base_url: &BaseUrl,
    ) -> Self {
        let message = Self::notice(Notice {
            key: format!("report-{}-{}", name.replace(':', "-"), delivery.created.0),
            subject_key: format!("report-{}", name.replace(':', "-")),
            event: "report",
            tone: Tone::Plain,
            stage: Stage::Over,
            subject: prose(&report.subject),
            says: "A report is there.".to_owned(),
            facts: Vec::new(),
            url: format!("{base_url}/reports"),
            link: "All reports",
            alert_name: "BusyhourReport",
            created: delivery.created,
        });
        let ReportMail { html, text, attachments, .. } = report;
        Self { html, text, attachments, ..message }
    }

    fn notice(notice: Notice) -> Self {
        let json = json!({
            "schema_version": super::json::SCHEMA_VERSION,
            "idempotency_key": notice.key,
            "event": notice.event,
            "created_utc": rfc3339(notice.created),
            "subject": notice.subject,
            "sentence": notice.says,
            "url": notice.url,
        });
        let message = Self {
            key: notice.key,
            subject_key: notice.subject_key,
            stage: notice.stage,
            tone: notice.tone,
            subject: notice.subject,
            lead: vec![notice.says],
            facts: notice.facts,
            details: Vec::new(),
            steps: Vec::new(),
            url: notice.url,
            link: notice.link,
            alert_name: notice.alert_name,
            source: "Busyhour".to_owned(),
            labels: BTreeMap::new(),
            since: notice.created,
            created: notice.created,
            text: String::new(),
            html: String::new(),
            json: json.to_string(),
            picture: None,
            attachments: Vec::new(),
        };
        message.written()
    }
}

struct Notice {
    key: String,
    subject_key: String,
    event: &'static str,
    tone: Tone,
    stage: Stage,
    subject: String,
    says: String,
    facts: Vec<(&'static str, String)>,
    url: String,
    link: &'static str,
    alert_name: &'static str,
    created: busyhour_model::UtcMicros,
}
