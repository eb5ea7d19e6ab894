//! Does what the collector tells: keeps it, tries it, and says what became of it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use busyhour_daemon::chain;
use busyhour_host::own_usage;
use busyhour_proto::v1;
use tokio::sync::watch;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use super::folder::{self, Folder};
use super::health::{Judgement, Seen, Watch};
use super::phases::{Act, Named, Outcome, Stored, Verdict};
use super::sessions::Sessions;
use super::{Ends, Starter, check};
use crate::blocking::blocking;
use crate::config::{Resolved, Target};
use crate::uplink::View;

/// How often the agent is looked at during a trial; of a shorter one, ten times.
const LOOK: Duration = Duration::from_secs(5);

impl Named for v1::Configuration {
    fn revision(&self) -> u32 {
        self.revision
    }

    fn edition(&self) -> u64 {
        self.edition
    }

    fn is_empty(&self) -> bool {
        self.targets.is_empty()
    }
}

/// Has measured what the collector wants measured.
pub(crate) struct Remote {
    config: Arc<Resolved>,
    folder: Folder,
    ends: Ends,
    uplink: watch::Receiver<View>,
    starter: Starter,
    stored: Stored<v1::Configuration>,
    /// The edition that is on trial, and how the agent does on it.
    watch: Option<(u64, Watch)>,
    /// What was told last and could not be kept, and why: known until something is kept again.
    unkept: Option<Verdict>,
}

impl Remote {
    pub(crate) fn new(
        config: Arc<Resolved>,
        ends: Ends,
        uplink: watch::Receiver<View>,
        starter: Starter,
    ) -> Self {
        let folder = Folder::of(&config.data_dir);
        let stored = Stored::default();
        Self { config, folder, ends, uplink, starter, stored, watch: None, unkept: None }
    }

    /// Runs until `stop`.
    pub(crate) async fn run(mut self, stop: CancellationToken) {
        let mut sessions = Sessions::new(self.starter.clone(), stop.clone());
        let folder = self.folder.clone();
        self.stored = blocking(move || folder.read()).await;
        let mut switch = self.starter.switch.clone();
        let mut begun = self.stored.started();
        if switch.pause().is_some() {
            // Nothing is tried meanwhile: this start counts for nothing.
            begun.retain(|act| !matches!(act, Act::KeepTrial(_)));
        }
        // What could not be done is logged; it is tried again at the next start.
        let _ = self.act(begun).await;
        if let Some(trial) = &self.stored.trial {
            let (revision, starts) = (trial.content.revision, trial.starts);
            tracing::info!(revision, starts, "a configuration goes on on trial");
        }
        self.go_on(&mut sessions).await;
        let every = LOOK.min(self.config.remote.trial / 10).max(Duration::from_millis(10));
        let mut look = tokio::time::interval(every);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            // All branches are cancel-safe.
            tokio::select! {
                biased;
                () = stop.cancelled() => break,
                () = sessions.ended() => {}
                Ok(()) = self.ends.told.changed() => self.hear(&mut sessions).await,
                () = switch.turned() => self.publish(),
                _ = look.tick(), if self.watch.is_some() => self.look(&mut sessions).await,
            }
        }
        sessions.finish().await;
    }

    /// Takes what the collector told.
    async fn hear(&mut self, sessions: &mut Sessions) {
        let Some(told) = self.ends.told.borrow_and_update().clone() else { return };
        let (revision, targets) = (told.revision, told.targets.len());
        let acts = if self.stored.is_news(&told) {
            match check::targets(&self.config, &told) {
                Ok(_) => {
                    tracing::info!(revision, targets, "the collector asks for a configuration");
                    self.stored.told(&told)
                }
                Err(reason) => {
                    tracing::warn!(revision, reason, "a configuration is refused");
                    self.stored.refused(&told, &reason)
                }
            }
        } else {
            self.stored.confirmed(&told)
        };
        let kept = self.act(acts).await;
        let runs = self.stored.runs().is_some_and(|runs| runs.edition == told.edition);
        self.unkept = kept
            .err()
            .filter(|_| !runs)
            .map(|reason| Verdict::new(told.revision, told.edition, Outcome::Refused, &reason));
        self.go_on(sessions).await;
    }

    /// Has probed what is to run now, and says so. What the machine's own file does not allow (any more)
    /// does not run.
    async fn go_on(&mut self, sessions: &mut Sessions) {
        let targets = loop {
            let Some(runs) = self.stored.runs() else { break Vec::new() };
            match check::targets(&self.config, runs) {
                Ok(targets) => break targets,
                Err(reason) => {
                    tracing::warn!(reason, "a configuration is not allowed here any more");
                    let acts = if self.stored.trial.is_some() {
                        self.stored.given_up(&reason)
                    } else {
                        self.stored.disallowed(&reason)
                    };
                    if self.act(acts).await.is_err() {
                        break Vec::new();
                    }
                }
            }
        };
        self.set(sessions, &targets).await;
    }

    async fn set(&mut self, sessions: &mut Sessions, targets: &[Target]) {
        sessions.set(targets).await;
        let trial = self.stored.trial.as_ref().map(|trial| trial.content.edition);
        if trial != self.watch.map(|(edition, _)| edition) {
            let (length, cpu) = (self.config.remote.trial, own_usage().ok().map(|usage| usage.cpu));
            self.watch = trial.map(|edition| (edition, Watch::new(Instant::now(), length, cpu)));
        }
        self.publish();
    }

    /// Looks how the agent does.
    async fn look(&mut self, sessions: &mut Sessions) {
        let seen = self.seen(sessions);
        let Some((_, watch)) = &mut self.watch else { return };
        let acts = match watch.look(Instant::now(), &seen) {
            Judgement::Wait => return,
            Judgement::Well => {
                tracing::info!("the configuration proved itself");
                self.stored.proved()
            }
            Judgement::Ill(reason) => {
                tracing::warn!(reason, "the configuration is given up");
                self.stored.given_up(&reason)
            }
        };
        // What could not be done is logged, and looked at again.
        let _ = self.act(acts).await;
        self.go_on(sessions).await;
    }

    fn seen(&self, sessions: &Sessions) -> Seen {
        let usage = own_usage().ok();
        let numbers = sessions.numbers();
        let probed = numbers.iter().filter(|number| self.starter.board.has_probed(**number));
        Seen {
            delivering: self.uplink.borrow().delivers(),
            cpu: usage.map(|usage| usage.cpu),
            resident_bytes: usage.map(|usage| usage.resident_bytes),
            targets: numbers.len(),
            probed: probed.count(),
            paused: self.starter.switch.pause().is_some(),
        }
    }

    /// Changes the files, then what is known of them; says why when a file cannot be changed. Then nothing
    /// of the rest is done, and what runs goes on.
    async fn act(&mut self, acts: Vec<Act<v1::Configuration>>) -> Result<(), String> {
        for act in acts {
            let (folder, done) = (self.folder.clone(), act.clone());
            if let Err(error) = blocking(move || folder.apply(&done)).await {
                tracing::error!(error = %chain(&error), "what the collector told cannot be kept");
                return Err(format!("it cannot be kept: {}", chain(&error)));
            }
            self.stored.apply(act);
        }
        Ok(())
    }

    /// Says what runs, and what became of the last that was told.
    fn publish(&self) {
        let stored = &self.stored;
        let report = match (&self.unkept, &stored.trial, &stored.verdict, &stored.committed) {
            (Some(unkept), ..) => folder::report(unkept),
            (None, Some(trial), ..) => told(&trial.content, v1::ConfigurationState::Trial),
            (None, None, Some(verdict), _) => folder::report(verdict),
            (None, None, None, Some(committed)) => {
                told(committed, v1::ConfigurationState::Committed)
            }
            (None, None, None, None) => v1::ConfigurationReport {
                state: v1::ConfigurationState::Nothing.into(),
                ..v1::ConfigurationReport::default()
            },
        };
        let (revision, edition) =
            stored.runs().map(|runs| (runs.revision, runs.edition)).unwrap_or_default();
        self.ends.report.send_replace(Some(v1::ConfigurationReport {
            revision,
            edition,
            good_edition: stored.committed.as_ref().map_or(0, |good| good.edition),
            paused: self.starter.switch.pause().is_some(),
            ..report
        }));
    }
}

fn told(
    configuration: &v1::Configuration,
    state: v1::ConfigurationState,
) -> v1::ConfigurationReport {
    v1::ConfigurationReport {
        told_revision: configuration.revision,
        told_edition: configuration.edition,
        state: state.into(),
        ..v1::ConfigurationReport::default()
    }
}
