//! The rate limit: a window that rolls.

use std::collections::VecDeque;

use dewpoint_sim_kit::{
    clock::{later, seconds},
    hash::share,
};
use jiff::Timestamp;

use crate::{
    reply::{ApiError, Reply, Shape},
    settings::{RetryAfter, Settings, Throttle},
};

/// When the calls of the window came.
#[derive(Clone, Debug, Default)]
pub(crate) struct Window(VecDeque<Timestamp>);

impl Window {
    /// Counts a call, or refuses it.
    pub(crate) fn count(&mut self, settings: &Settings, now: Timestamp, chance: u64) -> Result<(), Box<Reply>> {
        let Some(throttle) = settings.throttle else { return Ok(()) };
        let oldest = later(now, -seconds(throttle.window_s));
        while self.0.front().is_some_and(|at| *at <= oldest) {
            self.0.pop_front();
        }
        let is_over = self.0.len() >= throttle.requests;
        if !is_over || settings.throttle_counts_refused {
            self.0.push_back(now);
        }
        // The last ones are enough to tell whether there is room, and when there is again.
        while self.0.len() > throttle.requests {
            self.0.pop_front();
        }
        if !is_over {
            return Ok(());
        }
        let says_when = match settings.retry_after {
            RetryAfter::Never => false,
            RetryAfter::Sometimes => share(settings.seed, chance) < 0.5,
            RetryAfter::Always => true,
        };
        let free = self.0.front().map_or(now, |at| later(*at, seconds(throttle.window_s)));
        let wait_s = free.duration_since(now).as_secs().max(1);
        Err(Box::new(refusal(throttle, says_when.then_some(wait_s.unsigned_abs()))))
    }
}

/// 429 as the rate limit gives it.
pub(crate) fn refusal(throttle: Throttle, retry_after_s: Option<u64>) -> Reply {
    let Throttle { requests, window_s } = throttle;
    let window = if window_s % 60 == 0 { format!("{} minute", window_s / 60) } else { format!("{window_s} second") };
    let text = format!("Rate Limit Reached - {requests} Requests per rolling {window} window");
    let mut reply = Reply::from(ApiError::new(429, Shape::Text, text));
    reply.headers.extend(retry_after_s.map(|wait| ("Retry-After".to_owned(), wait.to_string())));
    reply
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap_or_default()
    }

    #[test]
    fn calls_leave_the_window_one_by_one() {
        let settings = Settings {
            throttle: Some(Throttle { requests: 2, window_s: 300 }),
            throttle_counts_refused: false,
            retry_after: RetryAfter::Always,
            ..Settings::default()
        };
        let mut window = Window::default();
        let mut ask = |second| match window.count(&settings, at(second), 0) {
            Ok(()) => String::new(),
            Err(reply) => reply.headers.into_iter().map(|(_, value)| value).collect(),
        };
        assert_eq!([ask(0), ask(10), ask(20), ask(299)], ["", "", "280", "1"]);
        assert_eq!([ask(300), ask(301), ask(310)], ["", "9", ""]);
    }

    #[test]
    fn who_keeps_knocking_stays_out() {
        let settings = Settings { throttle: Some(Throttle { requests: 2, window_s: 300 }), ..Settings::default() };
        let mut window = Window::default();
        let mut ask = |second| window.count(&settings, at(second), 0).is_ok();
        assert_eq!([0, 0, 200, 200, 400, 400, 701].map(&mut ask), [true, true, false, false, false, false, true]);
    }
}
