"""BIRD as a client of RPKI-RTR: a protocol rpki for each server."""

import re

from .bird import Bird, session_name
from .rtr import RtrClient


class BirdRpki(RtrClient, Bird):
    kind = "bird-rpki"
    options = {"asn": 65500, "peers": ()}

    def configuration(self):
        lines = ["roa4 table r4;", "roa6 table r6;"]
        for server in self.servers:
            lines += [f"protocol rpki {session_name(server)} {{", "    roa4 { table r4; };",
                      "    roa6 { table r6; };", f"    remote {server} port {self.port};",
                      "    retry keep 1; refresh keep 600; expire keep 7200;", "}"]
        return super().configuration() + "\n".join(lines) + "\n"

    def connected(self, server):
        return self.state(server) == "established"

    def vrps(self):
        found = set()
        for table in ("r4", "r6"):
            text = self.birdc(f"show route table {table}")
            found.update((prefix, int(longest), int(asn)) for prefix, longest, asn in re.findall(
                r"^([0-9a-f.:]+/\d+)-(\d+) AS(\d+)", text, re.MULTILINE))
        return found
