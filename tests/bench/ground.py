"""What the measurements stand on: two hosts with one core each, a quiet machine, and figures.

    net = netns.Net()
    a, b = two_hosts(net)        # everything of a runs on CPU 0, everything of b on CPU 1
    quiet.wait()                 # until the machine is idle, or the patience is used up
    cpu = Cpu({"sender": [pid], "engine a": pids})
    ...
    cpu.shares()                 # {"sender": 0.98, …} of one core since
"""

import os
import statistics
import sys
import time

TESTS = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, os.path.join(TESTS, "topo"))

import netns  # noqa: E402
from gatehouse import Gatehouse, Key, key_chain, tcp_ao  # noqa: E402

TICKS = os.sysconf("SC_CLK_TCK")
IDLE_ENOUGH = 0.92  # of all cores
WINDOW = 0.5  # seconds that the machine must have been idle


class PinnedNamespace(netns.Namespace):
    """A namespace whose processes all run on one CPU: a host with one core."""

    def __init__(self, net, name, cpu):
        self.cpu = cpu
        super().__init__(net, name)

    def command(self, argv):
        return ["taskset", "-c", str(self.cpu), *super().command(argv)]


def two_hosts(net, pinned=True):
    """Hosts a and b with a veth link: 10.77.0.1 and .2, and for TCP-MD5 10.77.1.1 and .2."""
    cpus = sorted(os.sched_getaffinity(0))
    if pinned:
        a, b = (PinnedNamespace(net, name, cpus[i % len(cpus)]) for i, name in enumerate("ab"))
    else:
        a, b = netns.Namespace(net, "a"), netns.Namespace(net, "b")
    net.namespaces += [a, b]
    net.link(a, b, ("10.77.0.1/24", "10.77.0.2/24"), ("10.77.1.1/24", "10.77.1.2/24"))
    return a, b


class Engines:
    """Gatehouse at both ends, protecting everything between 10.77.0.1 and 10.77.0.2 on a port."""

    def __init__(self, a, b, build_dir, port, algorithm="hmac-sha-1-96"):
        self.ends = []
        for host, peer in ((a, "10.77.0.2"), (b, "10.77.0.1")):
            chain = key_chain("bench", [Key(1, "benchmark", 1, 1, algorithm)])
            config = chain + tcp_ao("bench", peer, "bench", port=port)
            self.ends.append(Gatehouse(host, build_dir, config, f"engine-{time.monotonic_ns()}"))

    def __enter__(self):
        for end in self.ends:
            end.start()
        return self

    def __exit__(self, *_):
        for end in self.ends:
            end.stop()  # leaves the rules, which drop what comes without an engine
            end.host.run([end.daemon, "-r", end.run_dir, "--remove-rules"])

    def pids(self):
        """Process ids by host: {"engine a": [parent, ao], "engine b": [...]}."""
        return {f"engine {end.host.label}": list(end.processes().values()) for end in self.ends}

    def refused(self):
        """Segments dropped by either end: none is expected."""
        kept = {"ok", "signed", "repeated"}
        return sum(n for end in self.ends for name, n in end.counters("bench").items()
                   if name not in kept)


class NoEngines:
    """Nothing in the path, with the interface of Engines."""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def pids(self):
        return {}

    def refused(self):
        return 0


def _cpu_seconds(pid):
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8") as file:
            words = file.read().rpartition(")")[2].split()
    except FileNotFoundError:
        return 0.0
    return (int(words[11]) + int(words[12])) / TICKS


class Cpu:
    """CPU time of groups of processes since it was made."""

    def __init__(self, groups):
        self.groups = groups
        self.start = time.monotonic()
        self.before = self._now()

    def _now(self):
        return {name: sum(map(_cpu_seconds, pids)) for name, pids in self.groups.items()}

    def seconds(self):
        return {name: now - self.before[name] for name, now in self._now().items()}

    def shares(self):
        passed = time.monotonic() - self.start
        return {name: s / passed for name, s in self.seconds().items()}


def _idle_and_total():
    with open("/proc/stat", encoding="utf-8") as file:
        ticks = list(map(int, file.readline().split()[1:9]))
    return ticks[3] + ticks[4], sum(ticks)


class Quiet:
    """Waits before each measurement until others leave the machine alone, within a patience."""

    def __init__(self, patience):
        self.patience = patience  # seconds for the whole run
        self.disturbed = 0  # measurements that did not get a quiet machine
        self.taken = 0

    def wait(self):
        """Whether the machine was idle."""
        self.taken += 1
        deadline = time.monotonic() + self.patience
        while True:
            idle, total = _idle_and_total()
            time.sleep(WINDOW)
            idle_then, total_then = _idle_and_total()
            if idle_then - idle >= IDLE_ENOUGH * (total_then - total):
                break
            if time.monotonic() >= deadline:
                self.disturbed += 1
                break
        self.patience = max(0, deadline - time.monotonic())

    def verdict(self):
        if self.disturbed == 0:
            return "the machine was idle before each measurement"
        return (f"the machine was NOT idle before {self.disturbed} of {self.taken} measurements: "
                "read no small differences")


def median(values):
    return statistics.median(values)


def figure(values, digits=2):
    """`median (min–max)`."""
    return (f"{median(values):.{digits}f} "
            f"({min(values):.{digits}f}–{max(values):.{digits}f})")


def percent(share):
    return f"{100 * share:.0f}%"


def print_table(head, rows):
    """Columns aligned; the first to the left, the others to the right."""
    table = [head, *rows]
    widths = [max(len(str(row[i])) for row in table) for i in range(len(head))]
    for row in table:
        cells = [str(row[0]).ljust(widths[0])]
        cells += [str(c).rjust(w) for c, w in zip(row[1:], widths[1:])]
        print("  " + "  ".join(cells).rstrip(), flush=True)
    print(flush=True)
