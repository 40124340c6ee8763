"""The supervisor: monitors a thread's checkpoints from outside and steers it through its inbox."""
