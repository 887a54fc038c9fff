"""What traits over windows and by groups keep, and how it is read (3.8): `[signature, body]`.

A body is a cell; a window's is [[step, cell], …] in the order of time, a grouped trait's [[group, body], …], the least recently seen
first. A cell of an average is [number, sum], a score [value, since]; a distinct is a list of values, over a window of [value, step].
"""

import hashlib
import json
import math
from base64 import urlsafe_b64encode

from plain import is_number, same

STEPS = (1_000, 10_000, 60_000, 600_000, 3_600_000, 86_400_000)
LEAST_SCORE = 1e-6


class Window:
    def __init__(self, width):
        self.width = width
        self.step = next((step for step in STEPS if step * 60 >= width), STEPS[-1])
        self.steps = -(-width // self.step)

    def oldest(self, now):
        return now // self.step - self.steps + 1


def signature(*parts):
    text = json.dumps(parts, ensure_ascii=False, separators=(",", ":"))
    return urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).decode()[:6]


def body_of(trait, state):
    """What was kept under another declaration counts as none."""
    return state[1] if isinstance(state, list) and len(state) == 2 and state[0] == trait.signature else None


def plain_of(trait, state):
    """The same for a trait that keeps no more than its value: of another form it counts as none."""
    if trait.kind in ("count", "sum", "min", "max"):
        return state if is_number(state) else None
    is_signed = isinstance(state, list) and len(state) == 2 and isinstance(state[0], str) and isinstance(state[1], list)
    return None if is_signed or trait.kind == "recent" and not isinstance(state, list) else state


# ── an event ────────────────────────────────────────────────────────────────


def after_event(trait, state, value, group, at, now):
    before = body_of(trait, state)
    if trait.by is None:
        body = next_body(trait, before, value, at, now)
    else:
        groups = before or []
        kept = next((body for name, body in groups if name == group), None)
        inner = next_body(trait, kept, value, at, now)
        if inner is None:
            return state
        others = [each for each in groups if each[0] != group]
        body = [*others, [group, inner]][-trait.groups :]
    return state if body is None else [trait.signature, body]


def next_body(trait, body, value, at, now):
    """None: the event is not in the window."""
    window = trait.window
    if trait.kind == "score":
        grown = value * 2.0 ** (-(now - at) / trait.half_life)
        return [joined("sum", 0 if body is None else decayed(body, now, trait.half_life), grown), now]
    if window is not None:
        step, oldest = at // window.step, window.oldest(now)
        if step < oldest:
            return None
    if trait.kind == "distinct":
        if window is None:
            return [*(each for each in body or [] if not same(each, value)), value][-trait.limit :]
        last = max([step] + [was for each, was in body or [] if same(each, value)])
        others = [each for each in body or [] if not same(each[0], value) and each[1] >= oldest]
        return [*others, [value, last]][-trait.limit :]
    if window is None:
        return with_value(trait.kind, body, value)
    steps = {was: cell for was, cell in body or [] if was >= oldest}
    steps[step] = with_value(trait.kind, steps.get(step), value)
    return [[each, steps[each]] for each in sorted(steps)]


def with_value(kind, cell, value):
    if kind == "average":
        value = [1, value]
    return value if cell is None else joined(kind, cell, value)


def joined(kind, earlier, later):
    """What would make a number infinite is left out."""
    if kind in ("count", "rate", "sum"):
        return earlier + later if math.isfinite(earlier + later) else earlier
    if kind == "average":
        sum_ = earlier[1] + later[1]
        return [earlier[0] + later[0], sum_] if math.isfinite(sum_) else earlier
    if kind in ("min", "max"):
        return (min if kind == "min" else max)(earlier, later)
    return earlier if kind == "first" else later


# ── reading ─────────────────────────────────────────────────────────────────


def read(trait, state, now):
    """At `now`; money in minor units."""
    body = body_of(trait, state)
    if trait.by is not None:
        values = ((group, read_body(trait, each, now)) for group, each in body or [])
        return {group: value for group, value in values if value is not None}
    value = None if body is None else read_body(trait, body, now)
    return trait.initial if value is None else value


def read_body(trait, body, now):
    """None: nothing is left."""
    window = trait.window
    if trait.kind == "score":
        return decayed(body, now, trait.half_life) or None
    if trait.kind == "distinct":
        return len(body if window is None else [step for _, step in body if step >= window.oldest(now)]) or None
    if window is not None:
        cells = [cell for step, cell in body if step >= window.oldest(now)]
        if not cells:
            return None
        body = cells[0]
        for cell in cells[1:]:
            body = joined(trait.kind, body, cell)
    if trait.kind == "average":
        average = body[1] / body[0]
        return math.floor(average + 0.5) if trait.money else average
    return body * trait.per / window.width if trait.kind == "rate" else body


def decayed(score, now, half_life):
    value, since = score
    left = value * 2.0 ** (-(now - since) / half_life)
    return 0 if abs(left) < LEAST_SCORE else left


# ── when time changes it (3.9) ──────────────────────────────────────────────


def leaving(trait, state, now):
    """The starts of the steps at which one leaves the window, after `now`."""
    body, window = body_of(trait, state) or [], trait.window
    bodies = [body] if trait.by is None else [each for _, each in body]
    steps = [step for each in bodies for step in ([s for _, s in each] if trait.kind == "distinct" else [s for s, _ in each])]
    return [at for step in steps if (at := (step + window.steps) * window.step) > now]


def score_reaches(trait, state, group, bound):
    """The ms at which the score has decayed to the bound, the one before and the two after."""
    body = body_of(trait, state)
    if body is not None and group is not None:
        body = next((each for name, each in body if name == group), None)
    value, since = (0, 0) if body is None else body
    if value < 0:
        value, bound = -value, -bound
    ratio = value / max(bound, LEAST_SCORE)
    if ratio <= 1:
        return []
    at = math.ceil(since + trait.half_life * math.log2(ratio))
    return [at - 1, at, at + 1, at + 2]
