"""The words of instructions: one plain table. What there is to speak of (things, colors, states) comes from the schema.

A phrase of several words wins over a shorter one.
"""

from __future__ import annotations

PHRASES: dict[str, tuple[str, ...]] = {
    "GO": ("go to", "go over to", "go and stand at", "walk to", "move to", "head to", "head for", "face", "reach",
           "navigate to", "approach", "find", "get to", "go"),
    "PICK": ("pick up", "pick", "take", "grab", "get", "fetch", "collect", "lift"),
    "PUT": ("put", "place", "bring", "carry", "move", "set", "put down", "leave"),
    "DROP": ("drop", "put down", "let go of", "release", "lay down"),
    "OPEN": ("open", "open up"),
    "CLOSE": ("close", "shut"),
    "UNLOCK": ("unlock",),
    "TOGGLE": ("toggle", "switch", "use"),
    "BESIDE": ("next to", "beside", "near", "by", "adjacent to", "close to", "to"),
    "THE": ("the", "your", "that", "this"),
    "A": ("a", "an", "any", "some", "one"),
    "IT": ("it", "them"),
    "ANYTHING": ("object", "thing", "item", "something", "anything"),
    "NEAREST": ("nearest", "closest"),
    "LEFT": ("on your left", "to your left", "on the left", "to the left", "left of you"),
    "RIGHT": ("on your right", "to your right", "on the right", "to the right", "right of you"),
    "FRONT": ("in front of you", "ahead of you", "ahead", "in front"),
    "BEHIND": ("behind you", "behind", "at your back"),
    "THEN": (", then", "then", "and then", ", and then", "; then", ";", "and afterwards", "and after that",
             ", after that", ". then", "."),
    "ONLY_THEN": ("and only then", ", and only then", "only then"),
    "AND": ("and", ", and", ",", "and also", "as well as"),
    "OR": ("or", ", or", "or else"),
    "AFTER": ("after you", "after you have", "once you", "once you have", "after"),
    "BEFORE": ("before you", "before"),
    "FIRST": ("first", "first ,", "at first"),
    "NEVER": ("never", "do not", "don't", "and never", ", never", ", and never", "but never", ", but never", "without",
              ", without", "and do not", "and don't", ", do not", ", don't", "but do not", "but don't"),
    "TOUCH": ("touch", "touching", "step on", "stepping on", "walk on", "enter", "entering", "walking on"),
    "SHUN": ("avoid", "and avoid", ", avoid", ", and avoid", "stay off", "keep off", "stay away from"),
    "WITHIN": ("within", ", within", "in at most", "in under"),
    "STEPS": ("steps", "step", "moves", "actions"),
}
"""A kind of word and the phrases of that kind."""

ENDINGS = {"picking": "pick", "picked": "pick", "opened": "open", "opening": "open", "went": "go", "going": "go",
           "taking": "take", "taken": "take", "putting": "put", "dropped": "drop", "dropping": "drop",
           "closed": "close", "closing": "close", "gray": "grey"}
"""Other forms of words, read as these where the schema has no such word itself."""

IDLE = frozenset({"please", "now", "you", "have", "must", "should", "could", "can", "up"})
"""Words passed over where no phrase takes them."""

SCENERY = frozenset({"unseen", "empty", "none", "wall", "floor", "goal", "lava", "water"})
"""Values that are no things: what is seen of the ground, or not seen."""

NOTHING = ("none", "nothing", "empty")
"""The value of what holds nothing."""
