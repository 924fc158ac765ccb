"""FRR's pathd as a PCC of PCEP: it opens sessions with its path computation elements.

    pcc = FrrPcep(a, "10.77.0.1", ["10.77.0.2"]).start()
    pcc.wait_established("10.77.0.2")
"""

from wait import wait_for

from .frr_router import FrrRouter


def configuration(address, servers):
    lines = ["segment-routing", " traffic-eng", "  pcep", "   pce-config ours",
             f"    source-address ip {address}", "    timer keep-alive 1", "   exit"]
    for n, server in enumerate(servers):
        lines += [f"   pce pce{n}", f"    address ip {server}", "    config ours", "   exit"]
    lines += ["   pcc", *(f"    peer pce{n} precedence {n + 10}" for n, _ in enumerate(servers)),
              "   exit", "  exit"]
    return "\n".join(lines) + "\n"


class FrrPcep(FrrRouter):
    """The first server is the best one: pathd keeps a session with each, and reports to that."""

    def __init__(self, host, address, servers, text=None, name=None):
        super().__init__(host, ["pathd -M pathd_pcep"], text or configuration(address, servers), name)
        self.servers = list(servers)

    def session(self, server):
        """What pathd tells of the session with a server, as text."""
        return self.show(f"show sr-te pcep session pce{self.servers.index(server)}")

    def established(self, server):
        return "Session Status UP" in self.session(server)

    def wait_established(self, server, timeout=30):
        wait_for(lambda: self.established(server), timeout,
                 lambda: f"PCEP with {server}; it is {self.session(server)}\n{self.tail()}")

    def add_path(self, name, color):
        """A policy with a path of its own, which is reported as NAME-only."""
        self.configure("segment-routing", "traffic-eng", f"segment-list {name}",
                       f"index 10 mpls label {16000 + color}", "exit",
                       f"policy color {color} endpoint 192.0.2.1", f"name {name}",
                       f"candidate-path preference 100 name only explicit segment-list {name}")
