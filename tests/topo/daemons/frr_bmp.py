"""FRR's bgpd with its module bmp: it connects to collectors and tells what its BGP peers announce."""

from .frr import Frr


class FrrBmp(Frr):
    kind = "frr-bmp"
    modules = ("bmp",)

    def __init__(self, host, asn, peers, collectors, port=5000, **options):
        super().__init__(host, asn, peers, **options)
        self.collectors = list(collectors)
        self.port = port

    def configuration(self):
        lines = []
        for collector in self.collectors:
            lines += [f" bmp targets {collector}", "  bmp stats interval 1000",
                      "  bmp monitor ipv4 unicast post-policy",
                      f"  bmp connect {collector} port {self.port} min-retry 1000 max-retry 1000",
                      " exit"]
        return super().configuration() + "\n".join(lines) + "\n"

    def connected(self, collector):
        """Whether it holds a connection with that collector."""
        for line in self.vtysh("show bmp").stdout.splitlines():
            words = line.split()
            if words[:2] == [f"{collector}:{self.port}", "Up"]:
                return True
        return False
