"""Training of the recurrent network that ``rnn`` and ``best`` run in integers. Needs the extra ``lm``."""
