//! Keeps asking what a target's name stands for.

use std::net::SocketAddr;
use std::time::Duration;

use busyhour_daemon::chain;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::resolve::Resolver;

/// The addresses of a host in order of preference, with port 0; empty until its name resolved.
pub(crate) type Addresses = Vec<SocketAddr>;

/// How long an answer is used.
const REFRESH: Duration = Duration::from_secs(300);
/// How soon a name that did not resolve is tried again.
const RETRY: Duration = Duration::from_secs(10);

/// Publishes what the name stands for until `stop`. A resolver that fails later on changes nothing:
/// probing goes on with what was known. While an answer is out the question is not asked again.
pub(crate) async fn watch_name(
    host: String,
    resolver: Resolver,
    publish: watch::Sender<Addresses>,
    stop: CancellationToken,
) {
    loop {
        // Nobody waits for an answer that comes after the end.
        let answer = tokio::select! {
            biased;
            () = stop.cancelled() => return,
            answer = resolver.resolve(&host) => answer,
        };
        let wait = match answer {
            Ok(addresses) => {
                publish.send_if_modified(|known| {
                    let changed = *known != addresses;
                    *known = addresses;
                    changed
                });
                REFRESH
            }
            Err(error) => {
                tracing::debug!(host, error = %chain(&error), "a target's name did not resolve");
                RETRY
            }
        };
        // Both branches are cancel-safe.
        tokio::select! {
            biased;
            () = stop.cancelled() => return,
            () = tokio::time::sleep(wait) => {}
        }
    }
}
