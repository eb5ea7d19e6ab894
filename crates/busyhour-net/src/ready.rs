//! What a wait ended for.

/// How many sockets one thread can wait for: four traffic classes on sixteen local addresses.
pub const MAX_WAITED: usize = 64;

/// What a wait ended for; nothing of it when its time was over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Ready {
    readable: u64,
    errors: u64,
    woken: bool,
}

impl Ready {
    /// True when the socket at this place may have datagrams.
    #[must_use]
    pub const fn readable(self, index: usize) -> bool {
        self.readable & bit(index) != 0
    }

    /// True when the socket at this place may have transmit stamps.
    #[must_use]
    pub const fn has_errors(self, index: usize) -> bool {
        self.errors & bit(index) != 0
    }

    /// True when another thread ended the wait.
    #[must_use]
    pub const fn woken(self) -> bool {
        self.woken
    }

    /// True when the wait ended for its deadline alone.
    #[must_use]
    pub const fn timed_out(self) -> bool {
        self.readable == 0 && self.errors == 0 && !self.woken
    }

    pub(crate) const fn set_readable(&mut self, index: usize) {
        self.readable |= bit(index);
    }

    #[cfg(target_os = "linux")]
    pub(crate) const fn set_errors(&mut self, index: usize) {
        self.errors |= bit(index);
    }

    pub(crate) const fn set_woken(&mut self) {
        self.woken = true;
    }
}

/// Nothing beyond the last socket.
const fn bit(index: usize) -> u64 {
    if index < MAX_WAITED { 1 << index } else { 0 }
}
