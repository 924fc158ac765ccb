"""The other end of the preload library for tests of the library alone: a gatehoused to which no
socket means anything."""

import array
import os
import socket
import struct
import threading

VERSION = 1
HELLO, CONNECT, LISTEN, ACCEPTED, SETOPT = 1, 2, 3, 4, 5
PASS = 0


class ShimServer:
    """Answers PASS to all; what it was asked is in .asked, as (operation, name of the program). Of
    which users the programs were when they connected is in .users, by name of the program."""

    def __init__(self, path):
        self.path = path
        self.asked = []
        self.users = {}
        self._connections = []
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._listener.bind(path)
        os.chmod(path, 0o666)
        self._listener.listen(64)
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self._connections.append(connection)
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection):
        name = None
        credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)
        _, user, _ = struct.unpack("iII", credentials)
        with connection:
            while True:
                request, control, _, _ = connection.recvmsg(
                    200000, socket.CMSG_SPACE(4), socket.MSG_CMSG_CLOEXEC)
                for level, kind, octets in control:
                    if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
                        for fd in array.array("i", octets):
                            os.close(fd)
                if not request:
                    return
                version, op, _, _ = struct.unpack_from("!BBHI", request)
                assert version == VERSION
                if op == HELLO:
                    name = request[8:].decode()
                    self.users.setdefault(name, set()).add(user)
                self.asked.append((op, name))
                body = b"\0" if op == HELLO else b""  # the kernel has no TCP-AO
                connection.send(struct.pack("!BBHII", VERSION, PASS, 0, 0, 0) + body)

    def close(self):
        """As if it had ended; whoever was connected notices."""
        for connection in self._connections:
            if connection.fileno() >= 0:
                connection.shutdown(socket.SHUT_RDWR)
        if self._listener.fileno() >= 0:
            self._listener.shutdown(socket.SHUT_RDWR)
            self._listener.close()
            os.unlink(self.path)
