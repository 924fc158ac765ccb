"""FRR's bgpd on its own: no zebra, no routes in the kernel."""

import json

from .bgp import BgpDaemon


class Frr(BgpDaemon):
    kind = "frr"
    title = "FRR"
    user = "frr"
    modules = ()  # of bgpd, for subclasses

    def version_command(self):
        return ["/usr/lib/frr/bgpd", "--version"]

    def configuration(self):
        lines = [f"hostname {self.host.name}", "log timestamp precision 3",
                 "debug bgp neighbor-events",
                 f"router bgp {self.asn}", f" bgp router-id {self.router_id}",
                 " no bgp default ipv4-unicast", " no bgp ebgp-requires-policy",
                 " no bgp network import-check", " no bgp hard-administrative-reset",
                 f" timers bgp {self.hold_time // 3} {self.hold_time}"]
        for peer in self.peers:
            name = f"group{peer.version}" if peer.dynamic else peer.address
            if peer.dynamic:
                lines.append(f" neighbor {name} peer-group")
            lines.append(f" neighbor {name} remote-as {peer.asn}")
            lines.append(f" neighbor {name} advertisement-interval 0")
            if not peer.dynamic:
                lines.append(f" neighbor {name} timers connect 1")
            if peer.local:
                lines.append(f" neighbor {name} update-source {peer.local}")
            if peer.passive and not peer.dynamic:
                lines.append(f" neighbor {name} passive")
            if peer.password:
                lines.append(f" neighbor {name} password {peer.password}")
            if peer.port != 179:
                lines.append(f" neighbor {name} port {peer.port}")
            if peer.multihop:
                lines.append(f" neighbor {name} ebgp-multihop 8")
            else:
                lines.append(f" neighbor {name} disable-connected-check")
            if peer.dynamic:
                lines.append(f" bgp listen range {peer.address} peer-group {name}")
        for version in (4, 6):
            lines.append(f" address-family ipv{version} unicast")
            lines += [f"  network {p}" for p in self.announced(version)]
            for peer in self.peers:
                if peer.version == version:
                    name = f"group{version}" if peer.dynamic else peer.address
                    lines.append(f"  neighbor {name} activate")
            lines.append(" exit-address-family")
        return "\n".join(lines) + "\n"

    def arguments(self):
        self.write("bgpd.conf", self.configuration())
        listen = [a for address in self.listen for a in ("-l", address)]
        modules = [a for name in self.modules for a in ("-M", name)]
        return ["/usr/lib/frr/bgpd", *modules, "-Z", "-n", "-f", self.path("bgpd.conf"),
                "-i", self.path("pid"), "--vty_socket", self.dir, "-u", "frr", "-g", "frr",
                "-P", "0", "--log", f"file:{self.log}", "--log-level", "debug", *listen]

    def vtysh(self, *commands, check=True):
        """Runs commands and returns what they print."""
        arguments = [a for command in commands for a in ("-c", command)]
        return self.host.run(["vtysh", "--vty_socket", self.dir, "-d", "bgpd", *arguments],
                             check=check)

    def answers(self):
        done = self.vtysh("show bgp summary json", check=False)
        return done.returncode == 0 and done.stdout.lstrip().startswith("{")

    def ask(self, command):
        return json.loads(self.vtysh(command).stdout or "{}")

    def neighbour(self, peer):
        answer = self.ask(f"show bgp neighbors {peer} json")
        return answer.get(peer, {})

    def state(self, peer):
        return self.neighbour(peer).get("bgpState", "none").lower()

    def flaps(self, peer):
        return self.neighbour(peer).get("connectionsDropped", 0)

    def why_down(self, peer):
        """The last reason that FRR gives for having lost the session."""
        said = self.neighbour(peer)
        return ", ".join(str(said[k]) for k in ("lastResetDueTo", "lastNotificationReason") if k in said)

    def routes(self):
        found = set()
        for version in (4, 6):
            answer = self.ask(f"show bgp ipv{version} unicast json")
            for prefix, paths in answer.get("routes", {}).items():
                if any(path.get("peerId") not in (None, "(unspec)") for path in paths):
                    found.add(prefix)
        return found
