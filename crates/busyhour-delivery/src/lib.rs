//! Delivery without input or output: how blocks of records get from an agent's spool into the
//! collector's store, once each, whatever breaks.
//!
//! On the agent: [`Sealer`] says when records become a block, [`SpoolIndex`] knows the sealed
//! blocks and what must go when there is no room, [`Uplink`] says what to send and what may be
//! deleted. On the collector: [`Receiver`] says what to store and what to acknowledge.
//!
//! Refuses: sockets, files, clocks, encodings. Payloads pass through as bytes and only their
//! checksum is looked at; messages are plain types that whoever speaks to the wire converts.
//!
//! Invariants, tested with both ends as a pair in virtual time:
//! - a block is acknowledged only after its commit, and deleted only after its acknowledgement or
//!   when the spool's caps demand it, which is then reported;
//! - within one session no block is sent twice; redelivery in later ones is harmless;
//! - blocks in flight never exceed the credit, and backlog never takes more than half of it, or than
//!   the collector allows;
//! - live blocks go before backlog, backlog goes newest first.

mod away;
mod message;
mod ranges;
mod receiver;
mod sealer;
mod spool;
mod uplink;

pub use away::{GoAway, LONGEST_AWAY};
pub use message::{Acknowledgement, Block, Credit, Hello, Welcome};
pub use ranges::BlockRanges;
pub use receiver::{INITIAL_CREDIT, Lane, MAX_CREDIT, Receiver, Refusal, Verdict};
pub use sealer::{SealPolicy, Sealer};
pub use spool::{BlockMeta, Dropped, SpoolCaps, SpoolIndex};
pub use uplink::{Uplink, UplinkError};
