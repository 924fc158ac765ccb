"""IPsec's data plane beside other tunnels: TCP of one and of four streams, small and large packets of
UDP, and what of it is cryptography.

Host a (CPU 0) and host b (CPU 1) are gateway and traffic generator at once, so a figure is that of
both programs on one core. TCP is iperf3's with cubic; UDP is packets.c's, and its figure the greatest
rate at which less than 0.5 % is lost, found by halving intervals.
"""

import contextlib
import json
import re
import subprocess
import time

from ground import Cpu, figure, median, percent, print_table
from tunnels import INNER_A, INNER_B, TUNNELS
from wait import wait_for

CASES = list(TUNNELS)
OURS = [case for case in CASES if case.startswith("gatehouse")]
SIZES = [64, 1300]  # octets of UDP payload; more would not go through all of the tunnels' MTUs
LOSS_MAX = 0.005
FIRST_RATE, LAST_RATE = 40_000, 2_000_000
CLOSE_ENOUGH = 1.06  # of both ends of the interval
BACK_OFF, BACK_OFFS = 0.93, 6
TCP_PORT, UDP_PORT = 5201, 7000
PER_CORE = "tcp 1 a core"
METRICS = {  # in this order: head of the column, digits
    "tcp 1": ("TCP Gbit/s", 2), "tcp 4": ("4 streams", 2),
    **{f"udp {size}": (f"UDP {size} kpps", 0) for size in SIZES}}


class Offloads:
    """Whether both ends of the link take segments and datagrams of 64 KiB (a NIC without UDP GSO
    does not); on is the default of veth."""

    def __init__(self, a, b, on):
        self.hosts, self.on = (a, b), on

    def _set(self, on):
        state = "on" if on else "off"
        for host in self.hosts:
            host.run(["ethtool", "-K", "eth0", "tso", state, "gso", state, "gro", state])

    def __enter__(self):
        self._set(self.on)
        return self

    def __exit__(self, *_):
        self._set(True)


def tcp(a, b, streams, seconds, pids):
    """{"gbit", "retransmits", "cpu": shares of one core by group of processes}."""
    server = b.spawn(["iperf3", "-s", "-1", "-B", INNER_B, "-p", TCP_PORT],
                     f"{b.directory('iperf3')}/server-{time.monotonic_ns()}")
    wait_for(lambda: f"{INNER_B}:{TCP_PORT}" in b.run(["ss", "-Hltn"]).stdout, 10, "iperf3 listens")
    out = f"{a.directory('iperf3')}/client-{time.monotonic_ns()}"
    client = a.spawn(["iperf3", "-c", INNER_B, "-B", INNER_A, "-p", TCP_PORT, "-t", seconds, "-O", 1,
                      "-P", streams, "-C", "cubic", "-J"], out)
    time.sleep(1 + seconds * 0.1)  # a window inside the steady state
    cpu = Cpu(pids)
    time.sleep(seconds * 0.8)
    shares = cpu.shares()
    with open(out, encoding="utf-8") as file:
        assert client.wait(seconds + 20) == 0, f"iperf3: {file.read()}"
        answer = json.load(file)
    server.wait(10)
    end = answer["end"]
    return {"gbit": end["sum_received"]["bits_per_second"] / 1e9,
            "retransmits": end["sum_sent"]["retransmits"], "cpu": shares}


class Packets:
    """packets.c at one end: a line in, a line of JSON out."""

    def __init__(self, host, build_dir, *arguments):
        self.process = subprocess.Popen(
            host.command([f"{build_dir}/tests/bench/packets", *map(str, arguments)]),
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self.answer() == "ready"

    def answer(self):
        line = self.process.stdout.readline()
        assert line, "packets ended"
        return json.loads(line)

    def ask(self, *words):
        self.process.stdin.write(" ".join(map(str, words)) + "\n")
        self.process.stdin.flush()
        return self.answer()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        self.process.wait()


class Udp:
    """Runs of packets of one size between both hosts."""

    def __init__(self, sender, sink):
        self.sender, self.sink = sender, sink
        self.number = 0

    def run(self, rate, seconds):
        """{"offered", "sent" and "received" a second, "loss", "late"}."""
        self.number += 1
        sent = self.sender.ask(self.number, rate, seconds)
        seen = self.arrived()
        return {"offered": rate, "sent": sent["sent"] / sent["seconds"],
                "received": seen["received"] / sent["seconds"],
                "loss": 1 - seen["received"] / max(1, sent["sent"]), "late": seen["late"]}

    def arrived(self):
        """What the sink has when nothing more comes."""
        before = None
        while True:
            time.sleep(0.05)  # longer than any queue in the way lasts once packets come out of it
            seen = self.sink.ask(self.number)
            if seen == before:
                return seen
            before = seen

    def search(self, seconds):
        """The run of the greatest rate with less than LOSS_MAX; "held": whether it was in the end."""
        low, high, rate = 0, None, FIRST_RATE
        while high is None or (low and high / low > CLOSE_ENOUGH) or not low:
            trial = self.run(rate, seconds)
            if trial["loss"] >= LOSS_MAX:  # one hiccup of the machine is no limit of the tunnel's
                trial = self.run(rate, seconds)
            if trial["loss"] < LOSS_MAX:
                low = rate
                if trial["sent"] < 0.97 * rate or rate >= LAST_RATE:  # the sender is the limit
                    low = trial["sent"]
                    break
            else:
                high = rate
                if high < 1000:
                    break
            rate = low * 2 if high is None else (low or high / 4) ** 0.5 * high ** 0.5
        rate = low or high
        for _ in range(1 + BACK_OFFS):
            found = self.run(rate, 3 * seconds)
            if found["loss"] < LOSS_MAX:
                break
            rate *= BACK_OFF
        return {**found, "held": found["loss"] < LOSS_MAX,
                "overload": self.run(max(2 * rate, FIRST_RATE), seconds)["received"]}


def udp(a, b, build_dir, size, seconds):
    with contextlib.ExitStack() as stack:
        sink = stack.enter_context(Packets(b, build_dir, "sink", INNER_B, UDP_PORT))
        sender = stack.enter_context(
            Packets(a, build_dir, "send", INNER_A, INNER_B, UDP_PORT, size))
        return Udp(sender, sink).search(seconds)


def trial(a, b, build_dir, case, offloads, seconds, udp_seconds):
    """All figures of one start of a tunnel: {"tcp 1": {…}, …}. Without offloads TCP's alone, for
    they make no difference to packets."""
    with Offloads(a, b, offloads), TUNNELS[case](a, b, build_dir) as tunnel:
        found = {f"tcp {n}": tcp(a, b, n, seconds, tunnel.pids()) for n in (1, 4)}
        if offloads:
            for size in SIZES:
                found[f"udp {size}"] = udp(a, b, build_dir, size, udp_seconds)
        found["drops"] = tunnel.drops()
        return found


def available(cases):
    for case in cases:
        reason = TUNNELS[case].missing()
        if reason:
            print(f"{case} is left out: {reason}\n")
        else:
            yield case


def inner_addresses(a, b):
    for host, address in ((a, INNER_A), (b, INNER_B)):
        host.run(["ip", "address", "replace", f"{address}/32", "dev", "lo"])


def measure(a, b, build_dir, quiet, cases, repetitions, seconds, udp_seconds):
    """{(case, offloads): [trial, …]}, the cases taking turns."""
    inner_addresses(a, b)
    keys = [(case, on) for on in (True, False) for case in available(cases)]
    trials = {key: [] for key in keys}
    for _ in range(repetitions):
        for case, on in keys:
            quiet.wait()
            trials[case, on].append(trial(a, b, build_dir, case, on, seconds, udp_seconds))
    return trials


def per_core(found):
    """Gbit/s of one stream for a whole core of the busier end's tunnel; None without a tunnel. It says
    more than the rate where others use the cores, too."""
    busier = max(found["tcp 1"]["cpu"].values(), default=0)
    return found["tcp 1"]["gbit"] / busier if busier else None


def value(found, metric):
    """What a trial says: Gbit/s, or thousands of packets a second."""
    if metric == PER_CORE:
        return per_core(found)
    return found[metric]["gbit"] if metric.startswith("tcp") else found[metric]["received"] / 1e3


def medians(trials, on):
    """{metric: {case: median}} with offloads or without."""
    def known(runs, metric):
        return metric in runs[0] if metric in METRICS else None not in map(per_core, runs)

    return {metric: {case: median([value(t, metric) for t in runs])
                     for (case, was), runs in trials.items() if was == on and known(runs, metric)}
            for metric in (*METRICS, PER_CORE)}


def _cell(runs, metric, digits):
    if metric not in runs[0]:
        return "-"
    unsteady = "" if all(t[metric].get("held", True) for t in runs) else " lossy"
    return figure([value(t, metric) for t in runs], digits) + unsteady


def report(trials):
    """Prints the tables: with offloads and without."""
    for on in (True, False):
        rows = []
        for (case, was), runs in trials.items():
            if was != on:
                continue
            shares = [[t["tcp 1"]["cpu"].get(f"tunnel {end}") for t in runs] for end in "ab"]
            cores = [per_core(t) for t in runs]
            retransmits = [t["tcp 1"]["retransmits"] for t in runs]
            rows.append([case, *(_cell(runs, m, digits) for m, (_, digits) in METRICS.items()),
                         *(percent(median(s)) if None not in s else "-" for s in shares),
                         figure(cores) if None not in cores else "-",
                         f"{min(retransmits)}–{max(retransmits)}",
                         *([figure([t[f"udp {SIZES[0]}"]["overload"] / 1e3 for t in runs], 0)]
                           if on else [])])
        print_table([f"tunnels, offloads of the link {'on' if on else 'off'}",
                     *(head for head, _ in METRICS.values()), "CPU a", "CPU b", "Gbit/s a core",
                     "retransmits",
                     *([f"overload {SIZES[0]} kpps"] if on else [])], rows)
    for (case, on), runs in trials.items():
        drops = {}
        for found in runs:
            for reason, n in found["drops"].items():
                drops[reason] = drops.get(reason, 0) + n
        if drops:
            print(f"  {case}, offloads {'on' if on else 'off'}, dropped by itself: "
                  f"{', '.join(f'{n} {reason}' for reason, n in sorted(drops.items()))}")
    print(flush=True)


# ---- Cryptography, and the number of SAs ------------------------------------------------------

def bare_rate(cpu, octets=1400):
    """Gbit/s of AES-128-GCM on one core: OpenSSL, whole packets with nonce, AAD and tag."""
    argv = ["openssl", "speed", "-mr", "-seconds", "1", "-bytes", str(octets), "-aead", "-evp",
            "aes-128-gcm"]
    if cpu is not None:
        argv = ["taskset", "-c", str(cpu), *argv]
    done = subprocess.run(argv, capture_output=True, text=True, check=True)
    return float(re.search(r"^\+F:[^\n]*:([0-9.]+)\s*$", done.stdout, re.M)[1]) * 8 / 1e9


def engine(build_dir, cpu, seconds):
    """bench_ipsec's figures of scaling: a list of {"back_end", "octets", "tunnels", "order", "out",
    "in"} (nanoseconds)."""
    argv = [f"{build_dir}/tests/bench/bench_ipsec", "scaling", str(seconds)]
    if cpu is not None:
        argv = ["taskset", "-c", str(cpu), *argv]
    done = subprocess.run(argv, capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


def report_engine(rows):
    """Prints how the cost of a packet grows with the number of tunnels; {what: ratio to one}."""
    def cost(row):
        return row["out"] + row["in"]

    one = {(r["back_end"], r["octets"]): cost(r) for r in rows
           if r["tunnels"] == 1 and r["order"] == "turns"}
    table, ratios = [], {}
    for row in rows:
        ratio = cost(row) / one[row["back_end"], row["octets"]]
        ratios[f"{row['back_end']} {row['octets']} {row['tunnels']} {row['order']}"] = ratio
        table.append([f"{row['back_end']}, {row['octets']} octets", row["tunnels"], row["order"],
                      f"{row['out']:.0f}", f"{row['in']:.0f}", f"{ratio:.2f}"])
    print_table(["the engine alone, ns per packet", "tunnels", "packets take", "out", "in",
                 "/ 1 tunnel"], table)
    return ratios
