"""What all BGP daemons have in common: peers, sessions, routes."""

import dataclasses
import ipaddress

from wait import wait_for

from .daemon import Daemon


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
    local_port: int = None  # BIRD: where it listens, if not on 179
    vrf: str = None  # BIRD: the VRF device of the session
    ao_keys: list = None  # BIRD >= 2.17 on a kernel with TCP-AO: AoKey list, see bird.py

    @property
    def version(self):
        return ipaddress.ip_network(self.address).version

    @property
    def dynamic(self):
        return "/" in self.address


class BgpDaemon(Daemon):
    """Subclasses write the configuration, start the program and ask it."""

    def __init__(self, host, asn, peers, announce=(), router_id=None, listen=(), name=None,
                 hold_time=30, launcher=()):
        super().__init__(host, name, launcher)
        self.asn = asn
        self.peers = list(peers)
        self.announce = list(announce)
        self.router_id = router_id or f"10.255.{asn % 65536 // 256}.{asn % 256}"
        self.listen = list(listen)
        self.hold_time = hold_time

    def announced(self, version):
        return [p for p in self.announce if ipaddress.ip_network(p).version == version]

    def state(self, peer):
        """The session's state in small letters: idle, connect, active, ..., established."""
        raise NotImplementedError

    def established(self, peer):
        return self.state(peer) == "established"

    def wait_established(self, peer, timeout=60):
        """OpenBGPD rests for half a minute after whatever went wrong with its first connection."""
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

    def why_down(self, peer):
        """In short, why it did; more is in the daemon's log."""
        return "see its log"
