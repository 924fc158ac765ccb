#!/usr/bin/python3
"""An independent oracle for ESP and AH: scapy's implementation, over python3-cryptography.

    oracle_ipsec.py IPSEC_PACKETS [SEED]

Random packets of both IP versions go through the given program (ipsec_packets_main.c) and are opened
by scapy, and the other way round, with every algorithm that both know, tunnel and transport mode,
UDP encapsulation, extended sequence numbers, IPv4 options and IPv6 extension headers. Ends with
status 0 if all agree.
"""

import logging
import random
import subprocess
import sys
import warnings

warnings.simplefilter("ignore")
try:
    logging.getLogger("scapy").setLevel(logging.ERROR)
    from scapy.layers.inet import ICMP, IP, TCP, UDP, IPOption_NOP, IPOption_RR, IPOption_Router_Alert
    from scapy.layers.inet6 import IPv6, IPv6ExtHdrDestOpt, IPv6ExtHdrHopByHop, PadN, RouterAlert
    from scapy.layers.ipsec import AH, ESP, SecurityAssociation
    from scapy.packet import Raw
    import cryptography  # noqa: F401, scapy's algorithms need it
except ImportError as missing:
    print(f"skipped: {missing} (python3-scapy and python3-cryptography)\n[  SKIPPED ] 1 test")
    sys.exit(77)  # meson: skipped

OUT, IN, TUNNEL, TRANSPORT = 0, 1, 0, 1

# scapy's name, IKEv2's number, key lengths in bits (0: not an attribute), salt
CIPHERS = [
    ("NULL", 11, [0], 0),
    ("DES", 2, [0], 0),
    ("3DES", 3, [0], 0),
    ("AES-CBC", 12, [128, 192, 256], 0),
    ("AES-CTR", 13, [128, 192, 256], 4),
    ("AES-GCM", 20, [128, 192, 256], 4),
    ("AES-CCM", 16, [128, 192, 256], 3),
    ("CHACHA20-POLY1305", 28, [0], 4),
]
FIXED = {"NULL": 0, "DES": 8, "3DES": 24, "CHACHA20-POLY1305": 32}
AEAD = {"AES-GCM", "AES-CCM", "CHACHA20-POLY1305"}
# scapy's name, IKEv2's number, octets of the key
MACS = [
    ("HMAC-MD5-96", 1, 16),
    ("HMAC-SHA1-96", 2, 20),
    ("AES-CMAC-96", 8, 16),
    ("SHA2-256-128", 12, 32),
    ("SHA2-384-192", 13, 48),
    ("SHA2-512-256", 14, 64),
]
ENDS = {4: ("192.0.2.1", "192.0.2.2"), 6: ("2001:db8::1", "2001:db8::2")}
HOSTS = {4: ("10.1.0.7", "10.2.0.9"), 6: ("2001:db8:a::7", "2001:db8:b::9")}


class Engine:
    """The program under test."""

    def __init__(self, program, back_end):
        self.process = subprocess.Popen([program] + back_end, stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, text=True)

    def ask(self, line):
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline().split()
        if not answer:
            raise SystemExit(f"the program died: {line[:200]}")
        return answer

    def packet(self, way, encapsulated, octets):
        result, hexadecimal = self.ask(f"packet {way} {int(encapsulated)} {octets.hex()}")
        return result, bytes.fromhex(hexadecimal)


class Case:
    def __init__(self, rng, protocol, mode, version, cipher, bits, mac, esn, nat_t):
        self.protocol, self.mode, self.version, self.esn, self.nat_t = protocol, mode, version, esn, nat_t
        self.cipher, self.mac, self.bits = cipher, mac, bits
        self.enc_key = bytes(rng.randrange(256) for _ in range(
            FIXED.get(cipher[0], bits // 8) + cipher[3]))
        self.integ_key = bytes(rng.randrange(256) for _ in range(mac[2])) if mac else b""
        self.spi = rng.randrange(256, 1 << 32)
        self.seq = rng.choice([0, 1, 77, 0xFFFF0000]) | (rng.randrange(1, 1 << 31) << 32 if esn else 0)

    def __str__(self):
        return (f"{'AH' if self.protocol is AH else 'ESP'} {'tunnel' if self.mode == TUNNEL else 'transport'} "
                f"IPv{self.version} {self.cipher[0]} {self.bits} {self.mac[0] if self.mac else ''}"
                f"{' ESN' if self.esn else ''}{' NAT-T' if self.nat_t else ''} seq {self.seq:#x}")

    def line(self, way):
        src, dst = ENDS[self.version]
        local, remote = (src, dst) if way == OUT else (dst, src)
        return (f"sa {way} {51 if self.protocol is AH else 50} {self.mode} {self.spi} {int(self.esn)} {self.seq} "
                f"{self.cipher[1]} {self.bits} {self.mac[1] if self.mac else 0} {local} {remote} "
                f"{4500 if self.nat_t else 0} {self.enc_key.hex() or '-'} {self.integ_key.hex() or '-'}")

    def scapy(self):
        src, dst = ENDS[self.version]
        header = (IP(src=src, dst=dst) if self.version == 4 else IPv6(src=src, dst=dst))
        return SecurityAssociation(
            self.protocol, spi=self.spi, seq_num=(self.seq & 0xFFFFFFFF) + 1,
            crypt_algo=None if self.protocol is AH else self.cipher[0],
            crypt_key=None if self.protocol is AH else self.enc_key,
            auth_algo=self.mac[0] if self.mac else None, auth_key=self.integ_key or None,
            tunnel_header=header if self.mode == TUNNEL else None,
            nat_t_header=UDP(sport=4500, dport=4500) if self.nat_t else None,
            esn_en=self.esn, esn=self.seq >> 32)


def inner(rng, case):
    """A packet for the case, as octets of what scapy makes of it."""
    version = rng.choice([4, 6]) if case.mode == TUNNEL else case.version
    src, dst = (HOSTS if case.mode == TUNNEL else ENDS)[version]
    payload = Raw(bytes(rng.randrange(256) for _ in range(rng.randrange(200))))
    l4 = rng.choice([UDP(sport=rng.randrange(1, 65536), dport=53), TCP(sport=179, dport=5000), ICMP()])
    if version == 6 and isinstance(l4, ICMP):
        l4 = UDP(sport=1, dport=2)
    if version == 4:
        options = []
        if case.protocol is AH and rng.random() < 0.3:
            options = rng.choice([[IPOption_Router_Alert()], [IPOption_NOP(), IPOption_RR(routers=["0.0.0.0"])]])
        # ECN stays 0: scapy's tunnel header has none
        return IP(bytes(IP(src=src, dst=dst, ttl=rng.randrange(1, 256), tos=rng.randrange(64) << 2,
                           id=rng.randrange(65536), flags=rng.choice([0, 2]), options=options) / l4 / payload))
    packet = IPv6(src=src, dst=dst, hlim=rng.randrange(1, 256), tc=rng.randrange(64) << 2, fl=rng.randrange(1 << 20))
    if case.protocol is AH and case.mode == TRANSPORT and rng.random() < 0.5:
        packet = packet / IPv6ExtHdrHopByHop(options=[RouterAlert(), PadN(optdata=b"\0\0")])
    if rng.random() < 0.2 and case.mode == TUNNEL:
        packet = packet / IPv6ExtHdrDestOpt(options=[PadN(optdata=b"\0\0\0\0")])
    return IPv6(bytes(packet / l4 / payload))


def parse(octets):
    return IP(octets) if octets[0] >> 4 == 4 else IPv6(octets)


def without_checksum(octets, case):
    """In transport mode through a NAT the L4 checksum is computed anew (RFC 3948 3.1.2)."""
    if not (case.nat_t and case.mode == TRANSPORT):
        return octets
    packet = parse(octets)
    for layer in (TCP, UDP):
        if packet.haslayer(layer):
            packet[layer].chksum = 0
    return bytes(packet)


def by_scapy(case, octets):
    """Opened by scapy."""
    packet = parse(octets)
    if case.esn:
        return bytes(case.scapy().decrypt(packet, esn_en=True, esn=case.seq >> 32))
    return bytes(case.scapy().decrypt(packet))


def check(engine, rng, case):
    sent = inner(rng, case)
    if engine.ask(case.line(OUT)) != ["ok"]:
        if case.cipher[0] == "DES":
            print("skipped: no DES, OpenSSL's legacy provider is not installed")
            return
        raise SystemExit(f"{case}: no SA")
    result, sealed = engine.packet(OUT, False, bytes(sent))
    if result != "ok":
        raise SystemExit(f"{case}: {result}")
    opened = by_scapy(case, sealed)
    if opened != bytes(sent):
        raise SystemExit(f"{case}: scapy opens\n{opened.hex()} instead of\n{bytes(sent).hex()}")

    sent = inner(rng, case)
    sealed = bytes(case.scapy().encrypt(sent, seq_num=(case.seq & 0xFFFFFFFF) + 1,
                                        esn_en=case.esn, esn=case.seq >> 32))
    if case.nat_t:  # scapy leaves the UDP length as it was before there was anything in it
        sealed = sealed[:24] + (len(sealed) - 20).to_bytes(2, "big") + sealed[26:]
    if engine.ask(case.line(IN)) != ["ok"]:
        raise SystemExit(f"{case}: no SA")
    result, opened = engine.packet(IN, case.nat_t, sealed)
    if result != "ok":
        raise SystemExit(f"{case}: {result} for\n{sealed.hex()}\nof {bytes(sent).hex()}")
    if without_checksum(opened, case) != without_checksum(bytes(sent), case):
        raise SystemExit(f"{case}: the engine opens\n{opened.hex()} instead of\n{bytes(sent).hex()}")


def cases(rng):
    for mode in (TUNNEL, TRANSPORT):
        for version in (4, 6):
            for esn in (False, True):
                for cipher in CIPHERS:
                    if esn and cipher[0] not in AEAD:
                        continue  # scapy's ICV then lacks the high half (RFC 4303 2.2.1)
                    for bits in cipher[2]:
                        mac = None if cipher[0] in AEAD else rng.choice(MACS)
                        nat_t = version == 4 and rng.random() < 0.3
                        yield Case(rng, ESP, mode, version, cipher, bits, mac, esn, nat_t)
                for mac in MACS:
                    if not esn:
                        yield Case(rng, ESP, mode, version, CIPHERS[3], 128, mac, esn, False)
                    yield Case(rng, AH, mode, version, CIPHERS[0], 0, mac, esn, False)


def main():
    seed = int(sys.argv[2]) if len(sys.argv) > 2 else 1
    for back_end in (["openssl"], []):
        rng = random.Random(seed)
        engine = Engine(sys.argv[1], back_end)
        count = 0
        for case in cases(rng):
            for _ in range(3):
                check(engine, rng, case)
            count += 1
        print(f"{count} SAs agree, {back_end[0] if back_end else 'the fastest back end'}")


main()
