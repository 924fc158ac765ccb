#!/usr/bin/python3
"""A host whose IPsec is the user-space core: answers pings that come through SAs.

    core_end.py INTERFACE IPSEC_PACKETS TIMES ENCAPSULATED IN_SA OUT_SA

IPSEC_PACKETS is tests/unit/ipsec_packets_main.c, the SAs are lines for it. What arrives as ESP, AH or
in UDP is opened by the core, its echo request becomes a reply, which the core seals and which is sent
TIMES times. The host's own kernel has no SAs and drops what it sees of this. Prints "ready", then a
line for each packet: what the core said of it.
"""

import socket
import struct
import subprocess
import sys

ESP, AH, UDP, ICMP, ICMPV6 = 50, 51, 17, 1, 58
ETH_P_IP, ETH_P_IPV6, ETH_P_ALL = 0x0800, 0x86dd, 3


class Core:
    """One direction in an engine of its own: an SA, or an inner one and the one around it."""

    def __init__(self, program, *sas):
        self.process = subprocess.Popen([program], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        text=True)
        for sa in sas:
            assert self.ask(sa) == "ok", sa

    def ask(self, line):
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        return self.process.stdout.readline().strip()

    def packet(self, way, encapsulated, octets):
        result, _, hexadecimal = self.ask(f"packet {way} {encapsulated} {octets.hex()}").partition(" ")
        return result, bytes.fromhex(hexadecimal)


def protocol_of(packet):
    return packet[9] if packet[0] >> 4 == 4 else packet[6]


def reply(packet):
    """The echo reply to an echo request; None if it is none. The checksum follows the type."""
    if packet[0] >> 4 == 4:
        at, addresses, request, change, header = 20, (12, 16, 20), 8, 0x0800, packet[:12]
    else:
        at, addresses, request, change, header = 40, (8, 24, 40), 128, -0x0100, packet[:8]
    if packet[at] != request or protocol_of(packet) not in (ICMP, ICMPV6):
        return None
    first, second, end = addresses
    total = struct.unpack("!H", packet[at + 2:at + 4])[0] + change
    total = (total & 0xffff) + (total >> 16)
    return (header + packet[second:end] + packet[first:second] +
            bytes([0 if request == 8 else 129, 0]) + struct.pack("!H", total & 0xffff) + packet[at + 4:])


def main():
    interface, program, times, encapsulated, in_sa, out_sa = sys.argv[1:]
    incoming, outgoing = Core(program, in_sa), Core(program, out_sa)
    wire = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(ETH_P_ALL))
    wire.bind((interface, ETH_P_ALL))
    print("ready", flush=True)
    while True:
        packet, (_, ethertype, kind, _, mac) = wire.recvfrom(65535)
        if kind == socket.PACKET_OUTGOING or ethertype not in (ETH_P_IP, ETH_P_IPV6):
            continue
        if protocol_of(packet) not in (ESP, AH, UDP):
            continue
        result, inside = incoming.packet(1, encapsulated, packet)
        print(result, flush=True)
        answer = reply(inside) if result == "ok" else None
        if answer is None:
            continue
        result, sealed = outgoing.packet(0, 0, answer)
        assert result == "ok", result
        for _ in range(int(times)):
            wire.sendto(sealed, (interface, ETH_P_IP if sealed[0] >> 4 == 4 else ETH_P_IPV6, 0, 0, mac))


if __name__ == "__main__":
    main()
