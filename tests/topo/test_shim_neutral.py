"""The preload library changes nothing for sockets that are not in Gatehouse's configuration: the
tests of CPython for sockets come out the same, one by one, with it and without it."""

import os

import pytest

from gatehouse import Gatehouse
from pair import config
from wait import wait_for

MODULES = ["test.test_socket", "test.test_asyncore", "test.test_socketserver", "test.test_epoll",
           "test.test_asyncio.test_sock_lowlevel", "test.test_asyncio.test_streams"]
NOT_THESE = "VSOCK"  # they need a host of virtual machines, and wait for it for ever
HERE = os.path.dirname(os.path.abspath(__file__))
ELSEWHERE = "192.0.2.99"  # the peer of the one session; no test speaks with it
# What becomes of a TCP_AO_DEL_KEY that is too short: EINVAL where there is TCP-AO, else ENOPROTOOPT.
TOO_SHORT = """
import errno, socket
try:
    socket.socket().setsockopt(socket.IPPROTO_TCP, 39, bytes(4))
except OSError as error:
    print(errno.errorcode[error.errno])
"""


def serve(namespace, build_dir):
    """Gatehouse in that namespace; whoever is started by its gaterun() speaks with it."""
    gatehouse = Gatehouse(namespace, build_dir, config(ELSEWHERE)).start()
    for launcher, says in ([], "ENOPROTOOPT\n"), (gatehouse.gaterun(), "EINVAL\n"):
        assert namespace.run([*launcher, "/usr/bin/python3", "-c", TOO_SHORT]).stdout == says
    return gatehouse


def start(namespace, command):
    """The tests, started in a namespace."""
    directory = namespace.directory("work")
    outcomes = os.path.join(directory, "outcomes")
    # A temporary directory of its own each, and room to change to it.
    process = namespace.spawn(
        ["env", "-C", directory, f"TMPDIR={directory}", *command, "/usr/bin/python3",
         os.path.join(HERE, "outcomes.py"), outcomes, NOT_THESE, *MODULES],
        os.path.join(directory, "log"))
    return process, outcomes


def read(path):
    with open(path, encoding="utf-8") as file:
        return sorted(line.rstrip("\n") for line in file)


def has_library(process):
    with open(f"/proc/{process.pid}/maps", encoding="utf-8") as maps:
        return "gatehouse-shim.so" in maps.read()


def test_cpythons_socket_tests(net, build_dir):
    """Beside a Gatehouse in the same network namespace, or in another one, or with none."""
    names = ["plain", "served", "elsewhere", "alone"]
    namespaces = {name: net.namespace(name) for name in names}
    gatehouse = serve(namespaces["served"], build_dir)
    nobody = [os.path.join(build_dir, "gaterun"), "--socket", os.path.join(net.dir, "nobody.sock")]
    commands = {"plain": [], "served": gatehouse.gaterun(), "elsewhere": gatehouse.gaterun(),
                "alone": nobody}
    runs = {name: start(namespaces[name], commands[name]) for name in names}
    for name in "served", "elsewhere", "alone":
        wait_for(lambda: has_library(runs[name][0]), 10, f"{name}: the library is there")
    for process, _ in runs.values():
        process.wait(120)
    found = {name: read(outcomes) for name, (_, outcomes) in runs.items()}
    assert len([line for line in found["plain"] if line.endswith(" ok")]) > 600, "the tests did run"
    for name in names:
        assert found[name] == found["plain"], name
    assert gatehouse.ask("show", "counters")["dropped"] == 0
    assert not [s for s in gatehouse.sessions().values() if s["own_keys"]]


@pytest.mark.parametrize("served", [True, False])
def test_curl(net, build_dir, served):
    """A program in C, over IPv4 and IPv6, with and without an answer."""
    namespace = net.namespace("curl")
    if served:
        gaterun = serve(namespace, build_dir).gaterun()
    else:
        gaterun = [os.path.join(build_dir, "gaterun"), "--socket",
                   os.path.join(net.dir, "nobody.sock")]
    directory = namespace.directory("web")
    with open(os.path.join(directory, "page"), "w", encoding="utf-8") as file:
        file.write("hello\n" * 1000)
    namespace.spawn(["/usr/bin/python3", "-u", "-m", "http.server", "--bind", "::", "--directory",
                     directory, "8000"], os.path.join(directory, "log"))
    curl = ["curl", "-sS", "--retry", "10", "--retry-connrefused", "--retry-delay", "1"]
    for address in "127.0.0.1", "[::1]":
        plain = namespace.run([*curl, f"http://{address}:8000/page"])
        shimmed = namespace.run([*gaterun, *curl, f"http://{address}:8000/page"])
        assert shimmed.stdout == plain.stdout == "hello\n" * 1000
        refused = ["curl", "-sS", f"http://{address}:8001/"]
        plain = namespace.run(refused, check=False)
        shimmed = namespace.run([*gaterun, *refused], check=False)
        assert shimmed.returncode == plain.returncode == 7
