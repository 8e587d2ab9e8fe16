//! Every guardrail: the damage without it, and the hold with it.
