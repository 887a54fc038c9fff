"""Texts with ${CEL} holes (docs/playbook.md, "Content")."""

from cel import Cel, CelError, iso
from plain import fixed, is_number, number_text


def split_text(source):
    """Plain parts as str, holes as [source]."""
    parts, plain, at = [], "", 0
    while at < len(source):
        if source.startswith("$${", at):
            plain, at = plain + "${", at + 3
        elif source.startswith("${", at):
            end = hole_end(source, at + 2)
            parts += [plain, [source[at + 2 : end]]]
            plain, at = "", end + 1
        else:
            plain, at = plain + source[at], at + 1
    return [*parts, plain]


def hole_end(source, at):
    depth, quote = 0, None
    while True:
        c = source[at]
        if quote:
            if c == "\\":
                at += 1
            elif c == quote:
                quote = None
        elif c in "\"'":
            quote = c
        elif c == "{":
            depth += 1
        elif c == "}":
            if depth == 0:
                return at
            depth -= 1
        at += 1


class Text:
    def __init__(self, source, types, digits):
        self.digits = digits
        self.parts = [part if isinstance(part, str) else Cel(part[0], types) for part in split_text(source)]
        self.reads = [name for part in self.parts if isinstance(part, Cel) for name in part.reads]

    def render(self, scope):
        return "".join(part if isinstance(part, str) else self.show(part, scope) for part in self.parts)

    def show(self, hole, scope):
        try:
            value = hole.value(scope)
        except CelError:
            return ""
        if isinstance(value, str):
            return value
        if isinstance(value, bool):
            return "true" if value else "false"
        if not is_number(value):
            return ""
        if hole.type == "money":
            return fixed(value, self.digits)
        return iso(value) if hole.type == "timestamp" else number_text(value)


def texts_of(value, declared, digits):
    """All texts of a content, in the order written."""
    if isinstance(value, (list, dict)):
        parts = value if isinstance(value, list) else value.values()
        return [text for part in parts for text in texts_of(part, declared, digits)]
    return [Text(value, declared, digits)] if isinstance(value, str) and "${" in value else []
