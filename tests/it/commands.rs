//! The commands: what they answer as text and JSON, and their exit codes.
