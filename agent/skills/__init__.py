"""Skills: chains of deeds that came true, lifted from one layout and looked for in others."""

from .skill import Deed, Skill
from .skillbook import Skillbook

__all__ = ["Deed", "Skill", "Skillbook"]
