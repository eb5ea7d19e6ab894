//! Notes where agents were seen, many in one transaction: 2,000 agents that come back together are a
//! few commits, not 2,000.

use std::sync::Arc;

use busyhour_model::AgentId;
use busyhour_store::{Control, Sighting};
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

/// Sightings that wait, of all agents: as many as there may be sessions.
pub(crate) const MAX_WAITING: usize = 20_000;
/// Sightings in one transaction, which others that write wait for.
const MAX_TOGETHER: usize = 512;

/// An agent that was seen, and who wants to know whether it is still let in.
#[derive(Debug)]
pub(crate) struct Seen {
    pub(crate) agent: AgentId,
    pub(crate) sighting: Sighting,
    pub(crate) let_in: oneshot::Sender<bool>,
}

/// Notes what comes until `shutdown`. It is for people to see: when it fails, delivery goes on, and
/// nobody is told whether the agent is let in.
pub(crate) async fn note(
    control: Arc<dyn Control>,
    mut seen: mpsc::Receiver<Seen>,
    shutdown: CancellationToken,
) {
    loop {
        let mut together = Vec::new();
        // Both branches are cancel-safe.
        let came = tokio::select! {
            biased;
            () = shutdown.cancelled() => return,
            came = seen.recv_many(&mut together, MAX_TOGETHER) => came,
        };
        if came == 0 {
            return;
        }
        let sightings: Vec<(AgentId, Sighting)> =
            together.iter().map(|seen| (seen.agent, seen.sighting.clone())).collect();
        let control = Arc::clone(&control);
        match tokio::task::spawn_blocking(move || control.saw_agents(&sightings)).await {
            Ok(Ok(known)) => {
                for (seen, known) in together.into_iter().zip(known) {
                    // A session that ended meanwhile does not want to know.
                    let _ = seen.let_in.send(known);
                }
            }
            Ok(Err(error)) => {
                tracing::warn!(agents = came, %error, "what was seen of agents cannot be noted");
            }
            Err(error) => tracing::error!(%error, "noting what was seen of agents ended early"),
        }
    }
}
