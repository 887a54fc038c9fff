"""The types of what conditions may name (docs/playbook.md, "Conditions")."""

from cel import is_single, unified

PRODUCT = {name: "string" for name in ("id", "name", "category", "brand", "image", "url", "availability")} | {"price": "money", "stock": "number"}
CART = {"id": "number", "value": "money", "lines": ("list", {"productId": "string", "quantity": "number", "price": "money"})}
PAGE = {
    name: "string"
    for name in ("url", "path", "title", "referrer", "page", "locale", "timeZone", "viewport", "campaign")
} | {"globalPrivacyControl": "bool"}
OWN = {"id": "string", "type": "string", "at": "timestamp"}


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


def facts_of_event(events, visitor=None):
    """The types of what is known with one of these events."""
    fields = dict(events[0].fields) if events else {}
    for event in events[1:]:
        fields = {name: unified(type_, event.fields[name]) for name, type_ in fields.items() if name in event.fields}
    return {"event": fields, "product": PRODUCT, "page": PAGE, "device": {"kind": "string"}, "now": "timestamp"} | (visitor or {})


def facts_of_visitor(visitor):
    return {"now": "timestamp", **visitor}


def named_event(events):
    """An event of a sequence that has a name: `seen.event`, `seen.product`, `seen.at`."""
    return {"event": facts_of_event(events)["event"], "product": PRODUCT, "at": "timestamp"}


def is_single_fact(name, declared):
    root, *fields = name.split(".")
    type_ = declared.get(root)
    for field in fields:
        type_ = type_.get(field) if isinstance(type_, dict) else type_[1] if isinstance(type_, tuple) and type_[0] == "map" else None
    return type_ is not None and is_single(type_)
