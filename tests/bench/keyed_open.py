"""From a program's connect() to its connection: without TCP-AO, with a static key, with keys by IKE.

cold: nothing is there yet, so that the SYN waits for an IKE SA and its first Child SA;
warm: the IKE SA is there, each connection needs a Child SA of its own;
again: the key is there.

For these each port of b is a session with keys of its own, all by one IKE peer with a pre-shared key;
for the many at once each is an address with an IKE peer of its own.
"""

import os
import sys

from ground import TESTS, figure, print_table

sys.path.insert(0, os.path.join(TESTS, "topo"))

from gatehouse import Key, key_chain, tcp_ao  # noqa: E402
from ike import peer_section  # noqa: E402
from keyed import KeyedGatehouse, keyed_session  # noqa: E402
from wait import wait_for  # noqa: E402

A, B = "10.77.0.1", "10.77.0.2"
PLAIN, STATIC, KEYED = 19000, 19500, 20000  # first ports
CASES = ["plain", "static key", "cold", "warm", "again"]

LISTEN = """
import resource, selectors, socket, sys
resource.setrlimit(resource.RLIMIT_NOFILE, (8192, 8192))
selector, kept = selectors.DefaultSelector(), []
for word in sys.argv[2:]:
    first, count = map(int, word.split("+"))
    for port in range(first, first + count):
        selector.register(socket.create_server((sys.argv[1], port)), selectors.EVENT_READ)
print("ready", flush=True)
while True:
    for key, _ in selector.select():
        kept.append(key.fileobj.accept()[0])
"""

ONE_BY_ONE = """
import socket, sys, time
host, unprotected, *ports = sys.argv[1:]
socket.create_connection((host, unprotected)).close()  # the first one also loads what Python needs
for port in ports:
    start = time.perf_counter()
    socket.create_connection((host, port), timeout=30).close()
    print(1000 * (time.perf_counter() - start))
"""

AT_ONCE = """
import resource, selectors, socket, sys, time
resource.setrlimit(resource.RLIMIT_NOFILE, (8192, 8192))
selector = selectors.DefaultSelector()
start = time.perf_counter()
for address in sys.argv[2:]:
    s = socket.socket()
    s.setblocking(False)
    s.connect_ex((address, int(sys.argv[1])))
    selector.register(s, selectors.EVENT_WRITE)
took = []
while selector.get_map():
    ready = selector.select(60)
    if not ready:
        break
    for key, _ in ready:
        selector.unregister(key.fileobj)
        if key.fileobj.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == 0:
            took.append(time.perf_counter() - start)
print(len(took), *(f"{took[len(took) * n // 100 - 1]:.3f}" for n in (50, 99, 100)))
"""


def ike_peer(name, here, there):
    return peer_section(name, children=(), remote=there, local=here, psk_secret="benchmark")


def by_port(here, there, count):
    """A session with a static key, and sessions with negotiated ones by one IKE peer."""
    chain = key_chain("bench", [Key(1, "benchmark", 1, 1, "aes-128-cmac-96")])
    direction = "active" if here == A else "passive"
    return (chain + tcp_ao("static", there, "bench", port=STATIC, local=here)
            + ike_peer("peer", here, there)
            + "".join(keyed_session(f"keyed-{n}", there, "peer", local=here, port=KEYED + n,
                                    direction=direction) for n in range(count)))


def by_address(here, there, count):
    """A session with each of b's addresses, each with an IKE peer of its own."""
    def ends(n):
        return (A, address(n)) if here == A else (address(n), A)
    return "".join(ike_peer(f"peer-{n}", *ends(n))
                   + keyed_session(f"keyed-{n}", ends(n)[1], f"peer-{n}", local=ends(n)[0], port=KEYED)
                   for n in range(count))


def address(n):
    return f"10.77.{8 + n // 250}.{1 + n % 250}"


class Ends:
    """Fresh Gatehouses at both ends, and a listener at b."""

    def __init__(self, a, b, build_dir, config, count):
        self.a, self.b = a, b
        self.ends = [KeyedGatehouse(host, build_dir, config(*addresses, count), f"keyed-{host.label}")
                     for host, addresses in ((a, (A, B)), (b, (B, A)))]
        self.count = count

    def __enter__(self):
        for end in self.ends:
            end.start()
        log = os.path.join(self.b.directory("listener"), "log")
        if os.path.exists(log):  # an earlier one's says that it listens, too
            os.unlink(log)
        self.listener = self.b.spawn([sys.executable, "-c", LISTEN, "0.0.0.0", f"{PLAIN}+1", f"{STATIC}+1",
                                      f"{KEYED}+{self.count}"], log)
        wait_for(lambda: os.path.getsize(log) > 0, 10, "b listens")
        return self

    def __exit__(self, *_):
        self.listener.stop()
        for end in self.ends:
            end.stop()
            end.host.run([end.daemon, "-r", end.run_dir, "--remove-rules"])

    def keyed(self):
        """How many sessions have keys at both ends."""
        return min(sum(s["state"] == "keyed" for s in end.ask("show", "gatekeeper")["sessions"])
                   for end in self.ends)

    def run(self, ports):
        """Milliseconds of a connection to each, one after another, in one process."""
        done = self.a.run([sys.executable, "-c", ONE_BY_ONE, B, str(PLAIN), *map(str, ports)])
        return list(map(float, done.stdout.split()))


def measure(a, b, build_dir, quiet, repetitions, warm):
    """Prints milliseconds by case, and returns their medians."""
    trials = {case: [] for case in CASES}
    for _ in range(repetitions):
        quiet.wait()
        with Ends(a, b, build_dir, by_port, warm + 1) as ends:
            trials["plain"] += ends.run([PLAIN] * warm)
            trials["static key"] += ends.run([STATIC] * warm)
            assert ends.keyed() == 0
            trials["cold"] += ends.run([KEYED])
            assert ends.keyed() == 1
            others = range(KEYED + 1, KEYED + 1 + warm)
            trials["warm"] += ends.run(others)
            assert ends.keyed() == warm + 1
            trials["again"] += ends.run(others)
    print_table(["from connect() to a connection", "ms"],
                [[case, figure(values)] for case, values in trials.items()])
    return {case: sorted(values)[len(values) // 2] for case, values in trials.items()}


def all_at_once(a, b, build_dir, quiet, count):
    """All sessions of a host that begins anew, keyed at once."""
    b.run(["sh", "-c", 'for address; do echo "address add $address/16 dev eth0"; done | ip -batch -',
           "sh", *map(address, range(count))])
    a.run(["ip", "route", "add", "10.77.0.0/16", "dev", "eth0"])
    quiet.wait()
    with Ends(a, b, build_dir, by_address, count) as ends:
        done = a.run([sys.executable, "-c", AT_ONCE, str(KEYED), *map(address, range(count))])
        up, half, most, last = map(float, done.stdout.split())
        keyed = ends.keyed()
    print_table([f"{count} sessions keyed at once", "seconds"],
                [["up", f"{up:.0f}"], ["with keys at both ends", f"{keyed}"],
                 ["half of them", f"{half:.2f}"],
                 ["99 of 100", f"{most:.2f}"], ["the last", f"{last:.2f}"]])
