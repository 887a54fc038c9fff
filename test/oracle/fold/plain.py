"""Texts, numbers and hashes, as the pages of docs/ and the vectors define them."""

import math
from base64 import urlsafe_b64encode
from decimal import ROUND_HALF_UP, Decimal

JS_SPACE = " \t\n\v\f\r\u00a0\ufeff\u2028\u2029\u1680\u202f\u205f\u3000" + "".join(map(chr, range(0x2000, 0x200B)))
# What Unicode calls white space, which CEL trims.
WHITE_SPACE = JS_SPACE.replace("\ufeff", "\u0085")
MAX_SAFE = 2**53 - 1


def utf8(text):
    """UTF-8; half of a surrogate pair becomes U+FFFD."""
    try:
        return text.encode()
    except UnicodeEncodeError:
        return "".join("\ufffd" if 0xD800 <= ord(c) <= 0xDFFF else c for c in text).encode()


def utf16_length(text):
    return len(text) if text.isascii() else len(text.encode("utf-16-le", "surrogatepass")) // 2


def cut(text, limit):
    """At most `limit` UTF-16 units, never half of a pair."""
    if utf16_length(text) <= limit:
        return text
    units = text.encode("utf-16-le", "surrogatepass")[: 2 * limit]
    last = int.from_bytes(units[-2:], "little")
    return (units[:-2] if 0xD800 <= last <= 0xDBFF else units).decode("utf-16-le", "surrogatepass")


def is_number(value):
    return type(value) is int or type(value) is float


def same(a, b):
    """As JavaScript's ===: true is no number, and a number is equal however it is written."""
    return a == b if is_number(a) and is_number(b) else type(a) is type(b) and a == b


def is_whole(value, least=0, most=MAX_SAFE):
    return is_number(value) and math.isfinite(value) and value == int(value) and least <= value <= most


def number_text(value):
    """A number as JavaScript writes it, which is how texts show it."""
    if value != value:
        return "NaN"
    if value in (math.inf, -math.inf):
        return "Infinity" if value > 0 else "-Infinity"
    if abs(value) <= MAX_SAFE and value == int(value):
        return str(int(value))
    sign, digits, exponent = Decimal(repr(float(value))).normalize().as_tuple()
    text = "".join(map(str, digits))
    point = len(text) + exponent
    if 0 < point <= 21:
        text = text[:point] + "." + text[point:] if point < len(text) else text + "0" * (point - len(text))
    elif -6 < point <= 0:
        text = "0." + "0" * -point + text
    else:
        text = text[0] + ("." + text[1:] if len(text) > 1 else "") + f"e{point - 1:+d}"
    return "-" + text if sign else text


def fixed(value, digits):
    """Money in a text: so many digits, of the double's exact value, halves up."""
    if value == 0:
        value = 0
    if abs(value) >= 1e21:
        return number_text(value)
    return str(Decimal(value).quantize(Decimal(1).scaleb(-digits), ROUND_HALF_UP))


def to_minor(amount, digits):
    """10.1: the shortest decimal that reads back, halves away from zero. ValueError: it cannot be counted exactly."""
    if not math.isfinite(amount):
        raise ValueError("not finite")
    minor = int(Decimal(repr(amount)).scaleb(digits).quantize(Decimal(1), ROUND_HALF_UP))
    if abs(minor) > MAX_SAFE:
        raise ValueError("too large")
    return minor


def to_major(minor, digits):
    return minor / 10**digits


def murmur2(data):
    """Kafka's, seed 0x9747b28c, as an unsigned number (1.1)."""
    m, mask = 0x5BD1E995, 0xFFFFFFFF
    h = 0x9747B28C ^ len(data)
    whole = len(data) & ~3
    for i in range(0, whole, 4):
        k = int.from_bytes(data[i : i + 4], "little") * m & mask
        k = (k ^ k >> 24) * m & mask
        h = h * m & mask ^ k
    if whole < len(data):
        h = (h ^ int.from_bytes(data[whole:], "little")) * m & mask
    h = (h ^ h >> 13) * m & mask
    return h ^ h >> 15


def shard_of(visitor, shards):
    return (murmur2(utf8(visitor)) & 0x7FFFFFFF) % shards


def fnv1a64(text):
    h = 0xCBF29CE484222325
    for byte in utf8(text):
        h = (h ^ byte) * 0x100000001B3 & 0xFFFFFFFFFFFFFFFF
    return h


def id_hash(text):
    """The 64 bits of an event id (2.4), big end first, as the state writes them: base64url."""
    return urlsafe_b64encode(fnv1a64(text).to_bytes(8, "big")).decode().rstrip("=")


def compact_json_length(value):
    """UTF-16 units of a value's JSON without spaces."""
    if value is None or value is True:
        return 4
    if value is False:
        return 5
    if isinstance(value, str):
        short = sum(1 for c in value if c in '"\\\b\f\n\r\t')
        long = sum(1 for c in value if (c < " " and c not in "\b\f\n\r\t") or "\ud800" <= c <= "\udfff")
        return utf16_length(value) + 2 + short + 5 * long
    if isinstance(value, list):
        return 2 + max(0, len(value) - 1) + sum(map(compact_json_length, value))
    if isinstance(value, dict):
        return 2 + max(0, len(value) - 1) + sum(compact_json_length(k) + 1 + compact_json_length(v) for k, v in value.items())
    return len(number_text(value))


def bounded(value, limit=256):
    """What one remembered or captured value may weigh (5.1, 10.1)."""
    if isinstance(value, str):
        return cut(value, limit)
    if isinstance(value, (list, dict)) and compact_json_length(value) > limit:
        return f"({len(value)} {'items' if isinstance(value, list) else 'fields'})"
    return value


def merged(base, name, value):
    return {**base, name: value}
