"""OpenIKED with its own iked.conf and /etc/iked, asked by ikectl.

    peer = OpenIKED(guest, 'ikev2 "gw" passive esp from … to … peer …').start()
    peer.sas()

It needs a kernel with IPsec and PF_KEY: a guest that runs the lab kernel. A policy that is `active`
begins by itself; there is no command for it.
"""

import os
import re
import shutil

from netns import run

from .ike import Child, IkeDaemon, Sa


class OpenIKED(IkeDaemon):
    kind = "openiked"
    title = "OpenIKED"

    def __init__(self, host, policy, files=(), name=None):
        """files: {"certs/host.crt": path, …}, into its own /etc/iked."""
        super().__init__(host, name)
        self.log = self.path("out")
        self.etc = self.path("etc")
        for where in ("ca", "certs", "crls", "private", "pubkeys/fqdn", "pubkeys/ipv4", "pubkeys/ipv6",
                      "pubkeys/ufqdn"):
            os.makedirs(os.path.join(self.etc, where), exist_ok=True)
        for where, source in dict(files).items():
            shutil.copy(source, os.path.join(self.etc, where))
        key = os.path.join(self.etc, "private/local.key")
        if not os.path.exists(key):  # it wants one, whether it needs one or not
            run(["openssl", "genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out",
                 key])
        self.write("iked.conf", policy + "\n", 0o600)

    def version_command(self):
        return ["iked", "-V"]

    def arguments(self):
        place = "mount --bind \"$0\" /etc/iked && exec \"$@\""  # the one path that it has no option for
        return ["unshare", "-m", "sh", "-c", place, self.etc, "iked", "-d", "-vv", "-f",
                self.path("iked.conf"), "-s", self.path("iked.sock")]

    def ikectl(self, *words, check=True):
        return self.host.run(["ikectl", "-s", self.path("iked.sock"), *words], check=check)

    def answers(self):
        # The control socket is there first, and what comes before the policies is thrown away.
        return self.said("config_getcompile: compilation done") and \
            self.ikectl("show", "sa", check=False).returncode == 0

    def sas(self):
        found, children = [], []
        for line in self.ikectl("show", "sa").stdout.splitlines():
            sa = re.search(r"^iked_sas: .* rspi 0x([0-9a-f]+) ispi 0x([0-9a-f]+) .* ESTABLISHED ([ir]) ", line)
            child = re.search(r"^ *sa_childsas: .* ESP 0x([0-9a-f]+) (in|out) ", line)
            flow = re.search(r"sa_flows: .* ESP out (\S+) -> (\S+) ", line)
            if line.startswith("iked_") and not sa:
                children = []  # the same SAs again, sorted otherwise
            elif sa:
                children = []
                found.append((sa, children))
            elif child:
                children.append((child[2], child[1].zfill(8)))
            elif flow:
                children.append(("flow", (flow[1], flow[2])))
        return [Sa("gw", sa[2].zfill(16), sa[1].zfill(16), sa[3] == "i", _children(parts))
                for sa, parts in found]


def _children(parts):
    """One Child SA of its two halves and its flow; none where a half is missing."""
    known = dict(parts)
    if not {"in", "out", "flow"} <= known.keys():
        return ()
    local, remote = known["flow"]
    return (Child("gw", known["in"], known["out"], (local,), (remote,)),)
