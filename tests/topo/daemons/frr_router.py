"""FRR with zebra: several of its daemons in a namespace (or a guest) under one configuration.

    router = FrrRouter(r1, ["ospfd", "ldpd"], page.file("r1/frr.conf")).start()
    router.show("show mpls ldp neighbor")

Unlike frr.Frr, which is bgpd alone, it sets addresses, routes and labels in the kernel.
"""

import json
import os

from wait import wait_for

from .daemon import Daemon


class FrrRouter(Daemon):
    """zebra and the given daemons; the configuration is FRR's integrated one (frr.conf).

    A daemon may have options behind its name, as in /etc/frr/daemons: "bgpd -M rpki".
    """

    kind = "frr"
    title = "FRR"
    user = "frr"

    def __init__(self, host, daemons, configuration, name=None, launcher=()):
        super().__init__(host, name, launcher)
        self.sockets = host.run_directory(name or self.kind, self.user)
        self.options = {words[0]: words[1:] for words in map(str.split, ["zebra", *daemons])}
        self.daemons = list(self.options)
        self.processes = {}
        self.write("vtysh.conf", "")
        self.configuration = self.write("frr.conf", configuration)

    def version_command(self):
        return ["/usr/lib/frr/zebra", "--version"]

    def start(self):
        """Starts zebra, then the others, and gives them the configuration."""
        for daemon in self.daemons:
            self.start_daemon(daemon)
        self.vtysh("-f", self.configuration)
        return self

    def start_daemon(self, daemon):
        arguments = [f"/usr/lib/frr/{daemon}", "-f", "/dev/null", "-i", f"{self.sockets}/{daemon}.pid",
                     "-z", f"{self.sockets}/zserv", "--vty_socket", self.sockets, "-u", "frr", "-g", "frr",
                     "-P", "0", "--log", f"file:{self.path(daemon + '.log')}", "--log-level", "debug",
                     *self.options[daemon]]
        if daemon == "ldpd":
            arguments += ["--ctl_socket", self.sockets]
        process = self.host.spawn([*self.launcher, *arguments], self.path(f"{daemon}.out"))
        self.processes[daemon] = process
        wait_for(lambda: self.vtysh("-d", daemon, "-c", "show version", check=False).returncode == 0
                 or not process.alive(), 20, lambda: f"{daemon} answers\n{self.tail()}")
        assert process.alive(), f"{daemon} ended at once\n{self.tail()}"

    def vtysh(self, *words, check=True):
        """vtysh's process: .returncode, .stdout, .stderr."""
        return self.host.run(["vtysh", "--vty_socket", self.sockets, "--config_dir", self.dir, *words],
                             check=check)

    def show(self, command):
        """What a show command prints."""
        return self.vtysh("-c", command).stdout

    def ask(self, command):
        """The same of a command that answers in JSON."""
        return json.loads(self.show(f"{command} json") or "{}")

    def configure(self, *commands):
        """Changes the running configuration."""
        self.vtysh(*(word for line in ("configure terminal", *commands) for word in ("-c", line)))

    def stop(self):
        for daemon in reversed(self.daemons):
            self.processes[daemon].stop()

    def tail(self, lines=10):
        """The last lines of its logs and of what its daemons printed."""
        text = ""
        for daemon in self.daemons:
            for name in (f"{daemon}.log", f"{daemon}.out"):
                if os.path.exists(self.path(name)):
                    with open(self.path(name), encoding="utf-8", errors="replace") as file:
                        text += "".join(file.readlines()[-lines:])
        return text
