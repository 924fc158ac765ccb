"""strongSwan's charon-systemd with its own swanctl.conf, asked by swanctl.

    peer = StrongSwan(b, connections={"gw": {...}}, secrets={"ike-a": {"secret": "…"}}).start()
    peer.initiate("net")
    peer.sas()

The kernel of the tests has no ESP: kernel-libipsec carries packets in user space. It can do so only
in UDP, so this charon always claims that there is a NAT and goes to port 4500. Where no packet is to
be carried (IKE SAs without children) `esp=False` takes the kernel's interface instead, and port 500
remains. `root` takes the strongSwan that tools/strongswan-newer unpacked instead of the host's.
"""

import os
import shutil

from .ike import Child, IkeDaemon, Sa

PLUGINS = ("nonce openssl pem pkcs1 pkcs8 x509 pubkey constraints revocation random hmac kdf gcm xcbc sha1 "
           "sha2 aes md5 drbg mgf1 counters socket-default vici updown")


def block(settings, indent=""):
    """Nested dictionaries as strongSwan writes them."""
    lines = []
    for name, value in settings.items():
        if isinstance(value, dict):
            lines += [f"{indent}{name} {{", block(value, indent + "  "), f"{indent}}}"]
        else:
            value = {True: "yes", False: "no"}.get(value, value) if isinstance(value, bool) else value
            lines.append(f"{indent}{name} = {value}")
    return "\n".join(lines)


def parse_pretty(text):
    """`swanctl --raw --pretty`: a list of (event, dictionary)."""
    events, stack = [], []
    for line in text.splitlines():
        line = line.strip()
        if line.endswith(" {"):
            inner, name = {}, line[:-2]
            if stack:
                stack[-1][name] = inner
            else:
                events.append((name, inner))
            stack.append(inner)
        elif line.endswith(" = ["):
            inner = []
            stack[-1][line[:-4]] = inner
            stack.append(inner)
        elif line in ("}", "]"):
            stack.pop()
        elif stack and isinstance(stack[-1], list):
            stack[-1].append(line)
        elif stack:
            name, _, value = line.partition(" = ")
            stack[-1][name] = value
    return events


class StrongSwan(IkeDaemon):
    kind = "strongswan"
    title = "strongSwan"

    def __init__(self, host, connections, secrets=(), options=(), name=None, esp=True, files=(),
                 log_level=1, root=""):
        """files: {"x509/gw.pem": path, …}, into the directories of swanctl.

        options: more of strongswan.conf's section charon-systemd.
        """
        self.root = root
        super().__init__(host, name)
        self.socket = self.path("vici")
        self.load(connections, secrets, wait=False)
        for where, source in dict(files).items():
            target = os.path.join(self.dir, where)
            os.makedirs(os.path.dirname(target), exist_ok=True)
            shutil.copy(source, target)
        self.write("strongswan.conf", block({"charon-systemd": {
            "load": f"{PLUGINS} {'kernel-libipsec ' if esp else ''}kernel-netlink",
            "journal": {"default": -1},
            "filelog": {"file": {"path": self.log, "default": log_level, "flush_line": True}},
            "plugins": {"vici": {"socket": f"unix://{self.socket}"}},
            "syslog": {},
            "retransmit_timeout": 1, "retransmit_base": 1, "retransmit_tries": 3,
            # nothing of the host's: no resolver, no routing daemon to wait for
            "install_virtual_ip": False, "process_route": False,
            **dict(options)}}))

    def load(self, connections, secrets=(), wait=True):
        """Writes swanctl.conf, and has a running charon read it."""
        settings = {"connections": connections, "secrets": dict(secrets)}
        self.write("swanctl.conf", block(settings) + "\n", 0o600)
        if wait:
            self.swanctl("--load-all", "--noprompt", "--clear", "--file", self.path("swanctl.conf"))

    def version_command(self):
        return [os.path.join(self.root, "swanctl"), "--version"]

    def environment(self):
        return {"STRONGSWAN_CONF": self.path("strongswan.conf"), "SWANCTL_DIR": self.dir}

    def arguments(self):
        return [os.path.join(self.root, "charon-systemd")]

    def start(self):
        super().start()
        self.swanctl("--load-all", "--noprompt", "--file", self.path("swanctl.conf"))
        return self

    def swanctl(self, *words, check=True, timeout=60):
        return self.host.run([os.path.join(self.root, "swanctl"), *words, "--uri",
                              f"unix://{self.socket}"], check=check, timeout=timeout,
                             env=self.environment())

    def answers(self):
        return self.swanctl("--stats", check=False).returncode == 0

    def list_sas(self):
        """{uniqueid: SA} as swanctl --list-sas tells."""
        found = {}
        for name, event in parse_pretty(self.swanctl("--list-sas", "--raw", "--pretty").stdout):
            if name != "list-sa event":
                continue
            for connection, sa in event.items():
                found[sa["uniqueid"]] = {"connection": connection, **sa}
        return found

    def sas(self):
        return [self._sa(sa) for sa in self.list_sas().values() if sa["state"] == "ESTABLISHED"]

    @staticmethod
    def _sa(sa):
        children = tuple(
            Child(child["name"], child["spi-in"], child["spi-out"], tuple(child["local-ts"]),
                  tuple(child["remote-ts"]))
            for child in sa.get("child-sas", {}).values() if child["state"] == "INSTALLED")
        return Sa(sa["connection"], sa["initiator-spi"], sa["responder-spi"],
                  sa.get("initiator") == "yes", children)

    def initiate(self, child=None, ike=None, check=True):
        """Begins; returns when it is done."""
        words = ["--child", child] if child else ["--ike", ike]
        return self.swanctl("--initiate", *words, "--timeout", "10", check=check)

    def rekey(self, child=None, ike=None, reauth=False):
        words = ["--child", child] if child else ["--ike", ike]
        return self.swanctl("--rekey", *words, *(["--reauth"] if reauth else []))

    def terminate(self, child=None, ike=None, check=True):
        words = ["--child", child] if child else ["--ike", ike]
        return self.swanctl("--terminate", *words, "--timeout", "10", check=check)
