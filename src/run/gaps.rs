//! How scopes that were not listed completely are told to people: what makes a run partly done first, kinds that share a reason together.

use std::collections::{BTreeMap, BTreeSet};

use super::report::ReceiptDocument;
use crate::model::{Account, Kind, Outcome, Provider, Region};
use crate::told;

/// Kinds that are named without `-v`; of more only the number is told.
const KINDS_NAMED_MAX: usize = 3;

/// Whether a listing that ended so ends its run as partly done, unless people accepted the gap.
#[must_use]
pub fn is_gap(outcome: Outcome) -> bool {
    matches!(outcome, Outcome::Denied | Outcome::Throttled | Outcome::Truncated | Outcome::Failed)
}

/// How pressing an outcome is, the most pressing first. `accepted` counts for gaps only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Weight {
    /// It makes the run partly done.
    Gap,
    /// People accepted it.
    Accepted,
    /// The region or API is not enabled.
    Disabled,
    /// It was not asked for.
    Skipped,
    /// No source covers it any more.
    Orphaned,
    /// Nothing is missing.
    Complete,
}

impl Weight {
    /// Of a receipt.
    #[must_use]
    pub fn of(outcome: Outcome, accepted: bool) -> Self {
        match outcome {
            Outcome::Denied | Outcome::Throttled | Outcome::Truncated | Outcome::Failed if accepted => Self::Accepted,
            Outcome::Denied | Outcome::Throttled | Outcome::Truncated | Outcome::Failed => Self::Gap,
            Outcome::Disabled => Self::Disabled,
            Outcome::Skipped => Self::Skipped,
            Outcome::Orphaned => Self::Orphaned,
            Outcome::Complete => Self::Complete,
        }
    }
}

/// Kinds that are told together: by name where they are few or `verbose` is asked for, else their number.
#[must_use]
pub fn kinds(kinds: &BTreeSet<Kind>, verbose: bool) -> String {
    if verbose || kinds.len() <= KINDS_NAMED_MAX {
        return kinds.iter().map(|kind| kind.as_str()).collect::<Vec<_>>().join(", ");
    }
    format!("{} kinds", kinds.len())
}

/// What kinds of one account and region share that are told on one line, in the order of the lines.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Line<'a> {
    weight: Weight,
    outcome: Outcome,
    provider: Provider,
    account: &'a Account,
    region: &'a Region,
    error: Option<&'a str>,
}

/// One line for each account, region and reason of what is not complete.
///
/// Only the first lines may be shown unless `verbose`: each account and region then has its first line before any has its second, for one
/// region whose kinds all say something else would hide the others.
pub(super) fn lines(receipts: &[ReceiptDocument], verbose: bool) -> impl Iterator<Item = String> {
    let mut folded: BTreeMap<Line<'_>, BTreeSet<Kind>> = BTreeMap::new();
    for receipt in receipts.iter().filter(|receipt| receipt.outcome != Outcome::Complete) {
        let line = Line {
            weight: Weight::of(receipt.outcome, receipt.accepted),
            outcome: receipt.outcome,
            provider: receipt.provider,
            account: &receipt.account,
            region: &receipt.region,
            error: receipt.error.as_deref(),
        };
        folded.entry(line).or_default().insert(receipt.kind);
    }
    let mut met: BTreeMap<(Weight, Provider, &Account, &Region), usize> = BTreeMap::new();
    let nth = folded.into_iter().map(|(line, kinds)| {
        let nth = met.entry((line.weight, line.provider, line.account, line.region)).or_default();
        *nth += 1;
        (*nth, line, kinds)
    });
    let mut lines: Vec<(usize, Line<'_>, BTreeSet<Kind>)> = nth.collect();
    if !verbose {
        lines.sort_by_key(|(nth, line, _)| (line.weight, *nth));
    }
    lines.into_iter().map(move |(_, line, of)| {
        let Line { weight, outcome, provider, account, region, error } = line;
        let accepted = if weight == Weight::Accepted { " (accepted)" } else { "" };
        let error = error.map(|error| format!(": {}", told::printable(error))).unwrap_or_default();
        format!("{provider} {account} {region} {} {outcome}{accepted}{error}", kinds(&of, verbose))
    })
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;

    fn receipt(account: &str, region: &str, kind: Kind, outcome: Outcome, error: &str) -> ReceiptDocument {
        ReceiptDocument {
            source: "aws".parse().unwrap(),
            provider: Provider::Aws,
            account: account.parse().unwrap(),
            region: region.parse().unwrap(),
            kind,
            outcome,
            count: None,
            error: (!error.is_empty()).then(|| error.to_owned()),
            accepted: false,
        }
    }

    const KINDS: [Kind; 5] = [Kind::Instance, Kind::Volume, Kind::Subnet, Kind::Network, Kind::Zone];

    fn told(receipts: &[ReceiptDocument], verbose: bool) -> Vec<String> {
        lines(receipts, verbose).collect()
    }

    #[test]
    fn what_ends_a_run_as_partly_done_comes_first() {
        let mut receipts: Vec<ReceiptDocument> = [
            ("1", Outcome::Orphaned),
            ("1", Outcome::Skipped),
            ("1", Outcome::Disabled),
            ("1", Outcome::Complete),
            ("1", Outcome::Denied),
            ("2", Outcome::Failed),
            ("3", Outcome::Truncated),
            ("4", Outcome::Throttled),
            ("5", Outcome::Denied),
        ]
        .into_iter()
        .map(|(account, outcome)| receipt(account, "*", Kind::Volume, outcome, ""))
        .collect();
        for receipt in receipts.iter_mut().filter(|receipt| receipt.account.as_str() == "1") {
            receipt.accepted = receipt.outcome == Outcome::Denied;
        }
        let expected = [
            "aws 5 * volume denied",
            "aws 4 * volume throttled",
            "aws 3 * volume truncated",
            "aws 2 * volume failed",
            "aws 1 * volume denied (accepted)",
            "aws 1 * volume disabled",
            "aws 1 * volume skipped",
            "aws 1 * volume orphaned",
        ];
        assert_eq!(
            (told(&receipts, false), told(&receipts, true)),
            (expected.map(str::to_owned).to_vec(), expected.map(str::to_owned).to_vec())
        );
        receipts.reverse();
        assert_eq!(told(&receipts, false), expected);
    }

    #[test]
    fn kinds_that_share_a_reason_share_a_line() {
        let mut receipts: Vec<ReceiptDocument> =
            KINDS.iter().map(|kind| receipt("1", "eu-west-1", *kind, Outcome::Disabled, "not enabled")).collect();
        receipts.extend(KINDS.iter().map(|kind| receipt("2", "eu-west-1", *kind, Outcome::Disabled, "not enabled")));
        receipts.extend(KINDS.iter().take(3).map(|kind| receipt("2", "us-east-1", *kind, Outcome::Denied, "no role")));
        receipts.push(receipt("2", "us-east-1", Kind::Zone, Outcome::Denied, "no role, and\nanother word"));
        assert_eq!(
            told(&receipts, false),
            [
                "aws 2 us-east-1 subnet, instance, volume denied: no role".to_owned(),
                "aws 2 us-east-1 zone denied: no role, and\\nanother word".to_owned(),
                "aws 1 eu-west-1 5 kinds disabled: not enabled".to_owned(),
                "aws 2 eu-west-1 5 kinds disabled: not enabled".to_owned(),
            ]
        );
        let verbose = told(&receipts, true);
        assert_eq!(verbose.len(), 4);
        assert_eq!(verbose.last().unwrap(), "aws 2 eu-west-1 zone, network, subnet, instance, volume disabled: not enabled");
    }

    #[test]
    fn a_place_of_many_reasons_hides_no_other() {
        let of = |account: &str, outcome: Outcome| KINDS.map(|kind| receipt(account, "*", kind, outcome, &format!("{kind} is refused")));
        let receipts: Vec<ReceiptDocument> = of("1", Outcome::Denied).into_iter().chain(of("2", Outcome::Failed)).collect();
        let accounts = |verbose: bool| -> String { told(&receipts, verbose).iter().filter_map(|line| line.chars().nth(4)).collect() };
        assert_eq!((accounts(false).as_str(), accounts(true).as_str()), ("1212121212", "1111122222"));
    }
}
