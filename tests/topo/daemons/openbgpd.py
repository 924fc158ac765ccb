"""OpenBGPD's portable bgpd: three processes, two of them as _openbgpd."""

import json
import os
import pwd

from .bgp import BgpDaemon


class Openbgpd(BgpDaemon):
    kind = "openbgpd"
    title = "OpenBGPD"

    def version_command(self):
        return ["/usr/sbin/bgpd", "-V"]

    def configuration(self):
        lines = [f"AS {self.asn}", f"router-id {self.router_id}", "fib-update no",
                 f"socket \"{self.path('ctl')}\"", f"holdtime {self.hold_time}"]
        lines += [f"listen on {address}" for address in self.listen]
        lines += [f"network {prefix}" for prefix in self.announce]
        for peer in self.peers:
            lines += [f"neighbor {peer.address} {{", f"    remote-as {peer.asn}"]
            if peer.local:
                lines.append(f"    local-address {peer.local}")
            if peer.passive:
                lines.append("    passive")
            if peer.password:
                lines.append(f"    tcp md5sig password \"{peer.password}\"")
            if peer.multihop:
                lines.append("    multihop 8")
            if peer.port != 179:
                lines.append(f"    port {peer.port}")
            lines.append(f"    announce IPv{peer.version} unicast")
            lines.append("}")
        lines += ["allow from any", "allow to any"]
        return "\n".join(lines) + "\n"

    def arguments(self):
        self.write("bgpd.conf", self.configuration(), 0o600)
        # Its unprivileged processes change root to their user's home, which the service makes.
        self.host.run(["mkdir", "-p", pwd.getpwnam("_openbgpd").pw_dir])
        return ["/usr/sbin/bgpd", "-d", "-v", "-f", self.path("bgpd.conf")]

    def bgpctl(self, *arguments, check=True):
        return self.host.run(["bgpctl", "-j", "-s", self.path("ctl"), *arguments], check=check)

    def answers(self):
        return self.bgpctl("show", "summary", check=False).returncode == 0

    def neighbour(self, peer):
        done = self.bgpctl("show", "neighbor", peer, check=False)
        found = json.loads(done.stdout).get("neighbors", []) if done.returncode == 0 else []
        return found[0] if found else {}

    def state(self, peer):
        return self.neighbour(peer).get("state", "none").lower()

    def flaps(self, peer):
        with open(self.path("out"), encoding="utf-8", errors="replace") as file:
            return sum(1 for line in file
                       if f"neighbor {peer}" in line and "state change Established ->" in line)

    def routes(self):
        answer = json.loads(self.bgpctl("show", "rib").stdout)
        return {r["prefix"] for r in answer.get("rib", []) if r.get("neighbor", {}).get("remote_addr")}
