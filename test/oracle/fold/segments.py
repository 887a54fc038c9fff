"""Segments, and when time alone changes them (3.9)."""

from aggregates import LEAST_SCORE, leaving, score_reaches
from cel import Cel, CelError
from cel_parser import MACROS, children_of, fact_path, facts_in
from declared import facts_of_visitor
from facts import Scope
from plain import is_number, murmur2, utf8

CANDIDATES, SPREAD_MS = 16, 600_000
COMPARISONS = ("==", "!=", "<", "<=", ">", ">=")
IDLE, SEEN = ["visitor", "idle"], (".", ("name", "visitor"), "lastSeenAt")


class Segments:
    def __init__(self, raws, traits, visitor):
        declared = facts_of_visitor(visitor)
        traits = {tuple(trait.path): trait for trait in traits}
        self.names = {id_: raw.get("name") or id_.replace("_", " ") for id_, raw in raws.items()}
        self.conditions = {}
        conditions = {id_: Cel(raw["if"], declared) for id_, raw in raws.items()}
        for id_ in sorted(conditions):
            self.place(id_, conditions)
        self.changes = [change for cel in conditions.values() for change in Changes(cel.node, traits, declared).found]

    def place(self, id_, conditions):
        """Each after those that it reads."""
        if id_ in self.conditions:
            return
        for path in facts_in(conditions[id_].node):
            if path[0] == "segments" and len(path) > 1:
                self.place(path[1], conditions)
        self.conditions[id_] = conditions[id_]

    def tried(self, scope):
        """Who is in which, and how many conditions threw."""
        members, errors = {}, 0
        scope["segments"] = members
        for id_, condition in self.conditions.items():
            try:
                members[id_] = condition.holds(scope)
            except CelError:
                members[id_] = False
                errors += 1
        return members, errors

    def step(self, visitor, scope):
        """Enters and leaves: (entered, left, errors). One that the playbook does not have is left without a word."""
        members, errors = self.tried(scope)
        before = visitor.segments
        entered = sorted(id_ for id_, is_in in members.items() if is_in and id_ not in before)
        left = sorted(id_ for id_, is_in in members.items() if not is_in and id_ in before)
        visitor.segments = {id_: before.get(id_, scope["now"]) for id_, is_in in members.items() if is_in}
        return entered, left, errors

    def next_change(self, visitor, active, now):
        """When time alone changes a segment next, (due, segment); None: never."""
        at = now
        for _ in range(CANDIDATES):
            scope = Scope(active, visitor, at)
            later = [each for change in self.changes for each in candidates(change, scope, visitor) if each > at]
            if not later:
                return None
            at = min(later)
            members, _ = self.tried(Scope(active, visitor, at))
            differing = [id_ for id_, is_in in members.items() if is_in != (id_ in visitor.segments)]
            if differing:
                return at, min(differing)
        return at, ""


def candidates(change, scope, visitor):
    kind, trait, *more = change
    if kind == "instant":
        factor, terms, is_calendar = trait, *more
        sum_ = 0
        for sign, cel in terms:
            value = number(cel, scope)
            if value is None:
                return []
            sum_ += sign * value
        at = -sum_ // factor
        at = int(at) + ((murmur2(utf8(visitor.id)) & 0x7FFFFFFF) % SPREAD_MS if is_calendar else 0)
        return [at, at + 1]
    states = (visitor.session or {"traits": {}})["traits"] if trait.per_session else visitor.traits
    state = states.get(trait.name)
    if kind == "window":
        return leaving(trait, state, scope["now"])
    group, cel = more
    bound = LEAST_SCORE if cel is None else number(cel, scope)
    if bound is None:
        return []
    return score_reaches(trait, state, group, LEAST_SCORE if abs(bound) < LEAST_SCORE else bound)


def number(cel, scope):
    """None: not a number, or a fact that is absent: that comparison fails at whatever time."""
    try:
        value = cel.value(scope)
    except CelError:
        return None
    return value if is_number(value) else None


class Changes:
    """What of a condition time alone may change: ("window", trait), ("score", trait, group, bound), ("instant", factor, terms, calendar)."""

    def __init__(self, node, traits, declared):
        self.traits, self.declared, self.found = traits, declared, []
        self.visit(node, ())

    def visit(self, node, locals):
        if node[0] in COMPARISONS and self.comparison(node):
            return
        if node[0] == "call" and node[1] == "has" and (score := self.score(node[2][0])):
            self.found.append(("score", *score, None))
            return
        path = fact_path(node)
        if path is not None and path[0] not in locals:
            trait = self.traits.get(tuple(path[:2]))
            if trait is not None and trait.window is not None:
                self.found.append(("window", trait))
            return
        inner = (*locals, node[3][0][1]) if node[0] == "method" and node[1] in MACROS else locals
        for child, within in children_of(node):
            self.visit(child, inner if within else locals)

    def comparison(self, node):
        _, left, right = node
        for score, other in ((self.score(left), right), (self.score(right), left)):
            if score is not None:
                self.found.append(("score", *score, Cel(other, self.declared)))
                if score[1] is not None:
                    # A group that has faded away is not there, and the comparison fails.
                    self.found.append(("score", *score, None))
                return True
        if not self.names_now(left) and not self.names_now(right):
            return False
        terms = [*self.linear(left, 1), *self.linear(right, -1)]
        factor = sum(sign for sign, cel in terms if cel is None)
        terms = [(sign, cel) for sign, cel in terms if cel is not None]
        if factor != 0:
            self.found.append(("instant", factor, terms, not any(cel.reads for _, cel in terms)))
        return True

    def linear(self, node, sign):
        """[(sign, expression)], None for `now` itself."""
        path = fact_path(node)
        if path == ["now"]:
            return [(sign, None)]
        if path == IDLE:
            return [(sign, None), (-sign, Cel(SEEN, self.declared))]
        if node[0] in ("+", "-") and self.names_now(node):
            return [*self.linear(node[1], sign), *self.linear(node[2], sign if node[0] == "+" else -sign)]
        return [(sign, Cel(node, self.declared))]

    def names_now(self, node):
        return any(path[0] == "now" or path[:2] == IDLE for path in facts_in(node))

    def score(self, node):
        """A score, or a group of one: (trait, group)."""
        path = fact_path(node)
        trait = path and self.traits.get(tuple(path[:2]))
        if not trait or trait.kind != "score":
            return None
        group = path[2] if len(path) > 2 else None
        return (trait, group) if (trait.by is None) == (group is None) and len(path) <= 3 else None
