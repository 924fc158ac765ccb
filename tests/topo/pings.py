"""Echo requests, one after the other.

Of several in one run, ping waits only as long for the last reply as twice the longest time that one took
before: on a busy machine that is nothing, and what came was not lost.
"""

LATE = 10  # seconds: what has not come by then is lost


def ping_each(host, target, *options, count=1, wait=LATE):
    """What ping says of each; options: of ping."""
    return [host.run(["ping", "-c", 1, "-W", wait, *options, target], check=False).stdout
            for _ in range(count)]


def answered(said):
    """How many of these were."""
    return sum(" 1 received" in each for each in said)
