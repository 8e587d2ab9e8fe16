//! What a client tells of its calls while they go on.

/// Counts calls and waits. Its first two methods are those of `dewpoint_core::source::Progress`.
pub trait Meter: Send + Sync {
    /// One request was sent; repeats count again. `name` is the source's or target's, from the configuration.
    fn called(&self, name: &str, operation: &str);

    /// Time was spent waiting for a rate limit.
    fn waited(&self, name: &str, seconds: f64);

    /// One request ended: `ok`, or [`HttpError::outcome`](crate::HttpError::outcome).
    fn ended(&self, _name: &str, _operation: &str, _outcome: &'static str, _seconds: f64) {}
}

/// Tells nobody.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoMeter;

impl Meter for NoMeter {
    fn called(&self, _: &str, _: &str) {}
    fn waited(&self, _: &str, _: f64) {}
}
