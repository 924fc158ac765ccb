"""libreswan's pluto, unpacked by tools/libreswan, with its own ipsec.conf; asked by its whack.

    peer = Libreswan(guest, tools, {"left": B4, "right": A4, …}, secrets=': PSK "…"').start()
    peer.initiate()
    peer.sas()

It needs a kernel with IPsec: a guest that runs the lab kernel.
"""

import os
import re

from netns import run

from .ike import Child, IkeDaemon, Sa


class Libreswan(IkeDaemon):
    kind = "libreswan"
    title = "libreswan"

    def __init__(self, host, root, connection, secrets="", certs=(), setup=(), name=None, more=()):
        """root: where tools/libreswan unpacked it.

        more: {name: settings} of further connections.
        certs: (Cert, nickname) with the private key, (path, nickname) of CAs, for the NSS database.
        """
        super().__init__(host, name)
        self.root = root
        self.library_path = ":".join(
            os.path.join(root, top, triplet) for top in ("usr/lib", "lib")
            for triplet in os.listdir(os.path.join(root, top)) if "-linux-" in triplet)
        self.programs = os.path.join(root, "usr/libexec/ipsec")
        self.write("secrets", secrets + "\n", 0o600)
        nss = f"sql:{self.path('')}"
        self._nss("certutil", "-N", "-d", nss, "--empty-password")
        for what, nickname in certs:
            self._import(nss, what, nickname)
        self.connections = {"gw": connection, **dict(more)}
        settings = {"nssdir": self.dir, "logfile": self.log, "dumpdir": self.dir, "protostack": "xfrm",
                    **dict(setup)}
        self.config = self.write("ipsec.conf", "".join(
            [_section("config setup", settings),
             *(_section(f"conn {name}", {
                 "ikev2": "insist", "auto": "ignore", "authby": "secret", "leftupdown": "/bin/true",
                 "retransmit-interval": "500ms", "retransmit-timeout": "3s", **each})
               for name, each in self.connections.items())]))

    def _nss(self, program, *words):
        run([os.path.join(self.root, "usr/bin", program), *words], env=self.environment())

    def _import(self, nss, what, nickname):
        if isinstance(what, str):
            self._nss("certutil", "-A", "-d", nss, "-n", nickname, "-t", "CT,C,C", "-i", what)
            return
        bundle = self.path(f"{nickname}.p12")
        run(["openssl", "pkcs12", "-export", "-in", what.cert, "-inkey", what.key, "-name", nickname,
             "-passout", "pass:", "-out", bundle])
        self._nss("pk12util", "-i", bundle, "-d", nss, "-W", "", "-K", "")

    def environment(self):
        return {"LD_LIBRARY_PATH": self.library_path}

    def version_command(self):
        return ["env", f"LD_LIBRARY_PATH={self.library_path}", os.path.join(self.programs, "pluto"),
                "--version"]

    def arguments(self):
        # pluto starts programs by the path that it was built for; it sees them there, others do not.
        place = "mount -t tmpfs tmpfs /usr/libexec && ln -s \"$0\" /usr/libexec/ipsec && exec \"$@\""
        return ["unshare", "-m", "sh", "-c", place, self.programs,
                os.path.join(self.programs, "pluto"), "--nofork", "--config", self.config, "--rundir",
                self.dir, "--ipsecdir", self.dir, "--nssdir", self.dir, "--secretsfile",
                self.path("secrets"), "--logfile", self.log, "--log-no-audit", "--no-dnssec",
                "--use-xfrm"]

    def start(self):
        super().start()
        self.host.run([os.path.join(self.programs, "addconn"), "--ctlsocket", self.path("pluto.ctl"),
                       "--config", self.config, *self.connections], env=self.environment())
        self.whack("--listen")
        return self

    def whack(self, *words, check=True):
        return self.host.run([os.path.join(self.programs, "whack"), "--ctlsocket",
                              self.path("pluto.ctl"), *words], check=check, env=self.environment())

    def answers(self):
        return self.whack("--globalstatus", check=False).returncode == 0

    def sas(self):
        """Without the SPIs of IKE SAs, which whack does not tell."""
        states = self.whack("--showstates").stdout
        selectors = _selectors(self.whack("--status").stdout)
        found = []
        for number in re.findall(r'#(\d+): "gw"\S* STATE_V2_ESTABLISHED_IKE_SA\b',
                                 states):
            children = []
            for child in re.findall(rf'#(\d+): "gw".*ESTABLISHED_CHILD_SA.*IKE SA #{number};', states):
                spis = re.search(rf'#{child}: "gw".*? esp\.([0-9a-f]+)@\S+ esp\.([0-9a-f]+)@', states)
                # the first is the outgoing one, whose destination is the peer
                children.append(Child("gw", spis[2].zfill(8), spis[1].zfill(8), *selectors))
            found.append(Sa("gw", None, None, None, tuple(children)))
        return found

    def initiate(self, name="gw", check=True):
        """Begins; returns when it is done, or when it has failed."""
        return self.whack("--name", name, "--initiate", check=check)

    def rekey(self, child=True):
        return self.whack("--name", "gw", "--rekey-ipsec" if child else "--rekey-ike")

    def terminate(self):
        return self.whack("--name", "gw", "--terminate", check=False)


def _section(head, settings):
    return "".join([f"{head}\n", *(f"    {name}={value}\n" for name, value in settings.items()
                                 if value is not None), "\n"])


def _selectors(status):
    """((local,), (remote,)) of the connection: "gw": 10.2.0.0/24===10.77.0.2…10.77.0.1===10.1.0.0/24"""
    found = re.search(r'"gw"\S*:\s+(\S+?)===.*\.\.\..*===(\S+?);', status)
    return (found[1],), (found[2],)
