"""The kernel backend beside the engine, head to head in the lab kernel: the only one with TCP-AO here.

Two namespaces inside one guest, which has one CPU: both ends and both engines share it, so that
throughput is the reciprocal of what an octet costs. Keys are on the sockets as the kernel backend
puts them there; what it does beside (a look every two seconds) is not in the transfer's path.
"""

import os
import subprocess
import time

import netns
from bulk import ALGORITHMS, RECEIVER, SENDER, Bulk
from ground import TESTS, figure, median, print_table
from uml import Guest

CASES = ["plain", "TCP-MD5", *(f"{backend} {a}" for a in ALGORITHMS
                               for backend in ("engine", "kernel"))]


def lab_kernel():
    """Its path, or None where `make labkernel` has not been run."""
    tool = os.path.join(os.path.dirname(TESTS), "tools", "labkernel")
    done = subprocess.run([tool, "--cached"], capture_output=True, text=True, check=False)
    return done.stdout.strip() if done.returncode == 0 else None


def two_hosts(net, kernel):
    """Hosts a and b, with a veth link, inside one guest."""
    host = netns.Namespace(net, "lab")
    net.namespaces.append(host)
    guest = Guest(host, kernel, memory="512M")
    hosts = [guest.namespace(name) for name in "ab"]
    guest.run(["ip", "link", "add", "eth0", "netns", "a", "type", "veth", "peer", "name", "eth0",
               "netns", "b"])
    for end, address in zip(hosts, (SENDER, RECEIVER)):
        end.add_address("eth0", f"{address}/24")
        end.run(["ip", "link", "set", "eth0", "up"])
    return guest, hosts


def busy_seconds(guest):
    """CPU time that the guest has used."""
    words = guest.run(["head", "-1", "/proc/stat"]).stdout.split()
    ticks = list(map(int, words[1:9]))
    return (sum(ticks) - ticks[3] - ticks[4]) / 100


def transfer(guest, bulk, case, seconds):
    """One trial: Gbit/s, CPU seconds a gigabyte, retransmits, and what was refused."""
    with bulk.engines(case) as engines:
        before, failures = busy_seconds(guest), refused_by_kernel(bulk)
        received, sent, _ = bulk.run(case, ("receive", "send"), seconds)
        used = busy_seconds(guest) - before
        assert received["bytes"] == sent["bytes"]
        return {"gbit": received["bytes"] * 8 / received["seconds"] / 1e9,
                "cpu": used / (received["bytes"] / 1e9), "retransmits": sent["retransmits"],
                "refused": engines.refused() + refused_by_kernel(bulk) - failures}


def refused_by_kernel(bulk):
    counters = [host.counters() for host in bulk.hosts]
    return sum(c[name] for c in counters
               for name in ("TCPAOBad", "TCPAOKeyNotFound", "TCPAORequired"))


def measure(net, build_dir, quiet, cases, repetitions, seconds):
    """Prints the table and returns {case: median Gbit/s}; None without a lab kernel."""
    kernel = lab_kernel()
    if kernel is None:
        print("the kernel's TCP-AO: not measured, there is no lab kernel (make labkernel)\n")
        return None
    guest, hosts = two_hosts(net, kernel)
    bulk = Bulk(*hosts, build_dir)
    trials = {case: [] for case in cases}
    for _ in range(repetitions):
        for case in cases:
            quiet.wait()
            trials[case].append(transfer(guest, bulk, case, seconds))
    guest.stop()
    rates = {case: median([t["gbit"] for t in list_]) for case, list_ in trials.items()}
    rows = []
    for case, list_ in trials.items():
        other = case.replace("kernel ", "engine ")
        rows.append([case, figure([t["gbit"] for t in list_]),
                     figure([t["cpu"] for t in list_], 1),
                     "–".join(str(f(t["retransmits"] for t in list_)) for f in (min, max)),
                     sum(t["refused"] for t in list_),
                     f"{rates[case] / rates[other]:.2f}" if other != case and other in rates else "-",
                     f"{rates[case] / rates['plain']:.2f}" if "plain" in rates else "-"])
    print_table(["bulk TCP in the lab kernel", "Gbit/s", "CPU s/GB", "retransmits", "refused",
                 "/engine", "/plain"], rows)
    return rates
