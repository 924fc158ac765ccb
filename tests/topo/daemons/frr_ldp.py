"""FRR's ldpd with ospfd, which makes the loopbacks reach one another: a label switching router.

    r1 = FrrLdp(a, "192.168.0.11", {"eth0": "192.0.2.1/30"}).start()
    r1.wait_operational("192.168.0.12")
    r1.bindings()["192.168.0.12/32"]                 # {"192.168.0.12": ("16", "imp-null")}

The router id is the loopback's address and LDP's transport address. Of two neighbours the one with
the higher transport address opens the TCP session (RFC 5036, 2.5.2).
"""

from wait import wait_for

from .frr_router import FrrRouter


def configuration(router_id, links):
    """links: address by interface. OSPF's and LDP's timers are short."""
    interfaces = "".join(f"interface {name}\n ip address {address}\n ip ospf area 0.0.0.0\n"
                         " ip ospf network point-to-point\n ip ospf hello-interval 1\n"
                         " ip ospf dead-interval 4\n"
                         " ip ospf retransmit-interval 1\nexit\n" for name, address in links.items())
    return (f"{interfaces}"
            f"interface lo\n ip address {router_id}/32\n ip ospf area 0.0.0.0\nexit\n"
            f"router ospf\n ospf router-id {router_id}\n timers throttle spf 0 50 500\n"
            " timers throttle lsa all 0\n timers lsa min-arrival 0\nexit\n"
            f"mpls ldp\n router-id {router_id}\n address-family ipv4\n"
            f"  discovery transport-address {router_id}\n  discovery hello interval 1\n"
            "  session holdtime 15\n"
            f"{''.join(f'  interface {name}{chr(10)}  exit{chr(10)}' for name in links)}"
            " exit-address-family\nexit\n")


class FrrLdp(FrrRouter):
    """zebra, ospfd and ldpd; a configuration of the caller's own replaces the one made here."""

    def __init__(self, host, router_id, links=None, text=None, name=None, launcher=()):
        super().__init__(host, ["ospfd", "ldpd"], text or configuration(router_id, links), name,
                         launcher)
        self.router_id = router_id

    def neighbour(self, peer):
        """Of the given router id: state, upTime, …; or nothing."""
        found = self.ask("show mpls ldp neighbor").get("neighbors", [])
        return next((n for n in found if n["neighborId"] == peer), {})

    def operational(self, peer):
        return self.neighbour(peer).get("state") == "OPERATIONAL"

    def wait_operational(self, peer, timeout=60):
        wait_for(lambda: self.operational(peer), timeout,
                 lambda: f"LDP in {self.host.name} with {peer} is operational; it is "
                         f"{self.neighbour(peer)}\n{self.tail()}")

    def adjacent(self, peer):
        """Whether OSPF's database is in step with that router's."""
        entries = self.ask("show ip ospf neighbor").get("neighbors", {}).get(peer, [])
        return any(entry["nbrState"].startswith("Full/") for entry in entries)

    def discovered(self, peer):
        """Whether LDP's hellos (UDP, which TCP-AO does not protect) have found that router."""
        found = self.ask("show mpls ldp discovery").get("adjacencies", [])
        return any(entry["neighborId"] == peer for entry in found)

    def bindings(self):
        """{prefix: {neighbour: (local label, remote label)}}"""
        found = {}
        for entry in self.ask("show mpls ldp binding").get("bindings", []):
            labels = found.setdefault(entry["prefix"], {})
            labels[entry["neighborId"]] = (entry["localLabel"], entry["remoteLabel"])
        return found

    def flaps(self, peer):
        """How often the session with that router was lost."""
        with open(self.path("ldpd.log"), encoding="utf-8") as file:
            return sum(f"lsr-id {peer} from OPERATIONAL" in line for line in file)
