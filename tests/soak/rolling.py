"""Transfers under a new key every few seconds, with one end's processes killed at random."""

import datetime
import os
import random
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "topo"))

import netns  # noqa: E402
from gatehouse import Gatehouse, Key, key_chain, tcp_ao  # noqa: E402
from traffic import Talkers, refused, resident, wait_heard, wait_talking  # noqa: E402
from wait import wait_for  # noqa: E402

A4, B4, A6, B6 = "10.77.0.1", "10.77.0.2", "fd77::1", "fd77::2"
PERIOD = 4  # seconds that a key is sent with
AHEAD, BEHIND = 40, 6  # keys in the configuration, counted from the current one
RELOAD_EVERY = 10  # periods
TOLERANCE = 8
ALGORITHMS = ["hmac-sha-1-96", "aes-128-cmac-96", "hmac-sha-256-128", "hmac-sha-256-96"]
GROWTH_MAX = 4096  # KiB


def stamp(seconds):
    when = datetime.datetime.fromtimestamp(seconds, datetime.timezone.utc)
    return when.strftime("%Y-%m-%dT%H:%M:%SZ")


class Keys:
    """A key a period, since now."""

    def __init__(self):
        self.epoch = int(time.time())

    def period(self):
        return int(time.time() - self.epoch) // PERIOD

    def window(self):
        """The keys around now, as an operator would keep them."""
        first = max(0, self.period() - BEHIND)
        return [self.key(n) for n in range(first, first + BEHIND + AHEAD)]

    def key(self, n):
        start = self.epoch + n * PERIOD - (3600 if n == 0 else 0)
        life = f"{stamp(start)}/{stamp(self.epoch + (n + 1) * PERIOD)}"
        return Key(n + 1, f"the secret of period {n}", n % 200, (n + 100) % 200,
                   ALGORITHMS[n % len(ALGORITHMS)], options={"lifetime": life})


def configuration(keys, peer4, peer6):
    return (key_chain("rolling", keys, tolerance=TOLERANCE) + tcp_ao("v4", peer4, "rolling")
            + tcp_ao("v6", peer6, "rolling"))


class Soak:
    def __init__(self, net, build_dir, seed):
        self.random = random.Random(seed)
        self.keys = Keys()
        self.kills = self.reloaded = 0
        a, b = net.two_routers()
        self.one = Gatehouse(a, build_dir, self.configuration(True)).start()
        self.two = Gatehouse(b, build_dir, self.configuration(False)).start()
        self.ends = []
        for name, listen, local, options in (
                ("bulk4", A4, B4, {"every_ms": 0}), ("bulk6", A6, B6, {"every_ms": 0}),
                ("calm4", A4, B4, {"every_ms": 100}), ("calm6", A6, B6, {"every_ms": 3000})):
            if name.startswith("bulk"):
                server = Talkers(a, build_dir, listen=listen, name=f"{name}-server", **options)
                client = Talkers(b, build_dir, local=local, remote=listen, name=name, **options)
            else:  # the other way round: b accepts
                server = Talkers(b, build_dir, listen=local, name=f"{name}-server", **options)
                client = Talkers(a, build_dir, local=listen, remote=local, name=name, **options)
            wait_talking(server, client, 1)
            self.ends += [server, client]
        self.watched = self.one.processes()

    def configuration(self, first):
        keys = self.keys.window()
        return (configuration(keys, B4, B6) if first else
                configuration([k.swapped() for k in keys], A4, A6))

    def check(self):
        for end in self.ends:
            end.assert_whole(1)
        for gatehouse in (self.one, self.two):
            found = refused(gatehouse.ask("show", "counters")["total"])
            assert not found, f"refused at {gatehouse.host.label}: {found}\n{gatehouse.tail()}"
        before = self.keys.period()
        used = {c["keys"]["current"]["key"] for s in self.one.sessions().values()
                for c in s["connections"]}
        wanted = set(range(before, self.keys.period() + 2))  # key n + 1 is that of period n
        assert used <= wanted, f"sends with keys {used} in period {before}"
        assert self.one.processes() == self.watched, "a process of the end that nobody kills ended"

    def reload(self):
        for gatehouse, first in ((self.one, True), (self.two, False)):
            gatehouse.configure(self.configuration(first))
            gatehouse.reload()
        self.reloaded = self.keys.period()

    def kill(self):
        role = self.random.choice(["ao", "ao", "parent"])
        before = self.two.processes()["ao"]
        self.two.kill(role)
        if role == "parent":
            self.two.start()
        wait_for(lambda: self.two.processes().get("ao", before) != before, 20, "a new ao process")
        self.two.wait_ready()
        self.kills += 1

    def memory(self):
        return {role: resident(pid) for role, pid in self.watched.items()}

    def turn(self):
        """Some seconds, and one piece of trouble."""
        until = time.monotonic() + self.random.uniform(0.2, 6)
        while time.monotonic() < until:
            wait_heard(*self.ends[:6])
            self.check()
        if self.keys.period() - self.reloaded >= RELOAD_EVERY:
            self.reload()
        else:
            self.kill()

    def story(self):
        heard = sum(end.status()["heard"] for end in self.ends)
        return (f"{self.keys.period()} rollovers, {self.kills} times killed, {heard / 1e9:.1f} GB, "
                f"memory {self.memory()} KiB")


def soak(build_dir, seconds, seed):
    """Raises what went wrong, or prints how much went well."""
    net = netns.Net()
    try:
        run = Soak(net, build_dir, seed)
        begun = told = time.monotonic()
        settled = None
        while time.monotonic() - begun < seconds:
            run.turn()
            now = time.monotonic()
            if settled is None and now - begun > seconds / 4:
                settled = run.memory()
            if now - told > 30:
                print(f"         {run.story()}", flush=True)
                told = now
        wait_heard(*run.ends[:6])
        run.check()
        print(f"         {run.story()}", flush=True)
        for role, kib in run.memory().items():
            assert settled is None or kib - settled[role] < GROWTH_MAX, \
                f"{role} has grown from {settled[role]} to {kib} KiB"
    finally:
        net.destroy()
