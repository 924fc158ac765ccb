"""The second act of the demo: the same daemons, and no key of TCP-AO in any configuration.

tests/demo/run plays it after the first, with routers of its own. Each Gatehouse has a certificate,
made here, and IKE makes the keys.
"""

import time

from capture import ACK, SYN, Capture
from daemons import Bird, Frr, Peer
from gatehouse import block
from ike import IkeGatehouse, peer_section, section
from keyed import KeyedGatehouse, keyed_session
from pki import Pki
from wait import NeverHappened, wait_for

R1, R2 = "10.77.0.1", "10.77.0.2"
ROUTES = [f"100.{96 + n // 256}.{n % 256}.0/24" for n in range(3000)]
REKEY = 10  # seconds: the least that may be configured
REPLACED = 3  # as many keys are waited for
SESSION = "upstream"
SECRETS = ("psk", "secret", "key-chain")  # words of the configuration that bring a shared key


class End(KeyedGatehouse, IkeGatehouse):
    """Gatehouse, and what it shows of its keys and of its IKE SAs."""


def configuration(pki, here, there):
    """here, there: (name, address) of this router and of the other."""
    leaf = pki.leaf(f"{here[0]}.example")
    entry = section("entry 1", cert_file=leaf.cert, key_file=leaf.key, send_chain=[pki.ca.cert])
    return (section('trust-anchor-profile "ours"', ca_file=[pki.root.cert])
            + block('cert-profile "gw"', {}, [entry])
            + peer_section(there[0], (), there[1], here[1], cert_profile="gw",
                           trust_anchor_profile="ours", local_id=f"{here[0]}.example",
                           remote_id=f"{there[0]}.example")
            + keyed_session(SESSION, there[1], there[0], rekey=REKEY))


def flap_until(bird, condition, timeout, what):
    """Withdraws and announces BIRD's routes until condition(), and returns how often."""
    deadline = time.monotonic() + timeout
    flips = 0  # even: they are announced
    while flips % 2 or not condition():
        if time.monotonic() > deadline:
            raise NeverHappened(f"not within {timeout} s: {what()}")
        bird.birdc("disable static4" if flips % 2 == 0 else "enable static4")
        flips += 1
        time.sleep(0.3)
    return flips


def uptime(frr):
    """Seconds for which BGP has been established."""
    return frr.neighbour(R2)["bgpTimerUpMsec"] / 1000


def detail(end):
    return end.gatectl("show", "gatekeeper", SESSION, "detail").stdout


def details(ends):
    return "".join(map(detail, ends))


def on_the_wire(story, segments):
    """All segments of BGP until now are signed, with more than one key in each direction."""
    bgp = [s for s in segments if 179 in (s.sport, s.dport)]
    bare = [s for s in bgp if not s.ao]
    ids = [list(dict.fromkeys(s.ao[0] for s in bgp if s.ao and s.src == way)) for way in (R1, R2)]
    story.demand(bgp and not bare and min(map(len, ids)) > 1,
                 f"on the wire: {len(bgp)} segments of port 179, {len(bare)} without the option; "
                 f"KeyIDs of r1 {ids[0]}, of r2 {ids[1]}")


def second_act(net, story, build):
    r1, r2 = net.namespace("r1"), net.namespace("r2")
    net.link(r1, r2, (f"{R1}/24", f"{R2}/24"))

    story.chapter("Second act: FRR and BIRD again, and IKE makes the keys")
    pki = Pki(net.dir, "demo")
    one, two = ("r1", R1), ("r2", R2)
    configs = [configuration(pki, one, two), configuration(pki, two, one)]
    story.say(f"r1's configuration ({len(configs[0].splitlines())} lines):\n{configs[0]}")
    story.demand(not any(word in config for config in configs for word in SECRETS),
                 "no secret that the ends share is in it: each has a certificate, made a moment ago")
    capture = Capture(r1)
    ends = [End(router, build, config).start() for router, config in zip((r1, r2), configs)]
    g1, g2 = ends
    frr = Frr(r1, 65001, [Peer(R2, 65002, passive=True)]).start()
    wait_for(lambda: frr.state(R2) == "active", 20, "FRR lets BIRD in")
    bird = Bird(r2, 65002, [Peer(R1, 65001, local=R2)], ROUTES).start()
    frr.wait_established(R2)
    # At once: the key that replaces this one writes steps 2 to 5 anew.
    times = [step["ms"] for step in g2.keyed(SESSION)["steps"]]
    story.say("at r2, whose BIRD opens the connection:")
    story.say(detail(g2))
    syns = [s for s in capture.segments() if s.flags & (SYN | ACK) == SYN]
    story.demand(None not in times and times == sorted(times),
                 f"seven steps, one after the other: BIRD's SYN waited {times[5] - times[0]} ms for its key")
    story.demand(syns and all(s.ao for s in syns) and len(syns) == len({(s.src, s.sport) for s in syns}),
                 f"SYNs on the wire: {len(syns)}, with the option (KeyIDs "
                 f"{[s.ao and s.ao[0] for s in syns]}), none sent again")
    wait_for(lambda: len(frr.routes()) >= len(ROUTES), 30, "FRR has BIRD's routes")

    story.chapter(f"Keys replaced while a table of {len(ROUTES)} routes comes and goes")
    installed, first = g1.keyed(SESSION)["installed"], g1.keys(SESSION)[0]
    before, begun = uptime(frr), time.monotonic()
    flips = flap_until(bird, lambda: all(g.keys(SESSION)[0] >= first + REPLACED for g in ends), 60,
                       lambda: f"both ends send with key {first + REPLACED}\n{details(ends)}")
    wait_for(lambda: len(frr.routes()) >= len(ROUTES), 30, "FRR has the routes again")
    story.say(g1.gatectl("show", "gatekeeper").stdout)
    took, after = time.monotonic() - begun, uptime(frr)
    story.demand(frr.flaps(R2) == 0 and after >= before + took - 2,
                 f"{g1.keyed(SESSION)['installed'] - installed} keys replaced in {took:.0f} s, routes "
                 f"withdrawn and announced {flips} times; BGP is up for {after:.0f} s "
                 f"({before:.0f} s before), flaps {frr.flaps(R2)}")
    refused = [g.refused(SESSION) for g in ends]
    story.demand(refused == [0, 0], "gatectl show counters --json: dropped "
                                    f"{refused[0]} at r1, {refused[1]} at r2")
    on_the_wire(story, capture.segments())

    story.chapter("The keys are taken back: gatectl gatekeeper revoke r2")
    old_sa, old_key = g1.wait_sas()[0], max(key["number"] for key in g1.keyed(SESSION)["keys"])
    g1.gatectl("gatekeeper", "revoke", "r2")

    def left(end):
        """The old IKE SA is gone, another is there; old keys only verify what is late."""
        new = [sa for sa in end.sas() if (sa.spi_i, sa.spi_r) != (old_sa.spi_i, old_sa.spi_r)]
        return len(new) == len(end.sas()) == 1 and (end.live(SESSION) or 0) > old_key and all(
            key["state"] == "leaving" for key in end.keyed(SESSION)["keys"] if key["number"] <= old_key)
    flips = flap_until(bird, lambda: all(map(left, ends)), 45,
                       lambda: f"both ends have left the IKE SA and its keys\n{details(ends)}")
    wait_for(lambda: len(frr.routes()) >= len(ROUTES), 30, "FRR has the routes again")
    story.demand(g1.keyed(SESSION)["revoked"] == 1,
                 f"IKE SA {old_sa.spi_i} -> {g1.sas()[0].spi_i}, key {old_key} -> {g1.live(SESSION)}")
    refused = [g.refused(SESSION) for g in ends]
    story.demand(frr.established(R2) and frr.flaps(R2) == 0 and refused == [0, 0],
                 f"session up for {uptime(frr):.0f} s, flaps {frr.flaps(R2)}, refused {sum(refused)}, "
                 f"routes withdrawn and announced {flips} times")
    on_the_wire(story, capture.stop())
