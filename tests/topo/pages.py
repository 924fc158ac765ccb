"""Configurations and commands that stand in a page of docs/, for the test that runs the page.

So page and test cannot drift apart. In the page a comment, which its readers do not see, says what
the fenced block below it is. A whole file of a router:

    <!-- file: r1/gatehouse.conf -->
    ```
    key-chain core { …
    ```

and commands of a router with what they print:

    <!-- run: r1 -->
    ```
    $ gatectl show key-chain
    Keychain  Active-ID send  …
    core      1 (3)           …
    $ ip route get 192.0.2.2
    …
    ```

What a command prints must be all there. Runs of blanks count as one and empty lines as none; "…"
stands for any text within its line, and alone on a line for any lines. Blocks without a comment are
for readers only.

    page = Page("examples/juniper-bgp.md")
    page.file("r1/gatehouse.conf")                                   # its text
    page.check("r1", namespace, gatectl=gatehouse.gatectl)           # runs it all and compares
"""

import os
import re
import shlex

from wait import wait_for

DOCS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "docs")
ANY = "…"
_MARKER = re.compile(r"<!-- (file|run): (\S+) -->")


class PageError(AssertionError):
    """The page is not what its test takes it for."""


class Page:
    """A page below docs/: its files by name, and (command, expected output) by router."""

    def __init__(self, name):
        self.name = name
        self.files = {}
        self.steps = {}
        with open(os.path.join(DOCS, name), encoding="utf-8") as file:
            lines = iter(file.read().splitlines())
        for line in lines:
            marker = _MARKER.fullmatch(line)
            if marker:
                self._take(*marker.groups(), self._block(lines, line))
            elif line.startswith("<!--"):
                raise PageError(f"{name}: what is {line}?")
            elif line.startswith("```"):
                self._rest(lines, line)

    def _block(self, lines, marker):
        if not next(lines, "").startswith("```"):
            raise PageError(f"{self.name}: no fenced block below {marker}")
        return self._rest(lines, marker)

    def _rest(self, lines, what):
        """The lines up to the fence that closes a block."""
        block = []
        for line in lines:
            if line == "```":
                return block
            block.append(line)
        raise PageError(f"{self.name}: the block of {what} has no end")

    def _take(self, kind, name, block):
        if kind == "file":
            if name in self.files:
                raise PageError(f"{self.name}: {name} is there twice")
            self.files[name] = "\n".join(block) + "\n"
            return
        steps = self.steps.setdefault(name, [])
        if not block or not block[0].startswith("$ "):
            raise PageError(f"{self.name}: the block of {name} does not begin with a command")
        for line in block:
            if line.startswith("$ "):
                steps.append((line[2:], []))
            else:
                steps[-1][1].append(line)

    def file(self, name):
        if name not in self.files:
            raise PageError(f"{self.name} has no file {name}; it has {sorted(self.files)}")
        return self.files[name]

    def check(self, router, host, timeout=20, **programs):
        """Runs the commands of a router in a namespace; each must come to print what the page says.

        programs: how to run those that need more than their name, as functions of the words behind
        it that take check=False and return what run() does; all others are run as they are.
        """
        if not self.steps.get(router):
            raise PageError(f"{self.name} has no commands of {router}")
        for command, expected in self.steps[router]:
            program, *words = shlex.split(command)
            printed = ""

            def as_told():
                nonlocal printed
                done = (programs[program](*words, check=False) if program in programs
                        else host.run([program, *words], check=False))
                printed = done.stdout + done.stderr
                return matches(expected, printed)
            wait_for(as_told, timeout, lambda: "\n".join(
                [f"{self.name}, {router}: {command} prints", *expected, "it prints", printed]))


def _lines(text):
    return [" ".join(line.split()) for line in text if line.split()]


def matches(expected, printed):
    """Whether a command printed the expected lines (a list), "…" being anything."""
    pattern = ""
    for line in _lines(expected):
        if line == ANY:
            pattern += r"(?:.*\n)*"
        else:
            pattern += ".*".join(re.escape(part) for part in line.split(ANY)) + r"\n"
    return re.fullmatch(pattern, "".join(f"{line}\n" for line in _lines(printed.splitlines())))
