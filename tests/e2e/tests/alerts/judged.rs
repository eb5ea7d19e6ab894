//! What was judged is what is told: a mail says of an incident what the API says of it. And call counts
//! that somebody imports become the busy hours of their building.

use std::fs;

use e2e::{Collector, Place, wait_for};
use jiff::Timestamp;
use jiff::civil::Weekday;
use jiff::tz::TimeZone;
use serde_json::Value;
use tempfile::TempDir;

use crate::mail::{MailServer, certificate, have_mail_server, mail_channel};
use crate::questions::Answers;
use crate::{load_as_real, text, turn};

/// The building that nothing is the matter with, and its zone.
const HEALTHY: &str = "Seattle Campus";
const ZONE: &str = "America/Los_Angeles";
/// Who must act on everything.
const OWNER: &str = "Network operations";
const CONTACT: &str = "noc@example.com";
/// It by itself, as the building file and its companion have it.
const FILE: &str = "\
10.20.0.0,North wing,21,Seattle Campus,Fabrikam,Office,Mixed,Seattle,98101,US,WA,AMER,1,0,0\r
10.20.8.0,South wing Wi-Fi,21,Seattle Campus,Fabrikam,Office,Mixed,Seattle,98101,US,WA,AMER,1,0,0\r
";
const COMPANION: &str = "\
BuildingName,TimeZone,BusinessHours\r
Seattle Campus,America/Los_Angeles,Mo-Fr 08:00-18:00\r
";

/// Restarts a collector and waits until it has judged all that it keeps. It is asked twice: figures are
/// noted one by one.
fn settle(collector: &mut Collector) {
    assert!(collector.stop(), "the collector stops in order");
    collector.start_again();
    let is_settled = || {
        let none = |name| collector.figure(name) == 0;
        collector.figure("judge_rows") > 0
            && none("judge_rebuild_dates")
            && none("judge_waiting_dates")
    };
    wait_for("all days to be judged", || (is_settled() && is_settled()).then_some(()));
}

/// Open alerts as the API tells them, with all that it knows.
pub(crate) fn open_alerts(collector: &Collector) -> Vec<Value> {
    let incidents = collector.items(&["incident", "ls"]);
    let open =
        incidents.iter().filter(|one| one["state"] == "open" || one["state"] == "recovering");
    open.map(|one| {
        let path = format!("/api/v1/incidents/{}", text(one, "id"));
        let answer: Value = serde_json::from_slice(&collector.get(&path)).unwrap();
        answer["items"][0].clone()
    })
    .collect()
}

/// A table of calls of the healthy building: in the early afternoon of working days, and at no other
/// time. It ends yesterday.
fn calls() -> String {
    let zone = TimeZone::get(ZONE).unwrap();
    let now = Timestamp::now().as_second().div_euclid(3_600) * 3_600;
    let mut table = "building,start,load\n".to_owned();
    for back in (24..30 * 24).rev() {
        let start = Timestamp::from_second(now - back * 3_600).unwrap();
        let local = zone.to_datetime(start);
        let at_work = !matches!(local.weekday(), Weekday::Saturday | Weekday::Sunday);
        let load = if at_work && (12..16).contains(&local.hour()) { 12 } else { 0 };
        table.push_str(&format!("{HEALTHY},{start},{load}\n"));
    }
    table
}

/// What the page says of a building.
fn page_of(collector: &Collector, name: &str) -> String {
    let buildings = collector.items(&["building", "ls"]);
    let building = buildings.iter().find(|one| one["name"] == name).unwrap();
    let page = collector.get(&format!("/buildings/{}", text(building, "id")));
    String::from_utf8(page).unwrap()
}

/// Where a figure of an incident is, as the mail's line has it.
fn line<'a>(mail: &'a str, label: &str) -> &'a str {
    let line = mail.lines().find(|line| line.starts_with(label));
    line.unwrap_or_else(|| panic!("no {label:?} in\n{mail}"))
}

/// Holds a mail to the incident that it is about.
pub(crate) fn compare(mail: &Value, incident: &Value) {
    let (subject, body) = (text(mail, "subject"), text(mail, "text"));
    let names = ["building", "network"].map(|key| text(incident, key));
    let hours: Vec<String> = incident["hours_local"]
        .as_array()
        .unwrap()
        .iter()
        .map(|span| span.as_str().unwrap().to_owned())
        .collect();
    let constant = incident["kind"] == "constant-fault";
    let when = if constant { "all day".to_owned() } else { format!("at {}", hours.join(", ")) };
    let since = text(incident, "first_bad_date");
    assert!(subject.ends_with(&format!(": calls suffer {when} since {since}")), "{subject}");
    // What several buildings share has a name of its own.
    let shared = ["upstream", "vpn", "target"].contains(&text(incident, "place_kind").as_str());
    let begins = shared || subject.starts_with(&names[0]) && subject.contains(&names[1]);
    assert!(begins, "{subject}");

    // What several buildings share begins with their names; after it all is as it was judged.
    let (first, sentence) = (body.lines().next().unwrap_or_default(), text(incident, "sentence"));
    let behind = |words: &str| words.split_once(": ").map(|(_, rest)| rest.to_owned());
    match text(incident, "place_kind").as_str() {
        "upstream" => assert_eq!(behind(first), behind(&sentence), "{body}"),
        _ => assert_eq!(first, sentence, "{body}"),
    }
    assert!(body.contains(&format!("/incidents/{}", text(incident, "id"))), "{body}");
    let number = |value: &Value| value.as_u64().unwrap_or_else(|| panic!("{incident}"));
    let siblings = |key: &str| number(&incident["siblings"][key]);
    let place = format!(
        "{} of {} paths suffer there, {} of {} beside it",
        siblings("suffering"),
        siblings("within"),
        siblings("suffering_beside"),
        siblings("beside"),
    );
    assert!(line(&body, "Place:").contains(&place), "{place}: {body}");
    let last = text(incident, "last_bad_date");
    assert!(line(&body, "Since:").contains(&format!("{since}, last on {last}")), "{body}");
    let worst = format!(
        "{} of {} checks bad",
        number(&incident["worst_hour_bad"]),
        number(&incident["worst_hour_valid"]),
    );
    let worst_line = line(&body, "Worst hour:");
    let begins = text(incident, "worst_hour_local");
    assert!(worst_line.contains(&worst), "{worst}: {body}");
    assert!(worst_line.contains(begins.get(..5).unwrap()), "{begins}: {body}");
    let average = line(&body, "That day:");
    let passes = incident["average_passes"] == true;
    assert_eq!(average.contains("within the limits"), passes, "{average}");
    assert_eq!(average.contains("calls this day fine"), incident["masked"] == true, "{average}");
    let cause = incident["cause"].as_str().unwrap() != "not-known";
    assert_eq!(!line(&body, "Likely cause:").contains("not known"), cause, "{body}");
}

/// Leaves a mail for a reader, where somebody asked for it.
pub(crate) fn keep(mail: &Value, incident: &Value) {
    let Some(folder) = std::env::var_os("KEEP_MAILS") else { return };
    fs::create_dir_all(&folder).unwrap();
    let name = format!("{}-{}.txt", text(incident, "kind"), incident["number"]);
    let text = format!("Subject: {}\n\n{}", text(mail, "subject"), text(mail, "text"));
    fs::write(std::path::Path::new(&folder).join(name), text).unwrap();
}

#[test]
fn a_mail_says_of_an_incident_what_was_judged() {
    if !have_mail_server() {
        return;
    }
    let _turn = turn();
    let folder = TempDir::new().unwrap();
    let (certificate, key) = certificate(folder.path());
    let files = [certificate.as_path(), key.as_path()];
    let server = MailServer::start(folder.path(), "mails", ["--tlscert", "--tlskey"], files);
    let mut collector = Collector::start(&Place::default(), &folder.path().join("collector"), "");
    let import = |arguments: &[&str]| {
        let output = collector.busyhour(arguments);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    };
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let (buildings, companion) = (file("buildings.csv", FILE), file("zones.csv", COMPANION));
    import(&["building", "import", &buildings, "--companion", &companion]);
    let page = page_of(&collector, HEALTHY);
    assert!(page.contains("Mo-Fr 08:00-18:00") && !page.contains("learned from load"), "{page}");
    import(&["load", "import", &file("calls.csv", &calls())]);
    import(&["owner", "set", OWNER, "--contact", CONTACT]);
    load_as_real(&collector, "1");

    // Without a channel alerts wait: what is told then is what all of the history says.
    settle(&mut collector);
    let open = open_alerts(&collector);
    assert!(open.iter().any(|one| one["building"] == "Berlin HQ"), "{open:?}");
    assert!(open.iter().all(|one| one["building"] != HEALTHY), "{open:?}");
    let page = page_of(&collector, HEALTHY);
    assert!(page.contains("busy hours, learned from load: Mo-Fr 12:00-16:00"), "{page}");

    let config = collector.folder().join("collector.toml");
    let channel = mail_channel("champion", "starttls", &server, &certificate);
    let before = fs::read_to_string(&config).unwrap();
    fs::write(&config, format!("{before}{channel}")).unwrap();
    settle(&mut collector);
    wait_for("the mails", || (collector.figure("alerts_pending") == 0).then_some(()));
    let mails = server.decoded();
    assert_eq!(mails.len(), open.len(), "{mails:?}");
    for incident in &open {
        let link = format!("/incidents/{}", text(incident, "id"));
        let about: Vec<&Value> =
            mails.iter().filter(|mail| text(mail, "text").contains(&link)).collect();
        assert_eq!(about.len(), 1, "one mail of {incident}: {mails:?}");
        compare(about[0], incident);
        Answers::of(&text(about[0], "text")).compare(incident);
        keep(about[0], incident);
        let pictures = about[0]["pictures"].as_array().unwrap();
        assert_eq!(pictures.len(), 1, "one picture in the mail of {incident}");
        let id = pictures[0].as_str().unwrap().trim_matches(['<', '>']);
        assert!(text(about[0], "html").contains(&format!("cid:{id}")), "it is shown in the text");
    }
}
