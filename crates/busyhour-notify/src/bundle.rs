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
            (Some(bundle), _) => bundle,
            (None, Purpose::Digest) if fresh => *digest.get_or_insert(delivery.id),
            _ if fresh && storm && opened(&delivery) => *stormy.get_or_insert(delivery.id),
            _ => delivery.id,
        };
        messages.entry(first).or_default().push(delivery);
    }
    messages.into_values().collect()
}

/// True for what is told as several at once: also one alone, where it is a digest, or what is left of more.
pub(crate) fn is_several(message: &[Delivery]) -> bool {
    let first = message.first();
    first.is_some_and(|one| one.purpose == Purpose::Digest || one.bundle.is_some())
        || message.len() > 1
}
