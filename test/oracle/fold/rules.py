"""Rules as a playbook writes them: what triggers them, what they ask, what they do (docs/playbook.md, "Rules"; 3.10–3.13)."""

from cel import Cel, duration_ms, instant_ms
from declared import as_list, facts_of_event, facts_of_visitor, is_single_fact, named_event
from plain import cut
from text import texts_of
from words import absence_said

MAX_CAPTURES = 8
PINNED = 10_000
DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


class Hours:
    """Times of the day and days of the week (3.12)."""

    def __init__(self, raw):
        self.from_, self.to = map(minutes, raw["hours"].split("-")) if "hours" in raw else (0, 24 * 60)
        self.days = [DAYS.index(day) for day in as_list(raw["days"])] if "days" in raw else None

    def has(self, weekday, minute):
        """Over midnight, the day that counts is the one on which the interval began."""
        if self.from_ < self.to:
            is_in = self.from_ <= minute < self.to
        else:
            is_in = minute >= self.from_ or minute < self.to
            weekday = weekday if minute >= self.from_ else (weekday - 1) % 7
        return is_in and (self.days is None or weekday in self.days)


def minutes(text):
    hour, minute = text.strip().split(":")
    return 60 * int(hour) + int(minute)


class Element:
    """One event of a sequence; `times: 3` is three of them, and the name stands with the last."""

    def __init__(self, raw, events, visitor):
        self.events = as_list(raw["event"])
        self.types = [events[type_] for type_ in self.events]
        declared = facts_of_event(self.types, visitor)
        self.times = raw.get("times", 1)
        self.condition = Cel(raw["if"], declared) if "if" in raw else None
        self.same = Cel(raw["same"], declared) if "same" in raw else None
        self.name = raw.get("as")
        self.captures = []


class Limit:
    def __init__(self, raw, declared):
        per = raw.get("per", "visitor")
        is_word = per in ("visitor", "session", "day")
        self.times, self.group = raw["times"], raw.get("group")
        self.per, self.key = (per, None) if is_word else ("key", Cel(per, declared))

    def name(self, rule):
        return f"limit.{self.per}.{rule}" if self.group is None else f"group.{self.per}.{self.group}"


class Rule:
    def __init__(self, id_, raw, events, visitor, contents, digits, actions):
        self.id = id_
        self.names = []
        declared = self.trigger(raw["when"], events, visitor)
        self.condition, self.unless = (Cel(raw[key], declared) if key in raw else None for key in ("if", "unless"))
        self.from_, self.to = (instant_ms(raw[key]) if key in raw else None for key in ("from", "to"))
        self.hours = Hours(raw) if "hours" in raw or "days" in raw else None
        self.cooldown = duration_ms(raw["cooldown"]) if "cooldown" in raw else 0
        self.limit = Limit(raw["limit"], declared) if "limit" in raw else None
        self.chooses = "choose" in raw
        asked = [cel for cel in (self.condition, self.unless) if cel is not None]
        self.entries = [
            entry_of(entry, asked, self.names, declared, contents, digits, raw.get("purpose"), actions)
            for entry in raw.get("choose") or raw["then"]
        ]
        self.priority = raw.get("priority", 0)
        self.live = raw.get("status", "live") == "live"
        if self.kind == "sequence":
            key = self.limit and self.limit.key
            reads = [name for cel in (*asked, key) if cel is not None for name in cel.reads]
            self.keep(reads + [name for entry in self.entries for name in entry.reads])

    def trigger(self, when, events, visitor):
        when = when if isinstance(when, dict) else {"event": when}
        if "sequence" in when:
            self.kind = "sequence"
            elements = [Element(raw, events, visitor) for raw in when["sequence"]]
            # Each with whether it is the first of its run, and the last.
            self.elements = [(each, n == 0, n == each.times - 1) for each in elements for n in range(each.times)]
            self.within = duration_ms(when["within"])
            self.without = as_list(when.get("without", []))
            self.when = [type_ for each in elements for type_ in each.events] + self.without
            declared = facts_of_event(elements[-1].types, visitor)
            for each in elements:
                if each.name is not None:
                    self.names.append(each.name)
                    declared[each.name] = named_event(each.types)
            return declared
        if "absent" in when:
            self.kind = "absence"
            self.absent, self.since = as_list(when["absent"]), as_list(when["since"])
            self.wait_ms = duration_ms(when["for"])
            self.key = Cel(when["key"], facts_of_visitor(visitor)) if "key" in when else None
            self.says = cut(absence_said(self.absent, self.wait_ms, events), 160)
            self.when = self.absent + self.since
            return facts_of_visitor(visitor)
        if "entered" in when or "left" in when:
            self.kind, self.when = "segment", []
            self.entered, self.left = as_list(when.get("entered", [])), as_list(when.get("left", []))
            return facts_of_visitor(visitor)
        self.kind = "spent" if "spent" in when else "event"
        if self.kind == "spent":
            self.seconds = duration_ms(when["spent"]) / 1_000
        self.when = ["time_spent"] if self.kind == "spent" else as_list(when["event"])
        return facts_of_event([events[type_] for type_ in self.when], visitor)

    def keep(self, reads):
        """Of an event with a name is kept what the rule reads of it, in the order written."""
        for element, *_ in self.elements:
            prefix = f"{element.name}."
            paths = [name[len(prefix) :] for name in dict.fromkeys(reads) if name.startswith(prefix)]
            element.captures = [path for path in paths if path != "at"]


class Show:
    def __init__(self, raw, asked, names, declared, contents, digits):
        show = raw["show"]
        self.slot, self.content = show["slot"], show["content"]
        self.condition = Cel(raw["if"], declared) if "if" in raw else None
        self.holds = Cel(show["while"], declared) if "while" in show else None
        self.for_ms = duration_ms(show["for"]) if "for" in show else None
        self.until = instant_ms(show["until"]) if "until" in show else None
        self.raised = PINNED if show.get("pinned") else 0
        exclude = show.get("exclude") or {}
        self.bought, self.shown = exclude.get("bought", False), exclude.get("shown")
        texts = [name for text in texts_of(contents[self.content], declared, digits) for name in text.reads]
        texts += [f"{name.rpartition('.')[0]}.id" for name in texts if is_live_fact(name, names)]
        of_while = [] if self.holds is None else self.holds.reads
        needed = texts + [name for name in of_while if "." in name and name.split(".")[0] in ("event", "product", *names)]
        needed += ["product.id"] if self.bought else []
        asked = asked if self.condition is None else [*asked, self.condition]
        asked = [name for cel in asked for name in cel.reads if name != "now" and is_single_fact(name, declared)]
        self.captures = list(dict.fromkeys(needed + asked))[:MAX_CAPTURES]
        self.reads = [*texts, *of_while, *(self.condition.reads if self.condition else [])]


def is_live_fact(name, names):
    """Of a product, what a page shows as it is now (5.1)."""
    *before, product, field = ["", *name.split(".")]
    return (
        field in ("price", "stock", "availability", "image")
        and product == "product"
        and (before == [""] or (len(before) == 2 and before[1] in names))
    )


class SetTrait:
    def __init__(self, raw, declared):
        self.condition = Cel(raw["if"], declared) if "if" in raw else None
        self.trait, self.to = raw["set"]["trait"], Cel(str(raw["set"]["to"]), declared)
        self.reads = self.to.reads + (self.condition.reads if self.condition else [])


class Emit:
    def __init__(self, raw, declared):
        self.condition = Cel(raw["if"], declared) if "if" in raw else None
        properties = raw["emit"].get("properties") or {}
        self.type, self.properties = raw["emit"]["event"], {name: Cel(str(cel), declared) for name, cel in properties.items()}
        reads = [name for cel in self.properties.values() for name in cel.reads]
        self.reads = reads + (self.condition.reads if self.condition else [])


class Send:
    def __init__(self, raw, asked, declared, actions):
        self.condition = Cel(raw["if"], declared) if "if" in raw else None
        values = raw["send"].get("with") or {}
        self.action, self.values = actions[raw["send"]["action"]], {name: Cel(as_source(cel), declared) for name, cel in values.items()}
        asked = asked if self.condition is None else [*asked, self.condition]
        asked = [name for cel in asked for name in cel.reads if name != "now" and is_single_fact(name, declared)]
        self.captures = list(dict.fromkeys(asked))[:MAX_CAPTURES]
        reads = [name for cel in self.values.values() for name in cel.reads]
        self.reads = reads + (self.condition.reads if self.condition else [])


def as_source(value):
    """YAML reads `true` and `5` as what they are, CEL too."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def entry_of(raw, asked, names, declared, contents, digits, purpose, actions):
    if "show" in raw:
        entry = Show(raw, asked, names, declared, contents, digits)
    elif "send" in raw:
        entry = Send(raw, asked, declared, actions)
    else:
        entry = (SetTrait if "set" in raw else Emit)(raw, declared)
    entry.purpose = raw.get("purpose") or purpose or (entry.action.purpose if isinstance(entry, Send) else None)
    return entry
