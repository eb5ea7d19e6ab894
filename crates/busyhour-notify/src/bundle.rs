//! Which deliveries are one message: what retries do not change, a digest, a storm. Pure.

use std::collections::BTreeMap;

use busyhour_store::{About, Delivery, IncidentEvent, Purpose};

/// More incidents than this that open at once for a channel are one message.
const STORM: usize = 5;

/// Deliveries of one channel as messages, in the order of their oldest. `people` says that people read the
/// channel: what machines read is never bundled.
pub(crate) fn messages(deliveries: Vec<Delivery>, people: bool) -> Vec<Vec<Delivery>> {
    let opened = |delivery: &Delivery| {
        let About::Incident(news) = &delivery.about else { return false };
        news.event == IncidentEvent::Opened && delivery.purpose != Purpose::Digest
    };
    let alone = |delivery: &&Delivery| delivery.bundle.is_none() && delivery.attempts == 0;
    let storm = deliveries.iter().filter(alone).filter(|delivery| opened(delivery)).count() > STORM;
    let mut messages: BTreeMap<i64, Vec<Delivery>> = BTreeMap::new();
    let (mut digest, mut stormy) = (None, None);
    for delivery in deliveries {
        let fresh = people && delivery.bundle.is_none() && delivery.attempts == 0;
        let first = match (delivery.bundle, delivery.purpose) {
            (Some(bundle), _) if people => bundle,
            (_, Purpose::Digest) if fresh => *digest.get_or_insert(delivery.id),
            _ if fresh && storm && opened(&delivery) => *stormy.get_or_insert(delivery.id),
            _ => delivery.id,
        };
        messages.entry(first).or_default().push(delivery);
    }
    messages.into_values().collect()
}

/// True for what is told as several at once: also one alone, where it is a digest, or what is left of more.
/// Machines get an incident as an incident, so that its end ends it.
pub(crate) fn is_several(message: &[Delivery], people: bool) -> bool {
    let first = message.first();
    let joined = first.is_some_and(|one| one.purpose == Purpose::Digest || one.bundle.is_some());
    people && (joined || message.len() > 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::sample_delivery;

    fn ids(messages: &[Vec<Delivery>]) -> Vec<Vec<i64>> {
        messages.iter().map(|message| message.iter().map(|one| one.id).collect()).collect()
    }

    fn several(count: i64, purpose: Purpose) -> Vec<Delivery> {
        (1..=count).map(|id| sample_delivery(id, purpose)).collect()
    }

    #[test]
    fn more_than_five_that_open_at_once_are_one_message() {
        let five = messages(several(5, Purpose::Tell), true);
        assert_eq!(ids(&five), [[1], [2], [3], [4], [5]]);
        let six = messages(several(6, Purpose::Tell), true);
        assert_eq!(ids(&six), [[1, 2, 3, 4, 5, 6]]);
        assert!(is_several(&six[0], true) && !is_several(&five[0], true));
        assert_eq!(messages(several(6, Purpose::Tell), false).len(), 6, "machines sort it out");
    }

    #[test]
    fn a_digest_is_one_message_however_little_it_says() {
        let digest = messages(several(2, Purpose::Digest), true);
        assert_eq!(ids(&digest), [[1, 2]]);
        assert!(is_several(&messages(several(1, Purpose::Digest), true)[0], true));
    }

    #[test]
    fn what_machines_read_is_never_a_digest() {
        let mut digest = several(2, Purpose::Digest);
        digest.iter_mut().for_each(|one| one.bundle = Some(1));
        for deliveries in [several(2, Purpose::Digest), digest] {
            let alone = messages(deliveries, false);
            assert_eq!(ids(&alone), [[1], [2]]);
            assert!(alone.iter().all(|message| !is_several(message, false)));
        }
    }

    #[test]
    fn what_was_one_message_is_the_same_one_when_it_is_tried_again() {
        let mut again = several(9, Purpose::Tell);
        for one in &mut again[..7] {
            one.bundle = Some(1);
            one.attempts = 1;
        }
        assert_eq!(ids(&messages(again, true)), [vec![1, 2, 3, 4, 5, 6, 7], vec![8], vec![9]]);
        // Attempts that were made alone stay alone.
        let mut tried = several(7, Purpose::Tell);
        tried.iter_mut().for_each(|one| one.attempts = 1);
        assert_eq!(messages(tried, true).len(), 7);
    }
}
