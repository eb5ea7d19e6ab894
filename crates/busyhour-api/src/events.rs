//! What changes, as it happens: server-sent events for pages and programs that are open.
//!
//! One task looks at the store while anybody listens, tells apart what changed since it looked last, and keeps
//! the last changes for those who come back. An event says that something changed and what it is, never what
//! it measured: whoever wants to know reads it, as they may see it. Everything is bounded: listeners, how
//! many of them are one person's, the changes that are kept, the time that a slow reader is waited for.

mod hub;

use std::convert::Infallible;
use std::time::Duration;

use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use axum::response::sse::{Event, Sse};
use busyhour_store::Reach;
use serde_json::json;
use tokio::sync::{mpsc, watch};
use tokio::time::timeout;
use tokio_stream::wrappers::ReceiverStream;

pub(crate) use hub::{Change, Hub, Listener};

use crate::app::{App, Core};
use crate::guard::{Principal, Who};
use crate::operation::{Events, Typed};
use crate::problem::Problem;
use crate::signin::credential::Credential;

/// A comment each so often tells both ends that the other is there.
const HEARTBEAT: Duration = Duration::from_secs(15);
/// Who takes nothing for so long is gone.
const TAKEN_WITHIN: Duration = Duration::from_secs(30);
/// Events on their way to one listener.
const ON_THEIR_WAY: usize = 16;
/// A browser that lost the connection comes back after so many milliseconds.
const COME_BACK: Duration = Duration::from_secs(3);
const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");

/// That the server is stopping: what has no end of its own ends.
#[derive(Debug, Clone)]
pub(crate) struct Closing(pub(crate) watch::Receiver<bool>);

/// Where a listener was: which life of the collector, and how many changes of it.
fn place(id: &str) -> Option<(u64, u64)> {
    let (life, number) = id.split_once('-')?;
    Some((u64::from_str_radix(life, 16).ok()?, number.parse().ok()?))
}

/// Who listens, and what proves who it is.
struct Ear {
    core: Core,
    principal: Principal,
    credential: Credential,
    listener: Listener,
    sender: mpsc::Sender<Result<Event, Infallible>>,
}

impl Ear {
    /// Sees an event: all that it tells of lies in the reach.
    fn sees(&self, change: &Change) -> bool {
        match self.principal.grant.reach() {
            Reach::All => true,
            reach @ Reach::Only(_) => match &change.buildings {
                None => true,
                Some(buildings) => {
                    !buildings.is_empty() && buildings.iter().all(|id| reach.has(*id))
                }
            },
        }
    }

    /// Still is who it was, with the same rights.
    async fn may(&self) -> bool {
        match self.principal.who {
            Who::LocalOperator => matches!(self.core.has_administrator().await, Ok(false)),
            Who::User(..) | Who::ApiToken(_) => match self.credential.still(&self.core).await {
                Ok(found) => found.is_some_and(|found| found.grant == self.principal.grant),
                // The store is busy: it is asked again.
                Err(_) => true,
            },
        }
    }

    async fn say(&self, event: Event) -> bool {
        matches!(timeout(TAKEN_WITHIN, self.sender.send(Ok(event))).await, Ok(Ok(())))
    }

    /// What it missed since it was there last, or that it missed more than is known.
    async fn begin(&mut self, last: Option<(u64, u64)>) -> bool {
        let life = self.listener.life();
        let kind = match last {
            None => "ready",
            Some((of, number)) if of == life && self.listener.go_back(number) => "back",
            Some(_) => "reset",
        };
        let id = format!("{life:x}-{}", self.listener.number());
        let data = json!({ "kind": kind }).to_string();
        self.say(Event::default().retry(COME_BACK).event(kind).id(id).data(data)).await
    }

    /// Tells what is new.
    async fn catch_up(&mut self) -> bool {
        let life = self.listener.life();
        let Some(changes) = self.listener.take() else {
            let id = format!("{life:x}-{}", self.listener.number());
            let data = json!({ "kind": "reset" }).to_string();
            return self.say(Event::default().event("reset").id(id).data(data)).await;
        };
        for (number, change) in changes {
            if !self.sees(&change) {
                continue;
            }
            let event = Event::default().event(change.kind).id(format!("{life:x}-{number}"));
            if !self.say(event.data(change.data.clone())).await {
                return false;
            }
        }
        true
    }

    async fn listen(mut self, last: Option<(u64, u64)>, mut closing: Option<Closing>) {
        if !self.begin(last).await || !self.catch_up().await {
            return;
        }
        let mut heartbeat = tokio::time::interval(HEARTBEAT);
        heartbeat.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        heartbeat.tick().await;
        loop {
            let stops = async {
                match &mut closing {
                    Some(Closing(closing)) => drop(closing.wait_for(|closing| *closing).await),
                    None => std::future::pending().await,
                }
            };
            // All branches are cancel-safe.
            let goes_on = tokio::select! {
                biased;
                () = stops => return,
                () = self.sender.closed() => return,
                changed = self.listener.changed() => changed && self.catch_up().await,
                _ = heartbeat.tick() => {
                    self.may().await && self.say(Event::default().comment("here")).await
                }
            };
            if !goes_on {
                return;
            }
        }
    }
}

/// What changes, as it happens. Events `incident`, `agent` and `verdicts` tell what changed; `ready` begins a
/// stream, `back` one that goes on behind `Last-Event-ID`, and `reset` says that more was missed than is
/// known: read everything again.
pub(crate) async fn stream(
    app: App,
    closing: Option<axum::Extension<Closing>>,
    headers: HeaderMap,
) -> Result<Typed<Events>, Problem> {
    let (core, principal) = (app.core().clone(), app.principal().clone());
    let listener = core.hub().listen(&core, &principal.name())?;
    let last = headers.get(LAST_EVENT_ID).and_then(|id| id.to_str().ok()).and_then(place);
    let credential = Credential::of(&headers, core.door());
    let (sender, receiver) = mpsc::channel(ON_THEIR_WAY);
    let ear = Ear { core, principal, credential, listener, sender };
    // Ends when the other end is gone, when the rights end, and when the server stops.
    let closing = closing.map(|axum::Extension(closing)| closing);
    tokio::spawn(ear.listen(last, closing));
    let buffered = (HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no"));
    let plain = (header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(Typed::new(([buffered, plain], Sse::new(ReceiverStream::new(receiver)))))
}
