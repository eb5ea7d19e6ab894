"""A STAMP session sender made of scapy's layers: sends the requests that standard input lists as JSON and
prints what the reflector at ADDRESS PORT answered to each, as scapy reads it."""

import hashlib
import hmac
import json
import socket
import sys

from scapy.contrib.stamp import (
    STAMPSessionReflectorTestUnauthenticated as Reply,
    STAMPSessionSenderTestUnauthenticated as Request,
    STAMPTestTLV,
)
from scapy.contrib.stamp import ErrorEstimate
from scapy.layers.inet import UDP

BASE = 44
TLV_HEADER = 4
HMAC = 8
ANSWER_WITHIN = 20  # Seconds; bounds a hang, measures nothing.


def estimate(packet):
    return {"s": packet.S, "z": packet.Z, "scale": packet.scale, "multiplier": packet.multiplier}


def request(spec):
    if "raw" in spec:
        return bytes.fromhex(spec["raw"])
    # scapy names the flags from the lowest bit on; the wire has U highest. So numbers, not letters.
    tlvs = [
        STAMPTestTLV(flags=0x80, type=tlv["type"], len=len(tlv["value"]) // 2, value=bytes.fromhex(tlv["value"]))
        for tlv in spec["tlvs"]
    ]
    error = ErrorEstimate(S=0, Z=spec["z"], scale=spec["scale"], multiplier=spec["multiplier"])
    packet = Request(seq=spec["seq"], err_estimate=error, ssid=spec["ssid"], tlv_objects=tlvs)
    raw = bytearray(bytes(packet))
    raw[4:12] = bytes.fromhex(spec["timestamp"])
    if spec["key"]:
        tag = tlv_hmac(spec["key"], bytes(raw[:4]), bytes(raw[BASE:]))
        raw += bytes(STAMPTestTLV(flags=0x80, type=HMAC, len=len(tag), value=tag))
    return bytes(raw)


def tlv_hmac(key, sequence, preceding):
    """RFC 8972 section 4.8: over the sequence number and all TLVs in front of it, cut to 16 octets."""
    return hmac.new(key.encode(), sequence + preceding, hashlib.sha256).digest()[:16]


def hmac_holds(key, raw):
    """Whether the last TLV of an answer is the HMAC of what is in front of it; None without a key."""
    if not key:
        return None
    last = len(raw) - TLV_HEADER - 16
    return raw[last + 1] == HMAC and raw[last + TLV_HEADER :] == tlv_hmac(key, raw[:4], raw[BASE:last])


def reading(raw):
    # This version takes the length of the TLVs from the UDP header.
    packet = Reply(raw, _parent=UDP(len=8 + len(raw)))
    return {
        "length": len(raw),
        "seq": packet.seq,
        "ssid": packet.ssid,
        "estimate": estimate(packet.err_estimate),
        "sent": raw[4:12].hex(),
        "received": raw[16:24].hex(),
        "seq_sender": packet.seq_sender,
        "sender_timestamp": raw[28:36].hex(),
        "sender_estimate": estimate(packet.err_estimate_sender),
        "ttl_sender": packet.ttl_sender,
        "zeros": [packet.mbz1, packet.mbz2],
        "tlvs": [
            {"flags": int(tlv.flags), "type": tlv.type, "value": bytes(tlv.value).hex()}
            for tlv in packet.tlv_objects
        ],
    }


def main():
    address, port = sys.argv[1], int(sys.argv[2])
    answers = []
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.settimeout(ANSWER_WITHIN)
        sock.setsockopt(socket.IPPROTO_IP, socket.IP_RECVTOS, 1)
        for spec in json.load(sys.stdin):
            sock.setsockopt(socket.IPPROTO_IP, socket.IP_TOS, spec["tos"])
            sock.sendto(request(spec), (address, port))
            raw, ancillary, _, _ = sock.recvmsg(4096, 64)
            if "raw" in spec:
                # An authenticated packet, which scapy has no layer for: 96 octets and their HMAC.
                tag = hmac.new(spec["key"].encode(), raw[:96], hashlib.sha256).digest()[:16]
                answers.append({"raw": raw.hex(), "hmac_holds": raw[96:112] == tag})
                continue
            answer = reading(raw)
            answer["tos"] = next(data[0] for _, kind, data in ancillary if kind == socket.IP_TOS)
            answer["port"], answer["hmac_holds"] = sock.getsockname()[1], hmac_holds(spec["key"], raw)
            answers.append(answer)
    json.dump(answers, sys.stdout)


main()
