"""Who visitors are (8): what becomes of one that turns out to be a known user, and of the user."""

import copy
import json
import math

from aggregates import body_of, decayed, joined, plain_of
from appending import event_id
from cel import CelError
from facts import MAX_LINES, Scope
from plain import is_number, merged
from running import KEYS, PAGE_VIEWS, WAITS, best_partials, key_text
from sending import MAX_DELAYED
from slots import SlotStep
from visitor import COUNTS, Arrived, Timer, Visitor

PROFILE_EVENT = "profile_updated"


# ── sending (8.1, 8.2) ──────────────────────────────────────────────────────


def identify(shard, read):
    id_, user = read.visitor, read.members["user"]
    visitor = None if id_.startswith("u:") else shard.arrived(shard.visitors.get(id_), id_, None)
    if visitor is None or visitor.alias is not None:
        shard.counters["refusedIdentities"] += 1
        return
    shard.release(visitor, [source for source in visitor.sources if source.held])
    profile = profile_of(visitor)
    shard.counters["identified"] += 1
    shard.counters["segmentChanges"] += len(visitor.segments)
    shown = [slot for slot, state in visitor.slots.items() if state["candidates"]]
    shard.counters["slotChanges"] += len(shown)
    slots, version, now = visitor.slots, visitor.version + 1, visitor.now
    visitor.renew(visitor.born, shard.time)
    visitor.historic, visitor.version, visitor.now, visitor.alias, visitor.timers = False, version, now, user, {}
    visitor.slots = {
        slot: {"version": version, "candidates": []} if slot in shown else state for slot, state in slots.items()
    }
    send(shard, visitor, "visitor_merged", {"profile": profile})


def forward(shard, visitor, event):
    send(shard, visitor, "forwarded", {"event": {**event.record, "at": shard.event_time(event)}})
    shard.counters["forwarded"] += 1
    visitor.last_append = max(visitor.last_append, event.append_time)


def send(shard, visitor, kind, what):
    is_same = visitor.sent is not None and visitor.sent["offset"] == shard.offset
    n = visitor.sent["count"] if is_same else 0
    visitor.sent = {"offset": shard.offset, "count": n + 1}
    output = f"{shard.offset}-{n}"
    id_ = event_id(kind, visitor.id, shard.number, output)
    base = {"v": 1, "kind": kind, "id": id_, "visitor": visitor.alias, "from": visitor.id}
    shard.sent.append({**base, "origin": {"shard": shard.number, "output": output}, **what})


def profile_of(visitor):
    return {
        "historic": visitor.historic,
        "now": visitor.now,
        "lastAppend": visitor.last_append,
        "counts": visitor.counts,
        "traits": visitor.traits,
        "session": visitor.session,
        "rules": visitor.rules,
        "segments": visitor.segments,
        "slots": {slot: state["candidates"] for slot, state in visitor.slots.items()},
        "timers": [timer.plain() for _, timer in sorted(visitor.timers.items()) if timer.what not in ("hold", "segment")],
    }


# ── taking (8.2) ────────────────────────────────────────────────────────────


def take(shard, read):
    record, user = read.members, shard.visitors.get(read.visitor)
    is_merge = read.kind == "visitor_merged"
    if is_merge:
        event, te, known_at = None, None, record["profile"]["lastAppend"]
    else:
        left_out = ("source", "sequence", "skipped", "retryOf")
        told = {name: value for name, value in record["event"].items() if name not in left_out}
        event = Arrived({**told, "visitor": read.visitor}, read.offset, shard.time, 0)
        te = shard.event_time(event)
        known_at = math.inf if told.get("imported") else told.get("at", 0)
    if shard.time > known_at + shard.retention:
        shard.counters["repeatedMoves"] += 1
        return
    origin = record["origin"]
    offset, n = map(int, origin["output"].split("-"))
    known = next((each for each in (user.taken if user else []) if each["shard"] == origin["shard"]), None)
    counts = dict(known["counts"]) if known is not None and known["offset"] == offset else {}
    is_known = known is not None and (offset < known["offset"] or n < counts.get(record["from"], 0))
    # That it came is asked of the user as it is found, which keeps what it took.
    user = shard.arrived(user, read.visitor, te) if not is_known else user
    if is_known:
        shard.counters["repeatedMoves"] += 1
        return
    counts.pop(record["from"], None)
    counts[record["from"]] = n + 1
    entry = {"shard": origin["shard"], "offset": offset, "counts": [list(each) for each in counts.items()]}
    others = [each for each in user.taken if each["shard"] != origin["shard"]]
    user.taken = sorted([*others, entry], key=lambda each: each["shard"])
    if is_merge:
        Merge(shard, user, record).run()
    else:
        shard.fold_event(user, event)


class Merge:
    """One step, by which an anonymous visitor becomes part of its user."""

    def __init__(self, shard, user, record):
        self.shard, self.user, self.before = shard, user, copy.copy(user)
        profile = record["profile"]
        self.other = other = Visitor(record["from"], shard.offset, 0)
        other.historic, other.now, other.last_append = profile["historic"], profile["now"], profile["lastAppend"]
        for name in ("counts", "traits", "session", "rules", "segments"):
            setattr(other, name, profile[name])
        of_here = lambda candidate: {**candidate, "cause": {**candidate["cause"], "offset": shard.offset}}
        other.slots = {slot: [of_here(each) for each in candidates] for slot, candidates in profile["slots"].items()}
        for timer in profile["timers"]:
            what, key = timer["what"], tuple(timer["key"])
            moved = Timer(what, key, timer["due"], timer["wallDue"], timer["skew"], shard.offset, timer.get("imported", False))
            other.timers[moved.id] = moved
        self.playbook = shard.active[0] if shard.active else None
        self.user_later = user.now >= other.now
        self.now = max(user.now, other.now)

    def order(self, user, other):
        """(the earlier's, the later's)."""
        return (other, user) if self.user_later else (user, other)

    def run(self):
        shard, user, other, before = self.shard, self.user, self.other, self.before
        goes_live = user.historic != other.historic
        user.historic = user.historic and other.historic
        user.now, user.last_append = self.now, max(user.last_append, other.last_append)
        user.counts = {name: user.counts[name] + other.counts[name] for name in COUNTS}
        user.traits = self.traits(user.traits, other.traits, False)
        user.session = self.session(before.session, other.session)
        user.rules, rule_timers = self.rules()
        user.segments = {**other.segments, **user.segments}
        step = SlotStep(user, None, shard.counters)
        user.timers = {id_: timer for id_, timer in user.timers.items() if timer.what in ("hold", "slot")}
        self.take_slots(step)
        for timer in [*rule_timers, *self.session_end()]:
            user.timers[timer.id] = timer
        if goes_live:
            shard.go_live(user)
        change = None
        if shard.active is not None:
            scope = Scope(shard.active, user, self.now)
            _, _, errors = self.playbook.segments.step(user, scope)
            shard.counters["ruleErrors"] += errors
            step.take_over(scope)
            step.try_while(scope)
            change = self.playbook.segments.next_change(user, shard.active, self.now)
        step.finish()
        shard.counters["segmentChanges"] += len(user.segments.keys() ^ before.segments.keys())
        shard.counters["merged"] += 1
        for timer in list(user.timers.values()):
            shard.set_timer(user, timer)
        if change is not None:
            shard.set_due(user, "segment", (change[1],), change[0], max(0, shard.time - self.now), shard.offset)

    # ── lists and traits ──

    def listed(self, user, other, key_of, unite=None):
        """What was seen last stands at the end."""
        first, last = ({key_of(each): each for each in side} for side in self.order(user, other))
        united = [each for key, each in first.items() if key not in last]
        for key, each in last.items():
            pair = (each, first.get(key)) if self.user_later else (first.get(key), each)
            united.append(each if key not in first or unite is None else unite(*pair))
        return united

    def traits(self, user, other, per_session):
        declared = {trait.name: trait for trait in self.playbook.traits} if self.playbook else {}
        united = {}
        for name in [*user, *(name for name in other if name not in user)]:
            trait = declared.get(name)
            if trait is None or trait.per_session != per_session:
                state = user.get(name) if user.get(name) is not None else other.get(name)
            else:
                state = self.trait(trait, user.get(name), other.get(name))
            if state is not None:
                united[name] = state
        return united

    def trait(self, trait, user, other):
        if trait.kind == "cart":
            return cart_of(user, other) if user is not None and other is not None else user or other
        if trait.is_structured:
            a, b = body_of(trait, user), body_of(trait, other)
            if a is None or b is None:
                return user if a is not None else other if b is not None else None
            if trait.by is None:
                return [trait.signature, self.body(trait, a, b)]
            groups = self.listed(a, b, lambda each: each[0], lambda a, b: [a[0], self.body(trait, a[1], b[1])])
            return [trait.signature, groups[-trait.groups :]]
        user, other = plain_of(trait, user), plain_of(trait, other)
        if user is None or other is None:
            return other if user is None else user
        if trait.path[0] == "consent":
            return False if user is False or other is False else self.order(user, other)[1]
        if trait.events == [PROFILE_EVENT] or trait.kind == "first":
            return user
        if trait.kind == "recent":
            return self.listed(user[::-1], other[::-1], key_of_value)[-trait.limit :][::-1]
        if trait.kind in ("count", "sum", "min", "max"):
            return joined(trait.kind, user, other)
        return self.order(user, other)[1]

    def body(self, trait, user, other):
        window = trait.window
        if trait.kind == "score":
            at = max(user[1], other[1])
            return [joined("sum", *(decayed(each, at, trait.half_life) for each in (user, other))), at]
        oldest = window.oldest(self.now) if window else None
        if trait.kind == "distinct":
            if window is None:
                return self.listed(user, other, key_of_value)[-trait.limit :]
            seen = self.listed(user, other, lambda each: key_of_value(each[0]), lambda a, b: [a[0], max(a[1], b[1])])
            return [each for each in seen if each[1] >= oldest][-trait.limit :]
        if window is None:
            return self.cell(trait.kind, user, other)
        steps = {step: cell for step, cell in other}
        for step, cell in user:
            steps[step] = self.cell(trait.kind, cell, steps[step]) if step in steps else cell
        return [[step, steps[step]] for step in sorted(steps) if step >= oldest]

    def cell(self, kind, user, other):
        return user if kind == "first" else joined(kind, *self.order(user, other))

    # ── session, rules, slots ──

    def session(self, user, other):
        if user is None or other is None:
            only = user or other
            return only and {**only, "number": self.user.counts["sessions"]}
        first, last = (user, other) if other["startedAt"] > user["startedAt"] else (other, user)
        return {
            "number": self.user.counts["sessions"],
            "startedAt": first["startedAt"],
            "campaign": first["campaign"] if last["campaign"] is None else last["campaign"],
            "traits": self.traits(user["traits"], other["traits"], True),
        }

    def session_end(self):
        ends = [timer for side in (self.before, self.other) for timer in side.timers.values() if timer.what == "session"]
        return [max(ends, key=lambda timer: timer.due)] if ends and self.user.session is not None else []

    def rules(self):
        user, other = self.before.rules, self.other.rules
        left = [{t.id: t for t in side.timers.values() if t.what == "rule"} for side in (self.before, self.other)]
        united, timers = {}, []
        delayed = [timer for timer in self.before.timers.values() if timer.what == "send"]
        for name in sorted({*user, *other}):
            a, b = user.get(name), other.get(name)
            kind, per, *_ = [*name.split(".", 2), ""]
            if kind == "wait":
                state, kept = self.waits(name[5:], a or [], b or [], left)
                timers += kept
            elif kind == "quiet":
                state = self.delayed(name[6:], a or [], b or [], delayed)
            elif kind in ("limit", "group"):
                state = self.count_by(name, kind, per, a, b)
            elif a is None or b is None:
                state = b if a is None else a
            elif kind == "cool":
                state = max(a, b)
            elif kind == "spent":
                state = self.listed(a, b, key_of_value)[-PAGE_VIEWS:]
            elif kind == "seq":
                state = best_partials([*self.order(a, b)[0], *self.order(a, b)[1]])
            else:
                state = a
            if state not in (None, []):
                united[name] = state
        rest = dict(left[0])
        for id_, timer in left[1].items():
            if id_ not in rest or timer.due > rest[id_].due:
                rest[id_] = timer
        return united, [*timers, *rest.values(), *delayed]

    def count_by(self, name, kind, per, user, other):
        if per == "key":
            cel = self.limit_key(name, kind)
            lists = [self.renamed(counts or [], cel, side) for counts, side in ((user, self.before), (other, self.other))]
            return self.listed(*lists, lambda each: each[0], lambda a, b: [a[0], a[1] + b[1]])[-KEYS:]
        if per == "session":
            user, other = self.of_open(user, self.before), self.of_open(other, self.other)
        if user is None or other is None:
            return other if user is None else user
        if user[0] != other[0]:
            return user if user[0] > other[0] else other
        return [user[0], user[1] + other[1]]

    def of_open(self, count, side):
        number = side.session["number"] if side.session else 0
        united = self.user.session["number"] if self.user.session else 0
        is_open = count is not None and count[0] == number and (number or not united)
        return [united, count[1]] if is_open else None

    def limit_key(self, name, kind):
        of = name[len(kind) + 5 :]
        for id_, rule in sorted(self.playbook.rules.items()) if self.playbook else ():
            limit = rule.limit
            if limit is not None and limit.per == "key" and (id_ == of if kind == "limit" else limit.group == of):
                return limit.key
            if kind == "limit" and id_ == of:
                return limit and limit.key
        return None

    def cart_keys(self, cel, side):
        """The text of the cart's key before, and of the united cart's; None: it is the key of something else."""
        if cel is None or [".".join(path) if not isinstance(path, str) else path for path in cel.reads] != ["cart.id"]:
            return None
        try:
            texts = [key_text(cel.value(Scope(self.shard.active, whose, whose.now))) for whose in (side, self.user)]
        except CelError:
            return None
        return None if None in texts else texts

    def renamed(self, counts, cel, side):
        keys = self.cart_keys(cel, side)
        return [[keys[1], *each[1:]] if keys and each[0] == keys[0] else each for each in counts]

    def waits(self, id_, user, other, left):
        rule = self.playbook.rules.get(id_) if self.playbook else None
        rule = rule if rule is not None and rule.kind == "absence" else None
        ordered = [self.user.traits.get(t.name, [1, [], None])[2] for t in self.playbook.traits if t.kind == "cart"] if rule else []
        ordered_at = max((at for at in ordered if at is not None), default=None)
        lists = []
        for waits, side, timers in ((user, self.before, left[0]), (other, self.other, left[1])):
            own = {timer.key[1]: timers.pop(timer.id) for timer in list(timers.values()) if timer.key[0] == id_}
            keys = self.cart_keys(rule and rule.key, side)
            kept = []
            for key, at, *rest in waits:
                is_of_cart = rule is not None and (rule.key is None or keys is not None and key == keys[0])
                ends = rule is not None and any(type_ in self.playbook.orders for type_ in rule.absent)
                if is_of_cart and ends and ordered_at is not None and at <= ordered_at:
                    continue
                text = keys[1] if keys is not None and key == keys[0] else key
                kept.append((text, [text, at, *rest], own.get(key)))
            lists.append(kept)
        all_ = self.listed(*lists, lambda each: each[0], lambda a, b: b if b[1][1] > a[1][1] else a)[-WAITS:]
        timers = [Timer("rule", (id_, text), t.due, t.wall, t.skew, t.set_at, t.imported) for text, _, t in all_ if t is not None]
        return [wait for _, wait, _ in all_], timers

    def delayed(self, rule, user, other, timers):
        carts = [Scope(self.shard.active, whose, whose.now)["cart"]["id"] for whose in (self.other, self.user)] if self.playbook else None
        all_ = list(user)
        for message in other:
            timer = next((t for t in self.other.timers.values() if t.what == "send" and t.key == (rule, str(message[0]))), None)
            if timer is None or len(timers) >= MAX_DELAYED or any(each[0] == message[0] for each in all_):
                continue
            cart = message[7]
            all_.append([*message[:7], carts[1] if carts and cart is not None and cart == carts[0] else cart])
            timers.append(timer)
        return all_

    def take_slots(self, step):
        for slot, candidates in self.other.slots.items():
            for candidate in candidates:
                rule = candidate["rule"]
                own = next((each for each in step.candidates(slot) if each["rule"] == rule), None)
                if own is not None and own["cause"]["at"] >= candidate["cause"]["at"]:
                    continue
                if step.add(slot, candidate, self.shard.settings["candidates"]):
                    ends = [t for t in self.other.timers.values() if t.what == "slot" and t.key[:2] == (slot, rule)]
                    self.user.timers.update({timer.id: timer for timer in ends})


def cart_of(user, other):
    ordered = [at for at in (user[2], other[2]) if at is not None]
    ordered_at = max(ordered, default=None)
    lines = {line[0]: line for line in user[1]}
    for line in other[1]:
        if line[0] not in lines or line[3] > lines[line[0]][3]:
            lines[line[0]] = line
    left = [line for line in lines.values() if ordered_at is None or line[3] > ordered_at]
    return [user[0] + other[0] - 1, left[:MAX_LINES], ordered_at]


def key_of_value(value):
    return ("number", float(value)) if is_number(value) else json.dumps(value)
