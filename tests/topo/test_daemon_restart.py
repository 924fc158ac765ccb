"""Any process of Gatehouse may die at any time: protected connections go on."""

import os
import signal

import pytest

from gatehouse import Gatehouse, tcp_ao
from pair import B4, B6, config, gatehouses
from stream import Stream
from wait import wait_for


def wait_other(gatehouse, role, pid):
    """Until the role runs as another process than before, and answers."""
    wait_for(lambda: gatehouse.processes().get(role) not in (None, pid), 10, f"a new {role}")
    wait_for(gatehouse.answers, 10, f"{role} answers")


@pytest.mark.parametrize("address", [B4, B6])
def test_kill_ao_under_traffic(net, build_dir, address):
    a, one, b, two = gatehouses(net, build_dir, v6=address == B6)
    stream = Stream(a, b, address).start()
    for gatehouse in (one, two, one, two):
        pid = gatehouse.processes()["ao"]
        gatehouse.kill("ao")
        wait_other(gatehouse, "ao", pid)
        stream.wait_more(100)
    stream.finish()
    state = one.session("upstream")["connections"]
    assert any(c["restored"] for c in state)
    assert one.counters("upstream")["bad-mac"] == 0


@pytest.mark.parametrize("which", [0, 1])
def test_kill_parent_under_traffic(net, build_dir, which):
    """The children die with it; the next instance takes the connections over."""
    a, one, b, two = gatehouses(net, build_dir)
    stream = Stream(a, b, B4).start()
    victim = (one, two)[which]
    ao = victim.processes()["ao"]
    victim.kill("parent")
    wait_for(lambda: victim.host.run(["ps", "-p", ao], check=False).returncode != 0, 5,
             "ao has ended too")
    victim.start()
    stream.wait_more(100)
    assert any(c["restored"] for c in victim.session("upstream")["connections"])
    stream.finish()


def test_orderly_restart_under_traffic(net, build_dir):
    """As at an upgrade: stop, start another program on the same run directory."""
    a, one, b, two = gatehouses(net, build_dir)
    stream = Stream(a, b, B4).start()
    for gatehouse in (one, two):
        gatehouse.stop()
        assert gatehouse.process.status() == 0
        gatehouse.start()
        stream.wait_more(100)
    stream.finish()


def test_restart_at_once_takes_the_queue(net, build_dir):
    """A successor that starts while its predecessor is still ending waits for lock and queue."""
    a, one, b, two = gatehouses(net, build_dir)
    stream = Stream(a, b, B4).start()
    one.process.signal(signal.SIGTERM)
    one.start()
    stream.wait_more(100)
    stream.finish()


def test_one_instance_a_run_directory(net, build_dir):
    a, one, _, _ = gatehouses(net, build_dir)
    done = a.run([one.daemon, "-f", "-c", one.config_file, "-r", one.run_dir], check=False)
    assert done.returncode == 1
    assert "another gatehoused is running" in done.stderr
    assert one.answers()


def test_many_hangups(net, build_dir):
    """However fast they come, the last configuration is in force in the end."""
    _, one, _, _ = gatehouses(net, build_dir)
    for number in range(20):
        one.configure(config(B4, more=tcp_ao(f"other{number}", "10.99.0.1", "core")))
        one.process.signal(signal.SIGHUP)
    wait_for(lambda: "other19" in one.sessions(), 10, "the last one")


def test_the_queue_of_another_program(net, build_dir):
    """Segments must not be steered to somebody else."""
    _, one, _, _ = gatehouses(net, build_dir)
    path = os.path.join(one.dir, "other-run")
    done = one.host.run([one.daemon, "-f", "-c", one.config_file, "-r", path], check=False)
    assert done.returncode == 1 and "belongs to another process" in done.stderr
    assert one.answers()


def test_as_a_daemon_of_its_own(net, build_dir):
    """Without -f it returns when all is up, or when it failed."""
    a, _ = net.two_routers()
    one = Gatehouse(a, build_dir, config(B4))
    a.run([one.daemon, "-c", one.config_file, "-r", one.run_dir])
    assert one.answers()
    again = a.run([one.daemon, "-c", one.config_file, "-r", one.run_dir], check=False)
    assert again.returncode == 1 and "another gatehoused is running" in again.stderr


def test_a_hanging_ao_is_replaced(net, build_dir):
    a, one, b, _ = gatehouses(net, build_dir)
    stream = Stream(a, b, B4).start()
    pid = one.processes()["ao"]
    a.run(["kill", "-STOP", pid])
    wait_for(lambda: one.processes().get("ao") not in (None, pid), 30, "a new ao")
    stream.wait_more(100, timeout=60)
    stream.finish()
    assert "does not answer" in one.tail()


def test_repeated_deaths_slow_down_restarts(net, build_dir):
    _, one, _, _ = gatehouses(net, build_dir)
    for _ in range(3):
        pid = one.processes()["ao"]
        one.kill("ao")
        wait_other(one, "ao", pid)
    log = one.tail()
    assert log.index("starts again at once") < log.index("starts again soon")


def test_stale_control_socket(net, build_dir):
    _, one, _, _ = gatehouses(net, build_dir)
    one.kill("parent")
    assert not one.answers()
    one.start()
    assert one.answers()
    assert one.session("upstream")["peer"] == B4
