"""When packets cannot be judged: the queue is full, the engine hangs, or there is none."""

import signal

import pytest

from capture import RST, Capture
from gatehouse import Gatehouse, Key, key_chain, tcp_ao
from netns import A4, B4
from traffic import (Talkers, lan, observe, queues, refused, wait_heard, wait_talking)
from wait import stays, wait_for

KEY = Key(1, "correct horse battery staple", send_id=3, recv_id=8)
PORT = 20004


def protect(host, build_dir, key, peer, **settings):
    """Gatehouse at one end; settings: of the `gatehouse { … }` section, as queue_length=8."""
    lines = " ".join(f"{name.replace('_', '-')} = {value}" for name, value in settings.items())
    config = f"gatehouse {{ {lines} }}\n" if settings else ""
    config += key_chain("core", [key]) + tcp_ao("core", peer, "core")
    return Gatehouse(host, build_dir, config).start()


def talk(a, b, build_dir, count=1, name="", local_port=PORT, **options):
    server = Talkers(a, build_dir, listen=A4, name=f"server{name}", **options)
    client = Talkers(b, build_dir, local=B4, remote=A4, local_port=local_port, name=f"client{name}",
                     **options)
    wait_talking(server, client, count)
    return server, client


def dropped(namespace):
    return sum(q.dropped for q in queues(namespace).values())


def assert_all_signed(segments):
    bare = [s for s in segments if 179 in (s.sport, s.dport) and not s.ao]
    assert not bare, f"{len(bare)} segments without the option, the first: {bare[0]}"


def test_queue_overflow(net, build_dir):
    """A queue far too short for bulk transfers both ways: what it loses comes again."""
    a, b = net.two_routers()
    for host in (a, b):  # a packet a segment
        host.run(["ethtool", "-K", "eth0", "tso", "off", "gso", "off"])
    one = protect(a, build_dir, KEY, B4, queue_length=64)
    two = protect(b, build_dir, KEY.swapped(), A4)
    capture = Capture(a, expression="tcp port 179 and tcp[tcpflags] & (tcp-syn|tcp-rst) != 0")
    ends = talk(a, b, build_dir, every_ms=0)
    wait_for(lambda: dropped(a) > 100, 30, lambda: f"the queue overflows: {queues(a)}")
    for _ in range(3):
        wait_heard(*ends)
    for end in ends:
        end.assert_whole(1)
    for gatehouse in (one, two):
        assert refused(gatehouse.counters("core")) == {}
    segments = capture.stop()
    assert_all_signed(segments)
    assert not any(s.flags & RST for s in segments)


def test_a_hanging_engine(net, build_dir):
    """While `ao` is stopped nothing passes, in neither direction; the session outlives it. One that
    does not come back is replaced."""
    a, b, forger = lan(net, build_dir)
    one = protect(a, build_dir, KEY, B4)
    protect(b, build_dir, KEY.swapped(), A4)
    capture = Capture(a, expression="tcp port 179")
    ends = talk(a, b, build_dir, every_ms=20, octets=300)
    server, client = ends
    target = observe(a, B4, PORT, A4, 179)
    ao = one.processes()["ao"]

    one.host.run(["kill", "-STOP", ao])
    wait_for(lambda: server.status()["silent_ms"] > 500 and client.status()["silent_ms"] > 500, 10,
             "the session is silent")
    before = [end.status()["heard"] for end in ends]
    forger.flood(target, "rst", "no-option", "bad-mac", count=3000, window=60000)
    stays(lambda: [end.status()["heard"] for end in ends] == before, 1.5, "nothing passes")
    assert queues(a)[min(queues(a))].waiting > 0
    one.host.run(["kill", "-CONT", ao])
    wait_heard(*ends)
    assert one.processes()["ao"] == ao

    one.host.run(["kill", "-STOP", ao])
    wait_for(lambda: one.processes().get("ao", ao) != ao, 20, "a hanging process is replaced")
    one.wait_ready()
    wait_heard(*ends)
    for end in ends:
        end.assert_whole(1)
    genuine = [s for s in capture.stop() if not (s.src == B4 and (not s.ao or s.flags & RST))]
    assert_all_signed(genuine)
    assert not any(s.flags & RST for s in genuine)
    assert set(refused(one.counters("core"))) <= {"missing-ao", "bad-mac"}


@pytest.mark.parametrize("end", ["stop", "kill"])
def test_without_an_engine(net, build_dir, end):
    """Nothing leaks, not even a SYN, an answer to one, or the RST of a program that dies; the rules
    stay until they are taken away by name."""
    a, b = net.two_routers()
    one = protect(a, build_dir, KEY, B4)
    two = protect(b, build_dir, KEY.swapped(), A4)
    ends = talk(a, b, build_dir, every_ms=20, octets=300)
    server, client = ends
    # The peer speaks without the option from now on, and would answer a plain segment.
    capture = Capture(b, expression=f"tcp and src host {A4}")
    if end == "stop":
        one.stop()
    else:
        processes = one.processes()
        for role in ("parent", "ao"):
            a.run(["kill", "-9", processes[role]], check=False)
        one.process.wait()
    wait_for(lambda: client.status()["silent_ms"] > 500, 10, "the session is silent")
    already = len(capture.segments())
    server.stop()  # its kernel has a FIN or RST to send
    client.stop()
    two.stop()
    b.run([two.daemon, "-r", two.run_dir, "--remove-rules"])

    heard = Capture(b, expression=f"tcp and src host {B4} and tcp[tcpflags] & tcp-syn != 0",
                    name="calls")
    server = Talkers(a, build_dir, listen=A4, every_ms=20, name="later-server")
    caller = Talkers(b, build_dir, local=B4, remote=A4, every_ms=20, name="later-client")
    plain = Talkers(b, build_dir, listen=B4, every_ms=20, name="plain-server")
    outward = Talkers(a, build_dir, local=A4, remote=B4, every_ms=20, name="plain-client")
    wait_for(lambda: len(heard.segments()) >= 1, 10, "the peer calls")
    stays(lambda: len(capture.segments()) == already, 2.5, "nothing leaves")
    assert_all_signed(capture.segments())

    a.run([one.daemon, "-r", one.run_dir, "--remove-rules"])
    wait_talking(server, caller, 1)
    wait_talking(plain, outward, 1)
