"""What all BGP daemons have in common: peers, start, questions, stop."""

import dataclasses
import ipaddress
import os
import re

from wait import wait_for


@dataclasses.dataclass
class Peer:
    """One neighbour in a daemon's configuration."""

    address: str  # of the neighbour; a prefix means dynamic neighbours (FRR, BIRD, GoBGP)
    asn: int
    local: str = None  # the address to use here, where it must be a certain one
    passive: bool = False  # only accepts, never connects
    password: str = None  # TCP-MD5
    port: int = 179
    multihop: bool = False
    vrf: str = None  # BIRD: the VRF device of the session
    ao_keys: list = None  # BIRD >= 2.17 on a kernel with TCP-AO: AoKey list, see bird.py

    @property
    def version(self):
        return ipaddress.ip_network(self.address).version

    @property
    def dynamic(self):
        return "/" in self.address


class BgpDaemon:
    """Subclasses write the configuration, start the program and ask it."""

    kind = None
    title = None  # as its authors write it
    user = None  # whom the program runs as, where it insists

    def __init__(self, host, asn, peers, announce=(), router_id=None, listen=(), name=None,
                 hold_time=30, launcher=()):
        self.host = host
        self.launcher = list(launcher)  # words before the program's own: gaterun …
        self.asn = asn
        self.peers = list(peers)
        self.announce = list(announce)
        self.router_id = router_id or f"10.255.{asn % 65536 // 256}.{asn % 256}"
        self.listen = list(listen)
        self.hold_time = hold_time
        self.dir = host.directory(name or self.kind, self.user)
        self.log = os.path.join(self.dir, "log")
        self.process = None

    def version(self):
        """Name and version, as in "BIRD 2.0.12"."""
        done = self.host.run(self.version_command(), check=False)
        number = re.search(r"\d+\.\d[\d.]*", done.stdout + done.stderr)
        return f"{self.title} {number[0]}"

    def version_command(self):
        raise NotImplementedError

    def path(self, name):
        return os.path.join(self.dir, name)

    def write(self, name, text, mode=0o644):
        with open(self.path(name), "w", encoding="utf-8") as file:
            file.write(text)
        os.chmod(self.path(name), mode)
        return self.path(name)

    def announced(self, version):
        return [p for p in self.announce if ipaddress.ip_network(p).version == version]

    def start(self):
        """Starts it and returns when it answers questions."""
        self.process = self.host.spawn([*self.launcher, *self.arguments()], self.path("out"), self.environment())
        wait_for(lambda: self.answers() or not self.process.alive(), 20,
                 f"{self.kind} answers\n{self.tail()}")
        assert self.process.alive(), f"{self.kind} ended at once:\n{self.tail()}"
        return self

    def environment(self):
        return None

    def arguments(self):
        raise NotImplementedError

    def answers(self):
        """Whether it takes questions now."""
        raise NotImplementedError

    def state(self, peer):
        """The session's state in small letters: idle, connect, active, ..., established."""
        raise NotImplementedError

    def established(self, peer):
        return self.state(peer) == "established"

    def wait_established(self, peer, timeout=30):
        wait_for(lambda: self.established(peer), timeout,
                 lambda: f"{self.kind} in {self.host.name}: session with {peer} established "
                         f"(it is {self.state(peer)})\n{self.tail()}")

    def wait_not_established(self, peer, timeout=60):
        wait_for(lambda: not self.established(peer), timeout,
                 f"{self.kind} in {self.host.name}: session with {peer} lost")

    def routes(self):
        """The set of prefixes learned from all peers."""
        raise NotImplementedError

    def wait_routes(self, prefixes, timeout=30):
        wanted = set(prefixes)
        wait_for(lambda: wanted <= self.routes(), timeout,
                 lambda: f"{self.kind} in {self.host.name}: routes {sorted(wanted)} "
                         f"(it has {sorted(self.routes())[:20]})\n{self.tail()}")

    def flaps(self, peer):
        """How often the session with a peer left Established since the start."""
        raise NotImplementedError

    def tail(self, lines=15):
        """The last lines of its log and of what it printed."""
        text = ""
        for path in (self.log, self.path("out")):
            try:
                with open(path, encoding="utf-8", errors="replace") as file:
                    text += "".join(file.readlines()[-lines:])
            except FileNotFoundError:
                pass
        return text

    def stop(self):
        """An orderly end: the peers get a NOTIFICATION."""
        if self.process:
            self.process.stop()

    def kill(self):
        """An end without a word to the peers (the kernel resets its connections)."""
        self.process.kill()
