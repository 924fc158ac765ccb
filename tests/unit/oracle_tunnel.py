#!/usr/bin/python3
"""An independent oracle for tunnels, fragments and ICMP errors: scapy's implementations.

    oracle_tunnel.py TUNNEL_PACKETS [SEED]

What the given program (tunnel_packets_main.c) makes, scapy has to take apart, and the other way
round: GRE with its options and IP in IP in all mixes of versions, fragments of both versions in any
order, TCP's MSS, and ICMP errors. Ends with status 0 if all agree.
"""

import logging
import random
import subprocess
import sys
import warnings

warnings.simplefilter("ignore")
try:
    logging.getLogger("scapy").setLevel(logging.ERROR)
    from scapy.layers.inet import ICMP, IP, TCP, UDP, IPOption_NOP, IPOption_RR, IPOption_Router_Alert, fragment
    from scapy.layers.inet6 import (HBHOptUnknown, ICMPv6PacketTooBig, IPv6, IPv6ExtHdrDestOpt,
                                    IPv6ExtHdrFragment, IPv6ExtHdrHopByHop, RouterAlert, defragment6, fragment6)
    from scapy.layers.inet import defragment
    from scapy.layers.l2 import GRE
    from scapy.packet import Raw
except ImportError as missing:
    print(f"skipped: {missing} (python3-scapy)")
    sys.exit(77)  # meson: skipped

ENDS = {4: ("192.0.2.1", "192.0.2.2"), 6: ("2001:db8::1", "2001:db8::2")}
HOSTS = {4: ("10.1.0.7", "10.2.0.9"), 6: ("2001:db8:a::7", "2001:db8:b::9")}
ETHERTYPE = {4: 0x0800, 6: 0x86DD}
ENCAPSULATION_LIMIT = 4  # RFC 2473 4.1.1


class Program:
    """The program under test."""

    def __init__(self, path):
        self.process = subprocess.Popen([path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def ask(self, *words):
        self.process.stdin.write(" ".join(str(word) for word in words) + "\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline().split()
        if not answer:
            raise SystemExit(f"the program died: {' '.join(str(word) for word in words)[:300]}")
        return answer


def same(what, ours, theirs):
    if ours != theirs:
        raise SystemExit(f"{what}: {str(ours)[:600]} is not {str(theirs)[:600]}")


def header(version, ends, **more):
    if version == 4:
        return IP(src=ends[0], dst=ends[1], **more)
    return IPv6(src=ends[0], dst=ends[1], **more)


def octets(packet):
    return bytes(packet).hex()


def inner_packet(rng, version):
    packet = header(version, HOSTS[version])
    if version == 4:
        packet.tos, packet.id, packet.ttl = rng.randrange(256), rng.randrange(65536), rng.randrange(1, 256)
        packet.flags = rng.choice(["", "DF"])
    else:
        packet.tc, packet.fl, packet.hlim = rng.randrange(256), rng.randrange(1 << 20), rng.randrange(1, 256)
    return packet / UDP(sport=rng.randrange(65536), dport=rng.randrange(65536)) / Raw(
        rng.randbytes(rng.randrange(0, 1200)))


def tunnels(program, rng):
    for _ in range(400):
        kind, outer, inner = rng.choice(["gre", "ip-ip"]), rng.choice([4, 6]), rng.choice([4, 6])
        key = rng.randrange(1 << 32) if kind == "gre" and rng.random() < 0.5 else None
        checksum, sequence = (int(kind == "gre" and rng.random() < 0.5) for _ in range(2))
        limit = rng.randrange(256) if outer == 6 and rng.random() < 0.5 else None
        sent = bytes(inner_packet(rng, inner))
        words = [kind, *ENDS[outer], "-" if key is None else key]

        # Ours, taken apart by scapy.
        result, made = program.ask("encap", *words, checksum, sequence, "-" if limit is None else limit,
                                   sent.hex())
        same("encap", result, "ok")
        made = bytes.fromhex(made)
        packet = IP(made) if outer == 4 else IPv6(made)
        rebuilt = packet.copy()
        if outer == 4:
            del rebuilt.chksum, rebuilt.len
            same("the checksum and length", bytes(rebuilt)[:20], made[:20])
        else:
            same("the length", packet.plen, len(made) - 40)
        same("the addresses", (packet.src, packet.dst), ENDS[outer])
        same("the traffic class", packet.tos if outer == 4 else packet.tc, first_octets(sent))
        packet = packet.payload
        if limit is not None:
            same("the limit", [(o.otype, o.optdata) for o in packet.options if o.otype == ENCAPSULATION_LIMIT],
                 [(ENCAPSULATION_LIMIT, bytes([limit]))])
            packet = packet.payload
        if kind == "gre":
            same("the GRE header", (packet.proto, packet.version, packet.key_present, packet.seqnum_present,
                                    packet.chksum_present),
                 (ETHERTYPE[inner], 0, int(key is not None), sequence, checksum))
            if key is not None:
                same("the key", packet.key, key)
            if sequence:
                same("the number", packet.sequence_number, 0)
            if checksum:
                right = packet.copy()
                del right.chksum
                same("the GRE checksum", GRE(bytes(right)).chksum, packet.chksum)
            packet = packet.payload
        same("what is inside", bytes(packet), sent)

        # scapy's, taken apart by ours.
        theirs = header(outer, ENDS[outer][::-1])
        if limit is not None:
            theirs /= IPv6ExtHdrDestOpt(options=[HBHOptUnknown(otype=4, optlen=1, optdata=bytes([limit]))])
        if kind == "gre":
            gre = GRE(proto=ETHERTYPE[inner], chksum_present=checksum, seqnum_present=sequence)
            if sequence:
                gre.sequence_number = rng.randrange(1 << 32)
            if key is not None:
                gre.key_present, gre.key = 1, key
            if outer == 6:
                (theirs.lastlayer() if limit is not None else theirs).nh = 47
            theirs /= gre
        theirs /= IP(sent) if inner == 4 else IPv6(sent)
        result, opened = program.ask("decap", *words, octets(theirs))
        same("decap", result, "ok")
        # The outer ECN field is 0: nothing changes (RFC 6040 figure 4).
        same("what comes out", bytes.fromhex(opened), sent)


def first_octets(packet):
    """The traffic class."""
    return packet[1] if packet[0] >> 4 == 4 else (packet[0] << 4 | packet[1] >> 4) & 255


def fragments(program, rng):
    for _ in range(150):
        # IPv4, scapy's: in any order, with some twice.
        options = rng.choice([[], [IPOption_Router_Alert()], [IPOption_NOP(), IPOption_RR(routers=["0.0.0.0"] * 3)]])
        whole = IP(bytes(IP(src=ENDS[4][0], dst=ENDS[4][1], id=rng.randrange(65536), options=options) /
                         UDP() / Raw(rng.randbytes(rng.randrange(600, 6000)))))
        parts = fragment(whole, fragsize=8 * rng.randrange(20, 60))
        twice = parts[:-1] + rng.sample(parts[:-1], min(2, len(parts) - 1))
        rng.shuffle(twice)
        result, joined = program.ask("join", *[octets(part) for part in twice + parts[-1:]])
        same("join", result, "ok")
        if not options:  # scapy's fragments have all options in all
            same("what is joined", bytes.fromhex(joined), bytes(whole))
        # Ours.
        result, *made = program.ask("cut", rng.randrange(256, 1400), octets(whole))
        same("cut", result, "ok")
        made = [IP(bytes.fromhex(part)) for part in made]
        rng.shuffle(made)
        same("what is cut", [bytes(packet)[len(packet) - len(whole.payload):] for packet in defragment(made)],
             [bytes(whole.payload)])

        # IPv6.
        plain = rng.random() < 0.7
        upper = bytes(UDP() / Raw(rng.randbytes(rng.randrange(1600, 6000))))
        whole = IPv6(src=ENDS[6][0], dst=ENDS[6][1])
        if plain:
            whole.nh = 17
        else:
            whole /= IPv6ExtHdrHopByHop(options=[RouterAlert()], nh=17)
        whole = IPv6(bytes(whole / Raw(upper)))
        if plain:  # with headers for hops, scapy's lengths are wrong
            framed = IPv6(bytes(IPv6(src=ENDS[6][0], dst=ENDS[6][1]) /
                                IPv6ExtHdrFragment(id=rng.randrange(1 << 32), nh=17) / Raw(upper)))
            parts = fragment6(framed, rng.randrange(1280, 1400))
            rng.shuffle(parts)
            result, joined = program.ask("join", *[octets(part) for part in parts])
            same("join", result, "ok")
            same("what is joined", bytes.fromhex(joined), bytes(whole))
        result, *made = program.ask("cut", rng.randrange(256, 1400), octets(whole))
        same("cut", result, "ok")
        # In order: scapy's reordering has an error.
        again = bytes(defragment6([IPv6(bytes.fromhex(part)) for part in made]))
        same("what is cut", again[-len(upper):], upper)


def sizes(program, rng):
    for _ in range(200):
        version = rng.choice([4, 6])
        options = [("NOP", None)] * rng.randrange(3) + [("MSS", rng.randrange(65536))] + [("SAckOK", b"")]
        segment = bytes(header(version, HOSTS[version]) / TCP(flags=rng.choice(["S", "SA"]), options=options) /
                        Raw(rng.randbytes(rng.randrange(9))))
        limit = rng.randrange(65536)
        result, made = program.ask("mss", limit, segment.hex())
        announced = dict(options)["MSS"]
        same("mss", result, "lowered" if announced > limit else "same")
        read = (IP if version == 4 else IPv6)(bytes.fromhex(made))
        same("the MSS", dict(read[TCP].options)["MSS"], min(announced, limit))
        right = read.copy()
        del right[TCP].chksum
        right = (IP if version == 4 else IPv6)(bytes(right))
        if right[TCP].chksum != read[TCP].chksum and {right[TCP].chksum, read[TCP].chksum} != {0, 0xFFFF}:
            raise SystemExit(f"the TCP checksum after {announced} to {limit}: {made}")


def errors(program, rng):
    for _ in range(200):
        version = rng.choice([4, 6])
        spi, seq, mtu = rng.randrange(1 << 32), rng.randrange(1 << 32), rng.randrange(1280, 65536)
        esp = header(version, ENDS[version], **({"proto": 50} if version == 4 else {"nh": 50})) / Raw(
            spi.to_bytes(4, "big") + seq.to_bytes(4, "big") + rng.randbytes(rng.randrange(2000)))
        us = "198.51.100.7" if version == 4 else "2001:db8:f::7"

        # Ours.
        result, made = program.ask("too-big", mtu, us, octets(esp))
        same("too-big", result, "ok")
        made = (IP if version == 4 else IPv6)(bytes.fromhex(made))
        error = made[ICMP] if version == 4 else made[ICMPv6PacketTooBig]
        same("the error", (made.src, made.dst, error.type, error.code),
             (us, ENDS[version][0], *((3, 4) if version == 4 else (2, 0))))
        same("the MTU", error.nexthopmtu if version == 4 else error.mtu, mtu)
        # scapy writes what it read from a quote anew: only the octets will do.
        quoted = bytes.fromhex(program.ask("too-big", mtu, us, octets(esp))[1])[28 if version == 4 else 48:]
        same("what is quoted", quoted, bytes(esp)[:len(quoted)])
        if len(quoted) not in (len(bytes(esp)), 548 if version == 4 else 1232):
            raise SystemExit(f"{len(quoted)} octets are quoted")
        right = made.copy()
        if version == 4:
            right[ICMP].remove_payload()
            right[ICMP].add_payload(Raw(quoted))
            del right[ICMP].chksum
            same("the ICMP checksum", IP(bytes(right))[ICMP].chksum, error.chksum)
        else:
            right[ICMPv6PacketTooBig].remove_payload()
            right[ICMPv6PacketTooBig].add_payload(Raw(quoted))
            del right[ICMPv6PacketTooBig].cksum
            same("the ICMPv6 checksum", IPv6(bytes(right))[ICMPv6PacketTooBig].cksum, error.cksum)

        # scapy's.
        if version == 4:
            theirs = IP(src=us, dst=ENDS[4][0]) / ICMP(type=3, code=4, nexthopmtu=mtu)
        else:
            theirs = IPv6(src=us, dst=ENDS[6][0]) / ICMPv6PacketTooBig(mtu=mtu)
        same("quote", program.ask("quote", octets(theirs / Raw(bytes(esp)[:500]))),
             ["ok", "0", str(mtu), *ENDS[version], "50", str(spi), str(seq)])


def main():
    rng = random.Random(int(sys.argv[2]) if len(sys.argv) > 2 else 1)
    program = Program(sys.argv[1])
    for part in (tunnels, fragments, sizes, errors):
        part(program, rng)
        print(f"{part.__name__} agree")


main()
