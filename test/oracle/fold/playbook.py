"""A playbook and a catalog from their bundles: the YAML of docs/playbook.md as plain data, with every expression compiled."""

from aggregates import Window, signature
from cel import Cel, duration_ms
from declared import CART, OWN, as_list, facts_of_event, fields_of
from rules import Rule
from segments import Segments
from sending import Action
from text import Text

BUILT_IN = "<usher>/builtin.yaml"
# ISO 4217 currencies that have not two digits.
DIGITS = dict.fromkeys("BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF".split(), 0)
DIGITS |= dict.fromkeys("BHD IQD JOD KWD LYD OMR TND".split(), 3)


class EventType:
    def __init__(self, type_, raw, digits):
        self.schema = raw.get("properties") or {}
        self.properties = (raw.get("properties") or {}).get("properties") or {}
        fields = fields_of(raw.get("properties") or {})
        if isinstance(fields.get("lines"), tuple) and "value" not in fields:
            fields["value"] = "money"
        self.fields = fields | OWN
        self.name = raw.get("name") or type_.replace("_", " ")
        self.says = Text(raw.get("says") or f'did "{self.name}"', facts_of_event([self]), digits)


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


class Playbook:
    """`files`: each YAML file of the bundle as data, by its path."""

    def __init__(self, version, files):
        self.version = version
        paths = sorted(files, key=lambda path: (path != BUILT_IN, path))
        main = files["playbook.yaml"] or {}

        def section(name):
            return {id_: (raw or {}, path) for path in paths for id_, raw in ((files[path] or {}).get(name) or {}).items()}

        self.digits = DIGITS.get(main.get("currency", "USD"), 2)
        self.timezone = main.get("timezone", "UTC")
        self.idle_ms = duration_ms((main.get("session") or {}).get("idle", "30m"))
        self.events = {type_: EventType(type_, raw, self.digits) for type_, (raw, _) in section("events").items()}
        self.traits = [Trait(name, raw, path == BUILT_IN, self.events, self.digits) for name, (raw, path) in section("traits").items()]
        self.orders = {trait.cart["order"] for trait in self.traits if trait.kind == "cart"}
        contents = {id_: raw for id_, (raw, _) in section("content").items()}
        segments = section("segments")
        visitor = self.visitor_types() | {"segments": dict.fromkeys(segments, "bool")}
        kinds = {id_: raw["kind"] for id_, (raw, _) in section("destinations").items()}
        self.actions = {id_: Action(id_, raw, kinds, visitor, self.digits) for id_, (raw, _) in section("actions").items()}
        self.rules = {
            id_: Rule(id_, raw, self.events, visitor, contents, self.digits, self.actions)
            for id_, (raw, _) in section("rules").items()
        }
        self.segments = Segments({id_: raw for id_, (raw, _) in segments.items()}, self.traits, visitor)
        live = [self.rules[id_] for id_ in sorted(self.rules) if self.rules[id_].live]
        self.rules_for = {type_: [rule for rule in live if type_ in rule.when] for type_ in self.events}
        self.segment_rules = [rule for rule in live if rule.kind == "segment"]
        self.traits_for = {
            type_: [trait for trait in self.traits if trait.events is None or type_ in trait.events] for type_ in self.events
        }

    def visitor_types(self):
        types = {
            "cart": CART,
            "visitor": {"id": "string", "sessions": "number", "lastSeenAt": "timestamp", "idle": "duration"},
            "session": {"number": "number", "startedAt": "timestamp", "campaign": "string"},
            "traits": {},
            "consent": {},
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
