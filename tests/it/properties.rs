//! What holds over random worlds and orders.
