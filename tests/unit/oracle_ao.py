#!/usr/bin/python3
"""An independent oracle for TCP-AO: its own KDFs, MACs, AES and sequence number extension, written
from RFC 5925 and RFC 5926 with nothing but hashlib.

    oracle_ao.py VERIFY_PCAP [SEED...]

Makes captures of random connections (both IP versions, all algorithms, MAC lengths, options covered
or not, other TCP options, sequence numbers that wrap, keys rolled over), spoils some segments, and
compares what the given program says of each with what it knows. Ends with status 0 if all agree.
"""

import hashlib
import hmac
import ipaddress
import json
import os
import random
import struct
import subprocess
import sys
import tempfile

FIN, SYN, RST, PSH, ACK = 1, 2, 4, 8, 16

# ---- AES-128 and CMAC (FIPS 197, RFC 4493) ------------------------------------------------------


def xtime(a):
    return (a << 1 ^ 0x11B if a & 0x80 else a << 1) & 0xFF


def make_sbox():
    sbox, p, q = [0x63] * 256, 1, 1
    while True:
        p ^= xtime(p)
        for shift in (1, 2, 4):
            q ^= q << shift & 0xFF
        if q & 0x80:
            q ^= 0x09
        x = q
        for turn in range(1, 5):
            x ^= (q << turn | q >> (8 - turn)) & 0xFF
        sbox[p] = x ^ 0x63
        if p == 1:
            return sbox


SBOX = make_sbox()


def aes128_schedule(key):
    words, rcon = [list(key[i:i + 4]) for i in range(0, 16, 4)], 1
    for i in range(4, 44):
        word = list(words[i - 1])
        if i % 4 == 0:
            word = [SBOX[b] for b in word[1:] + word[:1]]
            word[0] ^= rcon
            rcon = xtime(rcon)
        words.append([a ^ b for a, b in zip(words[i - 4], word)])
    return [sum(words[i:i + 4], []) for i in range(0, 44, 4)]


def aes128(schedule, block):
    state = [a ^ b for a, b in zip(block, schedule[0])]
    for n in range(1, 11):
        state = [SBOX[state[(i + 4 * (i % 4)) % 16]] for i in range(16)]
        if n < 10:
            mixed = []
            for c in range(0, 16, 4):
                col = state[c:c + 4]
                every = col[0] ^ col[1] ^ col[2] ^ col[3]
                mixed += [col[i] ^ every ^ xtime(col[i] ^ col[(i + 1) % 4]) for i in range(4)]
            state = mixed
        state = [a ^ b for a, b in zip(state, schedule[n])]
    return bytes(state)


def cmac(key, message):
    def double(block):
        n = int.from_bytes(block, "big") << 1
        if n >> 128:
            n ^= 1 << 128 | 0x87
        return n.to_bytes(16, "big")

    schedule = aes128_schedule(key)
    subkey = double(aes128(schedule, bytes(16)))
    blocks = [message[i:i + 16] for i in range(0, len(message), 16)] or [b""]
    if len(blocks[-1]) < 16:
        subkey = double(subkey)
        blocks[-1] = (blocks[-1] + b"\x80").ljust(16, b"\0")
    blocks[-1] = bytes(a ^ b for a, b in zip(blocks[-1], subkey))
    state = bytes(16)
    for block in blocks:
        state = aes128(schedule, bytes(a ^ b for a, b in zip(state, block)))
    return state


def check_primitives():
    key = bytes.fromhex("2b7e151628aed2a6abf7158809cf4f3c")  # RFC 4493 section 4
    assert cmac(key, b"").hex() == "bb1d6929e95937287fa37d129b756746"
    assert cmac(key, bytes.fromhex("6bc1bee22e409f96e93d7e117393172a")).hex() == \
        "070a16b46b4d4144f79bdd9dd04a287c"


# ---- TCP-AO -------------------------------------------------------------------------------------

HASHES = {"hmac-sha-1": hashlib.sha1, "hmac-sha-256": hashlib.sha256}
FULL = {"hmac-sha-1": 20, "aes-128-cmac": 16, "hmac-sha-256": 32}


def traffic_key(key, src, dst, src_isn, dst_isn):
    context = src[0].packed + dst[0].packed + struct.pack(
        "!HHII", src[1], dst[1], src_isn, dst_isn)
    text = b"\x01TCP-AO" + context + struct.pack("!H", 8 * FULL[key["alg"]])
    secret = key["secret"].encode()
    if key["alg"] == "aes-128-cmac":
        if len(secret) != 16:
            secret = cmac(bytes(16), secret)
        return cmac(secret, text)
    return hmac.new(secret, text, HASHES[key["alg"]]).digest()


def segment(key, src, dst, isns, sne, seq, ack, flags, options, payload, keyid, rnext, unsigned):
    """The TCP segment; options come before the AO option."""
    length = key["mac_len"]
    ao = struct.pack("!BBBB", 29, 4 + length, keyid, rnext) + bytes(length)
    padding = b"\x01" * (-(len(options) + len(ao)) % 4)
    if unsigned:
        ao, padding = b"", b"\x01" * (-len(options) % 4)
    size = 20 + len(options) + len(ao) + len(padding)
    fixed = struct.pack("!HHIIBBHHH", src[1], dst[1], seq, ack, size // 4 << 4, flags, 4096, 0, 0)
    if unsigned:
        return fixed + options + padding + payload
    total = size + len(payload)
    if src[0].version == 4:
        pseudo = src[0].packed + dst[0].packed + struct.pack("!BBH", 0, 6, total)
    else:
        pseudo = src[0].packed + dst[0].packed + struct.pack("!IHBB", total, 0, 0, 6)
    covered = options + ao + padding if key["covered"] else ao
    text = struct.pack("!I", sne) + pseudo + fixed + covered + payload
    tkey = traffic_key(key, src, dst, isns[0], 0 if flags & (SYN | ACK) == SYN else isns[1])
    if key["alg"] == "aes-128-cmac":
        mac = cmac(tkey, text)
    else:
        mac = hmac.new(tkey, text, HASHES[key["alg"]]).digest()
    return fixed + options + ao[:4] + mac[:length] + padding + payload


def packet(src, dst, tcp):
    if src[0].version == 4:
        head = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(tcp), 7, 0x4000, 64, 6, 0)
    else:
        head = struct.pack("!IHBB", 6 << 28, len(tcp), 6, 64)
    return head + src[0].packed + dst[0].packed + tcp


# ---- Connections --------------------------------------------------------------------------------


class Connection:
    """Between our end (0) and the peer's (1); makes packets and says what each should be."""

    def __init__(self, rng, keys, ends):
        self.rng, self.keys, self.ends, self.key = rng, keys, ends, 0
        near_wrap = rng.random() < 0.5
        self.isns = [rng.randrange(2**32 - 5000, 2**32) if near_wrap else rng.getrandbits(32)
                     for _ in ends]
        self.sent = list(self.isns)  # 64 bits: where the next octet of each end goes

    def make(self, side, flags, at, options=b"", payload=b"", fault=None):
        key = self.keys[self.key]
        ids = (key["send"], key["recv"]) if side == 0 else (key["recv"], key["send"])
        src, dst = self.ends[side], self.ends[1 - side]
        isns = (self.isns[side], self.isns[1 - side])
        ack = self.sent[1 - side] if flags & ACK else 0
        signing = dict(key)
        verdict = "good"
        if fault == "secret":
            signing["secret"] += "x"
        elif fault == "keyid":
            ids = (255, ids[1])
        sne = (at >> 32) + (fault == "sne")
        tcp = segment(signing, src, dst, isns, sne, at & 0xFFFFFFFF, ack & 0xFFFFFFFF, flags,
                      options, payload, ids[0], ids[1], fault == "unsigned")
        if fault == "bit":
            # Of SEQ, ACK, PSH, window, urgent pointer, MAC or payload.
            mac = 20 + len(options) + 4
            spots = [4, 7, 8, 11, 13, 14, 18, *range(mac, mac + key["mac_len"]),
                     *range(len(tcp) - len(payload), len(tcp))]
            spot = self.rng.choice(spots)
            flip = PSH if spot == 13 else 1 << self.rng.randrange(8)
            tcp = tcp[:spot] + bytes([tcp[spot] ^ flip]) + tcp[spot + 1:]
        if fault == "keyid":
            verdict = "key-unknown"
        elif fault == "unsigned":
            verdict = "no-option"
        elif fault:
            verdict = "bad"
        return packet(src, dst, tcp), verdict

    def run(self):
        rng = self.rng
        mss, scale, stamps = b"\x02\x04\x05\xb4", b"\x01\x03\x03\x07", \
            b"\x04\x02\x08\x0a" + bytes(8)
        room = (36 - self.keys[0]["mac_len"]) // 4 * 4
        syn_options = rng.choice([o for o in (b"", mss, mss + scale, mss + stamps)
                                  if len(o) <= room])
        yield self.make(0, SYN, self.sent[0], syn_options)
        self.sent[0] += 1
        yield self.make(1, SYN | ACK, self.sent[1], syn_options)
        self.sent[1] += 1
        yield self.make(0, ACK, self.sent[0])
        for _ in range(rng.randrange(4, 30)):
            yield from self.step()
        yield self.make(0, FIN | ACK, self.sent[0])

    def step(self):
        rng = self.rng
        side = rng.randrange(2)
        payload = rng.randbytes(rng.choice([0, 1, 17, 300, 1200]))
        options = b"\x01\x01\x08\x0a" + rng.randbytes(8) \
            if self.keys[self.key]["mac_len"] <= 24 and rng.random() < 0.5 else b""
        if rng.random() < 0.15:
            self.key = rng.randrange(len(self.keys))
            options = b""
        if rng.random() < 0.2:
            fault = rng.choice(["secret", "keyid", "sne", "bit", "unsigned"])
            yield self.make(side, ACK | PSH, self.sent[side], options, payload, fault)
        good = self.make(side, ACK | PSH, self.sent[side], options, payload)
        yield good
        if rng.random() < 0.1:
            yield good  # a retransmit
        self.sent[side] += len(payload)
        if rng.random() < 0.1:
            self.sent[side] += rng.randrange(2**31 - 5000)  # as if the capture had a gap


def make_keys(rng):
    keys = []
    for number in range(rng.randrange(1, 4)):
        alg = rng.choice(sorted(FULL))
        lengths = [n for n in (4, 8, 12, 13, 16, 20, 32) if n <= FULL[alg]]
        secret = "".join(rng.choices("abcdefghijklmnop0123456789", k=rng.choice([1, 8, 16, 80])))
        keys.append({"number": number, "alg": alg, "mac_len": rng.choice(lengths),
                     "covered": rng.random() < 0.5, "secret": secret,
                     "send": 10 + number, "recv": rng.choice([10, 100]) + number})
    return keys


def make_capture(seed, path):
    """Writes capture and configuration; the verdicts in order of the frames."""
    rng = random.Random(seed)
    config, flows, verdicts = [], [], []
    for n in range(rng.randrange(1, 6)):
        keys = make_keys(rng)
        net = "192.0.2.{}" if rng.random() < 0.5 else "2001:db8::{}"
        ours, peer = (ipaddress.ip_address(net.format(host)) for host in (1, 10 + n))
        service, ephemeral = 179, rng.randrange(1024, 65536)
        ports = (service, ephemeral) if rng.random() < 0.5 else (ephemeral, service)
        config.append(f"key-chain c{n} {{\n" + "".join(
            f'  key {k["number"]} {{ send-id = {k["send"]} recv-id = {k["recv"]}\n'
            f'    algorithm = "{k["alg"]}-{8 * k["mac_len"]}" secret = "{k["secret"]}"\n'
            f'    include-tcp-options = {"true" if k["covered"] else "false"} }}\n'
            for k in keys) + f"}}\ntcp-ao s{n} {{ peer = \"{peer}\" key-chain = c{n} port = 179 }}\n")
        flows.append(Connection(rng, keys, [(ours, ports[0]), (peer, ports[1])]).run())
    with open(path + ".conf", "w", encoding="ascii",
              opener=lambda p, f: os.open(p, f, 0o600)) as out:
        out.write("".join(config))
    with open(path + ".pcap", "wb") as out:
        out.write(struct.pack("<IHHIIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 101))
        while flows:
            flow = rng.choice(flows)
            made = next(flow, None)
            if made is None:
                flows.remove(flow)
                continue
            data, verdict = made
            out.write(struct.pack("<IIII", 1800000000 + len(verdicts), 0, len(data), len(data)))
            out.write(data)
            verdicts.append(verdict)
    return verdicts


def compare(program, seed, directory):
    path = os.path.join(directory, f"seed-{seed}")
    expected = make_capture(seed, path)
    ran = subprocess.run([program, path + ".pcap", "--config", path + ".conf", "--json",
                          "--verbose"], capture_output=True, text=True, check=False)
    if ran.returncode not in (0, 1):
        print(f"seed {seed}: status {ran.returncode}: {ran.stderr}")
        return False, 0
    said = json.loads(ran.stdout)
    good = True
    verdicts = {s["frame"]: s for s in said["segments"]}
    for frame, verdict in enumerate(expected, 1):
        judged = verdicts.get(frame, {"verdict": "nothing"})
        if judged["verdict"] != verdict:
            print(f"seed {seed}, frame {frame}: {verdict} expected, the program says {judged}")
            good = False
    failed = sum(v in ("bad", "key-unknown") for v in expected)
    summary = said["summary"]
    if (summary["verified"], summary["failed"]) != (expected.count("good"), failed) or \
            ran.returncode != (1 if failed else 0):
        print(f"seed {seed}: status {ran.returncode}, summary {summary}")
        good = False
    return good, len(expected)


def main():
    check_primitives()
    seeds = [int(s) for s in sys.argv[2:]] or range(60)
    segments, agree = 0, True
    with tempfile.TemporaryDirectory() as directory:
        for seed in seeds:
            good, count = compare(sys.argv[1], seed, directory)
            agree &= good
            segments += count
    print(f"{segments} segments in {len(seeds)} captures: {'all agree' if agree else 'DISAGREE'}")
    return 0 if agree else 1


if __name__ == "__main__":
    sys.exit(main())
