"""Events that rules append (3.13, 9.2)."""

import hashlib

from plain import is_number, same, utf8

MAX_DEPTH = 4
TYPES = {"string": str, "boolean": bool, "array": list, "object": dict}


def event_id(*parts):
    """A UUID of version 8, of the first 128 bits of the SHA-256 of these, with zero bytes between."""
    text = hashlib.sha256(utf8("\0".join(map(str, parts)))).hexdigest()
    variant = "89ab"[int(text[16], 16) & 3]
    return f"{text[:8]}-{text[8:12]}-8{text[13:16]}-{variant}{text[17:20]}-{text[20:32]}"


def is_valid(value, schema):
    """As far as the tracking plans of tests use JSON Schema."""
    if not isinstance(schema, dict):
        return schema is not False
    type_ = schema.get("type")
    if type_ in TYPES and not isinstance(value, TYPES[type_]):
        return False
    if type_ in ("number", "integer") and not (is_number(value) and (type_ == "number" or value == int(value))):
        return False
    if "enum" in schema and not any(same(value, each) for each in schema["enum"]):
        return False
    if "const" in schema and not same(value, schema["const"]):
        return False
    if is_number(value):
        return schema.get("minimum", value) <= value <= schema.get("maximum", value)
    if isinstance(value, str):
        # JSON Schema counts characters, not UTF-16 units.
        length = len(value.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace"))
        return schema.get("minLength", 0) <= length <= schema.get("maxLength", length if "enum" in schema else 1_024)
    if isinstance(value, list):
        return schema.get("minItems", 0) <= len(value) <= schema.get("maxItems", 200) and all(is_valid(each, schema.get("items", True)) for each in value)
    if isinstance(value, dict):
        properties = schema.get("properties", {})
        has_all = all(name in value for name in schema.get("required", []))
        # What is not declared is refused, wherever the schema says nothing of its own.
        is_known = "properties" not in schema or schema.get("additionalProperties", False) is not False or all(name in properties for name in value)
        return has_all and is_known and all(is_valid(each, properties.get(name, True)) for name, each in value.items())
    return True
