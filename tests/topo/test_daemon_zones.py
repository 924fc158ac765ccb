"""One daemon for sessions in several network namespaces; VRFs: test_daemon_labkernel.py."""

from gatehouse import Gatehouse, key_chain, tcp_ao
from pair import A4, B4, KEY, config
from stream import Stream
from test_daemon_reload import queue_rules
from wait import wait_for


def test_sessions_of_another_namespace(net, build_dir):
    """The daemon of one namespace protects the routers of two others."""
    keeper = net.namespace("keeper")
    a, b = net.two_routers()
    c = net.namespace("c")
    net.link(b, c, ("10.78.0.2/24", "10.78.0.3/24"), name_a="eth1")
    one = Gatehouse(keeper, build_dir,
                    key_chain("core", [KEY])
                    + tcp_ao("a", B4, "core", netns=a.name)
                    + tcp_ao("c", "10.78.0.2", "core", netns=c.name)).start()
    Gatehouse(b, build_dir, config(A4, KEY.swapped())
              + tcp_ao("c", "10.78.0.3", "core")).start()
    Stream(a, b, B4).start().finish()
    Stream(b, c, "10.78.0.3", name="other").start().finish()
    assert one.counters("a")["signed"] > 0 and one.counters("c")["signed"] > 0
    assert queue_rules(a) and queue_rules(c) and not queue_rules(keeper)
    # the rules of a namespace go with its last session
    one.configure(key_chain("core", [KEY]) + tcp_ao("c", "10.78.0.2", "core", netns=c.name))
    one.reload()
    assert queue_rules(c) and not queue_rules(a)
    one.stop()
    keeper.run([one.daemon, "-r", one.run_dir, "--remove-rules"])
    assert not queue_rules(c)


def test_a_namespace_that_comes_later(net, build_dir):
    keeper = net.namespace("keeper")
    one = Gatehouse(keeper, build_dir,
                    key_chain("core", [KEY])
                    + tcp_ao("a", B4, "core", netns=f"{net.prefix}-a")).start()
    assert "wait until it can be opened" in one.tail()
    for _ in range(2):  # once more: made anew under the old name
        a, b = net.two_routers()
        wait_for(lambda: queue_rules(a), 10, "rules in the new namespace")
        two = Gatehouse(b, build_dir, config(A4, KEY.swapped())).start()
        Stream(a, b, B4).start().finish()
        two.stop()
        for namespace in (a, b):
            net.namespaces.remove(namespace)
            namespace.destroy()
