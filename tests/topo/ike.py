"""One tunnel between Gatehouse and a daemon of IKEv2 that we did not write.

    tunnel = Tunnel(net, build_dir)
    tunnel.gatehouse(tunnel.psk())
    ...

Namespaces a (Gatehouse, A4) and b (the peer, B4); the networks NET_A and NET_B lie behind them.
"""

from daemons.ike import Child, Sa
from gatehouse import Gatehouse, block
from netns import A4, B4
from wait import wait_for

NET_A, NET_B = "10.1.0.0/24", "10.2.0.0/24"
SECRET = "a pre-shared key of the tests, long enough"


def child_section(name="net", local_ts=NET_A, remote_ts=NET_B, **options):
    return block(f"child \"{name}\"", {"local-ts": local_ts, "remote-ts": remote_ts, "start": False,
                                        **{k.replace("_", "-"): v for k, v in options.items()}})


def peer_section(name="peer", children=(child_section(),), remote=B4, local=A4, **options):
    """`ike-peer NAME { … }`; options: local_auth, psk_secret, …; lists as Python's."""
    return block(f"ike-peer \"{name}\"", {"remote": remote, "local": local, **{
        k.replace("_", "-"): v for k, v in options.items()}}, children)


def section(head, **options):
    """Any other section: section('ike-policy "fast"', liveness_interval=10)."""
    return block(head, {k.replace("_", "-"): v for k, v in options.items()})


class IkeGatehouse(Gatehouse):
    """Gatehouse, and what it says of its SAs in the words of daemons/ike.py."""

    def list_sas(self):
        return self.ask("show", "ike", "sa", "detail")["sas"]

    def sas(self):
        """The established IKE SAs as daemons.ike.Sa."""
        return [Sa(sa["peer"], sa["spi_i"], sa["spi_r"], sa["role"] == "initiator",
                   tuple(Child(c["name"], c["spi_in"], c["spi_out"], tuple(c["local_ts"]),
                               tuple(c["remote_ts"])) for c in sa["child_sas"]))
                for sa in self.list_sas() if sa["state"] == "established"]

    def wait_sas(self, count=1, children=None, timeout=10):
        """Waits for so many IKE SAs (with so many Child SAs in all), and returns them."""
        def there():
            found = self.sas()
            sum_children = sum(len(sa.children) for sa in found)
            return len(found) == count and children in (None, sum_children)
        wait_for(there, timeout, lambda: f"gatehouse: {count} IKE SAs, {children} Child SAs\n"
                                         f"{self.gatectl('show', 'ike', 'sa', 'detail').stdout}"
                                         f"{self.tail()}")
        return self.sas()

    def said(self, words):
        with open(self.log, encoding="utf-8") as file:
            return words in file.read()

    def wait_said(self, words, timeout=10):
        wait_for(lambda: self.said(words), timeout, lambda: f"gatehoused says {words!r}\n{self.tail()}")


def assert_same(here, there):
    """Both ends show the same IKE SAs and Child SAs; here, there: lists of Sa."""
    def ours(sa):
        return (sa.spi_i, sa.spi_r, sa.initiator,
                sorted((c.spi_in, c.spi_out, c.local_ts, c.remote_ts) for c in sa.children))

    def mirrored(sa):
        return (sa.spi_i, sa.spi_r, not sa.initiator,
                sorted((c.spi_out, c.spi_in, c.remote_ts, c.local_ts) for c in sa.children))
    assert sorted(map(ours, here)) == sorted(map(mirrored, there))
