"""pce.py in a namespace: the far end of PCEP."""

import os
import re

from .daemon import Daemon

PROGRAM = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "pce.py")


class Pce(Daemon):
    kind = "pce"

    def __init__(self, host, address="", name=None):
        super().__init__(host, name)
        self.address = address

    def version(self):
        return "a responder of ours (no PCE in Debian 12)"

    def arguments(self):
        return ["/usr/bin/python3", PROGRAM, self.address]

    def said(self):
        """The lines that it has printed."""
        with open(self.path("out"), encoding="utf-8") as file:
            return file.read().splitlines()

    def answers(self):
        return "listening" in self.said()

    def reported(self):
        """The names of the paths that PCCs have reported."""
        return {found[1] for line in self.said() if (found := re.search(r" reports (.*)", line))}

    def connections(self):
        """How many it has had."""
        return sum(line.endswith(" connected") for line in self.said())
