"""What all clients of RPKI-RTR have in common; also those that are BGP daemons besides."""

from wait import wait_for


class RtrClient:
    """Mixed into a Daemon: adds the servers, and the questions about them.

    options: for the Daemon, if it takes any but its host.
    """

    options = {}
    at_once = True  # whether it asks all its servers at the same time

    def __init__(self, host, servers, port=8282, **options):
        super().__init__(host, **{**self.options, **options})
        self.servers = list(servers)
        self.port = port

    def vrps(self):
        """What it has from its servers: a set of (prefix, maximal length, AS number)."""
        raise NotImplementedError

    def has(self, vrps):
        """Whether it has exactly these."""
        return self.vrps() == set(vrps)

    def connected(self, server):
        """Whether it holds a connection with that server, or data of it where it tells no more."""
        raise NotImplementedError

    def wait_vrps(self, vrps, timeout=30):
        wait_for(lambda: self.has(vrps), timeout,
                 lambda: f"{self.kind} has these {len(vrps)} VRPs\n{self.tail()}")
