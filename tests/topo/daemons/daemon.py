"""What all daemons have in common: a directory, a configuration, start, stop."""

import os
import re

from wait import wait_for


class Daemon:
    """Subclasses write the configuration, start the program and ask it."""

    kind = None
    title = None  # as its authors write it
    user = None  # whom the program runs as, where it insists

    def __init__(self, host, name=None, launcher=()):
        self.host = host
        self.launcher = list(launcher)  # words before the program's own: gaterun …
        self.dir = host.directory(name or self.kind, self.user)
        self.log = os.path.join(self.dir, "log")
        self.process = None

    def version(self):
        """Name and version, as in "BIRD 2.0.12"."""
        done = self.host.run(self.version_command(), check=False)
        number = re.search(r"\d+\.\d[\d.]*", done.stdout + done.stderr)
        return f"{self.title} {number[0]}"

    def version_command(self):
        raise NotImplementedError

    def path(self, name):
        return os.path.join(self.dir, name)

    def write(self, name, text, mode=0o644):
        with open(self.path(name), "w", encoding="utf-8") as file:
            file.write(text)
        os.chmod(self.path(name), mode)
        return self.path(name)

    def start(self):
        """Starts it and returns when it answers questions."""
        self.process = self.host.spawn([*self.launcher, *self.arguments()], self.path("out"),
                                       self.environment())
        wait_for(lambda: self.answers() or not self.process.alive(), 20,
                 f"{self.kind} answers\n{self.tail()}")
        assert self.process.alive(), f"{self.kind} ended at once:\n{self.tail()}"
        return self

    def environment(self):
        return None

    def arguments(self):
        raise NotImplementedError

    def answers(self):
        """Whether it takes questions now."""
        raise NotImplementedError

    def tail(self, lines=15):
        """The last lines of its log and of what it printed."""
        text = ""
        for path in (self.log, self.path("out")):
            try:
                with open(path, encoding="utf-8", errors="replace") as file:
                    text += "".join(file.readlines()[-lines:])
            except FileNotFoundError:
                pass
        return text

    def stop(self):
        """An orderly end: the peers are told."""
        if self.process:
            self.process.stop()

    def kill(self):
        """An end without a word to the peers (the kernel resets its connections)."""
        self.process.kill()
