"""The words of instructions: plain tables. What there is to speak of (things, colors, states, quantities) comes from
the schema. A phrase of several words wins over a shorter one.
"""

from __future__ import annotations

PHRASES: dict[str, tuple[str, ...]] = {
    # acts
    "GO": ("go to", "go over to", "go up to", "go and stand at", "walk to", "walk over to", "walk up to", "move to",
           "move over to", "head to", "head for", "head over to", "run to", "travel to", "drive to", "proceed to",
           "face", "reach", "navigate to", "approach", "find", "get to", "go", "visit", "make your way to",
           "locate", "seek", "see", "go see", "seek out", "look for", "search for",
           "stand in front of", "stop at", "come to", "head straight for", "head straight to", "make for",
           "go straight to",
           "turn to", "turn towards", "head towards", "go towards", "walk towards", "move towards", "drive towards",
           "back to", "go right up to", "bring me to", "take me to",
           "go near", "go back to", "return to", "walk", "run", "drive", "turn"),
    "PICK": ("pick up", "pick", "take", "grab", "get", "fetch", "collect", "lift", "lift up", "go get", "go and get",
             "go pick up", "go and pick up", "go fetch", "go and fetch", "get hold of", "obtain", "acquire",
             "retrieve", "gather", "gather up", "seize", "snag", "snatch", "scoop up"),
    "PUT": ("put", "place", "bring", "carry", "move", "set", "leave", "i want", "i need", "i require", "we need",
            "lay", "deliver",
            "transport", "haul", "switch",
            "change"),
    "DROP": ("drop", "put down", "let go of", "release", "lay down", "set down"),
    "TURN": ("open", "open up", "close", "shut", "unlock", "toggle"),
    "TOUCH": ("touch", "step on", "step onto", "step in", "step into", "walk on", "walk onto", "walk into",
              "walk over",
              "enter", "stand on", "go onto", "move onto", "go into", "run into", "touch any"),
    "MAKE": ("make", "raise", "increase", "lower", "reduce", "decrease", "spin", "rotate", "swing", "push",
             "pull", "accelerate to", "climb",
             "accelerate", "slow", "cool", "heat", "warm", "adjust"),
    "BACK": ("be back", "come back", "go back", "get back", "return", "return home", "come home", "go home",
             "return to where you started", "return to where you began", "return to the start",
             "return to your start",
             "go back to where you started", "come back to where you started", "be back where you started",
             "get back to where you started", "go back to the start", "come back here", "return here", "be back here",
             "return to where you are now", "go back to your starting point", "return to your starting point"),
    # order
    "THEN": (", then", "then", "and then", ", and then", "; then", ";", "and afterwards", "and after that",
             ", after that", "after that", "afterwards", ", afterwards", ", and after that", "and finally",
             ", finally",
             "finally", ", and finally", "and lastly", ", and lastly", "lastly", ". then", ".", "and next", ", next",
             "next", ", lastly"),
    "ONLY_THEN": ("and only then", ", and only then", "only then", ", only then"),
    "AND": ("and", ", and", ",", "and also", "as well as", "and at the same time", "at the same time", ", but", "but",
            "plus", "and in any order"),
    "OR": ("or", ", or", "or else", "or alternatively"),
    "AFTER": ("after", "once", "as soon as", ", once", ", after", ", as soon as", "but only after",
              ", but only after",
              "and only after", "having", "after having"),
    "WHEN": ("when", ", when", "whenever", ", whenever"),
    "IF": ("if", ", if", "in case"),
    "UNLESS": ("unless", ", unless", "except when", "except if"),
    "BEFORE": ("before", ", before", "but before that"),
    "WHILE": ("while", ", while", "as long as", "for as long as", "all the while", ", all the while", "with"),
    "UNTIL": ("until", "till", "up until", ", until"),
    "IN_ORDER": ("in that order", "in this order", ", in that order", ", in this order"),
    # what never, what always
    "NEVER": ("never", "do not", "don't", "without", ", without", "must not", "may not", "never ever", "not",
              "mustn't",
              "should not", "shouldn't", "cannot", "can't", "without ever", ", without ever", "be never", "is never",
              "under no circumstances", "by no means", "at no time", "refrain from", "keep from", "prevent",
              "shall not",
              "may never", "must never", "should never", "no"),
    "SHUN": ("avoid", "stay off", "keep off", "stay away from", "keep away from", "keep clear of", "stay clear of",
             "steer clear of", "stay out of", "keep out of"),
    "KEEP": ("keep", "maintain", "hold", "stay", "remain", "has to stay", "always keep"),
    "ALWAYS": ("always", "at all times", "throughout", "the whole time", "all the time", "all along", "at any time",
               "at every moment"),
    "MUST": ("must", "should", "has to", "have to", "needs to", "ought to", "shall"),
    "WITHIN": ("within", ", within", "in at most", "in under", "in no more than", "using at most",
               "using no more than", "in fewer than", "in less than", "in"),
    "STEPS": ("steps", "step", "moves", "actions", "time steps", "steps to", "moves to", "actions to",
              "steps or fewer", "moves or fewer",
              "steps or less", "moves or less", "steps at most", "moves at most"),
    # things
    "BESIDE": ("next to", "beside", "near", "by", "adjacent to", "close to", "right next to"),
    "TO": ("to", "over to"),
    "DOWN": ("down",),
    "THERE": ("there",),
    "THE": ("the", "your", "that", "this", "my"),
    "A": ("a", "an", "any", "some"),
    "EACH": ("each", "every", "all", "all the", "all of the", "each of the", "every one of the"),
    "BOTH": ("both", "both the", "both of the"),
    "COUNT": ("two", "three", "four", "any two", "any three", "two of the", "any two of the", "any four"),
    "IT": ("it", "them"),
    "EITHER": ("either", "either of the", "either one of the"),
    "ONE": ("one", "ones"),
    "ANYTHING": ("object", "thing", "item", "something", "anything"),
    "NEAREST": ("nearest", "closest"),
    "LEFT": ("on your left", "to your left", "on the left", "to the left", "left of you", "on your left side"),
    "RIGHT": ("on your right", "to your right", "on the right", "to the right", "right of you", "on your right side"),
    "FRONT": ("in front of you", "ahead of you", "ahead", "in front"),
    "BEHIND": ("behind you", "behind", "at your back"),
    # quantities
    "ABOVE": ("above", "over", "more than", "greater than", "higher than", "exceed", "exceeding", "exceeds", "beyond",
              ">", "larger than", "past"),
    "BELOW": ("below", "under", "beneath", "underneath", "less than", "lower than", "smaller than", "<"),
    "LEAST": ("at least", "no less than", "not less than", "or more", "not below", "not under", "at or above", ">=",
              "or higher", "or above", "no lower than"),
    "MOST": ("at most", "no more than", "not more than", "or less", "at or below", "not above", "not over", "<=",
             "or lower", "or below", "no higher than", "no greater than"),
    "BETWEEN": ("between", "in the range", "in between", "the range from", "in the range from", "range", "the range"),
    "FAR": ("further than", "farther than", "further away than", "more than away"),
    "FASTER": ("faster than",),
    "SLOWER": ("slower than",),
    "OF": ("of", "from"),
    "MIDDLE": ("middle", "centre", "center", "zero", "the middle", "the centre", "the center"),
    "ON": ("on",),
    "OFF": ("off",),
}
"""A kind of word and the phrases of that kind."""

VERBS = frozenset({"GO", "PICK", "PUT", "DROP", "TURN", "TOUCH", "BACK", "MAKE"})
LINKS = frozenset({"THEN", "ONLY_THEN", "AND", "OR", "AFTER", "BEFORE", "WHILE", "UNTIL", "WHEN", "IF", "UNLESS"})
COMPARING = frozenset({"ABOVE", "BELOW", "LEAST", "MOST", "BETWEEN", "FAR", "FASTER", "SLOWER"})
THINGS = frozenset({"THE", "A", "EACH", "BOTH", "COUNT", "NEAREST", "WORD", "ANYTHING", "ONE", "IT"})

UPWARDS = frozenset({"raise", "increase", "climb", "heat", "warm"})
DOWNWARDS = frozenset({"lower", "reduce", "decrease", "cool", "slow", "down"})

_OTHER_FORMS = {
    "raise": "raising raised", "reduce": "reducing reduced", "hold": "holding", "make": "making",
    "pick": "picking picked picks", "open": "opening opened opens", "go": "went going goes gone",
    "take": "taking taken took", "put": "putting puts", "drop": "dropped dropping drops",
    "close": "closed closing closes", "grey": "gray", "unlock": "unlocking unlocked",
    "get": "getting got gotten gets",
    "fetch": "fetching fetched", "grab": "grabbing", "reach": "reaching reached reaches", "walk": "walking walked",
    "move": "moving moved", "touch": "touching touched", "step": "stepping stepped", "enter": "entering entered",
    "avoid": "avoiding avoided", "visit": "visiting visited", "collect": "collecting collected",
    "carry": "carrying carried", "keep": "keeping kept keeps", "return": "returning returned",
    "find": "finding found",
    "stay": "staying stays stayed", "exceed": "exceeded", "leave": "leaving", "bring": "bringing",
    "stand": "standing",
    "place": "placing placed", "turn": "turning turned", "switch": "switching switched",
    "remain": "remaining remains",
    "drive": "driving drove", "set": "setting", "run": "running", "maintain": "maintaining",
    "approach": "approaching approached", "face": "facing faced", "shut": "shutting", "release": "releasing released",
    "further": "farther",
}
FORMS = {other: form for form, others in _OTHER_FORMS.items() for other in others.split()}
"""Other forms of words, read as these where the schema has no such word itself."""

POLITE = ("i want you to", "i'd like you to", "i would like you to", "i need you to", "you need to", "make sure that",
          "make sure to", "make sure", "see to it that", "ensure that", "ensure", "be so kind as to",
          "be kind enough to",
          "would you mind", "try to", "go ahead and", "your task is to", "you are to", "be sure to", "your job is to",
          "at first", "first of all", "would you", "be able to", "do either of these", "do one of these",
          "first things first", "start by", "begin by", "it would be great if", "it would be nice if",
          "i'd love for you to", "i'd love you to", "i'd like it if you", "for me",
          "your mission is to", "your mission", "your task",
          "the task is to",
          "whatever you are holding", "what you are holding", "whatever you carry", "what you carry", "what you hold",
          "in turn",
          "directly", "you have to", "do let", "in order to", "that is", "which is",
          "that are")
IDLE = frozenset((
    "hey", "back", "you've", "i've", "you're", "do", "letting", "hi", "hello", "ok", "okay", "let's", "may",
    "straight",
    "carefully", "immediately", "simply", "thanks",
    "please", "kindly", "now", "you", "i", "we", "must", "should", "could", "can", "would", "will", "up", "first",
    "just", "so", "too", "also", "ever", "let", "be", "is", "are", "was", "us", "really", "quickly", "over",
    "become", "becomes", "rise", "rises", "fall", "falls", "falling", "drops", "rising", "value", "level", "at",
    "=", "==", "equal", "equals", "for", "that's", "sure", "me"))
"""Words passed over where no phrase takes them."""

SAME_QUANTITY = {"speed": "velocity", "velocity": "speed", "location": "position", "charge": "battery"}
"""Words for a quantity, and what it may be called where the schema has no such word itself."""
PLACES = frozenset({"position", "x", "y", "z", "place", "location"})
SPEEDS = frozenset({"velocity", "speed"})
UNITS = {"degrees": "deg", "degree": "deg", "°": "deg", "percent": "%", "metres": "m", "meters": "m", "metre": "m",
         "meter": "m", "seconds": "s", "radians": "rad", "celsius": "°C", "fahrenheit": "°F", "kelvin": "K",
         "kilowatts": "kW", "kilometres": "km", "kilometers": "km", "centimetres": "cm", "centimeters": "cm"}
"""Units as they are spoken, and as rules write them."""

NUMERALS = {"two": 2, "three": 3, "four": 4, "any two": 2, "any three": 3, "any four": 4, "two of the": 2,
            "any two of the": 2}

SCENERY = frozenset({"unseen", "empty", "none", "wall", "floor", "goal", "lava", "water"})
"""Values that are no things: what is seen of the ground, or not seen."""

NOTHING = ("none", "nothing", "empty")
"""The value of what holds nothing."""
