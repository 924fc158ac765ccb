#!/usr/bin/python3
"""The first process inside a lab-kernel guest: carries out what uml.py asks for on the console.

A request is one line of JSON on standard input, its answer one line on standard output after the
mark. The guest sees the host's files read-only; only the test's own directory, given as gh_dir= on
the kernel's command line, is writable and shared with the host.
"""

import json
import os
import signal
import subprocess
import sys
import termios
import tty

MARK = "\x1e"
children = {}


def mount(kind, where, options=""):
    subprocess.run(["mount", "-t", kind, kind, where, *(["-o", options] if options else [])],
                   check=True)


def prepare():
    os.environ["PATH"] = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    mount("proc", "/proc")
    mount("sysfs", "/sys")
    mount("tmpfs", "/run")
    mount("tmpfs", "/mnt")
    with open("/proc/cmdline", encoding="utf-8") as file:
        words = dict(w.partition("=")[::2] for w in file.read().split())
    shared = words["gh_dir"]
    mount("hostfs", shared, shared)
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    attributes = termios.tcgetattr(0)
    tty.setraw(0)
    return attributes


def run(request):
    done = subprocess.run(request["argv"], input=request.get("input"), capture_output=True,
                          text=True, errors="replace", timeout=request["timeout"],
                          env={**os.environ, **(request.get("env") or {})})
    return {"rc": done.returncode, "out": done.stdout, "err": done.stderr}


def spawn(request):
    with open(request["log"], "ab") as log:
        child = subprocess.Popen(request["argv"], stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                 env={**os.environ, **(request.get("env") or {})})
    children[child.pid] = child
    return {"pid": child.pid}


def poll(request):
    return {"rc": children[request["pid"]].poll()}


def kill(request):
    child = children[request["pid"]]
    if child.poll() is None:
        child.send_signal(request["signal"])
    return {}


def off(_):
    with open("/proc/sysrq-trigger", "w", encoding="utf-8") as file:
        file.write("o")
    signal.pause()


def main():
    prepare()
    actions = {"run": run, "spawn": spawn, "poll": poll, "kill": kill, "off": off}
    print(f"{MARK}{json.dumps({'ready': True})}", flush=True)
    for line in sys.stdin:
        request = json.loads(line)
        try:
            answer = actions[request["do"]](request)
        except Exception as error:  # the guest must live on; the host's side raises it
            answer = {"error": f"{type(error).__name__}: {error}"}
        print(f"{MARK}{json.dumps(answer)}", flush=True)
    off(None)


main()
