//! The wire messages of Busyhour and their conversion to and from busyhour-model.
//!
//! For: the generated gRPC and protobuf types ([`v1`] and [`query`], committed; a test regenerates them
//! from `proto/` and fails when they differ), and the payload of a sealed block.
//!
//! Refuses: sockets, files, clocks, and any opinion on delivery; busyhour-delivery is not known
//! here.
//!
//! Invariants: a decoded [`Record`](busyhour_model::Record) went through the model's constructors;
//! one bad record spoils no other; no input makes decoding panic or take more memory than a small
//! multiple of [`MAX_PAYLOAD_BYTES`].

mod codec;
mod decode;
mod encode;
mod payload;
mod remembered;
mod words;

pub use codec::SmallCodec;
pub use decode::RecordError;
pub use payload::{
    BadRecord, DecodedPayload, MAX_BLOCK_RECORDS, MAX_PAYLOAD_BYTES, PayloadError, PayloadReader,
    decode_payload, encode_payload, encoded_len, fuzz_payload,
};

/// The generated types of package `busyhour.v1`.
#[allow(
    missing_docs,
    unused_qualifications,
    clippy::all,
    clippy::allow_attributes_without_reason,
    clippy::wildcard_imports,
    clippy::too_many_lines,
    reason = "generated code; its documentation is in proto/"
)]
pub mod v1 {
    include!("generated/busyhour.v1.rs");
}

/// The generated types of package `busyhour.query.v1`: what programs ask a collector.
///
/// Messages are read from the items of the HTTP API, so that both tell the same in the same words.
#[allow(
    missing_docs,
    unused_qualifications,
    clippy::all,
    clippy::allow_attributes_without_reason,
    clippy::wildcard_imports,
    clippy::too_many_lines,
    reason = "generated code; its documentation is in proto/"
)]
pub mod query {
    use serde::{Deserialize, Deserializer};

    include!("generated/busyhour.query.v1.rs");

    /// The descriptors of the package, for who asks a server what it can.
    pub const DESCRIPTORS: &[u8] = include_bytes!("generated/busyhour.query.v1.bin");

    /// A list that may be null, which a message does not tell from an empty one.
    fn none_is_empty<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<String>, D::Error> {
        Ok(Option::deserialize(from)?.unwrap_or_default())
    }
}
