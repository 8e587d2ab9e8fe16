//! Tests against the simulator of Assets.
