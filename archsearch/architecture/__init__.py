"""What a network is: frozen values, without torch.

`resolve_architecture` turns given fields into an `Architecture`, whose `id` is the same for all descriptions
of the same network. Blocks and shortcuts are definitions in a registry, a plugin's among them.
"""

from archsearch.architecture.builtin import register_builtin
from archsearch.architecture.definitions import (
    BLOCKS,
    SHORTCUTS,
    BlockDefinition,
    BranchForm,
    ShortcutDefinition,
    register_block,
    register_shortcut,
)
from archsearch.architecture.fields import FIELDS, Field
from archsearch.architecture.normal_form import normal_form
from archsearch.architecture.plan import BlockPlan, NetworkPlan, plan_network
from archsearch.architecture.plugins import load_entry_points, load_plugins
from archsearch.architecture.published import (
    Paper,
    natural_input,
    published_architecture,
    published_names,
    published_paper,
)
from archsearch.architecture.resolving import (
    default_stem_width,
    dropped_fields,
    nearest_depths,
    resolve_architecture,
)
from archsearch.architecture.spec import Architecture

register_builtin()

__all__ = [
    "BLOCKS",
    "FIELDS",
    "SHORTCUTS",
    "Architecture",
    "BlockDefinition",
    "BlockPlan",
    "BranchForm",
    "Field",
    "NetworkPlan",
    "Paper",
    "ShortcutDefinition",
    "default_stem_width",
    "dropped_fields",
    "load_entry_points",
    "load_plugins",
    "natural_input",
    "nearest_depths",
    "normal_form",
    "plan_network",
    "published_architecture",
    "published_names",
    "published_paper",
    "register_block",
    "register_shortcut",
    "resolve_architecture",
]
