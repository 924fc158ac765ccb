"""The kernel's own TCP-AO tests (tests/selftests/run).

On a kernel that has TCP-AO all of them pass; that is what the emulation is measured against. What both
must reach stands in docs/kernel-selftests.md.
"""

import json
import os
import re
import shutil

import pytest

import netns
from conftest import CHECKOUT
from gatehouse import Gatehouse
from uml import Guest

RUN = os.path.join(CHECKOUT, "tests", "selftests", "run")
PROMISES = os.path.join(CHECKOUT, "docs", "kernel-selftests.md")
NO_TCP_AO = 4  # the runner's exit status where all programs skipped themselves
# Each program's last check looks at tracepoints; it is not made where a kernel cannot trace.
TRACING = 1
TRACE = "trace events"
# docs/kernel-selftests.md: a program that is not scheduled between two looks takes success for a failure.
RACE = re.compile(r"connect-deny\.c:\d+\] (Server|Client): prefix match: connect\(\) returned -110")
RACES = 3


@pytest.mark.base
def test_runner_counts(tmp_path):
    """What the runner makes of programs that go well, fail, skip themselves, crash and hang."""
    bodies = {
        "good_ipv4": "echo 1..4; echo ok 1 first; echo ok 2 '# XFAIL' second; echo ok 3 '# SKIP' third",
        "good_ipv6": "echo 1..1; echo ok 1 first; echo ok or not: no check",
        "bad_ipv4": "echo 1..2; echo not ok 1 first; echo not ok 2 '# error' second; exit 1",
        "liar_ipv4": "echo 1..1; echo not ok 1 first; exit 0",
        "none_ipv4": "echo 1..1; echo ok 1 '# SKIP' nothing to test; exit 4",
        "crash_ipv4": "echo 1..2; echo ok 1 first; kill -SEGV $$",
        "late_ipv4": "echo 1..2; echo ok 1 first; sleep 100",
        "deaf_ipv4": "echo 1..2; echo ok 1 first; trap : INT TERM; while :; do sleep 1; done",
    }
    programs = tmp_path / "programs"
    programs.mkdir()
    for name, body in bodies.items():
        (programs / name).write_text(f"#!/bin/bash\n{body}\n", encoding="utf-8")
        (programs / name).chmod(0o755)

    def run(*names):
        path = tmp_path / "json"
        done = netns.run([RUN, "--programs", programs, "--limit", 2, "--json", path, *names], check=False)
        with open(path, encoding="utf-8") as file:
            found = {f"{r['name']}_{r['family']}": (r["ok"], len(r["failed"]), len(r["skipped"]),
                                                   r["not_run"], r["ending"]) for r in json.load(file)}
        return done.returncode, found

    assert run("good") == (0, {"good_ipv4": (2, 0, 1, 1, ""), "good_ipv6": (1, 0, 0, 0, "")})
    assert run("none", "good_ipv6") == (4, {"good_ipv6": (1, 0, 0, 0, ""), "none_ipv4": (0, 0, 1, 0, "")})
    assert run("none", "bad") == (1, {"bad_ipv4": (0, 2, 0, 0, ""), "none_ipv4": (0, 0, 1, 0, "")})
    assert run("liar") == (1, {"liar_ipv4": (0, 1, 0, 0, "status 0")})
    assert run("crash") == (1, {"crash_ipv4": (1, 0, 0, 1, "signal 11")})
    assert run("late") == (1, {"late_ipv4": (1, 0, 0, 1, "late")})
    assert run("deaf") == (1, {"deaf_ipv4": (1, 0, 0, 1, "late")})


def promised(column):
    """{(test, family): checks that are ok} as the page's table says, without those that are not run;
    column: "real kernel", …"""
    with open(PROMISES, encoding="utf-8") as file:
        rows = [[cell.strip() for cell in line.strip().strip("|").split("|")]
                for line in file if line.startswith("|")]
    found = {}
    for family, name in (("ipv4", "IPv4"), ("ipv6", "IPv6")):
        at = rows[0].index(f"{column}, {name}")
        found.update({(row[0], family): int(row[at]) for row in rows[2:] if row[at] != "not run"})
    return found


def below(results, floor):
    """What falls short of the floor, in words."""
    counted = {(r["name"], r["family"]): r for r in results}
    assert counted.keys() == floor.keys()
    return [f"{name}_{family}: {r['ok']} of {floor[name, family]} {r['failed']} {r['ending']}"
            for (name, family), r in counted.items()
            if r["ok"] < floor[name, family] or r["failed"] or r["ending"]]


def keep_results(path, name):
    build = os.path.join(CHECKOUT, "build")
    if os.path.isdir(build):  # for --beside
        shutil.copy(path, os.path.join(build, name))


def raced(result):
    return any(RACE.search(failure) for failure in result["failed"])


def test_emulation(net, build_dir, kernel_selftests):
    """As many checks pass as the page promises, on a kernel on which by itself none would run."""
    host = net.namespace("host")
    keep = host.directory("selftests")
    floor = promised("emulation")
    names = sorted({name for name, _ in floor})
    command = [RUN, "--programs", kernel_selftests, "--jobs", 4, "--keep", keep]
    plain = host.run([*command, *names], check=False, timeout=120)
    if plain.returncode == 0:
        pytest.skip("this kernel has TCP-AO: nothing is emulated (--emulate-ao: in the lab kernel)")
    assert plain.returncode == NO_TCP_AO, plain.stderr
    gatehouse = Gatehouse(host, build_dir, "gatehouse {}\n").start()

    def emulated(names):
        done = host.run([*command, *names, "--with", " ".join(gatehouse.gaterun()), "--json", f"{keep}/json"],
                        check=False, timeout=300)
        with open(f"{keep}/json", encoding="utf-8") as file:
            return done, json.load(file)

    done, results = emulated(names)
    keep_results(f"{keep}/json", "selftests-emulation.json")
    for _ in range(RACES):
        again = [f"{r['name']}_{r['family']}" for r in results if raced(r)]
        if not again:
            break
        done, anew = emulated(again)
        results = [r for r in results if not raced(r)] + anew
    assert not below(results, floor), done.stderr
    assert gatehouse.processes().keys() == {"parent", "ao"} and "ended" not in gatehouse.tail(10000)


@pytest.mark.base
def test_real_kernel(net, lab_kernel, kernel_selftests):
    guest = Guest(net.namespace("host"), lab_kernel)
    keep = guest.directory("selftests")
    done = guest.run([RUN, "--programs", kernel_selftests, "--keep", keep, "--json", f"{keep}/json"],
                     check=False, timeout=600, env={"TMPDIR": keep})
    assert done.returncode == 0, done.stderr
    with open(f"{keep}/json", encoding="utf-8") as file:
        results = json.load(file)
    assert len(results) == len(os.listdir(kernel_selftests))
    tracing = "tracefs" in guest.run(["cat", "/proc/filesystems"]).stdout
    for result in results:
        assert result["not_run"] == (0 if tracing else TRACING), result
        assert not result["skipped"], result
    assert not below(results, promised("real kernel")), done.stderr
    keep_results(f"{keep}/json", "selftests-kernel.json")


def test_emulation_with_vrf(net, build_dir, lab_kernel, kernel_selftests):
    """What only a kernel with VRFs lets be tested, and so with TCP-AO of its own, which is left aside."""
    guest = Guest(net.namespace("host"), lab_kernel)
    keep = guest.directory("selftests")
    gatehouse = Gatehouse(guest, build_dir, "gatehouse {}\n", options=["--emulate-ao"]).start()
    done = guest.run([RUN, "--programs", kernel_selftests, "--keep", keep, "--json", f"{keep}/json",
                      "--with", " ".join(gatehouse.gaterun()), "unsigned-md5"],
                     check=False, timeout=300, env={"TMPDIR": keep})
    with open(f"{keep}/json", encoding="utf-8") as file:
        results = json.load(file)
    assert len(results) == 2
    for result in results:  # this kernel can trace, but TCP-AO's events are of its own
        assert not result["skipped"] and not result["not_run"] and not result["ending"], done.stderr
        assert [TRACE in failure for failure in result["failed"]] in ([], [True]), done.stderr
        assert result["ok"] == result["planned"] - len(result["failed"])
