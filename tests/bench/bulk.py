"""Bulk TCP over veth, and the set-up of connections: plain, TCP-MD5, the engine at both ends."""

import json
import os
import time

from ground import Cpu, Engines, NoEngines, figure, median, percent, print_table
from wait import wait_for

PORT = 5201
ALGORITHMS = ["hmac-sha-1-96", "aes-128-cmac-96", "hmac-sha-256-128"]
CASES = ["plain", "TCP-MD5", *(f"engine {a}" for a in ALGORITHMS)]
SENDER, RECEIVER = "10.77.0.1", "10.77.0.2"


class Bulk:
    """The program bulk at both ends; its lines of JSON."""

    def __init__(self, a, b, build_dir):
        self.hosts = a, b
        self.program = os.path.join(build_dir, "tests", "bench", "bulk")
        self.build_dir = build_dir

    def engines(self, case):
        kind, _, algorithm = case.partition(" ")
        if kind != "engine":
            return NoEngines()
        return Engines(*self.hosts, self.build_dir, PORT, algorithm)

    def _start(self, host, command, peer, number, case):
        log = os.path.join(host.directory("bulk"), f"{command}-{time.monotonic_ns()}")
        kind, _, algorithm = case.partition(" ")
        password = {"TCP-MD5": ["benchmark"], "kernel": [f"ao:{algorithm}"]}.get(kind, [])
        process = host.spawn([self.program, command, peer, str(PORT), str(number), *password], log)
        return process, log

    def run(self, case, commands, number, while_running=lambda pids: None):
        """The JSON of (listener, connector); commands: their names."""
        a, b = self.hosts
        listener, listener_log = self._start(b, commands[0], SENDER, number, case)
        wait_for(lambda: _lines(listener_log) or not listener.alive(), 10, "bulk listens")
        connector, log = self._start(a, commands[1], RECEIVER, number, case)
        result = while_running({"sender": [connector.pid], "receiver": [listener.pid]})
        for process, out in ((connector, log), (listener, listener_log)):
            assert process.wait(60) == 0, f"bulk failed: {_lines(out)}"
        return json.loads(_lines(listener_log)[-1]), json.loads(_lines(log)[-1]), result


def _lines(path):
    with open(path, encoding="utf-8") as file:
        return file.read().splitlines()


def transfer(bulk, case, seconds):
    """One trial: {"gbit": …, "retransmits": …, "mss": …, "cpu": {…}, "refused": …}."""
    with bulk.engines(case) as engines:

        def watch(pids):
            time.sleep(seconds * 0.2)  # a window inside the steady state
            cpu = Cpu({**pids, **engines.pids()})
            time.sleep(seconds * 0.7)
            return cpu.shares()
        received, sent, shares = bulk.run(case, ("receive", "send"), seconds, watch)
        assert received["bytes"] == sent["bytes"]
        return {"gbit": received["bytes"] * 8 / received["seconds"] / 1e9, "cpu": shares,
                "refused": engines.refused(), **sent}


def handshakes(bulk, case, count):
    """One trial: connections a second, one after the other, data in both directions."""
    with bulk.engines(case):
        return count / bulk.run(case, ("accept", "connect"), count)[1]["seconds"]


def measure(bulk, quiet, cases, repetitions, seconds):
    """The trials by case, interleaved."""
    trials = {case: [] for case in cases}
    for _ in range(repetitions):
        for case in cases:
            quiet.wait()
            trials[case].append(transfer(bulk, case, seconds))
    return trials


def report(trials):
    """Prints the table and returns {case: median Gbit/s}."""
    rates = {case: median([t["gbit"] for t in list_]) for case, list_ in trials.items()}
    rows = []
    for case, list_ in trials.items():
        def cpu(name, list_=list_):
            shares = [t["cpu"][name] for t in list_ if name in t["cpu"]]
            return percent(median(shares)) if shares else "-"
        retransmits = sorted(t["retransmits"] for t in list_)
        rows.append([case, figure([t["gbit"] for t in list_]),
                     f"{retransmits[0]}–{retransmits[-1]}", list_[0]["mss"], cpu("sender"),
                     cpu("receiver"), cpu("engine a"), cpu("engine b"),
                     sum(t["refused"] for t in list_),
                     *(f"{rates[case] / rates[base]:.2f}" if base in rates else "-"
                       for base in ("TCP-MD5", "plain"))])
    print_table(["bulk TCP", "Gbit/s", "retransmits", "MSS", "sender", "receiver", "engine a",
                 "engine b", "refused", "/MD5", "/plain"], rows)
    return rates


def measure_handshakes(bulk, quiet, cases, repetitions, count):
    """Prints the table and returns {case: median connections a second}."""
    trials = {case: [] for case in cases}
    for _ in range(repetitions):
        for case in cases:
            quiet.wait()
            trials[case].append(handshakes(bulk, case, count))
    rates = {case: median(list_) for case, list_ in trials.items()}
    print_table([f"{count} handshakes", "connections/s", "/plain"],
                [[case, figure(list_, 0),
                  f"{rates[case] / rates['plain']:.2f}" if "plain" in rates else "-"]
                 for case, list_ in trials.items()])
    return rates
