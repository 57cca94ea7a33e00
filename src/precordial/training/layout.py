"""Names of the files in a run's folder. Nothing here takes torch: a study's table of results is made without it."""

RUN = "run.json"  # what it is
LAST = "last.safetensors"
PREVIOUS = "previous.safetensors"
NEXT = "next.safetensors"  # whole, but not yet in its place
BEST = "best.safetensors"
METRICS = "metrics.jsonl"
PREDICTIONS = "predictions.csv"
DONE = "done.json"
FAILED = "failed.json"  # why it cannot be finished; the next 'study run' tries again
NOTES = "notes.txt"  # what should be known of it, from processes whose words nobody sees
