"""A day's plan."""

from rota.shifts import clock

BREAK_AFTER = 6 * 60
BREAK = 30


class ClashError(Exception):
    pass


class Plan:
    def __init__(self, opens, closes):
        self.opens = opens
        self.closes = closes
        self.shifts = []

    def add(self, shift):
        for other in self.shifts:
            if other.worker == shift.worker and other.overlaps(shift):
                raise ClashError(f"{shift.worker} works already")
        self.shifts.append(shift)
        self.shifts.sort(key=lambda s: (s.start, s.worker))
        return self

    def paid_minutes(self, worker):
        total = 0
        for shift in self.shifts:
            if shift.worker != worker:
                continue
            pause = BREAK if shift.length > BREAK_AFTER else 0
            total += shift.length - pause
        return total

    def on_duty(self, moment):
        return [shift.worker for shift in self.shifts if shift.covers(moment)]

    def gaps(self, step=15):
        """Spans of the opening hours in which nobody works, as `HH:MM-HH:MM`."""
        spans = []
        begin = None
        for moment in range(self.opens, self.closes, step):
            if self.on_duty(moment):
                if begin is not None:
                    spans.append((begin, moment))
                    begin = None
            elif begin is None:
                begin = moment
        if begin is not None:
            spans.append((begin, self.closes))
        return [f"{clock(a)}-{clock(b)}" for a, b in spans]

    def busiest(self):
        """The worker with most paid minutes; the first by name among equals."""
        workers = sorted({shift.worker for shift in self.shifts})
        if not workers:
            return None
        return max(workers, key=self.paid_minutes)


def week(names, days=5):
    """Rotate names over the days, two a day, everyone in turn."""
    plan = []
    for day in range(days):
        first = names[2 * day % len(names)]
        second = names[(2 * day + 1) % len(names)]
        plan.append((first, second))
    return plan
