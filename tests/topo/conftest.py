"""Fixtures of the system tests: run as root with Debian's pytest, `python3 -m pytest tests/topo`.

Only loopback and namespaces made here are touched. What cannot run because a prerequisite is
missing fails; tests/run installs the prerequisites first.
"""

import os
import signal
import subprocess
import sys

import pytest

sys.path.insert(0, os.path.dirname(__file__))

import interop  # noqa: E402
import netns  # noqa: E402

CHECKOUT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def pytest_configure(config):
    config.addinivalue_line("markers", "base: proves the test base itself, without Gatehouse")
    # A polite kill must clean up like Ctrl-C does.
    signal.signal(signal.SIGTERM, lambda *_: (_ for _ in ()).throw(KeyboardInterrupt()))


def pytest_sessionstart(session):
    if os.geteuid() != 0:
        pytest.exit("network namespaces need root: run with sudo", returncode=2)
    netns.sweep()


def pytest_sessionfinish(session):
    interop.write(os.environ.get("GATEHOUSE_INTEROP") or os.path.join(CHECKOUT, "build", "interop.md"))


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    """A failed test tells the last lines of every log of its daemons."""
    outcome = yield
    report = outcome.get_result()
    net = getattr(item, "funcargs", {}).get("net")
    if report.when == "call" and report.failed and net:
        for path in sorted(_logs(net.dir)):
            with open(path, encoding="utf-8", errors="replace") as file:
                lines = file.readlines()
            # Of a long log also what gatehoused's parent says: which process ended, and how.
            early = [line for line in lines[:-40] if line.startswith("gatehoused: ")][-20:]
            report.sections.append((os.path.relpath(path, net.dir), "".join(early + lines[-40:])))


def _logs(top):
    for directory, _, names in os.walk(top):
        for name in names:
            if name in ("log", "out", "console") or name.endswith(".log"):
                yield os.path.join(directory, name)


@pytest.fixture
def net():
    """A fresh Net; everything made through it is gone after the test."""
    made = netns.Net()
    yield made
    made.destroy()


def _tool(name):
    """The path that a tool keeps ready (tools/labkernel, tools/kernel-selftests, tools/bird-newer)."""
    done = subprocess.run([os.path.join(CHECKOUT, "tools", name), "--cached"],
                          capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr.strip()
    return done.stdout.strip()


@pytest.fixture(scope="session")
def lab_kernel():
    return _tool("labkernel")


@pytest.fixture(scope="session")
def kernel_selftests():
    """The directory with the kernel's own TCP-AO tests, built."""
    return _tool("kernel-selftests")


@pytest.fixture(scope="session")
def newer_bird():
    """The directory with bird and birdc of BIRD >= 2.17."""
    return os.path.dirname(_tool("bird-newer"))


@pytest.fixture(scope="session")
def pkcs11_provider():
    """The directory with OpenSSL's provider for PKCS #11."""
    return _tool("pkcs11-provider")


@pytest.fixture(scope="session")
def libreswan():
    """The directory where libreswan is unpacked."""
    return _tool("libreswan")


@pytest.fixture(scope="session")
def strongswan6():
    """The directory with the programs of strongSwan >= 6 and `with-openssl`: what tools/strongswan-newer
    keeps, or another one that $GATEHOUSE_STRONGSWAN names."""
    return os.environ.get("GATEHOUSE_STRONGSWAN") or _tool("strongswan-newer")


def _preload(tmp_path_factory, name):
    """A library for LD_PRELOAD, built from one C file here."""
    library = tmp_path_factory.mktemp("preload") / f"{name}.so"
    source = os.path.join(os.path.dirname(__file__), f"{name}.c")
    netns.run(["gcc", "-D_GNU_SOURCE", "-shared", "-fPIC", "-Wall", "-o", library, source])
    return str(library)


@pytest.fixture(scope="session")
def ao_preload(tmp_path_factory):
    """ao_preload.c built: for the environment of a BIRD inside a guest (LD_PRELOAD)."""
    return _preload(tmp_path_factory, "ao_preload")


@pytest.fixture(scope="session")
def connect_witness(tmp_path_factory):
    """connect_witness.c built: for the environment of a program under gaterun inside a guest."""
    return _preload(tmp_path_factory, "connect_witness")


@pytest.fixture(scope="session")
def build_dir():
    """The directory with gatehoused and gatectl: $GATEHOUSE_BUILD, else build/."""
    return os.environ.get("GATEHOUSE_BUILD") or os.path.join(CHECKOUT, "build")
