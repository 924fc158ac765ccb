"""Gatehouse inside a namespace (or a guest): its configuration, its daemon, its gatectl.

    chain = key_chain("core", [Key(1, "secret", send_id=3, recv_id=8)])
    gatehouse = Gatehouse(a, build_dir, chain + tcp_ao("upstream", "10.77.0.2", "core"))
    gatehouse.start()
    gatehouse.wait_up("upstream")
    gatehouse.session("upstream")["connections"][0]
"""

import dataclasses
import json
import os
import re
import signal

from wait import wait_for


@dataclasses.dataclass
class Key:
    """One key of a chain; options: more of its lines, as {"send-lifetime": "…", …}."""

    number: int
    secret: str
    send_id: int
    recv_id: int
    algorithm: str = "hmac-sha-1-96"
    include_tcp_options: bool = None
    options: dict = dataclasses.field(default_factory=dict)

    def swapped(self):
        """The same key as the other end writes it."""
        return dataclasses.replace(self, send_id=self.recv_id, recv_id=self.send_id)


def value_text(value):
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (list, tuple)):
        return f"{{ {', '.join(map(value_text, value))} }}"
    return str(value) if isinstance(value, int) else f"\"{value}\""


def block(head, options, inner=()):
    """A section of gatehouse.conf; inner: the texts of sections within it."""
    lines = [f"{head} {{", *(f"    {k} = {value_text(v)}" for k, v in options.items() if v is not None)]
    lines += [f"    {line}" for text in inner for line in text.splitlines()]
    return "\n".join([*lines, "}"]) + "\n"


def key_chain(name, keys, **options):
    blocks = [block(f"key {k.number}", {
        "send-id": k.send_id, "recv-id": k.recv_id, "algorithm": k.algorithm, "secret": k.secret,
        "include-tcp-options": k.include_tcp_options, **k.options}) for k in keys]
    return block(f"key-chain \"{name}\"", {k.replace("_", "-"): v for k, v in options.items()}, blocks)


def tcp_ao(name, peer, chain, **options):
    """One protected session; options: local, port, direction, mode, netns, vrf, …"""
    options = {k.replace("_", "-"): v for k, v in options.items()}
    return block(f"tcp-ao \"{name}\"", {"peer": peer, "key-chain": chain, **options})


class Gatehouse:
    """gatehoused with a run directory of its own, and gatectl asking it."""

    def __init__(self, host, build_dir, config, name="gatehouse", options=(),
                 environment=None, launcher=()):
        """launcher: words before the program's own."""
        self.host = host
        self.launcher = list(launcher)
        self.options = options
        self.environment = environment  # more of it, as {"CREDENTIALS_DIRECTORY": "…"}
        self.daemon = os.path.join(build_dir, "gatehoused")
        self.ctl = os.path.join(build_dir, "gatectl")
        self.dir = host.directory(name)
        self.run_dir = os.path.join(self.dir, "run")
        self.config_file = os.path.join(self.dir, "gatehouse.conf")
        self.log = os.path.join(self.dir, "log")
        self.process = None
        self.configure(config)

    def configure(self, config):
        """Writes a new configuration; reload() puts it in force."""
        with open(self.config_file, "w", encoding="utf-8") as file:
            file.write(config)
        os.chmod(self.config_file, 0o600)

    def start(self, wait=True):
        self.process = self.host.spawn(
            [*self.launcher, self.daemon, "-f", "-c", self.config_file, "-r", self.run_dir,
             *self.options], self.log, self.environment)
        if wait:
            self.wait_ready()
        return self

    def wait_ready(self, timeout=15):
        wait_for(lambda: self.answers() or not self.process.alive(), timeout,
                 lambda: f"gatehoused answers\n{self.tail()}")
        assert self.process.alive(), f"gatehoused ended at once:\n{self.tail()}"

    def gaterun(self):
        """The words that start a program with the preload library; `launcher` of the daemons."""
        return [os.path.join(os.path.dirname(self.daemon), "gaterun"), "--socket",
                os.path.join(self.run_dir, "shim.sock"), "--require", "--"]

    def gatectl(self, *words, check=True):
        """gatectl's process: .returncode, .stdout, .stderr."""
        return self.host.run([self.ctl, "-s", os.path.join(self.run_dir, "control.sock"), *words],
                             check=check)

    def ask(self, *words):
        """The answer to a command as gatectl --json prints it."""
        return json.loads(self.gatectl(*words, "--json").stdout)

    def answers(self):
        return self.gatectl("show", "status", check=False).returncode == 0

    def sessions(self):
        return {s["name"]: s for s in self.ask("show", "tcp-ao", "session", "detail")["sessions"]}

    def session(self, name):
        return self.sessions()[name]

    def counters(self, name):
        """All counters of a session by name, zeros included."""
        return self.session(name)["counters"]

    def wait_up(self, name, timeout=30):
        wait_for(lambda: self.session(name)["state"] == "up", timeout,
                 lambda: f"session {name} is up\n{self.gatectl('explain', name).stdout}"
                         f"{self.tail()}")

    def explain(self, peer):
        """The explanation of one session, named or by its peer: verdict, headline, findings."""
        return self.ask("explain", peer)["explanations"][0]

    def causes(self, peer):
        """What `explain` takes for the reason, likeliest first."""
        return [finding["cause"] for finding in self.explain(peer)["findings"]]

    def connection(self, name):
        """The established connection of a session."""
        return next(c for c in self.session(name)["connections"] if c["state"] == "established")

    def keys(self, name):
        """(number of the key that we sign with, of the key that we ask for)."""
        keys = self.connection(name)["keys"]
        return keys["current"]["key"], keys["rnext"]["key"]

    def refused(self, name):
        """How many segments of a session were dropped, for whatever reason."""
        counters = self.ask("show", "counters", name)
        return next(s["dropped"] for s in counters["sessions"] if s["name"] == name)

    def warnings(self):
        """The kinds of warnings that `show status` prints."""
        return [warning["kind"] for warning in self.ask("show", "status")["warnings"]]

    def verify(self, capture):
        """gatectl verify-pcap with our configuration: the sums of verified, failed, …"""
        done = self.gatectl("verify-pcap", capture, "--config", self.config_file, "--json",
                            check=False)
        assert done.stdout, done.stderr
        return json.loads(done.stdout)["summary"]

    def reload(self):
        self.gatectl("reload")

    def processes(self):
        """The process ids of the daemon and its children by role: {"parent": 1, "ao": 2, …}."""
        found = {"parent": self.process.pid}
        for line in self.host.run(["ps", "-eo", "pid=,ppid=,args="]).stdout.splitlines():
            pid, ppid, args = line.split(None, 2)
            if int(ppid) == self.process.pid:
                role = re.search(r"--role[= ](\w+)", args)
                if role:
                    found[role.group(1)] = int(pid)
        return found

    def kill(self, role="parent"):
        """kill -9 of one process."""
        self.host.run(["kill", "-9", self.processes()[role]])
        if role == "parent":
            self.process.wait()

    def stop(self):
        """An orderly end."""
        if self.process:
            self.process.signal(signal.SIGTERM)
            self.process.wait()

    def tail(self, lines=30):
        try:
            with open(self.log, encoding="utf-8", errors="replace") as file:
                return "".join(file.readlines()[-lines:])
        except FileNotFoundError:
            return ""
