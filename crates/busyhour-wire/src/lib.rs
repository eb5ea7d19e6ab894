//! Packet formats: STAMP test packets (RFC 8762) in both modes, their session identifier and TLVs
//! (RFC 8972), and the timestamps they carry.
//!
//! This crate refuses to decide anything: it reads and writes bytes. Nothing here reads a clock or
//! trusts a length that it did not check; nothing on the way of a test packet allocates.
//!
//! Invariants: parsing never panics, whatever the bytes; what was built parses back to the same
//! value; octets that must be zero are written as zero and ignored when read (RFC 8762 section 4.2).

pub mod explain;
pub mod fuzz;
mod integrity;
mod key;
mod location;
mod stamp;
pub mod stun;
mod time;
mod tlv;
mod values;

pub use integrity::{TlvIntegrity, check_tlvs, seal_tlvs};
pub use key::{Key, TAG_LEN};
pub use location::{Disclosure, Location, LocationPart, answer_location};
pub use stamp::{
    AUTHENTICATED_BASE_LEN, BASE_LEN, Mode, ReflectorPacket, SenderPacket, Truncated, is_sealed,
    patch_transmit_time, seal,
};
pub use time::{ErrorEstimate, TimestampFormat, WireTimestamp};
pub use tlv::{
    ACCESS_REPORT, CLASS_OF_SERVICE, DESTINATION_NODE_ADDRESS, DIRECT_MEASUREMENT, EXTRA_PADDING,
    FLAG_CONFORMANCE, FLAG_INTEGRITY, FLAG_MALFORMED, FLAG_UNRECOGNIZED, FOLLOW_UP, HMAC, LOCATION,
    MICRO_SESSION_ID, MalformedTlv, REFLECTED_TEST_PACKET_CONTROL, RETURN_PATH,
    TIMESTAMP_INFORMATION, TLV_HEADER_LEN, Tlv, TlvMut, Tlvs, TlvsMut, tlv_name, write_tlv,
};
pub use values::{
    AccessReport, COS_TLV_LEN, ClassOfService, DirectMeasurement, FollowUp, TimestampInformation,
};
