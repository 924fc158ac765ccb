"""What the processes may do, and where secrets are."""

import os
import re
import stat

from pair import B4, KEY, gatehouses
from stream import Stream

CAP_NET_ADMIN = 12


def status(pid):
    with open(f"/proc/{pid}/status", encoding="utf-8") as file:
        return dict(line.rstrip("\n").split(":\t", 1) for line in file if ":\t" in line)


def test_ao_is_locked_in(net, build_dir):
    a, one, b, _ = gatehouses(net, build_dir)
    Stream(a, b, B4).start().finish()
    found = status(one.processes()["ao"])
    assert "0" not in found["Uid"].split() and "0" not in found["Gid"].split()
    assert found["Groups"].split() == []
    assert int(found["CapEff"], 16) == int(found["CapPrm"], 16) == 1 << CAP_NET_ADMIN
    assert int(found["CapBnd"], 16) == int(found["CapInh"], 16) == int(found["CapAmb"], 16) == 0
    assert found["Seccomp"] == "2" and found["NoNewPrivs"] == "1"
    with open(f"/proc/{one.processes()['ao']}/limits", encoding="utf-8") as file:
        assert re.search(r"Max core file size +0 +0", file.read())


def test_files_of_the_run_directory(net, build_dir):
    _, one, _, _ = gatehouses(net, build_dir)

    def mode(name):
        return stat.S_IMODE(os.stat(os.path.join(one.run_dir, name)).st_mode)
    assert mode("state") == 0o600 and mode("control.sock") == 0o660
    with open(os.path.join(one.run_dir, "state"), "rb") as file:
        assert KEY.secret.encode() not in file.read()


def memory(pid):
    """All that a process has mapped for itself and can write."""
    found = b""
    with open(f"/proc/{pid}/maps", encoding="utf-8") as maps, open(f"/proc/{pid}/mem", "rb") as mem:
        for line in maps:
            span, rights = line.split()[:2]
            if "w" not in rights or "[vvar" in line:
                continue
            start, end = (int(x, 16) for x in span.split("-"))
            mem.seek(start)
            found += mem.read(end - start)
    return found


def test_the_parent_forgets_secrets(net, build_dir):
    """From a secret file: only the process that signs has it in its memory."""
    a, one, _, _ = gatehouses(net, build_dir)
    path = os.path.join(a.directory("secrets"), "core-1")
    with open(path, "w", encoding="utf-8") as file:
        file.write(KEY.secret + "\n")
    os.chmod(path, 0o600)
    with open(one.config_file, encoding="utf-8") as file:
        text = file.read()
    one.stop()
    one.configure(text.replace(f'secret = "{KEY.secret}"', f'secret-file = "{path}"'))
    one.start()
    one.reload()
    pids = one.processes()
    assert KEY.secret.encode() in memory(pids["ao"]), "else this test sees nothing"
    assert KEY.secret.encode() not in memory(pids["parent"])


def test_secrets_are_in_no_log(net, build_dir):
    a, one, b, _ = gatehouses(net, build_dir)
    Stream(a, b, B4).start().finish()
    with open(one.log, encoding="utf-8") as file:
        assert KEY.secret not in file.read()
    for words in (["show", "key-chain"], ["show", "configuration"], ["show", "status"]):
        assert KEY.secret not in one.gatectl(*words).stdout
