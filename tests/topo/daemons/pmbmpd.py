"""pmbmpd of pmacct: a BMP collector, which writes a line of JSON for each message."""

import json

from wait import wait_for

from .daemon import Daemon


class Pmbmpd(Daemon):
    kind = "pmbmpd"
    title = "pmacct"

    def __init__(self, host, address, port=5000, name=None):
        super().__init__(host, name)
        self.address = address
        self.port = port

    def version_command(self):
        return ["pmbmpd", "-V"]

    def configuration(self):
        return (f"daemonize: false\nlogfile: {self.log}\nbmp_daemon_ip: {self.address}\n"
                f"bmp_daemon_port: {self.port}\nbmp_daemon_max_peers: 10\n"
                f"bmp_daemon_msglog_file: {self.path('messages')}\n"
                "bmp_daemon_msglog_output: json\n")

    def arguments(self):
        self.write("messages", "")
        return ["pmbmpd", "-f", self.write("pmbmpd.conf", self.configuration())]

    def start(self):
        self.host.net.at_end(self.kill)  # it takes its time over a polite end
        return super().start()

    def answers(self):
        return "waiting for BMP data" in self.tail()

    def messages(self):
        """What routers have told, oldest first: {"bmp_msg_type": "init", …}."""
        with open(self.path("messages"), encoding="utf-8") as file:
            lines = file.read().splitlines(keepends=True)
        events = (json.loads(line) for line in lines if line.endswith("\n"))
        return [event for event in events if event.get("event_type") == "log"]

    def kinds(self):
        return {event["bmp_msg_type"] for event in self.messages()}

    def routes(self):
        """The prefixes that are announced now, as far as told."""
        found = set()
        for event in self.messages():
            if event["bmp_msg_type"] == "route_monitor" and "ip_prefix" in event:
                if event["log_type"] == "withdraw":
                    found.discard(event["ip_prefix"])
                else:
                    found.add(event["ip_prefix"])
        return found

    def wait_routes(self, routes, timeout=20):
        wait_for(lambda: self.routes() == set(routes), timeout,
                 lambda: f"{len(routes)} routes at the collector; it has {len(self.routes())}\n"
                         f"{self.tail()}")

    def connections(self):
        """How many routers have connected, and how many of these connections have ended."""
        with open(self.path("messages"), encoding="utf-8") as file:
            text = file.read()
        return text.count('"log_init"'), text.count('"log_close"')
