"""Architecture -> network, and what it costs."""

from archsearch.models.budget import solve_width
from archsearch.models.cost import Cost, count_cost
from archsearch.models.network import build_network

__all__ = ["Cost", "build_network", "count_cost", "solve_width"]
