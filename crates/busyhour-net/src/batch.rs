//! What became of a batch.

use thiserror::Error;

use crate::SocketError;

/// What became of a batch of datagrams: together as many as there were.
#[derive(Debug, Default)]
pub struct SentBatch {
    /// Datagrams that the system took.
    pub sent: usize,
    /// Datagrams that found a local queue full, and those behind them.
    pub queue_full: usize,
    /// Datagrams that the system cannot send there.
    pub refused: usize,
    /// Why the first that was not sent was not.
    pub first_error: Option<SocketError>,
}

impl SentBatch {
    /// Counts what an error at the first of `left` datagrams leaves out, and returns how many that are:
    /// behind a full queue all of them, since the others would find it full, too; else only the first.
    pub(crate) fn leave_out(&mut self, error: SocketError, left: usize) -> usize {
        let full = error.is_queue_full();
        self.first_error.get_or_insert(error);
        if full {
            self.queue_full += left;
            left
        } else {
            self.refused += 1;
            1
        }
    }
}

/// Why a datagram cannot be added to a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum PushError {
    /// The batch has as many datagrams as it can have.
    #[error("the batch is full")]
    Full,
    /// The datagram is longer than the batch's datagrams can be.
    #[error("the datagram is too long for the batch")]
    TooLong,
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    #[test]
    fn a_full_queue_leaves_out_the_rest_and_a_refusal_only_itself() {
        let error = |kind: io::ErrorKind| {
            let to = ([192, 0, 2, 1], 862).into();
            SocketError::Send { to, source: kind.into() }
        };
        let mut batch = SentBatch::default();
        assert_eq!(batch.leave_out(error(io::ErrorKind::PermissionDenied), 5), 1);
        assert_eq!(batch.leave_out(error(io::ErrorKind::WouldBlock), 4), 4);
        assert_eq!((batch.refused, batch.queue_full), (1, 4));
        assert!(batch.first_error.is_some_and(|first| !first.is_queue_full()));
    }
}
