//! Interoperability with implementations that are not our own: scapy's STAMP layer as the sender and as
//! the reflector, and Wireshark's dissector on packets that were captured between our own programs.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on stops")]

mod harness;
mod scapy;
mod wireshark;
