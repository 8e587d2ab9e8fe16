//! Why there are no credentials, in words that tell which place to look at.

/// Longest text, in characters: each place has its say.
const TEXT_CHARS_MAX: usize = 1000;

/// Places where the SDK looks, as its chain names them, and in people's words.
const PLACES: [(&str, &str); 5] = [
    ("Environment:", "the environment"),
    ("Profile:", "a profile"),
    ("WebIdentityToken:", "a web identity"),
    ("EcsContainer:", "the container's credentials"),
    ("Ec2InstanceMetadata:", "the machine's metadata service"),
];

/// What the SDK says before each reason, and of a place that says no more.
const NOT_ENABLED: &str = "the credential provider was not enabled";

/// Puts the SDK's text about credentials that could not be had into words. `is_set` tells whether an environment variable is.
///
/// The SDK stops at the first place that is configured and fails, and does not name it.
pub(crate) fn why_none(text: &str, is_set: impl Fn(&str) -> bool) -> String {
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let told = match text.split_once("Attempted:") {
        Some((_, attempted)) => format!("there are none. {}", attempts(attempted).join("; ")),
        None => {
            let place = if is_set("AWS_WEB_IDENTITY_TOKEN_FILE") {
                "a web identity (AWS_WEB_IDENTITY_TOKEN_FILE)"
            } else if is_set("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI") || is_set("AWS_CONTAINER_CREDENTIALS_FULL_URI") {
                "the container's credentials (AWS_CONTAINER_CREDENTIALS_FULL_URI or _RELATIVE_URI)"
            } else {
                return text.chars().take(TEXT_CHARS_MAX).collect();
            };
            format!("{place}: {text}")
        }
    };
    told.chars().take(TEXT_CHARS_MAX).collect()
}

/// What each place said, in the SDK's order.
fn attempts(text: &str) -> Vec<String> {
    let mut starts: Vec<(usize, &str, &str)> = PLACES.iter().filter_map(|(name, words)| Some((text.find(name)?, *name, *words))).collect();
    starts.sort_unstable();
    let ends = starts.iter().skip(1).map(|(at, ..)| *at).chain([text.len()]);
    starts
        .iter()
        .zip(ends)
        .map(|((at, name, words), end)| {
            let said = text.get(at + name.len()..end).unwrap_or_default().trim();
            let said = said.strip_prefix(NOT_ENABLED).map_or(said, |rest| rest.trim_start_matches(':').trim());
            format!("{words}: {}", if said.is_empty() { "not configured" } else { said })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_place_has_its_say() {
        let text = "the credential provider was not enabled: no credentials found in chain. Attempted:\n\
                    Environment: the credential provider was not enabled: environment variable not set\n\
                    Profile: the credential provider was not enabled\n\
                    Ec2InstanceMetadata: the credential provider was not enabled: could not communicate with IMDS: timeout";
        assert_eq!(
            why_none(text, |_| false),
            "there are none. the environment: environment variable not set; a profile: not configured; the machine's metadata service: could not \
             communicate with IMDS: timeout"
        );
    }

    #[test]
    fn the_place_that_failed_is_named() {
        let container = |name: &str| name == "AWS_CONTAINER_CREDENTIALS_FULL_URI";
        let told = why_none("unexpected credentials error: timeout", container);
        assert!(told.starts_with("the container's credentials (AWS_CONTAINER_CREDENTIALS_FULL_URI"), "{told}");
        assert_eq!(why_none("unexpected credentials error: timeout", |_| false), "unexpected credentials error: timeout");
        assert!(why_none(&"x".repeat(5000), container).chars().count() <= TEXT_CHARS_MAX);
    }
}
