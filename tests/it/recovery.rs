//! Ledgers lost or put back, and targets that moved.
