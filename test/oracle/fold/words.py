"""What `why` says where no event's own words are at hand."""

DONE = {
    "page_viewed": "viewed a page",
    "product_viewed": "viewed a product",
    "product_clicked": "clicked a product",
    "element_clicked": "clicked something",
    "time_spent": "spent time on a page",
    "search_performed": "searched",
    "cart_item_added": "put something into the cart",
    "cart_item_removed": "taken something out of the cart",
    "checkout_started": "gone to the checkout",
    "order_completed": "completed an order",
    "slot_shown": "seen a slot",
    "slot_clicked": "clicked a slot",
    "message_sent": "been sent a message",
    "message_failed": "missed a message",
    "message_bounced": "had a message bounced",
    "message_opened": "opened a message",
    "message_unsubscribed": "unsubscribed",
}
UNITS = ((86_400_000, "day"), (3_600_000, "hour"), (60_000, "minute"), (1_000, "second"), (1, "millisecond"))


def absence_said(types, wait_ms, events):
    """To be put after "you": "have not completed an order for 30 minutes"."""
    said = []
    for type_ in types:
        words = DONE.get(type_) or f'done "{events[type_].name}"'
        if words.endswith(" the cart") and any(before.endswith((" the cart", " it")) for before in said):
            words = words.removesuffix(" the cart") + " it"
        said.append(words)
    return f"have not {joined(said, 'or')} for {spoken(wait_ms)}"


def spoken(ms):
    parts = []
    for size, unit in UNITS:
        count, ms = divmod(ms, size)
        if count:
            parts.append(f"{count} {unit}{'' if count == 1 else 's'}")
    return joined(parts, "and")


def joined(parts, word):
    return f"{', '.join(parts[:-1])} {word} {parts[-1]}" if len(parts) > 1 else "".join(parts)
