"""What a device can do by itself; imports torch alone."""

from __future__ import annotations

import torch


def computes_bf16(device: str) -> bool:
    """Whether the device computes bfloat16 in its own instructions, not by emulation."""
    if device == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if device == "mps":
        # chips before the M2 emulate it, and are then found to be slower by measuring
        return bool(torch.backends.mps.is_macos_or_newer(14, 0))
    known = torch.cpu.get_capabilities()
    return bool(known.get("avx512_bf16") or known.get("amx_bf16") or known.get("bf16"))
