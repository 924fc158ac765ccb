"""What must not come up does not, and `explain` names the reason at either end."""

import dataclasses

from daemons import Bird, Frr, Peer
from gatehouse import Gatehouse, Key, key_chain, tcp_ao
from scenario import A4, B4, KEY, config, lifetime, swapped, wait_cause
from wait import stays, wait_for

OURS = Key(1, "correct horse battery staple", 3, 8)
THEIRS = OURS.swapped()


@dataclasses.dataclass
class Mistake:
    """A session that cannot come up: keys and policies of both ends, and what they say of it."""

    name: str
    cause_a: str
    cause_b: str
    a: Key = dataclasses.field(default_factory=lambda: OURS)
    b: Key = dataclasses.field(default_factory=lambda: THEIRS)
    policy_a: dict = dataclasses.field(default_factory=dict)
    protect_b: bool = True
    password_b: str = None
    passive_a: bool = False
    passive_b: bool = False
    listen_b: bool = True
    says: str = ""  # a word of the first finding's summary at a


def changed(key, **changes):
    return dataclasses.replace(key, **changes)


MISTAKES = [
    Mistake("secret", "wrong-key", "wrong-key", b=changed(THEIRS, secret="another"),
            says="secret"),
    Mistake("algorithm", "wrong-key", "wrong-key", b=changed(THEIRS, algorithm="aes-128-cmac-96"),
            says="aes-128-cmac"),
    Mistake("option-flag", "wrong-key", "wrong-key", b=changed(THEIRS, include_tcp_options=False),
            says="include-tcp-options"),
    Mistake("mac-length", "mac-length", "mac-length", a=changed(OURS, algorithm="hmac-sha-256-96"),
            b=changed(THEIRS, algorithm="hmac-sha-256-128"), says="16 octets"),
    Mistake("ids-not-swapped", "unknown-keyid", "unknown-keyid", b=OURS, says="swapped"),
    Mistake("key-missing", "unknown-keyid", "unknown-keyid",
            b=Key(2, "correct horse battery staple", 40, 41), says="KeyID 40"),
    Mistake("expired-there", "silent-peer", "keys-expired",
            b=changed(THEIRS, options=lifetime(-7200, -3600))),
    Mistake("not-yet-there", "silent-peer", "keys-not-yet-valid",
            b=changed(THEIRS, options=lifetime(3600))),
    Mistake("without-ao", "peer-without-ao", None, protect_b=False),
    Mistake("md5-there", "silent-peer", "md5-clash", password_b="opensesame"),
    Mistake("we-only-accept", "direction", "no-packets", policy_a={"direction": "passive"},
            passive_b=True),
    Mistake("we-only-open", "direction", "silent-peer", policy_a={"direction": "active"},
            passive_a=True),
    Mistake("nobody-listens", "peer-refuses", "no-local-answer", listen_b=False, passive_a=False),
]


def test_mistakes(net, build_dir):
    """Thirteen usual mistakes at once: every session stays down and both ends know why."""
    a, b = net.two_routers()
    texts, peers_a, peers_b = ["", ""], [], []
    for n, m in enumerate(MISTAKES):
        here, there = f"10.78.1.{n + 1}", f"10.78.2.{n + 1}"
        a.add_address("eth0", f"{here}/16")
        b.add_address("eth0", f"{there}/16")
        texts[0] += key_chain(m.name, [m.a], tolerance=5)
        texts[0] += tcp_ao(m.name, there, m.name, local=here, **m.policy_a)
        if m.protect_b:
            texts[1] += key_chain(m.name, [m.b], tolerance=5)
            texts[1] += tcp_ao(m.name, here, m.name, local=there)
        peers_a.append(Peer(there, 65002, local=here, passive=m.passive_a))
        if m.listen_b:
            peers_b.append(Peer(here, 65001, local=there, passive=m.passive_b,
                                password=m.password_b))
    one, two = (Gatehouse(r, build_dir, text).start() for r, text in zip((a, b), texts))
    left, right = Bird(a, 65001, peers_a).start(), Bird(b, 65002, peers_b).start()
    for m in MISTAKES:
        wait_cause(one, m.name, m.cause_a)
        if m.cause_b:
            wait_cause(two, m.name, m.cause_b)
        finding = one.explain(m.name)["findings"][0]
        assert m.says in finding["summary"] + " ".join(finding["checks"]), (m.name, finding)
        assert finding["checks"], m.name
    assert all(not left.established(p.address) for p in peers_a)
    assert all(not right.established(p.address) for p in peers_b)
    assert all(s["state"] != "up" for s in one.sessions().values())


def test_md5_of_the_local_daemon_is_a_clash(net, build_dir):
    """A password for a protected neighbour: never both on one connection (RFC 5925 section 8)."""
    a, b = net.two_routers()
    one = Gatehouse(a, build_dir, config([KEY], {"v4": B4})).start()
    two = Gatehouse(b, build_dir, config(swapped([KEY]), {"v4": A4})).start()
    frr = Frr(a, 65001, [Peer(B4, 65002, password="opensesame")]).start()
    bird = Bird(b, 65002, [Peer(A4, 65001)]).start()
    wait_cause(one, B4, "md5-clash")
    assert one.counters("v4")["md5-clash"] > 0
    assert not frr.established(B4)
    # Without the password it comes up: Gatehouse alone signs.
    frr.stop()
    frr = Frr(a, 65001, [Peer(B4, 65002)], name="frr-without").start()
    bird.wait_established(A4)
    one.wait_up("v4")
    two.wait_up("v4")


def test_the_last_key_ends(net, build_dir):
    """Expiry fails closed: warned before, the session ends, and nothing leaves unsigned."""
    a, b = net.two_routers()
    keys = [dataclasses.replace(KEY, options=lifetime(-600, 8))]
    one = Gatehouse(a, build_dir, config(keys, {"v4": B4}, tolerance=0)).start()
    two = Gatehouse(b, build_dir, config(swapped(keys), {"v4": A4}, tolerance=0)).start()
    frr = Frr(a, 65001, [Peer(B4, 65002)], hold_time=3).start()
    bird = Bird(b, 65002, [Peer(A4, 65001)], hold_time=3).start()
    frr.wait_established(B4)
    bird.wait_established(A4)
    assert one.causes("v4")[0] == "chain-expiring"
    wait_cause(one, "v4", "keys-expired")
    frr.wait_not_established(B4)
    wait_cause(two, "v4", "keys-expired")
    assert one.counters("v4")["no-send-key"] > 0
    stays(lambda: not frr.established(B4), 1, "the session stays down")
    # A new key at both ends, and it is up again.
    for gatehouse, new, peer in ((one, Key(2, "fresh", 5, 6), B4),
                                 (two, Key(2, "fresh", 6, 5), A4)):
        gatehouse.configure(config([new], {"v4": peer}))
        gatehouse.reload()
    frr.wait_established(B4)
    wait_for(lambda: one.explain("v4")["verdict"] == "up", 10, "the session is protected again")
