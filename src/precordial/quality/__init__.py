"""What is wrong with a recording: flags, and the level of hum and wander, measured in some 0.15 ms.

Nothing here looks for single beats. The QRS complex is what changes fastest, so differences of short means stand for
it: their correlation between leads says whether two leads point the same way. docs/quality.md has what each flag
means, where its threshold comes from, and how often real recordings get it. "Chosen" in a comment beside a threshold
says that no source was found for it; what it was looked at on stands in docs/quality.md too.
"""

from precordial.quality.assess import Quality, assess

__all__ = ["Quality", "assess"]
