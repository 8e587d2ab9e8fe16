//! What may befall any answer, whoever gives it.

use std::{collections::BTreeMap, time::Duration};

use serde::{Deserialize, Serialize};

use crate::message::{Delivery, Outcome, Response, reason};

/// What befalls an answer. A simulator's own enum of effects takes these in with `#[serde(untagged)]` on a variant at its end, so that they are written like
/// its own.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Mishap {
    /// Another answer in its place.
    Answer {
        /// The HTTP status.
        status: u16,
        /// Headers, by name.
        #[serde(default)]
        headers: BTreeMap<String, String>,
        /// The body.
        #[serde(default)]
        body: String,
    },
    /// This status with an empty body in its place.
    Empty {
        /// The HTTP status.
        status: u16,
    },
    /// This status with a page of HTML in its place.
    Html {
        /// The HTTP status.
        status: u16,
    },
    /// The answer ends after this share of its bytes, before its end in any case, and its length says so too.
    CutBody {
        /// 0 to 1.
        share: f64,
    },
    /// The answer's length is announced in full, and the connection closed after this share of it, before its end in any case.
    CutConnection {
        /// 0 to 1.
        share: f64,
    },
    /// The same, and the connection is reset.
    ResetBody {
        /// 0 to 1.
        share: f64,
    },
    /// The connection is reset before the answer. When the request was carried out this is the lost reply.
    Reset,
    /// No answer ever comes.
    Hang,
    /// The answer trickles.
    Slow {
        /// So many bytes at a time.
        bytes: usize,
        /// The pause after each.
        pause_ms: u64,
    },
    /// The answer comes late.
    Latency {
        /// How late.
        ms: u64,
    },
}

impl Mishap {
    /// Whether nothing of the request's own answer is left, so that the request need not be carried out.
    pub fn replaces(&self) -> bool {
        match self {
            Self::Answer { .. } | Self::Empty { .. } | Self::Html { .. } | Self::Reset | Self::Hang => true,
            Self::CutBody { .. } | Self::CutConnection { .. } | Self::ResetBody { .. } | Self::Slow { .. } | Self::Latency { .. } => false,
        }
    }

    /// What becomes of the request's own answer, which does not matter where the mishap [replaces](Self::replaces) it.
    pub fn befall(&self, mut response: Response) -> Outcome {
        let length = response.body.len();
        // What is cut lacks something, or it would not be cut.
        let cut = |share: f64| part(length, share).min(length.saturating_sub(1));
        let mut latency = Duration::ZERO;
        let mut delivery = Delivery::Whole;
        match self {
            Self::Answer { status, headers, body } => {
                let headers = headers.iter().map(|(name, value)| (name.clone(), value.clone())).collect();
                response = Response { status: *status, headers, body: body.clone().into_bytes() };
            }
            Self::Empty { status } => response = Response::new(*status),
            Self::Html { status } => response = Response::page(*status, reason(*status)),
            Self::CutBody { share } => response.body.truncate(cut(*share)),
            Self::CutConnection { share } => delivery = Delivery::Cut(cut(*share)),
            Self::ResetBody { share } => delivery = Delivery::CutAndReset(cut(*share)),
            Self::Reset => delivery = Delivery::Reset,
            Self::Hang => delivery = Delivery::Hang,
            Self::Slow { bytes, pause_ms } => delivery = Delivery::Trickle { bytes: *bytes, pause: Duration::from_millis(*pause_ms) },
            Self::Latency { ms } => latency = Duration::from_millis(*ms),
        }
        Outcome { response, latency, delivery }
    }
}

/// This share, from 0 to 1, of a length.
pub fn part(length: usize, share: f64) -> usize {
    // In ten-thousandths, so that no cast is needed.
    let parts = (0..=10_000_u32).take_while(|part| f64::from(*part) <= share * 10_000.0).last().unwrap_or_default();
    usize::try_from(u64::try_from(length).unwrap_or(u64::MAX).saturating_mul(u64::from(parts)) / 10_000).unwrap_or(length)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_of_the_whole() {
        let shares = [-1.0, 0.0, 0.5, 0.999, 1.0, 7.0, f64::NAN];
        assert_eq!(shares.map(|share| part(1000, share)), [0, 0, 500, 999, 1000, 1000, 0]);
    }

    #[test]
    fn what_is_cut_lacks_something() {
        let response = Response::of(200, "text/plain", "abcd");
        let cut = |share| Mishap::CutBody { share }.befall(response.clone()).response.body;
        assert_eq!([0.0, 0.5, 1.0].map(cut), [b"".to_vec(), b"ab".to_vec(), b"abc".to_vec()]);
        assert_eq!(Mishap::ResetBody { share: 1.0 }.befall(response).delivery, Delivery::CutAndReset(3));
        assert_eq!(Mishap::CutConnection { share: 0.5 }.befall(Response::new(204)).delivery, Delivery::Cut(0));
    }
}
