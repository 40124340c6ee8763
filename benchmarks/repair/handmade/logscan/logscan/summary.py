"""Sums over records."""

from collections import Counter, defaultdict

from logscan.lines import LEVELS


def count_by_service(records, minimum="debug"):
    wanted = LEVELS[minimum]
    return Counter(record.service for record in records if record.level >= wanted)


def error_bursts(records, size=3, within=60):
    """Runs of at least `size` errors, each within so many seconds of the one before."""
    bursts = []
    run = []
    for record in records:
        if record.level < LEVELS["error"]:
            continue
        if run and (record.when - run[-1].when).total_seconds() > within:
            if len(run) >= size:
                bursts.append(run)
            run = []
        run.append(record)
    if len(run) >= size:
        bursts.append(run)
    return bursts


def longest_message(records):
    best = ""
    for record in records:
        if len(record.message) > len(best):
            best = record.message
    return best


def per_hour(records):
    hours = defaultdict(lambda: defaultdict(int))
    for record in records:
        hours[record.when.hour][record.service] += 1
    return {hour: dict(counts) for hour, counts in sorted(hours.items())}


def last_lines(records, count):
    """The last `count` messages, newest first."""
    kept = list(records)[-count:] if count else []
    return [record.message for record in reversed(kept)]
