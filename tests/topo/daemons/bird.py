"""BIRD: the host's own 2.0, or one >= 2.17 with TCP-AO keys (tools/bird-newer)."""

import dataclasses
import os
import re

from .bgp import BgpDaemon


@dataclasses.dataclass
class AoKey:
    """One TCP-AO key as BIRD >= 2.17 writes it; algorithm is e.g. "hmac sha1", "cmac aes128"."""

    send_id: int
    recv_id: int
    secret: str
    algorithm: str = "hmac sha1"
    preferred: bool = False
    deprecated: bool = False

    def text(self):
        mark = "preferred;" if self.preferred else "deprecated;" if self.deprecated else ""
        return (f"key {{ send id {self.send_id}; recv id {self.recv_id}; secret \"{self.secret}\"; "
                f"algorithm {self.algorithm}; {mark} }};")


def session_name(peer):
    return "p" + re.sub(r"[^0-9a-f]", "_", peer)


class Bird(BgpDaemon):
    """programs: the directory of bird and birdc; env: more environment, e.g. LD_PRELOAD.

    Dynamic peers make sessions called dyn1, dyn2, …
    """

    kind = "bird"
    title = "BIRD"

    def __init__(self, *positional, programs="/usr/sbin", env=None, **named):
        super().__init__(*positional, **named)
        self.programs = programs
        self.env = env

    def environment(self):
        return self.env

    def session(self, peer):
        at = f"port {peer.local_port}" if peer.local_port else ""
        local = f"local {peer.local or ''} {at} as {self.asn};"
        neighbour = f"range {peer.address}" if peer.dynamic else peer.address
        port = f" port {peer.port}" if peer.port != 179 else ""
        # FRR without zebra knows no interfaces and drops routes whose next hop has a link-local
        # address beside the global one; BIRD sends one unless the session is multihop.
        multihop = peer.multihop or peer.version == 6
        lines = [local, f"neighbor {neighbour}{port} as {peer.asn};",
                 f"hold time {self.hold_time}; connect retry time 1; connect delay time 1;",
                 "error wait time 1, 2; error forget time 1;",
                 "multihop;" if multihop else "direct;",
                 f"ipv{peer.version} {{ import all; export where source = RTS_STATIC; "
                 "next hop self; };"]
        if peer.local:
            lines.append("strict bind yes;")
        if peer.passive:
            lines.append("passive;")
        if peer.password:
            lines.append(f"password \"{peer.password}\";")
        if peer.ao_keys:
            keys = " ".join(key.text() for key in peer.ao_keys)
            lines.append(f"authentication ao; keys {{ {keys} }};")
        if peer.vrf:
            lines.append(f"vrf \"{peer.vrf}\";")
        if peer.dynamic:
            lines.append("dynamic name \"dyn\";")
        return lines

    def version_command(self):
        return [os.path.join(self.programs, "bird"), "--version"]

    def configuration(self):
        lines = [f"log \"{self.log}\" all;", f"router id {self.router_id};",
                 "debug protocols { states, events };", "protocol device {}"]
        for version in (4, 6):
            prefixes = " ".join(f"route {p} blackhole;" for p in self.announced(version))
            lines.append(f"protocol static static{version} {{ ipv{version}; {prefixes} }}")
        for peer in self.peers:
            lines.append(f"protocol bgp {session_name(peer.address)} {{")
            lines += [f"    {line}" for line in self.session(peer)]
            lines.append("}")
        return "\n".join(lines) + "\n"

    def arguments(self):
        self.write("bird.conf", self.configuration())
        return [os.path.join(self.programs, "bird"), "-f", "-c", self.path("bird.conf"),
                "-s", self.path("ctl"), "-P", self.path("pid")]

    def birdc(self, command, check=True):
        return self.host.run([os.path.join(self.programs, "birdc"), "-s", self.path("ctl"),
                              *command.split()], check=check).stdout

    def reconfigure(self):
        """Takes over changed peers or keys without a restart."""
        self.write("bird.conf", self.configuration())
        answer = self.birdc("configure")
        assert "Reconfigur" in answer, answer

    def answers(self):
        return "BIRD" in self.birdc("show status", check=False)

    def state(self, peer):
        """peer: its address, or the name of a dynamic session (dyn1)."""
        name = peer if peer.startswith("dyn") else session_name(peer)
        for line in self.birdc("show protocols", check=False).splitlines():
            words = line.split()
            if words and words[0] == name:
                return words[5].lower() if len(words) > 5 else words[3].lower()
        return "none"

    def details(self, peer):
        """What `show protocols all` says of a session, as text."""
        return self.birdc(f"show protocols all {session_name(peer)}")

    def ao_keys(self, peer):
        """(send id of the Current key, recv id of the RNext key) of a TCP-AO session."""
        text = self.details(peer)
        found = [re.search(rf"{name} key:\s+(\d+)", text) for name in ("Current", "RNext")]
        return tuple(int(match.group(1)) if match else None for match in found)

    def flaps(self, peer):
        name = peer if peer.startswith("dyn") else session_name(peer)
        with open(self.log, encoding="utf-8", errors="replace") as file:
            return sum(1 for line in file if f"{name}: BGP session closed" in line)

    def why_down(self, peer):
        """Errors and ends of the session, as BIRD logged them."""
        with open(self.log, encoding="utf-8", errors="replace") as file:
            return "; ".join(line.partition(f"{session_name(peer)}: ")[2].strip() for line in file
                             if re.search(f"{session_name(peer)}: (Error|Received|BGP session cl)", line))

    def routes(self):
        found = set()
        for table in ("master4", "master6"):
            text = self.birdc(f"show route table {table} where source = RTS_BGP")
            found.update(re.findall(r"^([0-9a-f.:]+/\d+)\s", text, re.MULTILINE))
        return found
