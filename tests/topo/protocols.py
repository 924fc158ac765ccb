"""What the tests of protocols other than BGP share: one port between two routers.

Gatehouse stands on both, for that port only; the chain is called core, the sessions v4 and v6.
"""

import dataclasses

from capture import ACK, FIN, RST, SYN, Capture
from gatehouse import Gatehouse, Key, key_chain, tcp_ao
from netns import A4, A6, B4, B6
from scenario import assert_none_refused, assert_verified, config, lifetime, swapped, wait_cause
from wait import stays, wait_for

KEYS = [Key(1, "the first of three secrets", 3, 8, "hmac-sha-1-96"),
        Key(2, "the second of three secrets", 4, 9, "aes-128-cmac-96"),
        Key(3, "the third of three secrets", 5, 10, "hmac-sha-256-128")]
ALGORITHMS = ", ".join(key.algorithm for key in KEYS)


class Port:
    """The two routers, a capture of the port's segments, and Gatehouse at either end."""

    def __init__(self, net, build_dir, number, names=("v4",), directed=False):
        """names: the sessions that daemons will open; directed: the policies say that a opens."""
        self.number = number
        self.names = names
        self.rolled = False
        self.directions = ("active", "passive") if directed else (None, None)
        self.a, self.b = net.two_routers()
        self.capture = Capture(self.a, expression=f"tcp port {number}")
        self.ends = [Gatehouse(router, build_dir, text).start()
                     for router, text in zip((self.a, self.b), self._configs(KEYS[:1]))]

    def _configs(self, keys, tolerance=10):
        """Of both ends."""
        return [config(mine, peers, tolerance=tolerance, port=self.number, direction=direction)
                for mine, peers, direction in zip(
                    (keys, swapped(keys)), ({"v4": B4, "v6": B6}, {"v4": A4, "v6": A6}),
                    self.directions)]

    def connections(self, gatehouse):
        """The established connections of its sessions."""
        sessions = gatehouse.sessions()
        return [connection for name in self.names for connection in sessions[name]["connections"]
                if connection["state"] == "established"]

    def wait_up(self, connections=1):
        """So many connections, all protected."""
        for gatehouse in self.ends:
            wait_for(lambda: len(self.connections(gatehouse)) == connections, 30,
                     lambda: f"{connections} connections; there are {self.connections(gatehouse)}")
            assert all(c["protected"] for c in self.connections(gatehouse))
            assert all(gatehouse.session(name)["state"] == "up" for name in self.names)

    def schedule(self, times, **options):
        """Reloads both ends with a key for each (start, end), in seconds from now."""
        keys = [dataclasses.replace(key, options=lifetime(*when)) for key, when in zip(KEYS, times)]
        for gatehouse, text in zip(self.ends, self._configs(keys, **options)):
            gatehouse.configure(text)
            gatehouse.reload()

    def roll_over(self, traffic, step=3):
        """Two rollovers by lifetime while traffic() is made: not one segment is refused.

        step: seconds between two keys.
        """
        self.schedule([(-600, step), (step, 2 * step), (2 * step, None)])
        self.rolled = True
        used = set()

        def moved():
            traffic()
            now = {((gatehouse, c["local"], c["remote"]), c["keys"]["current"]["key"])
                   for gatehouse in self.ends for c in self.connections(gatehouse)}
            used.update(now)
            return {key for _, key in now} == {3}
        wait_for(moved, 40, lambda: f"key 3 in both directions; used {used}")
        ways = {way for way, _ in used}
        assert used == {(way, key.number) for way in ways for key in KEYS}, used
        assert_none_refused(*self.ends, names=self.names)

    def finish(self, connections=1):
        """What was on the wire all this time: right MACs, and no connection opened or ended.

        After roll_over() also that each connection was signed with each key in each direction.
        """
        segments = assert_verified(self.ends[0], self.capture)
        opened = [s for s in segments if s.flags & (SYN | ACK) == SYN]
        assert len({(s.src, s.sport, s.dst) for s in opened}) == connections, opened
        ended = [s for s in segments if s.flags & (FIN | RST)]
        assert not ended, ended[0]
        if self.rolled:
            ids = {A4: {key.send_id for key in KEYS}, B4: {key.recv_id for key in KEYS}}
            for way in {(s.src, s.sport, s.dport) for s in segments}:
                assert {s.ao[0] for s in segments if (s.src, s.sport, s.dport) == way} == ids[
                    way[0]], way
        return segments


@dataclasses.dataclass
class Mistake:
    """A session that cannot come up: what a's end has for it and what b's, and what each says."""

    name: str
    address: str  # of b
    a: Key  # None: no TCP-AO at that end
    b: Key
    cause_a: str
    cause_b: str


OURS, THEIRS = KEYS[0], KEYS[0].swapped()
MISTAKES = [
    Mistake("wrong-key", "10.77.0.11", OURS, dataclasses.replace(THEIRS, secret="another"),
            "silent-peer", "wrong-key"),
    Mistake("missing-key", "10.77.0.12", OURS, KEYS[1].swapped(), "silent-peer", "unknown-keyid"),
    Mistake("bare-acceptor", "10.77.0.13", OURS, None, "peer-without-ao", None),
    Mistake("bare-opener", "10.77.0.14", None, THEIRS, None, "peer-without-ao"),
]


class Mistakes:
    """Two routers whose sessions all have something wrong; the daemon of a opens them."""

    def __init__(self, net, build_dir, port):
        self.a, self.b = net.two_routers()
        texts = ["", ""]
        for mistake in MISTAKES:
            self.b.add_address("eth0", f"{mistake.address}/24")
            for side, key, peer, local in ((0, mistake.a, mistake.address, A4),
                                           (1, mistake.b, A4, mistake.address)):
                if key:
                    texts[side] += key_chain(mistake.name, [key]) + tcp_ao(
                        mistake.name, peer, mistake.name, local=local, port=port)
        self.ends = [Gatehouse(router, build_dir, text).start()
                     for router, text in zip((self.a, self.b), texts)]
        self.addresses = [mistake.address for mistake in MISTAKES]

    def assert_told(self):
        """Every session is down, and `explain` names the cause at the ends that can know it."""
        for mistake in MISTAKES:
            for gatehouse, cause in zip(self.ends, (mistake.cause_a, mistake.cause_b)):
                if cause:
                    wait_cause(gatehouse, mistake.name, cause)
        # The daemons go on trying.
        stays(lambda: all(session["state"] != "up" for gatehouse in self.ends
                          for session in gatehouse.sessions().values()), 1, "no session is up")
