"""The lab kernel as an independent peer: a guest behind a tap device of a namespace.

    a.tap("tap0", "10.78.0.1/24")
    guest = Guest(a, lab_kernel, taps=["tap0"])
    guest.run(["ip", "address", "add", "10.78.0.2/24", "dev", "vec0"])

A Guest runs commands and starts programs as a Namespace does (run, spawn, directory), so the
daemons of daemons/ work in it; GuestNamespace is a namespace inside a guest.
"""

import json
import os
import select
import signal
import subprocess
import threading
import time

import netns
from wait import wait_for

MARK = b"\x1e"


class GuestError(AssertionError):
    """The guest could not do what it was asked."""


class GuestProcess:
    """A program inside a guest; the same questions as netns.Process answers."""

    def __init__(self, guest, argv, log, env):
        self.guest = guest
        self.log = log
        self.pid = guest.ask({"do": "spawn", "argv": [str(a) for a in argv], "log": log,
                              "env": env})["pid"]

    def status(self):
        return self.guest.ask({"do": "poll", "pid": self.pid})["rc"]

    def alive(self):
        return self.status() is None

    def signal(self, number):
        self.guest.ask({"do": "kill", "pid": self.pid, "signal": int(number)})

    def wait(self, timeout=10):
        wait_for(lambda: not self.alive(), timeout, f"process {self.pid} in the guest ends")
        return self.status()

    def stop(self, timeout=5):
        self.signal(signal.SIGTERM)
        try:
            self.wait(timeout)
        except AssertionError:
            self.kill()

    def kill(self):
        self.signal(signal.SIGKILL)
        self.wait()


class Guest(netns.Host):
    """A running lab kernel; its devices vec0, vec1, … are the given taps of a namespace."""

    capture_kib = 8192  # of its 256 MiB, and there may be several

    def __init__(self, namespace, kernel, taps=(), name="guest", memory="256M"):
        self.net = namespace.net
        self.name = name
        self.label = name
        self.dir = os.path.join(self.net.dir, name)
        os.makedirs(self.dir)
        self.lock = threading.Lock()
        self.buffer = b""
        agent = os.path.join(os.path.dirname(os.path.abspath(__file__)), "guest_agent.py")
        devices = [f"vec{n}:transport=tap,ifname={tap},depth=128,gro=1"
                   for n, tap in enumerate(taps)]
        argv = namespace.command(
            [kernel, f"mem={memory}", "rootfstype=hostfs", "rootflags=/", "ro", f"init={agent}",
             "con=null", "con0=fd:0,fd:1", "quiet", "seccomp=on", f"gh_dir={self.net.dir}",
             f"umid=gh{os.getpid()}-{name}", f"uml_dir={self.dir}/uml", *devices])
        with open(os.path.join(self.dir, "kernel.log"), "wb") as errors:
            self.popen = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                          stderr=errors, preexec_fn=netns._die_with_parent,
                                          start_new_session=True)
        self.net.at_end(self.stop)
        self.answer(30)
        self.run(["sysctl", "-q", "-w", "net.ipv6.conf.all.accept_dad=0",
                  "net.ipv6.conf.default.accept_dad=0"])
        for n in range(len(devices)):
            self.run(["ip", "link", "set", f"vec{n}", "up"])

    def answer(self, timeout):
        """The agent's next line; what the kernel itself prints on the console is kept aside."""
        deadline = time.monotonic() + timeout
        fd = self.popen.stdout.fileno()
        while True:
            line, newline, rest = self.buffer.partition(b"\n")
            if newline:
                self.buffer = rest
                noise, mark, text = line.partition(MARK)
                if not mark:
                    with open(os.path.join(self.dir, "console"), "ab") as console:
                        console.write(line + b"\n")
                    continue
                return json.loads(text)
            ready, _, _ = select.select([fd], [], [], max(0, deadline - time.monotonic()))
            if not ready:
                raise GuestError(f"{self.name} does not answer\n{self.tail()}")
            data = os.read(fd, 65536)
            if not data:
                raise GuestError(f"{self.name} has ended\n{self.tail()}")
            self.buffer += data

    def ask(self, request, timeout=30):
        with self.lock:
            self.popen.stdin.write(json.dumps(request).encode() + b"\n")
            self.popen.stdin.flush()
            answer = self.answer(timeout)
        if "error" in answer:
            raise GuestError(f"{self.name}: {answer['error']}")
        return answer

    def tail(self):
        text = ""
        for name in ("kernel.log", "console"):
            path = os.path.join(self.dir, name)
            if os.path.exists(path):
                with open(path, encoding="utf-8", errors="replace") as file:
                    text += "".join(file.readlines()[-20:])
        return text

    def command(self, argv):
        return list(argv)

    def run(self, argv, check=True, timeout=60, input=None, env=None):
        argv = [str(a) for a in self.command(argv)]
        answer = self.ask({"do": "run", "argv": argv, "timeout": timeout, "input": input,
                           "env": env}, timeout + 5)
        done = subprocess.CompletedProcess(argv, answer["rc"], answer["out"], answer["err"])
        if check and done.returncode != 0:
            raise netns.CommandFailed(f"in {self.name}: {' '.join(argv)}: "
                                      f"status {done.returncode}\n{done.stdout}{done.stderr}")
        return done

    def run_directory(self, name, user):
        """In the guest's own /run: files shared with the host belong to root for good."""
        path = f"/run/{self.label}-{name}"
        self.run(["install", "-d", "-o", user, "-g", user, path])
        return path

    def spawn(self, argv, log, env=None):
        return GuestProcess(self, self.command(argv), log, env)

    def counters(self):
        """The guest kernel's TCP counters by name, among them TCPAOGood, TCPAOBad, …"""
        with_names = self.run(["cat", "/proc/net/netstat"]).stdout.splitlines()
        found = {}
        for names, values in zip(with_names[::2], with_names[1::2]):
            found.update(zip(names.split()[1:], map(int, values.split()[1:])))
        return found

    def namespace(self, name):
        return GuestNamespace(self, name)

    def stop(self):
        """Powers it off."""
        if self.popen.poll() is None:
            try:
                self.popen.stdin.write(b'{"do": "off"}\n')
                self.popen.stdin.flush()
                self.popen.wait(5)
            except (BrokenPipeError, subprocess.TimeoutExpired):
                self.kill()
        self.popen.stdin.close()
        self.popen.stdout.close()

    def kill(self):
        """A power cut: the peer sees neither FIN nor RST."""
        self.popen.kill()
        self.popen.wait()


class GuestNamespace(Guest):
    """A network namespace inside a guest."""

    def __init__(self, guest, name):  # a view of the guest, not one more kernel
        self.guest = guest
        self.net = guest.net
        self.name = f"{guest.name}-{name}"
        self.label = self.name
        self.inner = name
        guest.run(["ip", "netns", "add", name])
        self.run(["ip", "link", "set", "lo", "up"])
        self.sysctl("net.ipv6.conf.all.accept_dad", 0)
        self.sysctl("net.ipv6.conf.default.accept_dad", 0)

    def command(self, argv):
        return ["ip", "netns", "exec", self.inner, *argv]

    def ask(self, request, timeout=30):
        return self.guest.ask(request, timeout)

    def stop(self):
        self.guest.run(["ip", "netns", "delete", self.inner])
