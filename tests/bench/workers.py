"""Two tunnels at once, with one process that carries packets and with two at each end (`workers`).

Each tunnel has one stream of TCP. Where the machine has four processors, each end has half of them; with two,
each has one, and the figure says what a second process costs there instead of what it brings.
"""

import json
import os
import time

from data_plane import TCP_PORT
from ground import Cpu, figure, median, percent, print_table
from ike import IkeGatehouse, child_section, peer_section, section
from tunnels import INNER_A, INNER_B, OUTER_A, OUTER_B, SECRET
from wait import wait_for

CASES = [1, 2]
TUNNELS = (("t1", OUTER_A, OUTER_B, INNER_A, INNER_B),
           ("t2", "10.77.0.11", "10.77.0.12", "10.81.1.1", "10.82.1.1"))


def gatehouse(host, build_dir, workers, end):
    head = section("ike", workers=workers) + section('ike-policy "p"', force_nat_t=True)
    head += section('ipsec-transform "t"', encryption=["aes-128-gcm"])
    peers = ""
    for name, *ends in TUNNELS:
        ours, theirs, inner, other = ends if end == 0 else (ends[1], ends[0], ends[3], ends[2])
        peers += peer_section(name, psk_secret=SECRET, local=ours, remote=theirs, ike_policy="p", children=[
            child_section(local_ts=f"{inner}/32", remote_ts=f"{other}/32", ipsec_transform=["t"])])
    return IkeGatehouse(host, build_dir, head + peers, f"gatehouse-{time.monotonic_ns()}")


class Pair:
    """Gatehouse at both ends with both tunnels up."""

    def __init__(self, a, b, build_dir, workers):
        self.hosts = (a, b)
        for end, host in enumerate(self.hosts):
            for _, *ends in TUNNELS:
                host.run(["ip", "address", "replace", f"{ends[end]}/24", "dev", "eth0"])
                host.run(["ip", "address", "replace", f"{ends[2 + end]}/32", "dev", "lo"])
        self.ends = [gatehouse(host, build_dir, workers, end) for end, host in enumerate(self.hosts)]

    def __enter__(self):
        for end in self.ends:
            end.start()
        for name, *_ in TUNNELS:
            self.ends[0].gatectl("ike", "initiate", name)
        for end in self.ends:
            end.wait_sas(2, 2)
        return self

    def __exit__(self, *_):
        for end in self.ends:
            end.stop()
            end.host.run([end.daemon, "-r", end.run_dir, "--remove-rules"])

    def pids(self):
        """Of each process that carries packets."""
        return {f"{host.label} slot {slot['slot']}": [slot["pid"]]
                for host, end in zip(self.hosts, self.ends)
                for slot in end.ask("show", "ipsec", "group")["groups"][0]["slots"]}


def streams(a, b, pids, seconds):
    """{"gbit": of both streams together, "cpu": {process: share of a core}}."""
    out, clients = b.directory("iperf3-workers"), []
    for name, *ends in TUNNELS:
        b.spawn(["iperf3", "-s", "-1", "-B", ends[3], "-p", TCP_PORT],
                os.path.join(out, f"server-{name}-{time.monotonic_ns()}"))
        wait_for(lambda there=ends[3]: f"{there}:{TCP_PORT}" in b.run(["ss", "-Hltn"]).stdout, 10,
                 "iperf3 listens")
    for name, *ends in TUNNELS:
        log = os.path.join(out, f"client-{name}-{time.monotonic_ns()}")
        clients.append((log, a.spawn(["iperf3", "-c", ends[3], "-B", ends[2], "-p", TCP_PORT, "-t", seconds,
                                      "-O", 1, "-C", "cubic", "-J"], log)))
    time.sleep(1 + seconds * 0.1)
    cpu = Cpu(pids)
    time.sleep(seconds * 0.8)
    shares, rate = cpu.shares(), 0
    for log, client in clients:
        status = client.wait(seconds + 20)
        with open(log, encoding="utf-8") as file:
            text = file.read()
        assert status == 0, f"iperf3: {text}"
        rate += json.loads(text)["end"]["sum_received"]["bits_per_second"] / 1e9
    return {"gbit": rate, "cpu": {name: shares[name] for name in pids}}


class Processors:
    """Half of the machine's for either end; one each where there are fewer than four."""

    def __init__(self, a, b):
        self.hosts, self.before = (a, b), [getattr(host, "cpu", None) for host in (a, b)]

    def __enter__(self):
        cpus = sorted(os.sched_getaffinity(0))
        if len(cpus) >= 4 and None not in self.before:
            half = len(cpus) // 2
            for host, some in zip(self.hosts, (cpus[:half], cpus[half:])):
                host.cpu = ",".join(map(str, some))
        return self

    def __exit__(self, *_):
        for host, cpu in zip(self.hosts, self.before):
            if cpu is not None:
                host.cpu = cpu


def measure(a, b, build_dir, quiet, repetitions, seconds):
    """{number of processes: [figures, …]}, in turns."""
    trials = {workers: [] for workers in CASES}
    with Processors(a, b):
        for _ in range(repetitions):
            for workers in CASES:
                quiet.wait()
                with Pair(a, b, build_dir, workers) as pair:
                    trials[workers].append(streams(a, b, pair.pids(), seconds))
    return trials


def report(trials):
    """Prints the table."""
    print_table(["two tunnels, a stream each", "Gbit/s", "of a core"],
                [[f"{workers} at each end", figure([t["gbit"] for t in runs]),
                  ", ".join(f"{name} {percent(median([t['cpu'][name] for t in runs]))}"
                            for name in runs[0]["cpu"])] for workers, runs in trials.items()])
