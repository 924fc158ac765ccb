"""Runs tests of CPython's own suite and writes what became of each, one "NAME OUTCOME" a line.

    outcomes.py FILE SKIP MODULE...      without the tests whose names contain SKIP
"""

import sys
import unittest


class Outcomes(unittest.TestResult):
    def __init__(self, file):
        super().__init__()
        self.file = file

    def _say(self, test, outcome):
        print(test.id().replace(" ", "_"), outcome, file=self.file, flush=True)

    def addSuccess(self, test):
        self._say(test, "ok")

    def addFailure(self, test, err):
        self._say(test, "fail")
        sys.stderr.write(self._exc_info_to_string(err, test))

    def addError(self, test, err):
        self._say(test, "error")
        sys.stderr.write(self._exc_info_to_string(err, test))

    def addSkip(self, test, reason):
        self._say(test, "skip")

    def addExpectedFailure(self, test, err):
        self._say(test, "expected-failure")

    def addUnexpectedSuccess(self, test):
        self._say(test, "unexpected-success")


def flatten(suite):
    for item in suite:
        if isinstance(item, unittest.TestSuite):
            yield from flatten(item)
        else:
            yield item


def main(path, skip, names):
    loaded = unittest.defaultTestLoader.loadTestsFromNames(names)
    chosen = unittest.TestSuite(t for t in flatten(loaded) if skip not in t.id())
    with open(path, "w", encoding="utf-8") as file:
        chosen.run(Outcomes(file))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3:])
