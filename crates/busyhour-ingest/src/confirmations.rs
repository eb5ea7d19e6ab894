//! Notes that agents kept what they are to say next time, many in one transaction: sessions that begin
//! together, however many, cost a few writes.

use std::sync::Arc;

use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use crate::{AgentPrincipal, Authenticator};

/// Confirmations that wait, of all agents; a session whose confirmation finds no place waits with it.
pub(crate) const MAX_WAITING: usize = 1_024;
/// Confirmations in one transaction, which others that write wait for.
const MAX_TOGETHER: usize = 512;

/// An agent that kept the number of its next session.
#[derive(Debug)]
pub(crate) struct Kept {
    pub(crate) principal: AgentPrincipal,
    pub(crate) next: u64,
    /// Told when that is noted; dropped when it cannot be.
    pub(crate) noted: oneshot::Sender<()>,
}

/// Notes what comes until `shutdown`.
pub(crate) async fn note(
    authenticator: Arc<dyn Authenticator>,
    mut kept: mpsc::Receiver<Kept>,
    shutdown: CancellationToken,
) {
    loop {
        let mut together = Vec::new();
        // Both branches are cancel-safe.
        let came = tokio::select! {
            biased;
            () = shutdown.cancelled() => return,
            came = kept.recv_many(&mut together, MAX_TOGETHER) => came,
        };
        if came == 0 {
            return;
        }
        let confirmed: Vec<(AgentPrincipal, u64)> =
            together.iter().map(|kept| (kept.principal, kept.next)).collect();
        let authenticator = Arc::clone(&authenticator);
        match tokio::task::spawn_blocking(move || authenticator.confirm(&confirmed)).await {
            Ok(Ok(())) => {
                for kept in together {
                    // A session that ended meanwhile does not want to know.
                    let _ = kept.noted.send(());
                }
            }
            Ok(Err(error)) => {
                tracing::warn!(sessions = came, %error, "sessions cannot be confirmed");
            }
            Err(error) => tracing::error!(%error, "confirming sessions ended early"),
        }
    }
}
