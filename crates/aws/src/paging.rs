//! Listings page by page, to their end or to where they broke.

use std::collections::HashSet;

use async_trait::async_trait;
use aws_sdk_ec2::types::Filter;
use tracing::debug;

use crate::action::Action;
use crate::error::{Fault, Reason};
use crate::session::Calls;

/// Most pages of one listing: a million items of most kinds.
const PAGES_MAX: usize = 1000;

/// What a page is asked for with.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Ask<'a> {
    /// Only these ids, in listings that have a filter for them.
    pub(crate) ids: Option<&'a [String]>,
    /// Token of the page, from the page before.
    next: Option<&'a str>,
    /// Items to ask for, if fewer than usual.
    size: Option<i32>,
}

impl<'a> Ask<'a> {
    /// The first page, as small as every action allows: enough to see whether it is permitted.
    pub(crate) fn probe() -> Self {
        Self { size: Some(PROBE_SIZE), ..Self::default() }
    }

    pub(crate) fn of_ids(ids: &'a [String]) -> Self {
        Self { ids: Some(ids), ..Self::default() }
    }

    pub(crate) fn token(&self) -> Option<String> {
        self.next.map(str::to_owned)
    }

    pub(crate) fn size(&self, usual: i32) -> i32 {
        self.size.unwrap_or(usual)
    }

    /// A filter, not a list of ids: one unknown id in a list fails the whole call, in a filter it is simply absent.
    pub(crate) fn filters(&self, name: &str) -> Option<Vec<Filter>> {
        self.ids.map(|ids| vec![Filter::builder().name(name).set_values(Some(ids.to_vec())).build()])
    }
}

/// Items of a probe: EC2 takes no fewer.
const PROBE_SIZE: i32 = 5;

/// Items asked for per page of EC2, which takes 5 to 1 000. A call without a page size has a smaller rate budget and, for interfaces, can fail.
pub(crate) const EC2_PAGE: i32 = 1000;

/// One action that lists something page by page.
#[async_trait]
pub(crate) trait Pages: Sync {
    /// What the pages add up to.
    type Out: Default + Send;

    fn action(&self) -> Action;

    /// Reads one page into `out` and returns the next one's token, if there is one.
    async fn page(&self, calls: &Calls<'_>, ask: &Ask<'_>, out: &mut Self::Out) -> Result<Option<String>, Fault>;
}

/// Reads all pages. What was read before a fault comes back beside it.
pub(crate) async fn read_all<P: Pages>(pages: P, calls: &Calls<'_>, ask: Ask<'_>) -> (P::Out, Option<Fault>) {
    let mut restarted = false;
    loop {
        let mut out = P::Out::default();
        let fault = read(&pages, calls, ask, &mut out).await.err();
        // Tokens are short-lived, and pages of two listings must not be spliced: once more from the first page.
        if !restarted && fault.as_ref().is_some_and(|fault| fault.reason == Reason::StaleToken) {
            restarted = true;
            continue;
        }
        return (out, fault);
    }
}

async fn read<P: Pages>(pages: &P, calls: &Calls<'_>, ask: Ask<'_>, out: &mut P::Out) -> Result<(), Fault> {
    let action = pages.action().name;
    let mut tokens: HashSet<String> = HashSet::new();
    let mut next: Option<String> = None;
    for number in 1..=PAGES_MAX {
        let token = pages.page(calls, &Ask { next: next.as_deref(), ..ask }, out).await?;
        debug!(action, page = number, "Read a page");
        // The end is no token, or an empty one.
        match token.filter(|token| !token.is_empty()) {
            None => return Ok(()),
            Some(token) if !tokens.insert(token.clone()) => {
                return Err(Fault::truncated(action, format!("page {number} repeats the token of an earlier page")));
            }
            Some(token) => next = Some(token),
        }
    }
    Err(Fault::truncated(action, format!("more than {PAGES_MAX} pages")))
}
