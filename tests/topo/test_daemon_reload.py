"""A new configuration while connections run: complete, or not at all."""

import os
import signal

from gatehouse import Key, key_chain, tcp_ao
from pair import A4, B4, KEY, config, gatehouses
from stream import Stream
from wait import wait_for

EDGE = key_chain("edge", [Key(1, "another secret of good length", send_id=1, recv_id=1)])


def queue_rules(namespace):
    done = namespace.run(["iptables-save", "-t", "mangle"], check=False)
    lines = [x for x in done.stdout.splitlines() if "NFQUEUE" in x]
    done = namespace.run(["nft", "list", "table", "inet", "gatehouse"], check=False)
    return lines + [x for x in done.stdout.splitlines() if "queue" in x]


def test_reload_under_traffic(net, build_dir):
    """Sessions come and go; the others do not notice."""
    a, one, b, _ = gatehouses(net, build_dir)
    stream = Stream(a, b, B4).start()
    more = EDGE + tcp_ao("edge", "10.99.0.0/16", "edge", direction="passive")
    for with_edge in (True, False) * 3:
        one.configure(config(B4, more=more if with_edge else ""))
        one.reload()
        assert ("edge" in one.sessions()) == with_edge
        assert any("10.99.0.0/16" in r for r in queue_rules(a)) == with_edge
        stream.wait_more(50)
    stream.finish()
    connections = one.session("upstream")["connections"]
    assert not any(c["restored"] for c in connections)


def test_a_key_is_added_under_traffic(net, build_dir):
    a, one, b, two = gatehouses(net, build_dir)
    stream = Stream(a, b, B4).start()
    new = Key(2, "the second secret of the chain", send_id=4, recv_id=9)
    for gatehouse, peer, keys in ((two, A4, [KEY.swapped(), new.swapped()]), (one, B4, [KEY, new])):
        gatehouse.configure(key_chain("core", keys) + tcp_ao("upstream", peer, "core"))
        gatehouse.reload()

    def current():
        return {c["keys"]["current"]["key"] for c in one.session("upstream")["connections"]
                if c["state"] == "established"}
    wait_for(lambda: current() == {2}, 20, lambda: f"key 2 is current, not {current()}")
    stream.wait_more(100)
    stream.finish()


def test_a_bad_configuration_is_refused(net, build_dir):
    a, one, b, _ = gatehouses(net, build_dir)
    stream = Stream(a, b, B4).start()
    good = config(B4)
    bad = good.replace("hmac-sha-1-96", "hmac-md5")
    line = 1 + bad[:bad.index("hmac-md5")].count("\n")
    one.configure(bad)
    refused = one.gatectl("reload", check=False)
    assert refused.returncode != 0
    assert f"{one.config_file}:{line}: error:" in refused.stderr + refused.stdout
    one.process.signal(signal.SIGHUP)
    wait_for(lambda: one.tail().count("configuration in force stays") == 2, 10, "it is in the log")
    stream.wait_more(50)
    # ao starts again by the configuration in force, not by the file
    pid = one.processes()["ao"]
    one.kill("ao")
    wait_for(lambda: one.processes().get("ao") not in (None, pid) and one.answers(), 10, "a new ao")
    stream.wait_more(50)
    one.configure(good)
    one.reload()
    stream.finish()


def test_the_secret_of_a_key_in_use_stays(net, build_dir):
    a, one, b, _ = gatehouses(net, build_dir)
    stream = Stream(a, b, B4).start()
    one.configure(config(B4, Key(1, "quite another secret for it", send_id=3, recv_id=8)))
    refused = one.gatectl("reload", check=False)
    assert refused.returncode != 0 and one.config_file + ":" in refused.stderr + refused.stdout
    stream.wait_more(50)
    stream.finish()


def test_hangup_reloads(net, build_dir):
    _, one, _, _ = gatehouses(net, build_dir)
    one.configure(config(B4, more=EDGE + tcp_ao("edge", "10.99.0.1", "edge")))
    one.process.signal(signal.SIGHUP)
    wait_for(lambda: "edge" in one.sessions(), 10, "the new session")


def test_check(net, build_dir):
    a, one, _, _ = gatehouses(net, build_dir)
    done = a.run([one.daemon, "--check", "-c", one.config_file])
    assert "1 sessions" in done.stdout
    one.configure(config(B4).replace("10.77.0.2", "10.77.0.256"))
    done = a.run([one.daemon, "--check", "-c", one.config_file], check=False)
    assert done.returncode == 1 and f"{one.config_file}:" in done.stderr


def test_monitors_hear_of_it(net, build_dir):
    a, one, _, _ = gatehouses(net, build_dir)
    log = os.path.join(a.directory("monitor"), "log")
    watcher = a.spawn([one.ctl, "-s", os.path.join(one.run_dir, "control.sock"), "monitor"], log)

    def reloaded():
        one.reload()
        with open(log, encoding="utf-8") as file:
            return "reloaded" in file.read()
    wait_for(reloaded, 10, "the event")
    watcher.kill()
