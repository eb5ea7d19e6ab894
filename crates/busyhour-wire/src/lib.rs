//! Packet formats: STAMP test packets (RFC 8762) in unauthenticated mode, their session identifier
//! and TLVs (RFC 8972), and the timestamps they carry.
//!
//! This crate refuses to decide anything: it reads and writes bytes. Nothing here reads a clock,
//! allocates per packet, or trusts a length that it did not check.
//!
//! Invariants: parsing never panics, whatever the bytes; what was built parses back to the same
//! value; octets that must be zero are written as zero and ignored when read (RFC 8762 section 4.2).

pub mod fuzz;
mod stamp;
mod time;
mod tlv;

pub use stamp::{
    BASE_LEN, REFLECTOR_TRANSMIT_OFFSET, ReflectorPacket, SenderPacket, Truncated,
    patch_transmit_time,
};
pub use time::{ErrorEstimate, TimestampFormat, WireTimestamp};
pub use tlv::{
    CLASS_OF_SERVICE, COS_TLV_LEN, ClassOfService, EXTRA_PADDING, FLAG_INTEGRITY, FLAG_MALFORMED,
    FLAG_UNRECOGNIZED, MalformedTlv, TLV_HEADER_LEN, Tlv, Tlvs, reflect_tlvs, write_tlv,
};
