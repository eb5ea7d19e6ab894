//! What TLVs are answered with (RFC 8972 section 4): each where it stands, none longer than it came.

use busyhour_model::{Dscp, TimestampMethod};
use busyhour_wire::{
    ACCESS_REPORT, AccessReport, CLASS_OF_SERVICE, ClassOfService, DIRECT_MEASUREMENT,
    DirectMeasurement, Disclosure, EXTRA_PADDING, FLAG_INTEGRITY, FLAG_MALFORMED,
    FLAG_UNRECOGNIZED, FOLLOW_UP, FollowUp, HMAC, LOCATION, MalformedTlv, TAG_LEN,
    TIMESTAMP_INFORMATION, TimestampInformation, TlvMut, TlvsMut, answer_location,
};

use super::{DscpSet, PaddingFill};
use crate::Datagram;

/// ECN: congestion experienced, which routers say and no sender (RFC 3168 section 5).
const CONGESTION_EXPERIENCED: u8 = 3;
/// RP: the wish for a code point is not granted.
const DSCP_REFUSED: u8 = 1;
/// RPE: the wish for ECN bits is granted, or not.
const ECN_GRANTED: u8 = 3;
const ECN_REFUSED: u8 = 2;
/// The fields of Follow-Up Telemetry that are zeroed even where its length is wrong (erratum 8339).
const FOLLOW_UP_FIELDS: usize = 12;
/// Accesses that the Access Report TLV knows: 3GPP and any other.
const ACCESSES: std::ops::RangeInclusive<u8> = 1..=2;

/// What is known when TLVs are answered.
#[derive(Debug)]
pub(super) struct Facts<'a> {
    pub(super) request: &'a Datagram<'a>,
    pub(super) disclosure: Disclosure,
    pub(super) allowed_dscp: DscpSet,
    /// The source of the clock, as it is written.
    pub(super) clock_source: u8,
    /// Requests received and answers sent in this session; zeros without one.
    pub(super) received: u32,
    pub(super) sent: u32,
    /// What is known of the session's previous answer; zeros when nothing is.
    pub(super) follow_up: FollowUp,
    pub(super) padding: &'a mut Padding,
}

/// What TLVs ask of the answer itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Wishes {
    /// The TOS or traffic-class byte to mark it with.
    pub(super) tos: u8,
    /// The sender wants to know when answers really left.
    pub(super) follow_up: bool,
}

enum Answer {
    Understood,
    Unknown,
}

impl Facts<'_> {
    /// Without a wish an answer is marked like its request (RFC 8762 section 4.3), but for ECN.
    pub(super) fn without_wishes(&self) -> Wishes {
        let dscp = self.request.tos.map_or(Dscp::from_tos(0), Dscp::from_tos);
        Wishes { tos: dscp.to_tos(), follow_up: false }
    }

    /// Answers all TLVs behind the base packet. The first malformed one gets M, and what is behind it
    /// stays as it came. A header of zeros is no TLV, as its sender must set U, but where an older
    /// sender's padding begins: that is copied (RFC 8762 section 4.6).
    pub(super) fn answer(mut self, tail: &mut [u8]) -> Wishes {
        let mut wishes = self.without_wishes();
        let mut tlvs = TlvsMut::new(tail);
        while let Some(tlv) = tlvs.next() {
            let Ok(mut tlv) = tlv else {
                tlvs.mark_malformed();
                break;
            };
            if *tlv.flags == 0 && tlv.kind == 0 && tlv.value.is_empty() {
                break;
            }
            match self.answer_one(&mut tlv, &mut wishes) {
                Ok(Answer::Understood) => *tlv.flags = 0,
                Ok(Answer::Unknown) => *tlv.flags = FLAG_UNRECOGNIZED,
                Err(MalformedTlv { .. }) => {
                    *tlv.flags = FLAG_MALFORMED;
                    break;
                }
            }
        }
        wishes
    }

    fn answer_one(
        &mut self,
        tlv: &mut TlvMut<'_>,
        wishes: &mut Wishes,
    ) -> Result<Answer, MalformedTlv> {
        match tlv.kind {
            EXTRA_PADDING => self.padding.fill(tlv.value),
            LOCATION => return self.answer_location(tlv.value),
            TIMESTAMP_INFORMATION => self.answer_timestamp_information(tlv.value)?,
            CLASS_OF_SERVICE => return self.answer_class_of_service(tlv.value, wishes),
            DIRECT_MEASUREMENT => {
                let asked = DirectMeasurement::parse(tlv.value)?;
                let (reflector_rx, reflector_tx) = (self.received, self.sent);
                let counted = DirectMeasurement { reflector_rx, reflector_tx, ..asked };
                tlv.value.copy_from_slice(&counted.to_bytes());
            }
            ACCESS_REPORT => {
                let report = AccessReport::parse(tlv.value)?;
                // Others are invalid and to be discarded, which an answer says by U.
                if !ACCESSES.contains(&report.access) {
                    return Ok(Answer::Unknown);
                }
                tlv.value.copy_from_slice(&report.to_bytes());
            }
            FOLLOW_UP => {
                if let Err(malformed) = FollowUp::parse(tlv.value) {
                    let fields = tlv.value.len().min(FOLLOW_UP_FIELDS);
                    tlv.value[..fields].fill(0);
                    return Err(malformed);
                }
                wishes.follow_up = true;
                tlv.value.copy_from_slice(&self.follow_up.to_bytes());
            }
            // Its value is written when all else is.
            HMAC if tlv.value.len() == TAG_LEN => {}
            HMAC => return Err(MalformedTlv { offset: 0 }),
            _ => return Ok(Answer::Unknown),
        }
        Ok(Answer::Understood)
    }

    fn answer_location(&self, value: &mut [u8]) -> Result<Answer, MalformedTlv> {
        // A socket that cannot tell leaves the TLV as one that it does not know.
        let Some(to) = self.request.to else { return Ok(Answer::Unknown) };
        answer_location(value, to, self.request.from, self.disclosure)?;
        Ok(Answer::Understood)
    }

    fn answer_timestamp_information(&self, value: &mut [u8]) -> Result<(), MalformedTlv> {
        TimestampInformation::parse(value)?;
        let answer = TimestampInformation {
            sync_in: self.clock_source,
            method_in: method_on_wire(self.request.method),
            sync_out: self.clock_source,
            // The transmit time is always read by the process.
            method_out: TimestampInformation::METHOD_SOFTWARE,
        };
        value.copy_from_slice(&answer.to_bytes());
        Ok(())
    }

    /// Tells the marking that arrived, and grants what policy allows (RFC 8972 section 4.4, erratum 8199,
    /// draft-ietf-ippm-stamp-cos-ecn-01 section 3.2).
    fn answer_class_of_service(
        &self,
        value: &mut [u8],
        wishes: &mut Wishes,
    ) -> Result<Answer, MalformedTlv> {
        let mut class = ClassOfService::parse(value)?;
        let Some(tos) = self.request.tos else { return Ok(Answer::Unknown) };
        class.received = Dscp::from_tos(tos);
        class.received_ecn = tos & 3;
        let granted = self.allowed_dscp.contains(class.wanted);
        class.refused = if granted { 0 } else { DSCP_REFUSED };
        let dscp = if granted { class.wanted } else { class.received };
        let ecn = if class.wanted_ecn == CONGESTION_EXPERIENCED { 0 } else { class.wanted_ecn };
        class.ecn_refused = if ecn == class.wanted_ecn { ECN_GRANTED } else { ECN_REFUSED };
        class.reserved = 0;
        wishes.tos = dscp.to_tos() | ecn;
        value.copy_from_slice(&class.to_bytes());
        Ok(Answer::Understood)
    }
}

/// How a timestamp was taken, as it is written.
pub(super) const fn method_on_wire(method: TimestampMethod) -> u8 {
    match method {
        TimestampMethod::User | TimestampMethod::Kernel => TimestampInformation::METHOD_SOFTWARE,
        TimestampMethod::Hardware => TimestampInformation::METHOD_HARDWARE,
    }
}

/// Marks TLVs that failed verification: I on each, and nothing else is touched (RFC 8972 section 4.8).
pub(super) fn refuse(tail: &mut [u8]) {
    for tlv in TlvsMut::new(tail) {
        let Ok(tlv) = tlv else { return };
        *tlv.flags |= FLAG_INTEGRITY;
    }
}

/// The longest stretch that is taken from the block, so that each answer takes another one.
const BLOCK: usize = 2 * super::MAX_REQUEST;

/// Pseudo-random octets for padding, made once.
#[derive(Debug)]
pub(super) struct Padding {
    block: Vec<u8>,
    at: usize,
}

impl Padding {
    pub(super) fn new(fill: PaddingFill) -> Self {
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        let mut octet = || {
            // Xorshift (Marsaglia 2003): nobody relies on its being unpredictable.
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 32) as u8
        };
        let block = match fill {
            PaddingFill::PseudoRandom => (0..BLOCK).map(|_| octet()).collect(),
            PaddingFill::Zeros => vec![0; BLOCK],
        };
        Self { block, at: 0 }
    }

    /// Fills a value; each with another stretch of the block.
    fn fill(&mut self, value: &mut [u8]) {
        self.at = (self.at + 61) % super::MAX_REQUEST;
        // No value is longer than a request, and the block has room for that behind any place.
        if let Some(own) = self.block.get(self.at..self.at + value.len()) {
            value.copy_from_slice(own);
        } else {
            value.fill(0);
        }
    }
}
