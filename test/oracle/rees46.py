"""Compares every visitor of a running Usher with what the rows of a REES46 file say, without a line of Usher's code.

    python3 test/oracle/rees46.py FILE.csv.gz --url http://127.0.0.1:4000 --key usk_...

Reads the file, folds it by docs/semantics.md in the plainest way, asks Usher for all visitors, compares field by field,
prints the first 20 differences and at last `mismatches N`. Exit code 0 when N is 0, 1 otherwise, 2 when it could not compare.

--remove, --double and --reprice change a row in this script's own reading (rows count from 1, the header does not): with one
of them, N must not be 0. That shows that the comparison sees what it should see. (A view has no price: reprice a cart or a purchase.)
"""

import argparse
import csv
import gzip
import json
import sys
import urllib.request
from datetime import datetime, timedelta, timezone
from decimal import ROUND_HALF_UP, Decimal

SESSION_IDLE = timedelta(minutes=30)
PAGE = 200
SHOWN = 20
RECENT = 20

VISITORS = """query Page($shard: Int!, $after: ID, $first: Int!) {
  visitors(shard: $shard, after: $after, first: $first) {
    end
    visitors { id visitor session cart { id value lines { productId quantity price } } counts { folded failed beyondWindow sessions } }
  }
}"""


def minor(price):
    """Minor units of a price: half away from zero, two digits (semantics 10.1)."""
    return int((Decimal(price) * 100).quantize(Decimal(1), rounding=ROUND_HALF_UP))


def time_of(text):
    return datetime.strptime(text, "%Y-%m-%d %H:%M:%S UTC").replace(tzinfo=timezone.utc)


class Visitor:
    """What a visitor's rows, in the file's order, come to."""

    def __init__(self):
        self.rows = self.views = self.cart_adds = self.orders = self.revenue = self.sessions = 0
        self.now = self.ordered_at = None
        self.lines = {}  # product -> [quantity, minor units]
        self.recent = []  # products viewed, newest first, each once (semantics 10.1)

    def fold(self, row):
        at = time_of(row["event_time"])
        self.rows += 1
        # semantics 10.1: a session ends after 30 minutes without an event, by the largest event time so far.
        if self.now is None or at >= self.now + SESSION_IDLE:
            self.sessions += 1
        self.now = at if self.now is None else max(self.now, at)
        kind, product = row["event_type"], row["product_id"]
        if kind == "view":
            self.views += 1
            self.recent = ([product] + [other for other in self.recent if other != product])[:RECENT]
        elif kind == "cart":
            self.cart_adds += 1
            # semantics 10.2: an add that is not later than the latest order does not enter the cart.
            if self.ordered_at is None or at > self.ordered_at:
                line = self.lines.setdefault(product, [0, 0])
                line[0] += 1
                line[1] = minor(row["price"])
        elif kind == "purchase":
            self.orders += 1
            self.revenue += minor(row["price"])
            self.lines = {}
            self.ordered_at = at if self.ordered_at is None else max(self.ordered_at, at)
        else:
            raise ValueError(f"event_type is {kind}")

    def fields(self, finished_to):
        expected = {
            "folded": self.rows,
            "failed": 0,
            "beyondWindow": 0,
            "views": self.views,
            "recent products": self.recent,
            "cart adds": self.cart_adds,
            "purchases": self.orders,
            "revenue": self.revenue,
            "sessions": self.sessions,
            "cart id": 1 + self.orders,
            "cart lines": {product: tuple(line) for product, line in self.lines.items()},
            "cart value": sum(quantity * price for quantity, price in self.lines.values()),
        }
        if finished_to is not None:
            expected["in a session"] = self.now + SESSION_IDLE > finished_to
        return expected


def read_rows(path, remove=None, double=None, reprice=None):
    opener = gzip.open if path.endswith(".gz") else open
    with opener(path, "rt", encoding="utf-8", newline="") as file:
        for number, row in enumerate(csv.DictReader(file), start=1):
            if number == remove:
                continue
            if number == reprice:
                row["price"] = str(Decimal(row["price"]) + 1)
            yield row
            if number == double:
                yield row


def expected_visitors(rows):
    visitors = {}
    for row in rows:
        visitors.setdefault("u:" + row["user_id"], Visitor()).fold(row)
    return visitors


class Usher:
    def __init__(self, url, key):
        self.url = url.rstrip("/") + ("" if url.rstrip("/").endswith("/graphql") else "/graphql")
        self.key = key

    def ask(self, query, **variables):
        request = urllib.request.Request(
            self.url,
            data=json.dumps({"query": query, "variables": variables}).encode(),
            headers={"content-type": "application/json", "authorization": "Bearer " + self.key},
        )
        with urllib.request.urlopen(request, timeout=30) as response:
            # Decimals stay what they are: no price goes through a float.
            answer = json.loads(response.read(), parse_float=Decimal)
        if answer.get("errors"):
            raise RuntimeError(answer["errors"][0]["message"])
        return answer["data"]

    def visitors(self):
        for shard in range(len(self.ask("{ status { shards { shard } } }")["status"]["shards"])):
            after = None
            while True:
                page = self.ask(VISITORS, shard=shard, after=after, first=PAGE)["visitors"]
                yield from page["visitors"]
                after = page["end"]
                if after is None:
                    break


def actual_fields(visitor, finished_to):
    """The same fields, read from Usher's answer: the paths of its built-in traits."""
    facts, cart, counts = visitor["visitor"], visitor["cart"], visitor["counts"]
    actual = {
        "folded": counts["folded"],
        "failed": counts["failed"],
        "beyondWindow": counts["beyondWindow"],
        "views": facts.get("productViews", 0),
        "recent products": facts.get("recentProducts", []),
        "cart adds": facts.get("cartAdds", 0),
        "purchases": facts.get("orders", 0),
        "revenue": minor(facts.get("lifetimeValue", 0)),
        "sessions": counts["sessions"],
        "cart id": cart["id"],
        "cart lines": {line["productId"]: (line["quantity"], minor(line["price"])) for line in cart["lines"]},
        "cart value": minor(cart["value"]),
    }
    if len(actual["cart lines"]) != len(cart["lines"]):
        actual["cart lines"] = cart["lines"]  # a product twice: never equal
    if finished_to is not None:
        actual["in a session"] = visitor["session"] is not None
    return actual


def compare(expected, usher, finished_to):
    """Yields (visitor, field, expected, actual) for all that differs; visitors that are nobody's of this file are not looked at, unless they are users."""
    seen = set()
    for visitor in usher.visitors():
        name = visitor["id"]
        if not name.startswith("u:"):
            continue
        if name in seen:
            yield name, "visitor", "once", "twice"
            continue
        seen.add(name)
        if name not in expected:
            yield name, "visitor", "not there", "there"
            continue
        actual = actual_fields(visitor, finished_to)
        for field, value in expected[name].fields(finished_to).items():
            if actual[field] != value:
                yield name, field, value, actual[field]
    for name in expected.keys() - seen:
        yield name, "visitor", "there", "not there"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("file")
    parser.add_argument("--url", required=True)
    parser.add_argument("--key", required=True)
    parser.add_argument("--finished-to", help="where `usher replay --finish` moved time: sessions are compared as of then")
    for change in ("remove", "double", "reprice"):
        parser.add_argument("--" + change, type=int, metavar="ROW")
    args = parser.parse_args()
    finished_to = None
    if args.finished_to:
        finished_to = datetime.fromisoformat(args.finished_to.replace("Z", "+00:00"))

    expected = expected_visitors(read_rows(args.file, args.remove, args.double, args.reprice))
    mismatches = 0
    for name, field, want, got in compare(expected, Usher(args.url, args.key), finished_to):
        mismatches += 1
        if mismatches <= SHOWN:
            print(f"{name}: {field}: the file says {want}, Usher says {got}")
    print(f"visitors {len(expected)}")
    print(f"mismatches {mismatches}")
    return 1 if mismatches else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (OSError, RuntimeError, KeyError, ValueError) as error:
        print(f"cannot compare: {type(error).__name__}: {error}", file=sys.stderr)
        sys.exit(2)
