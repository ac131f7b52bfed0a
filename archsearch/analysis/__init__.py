"""What a study's results show."""

from archsearch.analysis.depth_curve import MEASURES, DepthCurve, DepthPoint, depth_curves

__all__ = ["MEASURES", "DepthCurve", "DepthPoint", "depth_curves"]
