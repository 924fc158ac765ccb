#!/usr/bin/python3
"""A host whose IPsec is the user-space core, for any traffic of its own.

    core_router.py INTERFACE MAC IPSEC_PACKETS IN_SA… -- OUT_SA…

IPSEC_PACKETS is tests/unit/ipsec_packets_main.c, the SAs are lines for it: one, or an inner one and the
one around it. What the host sends into the device core0 is sealed and goes to MAC on INTERFACE; what is
sealed for it is opened and comes out of the device. Prints "ready"; in the end, by SIGTERM, how often the
core said what of packets that came.
"""

import collections
import fcntl
import os
import select
import signal
import socket
import struct
import sys

from core_end import Core

ESP, AH = 50, 51
ETH_P_IP, ETH_P_IPV6, ETH_P_ALL = 0x0800, 0x86dd, 3
TUNSETIFF, IFF_TUN, IFF_NO_PI = 0x400454ca, 1, 0x1000
IN, OUT = 1, 0


def device():
    tun = os.open("/dev/net/tun", os.O_RDWR)
    fcntl.ioctl(tun, TUNSETIFF, struct.pack("16sH22x", b"core0", IFF_TUN | IFF_NO_PI))
    return tun


def main():
    interface, mac, program, *sas = sys.argv[1:]
    mac, split = bytes.fromhex(mac.replace(":", "")), sas.index("--")
    incoming, outgoing = Core(program, *sas[:split]), Core(program, *sas[split + 1:])
    tun = device()
    wire = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(ETH_P_ALL))
    wire.bind((interface, ETH_P_ALL))
    wake, woken = os.pipe()
    signal.signal(signal.SIGTERM, lambda *_: os.write(woken, b"."))
    said = collections.Counter()
    print("ready", flush=True)
    while True:
        ready, _, _ = select.select([wire, tun, wake], [], [])
        if wake in ready:
            break
        if tun in ready:
            packet = os.read(tun, 65535)
            result, sealed = outgoing.packet(OUT, 0, packet)
            if result == "ok":
                kind = ETH_P_IP if sealed[0] >> 4 == 4 else ETH_P_IPV6
                wire.sendto(sealed, (interface, kind, 0, 0, mac))
        if wire in ready:
            packet, (_, kind, way, _, _) = wire.recvfrom(65535)
            if way == socket.PACKET_OUTGOING or kind not in (ETH_P_IP, ETH_P_IPV6):
                continue
            if (packet[9] if kind == ETH_P_IP else packet[6]) not in (ESP, AH):
                continue
            result, inside = incoming.packet(IN, 0, packet)
            said[result] += 1
            if result == "ok":
                os.write(tun, inside)
    print(*(f"{result} {count}" for result, count in said.items()), flush=True)


main()
