"""A program that speaks TCP and nothing more: stands for a routing daemon where none is needed.

    talker.py listen ADDRESS PORT           takes connections, echoes what comes
    talker.py connect ADDRESS PORT [--md5]  connects, again and again, and speaks twice a second
    talker.py idle ADDRESS PORT [--device D]  connects, speaks once, and again at each SIGUSR1
    talker.py multicast GROUP PORT          sends one datagram to a group, and ends

It prints a line for everything that happens to it.
"""

import argparse
import select
import signal
import socket
import struct
import sys
import time


def say(text):
    print(text, flush=True)


def family(address):
    return socket.AF_INET6 if ":" in address else socket.AF_INET


def sign_with_md5(sock, peer, key=b"secret"):
    """struct tcp_md5sig of linux/tcp.h, for IPv4."""
    address = struct.pack("!2s2s4s120x", struct.pack("=H", socket.AF_INET), b"\0\0",
                          socket.inet_aton(peer))
    sock.setsockopt(socket.IPPROTO_TCP, 14, address + struct.pack("=BBHi80s", 0, 0, len(key), 0, key))


def listen(options):
    server = socket.socket(family(options.address))
    server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    server.bind((options.address, options.port))
    server.listen()
    say("listening")
    sockets = [server]
    while True:
        for sock in select.select(sockets, [], [])[0]:
            if sock is server:
                sockets.append(server.accept()[0])
                say("accepted")
                continue
            try:
                data = sock.recv(4096)
                sock.sendall(data)
            except OSError as error:
                say(f"lost: {error}")
                data = b""
            if not data:
                sockets.remove(sock)
                sock.close()


def speak(options):
    with socket.socket(family(options.address)) as sock:
        if options.md5:
            sign_with_md5(sock, options.address)
        sock.settimeout(2)
        sock.connect((options.address, options.port))
        say("connected")
        while True:
            sock.sendall(b"x")
            if not sock.recv(4096):
                raise OSError("closed by the peer")
            time.sleep(0.5)


def idle(options):
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1])
    with socket.socket(family(options.address)) as sock:
        if options.device:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, options.device.encode())
        sock.connect((options.address, options.port))
        while True:
            sock.sendall(b"x")
            say("answered" if sock.recv(1) else "closed by the peer")
            signal.sigwait([signal.SIGUSR1])


def multicast(options):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, 8)
        sock.sendto(b"x", (options.address, options.port))


def connect(options):
    while True:
        try:
            speak(options)
        except OSError as error:
            say(f"lost: {error}")
        time.sleep(0.5)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("mode", choices=["listen", "connect", "idle", "multicast"])
    parser.add_argument("address")
    parser.add_argument("port", type=int)
    parser.add_argument("--md5", action="store_true")
    parser.add_argument("--device")
    options = parser.parse_args()
    {"listen": listen, "connect": connect, "idle": idle,
     "multicast": multicast}[options.mode](options)


if __name__ == "__main__":
    sys.exit(main())
