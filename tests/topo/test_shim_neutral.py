"""The preload library changes nothing for sockets that are not in Gatehouse's configuration: the
tests of CPython for sockets come out the same, one by one, with it and without it."""

import os

import pytest

from shim_server import CONNECT, LISTEN, ShimServer

MODULES = ["test.test_socket", "test.test_asyncore", "test.test_socketserver", "test.test_epoll",
           "test.test_asyncio.test_sock_lowlevel", "test.test_asyncio.test_streams"]
NOT_THESE = "VSOCK"  # they need a host of virtual machines, and wait for it for ever
HERE = os.path.dirname(os.path.abspath(__file__))


def start(net, name, command):
    """The tests, started in a namespace of their own."""
    namespace = net.namespace(name)
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


def test_cpythons_socket_tests(net, build_dir):
    gaterun = os.path.join(build_dir, "gaterun")
    server = ShimServer(os.path.join(net.dir, "shim.sock"))
    net.at_end(server.close)
    nowhere = os.path.join(net.dir, "nobody.sock")
    runs = {name: start(net, name, command) for name, command in {
        "plain": [],
        "served": [gaterun, "--require", "--socket", server.path],
        "alone": [gaterun, "--socket", nowhere]}.items()}
    for process, _ in runs.values():
        process.wait(120)
    found = {name: read(outcomes) for name, (_, outcomes) in runs.items()}
    plain = found["plain"]
    assert len([line for line in plain if line.endswith(" ok")]) > 600, "the tests did run"
    assert found["served"] == plain
    assert found["alone"] == plain
    asked = [op for op, _ in server.asked]
    assert asked.count(CONNECT) > 100 and asked.count(LISTEN) > 100, "the library was there"


@pytest.mark.parametrize("served", [True, False])
def test_curl(net, build_dir, served):
    """A program in C, over IPv4 and IPv6, with and without an answer."""
    namespace = net.namespace("curl")
    path = os.path.join(net.dir, "shim.sock")
    server = ShimServer(path) if served else None
    if server:
        net.at_end(server.close)
    gaterun = [os.path.join(build_dir, "gaterun"), "--socket", path]
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
    if server:
        assert (CONNECT, "curl") in server.asked
