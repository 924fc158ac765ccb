"""Tunnels as their operator has them: a backup gateway when the first does not answer, tunnels that
are taken down, Child SAs that nobody uses, and what is shown of all that. The other ends are
strongSwans that nobody patched (kernel-libipsec: in UDP)."""

import re

import pytest

from daemons.strongswan import StrongSwan
from gatehouse import block
from ike import NET_A, NET_B, SECRET, IkeGatehouse, section
from netns import A4, B4
from test_ipsec import HOST_A, HOST_B, Pinging, ping
from wait import stays, wait_for

C4 = "10.78.0.2"  # the backup, on a link of its own
QUICK = section('ike-policy "quick"', retransmit_interval=1, retransmits=1, liveness_interval=10,
                liveness_retries=2)
# So many ESP packets with one SPI, from the first address to the second.
ESP_SENDER = """
import socket, struct, sys
s = socket.socket(socket.AF_INET, socket.SOCK_RAW, 50)
s.bind((sys.argv[1], 0))
for seq in range(int(sys.argv[4])):
    s.sendto(struct.pack("!II", int(sys.argv[3], 16), seq + 1) + bytes(64), (sys.argv[2], 0))
"""


class Branch:
    """Gatehouse in a; the site behind the peer is reached by strongSwan in b or, as backup, in c."""

    def __init__(self, net, build_dir, child=(), **options):
        self.a, self.b = net.two_routers()
        self.c = net.namespace("c")
        net.link(self.a, self.c, ("10.78.0.1/24", f"{C4}/24"), name_a="eth1")
        self.a.add_address("lo", f"{HOST_A}/32")
        for host in (self.b, self.c):
            host.add_address("lo", f"{HOST_B}/32")
        self.swan_b = self._swan(self.b, B4, A4)
        self.swan_c = self._swan(self.c, C4, "10.78.0.1")
        self.child = {"local-ts": NET_A, "remote-ts": NET_B, "start": True, **dict(child)}
        self.options = {"remote": B4, "backup": [C4], "ike-policy": "quick", "psk-secret": SECRET, **options}
        self.gatehouse = IkeGatehouse(self.a, build_dir, self.config()).start()

    def config(self, child=(), **options):
        return QUICK + block('ike-peer "peer"', {**self.options, **options},
                             [block('child "net"', {**self.child, **dict(child)})])

    @staticmethod
    def _swan(host, ours, theirs):
        return StrongSwan(host, {"gw": {
            "version": 2, "local_addrs": ours, "remote_addrs": theirs,
            "proposals": "aes256gcm16-prfsha256-x25519",
            "local": {"auth": "psk"}, "remote": {"auth": "psk"},
            "children": {"net": {"local_ts": NET_B, "remote_ts": NET_A,
                                 "esp_proposals": "aes256gcm16-x25519"}}}},
            {"ike-1": {"secret": f'"{SECRET}"'}}).start()

    def tunnel(self):
        return self.gatehouse.ask("show", "ipsec", "tunnel")["tunnels"][0]

    def in_use(self):
        gateways = self.gatehouse.ask("show", "ipsec", "gateway")["gateways"][0]["gateways"]
        return [g["role"] for g in gateways if g["in_use"]]

    def counter(self, name):
        return self.gatehouse.ask("show", "ike", "statistics")["counters"][name]

    def ping(self, count=3):
        return ping(self.a, HOST_A, HOST_B, count)

    def wait_up(self, gateway, timeout=10):
        """The tunnel is up, to that address, and carries packets."""
        def there():
            t = self.tunnel()
            return t["state"] == "up" and t["ike_sa"]["remote"].startswith(f"{gateway}:") and t["sas"]
        wait_for(there, timeout, lambda: f"a tunnel to {gateway}: {self.tunnel()}\n{self.gatehouse.tail()}")
        assert self.ping() == 3


def test_failover_and_back(net, build_dir):
    """The primary dies: the backup has the tunnel. Back it goes by the operator's word, and loses
    nothing on its way."""
    branch = Branch(net, build_dir)
    branch.wait_up(B4)
    assert branch.in_use() == ["primary"]
    branch.swan_b.kill()
    branch.wait_up(C4, 40)
    assert branch.in_use() == ["backup"]
    shown = branch.gatehouse.ask("show", "ipsec", "gateway", "peer")["gateways"][0]
    assert shown["failovers"] == 1 and shown["since"] and shown["revert"] == "manual"
    assert shown["tunnels"] == {"configured": 1, "up": 1, "down": 0, "admin_down": 0}
    text = branch.gatehouse.gatectl("show", "ipsec", "gateway", "detail").stdout
    assert f"{C4}, backup, in use" in text and "peer-dead" in text
    # In vain, and nothing is lost by it.
    pinging = Pinging(branch.a, HOST_A, HOST_B)
    branch.gatehouse.gatectl("ike", "revert", "peer")
    branch.gatehouse.wait_said("no answer after")
    assert branch.in_use() == ["backup"]
    branch.swan_b.start()
    branch.gatehouse.gatectl("ike", "revert", "peer")
    wait_for(lambda: branch.in_use() == ["primary"], 10, branch.gatehouse.tail)
    pinging.wait_more()
    assert pinging.lost() <= 1
    branch.wait_up(B4)
    branch.swan_c.wait_sas(0)
    assert branch.gatehouse.gatectl("ike", "revert", "peer", check=False).returncode == 1


def test_the_first_does_not_answer(net, build_dir):
    """Nothing was ever up: the backup is called after the retransmissions; a reload stays there."""
    branch = Branch(net, build_dir, remote="10.77.0.99", backup=[C4, B4])
    branch.wait_up(C4, 15)
    branch.gatehouse.reload()
    assert branch.in_use() == ["backup"] and branch.ping() == 3
    # What a change has to wait for is said, and nothing goes down for it.
    branch.gatehouse.configure(branch.config(child={"lifetime": 1800}, **{"remote-id": "gw.example.net"}))
    said = branch.gatehouse.gatectl("reload").stdout
    assert 'lifetime of the child "net"' in said and "remote-id count from its next IKE SA on" in said
    assert branch.ping() == 3
    branch.gatehouse.configure(branch.config())
    branch.gatehouse.reload()
    branch.swan_c.stop()  # says goodbye
    branch.wait_up(B4, 15)


def test_down_and_up(net, build_dir):
    """A peer that is down stays down: for packets, for the peer, for another ike, over a reload."""
    branch = Branch(net, build_dir)
    branch.wait_up(B4)
    branch.gatehouse.gatectl("ike", "down", "peer")
    branch.swan_b.wait_sas(0)
    branch.gatehouse.wait_sas(0)
    assert branch.ping(1) == 0
    done = branch.swan_b.swanctl("--initiate", "--child", "net", check=False)
    assert "NO_PROPOSAL_CHOSEN" in done.stdout + done.stderr, done
    assert branch.counter("admin-down") > 0
    branch.gatehouse.reload()
    branch.gatehouse.kill("ike")
    wait_for(lambda: branch.gatehouse.gatectl("show", "ipsec", "tunnel", check=False).returncode == 0, 10,
             "another ike")
    stays(lambda: branch.tunnel()["admin"] == "down" and branch.tunnel()["state"] == "down", 2,
          "it is down")
    assert "admin down" in branch.gatehouse.gatectl("show", "ipsec", "tunnel").stdout
    assert branch.gatehouse.causes("peer") == ["ike-admin-down"]
    assert branch.gatehouse.gatectl("ike", "initiate", "peer", check=False).returncode == 1
    branch.gatehouse.gatectl("ike", "up", "peer")
    branch.wait_up(B4)
    # The configuration may say it, too; an order goes before it until it says another thing.
    branch.gatehouse.configure(branch.config(admin="down"))
    branch.gatehouse.reload()
    branch.swan_b.wait_sas(0)
    branch.gatehouse.gatectl("ike", "up", "peer")
    branch.wait_up(B4)
    branch.gatehouse.configure(branch.config())
    branch.gatehouse.reload()
    branch.gatehouse.configure(branch.config(admin="down"))
    branch.gatehouse.reload()
    branch.swan_b.wait_sas(0)


def test_a_child_down(net, build_dir):
    """The IKE SA stays; the peer's wish for the child is refused."""
    branch = Branch(net, build_dir)
    branch.wait_up(B4)
    branch.gatehouse.gatectl("ike", "down", "peer", "net")
    branch.gatehouse.wait_sas(1, 0)
    branch.swan_b.wait_sas(1, 0)
    done = branch.swan_b.swanctl("--initiate", "--child", "net", check=False)
    assert "TS_UNACCEPTABLE" in done.stdout + done.stderr, done
    assert branch.ping(1) == 0
    refused = branch.gatehouse.gatectl("ike", "down", "peer", "nothing", check=False)
    assert refused.returncode == 1 and "no child" in refused.stderr
    branch.gatehouse.gatectl("ike", "up", "peer", "net")
    branch.wait_up(B4)


def test_idle(net, build_dir):
    """Ten seconds without a packet end the Child SA at both ends; the next packet brings another."""
    branch = Branch(net, build_dir, child={"idle-timeout": 10, "start": False})
    wait_for(lambda: branch.ping(1) == 1, 10, branch.gatehouse.tail)
    branch.swan_b.wait_sas(1, 1)
    branch.swan_b.wait_sas(1, 0, timeout=20)
    assert branch.gatehouse.list_sas()[0]["child_sas"] == []
    assert branch.counter("child-idle") == 1
    wait_for(lambda: branch.ping(1) == 1, 10, branch.gatehouse.tail)


def test_an_unknown_spi_is_told_within_the_ike_sa(net, build_dir):
    """A flood of ESP with SPIs that nobody has: the peer is told once, and nobody else at all."""
    branch = Branch(net, build_dir)
    branch.wait_up(B4)
    before = branch.tunnel()["ike_sa"]["messages"]["out"]
    branch.b.run(["/usr/bin/python3", "-c", ESP_SENDER, B4, A4, "deadbeef", "500"])
    branch.c.run(["/usr/bin/python3", "-c", ESP_SENDER, C4, "10.78.0.1", "deadbeee", "500"])
    wait_for(lambda: branch.counter("child-invalid-spi-sent") == 1, 10, branch.gatehouse.tail)
    wait_for(lambda: re.search(r"INFORMATIONAL request \d+ \[ N\(INVAL_SPI\)", branch.swan_b.tail(100)), 10,
             lambda: branch.swan_b.tail(40))
    assert branch.tunnel()["ike_sa"]["messages"]["out"] == before + 1
    assert branch.gatehouse.ask("show", "ipsec", "counters")["in"]["unknown-spi"] == 1000
    assert branch.ping() == 3


@pytest.mark.parametrize("detail", [False, True], ids=["table", "detail"])
def test_what_is_shown(net, build_dir, detail):
    branch = Branch(net, build_dir, child={"idle-timeout": "1h"})
    branch.wait_up(B4)
    t = branch.tunnel()
    swan = next(iter(branch.swan_b.list_sas().values()))
    (child,) = swan["child-sas"].values()
    assert (t["peer"], t["child"], t["mode"], t["admin"]) == ("peer", "net", "tunnel", "up")
    assert t["local_ts"] == [NET_A] and t["remote_ts"] == [NET_B] and t["idle_timeout"] == 3600
    assert t["ike_sa"]["spi_i"] == swan["initiator-spi"]
    assert t["ike_sa"]["messages"]["in"] >= 1 and t["ike_sa"]["messages"]["out"] >= 1
    assert t["ike_sa"]["expires_in"] > t["ike_sa"]["rekey_in"] > 0
    assert len(t["child_sas"]) == 1 and t["child_sas"][0]["spi_in"] == child["spi-out"]
    (sa,) = t["sas"]
    assert sa["out"]["spi"] == child["spi-in"] and sa["out"]["packets"] == 3
    assert (sa["algorithms"]["iv"], sa["algorithms"]["icv"]) == (8, 16)
    assert sa["octets_left"] is sa["packets_left"] is sa["netns"] is None and sa["out"]["errors"] == 0
    # IPv4, UDP, ESP with 8 octets of IV, up to 3 of padding, 2 of trailer and 16 of ICV
    assert 20 + 8 + 8 + 8 + 2 + 16 <= sa["overhead"] <= 20 + 8 + 8 + 8 + 3 + 2 + 16
    (policy,) = branch.gatehouse.ask("show", "ipsec", "policy")["policies"]
    assert policy["hits"] >= 3 and policy["action"] == "protect" and policy["child"] == "net"
    words = ("detail",) if detail else ()
    text = branch.gatehouse.gatectl("show", "ipsec", "tunnel", *words).stdout
    assert "10.1.0.0/24" in text and ("ENCR_AES_GCM_16_256" in text) == detail
    text = branch.gatehouse.gatectl("show", "ipsec", "gateway", *words).stdout
    assert B4 in text and (C4 in text) == detail
    (g,) = branch.gatehouse.ask("show", "ipsec", "gateway")["gateways"]
    assert g["out"]["packets"] == sa["out"]["packets"] and g["in"]["octets"] == sa["in"]["octets"]
    assert "protect" in branch.gatehouse.gatectl("show", "ipsec", "policy").stdout
    # Why it is down
    branch.swan_b.kill()
    branch.swan_c.kill()
    wait_for(lambda: branch.tunnel()["state"] != "up", 40, "it is down")
    assert branch.tunnel()["last_error"]["reason"] in ("peer-dead", "timed-out")
    (g,) = branch.gatehouse.ask("show", "ipsec", "gateway")["gateways"]
    assert g["failures"] and all(f["first"] <= f["time"] for f in g["failures"])
