"""The capturing endpoint: what an agent inside a sandbox takes for its model, and where every call is counted.

It serves a listening socket of the inside's loopback, speaks the dialects of the widely used agents, and sends each
call on to the contestant's real endpoint with the credentials that only the outside has. Runs no agent: that is
`contestants.agents`.
"""

from steelyard.contestants.capture.endpoint import Capture
from steelyard.contestants.capture.record import Totals
from steelyard.contestants.capture.terms import Terms

__all__ = ["Capture", "Terms", "Totals"]
