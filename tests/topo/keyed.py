"""Sessions whose keys IKE negotiates: two routers with an IKE peer for each address family."""

import interop
from gatehouse import Gatehouse, block
from ike import SECRET, peer_section
from netns import A4, A6, B4, B6
from wait import wait_for

AT_A = {"v4": (A4, B4), "v6": (A6, B6)}
AT_B = {"v4": (B4, A4), "v6": (B6, A6)}


class KeyedGatehouse(Gatehouse):
    """Gatehouse, and what its gatekeeper shows."""

    def keyed(self, name):
        """What `show gatekeeper NAME` says of one session."""
        return self.ask("show", "gatekeeper", name)["sessions"][0]

    def live(self, name):
        """The number of the key in use, or None."""
        for key in self.keyed(name)["keys"]:
            if key["state"] == "live":
                return key["number"]
        return None

    def wait_rekeyed(self, name, times=1, timeout=30):
        before = self.keyed(name)["installed"]
        wait_for(lambda: self.keyed(name)["installed"] >= before + times, timeout,
                 lambda: f"{name}: {times} more keys\n{self.gatectl('show', 'gatekeeper').stdout}"
                         f"{self.tail()}")


def keyed_session(name, peer, ike_peer, **options):
    """`tcp-ao NAME { … }` without a secret."""
    options = {k.replace("_", "-"): v for k, v in options.items()}
    return block(f'tcp-ao "{name}"', {"peer": peer, "ike-peer": ike_peer, **options})


def keyed_config(addresses, names=("v4", "v6"), psk=SECRET, **session):
    """One end: an IKE peer and a session for each address family."""
    return "".join(
        peer_section(f"ike-{name}", children=(), remote=addresses[name][1], local=addresses[name][0],
                     psk_secret=psk)
        + keyed_session(name, addresses[name][1], f"ike-{name}", local=addresses[name][0], **session)
        for name in names)


def seen(one, other, algorithms="aes-128-cmac-96", **row):
    """A row of what works with what, for daemons whose keys IKE has made."""
    interop.seen(*(interop.end(daemon, "Gatehouse, keys by IKE") for daemon in (one, other)),
                 algorithms=algorithms, **row)


def keyed_ends(a, b, build_dir, **session):
    """Started on both routers."""
    return (KeyedGatehouse(a, build_dir, keyed_config(AT_A, **session)).start(),
            KeyedGatehouse(b, build_dir, keyed_config(AT_B, **session)).start())
