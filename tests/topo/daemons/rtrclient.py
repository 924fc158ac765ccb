"""rtrclient of rtr-tools: RTRlib's own client, which prints what it hears."""

import os
import re

from .daemon import Daemon
from .rtr import RtrClient


class Rtrclient(RtrClient, Daemon):
    kind = "rtrclient"
    title = "rtr-tools"

    def version_command(self):
        return ["dpkg-query", "-W", "rtr-tools"]  # rtrclient tells none

    def arguments(self):
        sockets = [word for server in self.servers
                   for word in ("tcp", "-p", server, str(self.port))]
        # Its threads write to both; into one file they would write into the midst of lines.
        return ["sh", "-c", 'log=$1; shift; exec "$@" 2>"$log"', "sh", self.log,
                "stdbuf", "-oL", "rtrclient", "-p", *sockets]

    def _lines(self, path=None):
        with open(path or self.path("out"), encoding="utf-8", errors="replace") as file:
            return file.read().splitlines()

    def answers(self):
        return os.path.exists(self.log) and any(
            "rtr_mgr_start" in line for line in self._lines(self.log))

    def _changes(self):
        """(+ or -, server, VRP) for each line such as "+ 10.77.0.2:8282 192.0.2.0 24 - 25 65001".

        It names no server where there is only one.
        """
        for line in self._lines():
            found = re.match(r"([+-]) (?:(\S+):\d+ )?(\S+)\s+(\d+)\s+-\s+(\d+)\s+(\d+)$", line)
            if found:
                sign, server, address, shortest, longest, asn = found.groups()
                yield sign, server or self.servers[0], (f"{address}/{shortest}", int(longest), int(asn))

    def vrps(self):
        found = set()
        for sign, _, vrp in self._changes():
            if sign == "+":
                found.add(vrp)
            else:
                found.discard(vrp)
        return found

    def connected(self, server):
        return any(server == of for _, of, _ in self._changes())
