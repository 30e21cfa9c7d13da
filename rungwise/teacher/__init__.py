"""Teachers: circuits and trained networks that know more than they can tell, and the hints that they give."""

from rungwise.teacher.base import Teacher
from rungwise.teacher.circuit import CircuitTeacher
from rungwise.teacher.distillation import distil
from rungwise.teacher.hints import Hints
from rungwise.teacher.module import ModuleTeacher

__all__ = ["CircuitTeacher", "Hints", "ModuleTeacher", "Teacher", "distil"]
