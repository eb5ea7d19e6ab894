//! The sessions of a configuration: begun and ended as it changes.

use std::collections::BTreeMap;

use busyhour_model::AgentId;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::clock::{Clock, Moment};
use crate::config::Target;
use crate::load::Links;
use crate::pause::Switch;
use crate::prober::Prober;
use crate::resolve::Resolver;
use crate::session::{Addresses, Board, PACE, Session, watch_name};
use crate::spool::Recorder;

/// The numbers of these sessions begin above those of the machine's own file.
const FIRST_NUMBER: usize = 1_000;

/// What a session is made of, its target aside.
#[derive(Debug, Clone)]
pub(crate) struct Starter {
    pub(crate) agent: AgentId,
    pub(crate) resolver: Resolver,
    pub(crate) clock: Clock,
    pub(crate) links: Links,
    pub(crate) board: Board,
    pub(crate) recorder: Recorder,
    pub(crate) prober: Prober,
    pub(crate) switch: Switch,
}

impl Starter {
    /// A session that was not begun yet.
    pub(crate) fn session(
        &self,
        number: usize,
        target: &Target,
        addresses: watch::Receiver<Addresses>,
    ) -> Session {
        Session {
            number,
            agent: self.agent,
            target: target.clone(),
            addresses,
            clock: self.clock,
            links: self.links.clone(),
            board: self.board.clone(),
            recorder: self.recorder.clone(),
            prober: self.prober.clone(),
            switch: self.switch.clone(),
            since: None,
        }
    }

    /// What keeps the addresses of a host up to date, and where they are published.
    pub(crate) fn watch(
        &self,
        host: &str,
        stop: CancellationToken,
    ) -> (impl Future<Output = ()> + Send + use<>, watch::Receiver<Addresses>) {
        let (publish, addresses) = watch::channel(Vec::new());
        let (host, resolver, switch) =
            (host.to_owned(), self.resolver.clone(), self.switch.clone());
        (watch_name(host, resolver, PACE, publish, switch, stop), addresses)
    }
}

/// A session that runs.
#[derive(Debug)]
struct Running {
    target: Target,
    stop: CancellationToken,
}

/// All sessions of the configuration that runs; as many as it may have targets.
#[derive(Debug)]
pub(super) struct Sessions {
    starter: Starter,
    running: BTreeMap<usize, Running>,
    tasks: JoinSet<usize>,
    stop: CancellationToken,
}

impl Sessions {
    pub(super) fn new(starter: Starter, stop: CancellationToken) -> Self {
        Self { starter, running: BTreeMap::new(), tasks: JoinSet::new(), stop }
    }

    /// Has these targets probed and no others. Sessions whose target is the same go on; those that end
    /// have ended, with what they had to say, before others begin; of those that were `yielded` there is
    /// nothing since then.
    pub(super) async fn set(&mut self, targets: &[Target], yielded: &[(Target, Moment)]) {
        let mut ending: Vec<usize> = Vec::new();
        for (number, running) in &self.running {
            if !targets.contains(&running.target) {
                running.stop.cancel();
                ending.push(*number);
            }
        }
        while ending.iter().any(|number| self.running.contains_key(number)) {
            self.ended().await;
        }
        for target in targets {
            if !self.running.values().any(|running| running.target == *target) {
                let since = yielded.iter().find(|(one, _)| one == target).map(|(_, since)| *since);
                self.begin(target.clone(), since);
            }
        }
    }

    /// Waits until all have ended; they were told to.
    pub(super) async fn finish(&mut self) {
        while !self.running.is_empty() {
            self.ended().await;
        }
    }

    /// Waits until one ends, for ever when there is none. Safe to drop. What panics in one of them panics
    /// here: nothing stops in silence.
    pub(super) async fn ended(&mut self) {
        match self.tasks.join_next().await {
            None => std::future::pending().await,
            Some(Ok(number)) => {
                self.running.remove(&number);
                self.starter.board.leave(number);
                self.starter.links.leave(number);
            }
            Some(Err(error)) => {
                if let Ok(panic) = error.try_into_panic() {
                    std::panic::resume_unwind(panic);
                }
            }
        }
    }

    fn begin(&mut self, target: Target, since: Option<Moment>) {
        let taken = |number: &usize| self.running.contains_key(number);
        let Some(number) = (FIRST_NUMBER..).find(|number| !taken(number)) else { return };
        let stop = self.stop.child_token();
        let (watching, addresses) = self.starter.watch(&target.host, stop.clone());
        let mut session = self.starter.session(number, &target, addresses);
        session.since = since;
        let session = session.run(stop.clone());
        self.running.insert(number, Running { target, stop });
        self.tasks.spawn(async move {
            tokio::join!(watching, session);
            number
        });
    }

    /// True of a target that is probed, and of whose last window nothing came back.
    pub(super) fn is_unanswered(&self, target: &Target) -> bool {
        let mut running = self.running.iter().filter(|(_, running)| running.target == *target);
        running.any(|(number, _)| self.starter.board.is_unanswered(*number))
    }

    /// The numbers of those that run.
    pub(super) fn numbers(&self) -> Vec<usize> {
        self.running.keys().copied().collect()
    }
}
