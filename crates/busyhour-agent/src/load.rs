//! Load records: what the machine's own traffic was, minute by minute. Busy hours are learned from
//! them, and that there is one says that the machine was awake.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use busyhour_daemon::chain;
use busyhour_host::{Counters, HostError, counters, default_route, link_speed};
use busyhour_model::{Body, Context, Load, Record, UtcMicros};
use tokio_util::sync::CancellationToken;

use crate::blocking::blocking;
use crate::clock::{Clock, Moment};
use crate::config::schedule_of;
use crate::gap::between;
use crate::pause::Switch;
use crate::spool::{Observed, Recorder};

const MINUTE: Duration = Duration::from_secs(60);
/// Waking up slightly before the minute must not make a record of a few milliseconds.
const TOO_SOON: Duration = Duration::from_secs(5);

/// The interface that is always there and says nothing about a network.
const LOOPBACK: &str = "lo";

/// The interfaces that probes leave on; bounded by the number of targets.
#[derive(Debug, Clone, Default)]
// A short section without waiting: sessions write once per change, load reads once a minute.
pub(crate) struct Links(Arc<Mutex<BTreeMap<usize, String>>>);

impl Links {
    /// The session with this number leaves on `interface`.
    pub(crate) fn use_interface(&self, session: usize, interface: &str) {
        let mut links = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        links.insert(session, interface.to_owned());
    }

    /// The session with this number is over for good.
    pub(crate) fn leave(&self, session: usize) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&session);
    }

    fn interfaces(&self) -> BTreeSet<String> {
        let links = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        links.values().cloned().collect()
    }
}

/// What was read at one moment.
#[derive(Debug, Default)]
struct Sample {
    /// Of every interface, so that one that comes into use has a beginning.
    counters: BTreeMap<String, Counters>,
    /// Of the interfaces to tell of.
    speeds: BTreeMap<String, Option<u64>>,
}

/// Runs until `stop`. A minute in which measuring was paused has no record.
pub(crate) async fn run(
    clock: Clock,
    links: Links,
    recorder: Recorder,
    mut switch: Switch,
    stop: CancellationToken,
) {
    let schedule = schedule_of(MINUTE);
    let mut before = (clock.now(), sample(&links).await);
    loop {
        // Both branches are cancel-safe. The sleep is computed anew from the wall clock each time,
        // because records lie on its minutes.
        tokio::select! {
            biased;
            () = stop.cancelled() => return,
            () = tokio::time::sleep(until_minute(clock.now().wall)) => {}
        }
        if switch.was_paused() {
            // Both branches are cancel-safe.
            tokio::select! {
                biased;
                () = stop.cancelled() => return,
                () = switch.resumed() => {}
            }
            before = (clock.now(), sample(&links).await);
            continue;
        }
        let after = (clock.now(), sample(&links).await);
        for load in loads(&before, &after) {
            if let Ok(stamp) = clock.stamp(&before.0, &after.0) {
                let (context, body) = (Context::default(), Body::Load(load));
                let record = Record { stamp, schedule: schedule.revision, context, body };
                recorder.record(Observed { record, schedule });
            }
        }
        before = after;
    }
}

/// Reads counters and speeds on a thread of its own: drivers take their time.
async fn sample(links: &Links) -> Sample {
    let used = links.interfaces();
    let read = blocking(move || {
        let counters = counters()?;
        let chosen = chosen(used, &counters, || default_route().map(|route| route.interface));
        let speed = |name: String| (link_speed(&name), name);
        let speeds = chosen.into_iter().map(speed).map(|(speed, name)| (name, speed)).collect();
        Ok::<_, HostError>(Sample { counters, speeds })
    });
    read.await.unwrap_or_else(|error| {
        tracing::warn!(error = %chain(&error), "this minute has no load record");
        Sample::default()
    })
}

/// The interfaces to tell of: those in use. That there is a record says that the machine was awake,
/// so without any there is another: the one that everything else leaves on, or just the first.
fn chosen(
    used: BTreeSet<String>,
    counters: &BTreeMap<String, Counters>,
    default: impl FnOnce() -> Option<String>,
) -> BTreeSet<String> {
    let present: BTreeSet<String> =
        used.into_iter().filter(|name| counters.contains_key(name)).collect();
    if !present.is_empty() {
        return present;
    }
    let first = || {
        let outer = counters.keys().find(|name| name.as_str() != LOOPBACK);
        outer.or_else(|| counters.keys().next()).cloned()
    };
    default().filter(|name| counters.contains_key(name)).or_else(first).into_iter().collect()
}

/// From `wall` to the next full minute, but one that is about to begin.
fn until_minute(wall: UtcMicros) -> Duration {
    let minute_us = 60_000_000;
    let rest = Duration::from_micros((minute_us - wall.0.rem_euclid(minute_us)).unsigned_abs());
    if rest < TOO_SOON { rest + MINUTE } else { rest }
}

/// What the interfaces in use carried in between; nothing when the machine slept, its clock stepped
/// or an interface began anew.
fn loads(before: &(Moment, Sample), after: &(Moment, Sample)) -> Vec<Load> {
    if !between(&before.0, &after.0).is_empty() {
        return Vec::new();
    }
    let load = |(name, speed): (&String, &Option<u64>)| {
        let (old, new) = (before.1.counters.get(name)?, after.1.counters.get(name)?);
        let carried = new.since(old)?;
        Some(Load {
            interface: name.clone(),
            received_bytes: carried.received_bytes,
            sent_bytes: carried.sent_bytes,
            received_packets: carried.received_packets,
            sent_packets: carried.sent_packets,
            link_bits_per_second: *speed,
        })
    };
    after.1.speeds.iter().filter_map(load).collect()
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use busyhour_model::BootMicros;

    use super::*;

    fn moment(start: Instant, seconds: u64, slept: u64) -> Moment {
        Moment {
            monotonic: start + Duration::from_secs(seconds),
            boot: BootMicros((1000 + seconds + slept) * 1_000_000),
            wall: UtcMicros::from_secs(1_800_000_000 + (seconds + slept).cast_signed()),
        }
    }

    fn sample(bytes: u64, used: &[&str]) -> Sample {
        let counters = |sent_bytes| Counters { sent_bytes, ..Counters::default() };
        Sample {
            counters: [("eth0".to_owned(), counters(bytes)), ("tun0".to_owned(), counters(7))]
                .into(),
            speeds: used.iter().map(|name| ((*name).to_owned(), Some(1_000_000_000))).collect(),
        }
    }

    #[test]
    fn an_interface_in_use_is_told_with_what_it_carried() {
        let start = Instant::now();
        let before = (moment(start, 0, 0), sample(100, &[]));
        let after = (moment(start, 60, 0), sample(350, &["eth0", "gone0"]));
        let [load] = loads(&before, &after).try_into().unwrap();
        assert_eq!((load.interface.as_str(), load.sent_bytes), ("eth0", 250));
        assert_eq!(load.link_bits_per_second, Some(1_000_000_000));
    }

    #[test]
    fn without_an_interface_in_use_another_says_that_the_machine_was_awake() {
        let counters = |names: &[&str]| -> BTreeMap<String, Counters> {
            names.iter().map(|name| ((*name).to_owned(), Counters::default())).collect()
        };
        let some = |name: &str| Some(name.to_owned());
        let table = [
            (vec!["wlan0"], vec!["eth0", "lo", "wlan0"], some("eth0"), "wlan0"),
            (vec![], vec!["eth0", "lo", "wlan0"], some("wlan0"), "wlan0"),
            (vec!["gone0"], vec!["eth0", "lo"], None, "eth0"),
            (vec![], vec!["lo", "zt0"], some("gone0"), "zt0"),
            (vec![], vec!["lo"], None, "lo"),
        ];
        for (used, present, default, expected) in table {
            let used: BTreeSet<String> = used.into_iter().map(str::to_owned).collect();
            let chosen = chosen(used, &counters(&present), || default);
            assert_eq!(chosen.into_iter().collect::<Vec<_>>(), [expected], "{present:?}");
        }
    }

    #[test]
    fn sleep_and_reset_counters_make_no_record() {
        let start = Instant::now();
        let before = (moment(start, 0, 0), sample(100, &["eth0"]));
        let slept = (moment(start, 60, 3600), sample(350, &["eth0"]));
        assert_eq!(loads(&before, &slept), []);
        let reset = (moment(start, 60, 0), sample(50, &["eth0"]));
        assert_eq!(loads(&before, &reset), []);
    }

    #[test]
    fn records_lie_on_the_minute_and_a_minute_that_is_about_to_begin_is_skipped() {
        let wait = |micros| until_minute(UtcMicros(micros));
        assert_eq!(wait(0), MINUTE);
        assert_eq!(wait(20_000_000), Duration::from_secs(40));
        assert_eq!(wait(59_999_000), Duration::from_micros(60_001_000));
        assert_eq!(wait(-20_000_000), Duration::from_secs(20));
    }
}
