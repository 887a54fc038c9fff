"""The part of CEL that playbooks use (docs/playbook.md, "Conditions"), typed as far as a text needs it and made into closures.

Nothing is checked here: a bundle was checked before it was activated. Numbers are doubles, times are ms.
A type is 'bool', 'string', 'number', 'money', 'timestamp', 'duration', 'null', 'dyn', ('list', of), ('map', of) or a dict of fields.
"""

import math
import re
from datetime import datetime, timedelta, timezone
from zoneinfo import ZoneInfo

from cel_parser import MACROS, parse, reads_of
from plain import WHITE_SPACE, is_number, number_text

MAX_STEPS = 10_000


class CelError(Exception):
    """A fact is absent, or not of the type that the expression needs."""


# ── values ──────────────────────────────────────────────────────────────────


def equal(a, b):
    if is_number(a) and is_number(b):
        return a == b
    if type(a) is not type(b):
        return False
    if isinstance(a, list):
        return len(a) == len(b) and all(map(equal, a, b))
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(equal(value, b[key]) for key, value in a.items())
    return a == b


def comparable(x, y):
    """Python orders texts as CEL does: by code points."""
    if (is_number(x) and is_number(y)) or (isinstance(x, str) and isinstance(y, str)):
        return x, y
    raise CelError("both sides must be numbers, or both texts")


def less(x, y):
    x, y = comparable(x, y)
    return x < y


def less_or_equal(x, y):
    x, y = comparable(x, y)
    return x <= y


def numbers(compute):
    def run(x, y):
        if not is_number(x) or not is_number(y):
            raise CelError("both sides must be numbers")
        return compute(float(x), float(y))

    return run


def divided(x, y):
    if y != 0:
        return x / y
    return math.nan if x == 0 or x != x else math.copysign(math.inf, x) * math.copysign(1, y)


def remainder(x, y):
    if y == 0:
        raise CelError("there is no remainder of a division by 0")
    return math.nan if math.isinf(x) or x != x or y != y else math.fmod(x, y) + 0.0


def plus(x, y):
    if is_number(x) and is_number(y):
        return float(x) + float(y)
    if type(x) is type(y) and isinstance(x, (str, list)):
        return x + y
    raise CelError("the two sides do not go with +")


def contained(value, of):
    if isinstance(of, list):
        return any(equal(value, each) for each in of)
    if isinstance(of, dict):
        return isinstance(value, str) and value in of
    raise CelError("must be a list or a map")


OPERATORS = {
    "==": equal,
    "!=": lambda x, y: not equal(x, y),
    "<": less,
    "<=": less_or_equal,
    ">": lambda x, y: less(y, x),
    ">=": lambda x, y: less_or_equal(y, x),
    "in": contained,
    "+": plus,
    "-": numbers(lambda x, y: x - y),
    "*": numbers(lambda x, y: x * y),
    "/": numbers(divided),
    "%": numbers(remainder),
}
METHODS = {
    "contains": lambda text, part: part in text,
    "startsWith": lambda text, part: text.startswith(part),
    "endsWith": lambda text, part: text.endswith(part),
    "lowerAscii": lambda text: re.sub("[A-Z]+", lambda m: m.group().lower(), text),
    "upperAscii": lambda text: re.sub("[a-z]+", lambda m: m.group().upper(), text),
    "trim": lambda text: text.strip(WHITE_SPACE),
}
# Of an instant in its zone; months, days of month and of year count from 0, Sunday is 0.
TIMESTAMP_PARTS = {
    "getFullYear": lambda at: at.year,
    "getMonth": lambda at: at.month - 1,
    "getDate": lambda at: at.day,
    "getDayOfMonth": lambda at: at.day - 1,
    "getDayOfWeek": lambda at: at.isoweekday() % 7,
    "getDayOfYear": lambda at: at.timetuple().tm_yday - 1,
    "getHours": lambda at: at.hour,
    "getMinutes": lambda at: at.minute,
    "getSeconds": lambda at: at.second,
    "getMilliseconds": lambda at: at.microsecond // 1000,
}
DURATION_PARTS = {
    "getHours": lambda ms: math.trunc(ms / 3_600_000),
    "getMinutes": lambda ms: math.trunc(ms / 60_000),
    "getSeconds": lambda ms: math.trunc(ms / 1_000),
    "getMilliseconds": lambda ms: math.trunc(math.fmod(ms, 1_000)),
}
UNITS = {"ms": 1, "s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}


def duration_ms(text):
    sign = -1 if text.startswith("-") else 1
    return sign * round(sum(float(n) * UNITS[unit] for n, unit in re.findall(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)", text)))


def instant_ms(text):
    text = re.sub(r"(\.\d{3})\d+", r"\1", text).replace("Z", "+00:00")
    return (datetime.fromisoformat(text) - datetime(1970, 1, 1, tzinfo=timezone.utc)) // timedelta(milliseconds=1)


def iso(ms):
    moment = datetime(1970, 1, 1, tzinfo=timezone.utc) + timedelta(milliseconds=ms)
    fraction = f"{moment.microsecond // 1000:03d}".rstrip("0")
    return moment.strftime("%Y-%m-%dT%H:%M:%S") + (f".{fraction}Z" if fraction else "Z")


def zone_of(name):
    fixed = re.fullmatch(r"([+-]?)(\d\d):(\d\d)", name)
    if fixed is None:
        return ZoneInfo(name)
    ahead = timedelta(hours=int(fixed[2]), minutes=int(fixed[3]))
    return timezone(-ahead if fixed[1] == "-" else ahead)


def size(value):
    if isinstance(value, (str, list, dict)):
        return len(value)
    raise CelError("has no size")


def written(value, type_):
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if not is_number(value):
        raise CelError("cannot be written as text")
    if type_ == "timestamp":
        return iso(value)
    if type_ == "duration":
        return number_text(value / 1000) + "s"
    return ("+Inf" if value > 0 else "-Inf") if math.isinf(value) else number_text(value)


def to_double(value):
    return converted(value, r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?", lambda number: number)


def to_int(value):
    return converted(value, r"[+-]?\d{1,15}", truncated)


def truncated(number):
    if not abs(number) < 2**63:
        raise CelError("is not a number")
    return math.trunc(number)


def converted(value, pattern, from_number):
    if isinstance(value, str) and re.fullmatch(pattern, value):
        if math.isfinite(float(value)):
            return float(value)
    elif is_number(value):
        return from_number(value)
    raise CelError("is not a number")


# ── closures ────────────────────────────────────────────────────────────────
# Each is (type, run, maybe): run(scope, locals) raises CelError for an absent fact where maybe(scope, locals) gives None.


class Compiler:
    def __init__(self, types):
        self.types = types

    def compile(self, node, locals=()):
        kind = node[0]
        if kind == "value":
            value = node[1]
            return type_of_value(value), lambda s, l: value, lambda s, l: value
        if kind == "name":
            return self.name(node[1], locals)
        if kind == ".":
            return self.field(*self.compile(node[1], locals), node[2])
        if kind == "[]":
            return self.index(node, locals)
        if kind in ("&&", "||"):
            return self.logic(node, locals)
        if kind in OPERATORS:
            return self.operator(node, locals)
        if kind == "call":
            return self.call(node, locals)
        if kind == "method":
            return (self.macro if node[1] in MACROS else self.method)(node, locals)
        if kind == "list":
            parts = [self.compile(each, locals) for each in node[1]]
            runs = [run for _, run, _ in parts]
            return plain_run(("list", parts[0][0] if parts else "dyn"), lambda s, l: [run(s, l) for run in runs])
        if kind == "map":
            entries = [(key[1], self.compile(value, locals)[1]) for key, value in node[1]]
            return plain_run(("map", "dyn"), lambda s, l: {key: run(s, l) for key, run in entries})
        if kind == "?:":
            return self.choice(node, locals)
        type_, run, _ = self.compile(node[1], locals)
        if kind == "not":
            return plain_run("bool", lambda s, l: not true_or_false(run(s, l)))
        return plain_run(type_, lambda s, l: OPERATORS["-"](0, run(s, l)))

    def name(self, name, locals):
        for depth in range(len(locals) - 1, -1, -1):
            if locals[depth][0] == name:
                return plain_run(locals[depth][1], lambda s, l: l[depth + 1])
        return plain_run(self.types.get(name, "dyn"), lambda s, l: s[name])

    def field(self, of_type, of_run, of_maybe, name):
        type_ = of_type.get(name, "dyn") if isinstance(of_type, dict) else element_type(of_type)

        def run(s, l):
            value = of_run(s, l)
            if not isinstance(value, dict) or name not in value:
                raise CelError("is absent")
            return value[name]

        def maybe(s, l):
            value = of_maybe(s, l)
            return value.get(name) if isinstance(value, dict) else None

        return type_, run, maybe

    def index(self, node, locals):
        of_type, of_run, of_maybe = self.compile(node[1], locals)
        if isinstance(of_type, dict) and node[2][0] == "value":
            return self.field(of_type, of_run, of_maybe, node[2][1])
        _, at, _ = self.compile(node[2], locals)

        def element(of, index):
            if isinstance(of, list) and is_number(index) and index == int(index) and 0 <= index < len(of):
                return True, of[int(index)]
            if isinstance(of, dict) and isinstance(index, str) and index in of:
                return True, of[index]
            return False, None

        def run(s, l):
            found, value = element(of_run(s, l), at(s, l))
            if not found:
                raise CelError("there is no such element")
            return value

        return element_type(of_type), run, lambda s, l: element(of_maybe(s, l), at(s, l))[1]

    def logic(self, node, locals):
        left, right = (self.compile(side, locals)[1] for side in node[1:])
        decides = node[0] == "||"

        def run(s, l):
            """The side that decides alone decides, also when the other one fails."""
            try:
                first = true_or_false(left(s, l))
            except CelError:
                if right(s, l) is decides:
                    return decides
                raise
            return decides if first is decides else true_or_false(right(s, l))

        return plain_run("bool", run)

    def operator(self, node, locals):
        op = node[0]
        (a_type, a, a_maybe), (b_type, b, b_maybe) = (self.compile(side, locals) for side in node[1:])
        if op in ("==", "!="):
            # A missing fact equals null.
            for nothing, maybe in ((node[2], a_maybe), (node[1], b_maybe)):
                if nothing == ("value", None):
                    return plain_run("bool", lambda s, l: (maybe(s, l) is None) == (op == "=="))
        apply = OPERATORS[op]
        return plain_run(result_type(op, a_type, b_type), lambda s, l: apply(a(s, l), b(s, l)))

    def choice(self, node, locals):
        condition = self.compile(node[1], locals)[1]
        (yes_type, yes, _), (no_type, no, _) = (self.compile(side, locals) for side in node[2:])
        return plain_run(unified(yes_type, no_type), lambda s, l: (yes if true_or_false(condition(s, l)) else no)(s, l))

    def call(self, node, locals):
        _, name, (arg, *_) = node
        type_, run, maybe = self.compile(arg, locals)
        if name == "has":
            return plain_run("bool", lambda s, l: maybe(s, l) is not None)
        if name in ("duration", "timestamp"):
            ms = (duration_ms if name == "duration" else instant_ms)(arg[1])
            return plain_run(name, lambda s, l: ms)
        if name == "string":
            return plain_run("string", lambda s, l: written(run(s, l), type_))
        apply = {"size": size, "double": to_double, "int": to_int}[name]
        return plain_run("number", lambda s, l: apply(run(s, l)))

    def method(self, node, locals):
        _, name, receiver, args = node
        parts = [self.compile(part, locals)[1] for part in (receiver, *args)]
        if name == "size":
            return plain_run("number", lambda s, l: size(parts[0](s, l)))
        if name in TIMESTAMP_PARTS:
            return plain_run("number", self.time_part(name, self.compile(receiver, locals)[0], parts[0], args))
        apply = METHODS[name]

        def run(s, l):
            texts = [part(s, l) for part in parts]
            if not all(isinstance(text, str) for text in texts):
                raise CelError("must be texts")
            return apply(*texts)

        return plain_run("bool" if args else "string", run)

    def time_part(self, name, type_, of, args):
        part = (DURATION_PARTS if type_ == "duration" else TIMESTAMP_PARTS)[name]
        zone = zone_of(args[0][1]) if args else timezone.utc

        def run(s, l):
            ms = of(s, l)
            if not is_number(ms):
                raise CelError("is not a time")
            if type_ == "duration":
                return part(ms)
            return part((datetime(1970, 1, 1, tzinfo=timezone.utc) + timedelta(milliseconds=ms)).astimezone(zone))

        return run

    def macro(self, node, locals):
        _, name, receiver, (variable, *bodies) = node
        of_type, of, _ = self.compile(receiver, locals)
        element = of_type[1] if isinstance(of_type, tuple) and of_type[0] == "list" else "dyn" if of_type == "dyn" else "string"
        inner = (*locals, (variable[1], element))
        runs = [self.compile(body, inner)[1] for body in bodies]
        result = self.compile(bodies[-1], inner)[0] if name == "map" else element

        def elements(s, l):
            value = of(s, l)
            if not isinstance(value, (list, dict)):
                raise CelError("must be a list or a map")
            return value if isinstance(value, list) else list(value)

        def step(run, s, l, value):
            l[0] += 1
            if l[0] > MAX_STEPS:
                raise CelError("takes too many steps")
            l[len(locals) + 1] = value
            return run(s, l)

        def holds(s, l, value):
            return true_or_false(step(runs[0], s, l, value))

        def decided(s, l):
            failure = None
            for value in elements(s, l):
                try:
                    if holds(s, l, value) is (name == "exists"):
                        return name == "exists"
                except CelError as error:
                    if l[0] >= MAX_STEPS:
                        raise
                    failure = failure or error
            if failure is not None:
                raise failure
            return name != "exists"

        def mapped(s, l):
            return [
                step(runs[-1], s, l, value) for value in elements(s, l) if len(runs) == 1 or holds(s, l, value)
            ]

        if name in ("all", "exists"):
            return plain_run("bool", decided)
        if name == "exists_one":
            return plain_run("bool", lambda s, l: sum([holds(s, l, value) for value in elements(s, l)]) == 1)
        if name == "filter":
            return plain_run(("list", element), lambda s, l: [v for v in elements(s, l) if holds(s, l, v)])
        return plain_run(("list", result), mapped)


def plain_run(type_, run):
    return type_, run, run


def true_or_false(value):
    if not isinstance(value, bool):
        raise CelError("must be true or false")
    return value


def type_of_value(value):
    return {bool: "bool", str: "string", type(None): "null"}.get(type(value), "number")


def element_type(of):
    return of[1] if isinstance(of, tuple) else "dyn"


def is_single(type_):
    return not isinstance(type_, (tuple, dict))


def unified(a, b):
    if a == b or b == "null":
        return a
    if a == "null":
        return b
    return "number" if {a, b} == {"number", "money"} else "dyn"


def result_type(op, a, b):
    if op in ("==", "!=", "<", "<=", ">", ">=", "in"):
        return "bool"
    if a == "dyn" or b == "dyn":
        return b if a == "dyn" else a
    money = [a, b].count("money")
    if money and {a, b} <= {"number", "money"}:
        is_money = a == "money" and b == "number" if op == "/" else money == 1 if op == "*" else True
        return "money" if is_money else "number"
    if {a, b} == {"timestamp", "duration"}:
        return "timestamp"
    return "duration" if (a, b, op) == ("timestamp", "timestamp", "-") else a


class Cel:
    def __init__(self, source, types):
        node = self.node = parse(source) if isinstance(source, str) else source
        self.reads = list(dict.fromkeys(reads_of(node)))
        self.type, self.run, _ = Compiler(types).compile(node)
        self.types = types

    def parts(self):
        """What must all hold for it to hold."""
        def conjuncts(node):
            return [*conjuncts(node[1]), *conjuncts(node[2])] if node[0] == "&&" else [node]

        return [Cel(node, self.types) for node in conjuncts(self.node)]

    def value(self, scope):
        """CelError also for a number that JSON has not."""
        value = self.run(scope, [0, None, None, None])
        if isinstance(value, float) and not math.isfinite(value):
            raise CelError("not a finite number")
        return value

    def holds(self, scope):
        return true_or_false(self.run(scope, [0, None, None, None]))
