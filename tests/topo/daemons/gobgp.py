"""GoBGP: gobgpd, asked through gobgp over gRPC on the namespace's own loopback."""

import json

from .bgp import BgpDaemon


class Gobgp(BgpDaemon):
    kind = "gobgp"
    title = "GoBGP"

    def version_command(self):
        return ["gobgpd", "--version"]

    def configuration(self):
        lines = ["[global.config]", f"  as = {self.asn}", f"  router-id = \"{self.router_id}\""]
        if self.listen:
            addresses = ", ".join(f"\"{a}\"" for a in self.listen)
            lines.append(f"  local-address-list = [{addresses}]")
        for peer in self.peers:
            name = f"group{peer.version}"
            kind = "peer-groups" if peer.dynamic else "neighbors"
            lines += [f"[[{kind}]]", f"  [{kind}.config]", f"    peer-as = {peer.asn}"]
            lines.append(f"    peer-group-name = \"{name}\"" if peer.dynamic
                         else f"    neighbor-address = \"{peer.address}\"")
            if peer.password:
                lines.append(f"    auth-password = \"{peer.password}\"")
            lines += [f"  [{kind}.transport.config]", f"    remote-port = {peer.port}"]
            if peer.passive:
                lines.append("    passive-mode = true")
            if peer.local:
                lines.append(f"    local-address = \"{peer.local}\"")
            if peer.multihop:
                lines += [f"  [{kind}.ebgp-multihop.config]", "    enabled = true",
                          "    multihop-ttl = 8"]
            lines += [f"  [{kind}.timers.config]", "    connect-retry = 1",
                      "    idle-hold-time-after-reset = 1", f"    hold-time = {self.hold_time}",
                      f"    keepalive-interval = {self.hold_time // 3}"]
            lines += [f"  [[{kind}.afi-safis]]", f"    [{kind}.afi-safis.config]",
                      f"      afi-safi-name = \"ipv{peer.version}-unicast\""]
            if peer.dynamic:
                lines += ["[[dynamic-neighbors]]", "  [dynamic-neighbors.config]",
                          f"    prefix = \"{peer.address}\"", f"    peer-group = \"{name}\""]
        return "\n".join(lines) + "\n"

    def arguments(self):
        self.write("gobgpd.toml", self.configuration())
        return ["gobgpd", "-p", "-f", self.path("gobgpd.toml"), "--pprof-disable",
                "--api-hosts=127.0.0.1:50051", "--log-level=info"]

    def gobgp(self, *arguments, check=True):
        return self.host.run(["gobgp", "-j", *arguments], check=check)

    def answers(self):
        return self.gobgp("global", check=False).returncode == 0

    def start(self):
        super().start()
        for prefix in self.announce:
            version = 6 if ":" in prefix else 4
            self.gobgp("global", "rib", "add", "-a", f"ipv{version}", prefix)
        return self

    def neighbour(self, peer):
        done = self.gobgp("neighbor", peer, check=False)
        return json.loads(done.stdout) if done.returncode == 0 else {}

    def state(self, peer):
        numbers = ["unknown", "idle", "connect", "active", "opensent", "openconfirm", "established"]
        return numbers[self.neighbour(peer).get("state", {}).get("session_state", 0)]

    def flaps(self, peer):
        with open(self.path("out"), encoding="utf-8") as file:
            lines = [line.replace("\"", "") for line in file]
        return sum("msg=Peer Down" in line and f" Key={peer} " in line for line in lines)

    def routes(self):
        found = set()
        for version in (4, 6):
            done = self.gobgp("global", "rib", "-a", f"ipv{version}", check=False)
            answer = json.loads(done.stdout) if done.stdout.lstrip().startswith("{") else {}
            for prefix, paths in answer.items():
                if any(path.get("source-id") for path in paths):
                    found.add(prefix)
        return found
