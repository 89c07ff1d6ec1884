"""GSM8K: grade-school word problems whose answer is a number.

Knows the problems, their prompts, and which number a solution gives. Does *not* know models, runs, or how one solution
among several is chosen.
"""

from labkit.tasks.gsm8k.extraction import Answer, extract_answer

__all__ = ["Answer", "extract_answer"]
