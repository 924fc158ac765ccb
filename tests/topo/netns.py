"""Network namespaces and the processes in them.

A Net makes namespaces called gh<PID>-<NAME> after the test process, so that two runs never meet and
what a killed run left behind is told by its dead PID and removed at the next start.

Whatever runs commands offers run() and spawn(): a Namespace here, a guest in uml.py. Daemons and
tools are written for either.
"""

import ctypes
import ipaddress
import os
import shutil
import signal
import subprocess
import tempfile

from wait import wait_for

PREFIX = "gh"
A4, B4, A6, B6 = "10.77.0.1", "10.77.0.2", "fd77::1", "fd77::2"  # of two_routers()
SIG_DFL_PDEATHSIG = 1  # PR_SET_PDEATHSIG
_libc = ctypes.CDLL(None, use_errno=True)


def _die_with_parent():
    """In a child, before exec: ends it when the test process ends, however that ends."""
    _libc.prctl(SIG_DFL_PDEATHSIG, signal.SIGKILL)


class CommandFailed(AssertionError):
    """A command that should succeed did not."""


def run(argv, check=True, timeout=60, input=None, env=None):
    """Runs a command on this host and returns it with .returncode, .stdout and .stderr (text)."""
    done = subprocess.run(
        [str(a) for a in argv], capture_output=True, text=True, timeout=timeout, input=input,
        env=None if env is None else {**os.environ, **env})
    if check and done.returncode != 0:
        raise CommandFailed(f"{' '.join(map(str, argv))}: status {done.returncode}\n"
                            f"{done.stdout}{done.stderr}")
    return done


class Process:
    """A running program, started by Namespace.spawn()."""

    def __init__(self, argv, log, env=None):
        self.argv = [str(a) for a in argv]
        self.log = log
        with open(log, "ab") as out:
            self._popen = subprocess.Popen(
                self.argv, stdin=subprocess.DEVNULL, stdout=out, stderr=out,
                preexec_fn=_die_with_parent, start_new_session=True,
                env=None if env is None else {**os.environ, **env})
        self.pid = self._popen.pid

    def alive(self):
        return self._popen.poll() is None

    def status(self):
        """The exit status, or None while it runs; minus the number of the signal that ended it."""
        return self._popen.poll()

    def signal(self, number):
        if self.alive():
            os.kill(self.pid, number)

    def wait(self, timeout=10):
        return self._popen.wait(timeout)

    def stop(self, timeout=5):
        """Asks it to end, and ends it where it does not listen."""
        self.signal(signal.SIGTERM)
        try:
            self.wait(timeout)
        except subprocess.TimeoutExpired:
            self.kill()

    def kill(self):
        self.signal(signal.SIGKILL)
        self.wait()


class Host:
    """What a namespace here and one in a guest have in common: both have net, label and run()."""

    capture_kib = 65536  # of tcpdump's buffer

    def sysctl(self, name, value):
        self.run(["sysctl", "-q", "-w", f"{name}={value}"])

    def directory(self, name, user=None, mode=0o755):
        """A new directory for a daemon here, owned by that user (and its group) where given."""
        path = os.path.join(self.net.dir, self.label, name)
        os.makedirs(path, exist_ok=True)
        os.chmod(path, mode)
        if user:
            shutil.chown(path, user, user)
        return path

    def run_directory(self, name, user):
        """A directory for the sockets of a daemon that runs as that user."""
        return self.directory(name, user)

    def add_address(self, interface, address):
        """address: with prefix length, IPv4 or IPv6."""
        options = ["nodad"] if ipaddress.ip_interface(address).version == 6 else []
        self.run(["ip", "address", "add", address, "dev", interface, *options])


class Namespace(Host):
    """One network namespace: a router."""

    def __init__(self, net, name):
        self.net = net
        self.label = name
        self.name = f"{net.prefix}-{name}"
        self.processes = []
        run(["ip", "netns", "add", self.name])
        net.namespaces.append(self)  # from here on there is something to destroy
        self.run(["ip", "link", "set", "lo", "up"])
        self.sysctl("net.ipv6.conf.all.accept_dad", 0)
        self.sysctl("net.ipv6.conf.default.accept_dad", 0)
        self.sysctl("net.ipv6.conf.default.accept_ra", 0)
        # Hosts may have a congestion control as default that a namespace may not choose; reno is
        # everywhere and the same everywhere.
        self.sysctl("net.ipv4.tcp_congestion_control", "reno")

    def command(self, argv):
        return ["ip", "netns", "exec", self.name, *argv]

    def run(self, argv, **options):
        return run(self.command(argv), **options)

    def spawn(self, argv, log, env=None):
        process = Process(self.command(argv), log, env)
        self.processes.append(process)
        return process

    def dummy(self, interface, *addresses):
        self.run(["ip", "link", "add", interface, "type", "dummy"])
        self.run(["ip", "link", "set", interface, "up"])
        for address in addresses:
            self.add_address(interface, address)

    def route(self, prefix, via):
        self.run(["ip", "route", "add", prefix, "via", via])

    def tap(self, interface, *addresses):
        """A tap device for a guest."""
        self.run(["ip", "tuntap", "add", "dev", interface, "mode", "tap"])
        self.run(["ip", "link", "set", interface, "up"])
        for address in addresses:
            self.add_address(interface, address)

    def destroy(self):
        for process in reversed(self.processes):
            process.stop()
        _destroy(self.name)


def _pids(name):
    done = run(["ip", "netns", "pids", name], check=False)
    return [int(p) for p in done.stdout.split()]


def _destroy(name):
    """Ends every process in a namespace, by process id, and removes the namespace."""
    for pid in _pids(name):
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
    wait_for(lambda: not _pids(name), 10, f"processes left in namespace {name}")
    run(["ip", "netns", "delete", name], check=False)


def _is_running(pid):
    """Whether a test process (pytest, tests/demo/run …) has this id: a zombie has no command line,
    a newcomer another."""
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            command = file.read()
            return b"pytest" in command or b"tests/" in command
    except OSError:
        return False


def sweep():
    """Removes namespaces and directories of test processes that are no more."""
    for line in run(["ip", "netns", "list"]).stdout.splitlines():
        name = line.split()[0]
        owner, dash, _ = name.partition("-")
        pid = owner.removeprefix(PREFIX)
        if owner.startswith(PREFIX) and dash and pid.isdigit() and not _is_running(pid):
            _destroy(name)
    base = tempfile.gettempdir()
    for name in os.listdir(base):
        kind, _, pid = name.partition(".")
        pid = pid.partition(".")[0]
        if kind == "gh-topo" and pid.isdigit() and not _is_running(pid):
            shutil.rmtree(os.path.join(base, name), ignore_errors=True)


class Net:
    """The namespaces, links and files of one test."""

    def __init__(self):
        self.prefix = f"{PREFIX}{os.getpid()}"
        # Not pytest's tmp_path: daemons that drop privilege must be able to enter it, and the
        # path of a Unix socket has room for 107 characters only.
        self.dir = tempfile.mkdtemp(prefix=f"gh-topo.{os.getpid()}.")
        os.chmod(self.dir, 0o755)
        self.namespaces = []
        self.cleanups = []

    def namespace(self, name):
        return Namespace(self, name)

    def at_end(self, function):
        """Has function() called when the test is over, last registered first."""
        self.cleanups.append(function)

    def link(self, a, b, *pairs, name_a="eth0", name_b="eth0", mtu=1500):
        """A veth link between two namespaces; pairs: (address of a, address of b), with length."""
        run(["ip", "link", "add", "name", name_a, "netns", a.name, "mtu", mtu, "type", "veth",
             "peer", "name", name_b, "netns", b.name, "mtu", mtu])
        for namespace, interface in ((a, name_a), (b, name_b)):
            namespace.run(["ip", "link", "set", interface, "up"])
        for address_a, address_b in pairs:
            a.add_address(name_a, address_a)
            b.add_address(name_b, address_b)

    def two_routers(self):
        """Namespaces a (A4, A6) and b (B4, B6) with a link."""
        a, b = self.namespace("a"), self.namespace("b")
        self.link(a, b, (f"{A4}/24", f"{B4}/24"), (f"{A6}/64", f"{B6}/64"))
        return a, b

    def destroy(self):
        failures = []
        steps = [*reversed(self.cleanups), *(n.destroy for n in reversed(self.namespaces))]
        for step in steps:
            try:
                step()
            except Exception as error:  # the rest must be cleaned up all the same
                failures.append(error)
        shutil.rmtree(self.dir, ignore_errors=True)
        if failures:
            raise failures[0]
