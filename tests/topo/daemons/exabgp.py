"""ExaBGP: tells what happens through a helper process, as JSON lines in a file."""

import json

from .bgp import BgpDaemon


class Exabgp(BgpDaemon):
    kind = "exabgp"
    title = "ExaBGP"

    def version_command(self):
        return ["/usr/sbin/exabgp", "--version"]

    def configuration(self):
        lines = [f"process events {{ run {self.path('helper')}; encoder json; }}"]
        for peer in self.peers:
            family = f"ipv{peer.version} unicast"
            lines += [f"neighbor {peer.address} {{", f"    peer-as {peer.asn};",
                      f"    local-as {self.asn};", f"    local-address {peer.local};",
                      f"    router-id {self.router_id};", f"    hold-time {self.hold_time};",
                      f"    family {{ {family}; }}"]
            if peer.password:
                lines.append(f"    md5-password \"{peer.password}\";")
            if peer.passive:
                lines.append("    passive true;")
            if peer.port != 179:
                lines.append(f"    connect {peer.port};")
            lines.append("    api { processes [ events ]; neighbor-changes; "
                         "receive { parsed; update; } }")
            routes = " ".join(f"route {p} next-hop self;" for p in self.announced(peer.version))
            lines += [f"    static {{ {routes} }}", "}"]
        return "\n".join(lines) + "\n"

    def environment(self):
        env = {"exabgp.daemon.user": "root", "exabgp.daemon.drop": "false",
               "exabgp.log.destination": self.log, "exabgp.api.cli": "false",
               "exabgp.api.ack": "false", "exabgp.cache.attributes": "false"}
        if self.listen:
            env["exabgp.tcp.bind"] = " ".join(self.listen)
            env["exabgp.tcp.port"] = "179"
        return env

    def arguments(self):
        self.write("exabgp.conf", self.configuration())
        self.write("events", "")
        # The shell stays and keeps its output open: ExaBGP takes a closed one for a dead helper.
        self.write("helper", f"#!/bin/sh\ncat >>{self.path('events')}\n", 0o755)
        return ["/usr/sbin/exabgp", self.path("exabgp.conf")]

    def answers(self):
        with open(self.path("out"), encoding="utf-8") as file:
            return "loaded new configuration successfully" in file.read()

    def events(self):
        with open(self.path("events"), encoding="utf-8") as file:
            for line in file:
                if line.endswith("\n") and line.startswith("{"):
                    event = json.loads(line)
                    if "neighbor" in event:
                        yield event["type"], event["neighbor"]

    def states(self, peer):
        return [neighbour["state"] for kind, neighbour in self.events()
                if kind == "state" and neighbour["address"]["peer"] == peer]

    def state(self, peer):
        last = (self.states(peer) or ["down"])[-1]
        return {"up": "established", "connected": "opensent", "down": "idle"}[last]

    def flaps(self, peer):
        states = self.states(peer)
        return sum(1 for before, after in zip(states, states[1:])
                   if before == "up" and after == "down")

    def routes(self):
        found = set()
        for kind, neighbour in self.events():
            if kind == "state" and neighbour["state"] == "down":
                found.clear()
            if kind != "update":
                continue
            update = neighbour["message"].get("update", {})
            for hops in update.get("announce", {}).values():
                for routes in hops.values():
                    found.update(r["nlri"] for r in routes if "nlri" in r)
            for routes in update.get("withdraw", {}).values():
                found.difference_update(r["nlri"] for r in routes if "nlri" in r)
        return found
