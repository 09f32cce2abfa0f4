"""What few-shot tasks stand on: examples, selection, answers, metrics, evaluation."""
