"""A thousand protected sessions at once, and a hundred of real BGP."""

import datetime
import ipaddress
import time

from daemons import Bird, Frr, Peer
from gatehouse import Gatehouse, Key, key_chain, tcp_ao
from traffic import Talkers, nth, refused, resident, wait_heard, wait_talking
from wait import wait_for

MANY = 1000
FIRST_A, FIRST_B = "10.78.0.1", "10.79.0.1"
ROLL_AFTER = 25  # seconds until the second key takes over
SKEW = 4  # seconds by which the clock of one end seems to be late


def stamp(offset):
    when = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=offset)
    return when.strftime("%Y-%m-%dT%H:%M:%SZ")


def rolling_keys(start):
    """Two keys; the second begins where the first ends."""
    return [Key(1, "the first secret of many", 3, 8,
                options={"lifetime": f"{stamp(-3600)}/{start}"}),
            Key(2, "the second secret of many", 4, 9, "aes-128-cmac-96",
                options={"lifetime": f"{start}/infinite"})]


def sessions(first_peer, count):
    return "".join(tcp_ao(f"s{n:04}", nth(first_peer, n), "core") for n in range(count))


def configuration(keys, first_peer, count):
    return key_chain("core", keys, tolerance=60) + sessions(first_peer, count)


def two_crowds(net):
    """Namespaces a and b that answer to a thousand addresses each: 10.78.0.1 …, 10.79.0.1 …"""
    a, b = net.two_routers()
    for host, own, other, via in ((a, "10.78.0.0/16", "10.79.0.0/16", "10.77.0.2"),
                                  (b, "10.79.0.0/16", "10.78.0.0/16", "10.77.0.1")):
        host.run(["ip", "route", "add", "local", own, "dev", "lo"])
        host.route(other, via)
    return a, b


def status(gatehouse):
    return gatehouse.ask("show", "status")


def all_up(gatehouse, count):
    found = status(gatehouse)
    return found["sessions"]["up"] == count and found["connections"]["established"] == count


def connections(gatehouse):
    for session in gatehouse.sessions().values():
        yield from session["connections"]


def send_with(gatehouse):
    """How many connections send with which key."""
    found = {}
    for connection in connections(gatehouse):
        key = connection["keys"]["current"]["key"]
        found[key] = found.get(key, 0) + 1
    return found


def assert_no_refusal(*ends):
    for gatehouse in ends:
        assert refused(gatehouse.ask("show", "counters")["total"]) == {}


def timed(gatehouse, *words):
    began = time.monotonic()
    answer = gatehouse.gatectl(*words).stdout
    took = time.monotonic() - began
    print(f"gatectl {' '.join(words)}: {took:.2f} s, {len(answer)} octets")
    return took


def survive(gatehouse, role, ends, count):
    """kill -9 of one process: another takes over, every connection carries on."""
    before = gatehouse.processes()["ao"]
    gatehouse.kill(role)
    if role == "parent":
        gatehouse.start()
    wait_for(lambda: gatehouse.processes().get("ao", before) != before, 10, "a new ao process")
    gatehouse.wait_ready()
    wait_heard(*ends)
    for end in ends:
        end.assert_whole(count)
    found = status(gatehouse)["connections"]
    assert found["established"] == count and found["restored"] == count, found


def test_a_thousand_sessions(net, build_dir):
    a, b = two_crowds(net)
    keys = rolling_keys(stamp(ROLL_AFTER))
    late = [k.swapped() for k in rolling_keys(stamp(ROLL_AFTER + SKEW))]
    one = Gatehouse(a, build_dir, configuration(keys, FIRST_B, MANY)).start()
    two = Gatehouse(b, build_dir, configuration(late, FIRST_A, MANY)).start()
    idle = resident(one.processes()["ao"])
    server = Talkers(a, build_dir, listen="0.0.0.0")
    client = Talkers(b, build_dir, local=FIRST_B, remote=FIRST_A, count=MANY)
    ends = (server, client)
    wait_talking(server, client, MANY)
    for gatehouse in (one, two):
        wait_for(lambda g=gatehouse: all_up(g, MANY), 10, lambda: f"all up: {status(one)}")
    assert send_with(one) == {1: MANY}, "the test was too slow to see the first key"

    # More sessions come under traffic, and all the others stay.
    one.configure(configuration(keys, FIRST_B, MANY + 1))
    one.reload()
    wait_for(lambda: status(one)["sessions"]["configured"] == MANY + 1, 10, "the reload is done")
    wait_heard(*ends)
    assert_no_refusal(one, two)

    for gatehouse in (one, two):
        wait_for(lambda g=gatehouse: send_with(g) == {2: MANY}, ROLL_AFTER + SKEW + 20,
                 lambda: f"all send with key 2: {send_with(one)} {send_with(two)}")
    wait_heard(*ends)
    assert_no_refusal(one, two)
    for end in ends:
        end.assert_whole(MANY)

    assert timed(one, "show", "tcp-ao", "session") < 3
    assert timed(one, "show", "tcp-ao", "session", "detail") < 5
    assert timed(one, "show", "counters") < 3
    assert timed(one, "explain", nth(FIRST_B, 500)) < 2
    used = resident(one.processes()["ao"])
    print(f"memory of ao: {idle} KiB before, {used} KiB with {MANY} connections")
    assert used < 100 * 1024

    survive(one, "ao", ends, MANY)
    survive(two, "parent", ends, MANY)
    survive(two, "ao", ends, MANY)
    assert resident(one.processes()["ao"]) < 100 * 1024


def test_a_hundred_bgp_sessions(net, build_dir):
    """FRR and BIRD with a hundred neighbours each; one kill -9 and one reload among them."""
    count = 100
    a, b = net.two_routers()
    ours = [nth(FIRST_A, n) for n in range(count)]
    theirs = [nth(FIRST_B, n) for n in range(count)]
    for host, own, other, via in ((a, ours, "10.79.0.0/16", "10.77.0.2"),
                                  (b, theirs, "10.78.0.0/16", "10.77.0.1")):
        host.run(["ip", "-batch", "-"],
                 input="".join(f"address add {address}/32 dev lo\n" for address in own))
        host.route(other, via)
    key = Key(1, "for a hundred", 3, 8)
    one = Gatehouse(a, build_dir, key_chain("core", [key]) + sessions(FIRST_B, count)).start()
    two = Gatehouse(b, build_dir,
                    key_chain("core", [key.swapped()]) + sessions(FIRST_A, count)).start()
    routes = [str(ipaddress.ip_network(f"192.0.2.{n}/32")) for n in range(10)]
    frr = Frr(a, 65001, [Peer(t, 65002, local=o, multihop=True) for o, t in zip(ours, theirs)])
    bird = Bird(b, 65002, [Peer(o, 65001, local=t, multihop=True) for o, t in zip(ours, theirs)],
                routes, listen=theirs)
    frr.start()
    bird.start()

    def neighbours():
        return frr.ask("show bgp summary json").get("ipv4Unicast", {}).get("peers", {}).values()

    def established():
        return sum(1 for n in neighbours() if n["state"] == "Established")
    wait_for(lambda: established() == count, 60, lambda: f"{established()} of {count}\n{frr.tail()}")
    for gatehouse in (one, two):
        wait_for(lambda g=gatehouse: status(g)["sessions"]["up"] == count, 10, "all are protected")
    frr.wait_routes(routes)

    def lost():
        """Sessions that one side or the other has lost, collisions at the start included."""
        with open(bird.log, encoding="utf-8", errors="replace") as log:
            return (sum(n["connectionsDropped"] for n in neighbours()),
                    sum(1 for line in log if "BGP session closed" in line))
    before = lost()
    one.kill("ao")
    one.wait_ready()
    two.configure(key_chain("core", [key.swapped()]) + sessions(FIRST_A, count + 1))
    two.reload()
    more = "203.0.113.0/24"
    bird.announce.append(more)
    bird.reconfigure()
    frr.wait_routes([*routes, more])
    assert established() == count
    assert lost() == before
