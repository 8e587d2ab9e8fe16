//! Asking regions one after the other, for what any of them can tell.

use dewpoint_core::model::Region;

use crate::error::{Fault, Reason};

/// Regions that may fail to answer before nobody counts as reachable: each can take minutes to give up.
const UNANSWERED_MAX: usize = 2;

/// Regions to ask, in this order.
#[derive(Debug, Clone)]
pub(crate) struct Turn {
    pub(crate) regions: Vec<Region>,
    /// With an endpoint of the configuration, all regions are the same server: one that does not answer is enough.
    pub(crate) is_one_server: bool,
}

/// Whether an answer is the region's alone, so that another region may answer differently.
///
/// A region that an account has not enabled refuses good credentials; a service control policy can deny some regions and allow others.
pub(crate) fn is_refusal(fault: &Fault) -> bool {
    matches!(fault.reason, Reason::Unrecognised | Reason::Disabled | Reason::Off | Reason::Denied)
}

impl Turn {
    /// Asks until a region answers. Goes on after refusals (`is_refusal`) and, once, after a region that is out of order.
    ///
    /// The error is that of the first region that did not refuse, else of the first.
    pub(crate) async fn ask<'a, T, F>(
        &'a self,
        operation: &'static str,
        is_refusal: impl Fn(&Fault) -> bool,
        ask: impl Fn(&'a Region) -> F,
    ) -> Result<T, Fault>
    where
        F: Future<Output = Result<T, Fault>>,
    {
        let unanswered_max = if self.is_one_server { 1 } else { UNANSWERED_MAX };
        let mut faults = Vec::new();
        let mut unanswered = 0;
        for region in &self.regions {
            let fault = match ask(region).await {
                Ok(answer) => return Ok(answer),
                Err(fault) => fault,
            };
            let goes_on = match fault.reason {
                _ if is_refusal(&fault) => true,
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
        let told = faults.into_iter().min_by_key(|fault| is_refusal(fault));
        Err(told.unwrap_or_else(|| Fault::new(Reason::Failed, operation, "no region is configured")))
    }
}
