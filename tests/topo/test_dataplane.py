"""The kernel's IPsec as Gatehouse's data plane (`dataplane = kernel`), in the lab kernel: against
Gatehouse's own process, strongSwan and libreswan on the kernel's IPsec, and itself."""

import re

import pytest

from capture import Capture, read_frames
from daemons.libreswan import Libreswan
from daemons.strongswan import StrongSwan
from ike import NET_A, NET_B, SECRET, IkeGatehouse, child_section, peer_section, section
from netns import A4, A6, B4, B6
from pings import answered, ping_each
from test_base_uml import inner_pair
from test_ipsec import (ESP, HOST6_A, HOST6_B, HOST_A, HOST_B, NET6_A, NET6_B, SUITES, UDP, Pinging, Wire,
                        ping, rekey_under_traffic, sas, transfer)
from uml import Guest
from wait import wait_for

AH = 51


@pytest.fixture
def guest(net, lab_kernel):
    return Guest(net.namespace("host"), lab_kernel)


def networks(guest, routes=2):
    """Two routers in the guest, with their networks behind them; so many have routes to the other's."""
    a, b = inner_pair(guest)
    for host, v4, v6 in ((a, HOST_A, HOST6_A), (b, HOST_B, HOST6_B)):
        host.add_address("lo", f"{v4}/32")
        host.add_address("lo", f"{v6}/128")
    for host, net4, net6, via4, via6 in ((a, NET_B, NET6_B, B4, B6), (b, NET_A, NET6_A, A4, A6))[:routes]:
        host.run(["ip", "route", "add", net4, "via", via4])
        host.run(["ip", "route", "add", net6, "via", via6])
    return a, b


class Planes:
    """Gatehouse in both: `one` by the kernel, `two` by `plane`."""

    def __init__(self, guest, build_dir, plane="user", v6=False, head="", child=(), start=True, mode="tunnel",
                 **options):
        self.build_dir, self.head, self.options = build_dir, head, options
        self.a, self.b = networks(guest, 2 if plane == "kernel" else 1)
        self.child = dict(child)
        self.ends = (A6, B6) if v6 else (A4, B4)
        self.nets = ((NET_A, NET6_A), (NET_B, NET6_B)) if mode == "tunnel" else tuple(
            (f"{end}/{128 if v6 else 32}",) for end in self.ends)
        if mode == "transport":
            self.child["mode"] = "transport"
        self.one = self.gatehouse(self.a, 0, "kernel").start()
        self.two = self.gatehouse(self.b, 1, plane).start()
        if start:
            self.up()

    def config(self, end, plane):
        child = child_section(local_ts=self.nets[end], remote_ts=self.nets[1 - end], **self.child)
        return self.head + peer_section(psk_secret=SECRET, children=[child], local=self.ends[end],
                                        remote=self.ends[1 - end], dataplane=plane, **self.options)

    def gatehouse(self, host, end, plane):
        return IkeGatehouse(host, self.build_dir, self.config(end, plane))

    def up(self):
        self.one.gatectl("ike", "initiate", "peer")
        self.one.wait_sas(1, 1)
        self.two.wait_sas(1, 1)
        wait_for(lambda: len(states(self.a)) == 2, 10, lambda: f"both SAs\n{self.one.tail()}")

    def ping(self, count=5):
        return ping(self.a, HOST_A, HOST_B, count)

    def ping6(self, count=5):
        return ping(self.b, HOST6_B, HOST6_A, count)


def states(host):
    """SPIs of the kernel's SAs that are ours."""
    text = host.run(["ip", "xfrm", "state"]).stdout
    return re.findall(r"spi 0x([0-9a-f]{8}) reqid 11911", text)


def policies(host):
    return host.run(["ip", "xfrm", "policy", "list", "nosock"]).stdout


def sent_by(host):
    """What leaves: what comes in the kernel shows once more when it has opened it."""
    return Wire(host, "outbound and (ip or ip6)")


class Outgoing:
    def __init__(self, host):
        self.capture = Capture(host, expression="outbound and ip")

    def protocols(self):
        """Numbers, of IPv4."""
        self.capture.stop()
        return {frame[23] for _, frame in read_frames(self.capture.path)} - {UDP}


def counted(gatehouse, packets):
    """The counters of both ends are those of the kernel, a second old at most."""
    wait_for(lambda: all(sas(gatehouse)[0][way]["packets"] >= packets for way in ("in", "out")), 5,
             lambda: f"{packets} packets\n{sas(gatehouse)}")
    return sas(gatehouse)[0]


@pytest.mark.parametrize("udp", [False, True], ids=["esp", "in-udp"])
@pytest.mark.parametrize("v6", [False, True], ids=["over-ipv4", "over-ipv6"])
def test_kernel_and_user(guest, build_dir, v6, udp):
    """Ping and TCP both ways, of both IP versions; nothing of it is in clear on the link."""
    head = section('ike-policy "nat"', force_nat_t=True) if udp else ""
    planes = Planes(guest, build_dir, v6=v6, head=head, **({"ike_policy": "nat"} if udp else {}))
    wire = sent_by(planes.a)
    assert planes.ping() == 5, planes.one.tail()
    assert planes.ping6() == 5
    transfer(planes.b, planes.a, HOST_B, HOST_A, 20_000)
    transfer(planes.a, planes.b, HOST6_A, HOST6_B, 20_000)
    assert wire.protocols() == ({(UDP, 4500)} if udp else {(ESP, None)})
    here, there = counted(planes.one, 50), sas(planes.two)[0]
    for way, other in (("in", "out"), ("out", "in")):
        assert here[way]["spi"] == there[other]["spi"]
        assert here[way]["back_end"] == "kernel" and there[way]["back_end"] != "kernel"
        assert here[way]["drops"] == there[way]["drops"] == {}
        wait_for(lambda w=way, o=other: sas(planes.one)[0][w]["packets"] == there[o]["packets"], 5,
                 lambda w=way: f"{sas(planes.one)[0][w]} {there}")
    assert here["udp"] == udp and here["state"] == "installed"
    assert "gh-ipsec0" not in planes.a.run(["ip", "route"]).stdout
    assert "kernel" in planes.one.gatectl("show", "ipsec", "sa").stdout


def test_kernel_and_kernel(guest, build_dir):
    """Neither end's packets come to a process of ours."""
    planes = Planes(guest, build_dir, plane="kernel")
    assert planes.ping() == planes.ping6() == 5
    transfer(planes.b, planes.a, HOST_B, HOST_A, 20_000)
    counted(planes.one, 20)
    for gatehouse in (planes.one, planes.two):
        net = gatehouse.ask("show", "ipsec", "counters")["packets"]
        assert net["received"] == net["sent"] == 0, net


@pytest.mark.parametrize("v6", [False, True], ids=["over-ipv4", "over-ipv6"])
@pytest.mark.parametrize("suite", [suite for suite in SUITES if suite != "implicit-iv"])  # Linux has no word for it
def test_suites(guest, build_dir, suite, v6):
    """Whatever was agreed carries small packets and the largest."""
    planes = Planes(guest, build_dir, v6=v6, head=section('ipsec-transform "t"', **SUITES[suite]),
                    child={"ipsec_transform": ["t"]})
    for size in (0, 1000, 4000):
        said = ping_each(planes.a, HOST_B, "-I", HOST_A, "-s", size, count=2)
        assert answered(said) == 2, f"{size}: {said}{planes.one.tail()}"
    assert sas(planes.one)[0]["protocol"] == ("AH" if suite == "ah" else "ESP")
    assert sas(planes.one)[0]["algorithms"]["esn"]


@pytest.mark.parametrize("protocol", ["esp", "ah"])
@pytest.mark.parametrize("v6", [False, True], ids=["ipv4", "ipv6"])
def test_transport(guest, build_dir, v6, protocol):
    """Between the routers themselves, while IKE goes beside it."""
    suite = SUITES["ah"] if protocol == "ah" else SUITES["gcm"]
    planes = Planes(guest, build_dir, plane="kernel", v6=v6, mode="transport",
                    head=section('ipsec-transform "t"', **suite), child={"ipsec_transform": ["t"]})
    wire = sent_by(planes.a)
    assert ping(planes.a, *planes.ends) == 5
    transfer(planes.b, planes.a, planes.ends[1], planes.ends[0], 20_000)
    assert wire.protocols() == {(AH if protocol == "ah" else ESP, None)}
    found = counted(planes.one, 20)
    assert found["mode"] == "transport" and found["in"]["back_end"] == "kernel"
    planes.one.gatectl("ike", "rekey", "child", str(found["id"]))
    wait_for(lambda: sas(planes.one)[-1]["id"] != found["id"], 10, "IKE speaks beside the policies")
    assert ping(planes.a, *planes.ends) == 5


@pytest.mark.parametrize("workers", [1, 2])
def test_both_planes_in_one_place(guest, build_dir, workers):
    """A child of the kernel's and one of the user's beside each other, in UDP: port 4500 is of both,
    and of all processes that carry packets."""
    planes = Planes(guest, build_dir, start=False, head=section("ike", workers=workers))
    other = {"local_ts": "10.9.1.0/24", "remote_ts": "10.9.2.0/24"}
    for host, address in ((planes.a, "10.9.1.1"), (planes.b, "10.9.2.1")):
        host.add_address("lo", f"{address}/32")
        host.add_address("eth0", f"{'10.78.0.1' if host is planes.a else '10.78.0.2'}/24")
    head = section('ike-policy "nat"', force_nat_t=True)
    for gatehouse, end, plane in ((planes.one, 0, "kernel"), (planes.two, 1, "user")):
        ts = other if end == 0 else {"local_ts": other["remote_ts"], "remote_ts": other["local_ts"]}
        planes.options = {"ike_policy": "nat"}
        gatehouse.configure(head + planes.config(end, plane) + peer_section(
            name="second", psk_secret=SECRET, children=[child_section(**ts)], ike_policy="nat",
            local=f"10.78.0.{end + 1}", remote=f"10.78.0.{2 - end}"))
        gatehouse.reload()
    for peer in ("peer", "second"):
        planes.one.gatectl("ike", "initiate", peer)
    planes.one.wait_sas(2, 2)
    planes.two.wait_sas(2, 2)
    wait_for(lambda: planes.ping(1) == 1, 10, lambda: planes.one.tail())
    assert planes.ping() == 5
    assert ping(planes.a, "10.9.1.1", "10.9.2.1") == 5
    assert ping(planes.b, "10.9.2.1", "10.9.1.1") == 5
    back_ends = {sa["peer"]: sa["in"]["back_end"] for sa in sas(planes.one)}
    assert back_ends["peer"] == "kernel" != back_ends["second"]
    user = next(sa for sa in sas(planes.one) if sa["peer"] == "second")
    assert int(user["in"]["spi"], 16) >> 27 == workers - 1
    assert planes.one.ask("show", "ipsec", "counters")["in"]["unknown-spi"] == 0


def too_wide(config):
    """Ranges that are too many prefixes for the kernel."""
    return config.replace(f'"{NET_B}"', '"10.3.0.1-10.3.255.254"').replace(
        f'"{NET_A}"', '"10.1.0.1-10.1.255.254"')


def test_auto(guest, build_dir):
    """The kernel for what it has, the process for what it has not; the log says why."""
    planes = Planes(guest, build_dir, start=False)
    planes.one.configure(planes.config(0, "auto").replace(NET_B, "10.3.0.0/24"))
    planes.one.reload()
    wait_for(lambda: "10.3.0.0/24" in policies(planes.a), 10, lambda: planes.one.tail())
    planes.one.configure(too_wide(planes.config(0, "auto")))
    planes.one.reload()
    planes.one.wait_said("is not the kernel's: a selector that is too many prefixes")
    wait_for(lambda: "10.3." not in policies(planes.a), 10, lambda: policies(planes.a))
    wait_for(lambda: "10.3." in planes.a.run(["ip", "route", "show", "dev", "gh-ipsec0"]).stdout, 10,
             "routes into the device")
    planes.one.configure(planes.config(0, "auto").replace("remote-ts", "ip-mtu = 1300 remote-ts"))
    planes.one.reload()
    planes.one.wait_said("is not the kernel's: it has \"ip-mtu\"")


def test_what_the_kernel_cannot(guest, build_dir):
    """A configuration that asks the kernel for more is refused, with the line and the reason."""
    planes = Planes(guest, build_dir, start=False)
    text = planes.config(0, "kernel")
    implicit = section('ipsec-transform "t"', **SUITES["implicit-iv"]) + text.replace(
        "remote-ts", 'ipsec-transform = "t" remote-ts', 1)
    for asked, why in ((too_wide(text), "a selector that is too many"),
                       (implicit, "the kernel does not have all of its algorithms")):
        planes.one.configure(asked)
        done = planes.one.gatectl("reload", check=False)
        assert done.returncode != 0
        assert f'the kernel cannot carry the child "net" of "peer": {why}' in done.stdout + done.stderr


def test_traffic_settings(guest, build_dir):
    """What a child says of window, padding, DSCP and ECN is what the kernel has; and packets are filled up."""
    planes = Planes(guest, build_dir, child={"replay_window": 4096, "tfc_padding": 1000, "dscp": 0,
                                             "copy_dscp_in": True, "ecn": "off"})
    said = planes.a.run(["ip", "xfrm", "state"]).stdout
    for word in ("noecn", "decap-dscp", "tfcpad 1000", "replay_window 4096"):
        assert word in said, f"{word}\n{said}"
    wire = sent_by(planes.a)
    for size in (0, 100, 500, 600, 700):  # the lab's capture may keep back the last
        done = planes.a.run(["ping", "-c", 1, "-W", 5, "-Q", "0xb9", "-s", size, "-I", HOST_A, HOST_B])
        assert " 0% packet loss" in done.stdout

    def sent_esp():
        return [frame[14:] for _, frame in read_frames(wire.capture.path)
                if frame[12:14] == b"\x08\x00" and frame[23] == ESP]
    wait_for(lambda: len(sent_esp()) >= 3, 10, "three packets")
    wire.capture.stop()
    sent = sent_esp()
    assert len(sent) >= 3 and {p[1] for p in sent} == {0}, "neither DSCP nor ECN outside"
    assert len({len(p) for p in sent}) == 1 and len(sent[0]) > 1000
    assert sas(planes.one)[0]["traffic"] == {"replay_window": 4096, "tfc_padding": 1000, "dscp": 0,
                                             "copy_dscp_in": True, "ecn": "off"}


def test_traffic_that_the_kernel_cannot(guest, build_dir):
    """It is refused, or with `auto` left to the other plane."""
    planes = Planes(guest, build_dir, start=False)
    for child, why in (({"dscp": 46}, "copies the DSCP or sends 0"), ({"replay_window": 8192}, "4096 packets")):
        planes.child = child
        planes.one.configure(planes.config(0, "kernel"))
        said = planes.one.gatectl("reload", check=False)
        assert said.returncode != 0 and why in said.stdout + said.stderr
    planes.one.configure(planes.config(0, "auto"))
    planes.one.reload()
    planes.one.gatectl("ike", "initiate", "peer")
    planes.one.wait_sas(1, 1)
    assert sas(planes.one)[0]["out"]["back_end"] != "kernel"


def test_bypass_and_discard(guest, build_dir):
    """Entries beside the children are policies of the kernel's, in their order; they come and go, and stay
    when processes are killed."""
    planes = Planes(guest, build_dir)

    def entry(name, action, *selectors, **options):
        return section(f'ipsec-policy "{name}"', action=action, local_ts=["0.0.0.0/0"], remote_ts=list(selectors),
                       **options)

    def seen(*entries, reload=True):
        """Protocols that leave when a pings b."""
        if reload:
            planes.one.configure("".join(entries) + planes.config(0, "kernel"))
            planes.one.reload()
        wire = Outgoing(planes.a)
        ping(planes.a, HOST_A, HOST_B, 2)
        return wire.protocols()
    clear = entry("clear", "bypass", f"{NET_B} icmp", direction="out")
    never = entry("never", "discard", f"{HOST_B}")
    assert seen(clear) == {1}
    assert seen(clear, never) == {1}
    assert seen(never, clear) == set()
    assert "action block" in policies(planes.a)
    planes.one.kill("xfrm")
    wait_for(lambda: len(planes.one.processes()) > 0 and "xfrm" in planes.one.processes(), 10, "the next one")
    assert seen(reload=False) == set()
    planes.one.kill("esp")
    wait_for(lambda: "esp" in planes.one.processes(), 10, "the next one")
    assert seen(reload=False) == set()
    assert [(p["name"], p["plane"]) for p in planes.one.ask("show", "ipsec", "policy")["policies"]] == [
        ("never", "kernel"), ("clear", "kernel"), (None, "kernel")]
    assert seen(never.replace("action", "order = after\n  action", 1)) == {ESP}
    assert seen() == {ESP}
    assert "action block" not in policies(planes.a)


def test_no_sa_no_packet(guest, build_dir):
    """Without SAs nothing leaves in clear, nor comes in; also after the daemon has been killed."""
    planes = Planes(guest, build_dir, start=False)
    planes.two.stop()
    planes.two.host.run(["ip", "route", "flush", "proto", "171"], check=False)
    planes.b.run(["ip", "route", "replace", NET_A, "via", A4])
    wire = sent_by(planes.a)
    assert planes.ping(2) == 0
    planes.one.kill()
    assert planes.ping(2) == 0
    assert wire.protocols() <= {(UDP, 500), (UDP, 4500)}
    assert ping(planes.b, HOST_B, HOST_A, 2) == 0  # clear: dropped
    planes.a.run([planes.one.daemon, "-r", planes.one.run_dir, "--remove-rules"])
    assert policies(planes.a) == ""
    assert planes.ping(1) == 1  # in clear, as there is no Gatehouse


def test_acquire(guest, build_dir):
    """A packet without an SA has IKE make one."""
    planes = Planes(guest, build_dir)
    assert planes.ping() == 5
    planes.one.gatectl("ike", "terminate", "peer", "peer")
    planes.one.wait_sas(0)
    planes.two.wait_sas(0)
    wait_for(lambda: states(planes.a) == [], 10, "no SA in the kernel")
    wait_for(lambda: planes.ping(1) == 1, 10, lambda: f"a packet came through\n{planes.one.tail()}")
    assert len(sas(planes.one)) == 1


def test_the_first_packets_may_wait(guest, build_dir):
    """As the page says: with this the kernel keeps what finds no SA."""
    planes = Planes(guest, build_dir, start=False)
    planes.a.run(["sysctl", "-q", "-w", "net.core.xfrm_larval_drop=0"])
    assert planes.ping(3) == 3, planes.one.tail()


def test_rekey_by_packets(guest, build_dir):
    """IKE hears what the kernel carried, and makes new keys before a child has carried what it may."""
    # Without ESN there is a limit of the numbers, too, which does not take the place of this one.
    planes = Planes(guest, build_dir, head=section('ipsec-transform "t"', esn=["no"]),
                    child={"lifetime_packets": 1024, "ipsec_transform": ["t"]})
    first = sas(planes.one)[0]["in"]["spi"]
    limits = planes.a.run(["ip", "-s", "xfrm", "state"]).stdout
    assert limits.count("limit: soft 922(packets), hard 1024(packets)") == 2, limits  # its own, if that is too late
    pinging = Pinging(planes.a, HOST_A, HOST_B)
    transfer(planes.b, planes.a, HOST_B, HOST_A, 1_000_000)
    wait_for(lambda: first not in [sa["in"]["spi"] for sa in sas(planes.one) if sa["state"] == "installed"], 10,
             lambda: f"new keys\n{planes.one.tail()}")
    pinging.wait_more()


def test_somebody_flushes(guest, build_dir):
    """Policies are back within seconds, and so are SAs."""
    planes = Planes(guest, build_dir)
    before = policies(planes.a)
    planes.a.run(["ip", "xfrm", "policy", "flush"])
    wait_for(lambda: policies(planes.a).count("tmpl") == before.count("tmpl"), 10, lambda: policies(planes.a))
    planes.one.wait_said("somebody changed policies")
    planes.a.run(["ip", "xfrm", "state", "flush"])
    planes.one.wait_said("does not carry the child net: it is not in the kernel any more")
    wait_for(lambda: planes.ping(1) == 1, 15, lambda: f"new SAs\n{planes.one.tail()}")


def test_reload_under_traffic(guest, build_dir):
    """A reload that changes nothing of the tunnel loses nothing."""
    planes = Planes(guest, build_dir)
    before = sorted(states(planes.a))
    pinging = Pinging(planes.a, HOST_A, HOST_B)
    for _ in range(3):
        planes.one.reload()
        pinging.wait_more()
    assert pinging.lost() == 0
    assert sorted(states(planes.a)) == before


def test_another_namespace(guest, build_dir):
    """Peers elsewhere than the daemon: SAs, policies and port 4500 are there."""
    a, b = networks(guest, 1)
    head = section('ike-policy "nat"', force_nat_t=True)
    one, two = (IkeGatehouse(host, build_dir, head + peer_section(
        psk_secret=SECRET, children=[child_section(local_ts=ours, remote_ts=theirs)], local=local, remote=remote,
        ike_policy="nat", **options), name=f"gatehouse-{local}").start()
        for host, ours, theirs, local, remote, options in (
            (guest, NET_A, NET_B, A4, B4, {"netns": a.inner, "dataplane": "kernel"}),
            (b, NET_B, NET_A, B4, A4, {})))
    one.gatectl("ike", "initiate", "peer")
    one.wait_sas(1, 1)
    two.wait_sas(1, 1)
    wait_for(lambda: ping(a, HOST_A, HOST_B, 1) == 1, 10, lambda: one.tail())
    assert ping(b, HOST_B, HOST_A) == 5
    assert len(states(a)) == 2 and states(guest) == []
    one.stop()
    assert states(a) == [] and NET_B in policies(a)
    guest.run([one.daemon, "-r", one.run_dir, "--remove-rules"])
    assert policies(a) == ""


@pytest.mark.parametrize("mover", ["user", "kernel"])
def test_an_end_moves(guest, build_dir, mover):
    """MOBIKE: the kernel's SAs and policies follow the peer, or our own address."""
    a, b = networks(guest, 0)
    other = {"user": "kernel", "kernel": "user"}[mover]
    policy = section('ike-policy "m"', mobike=True, liveness_interval=10)
    one = IkeGatehouse(a, build_dir, policy + peer_section(
        psk_secret=SECRET, local=None, remote=B4, local_id=A4, ike_policy="m", dataplane=mover)).start()
    two = IkeGatehouse(b, build_dir, policy + peer_section(
        psk_secret=SECRET, remote="any", local=B4, remote_id=A4, ike_policy="m", dataplane=other,
        children=[child_section(local_ts=NET_B, remote_ts=NET_A)]).replace("        start = no\n", "")).start()
    if mover == "kernel":
        a.run(["ip", "route", "add", NET_B, "via", B4])
    else:
        b.run(["ip", "route", "add", NET_A, "dev", "eth0"])
    wait_for(lambda: one.gatectl("ike", "initiate", "peer", check=False).returncode == 0, 10, "it knows its address")
    two.wait_sas(1, 1)
    wait_for(lambda: ping(a, HOST_A, HOST_B, 1) == 1, 10, lambda: one.tail())
    before = sas(one)[0]["in"]["spi"]
    a.run(["ip", "address", "add", "10.77.0.9/24", "dev", "eth0"])
    a.run(["ip", "address", "del", f"{A4}/24", "dev", "eth0"])
    a.run(["ip", "address", "replace", "10.77.0.9/24", "dev", "eth0"])  # the second of a prefix goes with the first
    if mover == "kernel":
        a.run(["ip", "route", "replace", NET_B, "via", B4])
    wait_for(lambda: sas(two)[0]["remote"]["address"] == "10.77.0.9", 30,
             lambda: f"{sas(two)}\n{one.tail()}{two.tail()}")
    wait_for(lambda: ping(a, HOST_A, HOST_B, 1) == 1, 10,
             lambda: (a if mover == "kernel" else b).run(["ip", "xfrm", "state"]).stdout + one.tail() + two.tail())
    assert ping(b, HOST_B, HOST_A) == ping(a, HOST_A, HOST_B) == 5
    assert sas(one)[0]["in"]["spi"] == before


@pytest.mark.parametrize("who", ["one", "two"])
def test_rekey_under_traffic(guest, build_dir, who):
    planes = Planes(guest, build_dir)
    rekey_under_traffic(planes, who)
    wait_for(lambda: len(states(planes.a)) == 2, 10, "and in the kernel")


@pytest.mark.parametrize("role", ["xfrm", "esp"])
def test_killed(guest, build_dir, role):
    """The kernel goes on, no packet is lost, and the next one has the same SAs and rekeys them."""
    planes = Planes(guest, build_dir)
    pinging = Pinging(planes.a, HOST_A, HOST_B)
    before = sorted(states(planes.a))
    for _ in range(3):
        planes.one.kill(role)
        pinging.wait_more(20)
    assert sorted(states(planes.a)) == before
    wait_for(lambda: len(sas(planes.one)) == 1 and sas(planes.one)[0]["in"]["packets"] > 60, 10,
             lambda: f"its counters go on {sas(planes.one)}")
    found = sas(planes.one)[0]
    assert sorted(found[way]["spi"] for way in ("in", "out")) == before
    planes.one.gatectl("ike", "rekey", "child", str(found["id"]))
    wait_for(lambda: len(states(planes.a)) == 2 and not set(states(planes.a)) & set(before), 15,
             lambda: f"new SAs alone\n{planes.one.tail()}")
    assert pinging.lost() == 0


def test_ike_killed(guest, build_dir):
    """Traffic goes on without `ike`, and under the keys of the next one."""
    planes = Planes(guest, build_dir)
    before = set(states(planes.a))
    pinging = Pinging(planes.a, HOST_A, HOST_B)
    planes.one.kill("ike")
    pinging.wait_more(20)
    assert set(states(planes.a)) >= before
    planes.one.gatectl("ike", "initiate", "peer")
    wait_for(lambda: any(sa["state"] == "installed" and sa["in"]["packets"] > 0
                         and sa["in"]["spi"] not in before for sa in sas(planes.one)), 10,
             lambda: f"traffic by the new SA\n{planes.one.tail()}")
    pinging.wait_more()
    assert pinging.lost() <= 2


def test_daemon_killed(guest, build_dir):
    """What a killed daemon left in the kernel the next one removes, but nobody else's."""
    planes = Planes(guest, build_dir)
    planes.a.run(["ip", "xfrm", "state", "add", "src", "192.0.2.1", "dst", "192.0.2.2", "proto", "esp", "spi",
                  "0x99", "reqid", "7", "mode", "tunnel", "aead", "rfc4106(gcm(aes))", "0x" + "11" * 20, "128"])
    planes.a.run(["ip", "xfrm", "policy", "add", "src", "192.0.2.1", "dst", "192.0.2.2", "dir", "out"])
    before = set(states(planes.a))
    planes.one.kill()
    assert set(states(planes.a)) == before
    planes.one.start()
    wait_for(lambda: not set(states(planes.a)) & before, 10, lambda: planes.one.tail())
    planes.one.gatectl("ike", "initiate", "peer")
    wait_for(lambda: planes.ping(1) == 1, 10, lambda: f"the tunnel is back\n{planes.one.tail()}")
    assert "spi 0x00000099" in planes.a.run(["ip", "xfrm", "state"]).stdout
    planes.one.stop()
    assert states(planes.a) == [] and NET_B in policies(planes.a)
    assert "spi 0x00000099" in planes.a.run(["ip", "xfrm", "state"]).stdout
    assert "192.0.2.2" in policies(planes.a)


def test_policies_follow_the_configuration(guest, build_dir):
    """Another network, then another plane: policies, routes and SAs follow."""
    planes = Planes(guest, build_dir)
    assert NET_B in policies(planes.a)
    planes.one.configure(planes.config(0, "kernel").replace(NET_B, "10.3.0.0/24"))
    planes.one.reload()
    wait_for(lambda: "10.3.0.0/24" in policies(planes.a) and NET_B not in policies(planes.a), 10,
             lambda: policies(planes.a))
    planes.a.run(["ip", "route", "del", NET_B])
    planes.a.run(["ip", "route", "del", NET6_B])
    planes.one.configure(planes.config(0, "user"))
    planes.one.reload()
    wait_for(lambda: policies(planes.a) == "" and states(planes.a) == [], 10, lambda: policies(planes.a))
    planes.one.gatectl("ike", "initiate", "peer", check=False)
    wait_for(lambda: planes.ping(1) == 1, 10, lambda: f"by the user's plane\n{planes.one.tail()}")
    assert all(sa["in"]["back_end"] != "kernel" for sa in sas(planes.one))


def test_a_peer_that_may_be_anywhere(guest, build_dir):
    """Without an address of the peer's nothing passes; with an SA, to where it is."""
    planes = Planes(guest, build_dir, start=False)
    planes.one.configure(peer_section(psk_secret=SECRET, remote="any", dataplane="kernel", remote_id=B4, children=[
        child_section(local_ts=planes.nets[0], remote_ts=planes.nets[1])]).replace("    start = no\n", ""))
    planes.one.reload()
    wait_for(lambda: "action block" in policies(planes.a), 10, lambda: policies(planes.a))
    assert planes.ping(1) == 0
    planes.two.gatectl("ike", "initiate", "peer")
    planes.one.wait_sas(1, 1)
    wait_for(lambda: planes.ping(1) == 1, 10, lambda: f"{policies(planes.a)}{planes.one.tail()}")
    assert planes.ping() == planes.ping6() == 5
    planes.two.gatectl("ike", "terminate", "peer", "peer")
    planes.one.wait_sas(0)
    wait_for(lambda: "tmpl" not in policies(planes.a), 10, lambda: policies(planes.a))
    assert planes.ping(1) == 0


def test_nat_gives_another_port(net, lab_kernel, build_dir):
    """Answers go where the peer's packets come from by now."""
    b = net.namespace("b")  # of the host's kernel, which has NAT
    b.tap("tap0", f"{B4}/24")
    guest = Guest(b, lab_kernel, taps=["tap0"])
    guest.add_address("vec0", f"{A4}/24")
    guest.run(["ip", "link", "set", "lo", "up"])
    guest.add_address("lo", f"{HOST_A}/32")
    guest.run(["ip", "route", "add", NET_B, "via", B4])
    b.add_address("lo", f"{HOST_B}/32")
    one, two = (IkeGatehouse(host, build_dir, section('ike-policy "nat"', force_nat_t=True) + peer_section(
        psk_secret=SECRET, children=[child_section(local_ts=ours, remote_ts=theirs)], local=local, remote=remote,
        ike_policy="nat", dataplane=plane)).start()
        for host, ours, theirs, local, remote, plane in ((guest, NET_A, NET_B, A4, B4, "kernel"),
                                                         (b, NET_B, NET_A, B4, A4, "user")))
    one.gatectl("ike", "initiate", "peer")
    one.wait_sas(1, 1)
    pinging = Pinging(b, HOST_B, HOST_A)
    before = one.ask("show", "ike", "statistics")["counters"]["datagrams-in"]
    b.run(["iptables", "-t", "nat", "-A", "POSTROUTING", "-p", "udp", "--sport", "4500", "-j", "SNAT",
           "--to-source", f"{B4}:5000"])
    wait_for(lambda: sas(one)[0]["remote"]["port"] == 5000, 10, lambda: f"{sas(one)}{one.tail()}")
    pinging.wait_more()
    assert one.ask("show", "ike", "statistics")["counters"]["datagrams-in"] == before
    assert pinging.lost() <= 5


def test_strangers(guest, build_dir):
    """Nobody's SPI, and a wrong ICV: counted by their reasons."""
    planes = Planes(guest, build_dir)
    assert planes.ping() == 5
    spi = sas(planes.one)[0]["in"]["spi"]
    program = ("import socket, sys\n"
               "s = socket.socket(socket.AF_INET, socket.SOCK_RAW, 50)\n"
               "for x in sys.argv[2:]:\n"
               "    s.sendto(bytes.fromhex(x), (sys.argv[1], 0))\n")
    planes.b.run(["/usr/bin/python3", "-c", program, A4, "ffffffff" + "00" * 60, spi + "00000100" + "11" * 60])
    wait_for(lambda: sas(planes.one)[0]["in"]["drops"] == {"icv": 1}, 10, lambda: f"{sas(planes.one)}")
    wait_for(lambda: planes.one.ask("show", "ipsec", "counters")["kernel"]["in"].get("unknown-spi", 0) >= 1, 10,
             lambda: planes.one.ask("show", "ipsec", "counters")["kernel"])
    assert planes.one.ask("show", "ipsec", "counters")["kernel"]["in"]["icv"] == 1
    assert planes.ping() == 5


MEMORY = """
import sys
found = b""
with open(f"/proc/{sys.argv[1]}/maps") as maps, open(f"/proc/{sys.argv[1]}/mem", "rb") as mem:
    for line in maps:
        span, rights = line.split()[:2]
        if "w" in rights and "[vvar" not in line:
            start, end = (int(x, 16) for x in span.split("-"))
            mem.seek(start)  # the file of SAs is mostly holes, which would be filled
            found += mem.read(min(end - start, 1 << 20 if "s" in rights else 1 << 26))
print([bytes.fromhex(key) in found for key in sys.argv[2:]])
"""


def test_xfrm_is_locked_in(guest, build_dir):
    """One capability, no way to a socket; and no key stays with it."""
    planes = Planes(guest, build_dir)
    assert planes.ping() == 5
    pid = planes.one.processes()["xfrm"]
    found = dict(line.split(":\t", 1) for line in planes.a.run(["cat", f"/proc/{pid}/status"]).stdout.splitlines()
                 if ":\t" in line)
    assert "0" not in found["Uid"].split() and "0" not in found["Gid"].split()
    assert int(found["CapEff"], 16) == int(found["CapPrm"], 16) == 1 << 12  # CAP_NET_ADMIN
    assert int(found["CapBnd"], 16) == int(found["CapInh"], 16) == int(found["CapAmb"], 16) == 0
    assert found["Seccomp"] == "2" and found["NoNewPrivs"] == "1"
    keys = re.findall(r"aead rfc4106\(gcm\(aes\)\) 0x([0-9a-f]+) 128", planes.a.run(["ip", "xfrm", "state"]).stdout)
    assert len(keys) == 2
    look = ["/usr/bin/python3", "-c", MEMORY]
    assert planes.a.run([*look, pid, *keys]).stdout == "[False, False]\n"
    # and it would be found where it is: `esp` keeps it for the next process
    assert "True" in planes.a.run([*look, planes.one.processes()["esp"], *keys]).stdout


# ---- Others ---------------------------------------------------------------------------------------

def with_a_stock_daemon(guest, build_dir):
    a, b = networks(guest)
    return a, b, IkeGatehouse(a, build_dir, peer_section(psk_secret=SECRET, dataplane="kernel")).start()


def check_stock(a, b, gatehouse, rekey, early=0):
    """Ping and TCP, new keys by either end, and nothing else on the wire. early: packets that the other may
    send by an SA before its answer has made it ours."""
    wire = sent_by(a)
    wait_for(lambda: ping(a, HOST_A, HOST_B, 1) == 1, 10, lambda: f"the first\n{gatehouse.tail()}")
    assert ping(b, HOST_B, HOST_A) == 5
    transfer(b, a, HOST_B, HOST_A, 20_000)
    assert wire.protocols() <= {(ESP, None)}
    pinging = Pinging(a, HOST_A, HOST_B)
    first = sas(gatehouse)[-1]
    gatehouse.gatectl("ike", "rekey", "child", str(first["id"]))
    wait_for(lambda: any(sa["id"] != first["id"] for sa in sas(gatehouse)), 10, "Gatehouse's new SA")
    pinging.wait_more()
    second = sas(gatehouse)[-1]
    rekey()
    wait_for(lambda: any(sa["id"] not in (first["id"], second["id"]) for sa in sas(gatehouse)), 10,
             "the other's new SA")
    pinging.wait_more(20)
    assert pinging.lost() <= early
    assert all(sa["in"]["back_end"] == "kernel" for sa in sas(gatehouse))


@pytest.mark.parametrize("opener", ["gatehouse", "strongswan"])
def test_strongswan(guest, build_dir, opener):
    a, b, gatehouse = with_a_stock_daemon(guest, build_dir)
    swan = StrongSwan(b, {"gw": {
        "version": 2, "local_addrs": B4, "remote_addrs": A4, "proposals": "aes256gcm16-prfsha256-x25519",
        "local": {"auth": "psk"}, "remote": {"auth": "psk"},
        "children": {"net": {"local_ts": NET_B, "remote_ts": NET_A, "esp_proposals": "aes256gcm16-x25519"}}}},
        {"ike-1": {"secret": f'"{SECRET}"'}}, esp=False).start()
    if opener == "gatehouse":
        gatehouse.gatectl("ike", "initiate", "peer")
    else:
        swan.initiate("net")
    gatehouse.wait_sas(1, 1)
    check_stock(a, b, gatehouse, lambda: swan.rekey(child="net"))


KINDS = {
    "transport": ({"mode": "transport"}, {"mode": "transport"}),
    "in-udp": ({}, {}),
    "over-ipv6": ({}, {}),
    "ah": ({"ipsec_transform": ["ah"]}, {"ah_proposals": "sha256-x25519-esn-noesn"}),
}


@pytest.mark.parametrize("kind", KINDS)
def test_strongswan_otherwise(guest, build_dir, kind):
    a, b = networks(guest)
    ours, theirs = KINDS[kind]
    v6, udp = kind == "over-ipv6", kind == "in-udp"
    here, there = (A6, B6) if v6 else (A4, B4)
    local, remote = (here, there) if kind == "transport" else (NET_A, NET_B)
    head = (section('ike-policy "nat"', force_nat_t=udp) +
            section('ipsec-transform "ah"', protocol="ah", integrity=["hmac-sha-256-128"]))
    gatehouse = IkeGatehouse(a, build_dir, head + peer_section(
        psk_secret=SECRET, local=here, remote=there, ike_policy="nat", dataplane="kernel",
        children=[child_section(local_ts=local, remote_ts=remote, **ours)])).start()
    swan = StrongSwan(b, {"gw": {
        "version": 2, "local_addrs": there, "remote_addrs": here, "proposals": "aes256gcm16-prfsha256-x25519",
        "encap": udp, "local": {"auth": "psk"}, "remote": {"auth": "psk"},
        "children": {"net": {"local_ts": remote, "remote_ts": local,
                             **({} if kind == "ah" else {"esp_proposals": "aes256gcm16-x25519-esn-noesn"}),
                             **theirs}}}},
        {"ike-1": {"secret": f'"{SECRET}"'}}, esp=False).start()
    swan.initiate("net")
    gatehouse.wait_sas(1, 1)
    wire = sent_by(a)
    source, target = (here, there) if kind == "transport" else (HOST_A, HOST_B)
    wait_for(lambda: ping(a, source, target, 1) == 1, 10, lambda: gatehouse.tail())
    assert ping(b, target, source) == 5
    transfer(b, a, target, source, 20_000)
    assert wire.protocols() == {(UDP, 4500) if udp else (AH if kind == "ah" else ESP, None)}
    assert sas(gatehouse)[0]["in"]["back_end"] == "kernel"


@pytest.mark.parametrize("opener", ["gatehouse", "libreswan"])
def test_libreswan(guest, build_dir, libreswan, opener):
    a, b, gatehouse = with_a_stock_daemon(guest, build_dir)
    swan = Libreswan(b, libreswan, {"left": B4, "right": A4, "leftsubnet": NET_B, "rightsubnet": NET_A,
                                    "ike": "aes_gcm256-sha2_256-dh31", "esp": "aes_gcm256;dh31"},
                     f': PSK "{SECRET}"').start()
    if opener == "gatehouse":
        gatehouse.gatectl("ike", "initiate", "peer", "net")
    else:
        swan.initiate()
    gatehouse.wait_sas(1, 1)
    # It sends by the new SA as soon as it has answered, as it may (RFC 7296 2.8).
    check_stock(a, b, gatehouse, swan.rekey, early=1)


# ---- More than one gateway, and sizes ---------------------------------------------------------

def test_backup_gateway(guest, build_dir):
    """The first gateway does not answer: the kernel's SAs and policies are those to the backup; and back again,
    when the first is there."""
    a, b = networks(guest, 1)
    c = guest.namespace("three")
    guest.run(["ip", "link", "add", "eth1", "netns", "one", "type", "veth", "peer", "name", "eth0", "netns", "three"])
    for host, device, address in ((a, "eth1", "10.78.0.1/24"), (c, "eth0", "10.78.0.2/24")):
        host.run(["ip", "link", "set", device, "up"])
        host.add_address(device, address)
    c.add_address("lo", f"{HOST_B}/32")
    child = {"local_ts": NET_A, "remote_ts": NET_B}
    quick = section('ike-policy "quick"', retransmit_interval=1, retransmits=1)
    one = IkeGatehouse(a, build_dir, quick + peer_section(
        children=[child_section(**child)], psk_secret=SECRET, local=None, remote=B4, backup=["10.78.0.2"],
        ike_policy="quick", dataplane="kernel"), name="one").start()
    two, three = (IkeGatehouse(host, build_dir, peer_section(
        children=[child_section(local_ts=NET_B, remote_ts=NET_A)], psk_secret=SECRET, local=ours, remote=theirs),
        name=host.label) for host, ours, theirs in ((b, B4, A4), (c, "10.78.0.2", "10.78.0.1")))

    def reaches():
        return ping(a, HOST_A, HOST_B, 1) == 1
    three.start()
    wait_for(reaches, 30, lambda: f"the backup\n{policies(a)}{one.tail()}")
    assert sas(three)[0]["in"]["packets"] >= 1
    assert sas(one)[0]["out"]["back_end"] == "kernel" and sas(one)[0]["remote"]["address"] == "10.78.0.2"
    two.start()
    one.gatectl("ike", "revert", "peer")
    wait_for(lambda: [sa["remote"]["address"] for sa in sas(one)] == [B4], 10, one.tail)
    assert f"dst {B4}" in policies(a)
    assert reaches() and sas(two)[0]["in"]["packets"] >= 1


def test_mss(guest, build_dir):
    """What both sides' SYNs announce is lowered at the end that has `mss`, and nothing else is."""
    planes = Planes(guest, build_dir, child={"mss": 900}, plane="kernel")
    planes.two.configure(planes.config(1, "kernel").replace("mss = 900", ""))
    planes.two.reload()
    planes.b.spawn(["/usr/bin/python3", "-c", "import socket, time\nfor a in ('10.2.0.1', 'fd02::1', '10.77.0.2'):\n"
                    "    s = socket.create_server((a, 7000), family=socket.AF_INET6 if ':' in a else socket.AF_INET)\n"
                    "    globals()[a] = s\nprint('ready', flush=True)\ntime.sleep(1000)"],
                   planes.b.directory("server") + "/out")

    def mss(source, target):
        done = planes.a.run(["/usr/bin/python3", "-c", "import socket, sys\ns = socket.create_connection((sys.argv[2], "
                             "7000), 5, (sys.argv[1], 0))\nprint(s.getsockopt(6, 2))", source, target], check=False)
        return int(done.stdout or 0)

    wait_for(lambda: mss(HOST_A, HOST_B) > 0, 10, planes.one.tail)
    for source, target in ((HOST_A, HOST_B), (HOST6_A, HOST6_B)):
        assert 800 < mss(source, target) <= 900
    assert mss(A4, B4) > 1300
    rules = planes.a.run(["nft", "list", "table", "inet", "gatehouse-mss"]).stdout
    assert rules.count("size set 900") == 8
    planes.one.configure(planes.config(0, "kernel").replace("mss = 900", ""))
    planes.one.reload()
    wait_for(lambda: "gatehouse-mss" not in planes.a.run(["nft", "list", "tables"]).stdout, 10, "no rules any more")
    assert mss(HOST_A, HOST_B) > 900


@pytest.mark.parametrize("kind, protocol", [("gre", 47), ("ipip", 4)])
def test_tunnels_of_the_kernel(guest, build_dir, kind, protocol):
    """GRE and IP in IP of the kernel's own, protected by a child of transport mode: from the first packet on nothing
    of it is in clear."""
    hosts = networks(guest, 0)
    gatehouses = []
    wire = sent_by(hosts[0])
    for host, ours, theirs, inside in ((hosts[0], A4, B4, "10.99.0.1"), (hosts[1], B4, A4, "10.99.0.2")):
        gatehouses.append(IkeGatehouse(host, build_dir, peer_section(
            psk_secret=SECRET, local=ours, remote=theirs, dataplane="kernel", children=[child_section(
                local_ts=f"{ours} {protocol}", remote_ts=f"{theirs} {protocol}", mode="transport")])).start())
        wait_for(lambda h=host: "mode transport" in policies(h), 10, lambda h=host: policies(h))
        host.run(["ip", "link", "add", "k1", "type", kind, "local", ours, "remote", theirs])
        host.run(["ip", "link", "set", "k1", "up"])
        host.add_address("k1", f"{inside}/30")
    wait_for(lambda: ping(hosts[0], "10.99.0.1", "10.99.0.2", 1) == 1, 10, gatehouses[0].tail)
    for size in (1200, 3000):
        hosts[0].run(["ping", "-c", "2", "-i", "0.1", "-W", "2", "-s", size, "10.99.0.2"])
    assert wire.protocols() <= {(ESP, None), (UDP, 500), (UDP, 4500)}
    # Where both ends had a packet first, there are two pairs of SAs.
    wait_for(lambda: sum(sa["in"]["packets"] for sa in sas(gatehouses[0])) >= 5, 5, lambda: sas(gatehouses[0]))
