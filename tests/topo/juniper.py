"""The two routers of Juniper's examples, as their pages in docs/examples/ configure them."""

import re

from gatehouse import Gatehouse
from scenario import stamp
from wait import wait_for

INSTALLED = "/etc/gatehouse/gatehouse.conf"


class Router:
    """FRR and Gatehouse in a namespace, with the files that the page has under that name."""

    def __init__(self, net, build_dir, page, name, session, frr):
        self.page = page
        self.name = name
        self.session = session
        self.host = net.namespace(name)
        self.frr = frr(self.host, page.file(f"{name}/frr.conf"))
        self.gatehouse = Gatehouse(self.host, build_dir, page.file(f"{name}/gatehouse.conf"))

    def gatectl(self, *words, check=True):
        """With the name of the page's configuration file understood."""
        return self.gatehouse.gatectl(
            *(self.gatehouse.config_file if w == INSTALLED else w for w in words), check=check)

    def check(self):
        """The page's commands print what the page says."""
        self.page.check(self.name, self.host, gatectl=self.gatectl, vtysh=self.frr.vtysh)

    def start_key_1(self, seconds):
        """Configures that the last key of the chain starts so many seconds from now."""
        head, last = re.fullmatch(r'(.*start-time = )"[^"]*"(.*)',
                                  self.page.file(f"{self.name}/gatehouse.conf"), re.DOTALL).groups()
        self.gatehouse.configure(f'{head}"{stamp(seconds)}"{last}')


class Pair:
    """r1 and r2, linked; sessions: their names at r1 and at r2; frr: makes an FrrRouter of a host
    and a configuration."""

    def __init__(self, net, build_dir, page, sessions, frr):
        self.routers = [Router(net, build_dir, page, name, session, frr)
                        for name, session in zip(("r1", "r2"), sessions)]
        net.link(self.routers[0].host, self.routers[1].host)

    def start(self):
        for router in self.routers:
            router.gatehouse.start()
        for router in self.routers:
            router.frr.start()

    def roll_over(self, traffic):
        """From key 0, in use, to key 1 while traffic() is made; not one segment is refused."""
        for router in self.routers:
            assert router.gatehouse.keys(router.session) == (0, 0)
            chain = router.gatehouse.ask("show", "key-chain")["key_chains"][0]
            assert chain["active_send"]["key"] == 0 and chain["next_send"]["key"] == 1
            assert 1800 < chain["transition_in"] <= 3600
        for router in self.routers:
            router.start_key_1(3)
            router.gatehouse.reload()

        def moved():
            traffic()
            return all(r.gatehouse.keys(r.session) == (1, 1) for r in self.routers)
        wait_for(moved, 30, lambda: "key 1 in both directions; it is "
                 f"{[r.gatehouse.keys(r.session) for r in self.routers]}")
        for router in self.routers:
            assert router.gatehouse.refused(router.session) == 0
            explanation = router.gatehouse.explain(router.session)
            assert explanation["verdict"] == "up" and "by key 1 " in explanation["headline"]
