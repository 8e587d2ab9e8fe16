//! Runs that are killed, and runs side by side.
