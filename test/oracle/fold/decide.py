"""What one event makes of its visitor: session, cart and traits, then the rules (10.1, 10.2, 5.1)."""

import math

import aggregates
import running
from cel import CelError
from facts import EMPTY_CART, MAX_LINES, MAX_QUANTITY, Scope, campaign_of, price_of, product_of, quantity_of
from failure import EventFailure
from plain import JS_SPACE, bounded, cut, is_number, merged, number_text, same, to_minor


class Decision:
    """What a step asks for; `waits` are (rule, key, due or None), `shown` (rule, entry, show, facts, words or None)."""

    def __init__(self, scope):
        self.scope, self.errors, self.fired = scope, 0, 0
        self.shown, self.emitted, self.waits = [], [], []
        self.wait = self.next_change = None
        self.entered, self.left = [], []


def decide(visitor, event, at, active):
    """Changes the visitor. EventFailure: the event cannot be folded; the caller undoes what was done. None: there is no playbook."""
    begin_session(visitor, campaign_of(event.get("context")))
    if active is None:
        return None
    playbook, catalog = active
    type_ = event["type"]
    scope = Scope(active, visitor, visitor.now, event, at)
    decision = Decision(scope)
    if type_ in playbook.orders and type_ in playbook.events:
        scope["event"]
    starts_none = is_before_order(visitor, event, at, playbook)
    decision.waits, decision.errors = running.waits(visitor, event, at, playbook, scope, starts_none)
    for trait in playbook.traits_for.get(type_, ()):
        if trait.kind == "cart":
            cart = visitor.traits.get(trait.name, EMPTY_CART)
            cart = next_cart(cart, trait.cart, event, at, playbook.digits, catalog)
            visitor.traits = merged(visitor.traits, trait.name, cart)
            continue
        try:
            if trait.condition is None or trait.condition.holds(scope):
                remember(visitor, trait, scope, at, playbook.digits)
        except (CelError, ValueError):
            decision.errors += 1
    scope.forget_visitor()
    try_segments(visitor, decision, playbook)
    triggered = []
    for rule in playbook.rules_for.get(type_, ()):
        if rule.kind == "event" or rule.kind == "spent" and running.is_spent(visitor, rule, scope["event"]):
            triggered.append((rule, None, None))
        elif rule.kind == "sequence":
            names, errors = running.sequence_event(visitor, rule, type_, at, scope)
            decision.errors += errors
            if names is not None:
                triggered.append((rule, names, None))
    run_step(visitor, triggered, decision, active)
    return decision


def decide_firing(visitor, now, active, timer, rule):
    """The same for a firing; `rule`: the absence whose wait is over, if it is live."""
    decision = Decision(Scope(active, visitor, now))
    if timer.what == "rule":
        decision.wait = running.take_wait(visitor, *timer.key)
    try_segments(visitor, decision, active[0])
    run_step(visitor, [] if rule is None else [(rule, None, rule.says)], decision, active)
    return decision


def is_before_order(visitor, event, at, playbook):
    """10.2: such an add starts no absence."""
    adds = [trait.name for trait in playbook.traits if trait.kind == "cart" and trait.cart["add"] == event["type"]]
    ordered = [visitor.traits.get(name, EMPTY_CART)[2] for name in adds]
    return any(when is not None and at <= when for when in ordered)


def try_segments(visitor, decision, playbook):
    decision.entered, decision.left, errors = playbook.segments.step(visitor, decision.scope)
    decision.errors += errors


def run_step(visitor, triggered, decision, active):
    playbook, scope = active[0], decision.scope
    for rule in playbook.segment_rules:
        into = [id_ for id_ in rule.entered if id_ in decision.entered]
        out_of = [id_ for id_ in rule.left if id_ in decision.left]
        for id_ in [*into, *out_of][:1]:
            word = "entered" if into else "left"
            triggered.append((rule, None, cut(f'{word} the segment "{playbook.segments.names[id_]}"', 160)))
    running.run_rules(visitor, sorted(triggered, key=lambda each: each[0].id), scope, decision)
    scope.forget_visitor()
    decision.next_change = playbook.segments.next_change(visitor, active, scope["now"])


def begin_session(visitor, campaign):
    session = visitor.session
    if session is not None and (campaign is None or campaign == session["campaign"]):
        return
    number = visitor.counts["sessions"] + 1
    visitor.counts = merged(visitor.counts, "sessions", number)
    visitor.session = {"number": number, "startedAt": visitor.now, "campaign": campaign, "traits": {}}


def next_cart(cart, types, event, at, digits, catalog):
    properties, type_ = event["properties"], event["type"]
    id_, lines, ordered_at = cart
    if type_ == types["order"]:
        return [id_ + 1, [], at if ordered_at is None else max(ordered_at, at)]
    product = product_of(properties)
    place = next((i for i, line in enumerate(lines) if line[0] == product), None)
    if type_ == types["add"]:
        quantity = quantity_of(properties, 1)
        price = price_of(properties, product, digits, catalog)
        if ordered_at is not None and at <= ordered_at:
            return cart
        if place is None:
            if len(lines) >= MAX_LINES:
                raise EventFailure("FOLD_ERROR")
            return [id_, [*lines, [product, quantity, price, at]], ordered_at]
        quantity = min(MAX_QUANTITY, lines[place][1] + quantity)
        line = [product, quantity, price, max(lines[place][3], at)]
        return [id_, [*lines[:place], line, *lines[place + 1 :]], ordered_at]
    quantity = quantity_of(properties, math.inf)
    if place is None:
        return cart
    _, there, price, changed_at = lines[place]
    left = [[product, there - quantity, price, max(changed_at, at)]] if there > quantity else []
    lines = [*lines[:place], *left, *lines[place + 1 :]]
    return [id_ if lines else id_ + 1, lines, ordered_at]


def remember(visitor, trait, scope, at, digits):
    states = visitor.session["traits"] if trait.per_session else visitor.traits
    stored = states.get(trait.name)
    before = stored if trait.is_structured else aggregates.plain_of(trait, stored)
    group = None if trait.by is None else group_of(trait.by.value(scope))
    if trait.by is not None and group is None or trait.kind == "first" and before is not None and not trait.is_structured:
        return
    value = 1 if trait.of is None else trait.of.value(scope)
    if trait.is_structured:
        value = (kept if trait.kind in ("first", "last", "distinct") else number)(trait, value, digits)
        after = before if value is None else aggregates.after_event(trait, before, value, group, at, visitor.now)
    elif trait.kind == "recent":
        after = before
        for each in value if isinstance(value, list) else [value]:
            if each is not None:
                each = kept(trait, each, digits)
                after = [each, *[other for other in after or [] if not same(other, each)]][: trait.limit]
    elif trait.kind in ("last", "first"):
        after = before if value is None else kept(trait, value, digits)
    else:
        value = number(trait, value, digits)
        after = before if value is None else aggregates.with_value(trait.kind, before, value)
    if after is None or after is stored:
        return
    if trait.per_session:
        visitor.session = merged(visitor.session, "traits", merged(states, trait.name, after))
    else:
        visitor.traits = merged(states, trait.name, after)


def group_of(value):
    """3.8: a group is named by text."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if is_number(value):
        return number_text(value)
    return cut(value, 64) if isinstance(value, str) and value != "__proto__" else None


def number(trait, value, digits):
    """None: the event has no number there."""
    if not is_number(value):
        return None
    return to_minor(value, digits) if trait.money else value


def kept(trait, value, digits):
    return to_minor(value, digits) if trait.money and is_number(value) else bounded(value)


def phrase_of(event, playbook, scope):
    """What the visitor did, to be put after "you"."""
    declared = playbook.events.get(event["type"])
    said = declared.says.render(scope).strip(JS_SPACE) if declared is not None else ""
    return cut(said or f"did {event['type']}", 160)
