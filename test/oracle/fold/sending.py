"""Messages that rules send (9.1, 9.2, 9.5, 9.6)."""

import hashlib
import re
from datetime import datetime, timedelta, timezone
from zoneinfo import ZoneInfo

from cel import Cel, CelError
from declared import PRODUCT, facts_of_visitor
from plain import bounded, merged, utf8
from rules import Hours, Send
from text import Text

MAX_LINES, MAX_DELAYED = 50, 8
TYPES = {"text": "string", "number": "number", "money": "money", "bool": "bool", "time": "timestamp"}
LINE = PRODUCT | {"productId": "string", "quantity": "number", "total": "money"}
OWN_ROOTS = ("with", "line", "link", "lines", "unsubscribe", "now")
PART = r'[^\s<>()\[\],;:@"\\\x00-\x1f\x7f-\x9f\ud800-\udfff]'
ADDRESS = re.compile(f"{PART}{{1,64}}@{PART}{{1,190}}")
EVENT_ROOTS = ("event", "product", "page", "device")


class Action:
    def __init__(self, id_, raw, kinds, visitor, digits):
        self.id, self.destination, self.purpose = id_, raw["destination"], raw.get("purpose")
        declared = facts_of_visitor(visitor) | {"with": {name: TYPES[type_] for name, type_ in (raw.get("with") or {}).items()}}
        is_mail = kinds[self.destination] == "smtp"
        self.to = Cel(raw.get("to", "visitor.email"), declared) if is_mail else None
        given = declared | {name: "string" for name in ("link", "lines", "unsubscribe")}
        lines = raw.get("lines") or {}
        texts = [Text(raw[name], given, digits) for name in ("subject", "text", "html") if name in raw]
        texts += [Text(lines[name], given | {"line": LINE}, digits) for name in ("text", "html") if name in lines]
        reads = dict.fromkeys(name for text in texts for name in text.reads)
        self.reads = [name for name in reads if name.split(".")[0] not in OWN_ROOTS]
        self.has_cart = bool(lines) or raw.get("cart", False)
        self.quiet = Hours({"hours": raw["quiet"]}) if "quiet" in raw else None

    def message(self, values, scope):
        """(address, what is kept); None: it has no address."""
        to = None if self.to is None else self.to.value(scope)
        if self.to is not None and not (isinstance(to, str) and ADDRESS.fullmatch(to)):
            return None
        kept = dict(values) | {path: bounded(scope.at_path(path)) for path in self.reads}
        if self.has_cart:
            cart = scope["cart"]
            kept |= {"cart.id": cart["id"], "cart.value": cart["value"], "cart.lines": cart["lines"][:MAX_LINES]}
        return to, kept


def consents(purpose, scope):
    return purpose is None or scope["consent"].get(purpose) is True


def action_id(*parts):
    return hashlib.sha256(utf8("\0".join(map(str, parts)))).hexdigest()[:32]


def clocks(ms, scope):
    moment = datetime(1970, 1, 1, tzinfo=timezone.utc) + timedelta(milliseconds=ms)
    for name in (scope["visitor"].get("timeZone"), scope.playbook.timezone):
        try:
            if isinstance(name, str) and 0 < len(name) <= 64:
                return moment.astimezone(ZoneInfo(name))
        except (KeyError, OSError, ValueError):
            pass
    raise ValueError("the playbook's time zone is none")


def quiet_until(hours, ms, scope):
    """The first whole minute after which the clocks show a time outside; None: it is outside already."""
    def is_quiet(at):
        local = clocks(at, scope)
        return hours.has(local.weekday(), 60 * local.hour + local.minute)

    if hours is None or not is_quiet(ms):
        return None
    at = ms - ms % 60_000
    while is_quiet(at):
        at += 60_000
    return at


def send_of(playbook, rule, entry, action):
    """The entry, if it is live and still sends this action."""
    rule = playbook.rules.get(rule)
    if rule is None or not rule.live or entry >= len(rule.entries):
        return None
    entry = rule.entries[entry]
    return entry if isinstance(entry, Send) and entry.action.id == action else None


def is_wanted(rule, send, cart, scope):
    if not consents(send.purpose, scope) or cart is not None and cart != scope["cart"]["id"]:
        return False
    asked = [part for cel in (rule.condition, send.condition) if cel is not None for part in cel.parts()]
    try:
        if not all(part.holds(scope) for part in asked if is_lasting(part, rule)):
            return False
        return rule.unless is None or not is_lasting(rule.unless, rule) or not rule.unless.holds(scope)
    except CelError:
        return False


def is_lasting(cel, rule):
    return all(name.split(".")[0] not in (*EVENT_ROOTS, *rule.names) for name in cel.reads)


def delay(visitor, rule, message, set_at, due, make):
    """Lets a message wait; False: too many do."""
    entry = message[0]
    sends = [timer for timer in visitor.timers.values() if timer.what == "send" and timer.key != (rule.id, str(entry))]
    if len(sends) >= MAX_DELAYED:
        return False
    name = f"quiet.{rule.id}"
    visitor.rules = merged(visitor.rules, name, [*(each for each in visitor.rules.get(name, []) if each[0] != entry), message])
    make("send", (rule.id, str(entry)), due, due, 0, set_at)
    return True
