"""FRR's pimd as a rendezvous point that tells others of its sources by MSDP.

    rp = FrrMsdp(a, "10.77.0.1", ["10.77.0.2"], ["eth0", "lan"]).start()
    rp.wait_established("10.77.0.2")
    rp.sources()                       # {("10.88.0.2", "239.1.1.1", "10.77.0.1"), …}

Of two peers the one with the lower address opens the session (RFC 3618, 11.1).
"""

from wait import wait_for

from .frr_router import FrrRouter


def configuration(address, peers, interfaces):
    lines = [f"ip pim rp {address} 224.0.0.0/4",
             "ip msdp timers 2 6 2"]  # keep-alive, hold, connect retry
    lines += [f"ip msdp peer {peer} source {address}" for peer in peers]
    for interface in interfaces:
        lines += [f"interface {interface}", " ip pim", "exit"]
    return "\n".join(lines) + "\n"


class FrrMsdp(FrrRouter):
    """address: of the rendezvous point, on one of the interfaces."""

    def __init__(self, host, address, peers, interfaces, text=None, name=None):
        super().__init__(host, ["pimd"], text or configuration(address, peers, interfaces), name)

    def peer(self, address):
        return self.ask("show ip msdp peer detail").get(address, {})

    def established(self, peer):
        return self.peer(peer).get("state") == "established"

    def wait_established(self, peer, timeout=30):
        wait_for(lambda: self.established(peer), timeout,
                 lambda: f"MSDP in {self.host.name} with {peer}; it is {self.peer(peer)}\n"
                         f"{self.tail()}")

    def changes(self, peer):
        """How often the session came up or was lost."""
        return self.peer(peer)["establishedChanges"]

    def sources(self):
        """The SA cache: (source, group, rendezvous point); "-" for those that are our own."""
        return {(entry["source"], entry["group"], entry["rp"])
                for sources in self.ask("show ip msdp sa detail").values()
                for entry in sources.values()}

    def wait_sources(self, sources, timeout=20):
        wait_for(lambda: self.sources() == set(sources), timeout,
                 lambda: f"{sorted(sources)} in {self.host.name}; it has {sorted(self.sources())}")
