"""A record of the log, read (1.3, 1.5): what it says, or why it says nothing."""

import json
import re

from plain import MAX_SAFE, is_number, is_whole, utf16_length, utf8

KINDS = {"event", "rejected", "identified", "visitor_merged", "forwarded", "activate", "touched", "redriven", "advance", "tick"}
OUTPUT = re.compile(r"(0|[1-9][0-9]{0,14})-(0|[1-9][0-9]{0,14})")
CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")


def read_int(text):
    value = int(text)
    return value if abs(value) <= MAX_SAFE else float(text)


def no_constant(text):
    raise ValueError(f"{text} is not JSON")


class Read:
    __slots__ = ("offset", "members", "failure", "kind", "visitor", "id", "type", "is_event", "number", "bytes")

    def __init__(self, offset, value):
        self.offset = offset
        self.bytes = len(utf8(value))
        try:
            members = json.loads(value, parse_int=read_int, parse_constant=no_constant)
            self.failure = None if isinstance(members, dict) else "UNREADABLE"
        except (ValueError, RecursionError):
            self.failure = "UNREADABLE"
        m = self.members = {} if self.failure else members
        self.kind = m.get("kind")
        if self.failure is None:
            if not is_readable(m):
                self.failure = "UNREADABLE"
            elif self.kind not in KINDS:
                self.failure = "UNKNOWN_KIND"
            elif self.kind == "rejected":
                self.failure = "INPUT_INVALID"
        visitor = m.get("visitor")
        concerned = self.failure is not None or self.kind in ("event", "touched", "redriven", "identified", "visitor_merged", "forwarded")
        self.visitor = visitor if concerned and is_visitor(visitor) else None
        self.id = m["id"] if is_text(m.get("id"), 128) else None
        has_type = self.failure is not None or self.kind == "event"
        self.type = m["type"] if has_type and is_text(m.get("type"), 128) else None
        self.is_event = self.kind == "event" or self.failure == "INPUT_INVALID"
        # The number counts as seen even if the rest of the record cannot be read.
        numbered = has_type and self.failure != "INPUT_INVALID" and self.visitor is not None and "source" in m and is_numbering(m)
        self.number = (m["source"], int(m["sequence"]), [int(n) for n in m.get("skipped", ())]) if numbered else None


def is_text(value, limit):
    return isinstance(value, str) and 0 < utf16_length(value) <= limit


def is_visitor(value):
    return isinstance(value, str) and CONTROL.search(value) is None and 0 < len(utf8(value)) <= 128


def is_numbering(m):
    if "source" not in m and "sequence" not in m:
        return "skipped" not in m
    skipped = m.get("skipped", [])
    return (
        is_text(m.get("source"), 64)
        and is_whole(m.get("sequence"), 1)
        and isinstance(skipped, list)
        and len(skipped) <= 16
        and all(is_whole(number, 1) for number in skipped)
    )


def nests(value, levels):
    if not isinstance(value, (dict, list)):
        return True
    inner = value.values() if isinstance(value, dict) else value
    return levels > 0 and all(nests(each, levels - 1) for each in inner)


def is_readable(m):
    if not nests(m, 120 if m.get("kind") in ("visitor_merged", "forwarded") else 100):
        return False
    if not is_number(m.get("v")) or m["v"] != 1 or not isinstance(m.get("kind"), str) or not is_text(m.get("id"), 128):
        return False
    kind = m["kind"]
    if kind == "event":
        return is_visitor(m.get("visitor")) and is_event(m)
    if kind == "touched":
        return is_visitor(m.get("visitor"))
    if kind == "identified":
        user = m.get("user")
        return is_visitor(m.get("visitor")) and is_visitor(user) and user.startswith("u:")
    if kind == "redriven":
        return is_visitor(m.get("visitor")) and is_order(m.get("order"))
    if kind in ("visitor_merged", "forwarded"):
        user, origin, event = m.get("visitor"), m.get("origin"), m.get("event")
        is_known = is_visitor(user) and user.startswith("u:")
        is_from = is_visitor(m.get("from")) and not m["from"].startswith("u:")
        if not is_known or not is_from or not isinstance(origin, dict) or not is_whole(origin.get("shard")):
            return False
        if not isinstance(origin.get("output"), str) or OUTPUT.fullmatch(origin["output"]) is None:
            return False
        if kind == "visitor_merged":
            # What is in it only Usher writes.
            return isinstance(m.get("profile"), dict)
        return isinstance(event, dict) and event.get("kind") == "event" and is_readable(event)
    if kind == "rejected":
        is_whose = "visitor" not in m or is_visitor(m["visitor"])
        texts = (("type", 128), ("topic", 249), ("detail", 500))
        is_told = all(is_text(m.get(name), limit) for name, limit in texts)
        return is_whose and is_told and is_whole(m.get("partition")) and is_whole(m.get("offset"))
    if kind == "activate":
        return all(is_text(m.get(name), 128) for name in ("playbook", "catalog")) and is_whole(m.get("foldVersion"), 1)
    return is_whole(m.get("to")) if kind == "advance" else True


def is_order(order):
    if not isinstance(order, dict) or not is_number(order.get("v")) or order["v"] != 1:
        return False
    texts = all(is_text(order.get(name), 128) for name in ("id", "visitor", "action", "destination", "rule", "playbook"))
    wholes = all(is_whole(order.get(name)) for name in ("entry", "at", "orderedAt", "redriven"))
    told = all(order.get(name, 0) is None or isinstance(order[name], str) for name in ("purpose", "to") if name in order)
    told = told and "purpose" in order and "to" in order
    return texts and wholes and told and isinstance(order.get("with"), dict) and isinstance(order.get("facts"), list)


def is_event(m):
    if not is_text(m.get("type"), 128) or not isinstance(m.get("properties"), dict) or not is_numbering(m):
        return False
    imported = m.get("imported", True)
    if imported is not True or not is_whole(m.get("at", 0)) or not is_whole(m.get("depth", 0)):
        return False
    if "retryOf" in m and "source" in m or not is_text(m.get("retryOf", "0:0"), 64) or not is_number(m.get("receivedAt", 0)):
        return False
    if "imported" in m and ("at" not in m or "source" not in m and "retryOf" not in m):
        return False
    context = m.get("context", {})
    names = ("url", "path", "title", "referrer", "page", "locale", "timeZone", "viewport", "device")
    return isinstance(context, dict) and all(isinstance(context.get(name, ""), str) for name in names)
