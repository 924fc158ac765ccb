"""Somebody on the link forges IKE messages and TCP segments while keys are made and replaced: the
connection carries on with its data whole, and the IKE SA is the same."""

import json
import os
import sys

from capture import Capture
from keyed import AT_A, AT_B, KeyedGatehouse, keyed_config
from netns import A4, B4
from traffic import Talkers, lan, observe, refused, resident, wait_heard, wait_talking
from wait import wait_for

PORT, SECONDS = 20004, 25
FORGER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "ike_forger.py")


def forge_ike(forger, overheard, victim, seed):
    out = os.path.join(forger.namespace.directory(f"ike-{seed}"), "out")
    return forger.namespace.spawn([sys.executable, FORGER, overheard, victim, forger.victim_mac,
                                   SECONDS, 1000, seed], out), out


def established(gatehouse):
    """The SPIs of IKE SAs that are up: a forged first message may begin one, and that is all."""
    return [(sa["spi_i"], sa["spi_r"])
            for sa in gatehouse.ask("show", "ike", "sa", "detail")["sas"]
            if sa["state"] == "established"]


def test_forgeries_throughout(net, build_dir):
    a, b, forger = lan(net, build_dir)
    overheard = Capture(a, expression="udp port 500 or udp port 4500", name="overheard")
    ends = [KeyedGatehouse(host, build_dir, keyed_config(addresses, ("v4",), rekey=10)).start()
            for host, addresses in ((a, AT_A), (b, AT_B))]
    talkers = [Talkers(a, build_dir, listen=A4, every_ms=20, octets=500, name="server"),
               Talkers(b, build_dir, local=B4, remote=A4, local_port=PORT, every_ms=20, octets=500,
                       name="client")]
    wait_talking(*talkers, 1)
    ends[0].wait_rekeyed("v4")

    spis = established(ends[0])
    assert len(spis) == 1
    ike = ends[0].processes()["ike"]
    memory, rekeyed = resident(ike), ends[0].keyed("v4")["rekeyed"]
    counted = ends[0].ask("show", "ike", "statistics")["counters"]
    process, out = forge_ike(forger, overheard.path, A4, 1)
    while process.alive():
        forger.flood(observe(a, B4, PORT, A4, 179), "bad-mac", "bad-mac-rst", "no-option", "rst",
                     "unknown-keyid", "syn", window=60000, count=2000, rate=5000)
        assert ends[0].keyed("v4")["state"] == "keyed"
    with open(out, encoding="utf-8") as file:
        sent = json.load(file)
    print(f"sent {sent}")
    assert min(sent.values()) > 500, sent

    grown = {name: n - counted.get(name, 0)
             for name, n in ends[0].ask("show", "ike", "statistics")["counters"].items()}
    print(f"counted {grown}")
    assert sum(grown.values()) > sum(sent.values()) / 2, grown  # it was heard
    assert ends[0].keyed("v4")["rekeyed"] >= rekeyed + 2
    wait_heard(*talkers)
    for talker in talkers:
        talker.assert_whole(1)
    assert refused(ends[0].counters("v4")) != {} and ends[1].refused("v4") == 0
    assert established(ends[0]) == established(ends[1]) == spis
    assert ends[0].processes()["ike"] == ike and resident(ike) - memory < 8192
    wait_for(lambda: ends[0].live("v4") is not None, 10, "a live key")
    overheard.stop()
