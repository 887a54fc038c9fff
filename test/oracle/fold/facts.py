"""What the names in conditions stand for (docs/playbook.md, "Conditions")."""

from urllib.parse import parse_qsl

import aggregates
from failure import EventFailure
from plain import JS_SPACE, cut, is_whole, is_number, to_major, to_minor, utf16_length

EMPTY_CART = [1, [], None]
MAX_LINES, MAX_QUANTITY = 200, 1_000_000


class Scope(dict):
    """Roots by name, each made when it is first read. Without an event, for a firing or a touch, what it would say is empty."""

    def __init__(self, active, visitor, now, event=None, at=0):
        super().__init__(now=now)
        self.playbook, self.catalog = active
        self.visitor, self.properties, self.at = visitor, event and event["properties"], at
        self.event = event

    def __missing__(self, root):
        value = self[root] = getattr(self, "make_" + root)()
        return value

    def forget_visitor(self):
        """The visitor changed; the event did not."""
        for root in ("cart", "visitor", "session", "traits", "consent", "segments"):
            self.pop(root, None)

    def make_event(self):
        return {} if self.event is None else event_view(self.event, self.at, self.playbook, self.catalog)

    def make_product(self):
        product_id = (self.properties or {}).get("productId")
        product = self.catalog.get(product_id) if isinstance(product_id, str) else None
        return product and {**product, "price": to_major(product["price"], self.playbook.digits)}

    def make_page(self):
        context = (self.event or {}).get("context") or {}
        names = ("url", "path", "title", "referrer", "page", "locale", "timeZone", "viewport", "globalPrivacyControl")
        return {name: context.get(name) for name in names} | {"campaign": campaign_of(context)}

    def make_device(self):
        return {"kind": ((self.event or {}).get("context") or {}).get("device")}

    def make_cart(self):
        return cart_view(self.visitor.traits.get("cart", EMPTY_CART), self.playbook.digits)

    def make_visitor(self):
        visitor, now = self.visitor, self["now"]
        own = {"id": visitor.id, "sessions": visitor.counts["sessions"], "lastSeenAt": visitor.now, "idle": now - visitor.now}
        return self.with_traits("visitor", own)

    def make_session(self):
        session = self.visitor.session or {"number": 0, "startedAt": None, "campaign": None}
        own = {"number": session["number"], "startedAt": session["startedAt"], "campaign": session["campaign"] or ""}
        return self.with_traits("session", own)

    def make_traits(self):
        return self.with_traits("traits", {})

    def make_consent(self):
        values = self.with_traits("consent", {})
        signal = self["visitor"].get("privacyControlAt")
        if signal is not None and signal >= (values["marketingAt"] or 0):
            values["marketing"] = False
        return values

    def make_segments(self):
        return {id_: id_ in self.visitor.segments for id_ in self.playbook.segments.conditions}

    def with_traits(self, root, values):
        visitor, digits = self.visitor, self.playbook.digits
        for trait in self.playbook.traits:
            if trait.path[0] != root or len(trait.path) == 1:
                continue
            states = (visitor.session or {"traits": {}})["traits"] if trait.per_session else visitor.traits
            value = states.get(trait.name)
            if trait.is_structured:
                value = aggregates.read(trait, value, self["now"])
            elif trait.name not in states or value is not None and aggregates.plain_of(trait, value) is None:
                value = trait.initial
            values[trait.path[1]] = major(value, digits) if trait.money else value
        return values

    def at_path(self, path):
        """The value at a dotted name; None where there is none."""
        root, *names = path.split(".")
        value = self[root]
        for name in names:
            value = value.get(name) if isinstance(value, dict) else None
        return value


def put_at(map_, path, value):
    *names, last = path.split(".")
    for name in names:
        if not isinstance(map_.get(name), dict):
            map_[name] = {}
        map_ = map_[name]
    map_[last] = value


class NamedScope:
    """What a rule sees: its event, and under their names those of its sequence (3.10)."""

    def __init__(self, base, kept, rule):
        self.base, self.playbook = base, base.playbook
        captures = {element.name: element.captures for element, *_ in rule.elements}
        self.roots = {}
        for name, at, *values in kept:
            root = self.roots[name] = {"at": at}
            for path, value in zip(captures[name], values):
                put_at(root, path, value)

    def __getitem__(self, root):
        return self.roots[root] if root in self.roots else self.base[root]

    at_path = Scope.at_path


class CapturedScope:
    """What `while` sees: the visitor as it is, the event and the product as they were captured (5.1)."""

    LASTING = ("cart", "visitor", "session", "traits", "segments", "page", "device", "consent", "now")

    def __init__(self, base, facts):
        self.base = base
        self.roots = {}
        for path, value in facts:
            if path.split(".")[0] not in self.LASTING:
                put_at(self.roots, path, value)
        self.roots = {"event": {}, "product": None, **self.roots}

    def __getitem__(self, root):
        return self.roots[root] if root in self.roots else self.base[root]


def major(value, digits):
    if isinstance(value, list):
        return [major(each, digits) for each in value]
    if isinstance(value, dict):
        return {name: major(each, digits) for name, each in value.items()}
    return to_major(value, digits) if is_number(value) else value


def cart_view(cart, digits):
    id_, lines, _ = cart
    return {
        "id": id_,
        "value": to_major(sum(quantity * price for _, quantity, price, _ in lines), digits),
        "lines": [
            {"productId": product, "quantity": quantity, "price": to_major(price, digits)}
            for product, quantity, price, _ in lines
        ],
    }


def campaign_of(context):
    """10.1: utm_campaign of the page's address, else utm_source, else utm_medium."""
    url = (context or {}).get("url")
    if url is None or "utm_" not in url:
        return None
    query = url[url.find("?") + 1 :].split("#", 1)[0]
    values = {}
    for name, value in parse_qsl(query, keep_blank_values=True, errors="replace"):
        values.setdefault(name, value)
    for name in ("utm_campaign", "utm_source", "utm_medium"):
        value = values.get(name, "").strip(JS_SPACE)
        if value:
            return cut(value, 128)
    return None


def event_view(event, at, playbook, catalog):
    """The properties joined with the catalog: a declared price that is left out is the catalog's, an order has its value."""
    properties, type_, digits = event["properties"], event["type"], playbook.digits
    view = dict(properties)
    declared = playbook.events.get(type_)

    def known(product_id):
        product = catalog.get(product_id) if isinstance(product_id, str) else None
        return product and to_major(product["price"], digits)

    if declared is not None and "price" in declared.properties and properties.get("price") is None:
        price = known(properties.get("productId"))
        if price is not None:
            view["price"] = price
    if declared is not None and type_ in playbook.orders:
        view["value"] = to_major(order_value(properties, digits, catalog), digits)
        view["lines"] = [
            line if line.get("price") is not None else {**line, "price": known(line["productId"])}
            for line in properties["lines"]
        ]
    return view | {"id": event["id"], "type": type_, "at": at}


def order_value(properties, digits, catalog):
    lines = properties.get("lines")
    if not isinstance(lines, list) or len(lines) > MAX_LINES:
        raise EventFailure("FOLD_ERROR")
    total = 0
    for line in lines:
        if not isinstance(line, dict):
            raise EventFailure("FOLD_ERROR")
        product = product_of(line)
        total += quantity_of(line, 1) * price_of(line, product, digits, catalog)
    if total > 2**53 - 1:
        raise EventFailure("FOLD_ERROR")
    return total


def product_of(properties):
    product = properties.get("productId")
    if not isinstance(product, str) or not 0 < utf16_length(product) <= 256:
        raise EventFailure("FOLD_ERROR")
    return product


def quantity_of(properties, absent):
    quantity = properties.get("quantity")
    if quantity is None:
        return absent
    if not is_whole(quantity, 1, MAX_QUANTITY):
        raise EventFailure("FOLD_ERROR")
    return int(quantity)


def price_of(properties, product, digits, catalog):
    price = properties.get("price")
    if price is None:
        if product not in catalog:
            raise EventFailure("PRICE_UNKNOWN")
        return catalog[product]["price"]
    if not is_number(price) or price < 0:
        raise EventFailure("FOLD_ERROR")
    try:
        return to_minor(price, digits)
    except ValueError:
        raise EventFailure("FOLD_ERROR") from None
