//! What a reflector counts.

/// Counts of what happened to datagrams, over the life of a reflector. Each datagram is answered or
/// counted by exactly one of the fields that begin with `dropped`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ReflectorStats {
    /// Requests answered.
    pub answered: u64,
    /// Of these, answered without a counter: there was no room for a session, or none is kept.
    pub stateless: u64,
    /// Of these, shorter than the base packet, from a provisioned source.
    pub short: u64,
    /// Of these, with TLVs that could not be verified and were not used.
    pub tlvs_refused: u64,
    /// Of these, not sent by the system.
    pub unsent: u64,
    /// Datagrams dropped because they are shorter than a test packet.
    pub dropped_short: u64,
    /// Datagrams dropped because they are larger than any request.
    pub dropped_oversized: u64,
    /// Datagrams dropped because no answer can reach port 0.
    pub dropped_portless: u64,
    /// Datagrams dropped because they are answers themselves.
    pub dropped_answers: u64,
    /// Datagrams dropped because their source is not in the allow-list.
    pub dropped_not_allowed: u64,
    /// Requests dropped because no provisioned session is theirs.
    pub dropped_not_provisioned: u64,
    /// Requests dropped because they did not verify under a key.
    pub dropped_unauthentic: u64,
    /// Requests of sessions under a key dropped because they were seen before.
    pub dropped_replays: u64,
    /// Requests dropped because they came faster than a rate allows.
    pub dropped_rate: u64,
    /// Sessions begun.
    pub sessions_begun: u64,
    /// Of these, begun where another one went on (a new address behind a translator).
    pub sessions_forked: u64,
    /// Sessions under a key that moved to another address.
    pub sessions_moved: u64,
    /// Sessions forgotten because they were idle.
    pub sessions_evicted: u64,
    /// Sessions forgotten because another one needed their room.
    pub sessions_displaced: u64,
    /// Session reports made.
    pub reports: u64,
    /// Session reports not made because there were too many, or nobody took them.
    pub reports_dropped: u64,
}

impl ReflectorStats {
    /// All datagrams that were not answered.
    #[must_use]
    pub const fn dropped(&self) -> u64 {
        self.dropped_short
            + self.dropped_oversized
            + self.dropped_portless
            + self.dropped_answers
            + self.dropped_not_allowed
            + self.dropped_not_provisioned
            + self.dropped_unauthentic
            + self.dropped_replays
            + self.dropped_rate
    }
}
