//! A budget in two layers: a platform's own, and that of the part of it that answers.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;

use crate::budget::{Budget, Exhausted, FEW_LEFT, Taken};
use crate::rate::RateSignal;

/// The budget of requests to a part of a platform that has limits of its own beside the platform's, as each resource provider of Azure has beside Azure
/// Resource Manager. Each request takes from both, and each layer hears of what is its own: a refusal by the provider holds back the provider's requests
/// only, one by the platform those of all providers, since they share its layer.
///
/// The platform's calls are taken first, and kept while the provider's are waited for.
#[derive(Debug)]
pub struct LayeredBudget {
    platform: Arc<dyn Budget>,
    provider: Arc<dyn Budget>,
}

impl LayeredBudget {
    /// Of a platform's budget, which all its providers share, and the provider's own.
    #[must_use]
    pub fn new(platform: Arc<dyn Budget>, provider: Arc<dyn Budget>) -> Self {
        Self { platform, provider }
    }
}

#[async_trait]
impl Budget for LayeredBudget {
    async fn acquire(&self, weight: NonZeroU32, latest: Timestamp) -> Result<Duration, Exhausted> {
        let platform = self.platform.acquire(weight, latest).await?;
        // Where the provider has nothing in time, or nobody waits for it any more, the platform's layer hears that nothing came of it.
        let taken = Taken::of(&*self.platform);
        let provider = self.provider.acquire(weight, latest).await?;
        taken.leave();
        Ok(platform.saturating_add(provider))
    }

    fn observe(&self, signal: Option<&RateSignal>) {
        let Some(signal) = signal else {
            self.platform.observe(None);
            self.provider.observe(None);
            return;
        };
        let (platform, provider) = split(signal);
        self.platform.observe(Some(&platform));
        self.provider.observe(provider.as_ref());
    }
}

/// Whose limit refused a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Refuser {
    Platform,
    Provider,
    /// Nothing tells: both layers have to take it for theirs.
    Either,
}

/// Whose refusal it is, by what both say that is left. The provider's numbers come from the provider, so that a request with them got past the platform.
///
/// Source: Azure, "Troubleshoot API throttling errors": where calls of the subscription are left, the provider refused.
fn refuser(signal: &RateSignal) -> Refuser {
    match (signal.remaining, signal.provider_remaining) {
        (Some(left), _) if left >= FEW_LEFT => Refuser::Provider,
        (None | Some(1..), Some(_)) => Refuser::Provider,
        (Some(_), _) => Refuser::Platform,
        (None, None) => Refuser::Either,
    }
}

/// What the platform's layer hears of an answer, and what the provider's does: nothing, where the platform turned the request away.
fn split(signal: &RateSignal) -> (RateSignal, Option<RateSignal>) {
    let refuser = signal.is_refusal.then(|| refuser(signal));
    let is_platforms = matches!(refuser, Some(Refuser::Platform | Refuser::Either));
    let is_providers = matches!(refuser, Some(Refuser::Provider | Refuser::Either));
    let platform = RateSignal {
        is_refusal: is_platforms,
        retry_after: signal.retry_after.filter(|_| is_platforms),
        provider_remaining: None,
        ..signal.clone()
    };
    let provider = RateSignal {
        is_refusal: is_providers,
        retry_after: signal.retry_after.filter(|_| is_providers),
        limit: None,
        remaining: signal.provider_remaining,
        provider_remaining: None,
        // The window that is told of is the platform's.
        reset_after: signal.reset_after.filter(|_| refuser == Some(Refuser::Either)),
        rule: None,
    };
    let has_reached_provider = refuser != Some(Refuser::Platform) || signal.provider_remaining.is_some();
    (platform, has_reached_provider.then_some(provider))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_whose_calls_are_used_up() {
        for (remaining, provider_remaining, want) in [
            (Some(11_990), None, Refuser::Provider),
            (Some(11_990), Some(0), Refuser::Provider),
            (Some(FEW_LEFT), None, Refuser::Provider),
            (Some(FEW_LEFT - 1), None, Refuser::Platform),
            (Some(FEW_LEFT - 1), Some(0), Refuser::Provider),
            (None, Some(0), Refuser::Provider),
            (None, Some(107), Refuser::Provider),
            (Some(0), None, Refuser::Platform),
            (Some(0), Some(0), Refuser::Platform),
            (None, None, Refuser::Either),
        ] {
            let signal = RateSignal { is_refusal: true, remaining, provider_remaining, ..RateSignal::default() };
            assert_eq!(refuser(&signal), want, "{remaining:?}, {provider_remaining:?}");
        }
    }

    #[test]
    fn each_layer_hears_its_own_part() {
        let told = Some(Duration::from_secs(30));
        let signal = RateSignal {
            limit: Some(12_000),
            remaining: Some(249),
            provider_remaining: Some(107),
            reset_after: told,
            rule: Some("reads".to_owned()),
            ..RateSignal::default()
        };
        let (platform, provider) = split(&signal);
        assert_eq!(platform, RateSignal { provider_remaining: None, ..signal.clone() });
        assert_eq!(provider, Some(RateSignal { remaining: Some(107), ..RateSignal::default() }));
        let refused = RateSignal { is_refusal: true, retry_after: told, ..signal.clone() };
        assert_eq!(split(&refused).0, platform, "the refusal is the provider's");
        let own = RateSignal { is_refusal: true, retry_after: told, remaining: Some(107), ..RateSignal::default() };
        assert_eq!(split(&refused).1, Some(own));
        let by_platform = RateSignal { remaining: Some(0), provider_remaining: None, ..refused };
        assert_eq!(split(&by_platform), (by_platform.clone(), None));
        let by_anybody = RateSignal { is_refusal: true, reset_after: told, ..RateSignal::default() };
        assert_eq!(split(&by_anybody), (by_anybody.clone(), Some(by_anybody.clone())));
    }
}
