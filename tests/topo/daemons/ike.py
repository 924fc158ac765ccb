"""What all daemons of IKEv2 have in common: connections, IKE SAs, Child SAs.

A subclass tells its SAs in one form, so that both ends of a tunnel can be compared: see Sa, Child.
"""

import dataclasses

from wait import wait_for

from .daemon import Daemon


@dataclasses.dataclass(frozen=True)
class Child:
    """A Child SA as its end shows it: SPIs as 8 hexadecimal digits, selectors as prefixes."""

    name: str
    spi_in: str
    spi_out: str
    local_ts: tuple
    remote_ts: tuple


@dataclasses.dataclass(frozen=True)
class Sa:
    """An established IKE SA as its end shows it: SPIs as 16 hexadecimal digits."""

    name: str
    spi_i: str
    spi_r: str
    initiator: bool
    children: tuple


class IkeDaemon(Daemon):
    """Subclasses write the configuration, start the program and ask it."""

    def sas(self):
        """The established IKE SAs."""
        raise NotImplementedError

    def wait_sas(self, count=1, children=None, timeout=10):
        """Waits for so many IKE SAs (with so many Child SAs in all), and returns them."""
        def there():
            found = self.sas()
            sum_children = sum(len(sa.children) for sa in found)
            return len(found) == count and children in (None, sum_children)
        wait_for(there, timeout, lambda: f"{self.kind} in {self.host.name}: {count} IKE SAs, "
                                         f"{children} Child SAs; it has {self.sas()}\n"
                                         f"{self.tail(40)}")
        return self.sas()

    def said(self, words):
        """Whether its log has these words."""
        with open(self.log, encoding="utf-8", errors="replace") as file:
            return words in file.read()

    def wait_said(self, words, timeout=10):
        wait_for(lambda: self.said(words), timeout,
                 lambda: f"{self.kind} in {self.host.name} says {words!r}\n{self.tail(40)}")
