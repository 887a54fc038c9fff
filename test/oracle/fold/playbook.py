"""A playbook and a catalog from their bundles: the YAML of docs/playbook.md as plain data, with every expression compiled."""

from aggregates import Window, signature
from cel import Cel, duration_ms, instant_ms, is_single, unified
from text import Text

BUILT_IN = "<usher>/builtin.yaml"
PRODUCT = {name: "string" for name in ("id", "name", "category", "brand", "image", "url")} | {"price": "money"}
CART = {"id": "number", "value": "money", "lines": ("list", {"productId": "string", "quantity": "number", "price": "money"})}
PAGE = {
    name: "string"
    for name in ("url", "path", "title", "referrer", "page", "locale", "timeZone", "viewport", "campaign")
}
OWN = {"id": "string", "type": "string", "at": "timestamp"}
# ISO 4217 currencies that have not two digits.
DIGITS = dict.fromkeys("BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF".split(), 0)
DIGITS |= dict.fromkeys("BHD IQD JOD KWD LYD OMR TND".split(), 3)
MAX_CAPTURES = 8


def schema_type(schema):
    """How conditions see values of a JSON Schema."""
    if not isinstance(schema, dict):
        return "dyn"
    type_ = schema.get("type")
    if type_ is None and isinstance(schema.get("enum"), list) and all(isinstance(v, str) for v in schema["enum"]):
        return "string"
    if type_ is None and isinstance(schema.get("const"), str):
        return "string"
    if type_ in ("string", "boolean"):
        return "bool" if type_ == "boolean" else "string"
    if type_ in ("number", "integer"):
        return "money" if schema.get("money") is True else "number"
    if type_ == "array":
        return ("list", schema_type(schema.get("items")))
    if type_ == "object":
        return fields_of(schema) if "properties" in schema else ("map", schema_type(schema.get("additionalProperties")))
    return "dyn"


def fields_of(schema):
    return {name: schema_type(each) for name, each in (schema.get("properties") or {}).items()}


def as_list(value):
    return value if isinstance(value, list) else [value]


class EventType:
    def __init__(self, type_, raw, digits):
        self.properties = (raw.get("properties") or {}).get("properties") or {}
        fields = fields_of(raw.get("properties") or {})
        if isinstance(fields.get("lines"), tuple) and "value" not in fields:
            fields["value"] = "money"
        self.fields = fields | OWN
        name = raw.get("name") or type_.replace("_", " ")
        self.says = Text(raw.get("says") or f'did "{name}"', facts_of_event([self]), digits)


def facts_of_event(events, visitor=None):
    """The types of what is known with one of these events."""
    fields = dict(events[0].fields) if events else {}
    for event in events[1:]:
        fields = {name: unified(type_, event.fields[name]) for name, type_ in fields.items() if name in event.fields}
    return {"event": fields, "product": PRODUCT, "page": PAGE, "device": {"kind": "string"}, "now": "timestamp"} | (visitor or {})


class Trait:
    KINDS = ("count", "sum", "min", "max", "average", "last", "first", "recent", "distinct", "rate", "score", "set", "cart")
    NUMBERS = ("count", "sum", "distinct", "rate", "score")
    SET = {"text": "string", "number": "number", "bool": "bool", "time": "timestamp"}

    def __init__(self, name, raw, built_in, events, digits):
        self.name = name
        self.kind = kind = next(kind for kind in self.KINDS if kind in raw)
        self.path = raw["path"].split(".") if built_in and "path" in raw else ["traits", name]
        over = raw.get("over", "all")
        self.per_session = over == "session"
        self.window = None if over in ("all", "session") else Window(duration_ms(over))
        self.condition = self.of = self.by = None
        self.is_structured = False
        if kind == "cart":
            self.cart = raw["cart"]
            self.events = list(self.cart.values())
            self.money, self.type = False, CART
            return
        if kind == "set":
            self.events, self.money, self.type = [], False, self.SET[raw["set"]]
            self.initial = "" if self.type == "string" else None
            return
        types = as_list(raw[kind])
        self.events = None if "*" in types else types
        declared = facts_of_event([] if self.events is None else [events[type_] for type_ in types])
        self.condition, self.of, self.by = (Cel(raw[key], declared) if key in raw else None for key in ("if", "of", "by"))
        of = "number" if self.of is None else self.of.type
        if kind == "recent" and isinstance(of, tuple):
            of = of[1]
        self.money = of == "money" and kind not in self.NUMBERS[2:]
        self.type = ("list", of) if kind == "recent" else "number" if kind in self.NUMBERS and kind != "sum" else of
        self.initial = 0 if kind in self.NUMBERS else [] if kind == "recent" else "" if self.type == "string" else None
        self.limit = raw.get("limit", {"recent": 20, "distinct": 64}[kind]) if kind in ("recent", "distinct") else 0
        self.groups = raw.get("groups", 16) if self.by is not None else 0
        self.half_life, self.per = (duration_ms(raw[key]) if key in raw else 0 for key in ("halfLife", "per"))
        self.is_structured = bool(self.by or self.window) or kind in ("average", "distinct", "rate", "score")
        written = [raw.get(key) for key in ("if", "of", "by")]
        width = self.window and self.window.width
        counts = (self.limit, self.groups, self.half_life, self.per)
        where = "session" if self.per_session else "all"
        self.signature = signature(kind, self.events, where, width, *written, *counts, self.money, digits)
        if self.by is not None:
            self.type, self.initial = ("map", self.type), {}


class Show:
    def __init__(self, raw, rule_condition, declared, contents, digits):
        show = raw["show"]
        self.slot, self.content = show["slot"], show["content"]
        self.condition = Cel(raw["if"], declared) if "if" in raw else None
        self.holds = Cel(show["while"], declared) if "while" in show else None
        self.for_ms = duration_ms(show["for"]) if "for" in show else None
        self.until = instant_ms(show["until"]) if "until" in show else None
        needed = [name for text in texts_of(contents[self.content], declared, digits) for name in text.reads]
        if self.holds is not None:
            needed += [name for name in self.holds.reads if name.startswith(("event.", "product."))]
        asked = [name for cel in (rule_condition, self.condition) if cel is not None for name in cel.reads]
        asked = [name for name in asked if name != "now" and is_single_fact(name, declared)]
        self.captures = list(dict.fromkeys(needed + asked))[:MAX_CAPTURES]


def texts_of(value, declared, digits):
    if isinstance(value, (list, dict)):
        parts = value if isinstance(value, list) else value.values()
        return [text for part in parts for text in texts_of(part, declared, digits)]
    return [Text(value, declared, digits)] if isinstance(value, str) and "${" in value else []


def is_single_fact(name, declared):
    root, *fields = name.split(".")
    type_ = declared.get(root)
    for field in fields:
        type_ = type_.get(field) if isinstance(type_, dict) else type_[1] if isinstance(type_, tuple) and type_[0] == "map" else None
    return type_ is not None and is_single(type_)


class Rule:
    def __init__(self, id_, raw, events, visitor, contents, digits):
        self.id = id_
        when = raw["when"]
        self.when = as_list(when["event"] if isinstance(when, dict) else when)
        declared = facts_of_event([events[type_] for type_ in self.when], visitor)
        self.condition = Cel(raw["if"], declared) if "if" in raw else None
        self.chooses = "choose" in raw
        self.entries = [
            Show(entry, self.condition, declared, contents, digits) for entry in raw.get("choose") or raw["then"]
        ]
        self.priority = raw.get("priority", 0)
        self.live = raw.get("status", "live") == "live"


class Playbook:
    """`files`: each YAML file of the bundle as data, by its path."""

    def __init__(self, version, files):
        self.version = version
        paths = sorted(files, key=lambda path: (path != BUILT_IN, path))
        main = files["playbook.yaml"] or {}

        def section(name):
            return {id_: (raw or {}, path) for path in paths for id_, raw in ((files[path] or {}).get(name) or {}).items()}

        self.digits = DIGITS.get(main.get("currency", "USD"), 2)
        self.idle_ms = duration_ms((main.get("session") or {}).get("idle", "30m"))
        self.events = {type_: EventType(type_, raw, self.digits) for type_, (raw, _) in section("events").items()}
        self.traits = [Trait(name, raw, path == BUILT_IN, self.events, self.digits) for name, (raw, path) in section("traits").items()]
        self.orders = {trait.cart["order"] for trait in self.traits if trait.kind == "cart"}
        contents = {id_: raw for id_, (raw, _) in section("content").items()}
        visitor = self.visitor_types()
        self.rules = {
            id_: Rule(id_, raw, self.events, visitor, contents, self.digits) for id_, (raw, _) in section("rules").items()
        }
        live = [self.rules[id_] for id_ in sorted(self.rules) if self.rules[id_].live]
        self.rules_for = {type_: [rule for rule in live if type_ in rule.when] for type_ in self.events}
        self.traits_for = {
            type_: [trait for trait in self.traits if trait.events is None or type_ in trait.events] for type_ in self.events
        }

    def visitor_types(self):
        types = {
            "cart": CART,
            "visitor": {"id": "string", "sessions": "number", "lastSeenAt": "timestamp", "idle": "duration"},
            "session": {"number": "number", "startedAt": "timestamp", "campaign": "string"},
            "traits": {},
        }
        for trait in self.traits:
            if len(trait.path) > 1:
                types[trait.path[0]][trait.path[1]] = trait.type
        return types


class Bundles:
    """Bundles by hash, compiled when they are first named."""

    def __init__(self, plain):
        self.plain = plain
        self.compiled = {}

    def __call__(self, hash_):
        if hash_ not in self.compiled:
            bundle = self.plain[hash_]
            self.compiled[hash_] = (
                {product["id"]: product for product in bundle["products"]}
                if "products" in bundle
                else Playbook(hash_, bundle["files"])
            )
        return self.compiled[hash_]
