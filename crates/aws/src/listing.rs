//! One listing, page by page, to its end or to where it broke.

use std::collections::HashSet;

use aws_sdk_ec2::types::Filter;
use dewpoint_core::model::{Kind, Outcome, Region, SourceName};
use dewpoint_core::source::{Progress, SourceError};
use tokio::sync::OnceCell;
use tracing::debug;

use crate::client::Meter;
use crate::error::{Fault, Reason};
use crate::identity::Session;
use crate::map::{Found, Place};
use crate::regions::{self, Enabled};
use crate::{instances, interfaces, security_groups};

/// Items asked for per page; EC2 takes 5 to 1 000. A call without a page size has a smaller rate budget and, for interfaces, can fail.
pub(crate) const PAGE_SIZE: i32 = 1000;

/// Most pages of one listing: a million items.
const PAGES_MAX: usize = 1000;

/// One call for one page.
#[derive(Debug)]
pub(crate) struct Ask<'a> {
    /// Only these ids. A filter, not a list of ids: one unknown id in a list fails the whole call, in a filter it is simply absent.
    pub(crate) ids: Option<&'a [String]>,
    pub(crate) next: Option<&'a str>,
    pub(crate) size: i32,
    pub(crate) meter: Meter,
}

impl Ask<'_> {
    pub(crate) fn token(&self) -> Option<String> {
        self.next.map(str::to_owned)
    }

    pub(crate) fn filters(&self, name: &str) -> Option<Vec<Filter>> {
        self.ids.map(|ids| vec![Filter::builder().name(name).set_values(Some(ids.to_vec())).build()])
    }
}

/// One page, mapped.
#[derive(Debug)]
pub(crate) struct Page {
    pub(crate) found: Found,
    pub(crate) token: Option<String>,
}

/// What one listing read, and what ended it early.
#[derive(Debug, Default)]
pub(crate) struct Listing {
    pub(crate) found: Found,
    /// `None` when it was read to its end and every item could be taken.
    pub(crate) error: Option<SourceError>,
}

impl Listing {
    pub(crate) fn outcome(&self) -> Outcome {
        self.error.as_ref().map_or(Outcome::Complete, SourceError::outcome)
    }
}

/// The calls of one pull, look-up or check.
pub(crate) struct Run<'a> {
    pub(crate) source: &'a SourceName,
    pub(crate) session: &'a Session,
    pub(crate) progress: &'a dyn Progress,
    /// Which regions the account has; asked once, and only when a region refuses the credentials.
    pub(crate) enabled: OnceCell<Option<Enabled>>,
}

impl<'a> Run<'a> {
    pub(crate) fn new(source: &'a SourceName, session: &'a Session, progress: &'a dyn Progress) -> Self {
        Self { source, session, progress, enabled: OnceCell::new() }
    }

    /// Lists a kind in a place, whole or by ids.
    pub(crate) async fn list(&self, kind: Kind, place: &Place, ids: Option<&[String]>) -> Listing {
        let Some(operation) = operation(kind) else {
            let text = format!("{kind} is not listed here");
            return Listing { error: Some(self.failed("list", text)), found: Found::default() };
        };
        let mut restarted = false;
        loop {
            let mut found = Found::default();
            let fault = self.pages(kind, operation, place, ids, &mut found).await.err();
            // Tokens are short-lived, and pages of two listings must not be spliced: once more from the first page.
            if !restarted && fault.as_ref().is_some_and(|fault| fault.reason == Reason::StaleToken) {
                restarted = true;
                continue;
            }
            let error = match fault {
                Some(fault) => Some(self.explain(&place.region, &fault).await),
                None => self.incomplete(kind, operation, &found),
            };
            return Listing { found, error };
        }
    }

    async fn pages(
        &self,
        kind: Kind,
        operation: &'static str,
        place: &Place,
        ids: Option<&[String]>,
        found: &mut Found,
    ) -> Result<(), Fault> {
        let mut tokens: HashSet<String> = HashSet::new();
        let mut next: Option<String> = None;
        for number in 1..=PAGES_MAX {
            let page = self.page(kind, place, ids, next.as_deref(), PAGE_SIZE).await?;
            debug!(source = %self.source, region = %place.region, operation, page = number, items = page.found.resources.len(), "Read a page");
            found.resources.extend(page.found.resources);
            found.relations.extend(page.found.relations);
            found.refused.extend(page.found.refused);
            found.foreign += page.found.foreign;
            // EC2 ends with no token or an empty one.
            match page.token.filter(|token| !token.is_empty()) {
                None => return Ok(()),
                Some(token) if !tokens.insert(token.clone()) => {
                    return Err(Fault::truncated(operation, format!("page {number} repeats the token of an earlier page")));
                }
                Some(token) => next = Some(token),
            }
        }
        Err(Fault::truncated(operation, format!("more than {PAGES_MAX} pages")))
    }

    /// Makes one call.
    pub(crate) async fn page(
        &self,
        kind: Kind,
        place: &Place,
        ids: Option<&[String]>,
        next: Option<&str>,
        size: i32,
    ) -> Result<Page, Fault> {
        let (Some(operation), Some(client)) = (operation(kind), self.session.ec2(&place.region)) else {
            let text = format!("{kind} in {} is not listed here", place.region);
            return Err(Fault { reason: Reason::Failed, operation: "list", text });
        };
        let ask = Ask { ids, next, size, meter: Meter::default() };
        // Boxed: the SDK's futures are several KiB each.
        let page = match kind {
            Kind::Instance => Box::pin(instances::page(client, place, &ask)).await,
            Kind::NetworkInterface => Box::pin(interfaces::page(client, place, &ask)).await,
            _ => Box::pin(security_groups::page(client, place, &ask)).await,
        };
        ask.meter.report(self.progress, self.source, operation);
        page
    }

    /// The error that a fault in a region stands for.
    ///
    /// A region that the account has not enabled refuses good credentials as if they were bad. They are good, since STS took
    /// them; so the account's own list of regions tells the two apart. Without that list it stays a denial, which is the louder.
    pub(crate) async fn explain(&self, region: &Region, fault: &Fault) -> SourceError {
        if fault.reason == Reason::Unrecognised {
            let enabled = self.enabled.get_or_init(|| async { regions::enabled(self).await.ok() }).await;
            if enabled.as_ref().is_some_and(|enabled| enabled.is_off(region)) {
                let text = format!("region {region} is not enabled for the account ({})", fault.text);
                return Fault { reason: Reason::Disabled, operation: fault.operation, text }.error(self.source);
            }
        }
        fault.error(self.source)
    }

    fn incomplete(&self, kind: Kind, operation: &'static str, found: &Found) -> Option<SourceError> {
        // Networks and groups can be shared, instances never: such an answer was given to other credentials, and lists nothing of ours.
        if kind == Kind::Instance && found.foreign > 0 {
            let text = format!("{} instances belong to another account than {}", found.foreign, self.session.identity.account);
            return Some(Fault::truncated(operation, text).error(self.source));
        }
        let first = found.refused.iter().min()?;
        let text = format!("{} items could not be taken; the first: {}", found.refused.len(), first.text);
        Some(Fault::truncated(operation, text).error(self.source))
    }

    pub(crate) fn failed(&self, operation: &str, text: String) -> SourceError {
        SourceError::Failed { source_name: self.source.clone(), operation: operation.to_owned(), text }
    }
}

/// The action that lists a kind; `None` for kinds this source does not list.
pub(crate) const fn operation(kind: Kind) -> Option<&'static str> {
    match kind {
        Kind::Instance => Some(instances::OPERATION),
        Kind::NetworkInterface => Some(interfaces::OPERATION),
        Kind::SecurityGroup => Some(security_groups::OPERATION),
        _ => None,
    }
}
