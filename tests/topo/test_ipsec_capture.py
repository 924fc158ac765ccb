"""`gatectl capture`: packets of a tunnel in clear and encrypted, read by those who know the format:
tshark and scapy."""

import json
import os
import signal
import stat

import pytest
from scapy.layers.inet import ICMP, IP
from scapy.utils import PcapNgReader

from ike import SECRET, child_section, peer_section, section
from netns import A4, A6, B4, B6
from test_ipsec import HOST6_A, HOST6_B, HOST_A, HOST_B, SUITES, Sites, ping, sas
from wait import wait_for

ASK = """
import socket, sys
with socket.socket(socket.AF_UNIX) as s:
    s.connect(sys.argv[1])
    s.sendall(sys.argv[2].encode() + b"\\n")
    print(s.makefile().readline())
"""


class Capturing:
    """A gatectl capture that goes on."""

    def __init__(self, gatehouse, *words, name="capture", output=None):
        host = gatehouse.host
        directory = host.directory(name)
        self.path = os.path.join(directory, "capture.pcapng")
        self.log = os.path.join(directory, "log")
        for left in (self.path, self.log):  # by an earlier one
            if os.path.exists(left):
                os.unlink(left)
        command = [gatehouse.ctl, "-s", os.path.join(gatehouse.run_dir, "control.sock"), "capture",
                   *words, "file", output or self.path]
        self.process = host.spawn(command, self.log)
        # The head of the file is written when the daemon has begun.
        wait_for(lambda: output or (os.path.exists(self.path) and os.path.getsize(self.path) > 0)
                 or not self.process.alive(), 10, lambda: f"it captures\n{self.said()}")

    def said(self):
        with open(self.log, encoding="utf-8") as file:
            return file.read()

    def stop(self):
        self.process.signal(signal.SIGINT)
        return self.wait()

    def wait(self):
        assert self.process.wait(20) == 0, self.said()
        return self.path


def tshark(host, path, *fields, expression=""):
    """The fields of each packet, as lists."""
    done = host.run(["tshark", "-r", path, "-n", "-T", "fields", "-E", "separator=|",
                     *[word for field in fields for word in ("-e", field)],
                     *(["-Y", expression] if expression else [])])
    return [line.split("|") for line in done.stdout.splitlines()]


def comments(host, path):
    return [row[0] for row in tshark(host, path, "frame.comment")]


def captured(sites, *words, count=3):
    capturing = Capturing(sites.one, *words)
    assert sites.ping(count) == count
    return capturing.stop(), capturing


@pytest.mark.parametrize("udp", [False, True], ids=["esp", "in-udp"])
def test_both_sides(net, build_dir, udp):
    """Each echo and each answer in clear and as ESP, with its direction, SPI and whose it is."""
    head = section('ike-policy "nat"', force_nat_t=True) if udp else ""
    sites = Sites(net, build_dir, False, head, **({"ike_policy": "nat"} if udp else {}))
    path, capturing = captured(sites)
    assert "12 packets captured, 0 lost" in capturing.said()
    rows = tshark(sites.a, path, "frame.interface_name", "frame.packet_flags_direction", "ip.src",
                  "ip.dst", "icmp.type", "esp.spi", "frame.comment")
    sa = sas(sites.one)[0]
    clear = [r for r in rows if r[0] == "clear"]
    sealed = [r for r in rows if r[0] == "encrypted"]
    assert len(clear) == len(sealed) == 6
    for row in clear:
        out = row[4] == "8"
        assert row[1] in (("0x00000002", "2") if out else ("0x00000001", "1")), row
        assert row[2:4] == ([HOST_A, HOST_B] if out else [HOST_B, HOST_A])
        spi = sa["out" if out else "in"]["spi"]
        assert row[6] == f"peer peer, child net, SPI {spi}"
    for row in sealed:
        out = row[2] == A4
        assert row[2:4] == ([A4, B4] if out else [B4, A4])
        assert int(row[5], 16) == int(sa["out" if out else "in"]["spi"], 16)
        assert row[6] == f"peer peer, child net, SPI {sa['out' if out else 'in']['spi']}"


def test_ipv6(net, build_dir):
    """Of both versions inside and outside; tcpdump reads the file, too."""
    sites = Sites(net, build_dir, v6=True)
    capturing = Capturing(sites.one, "both")
    assert ping(sites.a, HOST6_A, HOST6_B, 2) == 2
    assert sites.ping(2) == 2
    path = capturing.stop()
    rows = tshark(sites.a, path, "frame.interface_name", "ipv6.src", "ip.src", "esp.sequence")
    clear = [row[1] or row[2] for row in rows if row[0] == "clear"]
    assert clear == [HOST6_A, HOST6_B] * 2 + [HOST_A, HOST_B] * 2
    sealed = [(row[1], row[3]) for row in rows if row[0] == "encrypted"]
    assert sealed == [(end, str(n)) for n in (1, 2, 3, 4) for end in (A6, B6)]
    lines = sites.a.run(["tcpdump", "-n", "-r", path]).stdout.splitlines()
    assert sum("ICMP6, echo" in line for line in lines) == 4
    assert sum("ESP(spi=" in line for line in lines) == 8


def test_packets_are_what_was_sent(net, build_dir):
    """scapy reads the echoes whole, times do not go back, and nobody else may read the file."""
    sites = Sites(net, build_dir)
    capturing = Capturing(sites.one, "clear", "count", "4")
    sites.a.run(["ping", "-c", "2", "-i", "0.05", "-s", "1000", "-p", "c0ffee", "-I", HOST_A, HOST_B])
    path = capturing.wait()
    packets = [packet[IP] for packet in PcapNgReader(path)]
    assert [p[ICMP].type for p in packets] == [8, 0, 8, 0]
    for packet in packets:
        assert len(packet) == 1028 and b"\xc0\xff\xee" * 300 in bytes(packet[ICMP].payload)
    times = [float(row[0]) for row in tshark(sites.a, path, "frame.time_epoch")]
    assert times == sorted(times) and times[-1] - times[0] < 60
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o600
    assert "4 packets captured" in capturing.said()


def test_what_is_dropped_says_why(net, build_dir):
    """A forged packet is in the capture with the reason for which it was dropped."""
    sites = Sites(net, build_dir)
    capturing = Capturing(sites.one, "encrypted")
    spi = sas(sites.one)[0]["in"]["spi"]
    program = ("import socket, sys\n"
               "s = socket.socket(socket.AF_INET, socket.SOCK_RAW, 50)\n"
               "for x in sys.argv[2:]:\n"
               "    s.sendto(bytes.fromhex(x), (sys.argv[1], 0))\n")
    sites.b.run(["/usr/bin/python3", "-c", program, A4, "ffffffff" + "00" * 60,
                 spi + "00000001" + "11" * 60])
    wait_for(lambda: sites.one.ask("show", "ipsec", "counters")["in"]["icv"] == 1, 10, "both came")
    found = comments(sites.a, capturing.stop())
    assert found == ["no SA; unknown-spi", f"peer peer, child net, SPI {spi}; not passed: icv"]


def test_one_peer_alone(net, build_dir):
    """Another peer's name keeps these out; an unknown one is refused, and the file stays as it was."""
    sites = Sites(net, build_dir)
    other = peer_section("other", [child_section(remote_ts="10.9.0.0/24")], remote="10.77.0.9",
                         psk_secret=SECRET)
    with open(sites.one.config_file, encoding="utf-8") as file:
        sites.one.configure(file.read() + other)
    sites.one.reload()
    path, capturing = captured(sites, "clear", "peer", "other")
    assert comments(sites.a, path) == [] and "0 packets captured" in capturing.said()
    size = os.path.getsize(path)
    done = sites.one.gatectl("capture", "peer", "nobody", "file", path, check=False)
    assert done.returncode == 1 and 'no IKE peer "nobody"' in done.stderr
    assert os.path.getsize(path) == size > 0
    path, _ = captured(sites, "clear", "peer", "peer")
    assert len(comments(sites.a, path)) == 6


def test_root_alone(net, build_dir):
    """The group of the control socket may do all else."""
    sites = Sites(net, build_dir)
    socket = os.path.join(sites.one.run_dir, "control.sock")
    group = str(os.stat(socket).st_gid)

    def as_nobody(**request):
        done = sites.a.run(["setpriv", "--reuid", "nobody", "--regid", group, "--clear-groups",
                            "/usr/bin/python3", "-c", ASK, socket, json.dumps(request)])
        return json.loads(done.stdout)
    assert as_nobody(op="show-ipsec-counters")["ok"] is True
    for request in ({"op": "capture-start", "side": "clear"}, {"op": "capture-read", "capture": 1},
                    {"op": "capture-stop", "capture": 1}):
        answer = as_nobody(**request)
        assert answer["ok"] is False and "root" in answer["error"]


def test_one_at_a_time_and_gone_ones_end(net, build_dir):
    """A second capture is refused; that of a killed gatectl ends by itself."""
    sites = Sites(net, build_dir)
    capturing = Capturing(sites.one, "clear")
    refused = sites.one.gatectl("capture", "file", "/dev/null", check=False)
    assert refused.returncode == 1 and "under way" in refused.stderr
    capturing.process.kill()

    def another():
        return sites.one.gatectl("capture", "seconds", "1", "file", "/dev/null",
                                 check=False).returncode == 0
    wait_for(another, 15, "the killed one's capture is over")


def test_the_engine_is_started_again(net, build_dir):
    """What was captured until then is a whole file; gatectl says that it is over."""
    sites = Sites(net, build_dir)
    capturing = Capturing(sites.one, "clear")
    assert sites.ping(3) == 3
    wait_for(lambda: len(comments(sites.a, capturing.path)) == 6, 10, "they are written")
    sites.one.kill("esp")
    assert capturing.process.wait(20) == 1
    assert "no such capture" in capturing.said() or "ended" in capturing.said(), capturing.said()
    assert len(comments(sites.a, capturing.path)) == 6


def test_more_than_can_be_kept(net, build_dir):
    """A flood is captured in part: what is lost is counted and told, and the traffic does not suffer."""
    sites = Sites(net, build_dir)
    capturing = Capturing(sites.one, "both")
    sites.a.run(["ping", "-f", "-c", "20000", "-l", "100", "-s", "1300", "-I", HOST_A, HOST_B])
    path = capturing.stop()
    said = capturing.said()
    kept, lost = (int(said.split()[0]), int(said.split(",")[1].split()[0]))
    assert len(comments(sites.a, path)) == kept
    counters = sas(sites.one)[0]
    passed = counters["in"]["packets"] + counters["out"]["packets"]
    assert kept + lost == 2 * passed >= 2 * 39000, (kept, lost, passed)
    assert sites.ping() == 5


@pytest.mark.parametrize("suite", ["gcm", "gcm-short", "cbc", "ctr", "chacha", "ah"])
def test_wireshark_opens_what_the_esp_key_log_tells(net, build_dir, suite):
    """With the keys of the log, tshark sees in the encrypted packets what is in them. Of what it does not
    know there is no line."""
    options = {"gcm-short": {"encryption": ["aes-128-gcm-8"]}, **SUITES}[suite]
    path = os.path.join(net.dir, "esp-keys")
    head = section("ike", esp_key_log=path) + section('ipsec-transform "t"', **options)
    sites = Sites(net, build_dir, False, head, child={"ipsec_transform": ["t"]})
    capturing = Capturing(sites.one, "encrypted")
    assert sites.ping(3) == 3
    captured_in = capturing.stop()
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o600
    with open(path, encoding="utf-8") as file:
        lines = file.read().splitlines()
    known = suite not in ("chacha", "ah")
    assert len(lines) == 4 * known  # both ends write both ways
    done = sites.a.run(["tshark", "-n", "-r", captured_in, "-o", "esp.enable_encryption_decode:TRUE",
                        *[word for line in lines for word in ("-o", f"uat:esp_sa:{line}")],
                        "-T", "fields", "-e", "icmp.type", "-Y", "icmp"])
    readable = known or suite == "ah"
    assert done.stdout.split() == (["8", "0"] * 3 if readable else []), done.stdout + done.stderr
    assert "THE KEYS of Child SAs" in sites.one.tail(100)


def test_no_keys_unless_asked(net, build_dir):
    """By default, and after a reload without it, nobody is told keys."""
    path = os.path.join(net.dir, "esp-keys")
    sites = Sites(net, build_dir, False, section("ike", esp_key_log=path))
    with open(path, encoding="utf-8") as file:
        before = file.read()
    for gatehouse in (sites.one, sites.two):
        with open(gatehouse.config_file, encoding="utf-8") as file:
            text = file.read()
        gatehouse.configure(text[text.index("}") + 1:])
        gatehouse.reload()
    first = sas(sites.one)[0]
    sites.one.gatectl("ike", "rekey", "child", str(first["id"]))
    wait_for(lambda: any(sa["id"] != first["id"] and sa["state"] == "installed"
                         for sa in sas(sites.one)), 10, "new keys")
    with open(path, encoding="utf-8") as file:
        assert file.read() == before and len(before.splitlines()) == 4
