"""CEL's grammar: an expression as nested tuples (kind, …), and the names that it reads."""

import re

TOKEN = re.compile(
    r"""\s*(?:
      (?P<number>0x[0-9a-fA-F]+|\d+(?:\.\d+)?(?:[eE][+-]?\d+)?|\.\d+(?:[eE][+-]?\d+)?)
    | (?P<string>r?(?:\"\"\"[\s\S]*?\"\"\"|'''[\s\S]*?'''|"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*'))
    | (?P<name>[A-Za-z_]\w*)
    | (?P<sign>&&|\|\||==|!=|<=|>=|[-+*/%<>!?:.,()\[\]{}])
    )""",
    re.X,
)
ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "a": "\a", "b": "\b", "f": "\f", "v": "\v"}
LEVELS = [("||",), ("&&",), ("==", "!=", "<", "<=", ">", ">=", "in"), ("+", "-"), ("*", "/", "%")]
MACROS = {"all", "exists", "exists_one", "filter", "map"}


class Parser:
    """Nodes are tuples: (kind, …). Recursive descent."""

    def __init__(self, source):
        self.tokens = []
        at = 0
        source = source.rstrip()
        while at < len(source):
            match = TOKEN.match(source, at)
            if match is None:
                raise ValueError(f"cannot read {source[at:]!r}")
            self.tokens.append((match.lastgroup, match.group(match.lastgroup)))
            at = match.end()
        self.at = 0

    def parse(self):
        node = self.choice()
        if self.at < len(self.tokens):
            raise ValueError(f"unexpected {self.tokens[self.at]}")
        return node

    def peek(self, *texts):
        if self.at < len(self.tokens):
            kind, text = self.tokens[self.at]
            return kind != "string" and text in texts
        return False

    def take(self, *texts):
        if not self.peek(*texts):
            return None
        self.at += 1
        return self.tokens[self.at - 1][1]

    def expect(self, text):
        if self.take(text) is None:
            raise ValueError(f"expected {text} at token {self.at}")

    def choice(self):
        condition = self.binary(0)
        if self.take("?") is None:
            return condition
        yes = self.choice()
        self.expect(":")
        return ("?:", condition, yes, self.choice())

    def binary(self, level):
        if level == len(LEVELS):
            return self.unary()
        left = self.binary(level + 1)
        while (operator := self.take(*LEVELS[level])) is not None:
            left = (operator, left, self.binary(level + 1))
        return left

    def unary(self):
        if self.take("!"):
            return ("not", self.unary())
        if self.take("-"):
            return ("minus", self.unary())
        node = self.primary()
        while True:
            if self.take("."):
                name = self.tokens[self.at][1]
                self.at += 1
                node = ("method", name, node, self.arguments(")")) if self.take("(") else (".", node, name)
            elif self.take("["):
                node = ("[]", node, self.choice())
                self.expect("]")
            else:
                return node

    def arguments(self, closing):
        args = []
        while self.take(closing) is None:
            args.append(self.choice())
            self.take(",")
        return args

    def primary(self):
        kind, text = self.tokens[self.at]
        self.at += 1
        if kind == "number":
            return ("value", int(text, 0) if re.fullmatch(r"0x[0-9a-fA-F]+|0|[1-9]\d*", text) else float(text))
        if kind == "string":
            return ("value", unquoted(text))
        if text == "(":
            node = self.choice()
            self.expect(")")
            return node
        if text == "[":
            return ("list", self.arguments("]"))
        if text == "{":
            entries = []
            while self.take("}") is None:
                key = self.choice()
                self.expect(":")
                entries.append((key, self.choice()))
                self.take(",")
            return ("map", entries)
        if text in ("true", "false", "null"):
            return ("value", {"true": True, "false": False, "null": None}[text])
        if kind != "name":
            raise ValueError(f"unexpected {text}")
        return ("call", text, self.arguments(")")) if self.take("(") else ("name", text)


def parse(source):
    return Parser(source).parse()


def unquoted(text):
    raw = text[0] == "r"
    text = text[1:] if raw else text
    width = 3 if text[:3] in ('"""', "'''") else 1
    inner = text[width:-width]
    if raw:
        return inner

    def escape(match):
        code = match.group(1)
        if code[0] in "xuU":
            return chr(int(code[1:], 16))
        return chr(int(code, 8)) if code.isdigit() else ESCAPES.get(code, code)

    return re.sub(r"\\(x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}|[0-7]{3}|.)", escape, inner)


def path_of(node):
    """['product', 'price'] of `product.price`; None for anything but a chain of names."""
    if node[0] == "name":
        return [node[1]]
    base = path_of(node[1]) if node[0] == "." else None
    return None if base is None else [*base, node[2]]


def fact_path(node):
    """A fact as it is named, `["key"]` included; None: it is none."""
    if node[0] == "[]" and node[2][0] == "value" and isinstance(node[2][1], str):
        base = fact_path(node[1])
        return None if base is None else [*base, node[2][1]]
    if node[0] == ".":
        base = fact_path(node[1])
        return None if base is None else [*base, node[2]]
    return [node[1]] if node[0] == "name" else None


def facts_in(node, locals=()):
    """Paths of all facts that an expression names; variables of macros are none."""
    path = fact_path(node)
    if path is not None:
        return [] if path[0] in locals else [path]
    found, inner = [], locals
    if node[0] == "method" and node[1] in MACROS:
        inner = (*locals, node[3][0][1])
    for child, within in children_of(node):
        found += facts_in(child, inner if within else locals)
    return found


def children_of(node):
    """The parts of a node, each with whether it stands in a macro of the node's own."""
    kind = node[0]
    if kind in ("value", "name"):
        return []
    if kind == "method":
        is_macro = node[1] in MACROS
        return [(node[2], False)] + [(arg, is_macro) for arg in node[3][is_macro:]]
    if kind == "call":
        parts = node[2]
    elif kind == "map":
        parts = [part for entry in node[1] for part in entry]
    elif kind == "list":
        parts = node[1]
    else:
        parts = node[1:2] if kind == "." else node[1:]
    return [(part, False) for part in parts]


def reads_of(node, locals=()):
    """Dotted names that an expression reads, in the order written; each may come twice."""
    path = path_of(node)
    if path is not None:
        return [] if path[0] in locals else [".".join(path)]
    inner = (*locals, node[3][0][1]) if node[0] == "method" and node[1] in MACROS else locals
    return [name for child, within in children_of(node) for name in reads_of(child, inner if within else locals)]
