"""Whatever test a page of docs/rfc names is there.

A test is named in the last column of a row, in words joined by underscores and without quotes, its
file in quotes. Usage: doc_rfc.py SOURCE
"""
import re
import sys
from pathlib import Path

source = Path(sys.argv[1])
tests, files = set(), set()
for path in (source / "tests").rglob("*"):
    if path.suffix in (".c", ".h", ".py"):
        text = path.read_text(errors="replace")
        files |= {path.name, str(path.relative_to(source)), str(path.relative_to(source / "tests"))}
        tests |= set(re.findall(r"\bvoid (\w+)\(void \*\*", text))
        tests |= set(re.findall(r"^def (test_\w+)\(", text, re.M))

pages = sorted((source / "docs" / "rfc").glob("*.md"))
named, missing = 0, []
for page in pages:
    for number, row in enumerate(page.read_text().splitlines(), 1):
        if not row.startswith("|") or row.count("|") < 5:
            continue
        shown_by = row.strip().strip("|").split("|")[-1]
        names = re.findall(r"\b[a-z0-9]+(?:_[a-z0-9]+)+\b", re.sub(r"`[^`]*`", "", shown_by))
        own = [f for f in re.findall(r"`([^`]+)`", shown_by) if re.fullmatch(r"\S*test_\w+\.(c|py)", f)]
        named += len(names)
        missing += [f"{page.name}:{number}: {n}" for n in names if n not in tests]
        missing += [f"{page.name}:{number}: {f}" for f in own if f not in files]
print(f"{named} tests are named in {len(pages)} pages")
for line in missing:
    print(f"{line}: there is no such test")
sys.exit(bool(missing) or named < 500)
