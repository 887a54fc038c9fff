"""A visitor's state, and the form in which two folds are compared."""

from plain import utf8

WHAT = ("hold", "rule", "segment", "slot", "session", "send")
COUNTS = ("folded", "duplicate", "late", "held", "skipped", "beyondWindow", "failed", "refusedTimers", "sessions")


class Timer:
    __slots__ = ("what", "key", "due", "wall", "skew", "set_at", "imported", "id")

    def __init__(self, what, key, due, wall, skew, set_at, imported=False):
        self.what, self.key, self.due, self.wall, self.skew, self.set_at = what, key, due, wall, skew, set_at
        # Set by imported records: it sends nothing (9.2).
        self.imported = imported
        # Ordered by kind, then part by part, by UTF-8 (3.4).
        self.id = (WHAT.index(what), *map(utf8, key))

    def live(self):
        """The same with its wall time, for a visitor that goes live (3.2): a calendar instant is not moved."""
        is_calendar = self.what == "slot" and self.key[2] == "until"
        wall = self.due if is_calendar else self.due + self.skew
        return Timer(self.what, self.key, self.due, wall, self.skew, self.set_at, imported=True)

    def plain(self):
        return {
            "what": self.what,
            "key": list(self.key),
            "due": self.due,
            "wallDue": self.wall,
            "skew": self.skew,
            "setAt": self.set_at,
        } | ({"imported": True} if self.imported else {})


class Arrived:
    """An event on its way into the visitor: its record, None for one that cannot be read, with the offset and T of that record."""

    __slots__ = ("record", "offset", "append_time", "bytes", "sequence")

    def __init__(self, record, offset, append_time, bytes_, sequence=None):
        self.record, self.offset, self.append_time, self.bytes, self.sequence = record, offset, append_time, bytes_, sequence


class Source:
    __slots__ = ("id", "next", "missing", "floor", "skipped", "held")

    def __init__(self, id_, next_, missing, floor):
        self.id, self.next, self.missing, self.floor = id_, next_, missing, floor
        self.skipped, self.held = set(), {}

    def first_offset(self):
        return min(event.offset for event in self.held.values())

    def plain(self):
        return {
            "id": self.id,
            "next": self.next,
            "missing": self.missing,
            "floor": self.floor,
            "skipped": sorted(self.skipped),
            "held": [
                {
                    "sequence": number,
                    "offset": event.offset,
                    "appendTime": event.append_time,
                    "bytes": event.bytes,
                    "record": event.record,
                }
                for number, event in sorted(self.held.items())
            ],
        }


class Visitor:
    """`timers` by id; `sources` with the least recently folded first. What a dict or list here holds is replaced, never changed,
    but for sources, recent ids and counts."""

    UNDONE = ("historic", "now", "last_append", "version", "traits", "session", "rules", "segments", "slots", "timers", "counts")

    def __init__(self, id_, born, append_time):
        self.id, self.key = id_, utf8(id_)
        self.sources, self.recent_ids, self.failures, self.timers = [], [], [], {}
        self.alias, self.sent, self.taken = None, None, []
        self.renew(born, append_time)

    def renew(self, born, append_time):
        """New, but for its sources, their holds, and ids (4.5)."""
        self.born, self.historic, self.now, self.last_append, self.version = born, True, 0, append_time, 0
        self.counts = dict.fromkeys(COUNTS, 0)
        self.traits, self.session, self.rules, self.segments, self.slots = {}, None, {}, {}, {}
        self.timers = {id_: timer for id_, timer in self.timers.items() if timer.what == "hold"}

    def snapshot(self):
        values = [getattr(self, name) for name in self.UNDONE]
        self.timers, self.counts = dict(self.timers), dict(self.counts)
        return values

    def undo(self, snapshot):
        for name, value in zip(self.UNDONE, snapshot):
            setattr(self, name, value)

    def held(self):
        return [event for source in self.sources for event in source.held.values()]

    def plain(self):
        return {
            "id": self.id,
            "born": self.born,
            "historic": self.historic,
            "now": self.now,
            "lastAppend": self.last_append,
            "version": self.version,
            "sources": [source.plain() for source in self.sources],
            "recentIds": self.recent_ids,
            "failures": self.failures,
            "counts": self.counts,
            "traits": self.traits,
            "session": self.session,
            "rules": self.rules,
            "segments": self.segments,
            "slots": self.slots,
            "timers": [timer.plain() for _, timer in sorted(self.timers.items())],
            "alias": self.alias,
            "sent": self.sent,
            "taken": self.taken,
        }
