"""The least of a path computation element (RFC 5440, RFC 8231) that FRR's pathd talks to.

    pce.py ADDRESS

Debian 12 has none. This one opens sessions with whatever capabilities the other end announces,
keeps them alive, and prints a line for everything that it is told: the names of the paths that a
PCC reports, above all. It computes nothing.
"""

import selectors
import socket
import struct
import sys
import time

PORT = 4189
VERSION = 1 << 5
OPEN, KEEPALIVE, ERROR, CLOSE, REPORT = 1, 2, 6, 7, 10  # messages
OPEN_OBJECT, LSP_OBJECT = 1, 32
SYMBOLIC_PATH_NAME = 17
KEEPALIVE_TIME, DEAD_TIME = 1, 120
NAMES = {OPEN: "open", KEEPALIVE: "keepalive", ERROR: "error", CLOSE: "close", REPORT: "report"}


def say(text):
    print(text, flush=True)


def message(kind, body=b""):
    return struct.pack("!BBH", VERSION, kind, 4 + len(body)) + body


def open_message(session, tlvs):
    body = struct.pack("!BBBB", VERSION, KEEPALIVE_TIME, DEAD_TIME, session) + tlvs
    return message(OPEN, struct.pack("!BBH", OPEN_OBJECT, 1 << 4, 4 + len(body)) + body)


def parts(data, head):
    """(header, body) of a chain of objects or TLVs: those count the header in, these pad the body."""
    objects = head == "!BBH"
    at = 0
    while at + 4 <= len(data):
        header = struct.unpack_from(head, data, at)
        end = at + header[-1] + (0 if objects else 4)
        if end < at + 4 or end > len(data):
            raise ValueError(f"a length of {header[-1]} in {data.hex()}")
        yield header, data[at + 4:end]
        at = end + -end % 4


class Session:
    """One connection with a PCC."""

    def __init__(self, sock, peer, number):
        self.sock = sock
        self.peer = peer
        self.number = number
        self.data = b""
        self.heard = time.monotonic()
        say(f"{peer} connected")

    def receive(self):
        """Handles what is there; False when the session is over."""
        try:
            got = self.sock.recv(65536)
        except OSError as error:
            say(f"{self.peer} lost: {error}")
            return False
        if not got:
            say(f"{self.peer} ended")
            return False
        self.heard = time.monotonic()
        self.data += got
        while len(self.data) >= 4:
            version, kind, length = struct.unpack_from("!BBH", self.data)
            if version >> 5 != 1 or length < 4:
                raise ValueError(f"a header {self.data[:4].hex()}")
            if len(self.data) < length:
                break
            body, self.data = self.data[4:length], self.data[length:]
            self.handle(kind, body)
        return True

    def handle(self, kind, body):
        say(f"{self.peer} {NAMES.get(kind, f'message {kind}')}")
        for (number, *_), content in parts(body, "!BBH"):
            if kind == OPEN and number == OPEN_OBJECT:
                self.sock.sendall(open_message(self.number, content[4:]) + message(KEEPALIVE))
            if kind == REPORT and number == LSP_OBJECT:
                for (tlv, _), value in parts(content[4:], "!HH"):
                    if tlv == SYMBOLIC_PATH_NAME:
                        say(f"{self.peer} reports {value.rstrip(bytes(1)).decode()}")

    def tick(self):
        """Keeps it alive; False when it is dead."""
        if time.monotonic() - self.heard > DEAD_TIME:
            say(f"{self.peer} is silent")
            return False
        try:
            self.sock.sendall(message(KEEPALIVE))
        except OSError as error:
            say(f"{self.peer} lost: {error}")
            return False
        return True


def main(address):
    chooser = selectors.DefaultSelector()
    server = socket.create_server((address, PORT))
    chooser.register(server, selectors.EVENT_READ)
    say("listening")
    count, due = 0, time.monotonic()

    def end(session):
        chooser.unregister(session.sock)
        session.sock.close()

    while True:
        for key, _ in chooser.select(max(0, due - time.monotonic())):
            if key.fileobj is server:
                sock, (peer, _) = server.accept()
                count += 1
                chooser.register(sock, selectors.EVENT_READ, Session(sock, peer, count % 256))
            elif not key.data.receive():
                end(key.data)
        if time.monotonic() >= due:
            due += KEEPALIVE_TIME
            for key in list(chooser.get_map().values()):
                if key.data and not key.data.tick():
                    end(key.data)


if __name__ == "__main__":
    main(sys.argv[1])
