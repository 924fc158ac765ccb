"""The tunnels that data_plane.py compares: Gatehouse's, those of others, and none.

    with TUNNELS["gatehouse-udp"](a, b, build_dir) as tunnel:
        ...                 # packets between INNER_A and INNER_B go through it
        tunnel.pids()       # {"tunnel a": [...], "tunnel b": [...]}

Each is started anew for each trial: what one start of a daemon reaches differs from the next.
"""

import os
import re
import shutil
import subprocess
import time

from daemons.strongswan import PLUGINS, StrongSwan
from ground import TESTS
from ike import IkeGatehouse, child_section, peer_section, section
from wait import wait_for

OUTER_A, OUTER_B = "10.77.0.1", "10.77.0.2"
INNER_A, INNER_B = "10.81.0.1", "10.82.0.1"
NET_A, NET_B = "10.81.0.0/24", "10.82.0.0/24"
SECRET = "a pre-shared key of the benchmark, long enough"
TOOLS = os.path.join(os.path.dirname(TESTS), "tools")


class Tunnel:
    """Nothing in the path: routes alone."""

    what = "no tunnel"
    in_path = False

    def __init__(self, a, b, build_dir):
        self.a, self.b = a, b
        self.build_dir = build_dir
        self.dir = {host: host.directory(f"tunnel-{time.monotonic_ns()}") for host in (a, b)}
        self.daemons = {}  # host: Process

    @classmethod
    def missing(cls):
        """Why it cannot be measured here, or None."""
        return None

    def ends(self):
        """(host, its own outer address, the peer's, its own inner network, the peer's), twice."""
        yield self.a, OUTER_A, OUTER_B, NET_A, NET_B
        yield self.b, OUTER_B, OUTER_A, NET_B, NET_A

    def __enter__(self):
        try:
            self.start()
            wait_for(self.carries, 20, lambda: f"a packet through {self.what}\n{self.tail()}")
            for host, here, there in ((self.a, INNER_A, INNER_B), (self.b, INNER_B, INNER_A)):
                way = host.run(["ip", "route", "get", there, "from", here]).stdout
                assert self.in_path == ("dev eth0" not in way), f"{self.what}: {way}"
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_):
        self.stop()

    def start(self):
        for host, _, peer, _, net in self.ends():
            host.run(["ip", "route", "add", net, "via", peer])

    def stop(self):
        for host, _, _, _, net in self.ends():
            host.run(["ip", "route", "del", net], check=False)

    def carries(self):
        return self.a.run(["ping", "-c", "1", "-W", "1", "-I", INNER_A, INNER_B],
                          check=False).returncode == 0

    def spawn(self, host, argv):
        self.daemons[host] = host.spawn(argv, os.path.join(self.dir[host], "log"))

    def stop_daemons(self):
        for daemon in self.daemons.values():
            daemon.stop()

    def pids(self):
        return {f"tunnel {host.label}": [daemon.pid] for host, daemon in self.daemons.items()}

    def tail(self):
        text = ""
        for host, directory in self.dir.items():
            log = os.path.join(directory, "log")
            if os.path.exists(log):
                with open(log, encoding="utf-8", errors="replace") as file:
                    text += f"{host.label}:\n{file.read()[-2000:]}"
        return text

    def drops(self):
        """What the tunnel itself says that it dropped, by reason; {} where it does not say."""
        return {}


class GatehouseUdp(Tunnel):
    """Two gatehoused, keyed by their IKE."""

    what = "Gatehouse, ESP in UDP"
    in_path = True
    udp = True

    def __init__(self, *arguments):
        super().__init__(*arguments)
        head = section('ike-policy "p"', force_nat_t=self.udp)
        head += section('ipsec-transform "t"', encryption=["aes-128-gcm"])
        self.gatehouses = [
            IkeGatehouse(host, self.build_dir, head + peer_section(
                psk_secret=SECRET, local=ours, remote=theirs, ike_policy="p", children=[
                    child_section(local_ts=inner, remote_ts=other, ipsec_transform=["t"])]),
                f"gatehouse-{time.monotonic_ns()}")
            for host, ours, theirs, inner, other in self.ends()]

    def start(self):
        for gatehouse in self.gatehouses:
            gatehouse.start()
        self.gatehouses[0].gatectl("ike", "initiate", "peer")
        for gatehouse in self.gatehouses:
            gatehouse.wait_sas(1, 1)
        sas = self.gatehouses[0].ask("show", "ipsec", "sa")["sas"]
        assert [sa["udp"] for sa in sas] == [self.udp], sas

    def stop(self):
        for gatehouse in self.gatehouses:
            gatehouse.stop()
            gatehouse.host.run([gatehouse.daemon, "-r", gatehouse.run_dir, "--remove-rules"])

    def pids(self):
        return {f"tunnel {g.host.label}": list(g.processes().values()) for g in self.gatehouses}

    def tail(self):
        return "".join(f"{g.host.label}:\n{g.tail()}" for g in self.gatehouses)

    def drops(self):
        found = {}
        for gatehouse in self.gatehouses:
            counters = gatehouse.ask("show", "ipsec", "counters")
            for way in ("in", "out"):
                for reason, n in counters[way].items():
                    found[reason] = found.get(reason, 0) + n
            found["send-failed"] = found.get("send-failed", 0) + counters["packets"]["send-failed"]
        return {reason: n for reason, n in found.items() if n and reason != "ok"}


class GatehouseEsp(GatehouseUdp):
    what = "Gatehouse, ESP over IP"
    udp = False


class Charon(Tunnel):
    """Debian's charon with kernel-libipsec: ESP in UDP, in user space, as the kernel here has none."""

    what = "strongSwan, kernel-libipsec"
    in_path = True

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.swans = []
        for host, ours, theirs, inner, other in self.ends():
            connection = {"version": 2, "local_addrs": ours, "remote_addrs": theirs, "encap": True,
                          "proposals": "aes128gcm16-prfsha256-x25519", "mobike": False,
                          "local": {"auth": "psk"}, "remote": {"auth": "psk"},
                          "children": {"net": {"local_ts": inner, "remote_ts": other,
                                               "esp_proposals": "aes128gcm16"}}}
            # Its own AES-GCM before OpenSSL's, as Debian has it: it is the faster one.
            options = {"load": f"aesni {PLUGINS} kernel-libipsec kernel-netlink"}
            self.swans.append(StrongSwan(host, {"gw": connection},
                                         {"ike-bench": {"secret": f'"{SECRET}"'}}, options,
                                         f"charon-{time.monotonic_ns()}", log_level=-1))

    @classmethod
    def missing(cls):
        return None if shutil.which("charon-systemd") else "charon-systemd is not installed"

    def start(self):
        for swan in self.swans:
            swan.start()
        self.swans[0].initiate("net")
        for swan in self.swans:
            swan.wait_sas(1, 1)

    def stop(self):
        for swan in self.swans:
            if swan.process:
                swan.process.stop()

    def pids(self):
        return {f"tunnel {s.host.label}": [s.process.pid] for s in self.swans}

    def tail(self):
        return "".join(s.tail(20) for s in self.swans)


class WireGuard(Tunnel):
    """wireguard-go of Debian sid (ChaCha20-Poly1305, MTU 1420)."""

    what = "wireguard-go"
    in_path = True
    port = 51820

    @classmethod
    def program(cls):
        done = subprocess.run([os.path.join(TOOLS, "wireguard-go"), "--cached"],
                              capture_output=True, text=True, check=False)
        return done.stdout.strip() if done.returncode == 0 else None

    @classmethod
    def missing(cls):
        if cls.program() is None:
            return "there is no wireguard-go (tools/wireguard-go)"
        return None if shutil.which("wg") else "wireguard-tools is not installed"

    def start(self):
        public = {}
        for host, directory in self.dir.items():
            secret = host.run(["wg", "genkey"]).stdout
            path = os.path.join(directory, "key")
            with open(os.open(path, os.O_WRONLY | os.O_CREAT, 0o600), "w", encoding="ascii") as file:
                file.write(secret)
            public[host] = host.run(["wg", "pubkey"], input=secret).stdout.strip()
        for host, _, theirs, _, other in self.ends():
            # The sockets of its control are files of this machine: no two may have the same name.
            device = f"wg{os.getpid()}{host.label}"
            peer = public[self.b if host is self.a else self.a]
            self.spawn(host, [self.program(), "-f", device])
            wait_for(lambda d=device: os.path.exists(f"/var/run/wireguard/{d}.sock"), 10,
                     lambda: f"wireguard-go is there\n{self.tail()}")
            host.run(["wg", "set", device, "private-key", os.path.join(self.dir[host], "key"),
                      "listen-port", self.port, "peer", peer, "endpoint", f"{theirs}:{self.port}",
                      "allowed-ips", other])
            host.run(["ip", "link", "set", device, "mtu", "1420", "up"])
            host.run(["ip", "route", "add", other, "dev", device])

    def stop(self):
        self.stop_daemons()


class OpenVpn(Tunnel):
    """Debian's openvpn in user space with AES-128-GCM over UDP, TLS with fingerprints."""

    what = "OpenVPN"
    in_path = True
    device, port = "ovpn0", 1194

    @classmethod
    def missing(cls):
        return None if shutil.which("openvpn") else "openvpn is not installed"

    def start(self):
        prints = {}
        for host, directory in self.dir.items():
            host.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                      "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj", "/CN=bench",
                      "-keyout", f"{directory}/key", "-out", f"{directory}/cert"])
            text = host.run(["openssl", "x509", "-in", f"{directory}/cert", "-noout", "-sha256",
                             "-fingerprint"]).stdout
            prints[host] = re.search(r"=([0-9A-F:]+)", text)[1]
        for host, ours, theirs, _, other in self.ends():
            directory, server = self.dir[host], host is self.b
            peer = prints[self.a if server else self.b]
            network, points = other.partition("/")[0], ("10.83.0.1", "10.83.0.2")
            self.spawn(host, [
                "openvpn", "--dev", self.device, "--dev-type", "tun", "--disable-dco",
                "--proto", "udp", "--local", ours, "--remote", theirs, "--port", self.port,
                "--tls-server" if server else "--tls-client", "--dh", "none",
                "--cert", f"{directory}/cert", "--key", f"{directory}/key",
                "--peer-fingerprint", peer, "--data-ciphers", "AES-128-GCM",
                "--ifconfig", *(points[::-1] if server else points),
                "--route", network, "255.255.255.0", "--verb", "3"])

    def stop(self):
        self.stop_daemons()


TUNNELS = {"plain": Tunnel, "gatehouse-udp": GatehouseUdp, "gatehouse-esp": GatehouseEsp,
           "wireguard-go": WireGuard, "charon": Charon, "openvpn": OpenVpn}
