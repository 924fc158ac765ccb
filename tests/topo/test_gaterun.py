"""gaterun: what it starts, and what it refuses to start because it would do nothing."""

import os
import shutil
import subprocess

import pytest

from netns import run
from shim_server import HELLO, LISTEN, ShimServer

LISTENER = "import socket; s = socket.create_server(('127.0.0.1', 0)); print('listening')"


@pytest.fixture
def gaterun(net, build_dir):
    """Runs gaterun with these arguments, asking a server of the test's."""
    def call(*argv, check=True, **options):
        return run([os.path.join(build_dir, "gaterun"), *argv], check=check, **options)
    return call


@pytest.fixture
def server(net):
    made = ShimServer(os.path.join(net.dir, "shim.sock"))
    net.at_end(made.close)
    return made


def write(net, name, text, mode=0o755):
    path = os.path.join(net.dir, name)
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)
    os.chmod(path, mode)
    return path


def compiled(net, name, *flags):
    source = write(net, f"{name}.c", "int main(void) { return 0; }\n")
    program = os.path.join(net.dir, name)
    run(["gcc", *flags, "-o", program, source])
    return program


def refused(done, words, status=126):
    assert done.returncode == status
    assert words in done.stderr, done.stderr
    assert not done.stdout
    if status == 126:
        assert "tcp-ao section" in done.stderr  # and what to do instead


def test_starts_a_program(gaterun, server):
    done = gaterun("--socket", server.path, "--", "/usr/bin/python3", "-c", LISTENER)
    assert done.stdout == "listening\n"
    assert [op for op, _ in server.asked] == [HELLO, LISTEN]
    assert server.asked[0][1] == "python3"


def test_environment(gaterun, server):
    both = gaterun("--socket", server.path, "sh", "-c", "echo $LD_PRELOAD; echo $GATEHOUSE_SHIM_SOCKET",
                   env={"LD_PRELOAD": "libpthread.so.0"})
    library, socket = both.stdout.splitlines()
    first, second = library.split(":")
    assert first == "libpthread.so.0" and second.endswith("/gatehouse-shim.so")
    assert socket == server.path
    nested = gaterun("sh", "-c", "echo $LD_PRELOAD", env={"LD_PRELOAD": second})
    assert nested.stdout.strip() == second


def test_status_and_arguments_are_the_programs(gaterun):
    done = gaterun("sh", "-c", "echo \"$@\"; exit 7", "sh", "--require", "a b", check=False)
    assert (done.returncode, done.stdout) == (7, "--require a b\n")


def test_scripts_are_their_interpreters(gaterun, net, server):
    direct = write(net, "direct", f"#!/usr/bin/python3\n{LISTENER}\n")
    through_env = write(net, "through-env", f"#! /usr/bin/env -S /usr/bin/python3 -u\n{LISTENER}\n")
    for script in direct, through_env:
        assert gaterun("--socket", server.path, script).stdout == "listening\n"
    assert [op for op, _ in server.asked] == [HELLO, LISTEN] * 2
    static = compiled(net, "static", "-static")
    refused(gaterun(write(net, "of-static", f"#!{static}\n"), check=False), "statically linked")
    refused(gaterun(write(net, "of-nobody", "#!/nonexistent\n"), check=False), "cannot be read")


def test_refuses_static_programs(gaterun, net):
    refused(gaterun(compiled(net, "static", "-static"), check=False), "is statically linked")
    refused(gaterun(compiled(net, "static-pie", "-static-pie", "-fPIE"), check=False),
            "is statically linked")


def test_refuses_go(gaterun):
    refused(gaterun(shutil.which("gobgpd") or "gobgpd", check=False), "is a Go program")


def test_refuses_other_architectures(gaterun, net, build_dir):
    program = compiled(net, "other")
    with open(program, "r+b") as file:
        file.seek(18)  # e_machine
        file.write((20).to_bytes(2, "little"))
    refused(gaterun(program, check=False), "another architecture")


def test_refuses_what_gains_rights(gaterun, net):
    program = compiled(net, "rights")
    os.chown(program, 65534, 65534)
    for mode in 0o4755, 0o2755:
        os.chmod(program, mode)
        refused(gaterun(program, check=False), "is setuid, setgid or has file capabilities")
    os.chown(program, 0, 0)
    os.chmod(program, 0o4755)
    assert gaterun(program).returncode == 0  # root's own: it gains nothing, the loader preloads
    os.chmod(program, 0o755)
    run(["setcap", "cap_net_raw+ep", program])
    assert gaterun(program).returncode == 0


def test_refuses_file_capabilities_of_users(gaterun, net):
    program = compiled(net, "capable")
    run(["setcap", "cap_net_bind_service+ep", program])
    # Another user must be able to reach gaterun and the library.
    copies = [shutil.copy(os.path.join(os.path.dirname(gaterun("sh", "-c", "echo $LD_PRELOAD").stdout),
                                       name), net.dir) for name in ("gaterun", "gatehouse-shim.so")]
    as_nobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", copies[0]]
    done = subprocess.run([*as_nobody, program], capture_output=True, text=True, check=False)
    refused(done, "is setuid, setgid or has file capabilities")
    assert run([*as_nobody, "sh", "-c", "echo $LD_PRELOAD"]).stdout.strip() == copies[1]


def test_programs_that_are_not_there(gaterun, net):
    refused(gaterun("gh-no-such-program", check=False), "not found", 127)
    refused(gaterun("/nonexistent/program", check=False), "not found", 127)
    refused_file = gaterun(write(net, "data", "x", mode=0o644), check=False)
    assert refused_file.returncode == 126 and "cannot be executed" in refused_file.stderr


def test_require(gaterun, net, server):
    nobody = os.path.join(net.dir, "nobody.sock")
    for options, env in (["--require"], None), ([], {"GATEHOUSE_SHIM_REQUIRE": "1"}):
        refused(gaterun("--socket", nobody, *options, "true", check=False, env=env),
                "gatehoused does not answer", 125)
        assert gaterun("--socket", server.path, *options, "true", env=env).returncode == 0
    assert gaterun("--socket", nobody, "true").returncode == 0


def test_its_own_options(gaterun, net):
    assert gaterun("--help").stdout.startswith("usage: gaterun")
    assert gaterun("--version").stdout.startswith("gaterun ")
    for wrong in [], ["--nonsense", "true"], ["--socket", "/" + "x" * 200, "true"]:
        assert gaterun(*wrong, check=False).returncode == 125
    refused(gaterun("true", env={"GATEHOUSE_SHIM_LIBRARY": "/nonexistent"}, check=False),
            "gatehouse-shim.so not found", 125)
    spaced = os.path.join(net.dir, "a b")
    os.mkdir(spaced)
    library = shutil.copy(gaterun("sh", "-c", "echo $LD_PRELOAD").stdout.strip(), spaced)
    refused(gaterun("true", env={"GATEHOUSE_SHIM_LIBRARY": library}, check=False),
            "no name with blanks", 125)
