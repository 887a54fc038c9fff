"""Abandoned carts of a log, and sessions that ended, by docs/semantics.md alone: without a line of Usher's code.

    python3 test/oracle/abandoned.py 2019-10-01-first-3h.csv.gz --format rees46 --wait 5m --finish
    python3 test/oracle/abandoned.py train-20-sessions.jsonl.gz --format otto --wait 30m --finish
    python3 test/oracle/abandoned.py log.jsonl --format log --wait 30m
    python3 test/oracle/abandoned.py 2019-10-01-first-3h.csv.gz --format rees46 --ended sessions --finish

Prints a line `["visitor", due]` for each firing of the rule

    when: { absent: order_completed, since: [cart_item_added, cart_item_removed], for: WAIT, key: cart.id }
    if: size(cart.lines) > 0

or, with --ended sessions, for each session that ended (after half an hour of silence, or --idle); in order, times in ms since 1970.

`rees46` and `otto` are files of `usher replay`: their visitors are historic, and time is that of the rows (semantics 3.2 to 3.4).
--finish moves it to the file's last row at the end, --finish 5m beyond it. A line of `log` is a record of Usher's log with the log's
stamp: {"stamp": ms, "value": {"kind": "event", ...}}; its ticks and advances move time. It is read within these bounds, and refused
beyond them: one shard, kinds event, tick and advance, one source a visitor or none, no event older than a day, none of which more than
16 numbers are missing, no `skipped`, and nobody silent for 90 days.
"""

import argparse
import csv
import gzip
import json
import re
import sys
from datetime import datetime, timezone

DAY = 86_400_000
HOLD = 50  # ms that a gap in the numbers is waited for (semantics 2.3)
HELD = 8  # events held a visitor (2.3)
MISSING = 16  # missing numbers kept a source (2.1)
FIRST = 9  # a source not known before begins at 1 if its first number is at most this (2.2)
WAITS = 8  # keys that wait at once (3.11)
ADDED, REMOVED, ORDERED = "cart_item_added", "cart_item_removed", "order_completed"


class Cart:
    """semantics 10.2, without the limits that no log here comes near."""

    def __init__(self):
        self.id = 1
        self.lines = {}  # product -> quantity
        self.ordered_at = None

    def is_ordered_already(self, kind, te):
        """An add that is not later than the latest order was in that order."""
        return kind == ADDED and self.ordered_at is not None and te <= self.ordered_at

    def take(self, kind, te, properties):
        if kind == ADDED and not self.is_ordered_already(kind, te):
            product = properties["productId"]
            self.lines[product] = self.lines.get(product, 0) + properties.get("quantity", 1)
        elif kind == REMOVED and properties["productId"] in self.lines:
            product = properties["productId"]
            left = self.lines[product] - properties.get("quantity", self.lines[product])
            if left > 0:
                self.lines[product] = left
                return
            del self.lines[product]
            if not self.lines:
                self.id += 1
        elif kind == ORDERED:
            self.lines = {}
            self.id += 1
            self.ordered_at = te if self.ordered_at is None else max(self.ordered_at, te)


class Timer:
    """semantics 3.4: due in the visitor's time, `wall` in the log's; `te` is that of the event that set it."""

    def __init__(self, id, due, wall, te):
        self.id, self.due, self.wall, self.te = id, due, wall, te


SESSION = ("session", "")


class Visitor:
    def __init__(self, name, wait, idle):
        self.name, self.wait, self.idle = name, wait, idle
        self.now = None
        self.historic = True
        self.cart = Cart()
        self.timers = {}  # ("rule", key) or SESSION -> Timer
        self.carts = []  # (name, due) of what fired
        self.sessions = []
        self.ids = set()
        self.source = None
        self.next = 1
        self.missing = set()
        self.held = {}  # number -> (record, T)
        self.last_append = None

    # -- what comes in, and when it counts (semantics 2 and 3.5) --

    def to(self, T):
        """Step (1): all that is due by the log's time T, by that time."""
        while True:
            hold = min((t for _, t in self.held.values()), default=None)
            hold = None if hold is None else hold + HOLD
            first = None if self.historic else min(self.timers.values(), key=lambda each: (each.wall, each.id), default=None)
            if hold is not None and hold <= T and (first is None or hold <= first.wall):
                self.release()
            elif first is not None and first.wall <= T:
                # Its visitor's own that are due before it go first, whatever their wall time.
                self.fire_where(lambda each: (each.due, each.id) <= (first.due, first.id))
            else:
                return

    def arrive(self, record, T):
        self.to(T)
        if "source" not in record:
            if record["id"] not in self.ids:
                self.ids.add(record["id"])
                self.fold(record, T)
            return
        number = record["sequence"]
        if self.source is None:
            self.source = record["source"]
            must(number <= FIRST, "the first number of a source is at most 9")
        must(record["source"] == self.source, "one source a visitor")
        if number in self.missing:
            self.missing.discard(number)
            self.fold(record, T)
        elif number < self.next or number in self.held:
            return  # a duplicate
        elif number > self.next:
            must(len(self.held) < HELD, "at most 8 events held")
            self.held[number] = (record, T)
        else:
            self.next += 1
            self.fold(record, T)
            self.drain()

    def drain(self):
        while self.next in self.held:
            record, T = self.held.pop(self.next)
            self.next += 1
            self.fold(record, T)

    def release(self):
        """The hold ended: what is held counts in order, and what lies between stays missing."""
        while self.held:
            first = min(self.held)
            self.missing.update(range(self.next, first))
            must(len(self.missing) <= MISSING, "at most 16 numbers missing")
            self.next = first
            self.drain()

    def fold(self, record, T):
        """Step (3), for one event that counts now; T is that of its own record."""
        te = min(record.get("at", T), T)
        if not record.get("imported"):
            must(te >= T - DAY, "no event older than a day")
        must(self.last_append is None or T <= self.last_append + 90 * DAY, "nobody silent for 90 days")
        must(self.now is None or te <= self.now + 90 * DAY, "nobody silent for 90 days")
        self.last_append = max(self.last_append or 0, T)
        self.fire_where(lambda each: each.due <= te)
        must(self.historic or not record.get("imported"), "nothing is imported for a visitor that went live")
        self.historic = self.historic and record.get("imported", False)
        self.now = te if self.now is None else max(self.now, te)
        self.shop(record["type"], te, record.get("properties", {}), T)
        # 10.1: each event starts the silence again, by visitor now.
        self.set(SESSION, self.idle, te, T)

    def advance(self, to):
        if self.historic:
            self.release()
            self.fire_where(lambda each: each.due <= to)

    # -- what it means --

    def shop(self, kind, te, properties, T):
        """The cart, and the rule's waits (3.11): the key is that of before the event, for setting and for cancelling."""
        key = ("rule", str(self.cart.id))
        waiting = self.timers.get(key)
        starts = kind in (ADDED, REMOVED) and not self.cart.is_ordered_already(kind, te)
        self.cart.take(kind, te, properties)
        if waiting is not None and te < waiting.te:
            return
        if kind == ORDERED:
            self.timers.pop(key, None)
        elif starts:
            self.set(key, self.wait, te, T)
            waits = [timer for timer in self.timers.values() if timer.id != SESSION]
            if len(waits) > WAITS:
                del self.timers[min(waits, key=lambda each: (each.due, each.id)).id]

    def set(self, id, length, te, T):
        due = self.now + length
        self.timers[id] = Timer(id, due, due + max(0, T - self.now), te)

    def fire_where(self, is_due):
        # No firing here changes a cart or sets a timer, so their order does not matter.
        for timer in [timer for timer in self.timers.values() if is_due(timer)]:
            del self.timers[timer.id]
            if timer.id == SESSION:
                self.sessions.append((self.name, timer.due))
            elif len(self.cart.lines) > 0:
                self.carts.append((self.name, timer.due))


# -- the files --


def open_text(path):
    return gzip.open(path, "rt", encoding="utf-8", newline="") if path.endswith(".gz") else open(path, encoding="utf-8", newline="")


def rees46_events(path):
    kinds = {"view": "product_viewed", "cart": ADDED, "purchase": ORDERED}
    with open_text(path) as file:
        for row in csv.DictReader(file):
            at = datetime.strptime(row["event_time"], "%Y-%m-%d %H:%M:%S UTC").replace(tzinfo=timezone.utc)
            yield "u:" + row["user_id"], kinds[row["event_type"]], int(at.timestamp()) * 1000, row["product_id"]


def otto_events(path):
    """Each `orders` is taken for an order of its own: of several at one moment the first empties the cart and the others find it empty."""
    kinds = {"clicks": "product_viewed", "carts": ADDED, "orders": ORDERED}
    with open_text(path) as file:
        for line in file:
            session = json.loads(line)
            for event in session["events"]:
                yield f"u:{session['session']}", kinds[event["type"]], event["ts"], str(event["aid"])


def replayed(events, finish):
    """As records: appended long after they happened, in the order of the file."""
    last = T = 0
    for n, (visitor, kind, at, product) in enumerate(events):
        last, T = max(last, at), max(T, at)
        properties = {"productId": product}
        yield T, {"kind": "event", "id": str(n), "visitor": visitor, "type": kind, "at": at, "imported": True, "properties": properties}
    if finish is not None:
        yield max(T, last + finish), {"kind": "advance", "to": last + finish}


def logged(path):
    with open_text(path) as file:
        for line in file:
            record = json.loads(line)
            yield record["stamp"], record["value"]


def visitors_after(records, wait, idle):
    visitors = {}
    T = 0
    for stamp, record in records:
        T = max(T, stamp)
        if record["kind"] == "event":
            must(not record.get("skipped"), "no `skipped`")
            name = record["visitor"]
            if name not in visitors:
                visitors[name] = Visitor(name, wait, idle)
            visitors[name].arrive(record, T)
        else:
            must(record["kind"] in ("advance", "tick"), f"no record of kind {record['kind']}")
            if record["kind"] == "advance":
                for visitor in visitors.values():
                    visitor.to(T)
                    visitor.advance(min(record["to"], T))
    for visitor in visitors.values():
        visitor.to(T)
    return visitors.values()


def must(holds, what):
    if not holds:
        raise ValueError(f"this log is beyond what this script reads: expected {what}")


def duration(text):
    match = re.fullmatch(r"(\d+)(s|m|h)", text)
    if match is None:
        raise argparse.ArgumentTypeError(f"{text} is no duration like 30m")
    return int(match[1]) * {"s": 1_000, "m": 60_000, "h": 3_600_000}[match[2]]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("file")
    parser.add_argument("--format", choices=("rees46", "otto", "log"), required=True)
    parser.add_argument("--ended", choices=("carts", "sessions"), default="carts")
    parser.add_argument("--wait", type=duration, default="30m", help="of the rule")
    parser.add_argument("--idle", type=duration, default="30m", help="of sessions")
    parser.add_argument("--finish", type=duration, nargs="?", const=0, metavar="WAIT")
    args = parser.parse_args()
    if args.format == "log":
        records = logged(args.file)
    else:
        records = replayed((rees46_events if args.format == "rees46" else otto_events)(args.file), args.finish)
    visitors = visitors_after(records, args.wait, args.idle)
    fired = sorted(each for visitor in visitors for each in getattr(visitor, args.ended))
    must(len(set(fired)) == len(fired), "no visitor has two waits that end at one moment")
    for each in fired:
        print(json.dumps(each))


if __name__ == "__main__":
    try:
        main()
    except (OSError, KeyError, ValueError) as error:
        print(f"cannot tell: {type(error).__name__}: {error}", file=sys.stderr)
        sys.exit(2)
