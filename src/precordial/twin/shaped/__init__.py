"""Registers of the paper's size and shape, without waveforms: the flow chart of the paper comes out by construction."""

from precordial.twin.shaped.registers import PaperRegisters, make_paper_registers
from precordial.twin.shaped.shape import Shape

__all__ = ["PaperRegisters", "Shape", "make_paper_registers"]
