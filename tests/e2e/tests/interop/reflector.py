"""A STAMP session reflector made of scapy's layers, with the quirks that reflectors in the field have.
Prints its port, then what became of each request, and answers until it is ended.

usage: reflector.py FIRST TLVS DROP_UP DROP_DOWN
  FIRST      the first value of its counter, or "copy": stateless, the request's number
  TLVS       what becomes of TLVs: "understood" (U cleared on Class of Service and Extra Padding),
             "untouched" (as a TWAMP-Light reflector that takes them for padding),
             "cut" (a base packet is answered, and the SSID is zero),
             "bare" (the same, without the zeros behind the time to live: RFC 5357 section 4.2.1)
  DROP_UP    every so many-th request is dropped as if it had never arrived; 0 for none
  DROP_DOWN  every so many-th answer is counted and not sent; 0 for none
"""

import json
import socket
import sys
import time

from scapy.contrib.stamp import (
    STAMPSessionReflectorTestUnauthenticated as Reply,
    STAMPSessionSenderTestUnauthenticated as Request,
    STAMPTestTLV,
)
from scapy.contrib.stamp import ErrorEstimate
from scapy.layers.inet import UDP

BASE, TWAMP_BASE = 44, 41
EXTRA_PADDING, CLASS_OF_SERVICE = 1, 4
NTP_EPOCH = 2_208_988_800
IP_RECVTTL = 12  # Linux; the socket module does not name it.


def ntp(seconds):
    return int((seconds + NTP_EPOCH) * 2**32).to_bytes(8, "big")


def understood(tlv, tos):
    value = bytes(tlv.value)
    if tlv.type == CLASS_OF_SERVICE:
        wanted, received, ecn = value[0] & 0xFC, tos >> 2, tos & 3
        value = bytes([wanted | received >> 4, (received << 4 | ecn << 2) & 0xFF]) + value[2:]
    known = tlv.type in (CLASS_OF_SERVICE, EXTRA_PADDING)
    return STAMPTestTLV(flags=0 if known else 0x80, type=tlv.type, len=len(value), value=value)


def answer(raw, received, tos, ttl, counter, tlvs):
    # This version takes the length of the TLVs from the UDP header.
    request = Request(raw, _parent=UDP(len=8 + len(raw)))
    light = tlvs in ("cut", "bare")
    kept = [] if light else request.tlv_objects
    if tlvs == "understood":
        kept = [understood(tlv, tos) for tlv in kept]
    packet = Reply(
        seq=request.seq if counter is None else counter,
        err_estimate=ErrorEstimate(S=0, Z=0, scale=22, multiplier=1),
        ssid=0 if light else request.ssid,
        seq_sender=request.seq,
        err_estimate_sender=request.err_estimate,
        ttl_sender=ttl,
        tlv_objects=kept,
    )
    reply = bytearray(bytes(packet))
    reply[16:24], reply[28:36], reply[4:12] = ntp(received), raw[4:12], ntp(time.time())
    return bytes(reply[:TWAMP_BASE] if tlvs == "bare" else reply)


def main():
    first, tlvs, drop_up, drop_down = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
    counter = None if first == "copy" else int(first)
    arrived = answered = 0
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        sock.setsockopt(socket.IPPROTO_IP, socket.IP_RECVTOS, 1)
        sock.setsockopt(socket.IPPROTO_IP, IP_RECVTTL, 1)
        print(json.dumps({"port": sock.getsockname()[1]}), flush=True)
        while True:
            raw, ancillary, _, peer = sock.recvmsg(4096, 128)
            received = time.time()
            if len(raw) < BASE:
                continue
            arrived += 1
            if drop_up and arrived % drop_up == 0:
                fate = "dropped_up"
            else:
                of = {kind: data[0] for _, kind, data in ancillary}
                tos, ttl = of[socket.IP_TOS], of[socket.IP_TTL]
                reply = answer(raw, received, tos, ttl, counter, tlvs)
                counter = None if counter is None else (counter + 1) % 2**32
                answered += 1
                if drop_down and answered % drop_down == 0:
                    fate = "dropped_down"
                else:
                    fate = "answered"
                    sock.setsockopt(socket.IPPROTO_IP, socket.IP_TOS, tos)
                    sock.sendto(reply, peer)
            print(json.dumps(fate), flush=True)


main()
