//! Does what the collector tells: keeps it, tries it, and says what became of it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use busyhour_daemon::chain;
use busyhour_host::own_usage;
use busyhour_model::TrafficClass;
use busyhour_proto::v1;
use tokio::sync::watch;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use super::folder::{self, Folder};
use super::health::{Judgement, Seen, Watch};
use super::lease::Grants;
use super::phases::{Act, Named, Outcome, Stored, Verdict};
use super::sessions::Sessions;
use super::{Ends, Starter, check};
use crate::blocking::blocking;
use crate::clock::Moment;
use crate::config::{Resolved, Target};
use crate::uplink::View;

/// How often the agent is looked at during a trial; of a shorter one, ten times.
const LOOK: Duration = Duration::from_secs(5);
/// How often it is looked whether the collector has been silent for too long: how late calls end then.
const LOOK_AT_LEASE: Duration = Duration::from_secs(1);

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
    /// What the collector told since it was heard again.
    grants: Grants,
    /// Whether expedited traffic may be sent, as of the last look.
    may_call: bool,
    /// Calls that go on though it may not, as nothing comes back of them.
    goes_on: Vec<Target>,
    /// Calls that were ended for that, and since when there is nothing of them.
    yielded: Vec<(Target, Moment)>,
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
        Self {
            config,
            folder,
            ends,
            uplink,
            starter,
            stored,
            watch: None,
            unkept: None,
            grants: Grants::default(),
            may_call: false,
            goes_on: Vec::new(),
            yielded: Vec::new(),
        }
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
        let mut look_at_lease = tokio::time::interval(LOOK_AT_LEASE);
        look_at_lease.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            // All branches are cancel-safe.
            tokio::select! {
                biased;
                () = stop.cancelled() => break,
                () = sessions.ended() => {}
                Ok(()) = self.ends.told.changed() => self.hear(&mut sessions).await,
                () = switch.turned() => self.publish(),
                _ = look_at_lease.tick() => if self.is_to_yield_or_begin(&sessions) {
                    self.go_on(&mut sessions).await;
                },
                _ = look.tick(), if self.watch.is_some() => self.look(&mut sessions).await,
            }
        }
        sessions.finish().await;
    }

    /// Takes what the collector told.
    async fn hear(&mut self, sessions: &mut Sessions) {
        let Some((term, told)) = self.ends.told.borrow_and_update().clone() else { return };
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
        let Stored { committed, trial, .. } = &self.stored;
        let known = [committed.as_ref(), trial.as_ref().map(|trial| &trial.content)];
        let is_known = |edition| known.iter().flatten().any(|known| known.edition == edition);
        self.grants.told(term, told.edition, is_known);
        self.go_on(sessions).await;
    }

    /// Whether what runs may send expedited traffic now.
    fn may_call(&self) -> bool {
        let (lease, now) = (*self.ends.lease.borrow(), self.starter.clock.now().boot);
        self.stored.runs().is_some_and(|runs| self.grants.holds(runs.edition, &lease, now))
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
        self.set(sessions, targets).await;
    }

    /// Whether it is known now, or not any more, whose turn it is, or something comes back of what went on
    /// without.
    fn is_to_yield_or_begin(&self, sessions: &Sessions) -> bool {
        // Who rests sends nothing.
        self.starter.switch.pause().is_none()
            && (self.may_call() != self.may_call
                || self.goes_on.iter().any(|target| !sessions.is_unanswered(target)))
    }

    /// Has these targets probed. Calls whose turn is not known are begun by nobody, and end as soon as
    /// anything comes back of them: as long as nothing does there is an outage, which is to be seen.
    async fn set(&mut self, sessions: &mut Sessions, mut targets: Vec<Target>) {
        let (all, now) = (targets.len(), self.starter.clock.now());
        self.may_call = self.may_call();
        self.yielded.retain(|(target, _)| targets.contains(target));
        let (may_call, yielded) = (self.may_call, &mut self.yielded);
        targets.retain(|target| {
            let goes_on =
                may_call || target.class() != TrafficClass::Audio || sessions.is_unanswered(target);
            if !goes_on && !yielded.iter().any(|(one, _)| one == target) {
                yielded.push((target.clone(), now));
            }
            goes_on
        });
        let is_call = |target: &&Target| !may_call && target.class() == TrafficClass::Audio;
        self.goes_on = targets.iter().filter(is_call).cloned().collect();
        let withheld = all - targets.len();
        if withheld > self.starter.board.withheld() {
            tracing::info!(
                targets = withheld,
                "no expedited traffic before the collector tells whose turn it is"
            );
        }
        self.starter.board.withhold(withheld);
        sessions.set(&targets, &self.yielded).await;
        self.yielded.retain(|(target, _)| !targets.contains(target));
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
            targets: numbers.len() + self.starter.board.withheld(),
            withheld: self.starter.board.withheld(),
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

#[cfg(test)]
mod tests {
    use std::net::{SocketAddr, UdpSocket};
    use std::path::Path;

    use busyhour_model::{AgentId, Body, BootId, BootMicros, ClockQuality, GapReason};
    use testkit::wait_until;

    use super::*;
    use crate::clock::Clock;
    use crate::config::RawConfig;
    use crate::load::Links;
    use crate::pause::Switch;
    use crate::prober::ProberThread;
    use crate::reflector::Responder;
    use crate::remote::{Line, line};
    use crate::resolve::Resolver;
    use crate::session::Board;
    use crate::spool::{Observed, Recorder};

    const BOUND: Duration = Duration::from_secs(60);

    /// A call to this machine, and traffic beside it that is not expedited.
    fn configuration(edition: u64, port: u16) -> v1::Configuration {
        let target = |profile: &str| v1::ConfiguredTarget {
            name: format!("127.0.0.1:{port}"),
            profile: profile.to_owned(),
            window_ms: 200,
            period_ms: 1_000,
            phase_ms: None,
        };
        let targets = vec![target("audio-50"), target("best-effort-50")];
        v1::Configuration { revision: 1, edition, targets }
    }

    fn config(folder: &Path) -> Arc<Resolved> {
        let text = format!(
            "[agent]\ndata_dir = {:?}\n[reflector]\nlisten = [\"127.0.0.1:0\"]\n\
             [allow]\nspecial = [\"127.0.0.0/8\"]\n",
            folder.join("data")
        );
        let file = folder.join("agent.toml");
        std::fs::write(&file, text).unwrap();
        let raw: RawConfig = busyhour_daemon::load(Some(&file), &[]).unwrap();
        Arc::new(raw.resolve().unwrap())
    }

    /// What runs by these files, with what the collector hears and is told, and what is probed.
    struct Running {
        line: Line,
        board: Board,
        collected: Box<dyn FnMut() -> Vec<Observed>>,
        stop: CancellationToken,
        task: tokio::task::JoinHandle<()>,
        _uplink: watch::Sender<View>,
    }

    impl Running {
        fn start(folder: &Path, clock: Clock, prober: &ProberThread) -> Self {
            let (board, (line, ends), config) = (Board::default(), line(), config(folder));
            let (recorder, collected) = Recorder::collecting();
            let starter = Starter {
                agent: AgentId::from_u128(1),
                resolver: Resolver::new(config.allow.clone()),
                clock,
                links: Links::default(),
                board: board.clone(),
                recorder,
                prober: prober.prober(),
                switch: Switch::on(),
            };
            let (uplink, view) = watch::channel(View::new(None));
            let stop = CancellationToken::new();
            let remote = Remote::new(config, ends, view, starter);
            let task = tokio::spawn(remote.run(stop.clone()));
            Self { line, board, collected: Box::new(collected), stop, task, _uplink: uplink }
        }

        /// How many windows of its call were closed, and whether anything came back of the last.
        fn call(&self) -> Option<(u64, bool)> {
            let mut views = self.board.views().into_iter();
            let view = views.find(|view| view.target.class() == TrafficClass::Audio)?;
            Some((view.windows, view.last?.received > 0))
        }

        /// Waits until what is probed is of these classes.
        fn wait_for(&self, what: &str, expected: &[TrafficClass]) {
            let withheld = 2 - expected.len();
            wait_until(what, BOUND, || {
                let classes = self.board.views().into_iter().map(|view| view.target.class());
                let mut classes: Vec<TrafficClass> = classes.collect();
                classes.sort_unstable();
                (classes == expected && self.board.withheld() == withheld).then_some(())
            });
        }

        async fn end(mut self) -> Vec<Observed> {
            self.stop.cancel();
            self.task.await.unwrap();
            (self.collected)()
        }
    }

    /// Answers probes at an address until it is told to stop.
    fn answer(
        listen: SocketAddr,
        folder: &Path,
    ) -> (SocketAddr, CancellationToken, tokio::task::JoinHandle<()>) {
        let responder = Responder::bind(listen, &config(folder).reflector).unwrap();
        let (address, stop) = (responder.address(), CancellationToken::new());
        let quality = watch::channel(ClockQuality { synchronized: true, error_us: 1 }).1;
        let task = tokio::spawn(responder.start(quality, None).unwrap().run(stop.clone()));
        (address, stop, task)
    }

    const ALL: [TrafficClass; 2] = [TrafficClass::Audio, TrafficClass::BestEffort];
    const SOME: [TrafficClass; 1] = [TrafficClass::BestEffort];
    const HOUR_US: u64 = 3_600_000_000;

    #[tokio::test(flavor = "multi_thread", worker_threads = 1)]
    async fn no_call_is_begun_before_the_collector_told_it_and_none_goes_on_without_a_lease() {
        let folder = tempfile::tempdir().unwrap();
        let (there, silent, answering) = answer("127.0.0.1:0".parse().unwrap(), folder.path());
        let clock = Clock::with_boot(BootId::from_u128(7));
        let prober = ProberThread::start().unwrap();
        let now = || clock.now().boot;

        let first = Running::start(folder.path(), clock, &prober);
        first.line.tell(configuration(1, there.port()));
        first.wait_for("what is told by who was not heard", &SOME);
        first.line.renew(now(), now());
        first.line.tell(configuration(1, there.port()));
        first.wait_for("what is told", &ALL);
        first.end().await;

        // It begins again, and knows what it ran.
        let next = Running::start(folder.path(), clock, &prober);
        next.wait_for("what is on the disk", &SOME);
        next.line.renew(now(), now());
        next.line.tell(configuration(1, there.port()));
        next.wait_for("what is told again", &ALL);
        wait_until("an answer", BOUND, || next.call().filter(|(_, answered)| *answered));
        // As if nothing had been heard for an hour before this answer.
        next.line.renew(now(), BootMicros(now().0 + HOUR_US));
        next.wait_for("what goes on", &SOME);
        let ended = clock.now().monotonic;
        wait_until("some windows", BOUND, || (ended.elapsed().as_millis() > 2_500).then_some(()));
        next.line.tell(configuration(1, there.port()));
        next.wait_for("what is told since", &ALL);
        wait_until("an answer", BOUND, || next.call().filter(|(_, answered)| *answered));
        let records = next.end().await;
        let is_gap = |one: &Observed| match &one.record.body {
            Body::Gap(gap) => gap.reason == GapReason::NotRunning && gap.path.is_some(),
            _ => false,
        };
        assert!(records.iter().any(is_gap), "what was not sent is a gap");
        silent.cancel();
        answering.await.unwrap();
        assert!(prober.stop());
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 1)]
    async fn during_an_outage_a_call_goes_on_without_a_lease_until_something_comes_back() {
        let folder = tempfile::tempdir().unwrap();
        let silent = UdpSocket::bind("127.0.0.1:0").unwrap();
        let there = silent.local_addr().unwrap();
        let clock = Clock::with_boot(BootId::from_u128(7));
        let prober = ProberThread::start().unwrap();
        let now = || clock.now().boot;
        let running = Running::start(folder.path(), clock, &prober);
        running.line.renew(now(), now());
        running.line.tell(configuration(1, there.port()));
        let lost = || running.call().filter(|(_, answered)| !answered);
        let (before, _) = wait_until("a lost window", BOUND, lost);
        running.line.renew(now(), BootMicros(now().0 + HOUR_US));
        let more = || running.call().filter(|(windows, _)| *windows > before + 3);
        wait_until("what is lost of it meanwhile", BOUND, more);
        running.wait_for("all as before", &ALL);
        drop(silent);
        let (_, stop, answering) = answer(there, folder.path());
        running.wait_for("what goes on after an answer", &SOME);
        running.end().await;
        stop.cancel();
        answering.await.unwrap();
        assert!(prober.stop());
    }
}
