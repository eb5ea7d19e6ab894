//! STUN messages.

use super::{Field, words};
use crate::stun::{
    self, Attribute, Check, Class, Credential, HEADER_LEN, MAGIC_COOKIE, Message, TransactionId,
};

/// The fields of a message. A secret is taken for a password: with a realm in the message of the
/// long-term mechanism, else of the short-term one.
pub(super) fn fields(datagram: &[u8], message: &Message<'_>, secret: Option<&[u8]>) -> Vec<Field> {
    let mut fields = Fields { fields: Vec::new(), next: 0 };
    let class = match message.class() {
        Class::Request => "request",
        Class::Indication => "indication",
        Class::Success => "success response",
        Class::Error => "error response",
    };
    let method = message.method();
    let method =
        stun::method_name(method).map_or_else(|| format!("method {method:#05x}"), str::to_owned);
    let TransactionId(id) = message.transaction_id();
    fields.push("header", 2, "Message Type", format!("{method} {class}"), "");
    let length = (datagram.len() - HEADER_LEN).to_string();
    fields.push("header", 2, "Message Length", length, "");
    fields.push("header", 4, "Magic Cookie", format!("{MAGIC_COOKIE:#010x}"), "");
    fields.push("header", 12, "Transaction ID", words::hex(&id), "");
    for attribute in message.attributes() {
        fields.attribute(message, &attribute, secret);
    }
    fields.fields
}

struct Fields {
    fields: Vec<Field>,
    next: usize,
}

impl Fields {
    fn push(&mut self, group: &str, len: usize, name: &str, value: String, note: &str) {
        if len == 0 {
            return;
        }
        self.fields.push(Field {
            group: group.to_owned(),
            first_bit: 8 * self.next,
            bits: 8 * len,
            name: name.to_owned(),
            value,
            note: note.to_owned(),
        });
        self.next += len;
    }

    fn attribute(
        &mut self,
        message: &Message<'_>,
        attribute: &Attribute<'_>,
        secret: Option<&[u8]>,
    ) {
        let (kind, len) = (attribute.kind, attribute.value.len());
        let name = stun::attribute_name(kind).map_or_else(|| format!("{kind:#06x}"), str::to_owned);
        let required = if kind < 0x8000 { "comprehension required" } else { "optional" };
        self.push(&name, 2, "Type", format!("{kind:#06x} {name}"), required);
        self.push(&name, 2, "Length", len.to_string(), "");
        let (value, note) = told(message, attribute, secret);
        self.push(&name, len, "Value", value, note);
        self.push(&name, len.next_multiple_of(4) - len, "Padding", String::new(), "");
    }
}

fn told(
    message: &Message<'_>,
    attribute: &Attribute<'_>,
    secret: Option<&[u8]>,
) -> (String, &'static str) {
    let value = attribute.value;
    let address = |transaction| {
        stun::read_address(value, transaction)
            .map_or_else(|| (words::hex(value), "no address"), |address| (address.to_string(), ""))
    };
    match attribute.kind {
        stun::XOR_MAPPED_ADDRESS => {
            let (address, note) = address(Some(message.transaction_id()));
            (address, if note.is_empty() { "where the request came from" } else { note })
        }
        0x0012 | 0x0016 => address(Some(message.transaction_id())),
        stun::MAPPED_ADDRESS | 0x8023 | 0x802b | 0x802c => address(None),
        stun::USERNAME | stun::REALM | stun::NONCE | stun::SOFTWARE => {
            match str::from_utf8(value) {
                Ok(text) => (format!("{text:?}"), ""),
                Err(_) => (words::hex(value), "no UTF-8"),
            }
        }
        stun::ERROR_CODE => match stun::read_error_code(value) {
            Some((code, reason)) => (format!("{code} {:?}", String::from_utf8_lossy(reason)), ""),
            None => (words::hex(value), "no code of 300 to 699"),
        },
        stun::MESSAGE_INTEGRITY => {
            (words::hex(value), integrity(message, secret, Message::check_integrity))
        }
        stun::MESSAGE_INTEGRITY_SHA256 => {
            (words::hex(value), integrity(message, secret, Message::check_integrity_sha256))
        }
        stun::FINGERPRINT => (words::hex(value), checked(message.check_fingerprint())),
        _ => (words::hex(value), ""),
    }
}

fn integrity<'a>(
    message: &Message<'a>,
    secret: Option<&[u8]>,
    check: fn(&Message<'a>, &Credential) -> Check,
) -> &'static str {
    let Some(secret) = secret else { return "not checked: no password" };
    let Ok(password) = str::from_utf8(secret) else { return "not checked: the key is no text" };
    let credential = match (message.text(stun::USERNAME), message.text(stun::REALM)) {
        (Some(user), Some(realm)) => Credential::long_term(user, realm, password),
        _ => Credential::short_term(password),
    };
    credential.map_or("not checked: a text is not plain ASCII", |credential| {
        checked(check(message, &credential))
    })
}

const fn checked(check: Check) -> &'static str {
    match check {
        Check::Absent => "",
        Check::Valid => "verified",
        Check::Invalid => "does NOT verify",
    }
}
