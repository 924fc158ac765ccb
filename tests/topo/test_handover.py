"""Another engine carries a connection on: gatectl connections export and adopt."""

import os

import pytest

from gatehouse import Gatehouse
from pair import B4, B6, config, gatehouses
from stream import Stream


def successor(gatehouse, build_dir):
    """A second instance with the same configuration, and nothing else of the first."""
    with open(gatehouse.config_file, encoding="utf-8") as file:
        return Gatehouse(gatehouse.host, build_dir, file.read(), name="successor")


def export(gatehouse, directory):
    path = os.path.join(directory, "connections.json")
    with open(path, "w", encoding="utf-8") as file:
        file.write(gatehouse.gatectl("connections", "export").stdout)
    return path


@pytest.mark.parametrize("address", [B4, B6])
def test_adopted_under_traffic(net, build_dir, address):
    a, one, b, two = gatehouses(net, build_dir, v6=address == B6)
    stream = Stream(a, b, address).start()
    path = export(one, one.dir)
    one.stop()
    heir = successor(one, build_dir).start()
    assert heir.session("upstream")["state"] == "down"
    assert heir.gatectl("connections", "adopt", path).stdout == "1 of 1 connections adopted\n"
    stream.wait_more(200)
    stream.finish()
    connection = heir.session("upstream")["connections"][0]
    assert connection["restored"]
    assert heir.counters("upstream")["bad-mac"] == 0
    assert two.counters("upstream")["bad-mac"] == 0


def test_refused_with_the_reason(net, build_dir):
    a, one, b, two = gatehouses(net, build_dir)
    stream = Stream(a, b, B4).start()
    path = export(one, one.dir)
    stream.finish()
    one.stop()
    with open(one.config_file, encoding="utf-8") as file:
        text = file.read().replace("key 1 {", "key 77 {")
    heir = Gatehouse(a, build_dir, text, name="successor").start()
    done = heir.gatectl("connections", "adopt", path, check=False)
    assert done.returncode == 1
    assert "lacks a key" in done.stderr and done.stdout == "0 of 1 connections adopted\n"
