"""The supervisor: watches a thread's checkpoints from outside and steers it through its inbox."""
