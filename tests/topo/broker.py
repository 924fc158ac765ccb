"""gatehoused's parent with a test in the place of its `ao` process (broker.c)."""

import array
import ipaddress
import os
import socket
import struct

from gatehouse import Gatehouse
from wait import wait_for

NO_ZONE = 65535
QUEUE, GUARD, STRICT = 0, 1, 2
WITH_DESCRIPTOR = ("STATE", "CONFIG", "QUEUE", "SHIM", "FETCHED")
SO_COOKIE = 57


def flow(kind, peer, local=None, local_port=0, remote_port=0):
    """One flow as FLOWS has it."""
    peer = ipaddress.ip_network(peer)
    local = ipaddress.ip_address(local).packed if local else b""
    return (struct.pack("!BB", kind, len(peer.network_address.packed))
            + peer.network_address.packed + struct.pack("!BB", peer.prefixlen, len(local)) + local
            + struct.pack("!HH", local_port, remote_port))


def cookie(sock):
    return struct.unpack("=Q", sock.getsockopt(socket.SOL_SOCKET, SO_COOKIE, 8))[0]


class Broker(Gatehouse):
    """Messages by name: send() to the parent, expect() from it."""

    def __init__(self, host, build_dir, config, name="broker"):
        super().__init__(host, build_dir, config, name)
        self.daemon = os.path.join(build_dir, "tests", "topo", "broker")
        self.path = os.path.join(self.dir, "test.sock")
        self.door = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.door.bind(self.path)
        self.door.listen()
        self.door.settimeout(10)
        host.net.at_end(self.close)
        self.line = None
        self.heard = []  # (name, body, descriptor) in their order, as long as nobody expected them
        self.ids = 0

    def start(self, wait=True):
        self.process = self.host.spawn(
            [self.daemon, "-f", "-c", self.config_file, "-r", self.run_dir], self.log,
            env={"BROKER_SOCKET": self.path})
        self.take_ao()
        if wait:
            wait_for(lambda: "ready: " in self.tail(), 10, lambda: f"ready\n{self.tail()}")
        return self

    def close(self):
        for end in (self.line, self.door):
            if end:
                end.close()

    def take_ao(self):
        """The next `ao` process, from its start on."""
        if self.line:
            self.line.close()
        self.heard = []
        self.line, _ = self.door.accept()

    def send(self, name, body=b"", fd=None):
        data = name.encode() + b"\0" + body
        if fd is None:
            self.line.send(data)
        else:
            socket.send_fds(self.line, [data], [fd])

    def _receive(self, timeout):
        self.line.settimeout(timeout)
        data, ancillary, _, _ = self.line.recvmsg(1 << 17, socket.CMSG_SPACE(4))
        if not data:
            raise AssertionError(f"ao's process has ended\n{self.tail()}")
        name, _, body = data.partition(b"\0")
        fds = array.array("i")
        for _, _, octets in ancillary:
            fds.frombytes(octets[:4])
        self.heard.append((name.decode(), body, fds[0] if fds else None))

    def expect(self, name, timeout=10):
        """(body, descriptor) of the next message of this name."""
        while True:
            for i, (heard, body, fd) in enumerate(self.heard):
                if heard == name:
                    del self.heard[i]
                    return body, fd
            try:
                self._receive(timeout)
            except TimeoutError:
                names = [heard for heard, _, _ in self.heard]
                raise AssertionError(f"no {name} in {timeout} s, but {names}\n{self.tail()}") from None

    def silent(self, name, seconds):
        """Asserts that no such message comes."""
        try:
            body, _ = self.expect(name, seconds)
        except AssertionError as error:
            assert str(error).startswith(f"no {name} in"), error
        else:
            raise AssertionError(f"{name} came: {body!r}")

    def _ask(self, name, body, answer, fd=None):
        self.ids += 1
        self.send(name, struct.pack("!I", self.ids) + body, fd)
        said, fd = self.expect(answer)
        assert struct.unpack("!I", said[:4])[0] == self.ids
        return said[4:], fd

    def zone(self, sock, make=True):
        """The index of the socket's zone, or None."""
        said, _ = self._ask("ZONE", bytes([make]), "ZONED", sock.fileno())
        index = struct.unpack("!H", said)[0]
        return index if index != NO_ZONE else None

    def flows(self, zone, *flows):
        """Whether they were installed."""
        said, _ = self._ask("FLOWS", struct.pack("!H", zone) + b"".join(flows), "FLOWED")
        return said == b"\1"

    def watch(self, zone, sock):
        self.send("WATCH", struct.pack("!HQ", zone, cookie(sock)))
