//! The sessions, with what is looked for in every turn beside them: a hundred sessions are a hundred
//! kilobytes, and looking through all of them for each packet would cost more than the packet.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use busyhour_wire::{BASE_LEN, Mode, ReflectorPacket};

use super::running::Running;
use super::sockets::Key;

/// A window may begin a little before its session does: such moments have an order, too.
const PAST: Duration = Duration::from_secs(60);
/// Nothing is to be sent.
const NEVER: u64 = u64::MAX;

/// Sessions in no particular order; their places change when one is removed.
#[derive(Debug)]
pub(super) struct Table {
    /// What `dues` counts from.
    epoch: Instant,
    sessions: Vec<Running>,
    /// When each wants to send next, in nanoseconds.
    dues: Vec<u64>,
    ssids: Vec<u16>,
}

/// Which sessions a datagram may belong to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Belongs {
    /// The one at this place: its identifier says so.
    To(usize),
    /// Those that talk to this peer: it leaves the identifier zero, as reflectors do that predate
    /// RFC 8972.
    ToPeer,
    /// To none.
    Stray,
}

impl Table {
    pub(super) fn new(now: Instant) -> Self {
        let epoch = now.checked_sub(PAST).unwrap_or(now);
        Self { epoch, sessions: Vec::new(), dues: Vec::new(), ssids: Vec::new() }
    }

    pub(super) fn push(&mut self, session: Running) {
        self.dues.push(self.nanos(&session));
        self.ssids.push(session.ssid());
        self.sessions.push(session);
    }

    /// Takes a session out; the last one takes its place.
    pub(super) fn remove(&mut self, at: usize) -> Running {
        self.dues.swap_remove(at);
        self.ssids.swap_remove(at);
        self.sessions.swap_remove(at)
    }

    /// Does something with a session, and notes when it wants to send after that.
    pub(super) fn with<T>(&mut self, at: usize, act: impl FnOnce(&mut Running) -> T) -> T {
        let done = act(&mut self.sessions[at]);
        self.dues[at] = self.nanos(&self.sessions[at]);
        done
    }

    /// Does something with all sessions.
    pub(super) fn with_all(&mut self, mut act: impl FnMut(&mut Running)) {
        for at in 0..self.sessions.len() {
            self.with(at, &mut act);
        }
    }

    /// The session that wants to send first, and when.
    pub(super) fn first_due(&self) -> Option<(usize, Instant)> {
        let (at, &due) = self.dues.iter().enumerate().min_by_key(|&(_, &due)| due)?;
        (due != NEVER).then(|| (at, self.epoch + Duration::from_nanos(due)))
    }

    pub(super) const fn len(&self) -> usize {
        self.sessions.len()
    }

    pub(super) fn iter(&self) -> std::slice::Iter<'_, Running> {
        self.sessions.iter()
    }

    pub(super) fn position(&self, ssid: u16) -> Option<usize> {
        self.ssids.iter().position(|&other| other == ssid)
    }

    pub(super) fn uses(&self, socket: Key) -> bool {
        self.sessions.iter().any(|session| session.socket == Some(socket))
    }

    /// Finds the session of a datagram. Where the identifier lies depends on the mode, so each mode's
    /// place is only believed for sessions of that mode.
    pub(super) fn belongs(&self, bytes: &[u8], socket: Key) -> Belongs {
        // What an answer lacks at its end counts as zero; how much it may lack is the sender's to say.
        let mut whole = [0; BASE_LEN];
        let short = bytes.len() < BASE_LEN;
        if short {
            whole.iter_mut().zip(bytes).for_each(|(to, from)| *to = *from);
        }
        let bytes = if short { &whole } else { bytes };
        let mut zero = false;
        for mode in [Mode::Unauthenticated, Mode::Authenticated] {
            let Ok((reply, _)) = ReflectorPacket::parse(mode, bytes) else { continue };
            let named = self.position(reply.ssid).filter(|&at| {
                let session = &self.sessions[at];
                session.socket == Some(socket) && session.sender().mode() == mode
            });
            if let Some(at) = named {
                return Belongs::To(at);
            }
            zero |= reply.ssid == 0;
        }
        if zero { Belongs::ToPeer } else { Belongs::Stray }
    }

    /// True when the session at this place talks to this peer over this socket.
    pub(super) fn talks_to(&self, at: usize, socket: Key, peer: SocketAddr) -> bool {
        let session = &self.sessions[at];
        let to = session.sender().peer();
        session.socket == Some(socket) && to.ip() == peer.ip() && to.port() == peer.port()
    }

    fn nanos(&self, session: &Running) -> u64 {
        let due = session.sends_at().map(|due| due.saturating_duration_since(self.epoch));
        due.map_or(NEVER, |due| u64::try_from(due.as_nanos()).unwrap_or(NEVER))
    }
}
