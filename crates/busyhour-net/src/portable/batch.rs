//! Batches as loops.

use std::net::{IpAddr, SocketAddr};

use super::ProbeSocket;
use crate::{PushError, Received, Sent, SentBatch, SocketError};

/// Room for a batch of received datagrams, which is allocated once.
#[derive(Debug)]
pub struct Inbox {
    octets: usize,
    messages: usize,
    bytes: Vec<u8>,
    received: Vec<Received>,
}

impl Inbox {
    /// Room for so many datagrams (at least one) of up to so many octets each; longer ones are
    /// truncated.
    #[must_use]
    pub fn new(messages: usize, octets: usize) -> Self {
        let messages = messages.max(1);
        let bytes = vec![0; messages.saturating_mul(octets)];
        Self { octets, messages, bytes, received: Vec::with_capacity(messages) }
    }

    /// How many datagrams were received last.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.received.len()
    }

    /// True when nothing was received last.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.received.is_empty()
    }

    /// A datagram that was received last, with its octets; `None` when there are fewer.
    #[must_use]
    pub fn get(&self, index: usize) -> Option<(Received, &[u8])> {
        let received = *self.received.get(index)?;
        let bytes = self.bytes.get(index * self.octets..)?.get(..received.len)?;
        Some((received, bytes))
    }

    /// The datagrams that were received last, with their octets.
    pub fn iter(&self) -> impl Iterator<Item = (Received, &[u8])> {
        (0..self.len()).filter_map(|index| self.get(index))
    }
}

/// Datagrams to be sent together, in room that is allocated once.
#[derive(Debug)]
pub struct Outbox {
    octets: usize,
    messages: usize,
    bytes: Vec<u8>,
    /// How long each is, where it goes and its marking.
    queued: Vec<(usize, SocketAddr, u8)>,
    sent_ids: Vec<Option<u32>>,
}

impl Outbox {
    /// Room for so many datagrams (at least one) of up to so many octets each.
    #[must_use]
    pub fn new(messages: usize, octets: usize) -> Self {
        let messages = messages.max(1);
        Self {
            octets,
            messages,
            bytes: vec![0; messages.saturating_mul(octets)],
            queued: Vec::with_capacity(messages),
            sent_ids: Vec::with_capacity(messages),
        }
    }

    /// Adds a datagram to `to` marked with `tos`. The system picks the local address.
    ///
    /// # Errors
    /// When the batch is full or the datagram too long; the batch is as before.
    pub fn push(
        &mut self,
        bytes: &[u8],
        to: SocketAddr,
        _from: Option<IpAddr>,
        tos: u8,
    ) -> Result<(), PushError> {
        if self.is_full() {
            return Err(PushError::Full);
        }
        if bytes.len() > self.octets {
            return Err(PushError::TooLong);
        }
        let start = self.queued.len() * self.octets;
        self.bytes[start..start + bytes.len()].copy_from_slice(bytes);
        self.queued.push((bytes.len(), to, tos));
        Ok(())
    }

    /// How many datagrams wait to be sent.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.queued.len()
    }

    /// True when nothing waits to be sent.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.queued.is_empty()
    }

    /// True when nothing more can be added.
    #[must_use]
    pub const fn is_full(&self) -> bool {
        self.queued.len() == self.messages
    }

    /// The numbers of the datagrams of the batch sent last, in order; `None` for one that was not sent.
    #[must_use]
    pub fn sent_ids(&self) -> &[Option<u32>] {
        &self.sent_ids
    }
}

/// What there is where there are transmit stamps: nothing.
#[derive(Debug)]
pub struct Stamps;

impl Stamps {
    /// Room for so many stamps, of which there will be none.
    #[must_use]
    pub const fn new(_stamps: usize) -> Self {
        Self
    }

    /// The stamps that were taken last: none.
    #[must_use]
    pub const fn taken(&self) -> &[Sent] {
        &[]
    }

    /// False: there are no more.
    #[must_use]
    pub const fn is_full(&self) -> bool {
        false
    }
}

impl ProbeSocket {
    /// Takes nothing: there are no transmit stamps.
    ///
    /// # Errors
    /// None; the signature is that of systems that have them.
    pub const fn next_sent_batch(&self, _stamps: &mut Stamps) -> Result<usize, SocketError> {
        Ok(0)
    }

    /// Receives the datagrams that are here already, as many as there is room for. What `inbox` held
    /// before is gone. Returns how many there are.
    ///
    /// # Errors
    /// When the socket is broken.
    pub fn recv_batch(&self, inbox: &mut Inbox) -> Result<usize, SocketError> {
        inbox.received.clear();
        while inbox.received.len() < inbox.messages {
            let start = inbox.received.len() * inbox.octets;
            match self.try_recv(&mut inbox.bytes[start..start + inbox.octets]) {
                Ok(Some(received)) => inbox.received.push(received),
                Ok(None) => break,
                // What came before the error comes first; a broken socket will say so again.
                Err(error) if inbox.received.is_empty() => return Err(error),
                Err(_) => break,
            }
        }
        Ok(inbox.received.len())
    }

    /// Sends what was pushed now or not at all, and empties `outbox`. A datagram that the system cannot
    /// send is left out; a full queue ends the batch. [`Outbox::sent_ids`] tells which were sent.
    pub fn send_batch(&self, outbox: &mut Outbox) -> SentBatch {
        let mut batch = SentBatch::default();
        let Outbox { octets, bytes, queued, sent_ids, .. } = outbox;
        sent_ids.clear();
        for (index, &(len, to, tos)) in queued.iter().enumerate() {
            let start = index * *octets;
            match self.try_send_to(&bytes[start..start + len], to, tos) {
                Ok(id) => {
                    batch.sent += 1;
                    sent_ids.push(Some(id));
                }
                Err(error) => {
                    if batch.leave_out(error, queued.len() - index) > 1 {
                        break;
                    }
                    sent_ids.push(None);
                }
            }
        }
        sent_ids.resize(queued.len(), None);
        queued.clear();
        batch
    }
}
