"""Forged segments against live sessions change nothing but counters."""

import json

from capture import RST, SYN, Capture
from gatehouse import Gatehouse, Key, key_chain, tcp_ao
from netns import A4, A6, B4, B6
from traffic import (PASSED, Talkers, lan, observe, queues, refused, resident, wait_heard,
                     wait_talking)
from wait import NeverHappened, wait_for

KEY = Key(1, "correct horse battery staple", send_id=3, recv_id=8)
PORT4, PORT6 = 20004, 20006

# How each kind of forgery is to be counted.
COUNTED = {
    "bad-mac": "bad-mac", "bad-mac-rst": "bad-mac", "bad-mac-fin": "bad-mac",
    "bad-mac-syn": "bad-mac", "unknown-keyid": "unknown-keyid", "no-option": "missing-ao",
    "rst": "missing-ao", "fin": "missing-ao", "syn": "missing-ao", "md5": "md5-clash",
    "duplicate": "duplicate-option", "ao-and-md5": "duplicate-option", "bad-length": "bad-length",
    "short-option": "malformed", "overrun": "malformed", "zero-length": "malformed",
    "data-offset": "not-tcp", "truncated": "not-tcp", "icmp": "icmp-ignored", "garbage": None,
}


def protect(a, b, build_dir, *extra):
    """Gatehouse at both ends of an IPv4 and an IPv6 session."""
    ends = []
    for host, key, peer4, peer6 in ((a, KEY, B4, B6), (b, KEY.swapped(), A4, A6)):
        config = key_chain("core", [key]) + tcp_ao("v4", peer4, "core") + tcp_ao("v6", peer6, "core")
        ends.append(Gatehouse(host, build_dir, config + "".join(extra)).start())
    return ends


def talk(a, b, build_dir, version, **options):
    """A server at a, a client at b with a known port; both protected."""
    local, remote, port = (B4, A4, PORT4) if version == 4 else (B6, A6, PORT6)
    server = Talkers(a, build_dir, listen=remote, name=f"server{version}", **options)
    client = Talkers(b, build_dir, local=local, remote=remote, local_port=port,
                     name=f"client{version}", **options)
    wait_talking(server, client, 1)
    return server, client


def target_of(a, version):
    return observe(a, B4, PORT4, A4, 179) if version == 4 else observe(a, B6, PORT6, A6, 179)


def count_heard(a, forger):
    """Has the kernel count what arrives from the forger, in front of Gatehouse's rules."""
    rules = "".join(f"ether saddr {forger.mac} {what} counter\n" for what in (
        "meta l4proto tcp", "icmp type destination-unreachable",
        "icmpv6 type { destination-unreachable, packet-too-big }"))
    a.run(["nft", "-f", "-"], input="table inet heard {\nchain in {\n"
          f"type filter hook input priority -300\n{rules}}}\n}}\n")


def heard(a):
    """How many packets of the forger the kernel has handed to the firewall."""
    rules = json.loads(a.run(["nft", "-j", "list", "table", "inet", "heard"]).stdout)["nftables"]
    return sum(part["counter"]["packets"] for rule in rules if "rule" in rule
               for part in rule["rule"]["expr"] if "counter" in part)


def totals(gatehouse):
    return gatehouse.ask("show", "counters")["total"]


def growth(before, after):
    return {name: after[name] - before.get(name, 0) for name in after}


def log_lines(gatehouse):
    with open(gatehouse.log, encoding="utf-8") as file:
        return sum(1 for _ in file)


def check_counters(grown, sent, lost):
    """Each counter has grown by what was sent of its kinds, as far as nothing was lost before."""
    vague = sent["garbage"]
    for counter in sorted(set(COUNTED.values()) - {None}):
        expected = sum(n for kind, n in sent.items() if COUNTED[kind] == counter)
        assert expected - lost <= grown[counter] <= expected + vague, \
            f"{counter}: sent {expected}, counted {grown[counter]}, lost {lost}"
    caught = sum(refused(grown).values()) + grown["icmp-ignored"]
    assert sum(sent.values()) - lost == caught, f"sent {sent}, lost {lost}, counted {grown}"


def test_a_million_forged_segments(net, build_dir):
    """The sessions carry on with their data whole, memory and log stay small, all is counted."""
    a, b, forger = lan(net, build_dir)
    victim, other = protect(a, b, build_dir)
    ends = [*talk(a, b, build_dir, 4, every_ms=20, octets=500),
            *talk(a, b, build_dir, 6, every_ms=20, octets=500)]
    targets = [target_of(a, 4), target_of(a, 6)]
    count_heard(a, forger)
    ao = victim.processes()["ao"]
    before, lines, memory = totals(victim), log_lines(victim), resident(ao)
    dropped = sum(q.dropped for q in queues(a).values())

    sent = {}
    for target, count in zip(targets, (600000, 400000)):
        process, out = forger.start(target, window=60000, count=count, rate=100000)
        while process.alive():  # it answers all the while
            assert victim.ask("show", "status")["sessions"]["up"] == 2
        with open(out, encoding="utf-8") as file:
            for kind, n in json.load(file).items():
                sent[kind] = sent.get(kind, 0) + n
    assert sum(sent.values()) == 1000000
    wait_for(lambda: all(q.waiting == 0 for q in queues(a).values()), 30, "the queue is empty")

    lost = 1000000 - heard(a) + sum(q.dropped for q in queues(a).values()) - dropped
    grown = growth(before, totals(victim))
    print(f"judged {1000000 - lost} of 1000000, lost before {lost}")
    assert lost < 500000, "too few were judged for the test to mean anything"
    check_counters(grown, sent, lost)
    wait_heard(*ends)
    for end in ends:
        end.assert_whole(1)
    assert refused(totals(other)) == {}, "the victim answered a forged segment"
    assert victim.processes()["ao"] == ao
    assert resident(ao) - memory < 8192
    assert log_lines(victim) - lines < 200


def test_the_forger_is_right(net, build_dir):
    """The same spoofed RST ends an unprotected session at once, and never the protected one."""
    a, b, forger = lan(net, build_dir)
    protect(a, b, build_dir)
    protected = talk(a, b, build_dir, 4, every_ms=200)
    plain = Talkers(a, build_dir, listen=A4, port=1790, every_ms=200, name="plain-server")
    plain_client = Talkers(b, build_dir, local=B4, remote=A4, port=1790, local_port=21000,
                           every_ms=200, name="plain-client")
    wait_talking(plain, plain_client, 1)

    def killed():
        return plain.status()["lost"] == 1

    def kill_it():
        """Its sequence number may be overtaken; who is dead sends nothing that could be observed."""
        forger.flood(observe(a, B4, 21000, A4, 1790), "rst")
        try:
            return wait_for(killed, 2, "it is lost")
        except NeverHappened:
            return False
    wait_for(kill_it, 10, "a spoofed RST ends the unprotected session")
    for _ in range(5):
        forger.flood(target_of(a, 4), "rst", "bad-mac-rst", "fin", "syn", "bad-mac-syn", count=50)
    wait_heard(*protected)
    for end in protected:
        end.assert_whole(1)


def cached_mtu(namespace, address):
    route = json.loads(namespace.run(["ip", "-j", "route", "get", address]).stdout)[0]
    return next((m["mtu"] for m in route.get("metrics", []) if "mtu" in m), None)


def test_forged_icmp_errors(net, build_dir):
    """Hard errors about a protected connection are ignored (RFC 5925 7.8): not even its path MTU
    shrinks, as that of an unprotected one does."""
    a, b, forger = lan(net, build_dir)
    b.add_address("eth0", "10.77.0.3/24")
    victim, _ = protect(a, b, build_dir)
    protected = [*talk(a, b, build_dir, 4, every_ms=300), *talk(a, b, build_dir, 6, every_ms=300)]
    plain = Talkers(a, build_dir, listen=A4, port=1790, every_ms=300, name="plain-server")
    plain_client = Talkers(b, build_dir, local="10.77.0.3", remote=A4, port=1790, local_port=21000,
                           every_ms=300, name="plain-client")
    wait_talking(plain, plain_client, 1)

    def shrink():
        forger.flood(observe(a, "10.77.0.3", 21000, A4, 1790), "icmp", count=30)
        return cached_mtu(a, "10.77.0.3") == 1280
    wait_for(shrink, 10, "a forged ICMP error shrinks the path of an unprotected connection")
    for version in (4, 6):
        for _ in range(3):
            forger.flood(target_of(a, version), "icmp", count=300)
    wait_for(lambda: totals(victim)["icmp-ignored"] >= 1800, 10,
             lambda: f"all are counted: {totals(victim)}")
    assert cached_mtu(a, B4) is None and cached_mtu(a, B6) is None
    wait_heard(*protected)
    for end in protected:
        end.assert_whole(1)


def test_replay_of_an_old_connection(net, build_dir):
    """Segments of an earlier connection of the same addresses and ports are of no use in the next:
    its ISNs made other traffic keys."""
    a, b, forger = lan(net, build_dir)
    victim, other = protect(a, b, build_dir)
    capture = Capture(a, expression=f"tcp port {PORT4} and src host {B4}", name="old")
    server, client = talk(a, b, build_dir, 4, every_ms=20, octets=200)
    wait_for(lambda: client.status()["heard"] > 5000, 20, "the old connection has talked")
    server.stop()
    wait_for(lambda: client.status()["lost"] == 1, 10, "the old connection is over")
    client.stop()
    old = capture.stop()
    assert any(s.flags & SYN for s in old) and len(old) > 20 and all(s.ao for s in old)

    server, client = talk(a, b, build_dir, 4, every_ms=20, octets=200)
    before = victim.counters("v4")
    sent = forger.flood(target_of(a, 4), capture=capture.path, count=50 * len(old), rate=20000)
    wait_for(lambda: all(q.waiting == 0 for q in queues(a).values()), 10, "the queue is empty")
    grown = growth(before, victim.counters("v4"))
    syns = 50 * sum(1 for s in old if s.flags & SYN)
    useless = {k: n for k, n in refused(grown).items() if k in ("bad-mac", "old-sequence")}
    assert sum(useless.values()) == sent["replay"] - syns, grown
    assert refused(grown) == useless
    wait_heard(server, client)
    server.assert_whole(1)
    client.assert_whole(1)
    assert refused(other.counters("v4")) == {}


def test_replay_within_a_connection(net, build_dir):
    """The connection's own segments again: their MACs are right, TCP has had their octets."""
    a, b, forger = lan(net, build_dir)
    victim, other = protect(a, b, build_dir)
    capture = Capture(a, expression=f"tcp port {PORT4} and src host {B4}", name="own")
    server, client = talk(a, b, build_dir, 4, every_ms=20, octets=200)
    wait_for(lambda: server.status()["heard"] > 5000, 20, "the connection has talked")
    own = capture.stop()
    assert not any(s.flags & RST for s in own)
    forger.flood(target_of(a, 4), capture=capture.path, count=20 * len(own), rate=20000)
    wait_heard(server, client)
    server.assert_whole(1)
    client.assert_whole(1)
    assert refused(victim.counters("v4")) == {} and refused(other.counters("v4")) == {}
    assert set(PASSED) <= set(victim.counters("v4"))


def test_kill_under_flood(net, build_dir):
    """kill -9 while forged segments come as fast as they can: the next instance takes over."""
    a, b, forger = lan(net, build_dir)
    victim, other = protect(a, b, build_dir)
    ends = talk(a, b, build_dir, 4, every_ms=20, octets=500)
    process, _ = forger.start(target_of(a, 4), window=60000, count=400000, rate=80000)
    for role in ("ao", "parent"):
        assert process.alive(), "the flood is over too early"
        before = victim.processes()["ao"]
        victim.kill(role)
        if role == "parent":
            victim.start()
        wait_for(lambda: victim.processes().get("ao", before) != before, 10, "a new ao process")
        victim.wait_ready()
        wait_heard(*ends)
    assert victim.ask("show", "status")["connections"]["restored"] == 1
    wait_for(lambda: not process.alive(), 60, "the flood is over")
    wait_heard(*ends)
    for end in ends:
        end.assert_whole(1)
    assert refused(totals(other)) == {}
