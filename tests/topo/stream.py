"""One long TCP connection between two namespaces that tells how far it got and whether it broke.

As a program it is one end: the client sends numbered blocks until SIGTERM, the server checks that
none is lost, repeated or changed. Stream starts both and watches them.
"""

import os
import signal
import socket
import struct
import sys
import time

BLOCK = 4096
PACE = 0.002  # seconds between blocks: some 16 Mbit/s


def block(number):
    return struct.pack("!Q", number) * (BLOCK // 8)


def note(path, number):
    with open(path + ".new", "w", encoding="utf-8") as file:
        file.write(str(number))
    os.rename(path + ".new", path)


def serve(address, port, path):
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((address, port))
    listener.listen()
    note(path, 0)
    connection, _ = listener.accept()
    listener.close()
    number, rest = 0, b""
    while True:
        data = connection.recv(65536)
        if not data:
            break
        rest += data
        while len(rest) >= BLOCK:
            assert rest[:BLOCK] == block(number), f"block {number} is wrong"
            number, rest = number + 1, rest[BLOCK:]
        note(path, number)
    assert not rest, "the last block is cut"
    connection.sendall(struct.pack("!Q", number))


def send(address, port, path):
    asked_to_end = []
    signal.signal(signal.SIGTERM, lambda *_: asked_to_end.append(True))
    connection = socket.create_connection((address, port), timeout=60)
    number = 0
    while not asked_to_end:
        connection.sendall(block(number))
        number += 1
        time.sleep(PACE)
    connection.shutdown(socket.SHUT_WR)
    told = connection.recv(8)
    assert struct.unpack("!Q", told)[0] == number, "not all has arrived"
    note(path, number)


class Stream:
    """client and server: namespaces. start() returns once blocks have arrived."""

    def __init__(self, client, server, address, port=179, name="stream"):
        self.ends = (client, server)
        self.address, self.port = address, port
        self.path = os.path.join(server.directory(name), "count")
        self.log = os.path.join(server.directory(name), "log")
        self.receiver = self.sender = None

    def open(self):
        """Both ends run; the connection may come up or not."""
        from wait import wait_for  # not when this file runs as a program
        client, server = self.ends
        for left in (self.path, self.path + ".sent"):  # of an earlier namespace of that name
            if os.path.exists(left):
                os.unlink(left)
        self.receiver = server.spawn(self._argv("serve", self.path), self.log)
        wait_for(lambda: os.path.exists(self.path), 10, "the server listens")
        self.sender = client.spawn(self._argv("send", self.path + ".sent"), self.log)
        return self

    def start(self):
        self.open()
        self.wait_more()
        return self

    def _argv(self, *words):
        return ["/usr/bin/python3", __file__, words[0], self.address, self.port, words[1]]

    def count(self):
        with open(self.path, encoding="utf-8") as file:
            return int(file.read())

    def wait_more(self, blocks=20, timeout=20):
        """Waits until that many more blocks have arrived on the same connection."""
        from wait import wait_for
        before = self.count()
        wait_for(lambda: self.count() >= before + blocks or not self.sender.alive(), timeout,
                 lambda: f"more than {before} blocks, only {self.count()}")
        assert self.sender.alive() and self.receiver.alive(), "the connection broke"

    def finish(self):
        """Ends the connection in order; every block sent must have arrived."""
        self.sender.signal(signal.SIGTERM)
        assert self.sender.wait(30) == 0, "the sender failed"
        assert self.receiver.wait(30) == 0, "the receiver failed"
        with open(self.path + ".sent", encoding="utf-8") as file:
            assert int(file.read()) == self.count()


if __name__ == "__main__":
    {"serve": serve, "send": send}[sys.argv[1]](sys.argv[2], int(sys.argv[3]), sys.argv[4])
