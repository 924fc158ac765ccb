"""Connections that the local stack gave up without a segment leave the table; idle ones stay."""

import os
import signal

import pytest

from daemons import Bird, Frr
from gatehouse import Gatehouse
from scenario import (A4, A6, B4, B6, KEY, both_ends, config, peers_of_a, peers_of_b, swapped,
                      wait_both_up)
from wait import stays, wait_for

TALKER = os.path.join(os.path.dirname(__file__), "talker.py")
ASKED_WITHIN = 50  # seconds: 20 of silence, a sweep every 10, again after 30 if answer and segment crossed


def listed(gatehouse, name, state):
    return [c for c in gatehouse.session(name)["connections"] if c["state"] == state]


@pytest.mark.parametrize("orphans", ["die", "wait"])
def test_lost_without_a_segment(net, build_dir, orphans):
    """The peer is cut off. The daemon's hold time ends; its FIN has to wait behind data that nobody
    acknowledges, and so no segment tells of the end."""
    a, b = net.two_routers()
    if orphans == "die":
        a.sysctl("net.ipv4.tcp_orphan_retries", 1)
    ends = one, _ = both_ends(a, b, build_dir)
    frr = Frr(a, 65001, peers_of_a(), listen=[A4, A6], hold_time=9).start()
    bird = Bird(b, 65002, peers_of_b(), listen=[B4, B6], hold_time=9).start()
    wait_both_up(frr, bird)
    for gatehouse in ends:
        for name in ("v4", "v6"):
            gatehouse.wait_up(name)
    b.run(["ip", "link", "set", "eth0", "down"])
    for address in (B4, B6):
        frr.wait_not_established(address, 30)
    for gatehouse in ends:
        for name in ("v4", "v6"):
            wait_for(lambda: gatehouse.session(name)["state"] != "up", ASKED_WITHIN,
                     lambda: f"{name} is up no more\n{gatehouse.gatectl('explain', name).stdout}")
    if orphans == "die":
        assert "the local stack has it no more" in one.tail(200)
    # What is known is not forgotten by a restart.
    one.stop()
    one.start()
    for name in ("v4", "v6"):
        assert not listed(one, name, "established")


def test_idle_connections_stay(net, build_dir):
    """Asked about again and again, they are found: IPv4, IPv4 on an IPv6 socket, IPv6, bound to a
    device."""
    a, b = net.two_routers()
    one = Gatehouse(a, build_dir, config([KEY], {"v4": B4, "v6": B6})).start()
    Gatehouse(b, build_dir, config(swapped([KEY]), {"v4": A4, "v6": A6})).start()
    log = os.path.join(b.directory("talkers"), "log")
    b.spawn(["/usr/bin/python3", TALKER, "listen", "::", "179"], log)
    wait_for(lambda: "listening" in open(log, encoding="utf-8").read(), 10, "a listener")
    idle = {}
    for number, words in enumerate(([B4], ["::ffff:" + B4], [B6], [B4, "--device", "eth0"],
                                    [B6, "--device", "eth0"])):
        path = os.path.join(a.directory(f"idle{number}"), "log")
        idle[path] = a.spawn(["/usr/bin/python3", TALKER, "idle", words[0], "179", *words[1:]], path)

    def answered(times):
        return all(open(path, encoding="utf-8").read().count("answered") == times for path in idle)

    def all_there():
        return len(listed(one, "v4", "established")) == 3 and \
            len(listed(one, "v6", "established")) == 2

    wait_for(lambda: answered(1) and all_there(), 10, "all have spoken")
    stays(all_there, ASKED_WITHIN, "all idle connections are established")
    for process in idle.values():
        process.signal(signal.SIGUSR1)
    wait_for(lambda: answered(2), 10, "all speak once more")
    assert all_there()
