"""The service manager's side: readiness, watchdog, reload, and queues that it keeps."""

import array
import os
import socket
import subprocess

from gatehouse import Gatehouse
from netns import _die_with_parent
from pair import A4, B4, KEY, config
from stream import Stream
from wait import wait_for


class Manager:
    """Listens as systemd does, and starts the daemon with the descriptors that it was given."""

    def __init__(self, gatehouse):
        self.gatehouse = gatehouse
        self.path = os.path.join(gatehouse.dir, "notify")
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(self.path)
        self.socket.setblocking(False)
        self.said = []
        self.stored = {}

    def listen(self):
        """Reads what has come; returns all lines until now."""
        while True:
            try:
                data, control, _, _ = self.socket.recvmsg(4096, socket.CMSG_SPACE(64))
            except BlockingIOError:
                return self.said
            lines = data.decode().splitlines()
            self.said += lines
            named = dict(x.split("=", 1) for x in lines)
            for level, kind, octets in control:
                if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
                    assert named["FDSTORE"] == "1"
                    self.stored[named["FDNAME"]] = array.array("i", octets)[0]

    def start(self):
        g = self.gatehouse
        names = list(self.stored)
        descriptors = [self.stored[n] for n in names]

        def prepare():
            _die_with_parent()
            high = [os.dup2(fd, 100 + i) for i, fd in enumerate(descriptors)]
            for i, fd in enumerate(high):
                os.dup2(fd, 3 + i)
                os.set_inheritable(3 + i, True)
                os.close(fd)
        environment = {**os.environ, "NOTIFY_SOCKET": self.path, "WATCHDOG_USEC": "400000"}
        argv = [g.daemon, "-f", "-c", g.config_file, "-r", g.run_dir]
        shell = "exec \"$@\""
        if names:
            environment |= {"LISTEN_FDS": str(len(names)), "LISTEN_FDNAMES": ":".join(names)}
            shell = "export LISTEN_PID=$$; " + shell
        with open(g.log, "ab") as log:
            popen = subprocess.Popen(
                g.host.command(["sh", "-c", shell, "sh", *argv]), stdin=subprocess.DEVNULL,
                stdout=log, stderr=log, env=environment, preexec_fn=prepare, close_fds=False)
        g.process = Started(popen)
        g.host.processes.append(g.process)
        wait_for(lambda: "READY=1" in self.listen(), 15, lambda: f"READY=1\n{g.tail()}")


class Started:
    """As netns.Process, for what was started otherwise."""

    def __init__(self, popen):
        self._popen = popen
        self.pid = popen.pid

    def alive(self):
        return self._popen.poll() is None

    def wait(self, timeout=10):
        return self._popen.wait(timeout)

    def stop(self):
        if self.alive():
            self._popen.terminate()
        self.wait()


def managed(net, build_dir):
    a, b = net.two_routers()
    one = Gatehouse(a, build_dir, config(B4))
    Gatehouse(b, build_dir, config(A4, KEY.swapped())).start()
    manager = Manager(one)
    manager.start()
    return a, b, one, manager


def test_readiness_watchdog_reload_stop(net, build_dir):
    _, _, one, manager = managed(net, build_dir)
    wait_for(lambda: manager.listen().count("WATCHDOG=1") >= 3, 5, "the watchdog is fed")
    manager.said.clear()
    one.reload()
    wait_for(lambda: "READY=1" in manager.listen(), 5, "ready again")
    assert manager.said.index("RELOADING=1") < manager.said.index("READY=1")
    one.process.stop()
    assert "STOPPING=1" in manager.listen()


def test_queues_outlive_the_parent(net, build_dir):
    """systemd keeps the sockets: a killed parent's successor reads on, nothing was dropped."""
    a, b, one, manager = managed(net, build_dir)
    assert list(manager.stored), "the queue's socket was given to keep"
    stream = Stream(a, b, B4).start()
    one.kill("parent")
    queue = "/proc/net/netfilter/nfnetlink_queue"
    assert a.run(["cat", queue]).stdout.split()[0] == "17900", "the queue is still bound"
    wait_for(lambda: int(a.run(["cat", queue]).stdout.split()[2]) > 0, 5, "segments wait in it")
    manager.said.clear()
    manager.start()
    stream.wait_more(100)
    stream.finish()
