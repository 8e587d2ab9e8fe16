//! Asking regions one after the other, for what any of them can tell.

use dewpoint_core::model::Region;

use crate::accounts::SERVICE_CONTROL_POLICY;
use crate::error::{Fault, Reason};

/// Regions asked at most that refuse without saying that it is for the region: a policy may allow the action in some regions only, and says so no more
/// than one that does not allow it at all.
const DENIED_MAX: usize = 3;

/// Regions that may fail to answer before nobody counts as reachable: each can take minutes to give up.
const UNANSWERED_MAX: usize = 2;

/// Regions to ask, in this order.
#[derive(Debug, Clone)]
pub(crate) struct Turn {
    pub(crate) regions: Vec<Region>,
    /// With an endpoint of the configuration, all regions are the same server: one that does not answer is enough.
    pub(crate) is_one_server: bool,
}

/// Whether the service refused the call for who makes it, and not for what it is.
pub(crate) fn is_refusal(fault: &Fault) -> bool {
    matches!(fault.reason, Reason::Unrecognised | Reason::Disabled | Reason::Off | Reason::Denied)
}

/// Whether a refusal may be the region's alone, so that another region may answer differently.
///
/// A region that an account has not enabled refuses good credentials, and explicit denials are often bound to regions.
/// Source: IAM User Guide, "Troubleshoot access denied error messages".
pub(crate) fn is_of_region(fault: &Fault) -> bool {
    match fault.reason {
        Reason::Denied => ["explicit deny", SERVICE_CONTROL_POLICY].iter().any(|words| fault.text.contains(words)),
        _ => is_refusal(fault),
    }
}

impl Turn {
    /// Asks until a region answers. Goes on after refusals that may be the region's alone ([`is_of_region`]) and, once, after a region that is out of order.
    ///
    /// The error is that of the first region that did not refuse, else of the first.
    pub(crate) async fn ask<'a, T, F>(&'a self, operation: &'static str, ask: impl Fn(&'a Region) -> F) -> Result<T, Fault>
    where
        F: Future<Output = Result<T, Fault>>,
    {
        let unanswered_max = if self.is_one_server { 1 } else { UNANSWERED_MAX };
        let mut faults = Vec::new();
        let (mut unanswered, mut denied) = (0, 0);
        for region in &self.regions {
            let fault = match ask(region).await {
                Ok(answer) => return Ok(answer),
                Err(fault) => fault,
            };
            let goes_on = match fault.reason {
                _ if is_of_region(&fault) => true,
                _ if is_refusal(&fault) => {
                    denied += 1;
                    denied < DENIED_MAX
                }
                Reason::Failed | Reason::Silent => {
                    unanswered += 1;
                    unanswered < unanswered_max
                }
                _ => false,
            };
            faults.push(fault);
            if !goes_on {
                break;
            }
        }
        // The smallest is the first that is no refusal.
        let told = faults.into_iter().min_by_key(is_refusal);
        Err(told.unwrap_or_else(|| Fault::new(Reason::Failed, operation, "no region is configured")))
    }
}
