"""What the tests have seen work with what: the matrix of docs/interop.md.

A test that has asserted it all says so by seen(); at the end of the run the rows stand, as a table,
in build/interop.md (or $GATEHOUSE_INTEROP).
"""

import os
import re

HEAD = ("| protocol | one end | other end | opened by | IP | algorithms | TCP options | also seen |\n"
        "| --- | --- | --- | --- | --- | --- | --- | --- |\n")
GATEHOUSE, KERNEL = "Gatehouse", "the kernel's TCP-AO"
_rows = []


def end(daemon, by=GATEHOUSE):
    """A daemon, its kernel, and who does TCP-AO there."""
    kernel = re.match(r"[\d.]*\d", daemon.host.run(["uname", "-r"]).stdout)[0]
    return f"{daemon.version()}, {by}, Linux {kernel}"


def seen(one, other, opened="either", versions="4, 6", algorithms="hmac-sha-1-96",
         options="covered", also="", protocol="BGP"):
    """one, other: end(); versions: of IP."""
    row = (f"| {protocol} | {one} | {other} | {opened} | {versions} | {algorithms} | {options} "
           f"| {also} |\n")
    if row not in _rows:
        _rows.append(row)


def write(path):
    """Writes the table, if this run has seen anything."""
    if _rows and os.path.isdir(os.path.dirname(path)):
        with open(path, "w", encoding="utf-8") as file:
            file.write(HEAD + "".join(sorted(_rows)))
