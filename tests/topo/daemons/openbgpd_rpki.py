"""OpenBGPD as a client of RPKI-RTR: its section rtr."""

import json

from .openbgpd import Openbgpd
from .rtr import RtrClient


class OpenbgpdRpki(RtrClient, Openbgpd):
    kind = "openbgpd-rpki"
    options = {"asn": 65500, "peers": (), "listen": ("127.0.0.1",)}

    def configuration(self):
        lines = []
        for server in self.servers:
            lines += [f"rtr {server} {{", f"    port {self.port}", "}"]
        return super().configuration() + "\n".join(lines) + "\n"

    def _ask(self, *words):
        return json.loads(self.bgpctl("show", *words).stdout)

    def connected(self, server):
        return any(r["remote_addr"] == server and "session_id" in r
                   for r in self._ask("rtr").get("rtrs", []))

    def has(self, vrps):
        """It tells nothing but their number, for each version of IP."""
        wanted = [sum((":" in prefix) == v6 for prefix, _, _ in vrps) for v6 in (False, True)]
        return any([s["num_IPv4"], s["num_IPv6"]] == wanted
                   for s in self._ask("sets").get("sets", []) if s["name"] == "RPKI ROA")
