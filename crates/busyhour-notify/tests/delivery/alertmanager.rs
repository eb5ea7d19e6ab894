//! Debian's Alertmanager, as a process: what it shows after it was told.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use busyhour_notify::{AlertmanagerConfig, ChannelConfig};

use crate::outbox::{close_at, tell_at, utc_now, with_building};
use crate::{deliver, notifier, sent};

const PROGRAM: &str = "prometheus-alertmanager";
/// Bounds the test when the process never listens.
const READY: Duration = Duration::from_secs(60);

struct Alertmanager {
    process: Child,
    address: String,
}

impl Drop for Alertmanager {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Alertmanager {
    /// `None` where it is not installed.
    fn start(directory: &Path) -> Option<Self> {
        let config = directory.join("alertmanager.yml");
        std::fs::write(&config, "route: {receiver: none}\nreceivers: [{name: none}]\n").unwrap();
        let process = Command::new(PROGRAM)
            .arg(format!("--config.file={}", config.display()))
            .arg(format!("--storage.path={}", directory.join("alertmanager").display()))
            .args(["--web.listen-address=127.0.0.1:0", "--cluster.listen-address="])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn();
        let mut process = match process {
            Ok(process) => process,
            Err(error) => {
                assert!(std::env::var_os("CI").is_none(), "{PROGRAM} must be here in CI: {error}");
                eprintln!("SKIPPED: {PROGRAM} is not installed ({error})");
                return None;
            }
        };
        let (say, heard) = mpsc::channel();
        let stderr = BufReader::new(process.stderr.take().unwrap());
        // Reads to the end, so that the process never waits for somebody to read.
        std::thread::spawn(move || {
            for line in stderr.lines().map_while(Result::ok) {
                let address = line.split_once("msg=\"Listening on\" address=");
                if let Some((_, address)) = address {
                    let _ = say.send(address.trim().to_owned());
                }
            }
        });
        let address = heard.recv_timeout(READY);
        let mut started = Self { process, address: String::new() };
        started.address = address.expect("it says where it listens");
        Some(started)
    }

    fn alerts(&self) -> serde_json::Value {
        let url = format!("http://{}/api/v2/alerts", self.address);
        let mut answer = ureq::get(&url).call().unwrap();
        serde_json::from_str(&answer.body_mut().read_to_string().unwrap()).unwrap()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_alertmanager_shows_an_incident_until_it_is_over() {
    let directory = tempfile::tempdir().unwrap();
    let Some(alertmanager) = Alertmanager::start(directory.path()) else { return };
    // It goes by the clock on the wall.
    let now = utc_now();
    let (control, building) = with_building(directory.path());
    tell_at(control.as_ref(), building, 1, false, now);
    let config = ChannelConfig::Alertmanager(AlertmanagerConfig {
        name: "alerts".to_owned(),
        url: Some(format!("http://{}/", alertmanager.address)),
        url_file: None,
        user: None,
        password_file: None,
        token_file: None,
        root_ca_file: None,
        timeout: Some("20s".to_owned()),
    });
    let mut notifier = notifier(&control, &[config]);
    assert_eq!(deliver(&mut notifier, now).await, sent(1));

    let alerts = alertmanager.alerts();
    assert_eq!(alerts.as_array().unwrap().len(), 1, "{alerts}");
    let alert = &alerts[0];
    let labels = &alert["labels"];
    assert_eq!(labels["alertname"], "BusyhourIncident");
    assert_eq!(labels["building"], "Berlin HQ");
    assert_eq!((&labels["severity"], &labels["cause"]), (&"major".into(), &"bandwidth".into()));
    assert!(labels["incident"].as_str().is_some_and(|id| !id.is_empty()), "{labels}");
    let annotations = &alert["annotations"];
    assert!(annotations["worst_hour"].as_str().unwrap().contains("37 of 120 checks bad"));
    assert!(annotations["summary"].as_str().unwrap().starts_with("Berlin HQ: calls suffer"));
    assert!(alert["generatorURL"].as_str().unwrap().contains("/incidents/"));

    // Without another word it would be over in fifteen minutes; a minute later it is said again.
    let ends = alert["endsAt"].as_str().unwrap().parse::<jiff::Timestamp>().unwrap();
    let minute = now.plus(Duration::from_secs(60));
    notifier.say_again(minute).await.unwrap();
    let alerts = alertmanager.alerts();
    assert_eq!(alerts.as_array().unwrap().len(), 1, "{alerts}");
    assert_eq!(alerts[0]["fingerprint"], alert["fingerprint"]);
    let later = alerts[0]["endsAt"].as_str().unwrap().parse::<jiff::Timestamp>().unwrap();
    assert!(later > ends, "{later} {ends}");

    close_at(control.as_ref(), 1, now);
    assert_eq!(deliver(&mut notifier, now).await, sent(1));
    let alerts = alertmanager.alerts();
    assert_eq!(alerts.as_array().unwrap().len(), 0, "{alerts}");
}
