//! Looks at the switch and at the machine, tells everybody who measures, and records the gap.

use std::path::PathBuf;
use std::time::Duration;

use busyhour_model::{GapReason, UtcMicros};
use tokio::sync::watch;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use super::{Pause, Why, machine, read};
use crate::blocking::blocking;
use crate::clock::{Clock, Moment};
use crate::config::{PauseSettings, schedule_of};
use crate::gap::Span;
use crate::spool::{Observed, Recorder};

/// How often the file is looked at: how late a wish is honoured.
const LOOK: Duration = Duration::from_secs(1);
/// How many looks at the file there are for one at the machine: some batteries are slow to tell.
const LOOKS_A_MACHINE: u32 = 10;
/// How often the collector is told of a pause that lasts: as often as of the machine's load, and what
/// gaps of the whole agent run under.
const MINUTE: Duration = Duration::from_secs(60);

/// Runs beside everything that measures.
#[derive(Debug)]
pub(crate) struct Keeper {
    pub(crate) folder: PathBuf,
    pub(crate) settings: PauseSettings,
    pub(crate) clock: Clock,
    /// Of an agent that keeps what it observes.
    pub(crate) recorder: Option<Recorder>,
    /// Holds what was found before anything began.
    pub(crate) publish: watch::Sender<Option<Pause>>,
}

/// A pause of which the collector was not told yet: since when, and why.
type Untold = Option<(Moment, GapReason)>;

impl Keeper {
    /// Runs until `stop`.
    pub(crate) async fn run(self, stop: CancellationToken) {
        let mut look = tokio::time::interval(LOOK);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let (mut untold, mut wants, mut looks): (Untold, Option<Why>, u32) = (None, None, 0);
        loop {
            // Both branches are cancel-safe.
            tokio::select! {
                biased;
                () = stop.cancelled() => break,
                _ = look.tick() => {}
            }
            let folder = self.folder.clone();
            let asks = looks.is_multiple_of(LOOKS_A_MACHINE).then(|| self.settings.clone());
            looks = looks.wrapping_add(1);
            let found = blocking(move || (read(&folder), asks.map(|asks| machine::wants(&asks))));
            let (asked, machine) = found.await;
            wants = machine.unwrap_or(wants);
            let now = self.clock.now();
            let pause = self.of(asked, wants, now.wall);
            self.turn(pause);
            untold = self.tell(untold, pause.map(|pause| pause.why.reason()), now);
        }
        self.tell(untold, None, self.clock.now());
    }

    /// The pause that holds now: the owner's before the machine's, which goes on since it began.
    fn of(&self, asked: Option<Pause>, wants: Option<Why>, now: UtcMicros) -> Option<Pause> {
        let asked = asked.filter(|pause| !pause.is_over(now));
        let of_machine = || {
            let known = self.publish.borrow().filter(|pause| Some(pause.why) == wants);
            known.or_else(|| wants.map(|why| Pause::of_machine(why, now)))
        };
        asked.or_else(of_machine)
    }

    /// Tells of another wish than before.
    fn turn(&self, pause: Option<Pause>) {
        let turned = self.publish.send_if_modified(|known| {
            let other = *known != pause;
            *known = pause;
            other
        });
        match (turned, pause) {
            (true, Some(pause)) => {
                tracing::info!(reason = pause.why.reason().words(), "measuring is paused");
            }
            (true, None) => tracing::info!("measuring goes on"),
            (false, _) => {}
        }
    }

    /// Records the pause since `untold` when it is over, has another reason now, or has lasted long enough
    /// to be told of. What there is to be told of then.
    fn tell(&self, untold: Untold, paused: Option<GapReason>, now: Moment) -> Untold {
        let goes_on = paused.map(|reason| (now, reason));
        let Some((from, reason)) = untold else { return goes_on };
        let length = now.monotonic.saturating_duration_since(from.monotonic);
        if paused == Some(reason) && length < MINUTE {
            return untold;
        }
        let schedule = schedule_of(MINUTE);
        let length = Duration::from_micros(now.boot.0.saturating_sub(from.boot.0));
        let span = Span { reason, started: from.wall, started_boot: from.boot, length };
        if let Some(recorder) = &self.recorder {
            for record in span.records(&self.clock, schedule, None, None) {
                recorder.record(Observed { record, schedule });
            }
        }
        goes_on
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use GapReason::{Metered, OnBattery, Paused};
    use busyhour_model::{Body, BootId, BootMicros};

    use super::*;

    fn keeper(recorder: Option<Recorder>) -> Keeper {
        Keeper {
            folder: PathBuf::new(),
            settings: PauseSettings::default(),
            clock: Clock::with_boot(BootId::from_u128(7)),
            recorder,
            publish: watch::channel(None).0,
        }
    }

    #[test]
    fn a_pause_is_told_of_every_minute_and_at_its_end_without_holes() {
        let (recorder, mut collected) = Recorder::collecting();
        let keeper = keeper(Some(recorder));
        let begun = Instant::now();
        let at = |second: u64| Moment {
            monotonic: begun + Duration::from_secs(second),
            wall: UtcMicros::from_secs(1_800_000_000 + second.cast_signed()),
            boot: BootMicros((500 + second) * 1_000_000),
        };
        let mut untold = keeper.tell(None, None, at(0));
        for second in 1..=150 {
            let paused = match second {
                10..145 => Some(Paused),
                145 | 146 => Some(OnBattery),
                149 => Some(Metered),
                _ => None,
            };
            untold = keeper.tell(untold, paused, at(second));
        }
        assert!(untold.is_none());
        let mut told = Vec::new();
        for observed in collected() {
            let Body::Gap(gap) = observed.record.body else { panic!("a gap") };
            assert_eq!(gap.path, None);
            let stamp = observed.record.stamp;
            let from_s = stamp.started.since(at(0).wall) / 1_000_000;
            told.push((gap.reason, from_s, stamp.duration_us() / 1_000_000));
        }
        let expected = [
            (Paused, 10, 60),
            (Paused, 70, 60),
            (Paused, 130, 15),
            (OnBattery, 145, 2),
            (Metered, 149, 1),
        ];
        assert_eq!(told, expected);
    }

    #[test]
    fn the_owners_wish_goes_before_the_machines_which_lasts_since_it_began() {
        let keeper = keeper(None);
        let at = UtcMicros::from_secs;
        let owners = Pause { why: Why::Owner, since: None, until: Some(at(100)) };
        let pause = |asked, wants, now| {
            let pause = keeper.of(asked, wants, at(now));
            keeper.turn(pause);
            pause
        };
        assert_eq!(pause(None, None, 1), None);
        let battery = Some(Pause::of_machine(Why::Battery, at(2)));
        assert_eq!(pause(None, Some(Why::Battery), 2), battery);
        assert_eq!(pause(None, Some(Why::Battery), 3), battery);
        assert_eq!(pause(Some(owners), Some(Why::Battery), 4), Some(owners));
        let metered = Some(Pause::of_machine(Why::Metered, at(100)));
        assert_eq!(pause(Some(owners), Some(Why::Metered), 100), metered);
        assert_eq!(pause(Some(owners), None, 101), None);
    }
}
