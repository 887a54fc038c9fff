"""An oracle of the fold: state = fold(log), a second time and by another hand.

Written from docs/semantics.md and docs/playbook.md; it shares no code with Usher, so what both agree on is what the pages say.

  python3 test/oracle/fold --bundles bundles.json --shards 4 [--settings settings.json] [--ends ends.json] [--log dump.jsonl]

The log is JSON lines {"shard", "offset", "stamp", "key", "value"}, each shard's in offset order, from a file or standard input.
`ends` are {shard: the offset up to which to fold}, for a log that goes on.
Bundles are {hash: {"files": {path: the YAML as data}} or {"products": […]}}. Out come JSON lines: one a visitor, one a shard
with what failed, one with what it knows of itself.

  python3 test/oracle/fold --bundles bundles.json --jobs

takes many short logs: a job a line, {"shards", "settings", "records", "looks"}, and answers each with a list: what was there after
each record whose place stands in `looks`, and at the end, with the order in which events folded and timers fired.
"""

import argparse
import gc
import json
import sys

from facts import Scope
from playbook import Bundles
from shard import Shard

# What other programs write may be nested as deep as they like.
sys.setrecursionlimit(100_000)


def lines_of(shards):
    for number, shard in sorted(shards.items()):
        for visitor in shard.visitors.values():
            yield {"shard": number, "visitor": visitor.plain()}
        yield {"shard": number, "failed": shard.failed}
        yield {"shard": number, "meta": shard.meta()}


def look(shards):
    """A moment of a short log, with facts as conditions read them."""
    facts = {}
    for shard in shards.values():
        for visitor in shard.visitors.values() if shard.active else ():
            scope = Scope(shard.active, visitor, visitor.now)
            facts[visitor.id] = {root: scope[root] for root in ("visitor", "session", "cart", "traits", "consent")}
    return {
        "lines": list(lines_of(shards)),
        "facts": facts,
        "folded": [id_ for shard in shards.values() for id_ in shard.folded],
        "appended": [event for shard in shards.values() for event in shard.appended],
        "ordered": [order for shard in shards.values() for order in shard.ordered],
        "sent": [move for shard in shards.values() for move in shard.sent],
        "fired": [name for shard in shards.values() for name in shard.fired],
    }


def fold(records, shards, bundles, settings, looks=(), ends=None):
    folded, seen = {}, []
    for place, record in enumerate(records):
        number = record["shard"]
        if ends is not None and record["offset"] >= ends.get(str(number), 0):
            continue
        if number not in folded:
            folded[number] = Shard(number, shards, bundles, settings)
        folded[number].fold(record["offset"], record["stamp"], record["value"])
        if place in looks:
            seen.append(json.loads(json.dumps(look(folded))))
    return folded, seen


def read_json(path):
    if path is None:
        return None
    with open(path, encoding="utf-8") as file:
        return json.load(file)


def main():
    parser = argparse.ArgumentParser(description="Folds a log by the pages alone.")
    parser.add_argument("--bundles", required=True)
    parser.add_argument("--shards", type=int)
    parser.add_argument("--settings")
    parser.add_argument("--ends")
    parser.add_argument("--log")
    parser.add_argument("--jobs", action="store_true")
    options = parser.parse_args()
    # Nothing here is thrown away in circles, and looking for such garbage takes a third of the time.
    gc.disable()
    bundles = Bundles(read_json(options.bundles))
    if options.jobs:
        for line in sys.stdin:
            job = json.loads(line)
            shards, seen = fold(job["records"], job["shards"], bundles, job["settings"], set(job["looks"]))
            print(json.dumps([*seen, look(shards)]), flush=True)
        return
    settings, ends = map(read_json, (options.settings, options.ends))
    log = open(options.log, encoding="utf-8") if options.log else sys.stdin
    shards, _ = fold(map(json.loads, log), options.shards, bundles, settings, ends=ends)
    for line in lines_of(shards):
        print(json.dumps(line))


main()
