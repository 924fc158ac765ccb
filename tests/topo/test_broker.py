"""What the parent does for programs' sockets, asked for by the test in the place of `ao`."""

import contextlib
import ctypes
import errno
import os
import socket
import struct
import subprocess
import sys

import pytest

from broker import GUARD, QUEUE, STRICT, Broker, cookie, flow
from gatehouse import key_chain, tcp_ao
from netns import A4, B4
from pair import KEY, config
from wait import stays, wait_for

PORT = 5000
CLONE_NEWNET = 0x40000000


@contextlib.contextmanager
def inside(namespace):
    """This process in another network namespace, for sockets that are to live there."""
    with open("/proc/self/ns/net", encoding="utf-8") as own, \
            open(f"/run/netns/{namespace.name}", encoding="utf-8") as other:
        _setns(other)
        try:
            yield
        finally:
            _setns(own)


def _setns(file):
    libc = ctypes.CDLL(None, use_errno=True)  # Python 3.11 has no os.setns()
    assert libc.setns(file.fileno(), CLONE_NEWNET) == 0, os.strerror(ctypes.get_errno())


def tcp_socket(namespace, family=socket.AF_INET):
    with inside(namespace):
        return socket.socket(family, socket.SOCK_STREAM)


def broker(net, build_dir, text=None):
    """Gatehouse runs in namespace a, with a session to b."""
    a, b = net.two_routers()
    return a, b, Broker(a, build_dir, text or config(B4)).start()


def mangle(namespace):
    return namespace.run(["iptables-save", "-t", "mangle"]).stdout


# ---- shim.sock ---------------------------------------------------------------------------------

CLIENT = """
import socket, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
s.settimeout(10)
try:
    s.connect(sys.argv[1])
    s.send(b"hello")
    print(s.recv(100).decode() or "closed", flush=True)
except (BrokenPipeError, ConnectionResetError):
    print("closed", flush=True)
"""


def as_user(user):
    return {"user": user, "group": "nogroup", "extra_groups": []} if user else {}


def client(one, user=None):
    return subprocess.Popen([sys.executable, "-c", CLIENT, os.path.join(one.run_dir, "shim.sock")],
                            stdout=subprocess.PIPE, text=True, **as_user(user))


def said(process):
    return process.communicate(timeout=15)[0].strip()


def shim(one):
    """Who has come, and its connection."""
    body, fd = one.expect("SHIM")
    line = socket.socket(fileno=fd)
    line.settimeout(10)  # the parent's loop has made it non-blocking
    return (*struct.unpack("!II", body), line)


def test_programs_of_root_come_in(net, build_dir):
    _, _, one = broker(net, build_dir)
    process = client(one)
    pid, uid, line = shim(one)
    assert (pid, uid) == (process.pid, 0)
    assert line.recv(100) == b"hello"
    line.send(b"welcome")
    assert said(process) == "welcome"


def test_programs_of_others_come_in_when_they_are_named(net, build_dir):
    _, _, one = broker(net, build_dir)
    process = client(one, "nobody")
    assert said(process) == "closed"
    one.silent("SHIM", 0.5)
    assert "shim-users = { \"nobody\" }" in one.tail()
    for name in ("nobody", "@nogroup"):
        one.configure(f"gatehouse {{ shim-users = {{ \"{name}\" }} }}\n" + config(B4))
        one.reload()
        process = client(one, "nobody")
        _, uid, line = shim(one)
        assert uid == 65534
        line.send(b"welcome")
        assert said(process) == "welcome"


def test_a_program_hears_of_the_end_of_ao(net, build_dir):
    """The parent has a copy of the connection, which must not keep it open."""
    _, _, one = broker(net, build_dir)
    process = client(one)
    _, _, line = shim(one)
    line.close()
    one.kill("ao")
    assert said(process) == "closed"
    one.take_ao()
    process = client(one)
    _, _, line = shim(one)
    line.shutdown(socket.SHUT_RDWR)  # how ao ends one by itself
    assert said(process) == "closed"


def test_no_more_than_256_of_one_user(net, build_dir):
    _, _, one = broker(net, build_dir,
                       "gatehouse { shim-users = { \"nobody\" } }\n" + config(B4))
    many = subprocess.Popen(
        [sys.executable, "-c",
         "import socket, sys\n"
         "every = []\n"
         "for _ in range(256):\n"
         "    s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)\n"
         "    s.connect(sys.argv[1])\n"
         "    every.append(s)\n"
         "print('all', flush=True)\n"
         "sys.stdin.read()\n", os.path.join(one.run_dir, "shim.sock")],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, **as_user("nobody"))
    lines = [shim(one) for _ in range(256)]
    assert many.stdout.readline() == "all\n"
    assert said(client(one, "nobody")) == "closed"
    process = client(one)  # root's have room of their own
    shim(one)[2].send(b"welcome")
    assert said(process) == "welcome"
    many.communicate("", timeout=10)
    for _, _, line in lines:
        line.close()

    def comes_in():
        process = client(one, "nobody")
        try:
            body, fd = one.expect("SHIM", 1)
        except AssertionError:
            assert said(process) == "closed"
            return False
        with socket.socket(fileno=fd) as line:
            line.send(b"welcome")
        return said(process) == "welcome"
    wait_for(comes_in, 10, "room again")


# ---- Zones -------------------------------------------------------------------------------------

def test_zones_of_sockets(net, build_dir):
    """The configured one of the daemon's own namespace, and one made for another namespace."""
    a, b, one = broker(net, build_dir)
    own = one.zone(tcp_socket(a), make=False)
    assert own == 0
    assert one.zone(tcp_socket(b), make=False) is None
    other = one.zone(tcp_socket(b, socket.AF_INET6))
    assert other not in (None, own)
    assert one.zone(tcp_socket(b), make=False) == other
    numbers = dict(struct.unpack("!HH", one.expect("QUEUE")[0]) for _ in range(2))
    assert set(numbers) == {own, other} and numbers[own] != numbers[other]
    assert one.flows(other, flow(QUEUE, A4, B4, PORT))
    assert f"--dport {PORT} -j NFQUEUE --queue-num {numbers[other]}" in mangle(b)
    assert f"--dport {PORT}" not in mangle(a)
    with open(os.path.join(one.run_dir, "rules"), encoding="utf-8") as file:
        assert "/proc" not in file.read()


def test_a_zone_of_the_own_namespace(net, build_dir):
    """Without a session in it; its rules can be taken away as others, for it has a name."""
    a, b, one = broker(net, build_dir, key_chain("core", [KEY])
                       + tcp_ao("elsewhere", A4, "core", netns=f"{net.prefix}-b"))
    zone = one.zone(tcp_socket(a))
    assert zone != one.zone(tcp_socket(b), make=False)
    assert one.flows(zone, flow(GUARD, B4, None, PORT))
    one.stop()
    assert "DROP" in mangle(a)
    a.run([os.path.join(build_dir, "gatehoused"), "-r", one.run_dir, "--remove-rules"])
    assert "GATEHOUSE" not in mangle(a) and "GATEHOUSE" not in mangle(b)


def test_interfaces_are_told(net, build_dir):
    """All of a zone that was made, before it is told itself. VRFs: tests/unit/test_netlink.c."""
    _, b, one = broker(net, build_dir)
    zone = one.zone(tcp_socket(b))
    index = int(b.run(["cat", "/sys/class/net/eth0/ifindex"]).stdout)
    assert struct.pack("!HIIB", zone, index, 1500, 0) in [body for _, body, _ in one.heard]
    b.run(["ip", "link", "set", "eth0", "mtu", 1400])

    def told():
        body, _ = one.expect("LINK")
        return struct.unpack("!HIIB", body) == (zone, index, 1400, 0)
    wait_for(told, 10, "the new MTU")


def test_a_zone_goes_after_its_last_socket(net, build_dir):
    """The rules too, and the namespace can end: nothing of the daemon is in it any more."""
    _, b, one = broker(net, build_dir)
    sock = tcp_socket(b)
    zone = one.zone(sock)
    assert one.flows(zone, flow(GUARD, A4, None, PORT))
    assert "DROP" in mangle(b)
    one.watch(zone, sock)
    assert one.flows(zone)
    assert "DROP" not in mangle(b)
    one.silent("QUEUE_CLOSE", 31)  # the watched socket is still there
    sock.close()
    one.expect("SOCKET_GONE")
    assert one.expect("QUEUE_CLOSE", 40)[0] == struct.pack("!H", zone)
    assert "GATEHOUSE" not in mangle(b)
    namespace = os.stat(f"/run/netns/{b.name}").st_ino

    def descriptors():
        path = f"/proc/{one.process.pid}/fd"
        return [os.stat(os.path.join(path, fd)).st_ino for fd in os.listdir(path)]
    assert namespace not in descriptors()
    assert not one.flows(zone, flow(GUARD, A4, None, PORT))
    assert one.zone(tcp_socket(b)) != zone  # messages about the old one may be under way


def test_a_configuration_names_the_namespace_of_a_zone(net, build_dir):
    """The zone becomes that of the sessions there; rules are for both, then for the socket alone."""
    _, b, one = broker(net, build_dir)
    sock = tcp_socket(b)
    zone = one.zone(sock)
    assert one.flows(zone, flow(QUEUE, A4, None, PORT))
    one.configure(config(B4, more=tcp_ao("b", A4, "core", netns=b.name)))
    one.reload()
    assert one.zone(sock) == zone
    queues = {line.split("--queue-num ")[1].split()[0] for line in mangle(b).splitlines()
              if "--queue-num" in line}
    assert len(queues) == 1 and "GATEHOUSE-IN-TCP -s" in mangle(b)
    one.configure(config(B4))
    one.reload()
    wait_for(lambda: "GATEHOUSE-IN-TCP -s" not in mangle(b), 5, "the session's rules are gone")
    assert f"--dport {PORT} -j NFQUEUE" in mangle(b)
    assert one.zone(sock, make=False) == zone


def test_no_flows_where_there_were_others(net, build_dir):
    """Rules that nobody wants any more are gone, whatever else has to be installed then."""
    _, b, one = broker(net, build_dir)
    sock = tcp_socket(b)
    zone = one.zone(sock)
    assert one.flows(zone)
    assert one.flows(zone, flow(QUEUE, A4, None, PORT))
    one.configure(config(B4, more=tcp_ao("c", "10.77.0.9", "core")))
    one.send("FLOWS", struct.pack("!IH", 99, zone))  # while a reload makes all rules due
    one.reload()
    assert one.expect("FLOWED")[0] == struct.pack("!IB", 99, 1)
    assert "--queue-num" not in mangle(b)


def test_rules_of_a_zone_come_back(net, build_dir):
    """When somebody flushes them, as those of a configured namespace."""
    _, b, one = broker(net, build_dir)
    sock = tcp_socket(b)
    assert one.flows(one.zone(sock), flow(GUARD, A4, None, PORT))
    b.run(["iptables", "-t", "mangle", "-F"])
    wait_for(lambda: "DROP" in mangle(b), 5, "the rules are back")


def test_flows_outlive_ao(net, build_dir):
    _, b, one = broker(net, build_dir)
    sock = tcp_socket(b)
    zone = one.zone(sock)
    assert one.flows(zone, flow(QUEUE, A4, None, PORT))
    one.kill("ao")
    one.take_ao()
    one.expect("CONFIG")
    assert f"--dport {PORT} -j NFQUEUE" in mangle(b)
    zones = [struct.unpack("!HH", body)[0] for name, body, _ in one.heard if name == "QUEUE"]
    assert zone in zones
    assert one.flows(zone)
    assert f"--dport {PORT} -j NFQUEUE" not in mangle(b)


def test_many_flows_at_once(net, build_dir):
    """Each is answered; the last one of a zone stands."""
    a, _, one = broker(net, build_dir)
    for i in range(50):
        one.send("FLOWS", struct.pack("!IH", 1000 + i, 0) + flow(QUEUE, B4, None, 6000 + i))
    for i in range(50):
        assert one.expect("FLOWED")[0] == struct.pack("!IB", 1000 + i, 1)
    assert "--dport 6049 -j NFQUEUE" in mangle(a) and "--dport 6048" not in mangle(a)
    assert "GATEHOUSE-IN-TCP -s" in mangle(a)  # the session's are still there


# ---- What the rules do -------------------------------------------------------------------------

def listen(namespace, address=A4):
    with inside(namespace):
        sock = socket.socket()
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind((address, PORT))
        sock.listen()
        return sock


def reaches(namespace, timeout=1.5):
    with inside(namespace):
        sock = socket.socket()
    sock.settimeout(timeout)
    try:
        sock.connect((A4, PORT))
        return True
    except TimeoutError:
        return False
    finally:
        sock.close()


def checksum(data):
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    total = (total >> 16) + (total & 0xffff)
    return ~(total + (total >> 16)) & 0xffff


def half_open(namespace, port):
    return namespace.run(["ss", "-Htn", "state", "syn-recv", "dport", f"= :{port}"]).stdout


def send_signed_syn(namespace, port):
    """A SYN with an option 29 that is not verified anywhere; its sender is deaf to the answer."""
    namespace.run(["iptables", "-A", "INPUT", "-p", "tcp", "--dport", port, "-j", "DROP"])
    option = bytes([29, 16, 1, 1]) + bytes(12)

    def segment(check):
        return struct.pack("!HHIIBBHHH", port, PORT, 1, 0, 9 << 4, 2, 8192, check, 0) + option
    pseudo = socket.inet_aton(B4) + socket.inet_aton(A4) + struct.pack("!HH", 6, 36)
    with inside(namespace):
        raw = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_TCP)
    with raw:
        raw.sendto(segment(checksum(pseudo + segment(0))), (A4, 0))


def expect_guarded(a, b):
    """Unsigned segments do not come in; a signed one does, but no unsigned answer leaves."""
    assert not reaches(b)

    capture = b.spawn(["timeout", "20", "tcpdump", "-lni", "eth0", f"tcp and src port {PORT}"],
                      os.path.join(b.net.dir, "capture.log"))
    wait_for(lambda: "listening" in open(capture.log, encoding="utf-8").read(), 10, "tcpdump")
    wait_for(lambda: send_signed_syn(b, 20001) or half_open(a, 20001), 5, "the signed SYN came in")
    stays(lambda: "Flags" not in open(capture.log, encoding="utf-8").read(), 1.5, "no answer leaves")
    capture.stop()


def test_guard(net, build_dir):
    a, b, one = broker(net, build_dir)
    server = listen(a)
    assert reaches(b)
    assert one.flows(0, flow(GUARD, B4, A4, PORT), flow(GUARD, B4, None, 0, PORT))
    expect_guarded(a, b)
    assert one.flows(0)
    assert reaches(b)
    server.close()


def test_queued_segments_wait_for_who_reads_them(net, build_dir):
    """Nobody does: nothing passes, also not after the daemon has ended."""
    a, b, one = broker(net, build_dir)
    server = listen(a)
    assert reaches(b)
    assert one.flows(0, flow(QUEUE, B4, A4, PORT))
    assert not reaches(b)
    one.process.kill()
    assert not reaches(b)
    server.close()


def test_strict_takes_what_nothing_else_matched(net, build_dir):
    a, b, one = broker(net, build_dir)
    server = listen(a)
    wait_for(lambda: send_signed_syn(b, 20002) or half_open(a, 20002), 5, "a SYN with the option")
    assert one.flows(0, flow(STRICT, "0.0.0.0/0"))
    send_signed_syn(b, 20003)
    assert reaches(b)  # what is not signed is not concerned
    stays(lambda: not half_open(a, 20003), 0.5, "the signed SYN waits in the queue")
    server.close()


# ---- Sockets -----------------------------------------------------------------------------------

HOLDER = """
import os, socket, struct, sys
s = socket.socket()
print(struct.unpack("=Q", s.getsockopt(socket.SOL_SOCKET, 57, 8))[0], os.fstat(s.fileno()).st_ino,
      flush=True)
sys.stdin.read()
"""


def open_files(pid):
    """What the descriptors of a process are."""
    found = []
    for fd in os.listdir(f"/proc/{pid}/fd"):
        try:
            found.append(os.readlink(f"/proc/{pid}/fd/{fd}"))
        except FileNotFoundError:
            pass  # closed meanwhile
    return found


def test_fetch(net, build_dir):
    _, _, one = broker(net, build_dir)
    holder = subprocess.Popen([sys.executable, "-c", HOLDER], stdin=subprocess.PIPE,
                              stdout=subprocess.PIPE, text=True, user="nobody")
    number, inode = map(int, holder.stdout.readline().split())
    for pid in (holder.pid, os.getpid()):
        one.send("FETCH", struct.pack("!IIQQ", 7, pid, number, inode))
        body, fd = one.expect("FETCHED")
        assert body == struct.pack("!I", 7)
        with socket.socket(fileno=fd) as sock:
            assert cookie(sock) == number
    wait_for(lambda: f"socket:[{inode}]" not in open_files(one.process.pid), 2,
             "the parent has let go of it")
    holder.communicate("", timeout=10)
    one.send("FETCH", struct.pack("!IIQQ", 8, holder.pid, number, inode))
    assert one.expect("FETCH_FAILED")[0] == struct.pack("!II", 8, errno.ENOENT)


@pytest.mark.parametrize("family", [socket.AF_INET, socket.AF_INET6])
def test_the_end_of_a_socket(net, build_dir, family):
    """Told for one that is watched, whether it ever connected or not."""
    a, b, one = broker(net, build_dir)
    for namespace in (a, b):
        watched, other, listening = (tcp_socket(namespace, family) for _ in range(3))
        zone = one.zone(watched)
        one.watch(zone, watched)
        listening.listen()
        one.watch(zone, listening)
        other.close()
        for sock in (watched, listening):
            number = cookie(sock)
            one.zone(sock)  # the watch was there before
            sock.close()
            assert one.expect("SOCKET_GONE")[0] == struct.pack("!Q", number)
    one.silent("SOCKET_GONE", 0.5)


def test_the_list_of_sockets(net, build_dir):
    """For kernels that do not tell: it has all but those that are neither bound nor connected."""
    a, b = net.two_routers()
    server = listen(a)
    fresh = tcp_socket(a)
    with inside(a):
        connected = socket.create_connection((A4, PORT))
    accepted, _ = server.accept()

    def listed():
        done = a.run([os.path.join(build_dir, "tests", "topo", "broker"), "--sockets"])
        return set(map(int, done.stdout.split()))
    there = {cookie(s) for s in (server, connected, accepted)}
    assert there <= listed() and cookie(fresh) not in listed()
    for sock in (server, fresh, connected, accepted):
        sock.close()
    wait_for(lambda: not there & listed(), 5, "they are gone")  # also what is in TIME-WAIT


def test_what_is_kept(net, build_dir):
    """A new `ao` has it before its configuration; not what was forgotten or whose socket is gone."""
    a, _, one = broker(net, build_dir)
    gone = tcp_socket(a)
    for number, data in ((5, b"five"), (9, b"nine"), (5, b"five again"), (cookie(gone), b"gone"),
                         (7, bytes(100000))):
        one.send("KEEP", struct.pack("!Q", number) + data)
    one.send("FORGET", struct.pack("!Q", 9))
    one.watch(one.zone(gone), gone)
    one.zone(gone)
    gone.close()
    one.expect("SOCKET_GONE")
    one.kill("ao")
    one.take_ao()
    one.expect("CONFIG")
    names = [name for name, _, _ in one.heard]
    assert names.index("STATE") < names.index("QUEUE") < names.index("KEPT")
    kept = [body for name, body, _ in one.heard if name == "KEPT"]
    assert kept == [struct.pack("!Q", 5) + b"five again", struct.pack("!Q", 7) + bytes(100000)]


def test_a_malformed_flow_ends_ao(net, build_dir):
    """Who sends that is not trusted any more."""
    _, _, one = broker(net, build_dir)
    one.send("FLOWS", struct.pack("!IH", 1, 0) + flow(QUEUE, B4)[:-1])
    wait_for(lambda: "a malformed FLOWS" in one.tail(), 5, one.tail)
    one.take_ao()
