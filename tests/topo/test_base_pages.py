"""The reader of the pages: it must see a difference where there is one."""

import pytest

import pages
from pages import Page, PageError, matches

pytestmark = pytest.mark.base

PAGE = """# A page
<!-- file: r1/one.conf -->
```
first
  second
```
<!-- run: r1 -->
```
$ echo "a  b" c
a b …
```
"""


def read(tmp_path, monkeypatch, text):
    (tmp_path / "page.md").write_text(text)
    monkeypatch.setattr(pages, "DOCS", tmp_path)
    return Page("page.md")


def test_files_and_steps(tmp_path, monkeypatch):
    page = read(tmp_path, monkeypatch, PAGE)
    assert page.file("r1/one.conf") == "first\n  second\n"
    assert page.steps == {"r1": [('echo "a  b" c', ["a b …"])]}
    with pytest.raises(PageError):
        page.file("r1/other.conf")


@pytest.mark.parametrize("text", [
    "<!-- file: a -->\n\n```\nx\n```\n", "<!-- file: a -->\n```\nx\n", "<!-- files: a -->\n",
    PAGE + PAGE, "<!-- run: r1 -->\n```\nno command\n```\n"])
def test_what_is_wrong_is_said(tmp_path, monkeypatch, text):
    with pytest.raises(PageError):
        read(tmp_path, monkeypatch, text)


@pytest.mark.parametrize("expected, printed, same", [
    ("up  1", "\n up 1\n\n", True), ("up 1", "up 12", False), ("up 1", "up 1\nmore", False),
    ("up …", "up 12 s", True), ("… 1", "2", False), ("a\n…\nb", "a\nb", True),
    ("a\n…\nb", "a\nx\ny\nb", True), ("a\n…\nb", "a\nx", False), ("a.c", "abc", False),
    ("a\nb", "b\na", False), ("…", "", True), ("", "x", False)])
def test_matches(expected, printed, same):
    assert bool(matches(expected.splitlines(), printed)) == same


def test_commands_are_run_and_compared(net, tmp_path, monkeypatch):
    page = read(tmp_path, monkeypatch, PAGE)
    host = net.namespace("a")
    page.check("r1", host)
    page.steps["r1"].append(("echo no", ["yes"]))
    with pytest.raises(AssertionError, match="prints\nyes\nit prints\nno"):
        page.check("r1", host, timeout=0)
    page.steps["r1"][1:] = [("ctl show it", ["show it"])]
    page.check("r1", host, ctl=lambda *words, check: host.run(["echo", *words], check=check))
