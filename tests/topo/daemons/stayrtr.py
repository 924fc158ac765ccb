"""StayRTR: an RPKI-RTR server that serves the VRPs of a file."""

import json
import os

from .daemon import Daemon


class Stayrtr(Daemon):
    """vrps: what it serves, a set of (prefix, maximal length, AS number).

    address: where it listens; by default on all.
    """

    kind = "stayrtr"
    title = "StayRTR"

    def __init__(self, host, vrps=(), address="", port=8282, name=None):
        super().__init__(host, name)
        self.vrps = set(vrps)
        self.bind = f"[{address}]:{port}" if ":" in address else f"{address}:{port}"

    def version_command(self):
        return ["dpkg-query", "-W", "stayrtr"]  # Debian's build does not know its own

    def serve(self, vrps):
        """Changes what it serves; it looks every second, and tells its clients."""
        self.vrps = set(vrps)
        self._write()

    def _write(self):
        roas = [{"prefix": prefix, "maxLength": longest, "asn": asn, "ta": "test"}
                for prefix, longest, asn in sorted(self.vrps)]
        self.write("new.json", json.dumps({"metadata": {}, "roas": roas}))
        os.rename(self.path("new.json"), self.path("vrps.json"))

    def arguments(self):
        self._write()
        return ["stayrtr", "-bind", self.bind, "-cache", self.path("vrps.json"), "-checktime=false",
                "-refresh", "1", "-metrics.addr", "127.0.0.1:9847"]

    def _said(self, what):
        with open(self.path("out"), encoding="utf-8", errors="replace") as file:
            return sum(what in line for line in file)

    def answers(self):
        return self._said("Server started")

    def accepted(self):
        """How many connections it has taken since the start."""
        return self._said("Accepted tcp connection")
