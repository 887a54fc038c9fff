"""Slots of a visitor (5.1–5.3). A candidate is a plain dict, as the state has it; it is replaced, never changed."""

from cel import CelError
from facts import CapturedScope
from rules import Show
from sending import consents

READ = ("rule", "content", "playbook", "facts")


def ordered(candidates):
    return sorted(candidates, key=lambda candidate: (-candidate["priority"], candidate["rule"]))


def show_of(candidate, playbook):
    """The entry that a candidate is from, in this playbook; None: its rule is gone, paused or shows elsewhere."""
    rule = playbook.rules.get(candidate["rule"])
    if rule is None or not rule.live or candidate["entry"] >= len(rule.entries):
        return None
    entry = rule.entries[candidate["entry"]]
    return entry if isinstance(entry, Show) else None


class SlotStep:
    """One step of a visitor: an event, a firing or a touch. It begins by deciding anew what another playbook decided."""

    def __init__(self, visitor, scope, counters):
        self.visitor, self.counters, self.before = visitor, counters, visitor.slots
        if scope is not None:
            self.take_over(scope)

    def take_over(self, scope):
        playbook = scope.playbook
        for slot, state in self.visitor.slots.items():
            if all(candidate["playbook"] == playbook.version for candidate in state["candidates"]):
                continue
            kept = []
            for candidate in state["candidates"]:
                if candidate["playbook"] != playbook.version:
                    show = show_of(candidate, playbook)
                    if show is None or show.slot != slot or not self.holds(show, candidate, scope):
                        self.cancel(slot, candidate["rule"])
                        continue
                    candidate = {
                        **candidate,
                        "content": show.content,
                        "priority": playbook.rules[candidate["rule"]].priority + show.raised,
                        "playbook": playbook.version,
                    }
                kept.append(candidate)
            self.set(slot, ordered(kept))

    def holds(self, show, candidate, scope):
        """Whether it is not excluded, and its `while` holds; one that throws fails."""
        if not consents(show.purpose, scope):
            return False
        known = scope["visitor"]
        bought = dict(candidate["facts"]).get("product.id") if show.bought else None
        if bought is not None and bought in known["boughtProducts"]:
            return False
        if show.shown is not None and known["timesShown"].get(candidate["content"], 0) >= show.shown:
            return False
        if show.holds is None:
            return True
        try:
            return show.holds.holds(CapturedScope(scope, candidate["facts"]))
        except CelError:
            self.counters["ruleErrors"] += 1
            return False

    def candidates(self, slot):
        return self.visitor.slots[slot]["candidates"] if slot in self.visitor.slots else []

    def set(self, slot, candidates):
        version = self.before[slot]["version"] if slot in self.before else 0
        self.visitor.slots = {**self.visitor.slots, slot: {"version": version, "candidates": candidates}}

    def cancel(self, slot, rule):
        for id_, timer in list(self.visitor.timers.items()):
            if timer.what == "slot" and timer.key[:2] == (slot, rule):
                del self.visitor.timers[id_]

    def remove(self, slot, rule):
        self.set(slot, [candidate for candidate in self.candidates(slot) if candidate["rule"] != rule])
        self.cancel(slot, rule)

    def add(self, slot, candidate, limit):
        """One a rule; a fifth drops the last. True: it is not the last one that was dropped."""
        rule = candidate["rule"]
        self.cancel(slot, rule)
        others = [each for each in self.candidates(slot) if each["rule"] != rule]
        candidates = ordered([*others, candidate])
        for dropped in candidates[limit:]:
            self.cancel(slot, dropped["rule"])
        self.set(slot, candidates[:limit])
        return candidate in candidates[:limit]

    def try_while(self, scope):
        for slot, state in list(self.visitor.slots.items()):
            for candidate in state["candidates"]:
                show = show_of(candidate, scope.playbook)
                if show is not None and not self.holds(show, candidate, scope):
                    self.remove(slot, candidate["rule"])

    def finish(self):
        """5.3: the visitor's version, raised once by a step that changes slots."""
        def read(state):
            return [[candidate[name] for name in READ] for candidate in state["candidates"]]

        visitor = self.visitor
        if visitor.slots is self.before:
            return
        changed = [
            slot for slot, state in visitor.slots.items() if read(state) != read(self.before.get(slot, {"candidates": []}))
        ]
        # A slot that never had a candidate is none.
        slots = {slot: state for slot, state in visitor.slots.items() if slot in changed or slot in self.before}
        if changed:
            visitor.version += 1
            self.counters["slotChanges"] += len(changed)
            for slot in changed:
                slots[slot] = {**slots[slot], "version": visitor.version}
        visitor.slots = slots
