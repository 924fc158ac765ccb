"""Which TCP-AO keys the kernel has on the TCP sockets of a process; runs where the process runs.

    socket_keys.py PID [PID…]      prints a JSON list, one entry a socket with keys:
                                   {"listening": …, "remote": …, "keys": [[send id, receive id], …]}
"""

import ctypes
import json
import os
import socket
import struct
import sys

PIDFD_GETFD, TCP_AO_GET_KEYS, TCP_LISTEN = 438, 41, 10
KEY = struct.Struct("=128s64s80sIHBBBBBBiQQ")  # struct tcp_ao_getsockopt
ROOM = 32
libc = ctypes.CDLL(None, use_errno=True)


def keys_of(sock):
    """[(send id, receive id)], or None where the socket knows nothing of TCP-AO."""
    asked = KEY.pack(b"", b"", b"", ROOM, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0)  # get_all
    buffer = ctypes.create_string_buffer(asked, KEY.size * ROOM)
    size = ctypes.c_uint32(KEY.size)
    if libc.getsockopt(sock.fileno(), socket.IPPROTO_TCP, TCP_AO_GET_KEYS, buffer,
                       ctypes.byref(size)) != 0:
        return None
    count = KEY.unpack_from(buffer)[3]
    return sorted(KEY.unpack_from(buffer, n * KEY.size)[5:7] for n in range(count))


def look(fd):
    sock = socket.socket(fileno=fd)
    with sock:
        if sock.family not in (socket.AF_INET, socket.AF_INET6) or sock.type != socket.SOCK_STREAM:
            return None
        listening = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0] == TCP_LISTEN
        try:
            remote = sock.getpeername()[0]
        except OSError:
            remote = None
        keys = keys_of(sock)
        return keys and {"listening": listening, "remote": remote, "keys": keys}


def main(pids):
    found = []
    for pid in map(int, pids):
        pidfd = os.pidfd_open(pid)
        for name in os.listdir(f"/proc/{pid}/fd"):
            if not os.readlink(f"/proc/{pid}/fd/{name}").startswith("socket:"):
                continue
            fd = libc.syscall(PIDFD_GETFD, pidfd, int(name), 0)
            entry = look(fd) if fd >= 0 else None
            if entry:
                found.append(entry)
    print(json.dumps(found))


main(sys.argv[1:])
