"""IKE's control plane: a responder that is loaded by ike_load, gatehoused beside charon.

Host a (CPU 0) is all the initiators, host b (CPU 1) the responder and all of its processes. Debian's
charon has no interface to IPsec that does nothing, as its load-tester brings one along, and kernels
may lack ESP: a Child SA of its is made with kernel-libipsec. What that costs is not IKE's cost;
"childless" has both ends make IKE SAs alone (RFC 6023), which is IKE and nothing else.
"""

import json
import re
import shutil
import subprocess
import time

from ground import Cpu, figure, median, print_table
from daemons.strongswan import StrongSwan
from gatehouse import Gatehouse

KINDS = ["childless", "child"]
CASES = [f"{daemon} {kind}" for kind in KINDS for daemon in ("gatehoused", "charon")]
RESPONDER, INITIATOR = "10.77.0.2", "10.77.0.1"
FIRST, PEERS = "10.78.1.0", "10.78.0.0/15"
INNER, BEHIND = "10.79.0.0/16", "10.80.0.0/16"
SECRET = "a pre-shared key of the benchmark, long enough"
HELD = 32000

CONFIG = """
ike {{ sa-limit = 200000  cookie-threshold = 2000 }}
ike-transform "t" {{ encryption = aes-128-gcm  prf = hmac-sha-256  ke = x25519 }}
ipsec-transform "t" {{ encryption = aes-128-gcm  ke = none  esn = no }}
ike-policy "p" {{ ike-transform = "t"  liveness-reply-only = yes  childless = {childless} }}
ike-peer "load" {{
    remote = any  local = "{responder}"  ike-policy = "p"  psk-secret = "{secret}"
    child "net" {{ ipsec-transform = "t"  local-ts = "{behind}"  remote-ts = "{inner}" }}
}}
"""


def gatehoused(host, build_dir, kind):
    text = CONFIG.format(childless="yes" if kind == "childless" else "no", responder=RESPONDER,
                         secret=SECRET, behind=BEHIND, inner=INNER)
    return Gatehouse(host, build_dir, text, f"ike-{time.monotonic_ns()}").start()


def charon(host, kind):
    childless = kind == "childless"
    connection = {
        "version": 2, "local_addrs": RESPONDER, "remote_addrs": "%any", "unique": "never",
        "proposals": "aes128gcm16-prfsha256-x25519", "childless": "force" if childless else "never",
        "local": {"auth": "psk"}, "remote": {"auth": "psk", "id": "%any"}, "mobike": False,
        "children": {} if childless else {"net": {
            "esp_proposals": "aes128gcm16", "local_ts": BEHIND, "remote_ts": INNER}}}
    # As strongSwan advises for many peers: hash tables with locks of their own; nobody is refused.
    options = {"ikesa_table_size": 16384, "ikesa_table_segments": 16, "dos_protection": False,
               "install_routes": False, "init_limit_half_open": 0}
    return StrongSwan(host, {"gw": connection}, {"ike-load": {"secret": f'"{SECRET}"'}}, options,
                      f"ike-{time.monotonic_ns()}", esp=not childless, log_level=-1).start()


class Responder:
    """One of the two, and its processes."""

    def __init__(self, case, host, build_dir):
        self.name, _, self.kind = case.partition(" ")
        self.host = host
        if self.name == "gatehoused":
            self.daemon = gatehoused(host, build_dir, self.kind)
            self.pids = list(self.daemon.processes().values())
        else:
            self.daemon = charon(host, self.kind)
            self.pids = [self.daemon.process.pid]

    def memory(self):
        """Proportional set size of all processes, octets."""
        total = 0
        for pid in self.pids:
            with open(f"/proc/{pid}/smaps_rollup", encoding="utf-8") as file:
                total += int(re.search(r"^Pss:\s+(\d+)", file.read(), re.M)[1])
        return 1024 * total

    def stop(self):
        # With all its tunnels an orderly end would take long, and nobody listens.
        for pid in self.pids:
            self.host.run(["kill", "-9", pid], check=False)
        self.daemon.process.wait()


class Load:
    """A running ike_load."""

    def __init__(self, host, build_dir, tunnels, concurrent, kind):
        self.process = subprocess.Popen(
            host.command([f"{build_dir}/tests/bench/ike_load", RESPONDER, FIRST, str(tunnels),
                          str(concurrent), kind, SECRET]),
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def result(self):
        line = self.process.stdout.readline()
        assert line, "ike_load ended"
        return json.loads(line)

    def ask(self, command):
        self.process.stdin.write(command + "\n")
        self.process.stdin.flush()
        return self.result()

    def stop(self):
        self.process.stdin.close()
        self.process.wait()


def prepare(a, b):
    """Everything in PEERS is an address of host a."""
    a.run(["ip", "route", "replace", "local", PEERS, "dev", "lo"])
    b.run(["ip", "route", "replace", PEERS, "via", INITIATOR])
    b.run(["ip", "address", "replace", "10.80.0.1/32", "dev", "lo"])  # kernel-libipsec wants one


def one(case, a, b, build_dir, tunnels, concurrent):
    """One trial: {"rate", "cpu_us", "memory", …}."""
    responder = Responder(case, b, build_dir)
    try:
        memory = responder.memory()
        cpu = Cpu({"responder": responder.pids})
        load = Load(a, build_dir, tunnels, concurrent, responder.kind)
        try:
            result = load.result()
            result["cpu_us"] = 1e6 * cpu.seconds()["responder"] / tunnels
            result["memory"] = (responder.memory() - memory) / max(1, result["up"])
        finally:
            load.stop()
        return result
    finally:
        responder.stop()


def measure(a, b, build_dir, quiet, cases, repetitions, tunnels, concurrent=64):
    """{case: [trial, …]}, the cases taking turns."""
    prepare(a, b)
    if shutil.which("charon-systemd") is None:
        print("charon is not installed (charon-systemd, strongswan-swanctl): it is left out\n")
        cases = [case for case in cases if not case.startswith("charon")]
    trials = {case: [] for case in cases}
    for _ in range(repetitions):
        for case in cases:
            quiet.wait()
            trials[case].append(one(case, a, b, build_dir, tunnels, concurrent))
    return trials


def report(trials):
    """Medians by case: {"CPU time of an IKE SA": {case: …}, …}."""
    def medians(key):
        return {case: median([t[key] for t in runs]) for case, runs in trials.items()}

    cpu = medians("cpu_us")
    print_table(
        ["IKE SAs as responder", "up", "a second", "CPU µs each", "a second of CPU", "KiB each",
         "failed", "sent again"],
        [[case, sum(t["up"] for t in runs), figure([t["rate"] for t in runs], 0),
          figure([t["cpu_us"] for t in runs], 0), f"{1e6 / cpu[case]:.0f}",
          figure([t["memory"] / 1024 for t in runs], 1), sum(t["failed"] for t in runs),
          sum(t["retransmitted"] for t in runs)] for case, runs in trials.items()])
    return {"IKE SAs a second": medians("rate"), "CPU time of an IKE SA": cpu,
            "memory of an IKE SA": medians("memory")}


def hold(a, b, build_dir, tunnels=HELD, concurrent=64):
    """Many tunnels held by gatehoused and rekeyed, while one peer asks for signs of life."""
    prepare(a, b)
    responder = Responder("gatehoused child", b, build_dir)
    try:
        memory = responder.memory()
        cpu = Cpu({"responder": responder.pids})
        load = Load(a, build_dir, tunnels, concurrent, "child")
        try:
            up = load.result()
            made = cpu.seconds()["responder"]
            memory = (responder.memory() - memory) / max(1, up["up"])
            assert load.ask("probe")["up"], "the probe's IKE SA is not up"
            time.sleep(2)
            idle = load.ask("stall")
            start = time.monotonic()
            shown = responder.daemon.gatectl("show", "ike", "sa").stdout
            took = time.monotonic() - start
            show = load.ask("stall")
            cpu = Cpu({"responder": responder.pids})
            rekeyed = load.ask("rekey")
            again = cpu.seconds()["responder"]
            stall = load.ask("stall")
        finally:
            load.stop()
    finally:
        responder.stop()
    rows = [
        ["made", up["up"], f"{up['rate']:.0f} a second, {1e6 * made / tunnels:.0f} CPU µs each, "
                           f"{up['failed']} failed, {up['retransmitted']} sent again"],
        ["memory", "", f"{memory / 1024:.2f} KiB each"],
        ["answers, idle", idle["answers"], f"mean {idle['mean_ms']:.2f} ms, "
                                           f"longest {idle['longest_ms']:.1f} ms"],
        ["show ike sa", len(shown.splitlines()), f"{took:.2f} s; longest answer "
                                                 f"{show['longest_ms']:.1f} ms"],
        ["rekeyed", rekeyed["up"], f"{rekeyed['rate']:.0f} a second, {1e6 * again / tunnels:.0f} CPU "
                                   f"µs each, {rekeyed['failed']} failed, "
                                   f"{rekeyed['retransmitted']} sent again"],
        ["answers meanwhile", stall["answers"], f"mean {stall['mean_ms']:.2f} ms, "
                                                f"longest {stall['longest_ms']:.1f} ms"]]
    print_table([f"gatehoused, {tunnels} tunnels", "", ""], rows)
