//! Test packets and their TLVs.

use busyhour_model::Dscp;

use super::{Field, Kind, words};
use crate::{
    ACCESS_REPORT, AUTHENTICATED_BASE_LEN, AccessReport, CLASS_OF_SERVICE, ClassOfService,
    DIRECT_MEASUREMENT, DirectMeasurement, ErrorEstimate, FLAG_CONFORMANCE, FLAG_INTEGRITY,
    FLAG_MALFORMED, FLAG_UNRECOGNIZED, FOLLOW_UP, FollowUp, HMAC, Key, LOCATION, Location,
    LocationPart, Mode, ReflectorPacket, SenderPacket, TAG_LEN, TIMESTAMP_INFORMATION,
    TLV_HEADER_LEN, TimestampFormat, TimestampInformation, Tlv, TlvIntegrity, Tlvs, WireTimestamp,
    check_tlvs, is_sealed, tlv_name,
};

/// The fields of a packet, collected from its first octet on.
pub(super) struct Fields<'a> {
    packet: &'a [u8],
    mode: Mode,
    key: Option<&'a Key>,
    group: String,
    fields: Vec<Field>,
    next_bit: usize,
}

impl<'a> Fields<'a> {
    pub(super) fn new(packet: &'a [u8], mode: Mode, key: Option<&'a Key>) -> Self {
        let group = "base packet".to_owned();
        Self { packet, mode, key, group, fields: Vec::new(), next_bit: 0 }
    }

    pub(super) fn finish(self) -> Vec<Field> {
        self.fields
    }

    pub(super) fn sender(&mut self, packet: &SenderPacket) {
        self.beginning(packet.sequence, packet.sent, "T1", packet.error_estimate, packet.ssid);
        self.must_be_zero(self.mode.base_len() - self.tag_len());
        self.seal();
    }

    pub(super) fn reflector(&mut self, packet: &ReflectorPacket) {
        let at = self.mode.layout();
        let format = packet.error_estimate.format();
        let theirs = packet.sender_error_estimate.format();
        self.beginning(packet.sequence, packet.sent, "T3", packet.error_estimate, packet.ssid);
        self.must_be_zero(at.received);
        let dwell = words::between((packet.received, format), (packet.sent, format));
        let note = dwell.map(|dwell| format!("T2; answered {dwell} later")).unwrap_or_default();
        self.octets(8, "Receive Timestamp", words::moment(packet.received, format), note);
        self.must_be_zero(at.sender_sequence);
        let sequence = packet.sender_sequence.to_string();
        self.octets(4, "Session-Sender Sequence Number", sequence, String::new());
        self.must_be_zero(at.sender_timestamp);
        let way = words::between((packet.sender_sent, theirs), (packet.received, format));
        let note = way.map_or_else(
            || "T1".to_owned(),
            |way| format!("T1; T2 − T1 is {way}, clocks included"),
        );
        self.octets(8, "Session-Sender Timestamp", words::moment(packet.sender_sent, theirs), note);
        let (value, note) = words::estimate(packet.sender_error_estimate);
        self.octets(2, "Session-Sender Error Estimate", value, note);
        self.must_be_zero(at.sender_ttl);
        let ttl = packet.sender_ttl.to_string();
        let note = if packet.sender_ttl == 0 { "not told" } else { "" };
        self.octets(1, "Session-Sender TTL", ttl, note.to_owned());
        self.must_be_zero(self.mode.base_len() - self.tag_len());
        self.seal();
    }

    /// What both packets begin with.
    fn beginning(
        &mut self,
        sequence: u32,
        sent: WireTimestamp,
        name: &str,
        error_estimate: ErrorEstimate,
        ssid: u16,
    ) {
        let at = self.mode.layout();
        self.octets(4, "Sequence Number", sequence.to_string(), String::new());
        self.must_be_zero(at.timestamp);
        let value = words::moment(sent, error_estimate.format());
        self.octets(8, "Timestamp", value, name.to_owned());
        let (value, note) = words::estimate(error_estimate);
        self.octets(2, "Error Estimate", value, note);
        let note = if ssid == 0 { "not used" } else { "" };
        self.octets(2, "SSID", ssid.to_string(), note.to_owned());
    }

    const fn tag_len(&self) -> usize {
        match self.mode {
            Mode::Unauthenticated => 0,
            Mode::Authenticated => TAG_LEN,
        }
    }

    fn seal(&mut self) {
        if self.mode == Mode::Unauthenticated {
            return;
        }
        let note = match self.key {
            None => "not checked: no key",
            Some(key) if is_sealed(self.packet, key) => "verified",
            Some(_) => "does NOT verify with this key",
        };
        let tag = &self.packet[AUTHENTICATED_BASE_LEN - TAG_LEN..AUTHENTICATED_BASE_LEN];
        self.octets(TAG_LEN, "HMAC", words::hex(tag), note.to_owned());
    }

    /// Everything behind the base packet.
    pub(super) fn tlvs(&mut self, tail: &[u8], kind: Kind, format: TimestampFormat) {
        let base_len = self.mode.base_len();
        for tlv in Tlvs::new(tail) {
            match tlv {
                Ok(tlv) => self.tlv(&tlv, kind, format),
                Err(malformed) => {
                    self.group = "no TLV".to_owned();
                    let rest = &self.packet[base_len + malformed.offset..];
                    let note = if rest.len() < TLV_HEADER_LEN {
                        "fewer octets than a TLV's header; padding of an older sender"
                    } else {
                        "malformed: its length reaches beyond the packet"
                    };
                    self.octets(rest.len(), "Padding", words::hex(rest), note.to_owned());
                }
            }
        }
    }

    fn tlv(&mut self, tlv: &Tlv<'_>, kind: Kind, format: TimestampFormat) {
        let name = tlv_name(tlv.kind).map_or_else(|| format!("TLV {}", tlv.kind), str::to_owned);
        self.group.clone_from(&name);
        self.header(tlv, &name, flags_note(tlv.flags, kind));
        let whole = match tlv.kind {
            LOCATION => self.location(tlv.value),
            TIMESTAMP_INFORMATION => self.timestamp_information(tlv.value),
            CLASS_OF_SERVICE => self.class_of_service(tlv.value, kind),
            DIRECT_MEASUREMENT => self.direct_measurement(tlv.value),
            ACCESS_REPORT => self.access_report(tlv.value),
            FOLLOW_UP => self.follow_up(tlv.value, format),
            HMAC => self.hmac(tlv.value),
            _ => None,
        };
        if whole.is_none() {
            let fixed = (LOCATION..=HMAC).contains(&tlv.kind);
            let note = if fixed { "malformed: a wrong length for its type" } else { "" };
            self.octets(tlv.value.len(), "Value", words::hex(tlv.value), note.to_owned());
        }
    }

    fn header(&mut self, tlv: &Tlv<'_>, name: &str, note: String) {
        self.octets(1, "Flags", flags(tlv.flags), note);
        self.octets(1, "Type", format!("{} {name}", tlv.kind), String::new());
        self.octets(2, "Length", tlv.value.len().to_string(), String::new());
    }

    fn location(&mut self, value: &[u8]) -> Option<()> {
        let location = Location::parse(value).ok()?;
        let end = self.next_bit / 8 + value.len();
        self.octets(2, "Destination Port", location.destination_port.to_string(), String::new());
        self.octets(2, "Source Port", location.source_port.to_string(), String::new());
        for sub in Tlvs::new(value.get(Location::LEN..).unwrap_or_default()) {
            let Ok(sub) = sub else {
                let rest = self.packet.get(self.next_bit / 8..end).unwrap_or_default();
                self.octets(rest.len(), "Sub-TLVs", words::hex(rest), "malformed".to_owned());
                break;
            };
            let name = LocationPart::name(sub.kind).unwrap_or("unknown sub-TLV");
            self.header(&sub, name, String::new());
            let told = match LocationPart::parse(sub.kind, sub.value) {
                Ok(LocationPart::Destination(address) | LocationPart::Source(address)) => {
                    address.to_string()
                }
                _ => words::hex(sub.value),
            };
            self.octets(sub.value.len(), "Value", told, String::new());
        }
        Some(())
    }

    fn timestamp_information(&mut self, value: &[u8]) -> Option<()> {
        let told = TimestampInformation::parse(value).ok()?;
        let named = |code: u8, name: Option<&str>| match (code, name) {
            (0, _) => "0, not told".to_owned(),
            (_, Some(name)) => format!("{code}, {name}"),
            (_, None) => code.to_string(),
        };
        for (name, sync, method) in
            [("In", told.sync_in, told.method_in), ("Out", told.sync_out, told.method_out)]
        {
            let source = named(sync, TimestampInformation::sync_name(sync));
            self.octets(1, &format!("Synchronization Source {name}"), source, String::new());
            let way = named(method, TimestampInformation::method_name(method));
            self.octets(1, &format!("Timestamp {name}"), way, String::new());
        }
        Some(())
    }

    fn class_of_service(&mut self, value: &[u8], kind: Kind) -> Option<()> {
        let told = ClassOfService::parse(value).ok()?;
        let filled = |note| match kind {
            Kind::Reflector => note,
            Kind::Sender | Kind::Stun => "for the reflector to fill",
        };
        let dscp = |dscp: Dscp| format!("{dscp} ({})", dscp.value());
        let refused = match told.refused {
            0 => "",
            1 => "the reflector's policy forbids DSCP1",
            _ => "not a value that is defined",
        };
        let ecn_refused = match told.ecn_refused {
            0 => "nothing known of EC1",
            2 => "could not be set: Not-ECT",
            _ => "set as wanted; implementations differ between 1 and 3",
        };
        self.bits(6, "DSCP1", dscp(told.wanted), "wanted on the answer");
        let received = filled("received by the reflector");
        self.bits(6, "DSCP2", dscp(told.received), received);
        self.bits(2, "EC2", words::ecn(told.received_ecn).to_owned(), received);
        self.bits(2, "RP", told.refused.to_string(), filled(refused));
        self.bits(2, "EC1", words::ecn(told.wanted_ecn).to_owned(), "wanted on the answer");
        self.bits(2, "RPE", told.ecn_refused.to_string(), filled(ecn_refused));
        self.bits(12, "Reserved", told.reserved.to_string(), "");
        Some(())
    }

    fn direct_measurement(&mut self, value: &[u8]) -> Option<()> {
        let told = DirectMeasurement::parse(value).ok()?;
        for (name, count, note) in [
            ("S_TxC", told.sender_tx, "sent by the sender"),
            ("R_RxC", told.reflector_rx, "received by the reflector"),
            ("R_TxC", told.reflector_tx, "sent by the reflector"),
        ] {
            self.octets(4, name, count.to_string(), note.to_owned());
        }
        Some(())
    }

    fn access_report(&mut self, value: &[u8]) -> Option<()> {
        let told = AccessReport::parse(value).ok()?;
        let access = match told.access {
            1 => "1, 3GPP".to_owned(),
            2 => "2, not 3GPP".to_owned(),
            other => other.to_string(),
        };
        self.bits(4, "Access ID", access, "");
        self.bits(4, "Reserved", String::new(), "");
        let code = match told.return_code {
            1 => "1, available".to_owned(),
            2 => "2, not available".to_owned(),
            other => other.to_string(),
        };
        self.octets(1, "Return Code", code, String::new());
        self.octets(2, "Reserved", String::new(), String::new());
        Some(())
    }

    fn follow_up(&mut self, value: &[u8], format: TimestampFormat) -> Option<()> {
        let told = FollowUp::parse(value).ok()?;
        let unused = told == FollowUp::default();
        let note = if unused { "nothing told" } else { "of the answer that this is about" };
        self.octets(4, "Sequence Number", told.sequence.to_string(), note.to_owned());
        let moment = words::moment(told.sent, format);
        self.octets(8, "Follow-Up Timestamp", moment, String::new());
        let method = TimestampInformation::method_name(told.method)
            .map_or_else(|| told.method.to_string(), |name| format!("{}, {name}", told.method));
        self.octets(1, "Timestamp Mode", method, String::new());
        self.octets(3, "Reserved", words::hex(&value[13..]), String::new());
        Some(())
    }

    fn hmac(&mut self, value: &[u8]) -> Option<()> {
        let note = match check_tlvs(self.mode, self.packet, self.key) {
            TlvIntegrity::Valid => "verified: the TLVs in front are as the key's holder wrote them",
            TlvIntegrity::Unchecked => "not checked: no key",
            TlvIntegrity::Invalid => "does NOT verify: wrong key, content, length or place",
            TlvIntegrity::Absent => return None,
        };
        self.octets(value.len(), "HMAC", words::hex(value), note.to_owned());
        Some(())
    }

    /// Octets up to `end`, if there are any, that ought to be zero.
    fn must_be_zero(&mut self, end: usize) {
        let octets = self.packet.get(self.next_bit / 8..end).unwrap_or_default();
        let (value, note) = words::zeros(octets);
        self.octets(octets.len(), "MBZ", value, note);
    }

    fn octets(&mut self, len: usize, name: &str, value: String, note: String) {
        self.push(8 * len, name, value, note);
    }

    fn bits(&mut self, bits: usize, name: &str, value: String, note: &str) {
        self.push(bits, name, value, note.to_owned());
    }

    fn push(&mut self, bits: usize, name: &str, value: String, note: String) {
        if bits == 0 {
            return;
        }
        let (group, first_bit) = (self.group.clone(), self.next_bit);
        self.fields.push(Field { group, first_bit, bits, name: name.to_owned(), value, note });
        self.next_bit += bits;
    }
}

fn flags(flags: u8) -> String {
    let known = [
        (FLAG_UNRECOGNIZED, "U"),
        (FLAG_MALFORMED, "M"),
        (FLAG_INTEGRITY, "I"),
        (FLAG_CONFORMANCE, "C"),
    ];
    let set: Vec<&str> =
        known.iter().filter(|(bit, _)| flags & bit != 0).map(|(_, name)| *name).collect();
    let names = if set.is_empty() { "none".to_owned() } else { set.join(" ") };
    if flags & 0x0f == 0 { names } else { format!("{names}, reserved bits {:#x}", flags & 0x0f) }
}

/// What the flags mean, which depends on who set them.
fn flags_note(flags: u8, kind: Kind) -> String {
    let mut notes = Vec::new();
    match (kind, flags & FLAG_UNRECOGNIZED != 0) {
        (Kind::Reflector, true) => notes.push("U: the reflector does not know this TLV"),
        (Kind::Sender, false) => notes.push("a sender ought to set U"),
        _ => {}
    }
    if flags & FLAG_MALFORMED != 0 {
        notes.push("M: the reflector could not read it");
    }
    if flags & FLAG_INTEGRITY != 0 {
        notes.push("I: the reflector could not verify the TLVs");
    }
    if flags & FLAG_CONFORMANCE != 0 {
        notes.push("C: the reflector could not do what it asks");
    }
    notes.join("; ")
}
