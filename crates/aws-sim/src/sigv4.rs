//! Checks Signature Version 4 for real.
//!
//! Source: AWS General Reference, "Create a signed AWS API request".

use std::fmt::Write as _;

use dewpoint_sim_kit::{Request, clock};
use hmac::{Hmac, KeyInit, Mac};
use jiff::{SignedDuration, Timestamp, civil::DateTime, tz::TimeZone};
use sha2::{Digest, Sha256};

/// How far a client's clock may be off.
/// Source: IAM User Guide, "Signature Version 4": a request must reach AWS within five minutes of its time stamp.
const SKEW_MAX: SignedDuration = SignedDuration::from_mins(5);

/// What the `Authorization` header says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Authorization {
    pub(crate) key_id: String,
    date: String,
    pub(crate) region: String,
    pub(crate) service: String,
    signed_headers: Vec<String>,
    signature: String,
}

impl Authorization {
    /// Reads `AWS4-HMAC-SHA256 Credential=KEY/DATE/REGION/SERVICE/aws4_request, SignedHeaders=a;b, Signature=HEX`.
    pub(crate) fn parse(header: &str) -> Option<Self> {
        let fields = header.strip_prefix("AWS4-HMAC-SHA256")?;
        let field = |name: &str| fields.split(',').find_map(|field| field.trim().strip_prefix(name)?.strip_prefix('='));
        let mut scope = field("Credential")?.split('/');
        let parsed = Self {
            key_id: scope.next()?.to_owned(),
            date: scope.next()?.to_owned(),
            region: scope.next()?.to_owned(),
            service: scope.next()?.to_owned(),
            signed_headers: field("SignedHeaders")?.split(';').map(str::to_owned).collect(),
            signature: field("Signature")?.to_owned(),
        };
        (scope.next() == Some("aws4_request") && scope.next().is_none()).then_some(parsed)
    }

    /// Whether the request is signed by this secret, and lately.
    pub(crate) fn verify(&self, request: &Request, secret: &str, now: Timestamp) -> Verdict {
        let Some(stamp) = request.header("x-amz-date") else { return Verdict::Mismatch("the header X-Amz-Date is missing") };
        let Some(at) = basic_time(stamp) else { return Verdict::Mismatch("X-Amz-Date is not a time in basic format") };
        if !stamp.starts_with(&self.date) {
            return Verdict::Mismatch("the date of the credential scope is not that of X-Amz-Date");
        }
        if !["host", "x-amz-date"].into_iter().all(|needed| self.signed_headers.iter().any(|name| name == needed)) {
            return Verdict::Mismatch("Host and X-Amz-Date must be signed");
        }
        // Whatever x-amz-* header comes has to be signed: the session token above all.
        if request.headers.iter().any(|(name, _)| name.starts_with("x-amz-") && !self.signed_headers.contains(name)) {
            return Verdict::Mismatch("an x-amz-* header is not signed");
        }
        let signature = self.signature_over(request, secret, stamp);
        if !same(signature.as_bytes(), self.signature.as_bytes()) {
            return Verdict::Mismatch("the signature we calculated does not match the signature you provided");
        }
        // Time stamps have whole seconds.
        let now = Timestamp::from_second(now.as_second()).unwrap_or(now);
        if now.duration_since(at).abs() > SKEW_MAX { Verdict::Skewed { signed: at, now } } else { Verdict::Genuine }
    }

    fn signature_over(&self, request: &Request, secret: &str, stamp: &str) -> String {
        let mut canonical = format!("{}\n{}\n{}\n", request.method, request.path, sorted_query(&request.query));
        for name in &self.signed_headers {
            let value = request.header(name).unwrap_or_default();
            let collapsed = value.split_whitespace().collect::<Vec<_>>().join(" ");
            let _ = writeln!(canonical, "{name}:{collapsed}");
        }
        let _ = write!(canonical, "\n{}\n{}", self.signed_headers.join(";"), hex(&Sha256::digest(&request.body)));
        let scope = format!("{}/{}/{}/aws4_request", self.date, self.region, self.service);
        let to_sign = format!("AWS4-HMAC-SHA256\n{stamp}\n{scope}\n{}", hex(&Sha256::digest(canonical)));
        let key = [self.date.as_str(), &self.region, &self.service, "aws4_request"]
            .into_iter()
            .fold(format!("AWS4{secret}").into_bytes(), |key, part| hmac(&key, part.as_bytes()));
        hex(&hmac(&key, to_sign.as_bytes()))
    }
}

/// Signs a request as of now, as a client does.
#[cfg(test)]
pub(crate) fn sign(request: &mut Request, key_id: &str, secret: &str, region: &str, service: &str) {
    let stamp = basic(clock::wall());
    request.headers.push(("x-amz-date".to_owned(), stamp.clone()));
    let authorization = Authorization {
        key_id: key_id.to_owned(),
        date: stamp.get(..8).unwrap_or_default().to_owned(),
        region: region.to_owned(),
        service: service.to_owned(),
        signed_headers: request.headers.iter().map(|(name, _)| name.clone()).collect(),
        signature: String::new(),
    };
    let signature = authorization.signature_over(request, secret, &stamp);
    let Authorization { key_id, date, signed_headers, .. } = authorization;
    let scope = format!("{key_id}/{date}/{region}/{service}/aws4_request");
    let header = format!("AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders={}, Signature={signature}", signed_headers.join(";"));
    request.headers.push(("authorization".to_owned(), header));
}

/// What [`Authorization::verify`] found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Genuine,
    Mismatch(&'static str),
    /// Signed too long before the server's time, or after it.
    Skewed {
        signed: Timestamp,
        now: Timestamp,
    },
}

/// What AWS says of a signature that is too old or not yet good.
pub(crate) fn skew_message(signed: Timestamp, now: Timestamp) -> String {
    let (at, server) = (basic(signed), basic(now));
    if signed < now {
        format!("Signature expired: {at} is now earlier than {} ({server} - 5 min.)", basic(clock::later(now, -SKEW_MAX)))
    } else {
        format!("Signature not yet current: {at} is still later than {} ({server} + 5 min.)", basic(clock::later(now, SKEW_MAX)))
    }
}

pub(crate) fn hmac(key: &[u8], message: &[u8]) -> Vec<u8> {
    // Any length of key will do.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key) else { return Vec::new() };
    mac.update(message);
    mac.finalize().into_bytes().to_vec()
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn same(one: &[u8], other: &[u8]) -> bool {
    one.len() == other.len() && one.iter().zip(other).fold(0, |difference, (a, b)| difference | (a ^ b)) == 0
}

fn sorted_query(query: &str) -> String {
    let mut pairs: Vec<_> = query.split('&').filter(|pair| !pair.is_empty()).collect();
    pairs.sort_unstable();
    pairs.join("&")
}

/// Writes `20261122T010203Z`.
fn basic(at: Timestamp) -> String {
    at.strftime("%Y%m%dT%H%M%SZ").to_string()
}

/// Reads `20261122T010203Z`.
fn basic_time(text: &str) -> Option<Timestamp> {
    let at = DateTime::strptime("%Y%m%dT%H%M%SZ", text).ok()?;
    at.to_zoned(TimeZone::UTC).ok().map(|zoned| zoned.timestamp())
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
mod tests {
    use super::*;

    /// The request `post-x-www-form-urlencoded` of AWS's published Signature Version 4 test suite.
    fn published(secret: &str, now: &str) -> Verdict {
        let authorization = "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, \
            SignedHeaders=content-type;host;x-amz-date, Signature=ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a";
        let request = Request {
            method: "POST".into(),
            path: "/".into(),
            query: String::new(),
            headers: [
                ("content-type", "application/x-www-form-urlencoded"),
                ("host", "example.amazonaws.com"),
                ("x-amz-date", "20150830T123600Z"),
            ]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .to_vec(),
            body: b"Param1=value1".to_vec(),
        };
        Authorization::parse(authorization).unwrap().verify(&request, secret, now.parse().unwrap())
    }

    #[test]
    fn the_published_example_verifies() {
        let secret = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
        assert_eq!(published(secret, "2015-08-30T12:40:00Z"), Verdict::Genuine);
        assert!(matches!(published("another", "2015-08-30T12:40:00Z"), Verdict::Mismatch(_)));
    }

    #[test]
    fn a_signature_is_good_for_five_minutes_before_and_after_its_time() {
        let judged = |now: &str| match published("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", now) {
            Verdict::Skewed { signed, now } => Err(skew_message(signed, now)),
            verdict => Ok(verdict),
        };
        assert_eq!(judged("2015-08-30T12:31:00Z"), Ok(Verdict::Genuine));
        assert_eq!(judged("2015-08-30T12:41:00.9Z"), Ok(Verdict::Genuine));
        let expired = "Signature expired: 20150830T123600Z is now earlier than 20150830T123601Z (20150830T124101Z - 5 min.)";
        assert_eq!(judged("2015-08-30T12:41:01.5Z"), Err(expired.to_owned()));
        let early = "Signature not yet current: 20150830T123600Z is still later than 20150830T123559Z (20150830T123059Z + 5 min.)";
        assert_eq!(judged("2015-08-30T12:30:59Z"), Err(early.to_owned()));
    }
}
