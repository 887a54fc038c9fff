"""What rules wait for, and whether they run (3.10–3.13). Where rules stand is kept in `visitor.rules`, by name."""

from datetime import datetime, timedelta, timezone
from zoneinfo import ZoneInfo

from cel import CelError
from facts import NamedScope
from plain import bounded, cut, is_number, merged, number_text, same
from rules import Send, SetTrait, Show
from sending import consents

WAITS, PARTIALS, KEYS, PAGE_VIEWS, KEY_TEXT = 8, 16, 16, 8, 128


def key_text(value):
    """A key as text; None: there is none."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if is_number(value):
        return number_text(value)
    return cut(value, KEY_TEXT) if isinstance(value, str) else None


def with_state(rules, name, state):
    """Nothing is kept of what is empty."""
    return merged(rules, name, state) if state else {each: kept for each, kept in rules.items() if each != name}


# ── absences (3.11) ─────────────────────────────────────────────────────────


def waits(visitor, event, at, playbook, scope, starts_none):
    """([(rule, key, due or None)], errors); `scope` is of the visitor as before the event."""
    changes, errors, type_ = [], 0, event["type"]
    for rule in playbook.rules_for.get(type_, ()):
        if rule.kind != "absence":
            continue
        name = f"wait.{rule.id}"
        kept = visitor.rules.get(name, [])
        starts = type_ in rule.since and not starts_none
        cancels = type_ in rule.absent and kept
        if not starts and not cancels:
            continue
        try:
            key = "" if rule.key is None else key_text(rule.key.value(scope))
        except CelError:
            key = None
        if key is None:
            errors += 1
            continue
        known = next((wait for wait in kept if wait[0] == key), None)
        if known is not None and at < known[1] or not starts and known is None:
            continue
        others = [wait for wait in kept if wait is not known]
        if starts:
            while len(others) >= WAITS:
                changes.append((rule, others.pop(0)[0], None))
            others.append([key, at, event["id"], type_])
        changes.append((rule, key, visitor.now + rule.wait_ms if starts else None))
        visitor.rules = with_state(visitor.rules, name, others)
    return changes, errors


def take_wait(visitor, rule, key):
    name = f"wait.{rule}"
    kept = visitor.rules.get(name, [])
    visitor.rules = with_state(visitor.rules, name, [wait for wait in kept if wait[0] != key])
    return next((wait for wait in kept if wait[0] == key), None)


# ── sequences (3.10) ────────────────────────────────────────────────────────


def sequence_event(visitor, rule, type_, at, scope):
    """(what the elements of a completed match are named, or None; errors). A partial match is [length, first, last, same, kept]."""
    name, now = f"seq.{rule.id}", scope["now"]
    kept = visitor.rules.get(name, [])
    partials = [each for each in kept if now - each[1] <= rule.within and fits(each, rule)]
    if type_ in rule.without:
        partials = []
    asked = {}
    longer = [each for each in (extended(rule, each, type_, at, scope, asked) for each in [*partials, [0, now, now, None, []]]) if each]
    errors = sum(isinstance(answer, CelError) for answer in asked.values())
    complete = None
    for each in longer:
        if each[0] == len(rule.elements):
            complete = later(complete, each)
    if complete is not None:
        visitor.rules = with_state(visitor.rules, name, None)
        return complete[4], errors
    visitor.rules = with_state(visitor.rules, name, best_partials([*partials, *longer]))
    return None, errors


def best_partials(partials):
    best = {}
    for each in partials:
        key = (each[0], type(each[3]), each[3]) if not is_number(each[3]) else (each[0], each[3])
        if later(best.get(key), each) is each:
            best.pop(key, None)
            best[key] = each
    left = list(best.values())
    while len(left) > PARTIALS:
        left.remove(min(left, key=lambda each: each[1]))
    return left


def fits(partial, rule):
    """What another declaration of the sequence left, and what does not fit this one, counts as none."""
    length, *_, kept = partial
    named = {each.name: len(each.captures) for each, _, is_last in rule.elements[:length] if is_last and each.name is not None}
    return length < len(rule.elements) and named == {name: len(values) for name, _, *values in kept}


def extended(rule, partial, type_, at, scope, asked):
    length, first, _, value, kept = partial
    element, is_first, is_last = rule.elements[length]

    def ask(cel, how):
        if cel not in asked:
            try:
                asked[cel] = how(scope)
            except CelError as error:
                asked[cel] = error
        return asked[cel]

    if type_ not in element.events or element.condition is not None and ask(element.condition, element.condition.holds) is not True:
        return None
    before, value = value, None
    if element.same is not None:
        value = ask(element.same, element.same.value)
        if isinstance(value, (CelError, type(None), dict, list)):
            return None
        value = bounded(value)
        if not is_first and not same(value, before):
            return None
    if element.name is not None and is_last:
        captured = [bounded(scope.at_path(path)) for path in element.captures]
        kept = [each for each in kept if each[0] != element.name] + [[element.name, at, *captured]]
    return [length + 1, first, scope["now"], value, kept]


def later(a, b):
    return b if a is None or (b[1], b[2]) >= (a[1], a[2]) else a


# ── whether a rule runs (3.12) ──────────────────────────────────────────────


def local_time(scope):
    zone = scope["visitor"].get("timeZone")
    moment = datetime(1970, 1, 1, tzinfo=timezone.utc) + timedelta(milliseconds=scope["now"])
    for name in (zone, scope.playbook.timezone):
        try:
            if isinstance(name, str) and 0 < len(name) <= 64:
                return moment.astimezone(ZoneInfo(name))
        except (KeyError, OSError, ValueError):
            pass
    raise ValueError("the playbook's time zone is none")


def is_spent(visitor, rule, event):
    seconds = event.get("seconds")
    seen = visitor.rules.get(f"spent.{rule.id}", [])
    return is_number(seconds) and seconds >= rule.seconds and not any(same(each, event.get("pageViewId")) for each in seen)


def applies(visitor, rule, scope):
    """CelError: something that it asks threw."""
    now = scope["now"]
    if rule.from_ is not None and now < rule.from_ or rule.to is not None and now >= rule.to:
        return False
    if rule.hours is not None:
        local = local_time(scope)
        if not rule.hours.has(local.weekday(), 60 * local.hour + local.minute):
            return False
    if rule.condition is not None and not rule.condition.holds(scope) or rule.unless is not None and rule.unless.holds(scope):
        return False
    if rule.cooldown:
        ran = visitor.rules.get(f"cool.{rule.id}")
        if ran is not None and now < ran + rule.cooldown:
            return False
    return rule.limit is None or times_run(visitor, rule, counted_by(rule.limit, scope)) < rule.limit.times


def counted_by(limit, scope):
    if limit.per == "session":
        return scope["session"]["number"]
    if limit.per == "day":
        return int(local_time(scope).strftime("%Y%m%d"))
    return key_text(limit.key.value(scope)) if limit.per == "key" else 0


def times_run(visitor, rule, by):
    kept = visitor.rules.get(rule.limit.name(rule.id))
    counts = [] if kept is None else kept if rule.limit.per == "key" else [kept]
    return next((times for each, times in counts if each == by), 0)


def recounted(visitor, rule, by, scope):
    """9.6: the limit is asked again for a run that was counted by `by`. (it may happen, what it is counted by)"""
    if rule.limit is None:
        return True, by
    today = counted_by(rule.limit, scope) if rule.limit.per == "day" else by
    times = times_run(visitor, rule, today)
    if today == by:
        return times <= rule.limit.times, by
    if times >= rule.limit.times:
        return False, by
    visitor.rules = merged(visitor.rules, rule.limit.name(rule.id), [today, times + 1])
    return True, today


def note_run(visitor, rule, scope):
    if rule.cooldown:
        visitor.rules = merged(visitor.rules, f"cool.{rule.id}", scope["now"])
    if rule.limit is not None:
        name, by = rule.limit.name(rule.id), counted_by(rule.limit, scope)
        count = [by, times_run(visitor, rule, by) + 1]
        if rule.limit.per == "key":
            count = [*(each for each in visitor.rules.get(name, []) if each[0] != by), count][-KEYS:]
        visitor.rules = merged(visitor.rules, name, count)
    if rule.kind == "spent":
        name = f"spent.{rule.id}"
        seen = [*visitor.rules.get(name, []), scope["event"].get("pageViewId")]
        visitor.rules = merged(visitor.rules, name, seen[-PAGE_VIEWS:])


def run_rules(visitor, triggered, base, decision):
    """`triggered`: (rule, what its sequence named or None, its words or None), by id."""
    given = {}
    for rule, names, says in triggered:
        scope = base if names is None else NamedScope(base, names, rule)
        try:
            if not applies(visitor, rule, scope):
                continue
        except CelError:
            decision.errors += 1
            continue
        has_run = False
        for place, entry in enumerate(rule.entries):
            try:
                if entry.condition is not None and not entry.condition.holds(scope):
                    continue
                if not consents(entry.purpose, scope):
                    decision.withheld += 1
                    continue
                if isinstance(entry, Show) and entry.until is not None and entry.until <= scope["now"]:
                    # It shows nothing, so by it the rule has not run; of a `choose` it is the one that was chosen.
                    if rule.chooses:
                        break
                    continue
                if isinstance(entry, Show):
                    if entry.until is not None and entry.until <= scope["now"]:
                        # What is over shows nothing: the rule has not run by it.
                        if rule.chooses:
                            break
                        continue
                    facts = [[path, bounded(scope.at_path(path))] for path in entry.captures]
                    decision.shown.append((rule, place, entry, facts, says))
                elif isinstance(entry, SetTrait):
                    given[entry.trait] = bounded(entry.to.value(scope))
                elif isinstance(entry, Send):
                    values = [[name, bounded(cel.value(scope))] for name, cel in entry.values.items()]
                    if entry.action.message(values, scope) is None:
                        decision.withheld += 1
                        continue
                    facts = [[path, bounded(scope.at_path(path))] for path in entry.captures]
                    by = None if rule.limit is None else counted_by(rule.limit, scope)
                    decision.sent.append((rule, place, entry, values, facts, by))
                else:
                    properties = {name: cel.value(scope) for name, cel in entry.properties.items()}
                    properties = {name: value for name, value in properties.items() if value is not None}
                    decision.emitted.append((rule, place, entry.type, properties))
            except CelError:
                decision.errors += 1
                continue
            has_run = True
            if rule.chooses:
                break
        if has_run:
            decision.fired += 1
            note_run(visitor, rule, scope)
    if given:
        visitor.traits = {**visitor.traits, **given}
