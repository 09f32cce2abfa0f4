"""Plans of walks and deeds: where one can go is asked of the model once a kind of place, and searched over deeds alone.

A *walk* changes the pose and nothing else; a *deed* changes something beyond it, is paid, or ends the episode. Which
actions are which, the world model says, refined or not: nothing here knows what a door is. On a board of 22 x 22 cells
there are 1,900 poses, but few kinds of places and few deeds.
"""

from .planner import Waypoints, WaypointsConfig

__all__ = ["Waypoints", "WaypointsConfig"]
