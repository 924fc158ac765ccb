"""FRR's bgpd as a client of RPKI-RTR: its module rpki, which is made of RTRlib.

It asks one server at a time; the second only when the first fails.
"""

from .frr import Frr
from .rtr import RtrClient


class FrrRpki(RtrClient, Frr):
    kind = "frr-rpki"
    modules = ("rpki",)
    options = {"asn": 65500, "peers": ()}
    at_once = False

    def configuration(self):
        caches = [f" rpki cache {server} {self.port} preference {n + 1}"
                  for n, server in enumerate(self.servers)]
        return super().configuration() + "\n".join(
            ["rpki", " rpki retry_interval 1", *caches, "exit"]) + "\n"

    def arguments(self):
        return [*super().arguments(), "-p", "0"]  # listens for no BGP

    def connected(self, server):
        answer = self.ask("show rpki cache-connection json")
        return any(c["host"] == server and c["state"] == "connected"
                   for c in answer.get("connections", []))

    def vrps(self):
        answer = self.ask("show rpki prefix-table json")
        return {(f"{p['prefix']}/{p['prefixLenMin']}", p["prefixLenMax"], p["asn"])
                for p in answer.get("prefixes", [])}
