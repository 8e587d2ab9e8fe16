//! The AWS source against a wire protocol that we did not write.
