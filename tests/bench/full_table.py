"""A BGP full table from BIRD to BIRD: seconds from Established until 99 % of it has arrived.

packed: all routes share one set of attributes, so that an UPDATE carries many of them.
real: a fresh AS path and community for every five prefixes, as the Internet's table is.

BIRD leaves the last routes for a timer of some seconds; hence 99 %. One sender per kind of table
stays up for all trials; the receiver starts empty each time.
"""

import os
import re
import socket
import time

from daemons import Bird, Peer
from daemons.bird import session_name
from ground import Cpu, Engines, NoEngines, figure, median, print_table
from wait import wait_for

PASSWORD = "benchmark"
CASES = ["plain", "TCP-MD5", "engine"]
POLL = 0.02
PATIENCE = 120  # seconds for one table
ATTRIBUTES = """function as_received(int a; int b; int c; int d) {
    bgp_path.prepend(a); bgp_path.prepend(b); bgp_path.prepend(c); bgp_path.prepend(3356);
    bgp_community.add((3356, d));
}
"""


def routes(kind, count):
    """The routes as lines of BIRD's configuration."""
    for i in range(count):
        n = 0x01000000 + (i << 8)
        prefix = f"{n >> 24}.{n >> 16 & 255}.{n >> 8 & 255}.0/24"
        group = i // 5
        attributes = "" if kind == "packed" else (
            f" {{ as_received({100000 + group}, {200000 + group % 7919}, {300000 + group % 97}, "
            f"{group % 65536}); }}")
        yield f"route {prefix} blackhole{attributes};\n"


class Sender(Bird):
    """BIRD with the table, waiting for either peer."""

    def __init__(self, host, kind, count):
        super().__init__(host, 65001, [Peer("10.77.0.2", 65002, passive=True),
                                       Peer("10.77.1.2", 65002, passive=True, password=PASSWORD)],
                         name=f"sender-{kind}")
        self.count = count
        with open(self.path("routes.conf"), "w", encoding="utf-8") as file:
            file.writelines(routes(kind, count))

    def configuration(self):
        table = f"protocol static full {{\nipv4;\ninclude \"{self.path('routes.conf')}\";\n}}\n"
        return ATTRIBUTES + super().configuration() + table

    def start(self):
        super().start()
        wait_for(lambda: str(self.count) in self.birdc("show route count"), 120,
                 "BIRD has loaded the table")
        return self


class Questions:
    """BIRD's control socket, without starting birdc for each question."""

    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.connect(path)
        self.answer()

    def ask(self, question):
        self.socket.sendall(question.encode() + b"\n")
        return self.answer()

    def answer(self):
        text = ""
        while not re.search(r"^\d{4} .*\n\Z", text, re.MULTILINE):
            text += self.socket.recv(65536).decode()
        return text


def _routes_imported(answer):
    found = re.search(r"Routes:\s+(\d+) imported", answer)
    return int(found.group(1)) if found else 0


def arrival(receiver, peer, count):
    """Seconds from Established until 99 % of the routes are there."""
    questions = Questions(receiver.path("ctl"))
    question = f"show protocols all {session_name(peer)}"
    deadline = time.monotonic() + PATIENCE
    established = None
    while time.monotonic() < deadline:
        answer = questions.ask(question)
        now = time.monotonic()
        if established is None and "BGP state:          Established" in answer:
            established = now
        if established is not None and _routes_imported(answer) >= 0.99 * count:
            questions.socket.close()
            return now - established
        time.sleep(POLL)
    raise AssertionError(f"the table did not arrive within {PATIENCE} s\n{receiver.tail()}")


def trial(a, b, build_dir, sender, case, number):
    """{"seconds": …, "cpu": {…}, "refused": …} of one transfer."""
    peer = "10.77.1.1" if case == "TCP-MD5" else "10.77.0.1"
    receiver = Bird(b, 65002, [Peer(peer, 65001, password=PASSWORD if case == "TCP-MD5" else None)],
                    name=f"receiver-{number}")
    engines = Engines(a, b, build_dir, 179) if case == "engine" else NoEngines()
    with engines:
        receiver.start()
        cpu = Cpu({"sender": [sender.process.pid], "receiver": [receiver.process.pid],
                   **engines.pids()})
        seconds = arrival(receiver, peer, sender.count)
        result = {"seconds": seconds, "cpu": cpu.seconds(), "refused": engines.refused()}
        receiver.stop()
        # The next trial, perhaps without engines, must not meet what is left of this session.
        wait_for(lambda: not sender.established(peer.rpartition(".")[0] + ".2"), 30,
                 "the sender has noticed the receiver's end")
    return result


def measure(a, b, build_dir, quiet, kind, cases, repetitions, count):
    """The trials by case, interleaved."""
    trials = {case: [] for case in cases}
    sender = Sender(a, kind, count)
    sender.start()
    for repetition in range(repetitions):
        for case in cases:
            quiet.wait()
            trials[case].append(trial(a, b, build_dir, sender, case,
                                      f"{kind}-{case}-{repetition}"))
    sender.kill()
    os.remove(sender.path("routes.conf"))
    return trials


def report(kind, count, trials):
    """Prints the table and returns {case: median seconds}."""
    times = {case: median([t["seconds"] for t in list_]) for case, list_ in trials.items()}
    rows = []
    for case, list_ in trials.items():
        def cpu(name, list_=list_):
            values = [t["cpu"][name] for t in list_ if name in t["cpu"]]
            return f"{median(values):.2f}" if values else "-"
        together = median([sum(t["cpu"].values()) for t in list_])
        rows.append([case, figure([t["seconds"] for t in list_]), cpu("sender"), cpu("receiver"),
                     cpu("engine a"), cpu("engine b"), f"{together:.2f}",
                     sum(t["refused"] for t in list_),
                     *(f"{times[case] / times[base]:.2f}" if base in times else "-"
                       for base in ("TCP-MD5", "plain"))])
    print_table([f"{count} routes, {kind}", "s to 99 %", "CPU s sender", "receiver", "engine a",
                 "engine b", "all", "refused", "/MD5", "/plain"], rows)
    return times
