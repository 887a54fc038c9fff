"""The fold of one shard's log (docs/semantics.md, 1.5, 2, 3, 4.5, 5, 6.1)."""

from collections import Counter
from heapq import heappop, heappush

import identity
from appending import MAX_DEPTH, event_id, is_valid
from decide import decide, decide_firing, phrase_of
from facts import Scope
from failure import EventFailure
from plain import id_hash, shard_of, utf8
from record import Read
from running import recounted, with_state
from sending import action_id, delay, is_wanted, quiet_until, send_of
from slots import SlotStep
from visitor import Arrived, Source, Timer, Visitor

DEFAULTS = {
    "maxEventAgeMs": 24 * 3_600_000,
    "visitorRetentionMs": 90 * 24 * 3_600_000,
    "aliasRetentionMs": 90 * 24 * 3_600_000,
    "holdMs": 50,
    "sources": 8,
    "missing": 16,
    "skippedAhead": 128,
    "firstNumber": 9,
    "recentIds": 512,
    "heldEvents": 8,
    "heldBytes": 8192,
    "candidates": 4,
    "failures": 128,
}
COUNTERS = (
    "folded duplicate late held skipped beyondWindow failed refusedTimers droppedTimers timersFired rulesFired ruleErrors"
    " slotChanges segmentChanges emitted refusedEmits ordered delayedOrders withheld identified refusedIdentities forwarded"
    " merged repeatedMoves visitors expiredVisitors"
).split()
DEFAULT_IDLE_MS = 30 * 60_000


class Shard:
    def __init__(self, number, shards, bundles, settings=None):
        self.number, self.shards, self.bundles = number, shards, bundles
        self.settings = {**DEFAULTS, **(settings or {})}
        self.retention = self.settings["visitorRetentionMs"]
        self.visitors = {}
        self.wall = []
        self.pushed = 0
        self.time = self.position = self.offset = 0
        self.activation = self.active = self.last_id = None
        self.counters = dict.fromkeys(COUNTERS, 0)
        self.failed, self.appended, self.ordered, self.sent = [], [], [], []
        # Whether what is set now follows from imported records.
        self.is_inherited = False
        self.folded, self.fired = [], []

    def fold(self, offset, stamp, value):
        read = Read(offset, value)
        self.offset = offset
        self.time = max(self.time, stamp)
        self.fire_wall()
        kind = None if read.failure else read.kind
        if kind == "advance":
            self.advance(min(int(read.members["to"]), self.time))
        elif kind == "activate":
            self.activation = {name: read.members[name] for name in ("playbook", "catalog", "foldVersion")}
            self.active = self.bundles(read.members["playbook"]), self.bundles(read.members["catalog"])
        elif kind != "tick":
            self.fold_of_visitor(read)
        self.last_id = None if read.failure else read.id
        self.position = offset + 1

    def fold_of_visitor(self, read):
        visitor = self.visitors.get(read.visitor)
        if read.visitor is not None and shard_of(read.visitor, self.shards) != self.number:
            self.fail(read.offset, "WRONG_SHARD", read.visitor, read.type)
        elif not read.failure and read.kind == "touched":
            if visitor is not None and (visitor.alias is not None or self.time <= visitor.last_append + self.retention):
                self.touch(visitor)
        elif not read.failure and read.kind == "redriven":
            order = read.members["order"]
            self.order({**order, "redriven": order["redriven"] + 1})
        elif not read.failure and read.kind == "identified":
            identity.identify(self, read)
        elif not read.failure and read.kind in ("visitor_merged", "forwarded"):
            identity.take(self, read)
        elif read.visitor is None or read.number is None and (not read.is_event or read.id is None):
            self.fail(read.offset, read.failure, read.visitor, read.type)
        else:
            self.arrive(visitor, read)

    # ── failed events and counts ──────────────────────────────────────────────

    def fail(self, offset, reason, visitor, type_):
        position = f"{self.number}:{offset}"
        self.failed.append(
            {"position": position, "reason": reason, "visitor": visitor, "type": type_, "failedAt": self.time}
        )
        self.counters["failed"] += 1

    def count(self, visitor, name, by=1):
        visitor.counts[name] += by
        self.counters[name] += by

    # ── timers (3.4–3.6) ──────────────────────────────────────────────────────

    def set_timer(self, visitor, timer):
        visitor.timers[timer.id] = timer
        if timer.wall is not None:
            self.pushed += 1
            heappush(self.wall, (timer.wall, visitor.key, timer.id, self.pushed, visitor, timer))

    def is_set(self, visitor, timer):
        return self.visitors.get(visitor.id) is visitor and visitor.timers.get(timer.id) is timer

    def fire_wall(self):
        """Step (1) of 3.5."""
        while self.wall and self.wall[0][0] <= self.time:
            *_, visitor, timer = heappop(self.wall)
            if not self.is_set(visitor, timer):
                continue
            if timer.what != "hold":
                # As long as it is set: one that fires before it may cancel it, or set it anew.
                is_before = lambda own: self.is_set(visitor, timer) and (own.due, own.id) < (timer.due, timer.id)
                self.fire_own(visitor, is_before)
            if self.is_set(visitor, timer):
                self.fire(visitor, timer)

    def fire_own(self, visitor, is_due, inside=None):
        """The visitor's own timers, holds excepted, by (due, id); `inside` of which event, if of one."""
        while self.visitors.get(visitor.id) is visitor:
            due = [timer for timer in visitor.timers.values() if timer.what != "hold" and is_due(timer)]
            if not due:
                return
            self.fire(visitor, min(due, key=lambda timer: (timer.due, timer.id)), inside)

    def fire(self, visitor, timer, inside=None):
        if timer.what == "hold":
            self.note_fired(timer)
            self.release(visitor, [self.source_of(visitor, timer.key[0])])
            return
        outlives = timer.wall is not None and timer.wall > visitor.last_append + self.retention
        if timer.due > visitor.now + self.retention or outlives:
            self.counters["droppedTimers"] += 1
            self.counters["expiredVisitors"] += 1
            if inside is not None or visitor.held():
                self.counters["visitors"] += 1
                found = (self.offset, self.time) if inside is None else (inside.offset, inside.append_time)
                visitor.renew(*found)
            else:
                del self.visitors[visitor.id]
            return
        self.note_fired(timer)
        del visitor.timers[timer.id]
        self.is_inherited = timer.imported
        self.fire_step(visitor, timer)
        self.is_inherited = False

    def fire_step(self, visitor, timer):
        now = max(visitor.now, timer.due)
        step = SlotStep(visitor, self.scope_of(visitor, timer.due), self.counters)
        if timer.what == "session":
            visitor.session = None
        elif timer.what == "slot":
            step.remove(timer.key[0], timer.key[1])
        is_lost, decision = timer.what in ("rule", "segment"), None
        if self.active is not None:
            playbook = self.active[0]
            rule = playbook.rules.get(timer.key[0]) if timer.what == "rule" else None
            rule = rule if rule is not None and rule.live and rule.kind == "absence" else None
            is_gone = timer.what == "segment" and timer.key[0] not in ("", *playbook.segments.conditions)
            is_lost = timer.what == "rule" and rule is None or is_gone
            decision = decide_firing(visitor, now, self.active, timer, rule)
        self.counters["droppedTimers"] += is_lost
        if decision is not None:
            for shown in decision.shown:
                wait = decision.wait if timer.what == "rule" and shown[0].id == timer.key[0] else None
                cause = self.cause(timer.set_at, *(wait or ["", now, "", ""])[1:], shown[4])
                self.show(visitor, step, *shown[:4], cause, timer.skew, now)
            self.finish(visitor, decision, step, timer.skew, timer.set_at, now, 0, timer.due)
            if timer.what == "send":
                self.order_delayed(visitor, timer, decision.scope)
        else:
            step.finish()

    def finish(self, visitor, decision, step, skew, set_at, now, depth, due_of_timer=None):
        """What every step that decides ends with: `while`, timers, appended events, counts."""
        step.try_while(decision.scope)
        step.finish()
        for rule, key, due in decision.waits:
            if due is None:
                visitor.timers.pop(Timer("rule", (rule.id, key), 0, None, 0, 0).id, None)
            else:
                self.set_due(visitor, "rule", (rule.id, key), due, skew, set_at)
        visitor.timers = {id_: timer for id_, timer in visitor.timers.items() if timer.what != "segment"}
        if decision.next_change is not None:
            due, segment = decision.next_change
            self.set_due(visitor, "segment", (segment,), due, skew, set_at)
        for rule, place, type_, properties in decision.emitted:
            fits = not visitor.historic and depth < MAX_DEPTH and is_valid(properties, self.active[0].events[type_].schema)
            self.counters["emitted" if fits else "refusedEmits"] += 1
            if fits:
                id_ = event_id(visitor.id, f"{self.number}:{set_at}", now, rule.id, place)
                event = {"v": 1, "kind": "event", "id": id_, "visitor": visitor.id, "type": type_, "properties": properties}
                self.appended.append({**event, "at": now, "depth": depth + 1})
        for rule, place, entry, values, facts, by in decision.sent:
            if visitor.historic or self.is_inherited:
                self.counters["withheld"] += 1
                continue
            due = "" if due_of_timer is None else due_of_timer
            id_ = action_id(visitor.id, f"{self.number}:{set_at}", due, rule.id, place)
            cart = decision.scope["cart"]["id"] if entry.action.has_cart else None
            message = [place, entry.action.id, id_, now, values, facts, by, cart]
            self.order_or_delay(visitor, rule, entry, message, decision.scope, set_at)
        self.counters["withheld"] += decision.withheld
        self.counters["segmentChanges"] += len(decision.entered) + len(decision.left)
        self.counters["rulesFired"] += decision.fired
        self.counters["ruleErrors"] += decision.errors

    # ── messages (9.1, 9.6) ───────────────────────────────────────────────────

    def order(self, order):
        self.ordered.append(order)
        self.counters["ordered"] += 1

    def order_or_delay(self, visitor, rule, entry, message, scope, set_at):
        action = entry.action
        until = quiet_until(action.quiet, self.time, scope)
        if until is not None:
            make = lambda *timer: self.set_timer(visitor, Timer(*timer))
            is_kept = delay(visitor, rule, message, set_at, until, make)
            self.counters["delayedOrders" if is_kept else "withheld"] += 1
            return
        place, _, id_, at, values, facts, *_ = message
        told = action.message(values, scope)
        if told is None:
            self.counters["withheld"] += 1
            return
        to, kept = told
        where = {"action": action.id, "destination": action.destination, "rule": rule.id, "entry": place}
        whose = {"v": 1, "id": id_, "visitor": visitor.id, "playbook": self.active[0].version, "purpose": entry.purpose}
        self.order({**whose, **where, "to": to, "with": kept, "facts": facts, "at": at, "orderedAt": self.time, "redriven": 0})

    def order_delayed(self, visitor, timer, scope):
        rule_id, place = timer.key[0], int(timer.key[1])
        name = f"quiet.{rule_id}"
        found = [message for message in visitor.rules.get(name, []) if message[0] == place]
        if not found:
            return
        visitor.rules = with_state(visitor.rules, name, [each for each in visitor.rules[name] if each[0] != place])
        [message] = found
        playbook = self.active[0]
        rule, entry = playbook.rules.get(rule_id), send_of(playbook, rule_id, place, message[1])
        may, by = False, None
        if entry is not None and is_wanted(rule, entry, message[7], scope):
            may, by = recounted(visitor, rule, message[6], scope)
        if not may:
            self.counters["withheld"] += 1
            return
        self.order_or_delay(visitor, rule, entry, [*message[:6], by, message[7]], scope, timer.set_at)

    def cause(self, offset, at, id_, type_, says):
        return {"offset": offset, "eventId": id_, "eventType": type_, "at": at, "says": says}

    def note_fired(self, timer):
        self.counters["timersFired"] += 1
        self.fired.append(" ".join((timer.what, *timer.key)))

    def scope_of(self, visitor, due=0):
        return None if self.active is None else Scope(self.active, visitor, max(visitor.now, due))

    def advance(self, to):
        """3.6: the holds of historic visitors, then their timers, up to an event time."""
        historic = [visitor for visitor in self.visitors.values() if visitor.historic]
        holds = [(t.wall, v.key, t.id, v, t) for v in historic for t in v.timers.values() if t.what == "hold"]
        for *_, visitor, timer in sorted(holds, key=lambda hold: hold[:3]):
            if visitor.historic and self.is_set(visitor, timer):
                self.fire(visitor, timer)
        # Visitors do not see each other, so each may go by itself.
        for visitor in sorted(historic, key=lambda visitor: visitor.key):
            if visitor.historic:
                self.fire_own(visitor, lambda timer: timer.due <= to)

    def touch(self, visitor):
        if self.active is None:
            return
        step = SlotStep(visitor, self.scope_of(visitor), self.counters)
        step.try_while(self.scope_of(visitor))
        step.finish()

    # ── arrival: duplicates, numbers, holds (§2) ──────────────────────────────

    def arrive(self, visitor, read):
        event = Arrived(None if read.failure else read.members, read.offset, self.time, read.bytes)
        at = None if event.record is None else self.event_time(event)
        known, visitor = visitor, self.arrived(visitor, read.visitor, at)
        was_expired = known is not None and visitor is not known
        if read.number is None:
            self.arrive_unnumbered(visitor, event, read)
        else:
            self.arrive_numbered(visitor, event, read, was_expired)

    def arrived(self, known, id_, at):
        """The visitor as a record finds it, new or known (4.5); `at`: te of an event."""
        if known is not None and not self.is_expired(known, at):
            return known
        self.counters["expiredVisitors"] += known is not None
        self.counters["visitors"] += 1
        visitor = self.visitors[id_] = Visitor(id_, self.offset, self.time)
        visitor.taken = known.taken if known is not None else []
        return visitor

    def is_expired(self, visitor, at):
        alias = 0 if visitor.alias is None else self.settings["aliasRetentionMs"]
        retention = max(self.retention, alias)
        if self.time > visitor.last_append + retention:
            return True
        return at is not None and visitor.counts["folded"] > 0 and at > visitor.now + retention

    def arrive_unnumbered(self, visitor, event, read):
        if event.record is not None and "retryOf" in event.record:
            self.retry(visitor, event)
            return
        hash_ = id_hash(read.id)
        if hash_ in visitor.recent_ids:
            self.count(visitor, "duplicate")
            return
        visitor.recent_ids.append(hash_)
        del visitor.recent_ids[: -self.settings["recentIds"]]
        if read.failure:
            self.fail_of(visitor, read.offset, read.failure, read.type)
        else:
            self.fold_event(visitor, event)

    def retry(self, visitor, event):
        """1.7: that the visitor has such a failed event decides alone."""
        position = event.record["retryOf"]
        retried = [offset for offset in visitor.failures if position == f"{self.number}:{offset}"]
        if not retried:
            self.count(visitor, "duplicate")
            return
        visitor.failures.remove(retried[0])
        self.failed = [failed for failed in self.failed if failed["position"] != position]
        self.fold_event(visitor, event)

    def arrive_numbered(self, visitor, event, read, was_expired):
        source_id, number, skipped = read.number
        event.sequence = number
        source = self.source_of(visitor, source_id)
        if source is None:
            source = self.new_source(visitor, source_id, number, was_expired)
        self.skip(visitor, source, number, skipped)
        if number >= source.next:
            if number in source.held or number in source.skipped:
                self.count(visitor, "duplicate")
                return
        elif number not in source.missing:
            if number <= source.floor:
                self.count(visitor, "beyondWindow")
                self.fail_of(visitor, read.offset, read.failure or "BEYOND_WINDOW", read.type)
            else:
                self.count(visitor, "duplicate")
            return
        if read.failure:
            self.fail_of(visitor, read.offset, read.failure, read.type)
        if number < source.next:
            source.missing.remove(number)
            self.see(visitor, source, event, late=True)
        elif number == source.next:
            source.next += 1
            self.see(visitor, source, event)
            self.close_gap(visitor, source)
        else:
            self.hold(visitor, source, event)

    def source_of(self, visitor, id_):
        return next((source for source in visitor.sources if source.id == id_), None)

    def new_source(self, visitor, id_, number, was_expired):
        if len(visitor.sources) >= self.settings["sources"]:
            leaving = visitor.sources[0]
            if leaving.held:
                self.release(visitor, [leaving])
            visitor.sources.remove(leaving)
        if number <= self.settings["firstNumber"] and not was_expired:
            source = Source(id_, 1, [], 0)
        else:
            kept = self.settings["missing"]
            source = Source(id_, number, list(range(max(1, number - kept), number)), max(0, number - kept - 1))
        visitor.sources.append(source)
        return source

    def skip(self, visitor, source, number, skipped):
        for each in skipped:
            if each in source.missing:
                source.missing.remove(each)
            elif not source.next <= each < number or each in source.held or each in source.skipped:
                continue
            elif len(source.skipped) < self.settings["skippedAhead"] or each == source.next:
                source.skipped.add(each)
            else:
                continue
            self.count(visitor, "skipped")
            self.pass_skipped(source)
        self.close_gap(visitor, source)

    def pass_skipped(self, source):
        while source.next in source.skipped:
            source.skipped.remove(source.next)
            source.next += 1

    def close_gap(self, visitor, source):
        """Folds what was held and is the next now."""
        self.pass_skipped(source)
        while source.next in source.held:
            event = source.held.pop(source.next)
            source.next += 1
            self.pass_skipped(source)
            self.see(visitor, source, event)
        self.set_hold(visitor, source)

    def see(self, visitor, source, event, late=False):
        """A number counts as seen: its source is the most recently folded, its event folds if there is one."""
        visitor.sources.remove(source)
        visitor.sources.append(source)
        if event.record is not None:
            self.fold_event(visitor, event, late)

    def hold(self, visitor, source, event):
        held = visitor.held()
        fits = len(held) < self.settings["heldEvents"]
        fits = fits and sum(each.bytes for each in held) + event.bytes <= self.settings["heldBytes"]
        source.held[event.sequence] = event
        if fits:
            self.count(visitor, "held")
            self.set_hold(visitor, source)
        else:
            self.release(visitor, [each for each in visitor.sources if each.held])

    def set_hold(self, visitor, source):
        id_ = Timer("hold", (source.id,), None, None, 0, 0).id
        if not source.held:
            visitor.timers.pop(id_, None)
            return
        first = min(source.held.values(), key=lambda event: event.offset)
        was = visitor.timers.get(id_)
        if was is None or was.set_at != first.offset:
            wall = first.append_time + self.settings["holdMs"]
            self.set_timer(visitor, Timer("hold", (source.id,), None, wall, 0, first.offset))

    def release(self, visitor, sources):
        """Lets all held events of these sources go, by each one's first; the numbers between stay missing."""
        for source in sorted(sources, key=Source.first_offset):
            while source.held:
                number = min(source.held)
                event = source.held.pop(number)
                self.leave_missing(source, number)
                self.see(visitor, source, event)
            self.set_hold(visitor, source)

    def leave_missing(self, source, number):
        kept = self.settings["missing"]
        # Below this, all would be dropped again.
        from_ = max(source.next, number - kept - len(source.skipped) - 1)
        if from_ > source.next:
            source.floor = max(source.floor, from_ - 1)
        missing = source.missing + [n for n in range(from_, number) if n not in source.skipped]
        source.skipped = {n for n in source.skipped if n > number}
        source.next = number + 1
        if len(missing) > kept:
            source.floor = max(source.floor, missing[-kept - 1])
        source.missing = missing[-kept:]
        self.pass_skipped(source)

    # ── an event folds (3.5 (3)) ──────────────────────────────────────────────

    def event_time(self, event):
        record, append_time = event.record, event.append_time
        if "at" not in record:
            return append_time
        at = min(int(record["at"]), append_time)
        return at if record.get("imported") else max(at, append_time - self.settings["maxEventAgeMs"])

    def fail_of(self, visitor, offset, reason, type_):
        visitor.counts["failed"] += 1
        visitor.failures.append(offset)
        del visitor.failures[: -self.settings["failures"]]
        self.fail(offset, reason, visitor.id, type_)

    def fold_event(self, visitor, event, late=False):
        if visitor.alias is not None:
            identity.forward(self, visitor, event)
            return
        at = self.event_time(event)
        self.fire_own(visitor, lambda timer: timer.due <= at, event)
        snapshot = visitor.snapshot()
        counters = dict(self.counters)
        try:
            self.decide(visitor, event, at)
        except EventFailure as failure:
            visitor.undo(snapshot)
            self.counters = counters
            self.fail_of(visitor, event.offset, failure.args[0], event.record["type"])
            return
        if late:
            self.count(visitor, "late")

    def go_live(self, visitor):
        visitor.historic = False
        for timer in list(visitor.timers.values()):
            if timer.what != "hold" and timer.wall is None:
                self.set_timer(visitor, timer.live())
        visitor.slots = {
            slot: {**state, "candidates": [self.with_end(visitor, slot, each) for each in state["candidates"]]}
            for slot, state in visitor.slots.items()
        }

    def with_end(self, visitor, slot, candidate):
        ends = [
            timer.due if timer.wall is None else timer.wall
            for timer in visitor.timers.values()
            if timer.what == "slot" and timer.key[:2] == (slot, candidate["rule"])
        ]
        return {**candidate, "expiresAt": min(ends, default=None)}

    def decide(self, visitor, event, at):
        record = event.record
        imported = "imported" in record
        if imported and not visitor.historic:
            raise EventFailure("IMPORT_INTO_LIVE")
        if not imported and visitor.historic:
            self.go_live(visitor)
        scope = self.scope_of(visitor)
        step = SlotStep(visitor, scope, self.counters)
        visitor.now = max(visitor.now, at)
        visitor.last_append = max(visitor.last_append, event.append_time)
        skew = max(0, event.append_time - visitor.now)
        decision = decide(visitor, record, at, self.active)
        idle = DEFAULT_IDLE_MS if self.active is None else self.active[0].idle_ms
        self.set_due(visitor, "session", (), visitor.now + idle, skew, event.offset)
        if decision is None:
            step.finish()
        else:
            says = phrase_of(record, self.active[0], decision.scope) if decision.shown else None
            for *shown, words in decision.shown:
                cause = self.cause(event.offset, at, record["id"], record["type"], words or says)
                self.show(visitor, step, *shown, cause, skew, visitor.now)
            self.finish(visitor, decision, step, skew, event.offset, visitor.now, int(record.get("depth", 0)))
        self.count(visitor, "folded")
        self.folded.append(record["id"])

    def set_due(self, visitor, what, key, due, skew, set_at, is_calendar=False):
        wall = None if visitor.historic else due if is_calendar else due + skew
        self.set_timer(visitor, Timer(what, key, due, wall, skew, set_at, self.is_inherited))

    def show(self, visitor, step, rule, entry, show, facts, cause, skew, now):
        if show.until is not None and show.until <= now:
            return
        candidate = {
            "rule": rule.id,
            "entry": entry,
            "content": show.content,
            "priority": rule.priority + show.raised,
            "playbook": self.active[0].version,
            "cause": cause,
            "facts": facts,
            "expiresAt": None,
        }
        if not step.add(show.slot, candidate, self.settings["candidates"]):
            return
        for end, due in (("for", show.for_ms and now + show.for_ms), ("until", show.until)):
            if due is not None:
                key = (show.slot, rule.id, end)
                self.set_due(visitor, "slot", key, due, skew, cause["offset"], is_calendar=end == "until")
        candidate["expiresAt"] = self.with_end(visitor, show.slot, candidate)["expiresAt"]

    # ── what it folded to ─────────────────────────────────────────────────────

    def meta(self):
        sizes = Counter(id_ for visitor in self.visitors.values() for id_ in visitor.segments)
        return {
            "position": self.position,
            "appendTime": self.time,
            "active": self.activation,
            "lastId": self.last_id,
            "counters": self.counters,
            "segments": sizes,
        }
