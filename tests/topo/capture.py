"""Captures in a namespace, and TCP segments read from them."""

import dataclasses
import ipaddress
import os
import re
import signal
import struct

from wait import wait_for

TCP_AO = 29
TCP_MD5 = 19
MSS = 2
SACK = 5
FIN, SYN, RST, ACK = 0x01, 0x02, 0x04, 0x10


@dataclasses.dataclass
class Segment:
    """One TCP segment of a capture; options as (kind, bytes after kind and length) in wire order."""

    time: float
    src: str
    dst: str
    sport: int
    dport: int
    seq: int
    ack: int
    flags: int
    options: list
    payload: bytes
    packet: bytes  # from the IP header on

    def option(self, kind):
        """The body of the first option of a kind, or None."""
        return next((body for k, body in self.options if k == kind), None)

    @property
    def ao(self):
        """(KeyID, RNextKeyID, MAC) of the TCP-AO option, or None."""
        body = self.option(TCP_AO)
        return None if body is None else (body[0], body[1], body[2:])


class Capture:
    """tcpdump on an interface of a namespace, into a file."""

    def __init__(self, namespace, interface="eth0", expression="tcp", name="capture", longest=70000):
        """longest: octets of a packet that are kept; the shorter, the more of them may wait for tcpdump."""
        self.namespace = namespace
        self.directory = namespace.directory(name)
        self.path = os.path.join(self.directory, f"{interface}.pcap")
        out = os.path.join(self.directory, "out")
        for left in (self.path, out):  # by an earlier one: what it saw, and that it listened
            if os.path.exists(left):
                os.unlink(left)
        # In immediate mode each slot of the buffer has room for the longest packet: by default
        # there are eight, and a busy machine loses what follows.
        self.process = namespace.spawn(
            ["tcpdump", "-i", interface, "-n", "-U", "-s", longest, "-B", namespace.capture_kib,
             "--immediate-mode", "-Z", "root", "-w", self.path, expression], out)
        self.out = out

        def listening():
            if not os.path.exists(out):
                return False
            with open(out, encoding="utf-8") as file:
                return "listening on" in file.read()
        wait_for(listening, 10, "tcpdump listens")

    def segments(self):
        """The TCP segments captured until now."""
        return list(read_segments(self.path))

    def asleep(self):
        """Whether tcpdump waits for packets: it has written all that the kernel has given to it."""
        stat = self.namespace.run(["cat", f"/proc/{self.process.pid}/stat"]).stdout
        return stat.rpartition(")")[2].split()[0] == "S"

    def stop(self):
        """Ends it once it has written what was captured, and returns the segments."""
        wait_for(self.asleep, 10, "tcpdump has written all")
        self.process.signal(signal.SIGINT)
        self.process.wait()
        with open(self.out, encoding="utf-8") as file:
            lost = re.search(r"^([1-9]\d*) packets dropped by kernel", file.read(), re.MULTILINE)
        assert lost is None, f"the capture is not whole: {lost[0]}"
        return self.segments()


def read_segments(path):
    """The TCP segments of a capture file."""
    for time, frame in read_frames(path):
        segment = parse_frame(frame, time)
        if segment:
            yield segment


def read_frames(path):
    """(time, frame) from a capture file in libpcap's old format, whole records only. What has no Ethernet
    header, as on a tunnel device, gets one."""
    with open(path, "rb") as file:
        header = file.read(24)
        if len(header) < 24:
            return
        magic, link = struct.unpack("<I16xI", header)
        assert magic == 0xA1B2C3D4 and link in (1, 101), f"{path}: not a little-endian capture of packets"
        while True:
            record = file.read(16)
            if len(record) < 16:
                return
            seconds, micros, length, _ = struct.unpack("<IIII", record)
            frame = file.read(length)
            if len(frame) < length:
                return
            if link == 101:
                frame = bytes(12) + (b"\x08\x00" if frame[0] >> 4 == 4 else b"\x86\xdd") + frame
            yield seconds + micros / 1e6, frame


def parse_frame(frame, time=0.0):
    kind = struct.unpack_from("!H", frame, 12)[0]
    return parse_packet(frame[14:], time) if kind in (0x0800, 0x86DD) else None


def parse_packet(packet, time=0.0):
    """A Segment from an IP packet without IPv6 extension headers, None where it is not TCP."""
    if packet[0] >> 4 == 4:
        start = (packet[0] & 15) * 4
        protocol, end = packet[9], struct.unpack_from("!H", packet, 2)[0]
        src, dst = packet[12:16], packet[16:20]
    else:
        start = 40
        protocol, end = packet[6], 40 + struct.unpack_from("!H", packet, 4)[0]
        src, dst = packet[8:24], packet[24:40]
    if protocol != 6 or len(packet) < start + 20:
        return None
    tcp = packet[start:end]
    sport, dport, seq, ack, offset, flags = struct.unpack_from("!HHIIBB", tcp)
    size = (offset >> 4) * 4
    return Segment(time, str(ipaddress.ip_address(src)), str(ipaddress.ip_address(dst)), sport,
                   dport, seq, ack, flags, parse_options(tcp[20:size]), tcp[size:], packet[:end])


def parse_options(data):
    """TCP options as (kind, body); stops where they make no sense."""
    options, at = [], 0
    while at < len(data) and data[at] != 0:
        if data[at] == 1:
            at += 1
            continue
        if at + 1 >= len(data) or data[at + 1] < 2 or at + data[at + 1] > len(data):
            break
        options.append((data[at], bytes(data[at + 2:at + data[at + 1]])))
        at += data[at + 1]
    return options
