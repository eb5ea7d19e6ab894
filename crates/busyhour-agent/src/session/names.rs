//! Keeps asking what a target's name stands for.

use std::net::SocketAddr;
use std::time::Duration;

use busyhour_daemon::chain;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::pause::Switch;
use crate::resolve::{Found, ResolveError, Resolver};

/// The addresses of a host in order of preference, with port 0; empty until its name resolved.
pub(crate) type Addresses = Vec<SocketAddr>;

/// When to ask again.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pace {
    /// How long an answer is used of which nobody says how long it holds.
    usual: Duration,
    /// An answer is used for at least so long, whatever it says.
    shortest: Duration,
    /// And for at most so long.
    longest: Duration,
    /// How soon a name that did not resolve is tried again.
    retry: Duration,
}

/// A name that moves faster than every half minute is a balancer's, and following it would make a path
/// of every window; a mistake in a zone is over after an hour.
pub(crate) const PACE: Pace = Pace {
    usual: Duration::from_secs(300),
    shortest: Duration::from_secs(30),
    longest: Duration::from_secs(3600),
    retry: Duration::from_secs(10),
};

/// Publishes what the name stands for until `stop`. A resolver that fails later on changes nothing:
/// probing goes on with what was known. While an answer is out the question is not asked again; while
/// measuring is paused nothing is asked.
pub(crate) async fn watch_name(
    host: String,
    resolver: Resolver,
    pace: Pace,
    publish: watch::Sender<Addresses>,
    mut switch: Switch,
    stop: CancellationToken,
) {
    loop {
        // Both branches are cancel-safe.
        tokio::select! {
            biased;
            () = stop.cancelled() => return,
            () = switch.resumed() => {}
        }
        // Nobody waits for an answer that comes after the end.
        let answer = tokio::select! {
            biased;
            () = stop.cancelled() => return,
            answer = resolver.resolve(&host) => answer,
        };
        if let Err(error) = &answer {
            tracing::debug!(host, error = %chain(error), "a target's name did not resolve");
        }
        let wait = take(answer, pace, &publish);
        // Both branches are cancel-safe.
        tokio::select! {
            biased;
            () = stop.cancelled() => return,
            () = tokio::time::sleep(wait) => {}
        }
    }
}

/// Publishes an answer that says something new; tells when to ask again.
fn take(
    answer: Result<Found, ResolveError>,
    pace: Pace,
    publish: &watch::Sender<Addresses>,
) -> Duration {
    let Ok(Found { addresses, holds }) = answer else { return pace.retry };
    publish.send_if_modified(|known| {
        // Servers turn the order around with each answer: that is nothing new.
        let changed = !is_same_set(known, &addresses);
        if changed {
            *known = addresses;
        }
        changed
    });
    holds.unwrap_or(pace.usual).clamp(pace.shortest, pace.longest)
}

fn is_same_set(one: &[SocketAddr], other: &[SocketAddr]) -> bool {
    one.len() == other.len() && one.iter().all(|address| other.contains(address))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::allow::Allow;
    use crate::resolve::tests::NameServer;

    fn found(addresses: &[&str], holds: Option<u64>) -> Result<Found, ResolveError> {
        let addresses = addresses.iter().map(|text| text.parse().unwrap()).collect();
        Ok(Found { addresses, holds: holds.map(Duration::from_secs) })
    }

    #[test]
    fn a_name_is_asked_again_when_its_answer_is_over_within_bounds() {
        let (publish, _addresses) = watch::channel(Addresses::new());
        let wait = |holds| take(found(&["192.0.2.1:0"], holds), PACE, &publish).as_secs();
        assert_eq!(wait(Some(120)), 120);
        assert_eq!(wait(Some(0)), 30);
        assert_eq!(wait(Some(86_400)), 3_600);
        assert_eq!(wait(None), 300);
        assert_eq!(take(Err(ResolveError::Empty), PACE, &publish), PACE.retry);
    }

    #[test]
    fn the_same_addresses_in_another_order_change_nothing_and_a_failure_neither() {
        let (publish, mut addresses) = watch::channel(Addresses::new());
        take(found(&["192.0.2.1:0", "192.0.2.2:0"], None), PACE, &publish);
        assert!(addresses.has_changed().unwrap());
        let first = addresses.borrow_and_update().clone();
        take(found(&["192.0.2.2:0", "192.0.2.1:0"], None), PACE, &publish);
        take(Err(ResolveError::Empty), PACE, &publish);
        assert!(!addresses.has_changed().unwrap());
        assert_eq!(*addresses.borrow(), first);
        take(found(&["192.0.2.2:0", "192.0.2.3:0"], None), PACE, &publish);
        assert!(addresses.has_changed().unwrap());
    }

    #[tokio::test]
    async fn a_new_address_reaches_the_session_when_the_old_answer_is_over() {
        let server = NameServer::start(&[("127.0.0.8", 0)]);
        let (publish, mut addresses) = watch::channel(Addresses::new());
        let stop = CancellationToken::new();
        let (host, resolver) = ("reflector.test".to_owned(), server.resolver());
        let hurried = Pace { shortest: Duration::from_millis(1), ..PACE };
        let watch = watch_name(host, resolver, hurried, publish, Switch::on(), stop.clone());
        let watching = tokio::spawn(watch);
        for expected in ["127.0.0.8", "127.0.0.9"] {
            server.set(&[(expected, 0)]);
            let address = SocketAddr::new(expected.parse().unwrap(), 0);
            addresses.wait_for(|known| *known == [address]).await.unwrap();
        }
        stop.cancel();
        watching.await.unwrap();
    }

    #[test]
    fn a_name_that_turns_to_where_nobody_may_probe_stays_where_it_was() {
        let (publish, addresses) = watch::channel(Addresses::new());
        take(found(&["192.0.2.1:0"], None), PACE, &publish);
        let address = "169.254.169.254".parse().unwrap();
        let refused = Allow::new(Vec::new(), Vec::new(), []).check("rebound.test", address);
        let wait = take(Err(ResolveError::Refused(refused.unwrap_err())), PACE, &publish);
        assert_eq!(wait, PACE.retry);
        assert_eq!(*addresses.borrow(), ["192.0.2.1:0".parse().unwrap()]);
    }
}
