//! Online checks: identity, clock, accounts, regions, and each needed action by a cheap call.

use dewpoint_core::doctor::{CREDENTIALS, Finding, Health, Skew};
use dewpoint_core::model::Region;
use dewpoint_core::source::{Silent, SourceError};
use futures::StreamExt;
use futures::future::BoxFuture;
use jiff::Timestamp;

use crate::accounts::{self, Access, Member, Open, SERVICE_CONTROL_POLICY};
use crate::action::Action;
use crate::error::{Fault, Reason};
use crate::identity::Identity;
use crate::kinds::addresses::PublicAddresses;
use crate::kinds::balancers::{self, Balancers};
use crate::kinds::classic;
use crate::kinds::instance_types::InstanceTypes;
use crate::kinds::instances::{self, Instances};
use crate::kinds::interfaces::Interfaces;
use crate::kinds::listeners;
use crate::kinds::networks::Networks;
use crate::kinds::pools::{self, Pools};
use crate::kinds::regions::{self, RegionList};
use crate::kinds::scaling_groups::ScalingGroups;
use crate::kinds::security_groups::SecurityGroups;
use crate::kinds::subnets::Subnets;
use crate::kinds::volumes::Volumes;
use crate::kinds::zones::Zones;
use crate::map::Place;
use crate::paging::{Ask, Pages};
use crate::region::explain;
use crate::session::{Calls, SKEW_REFUSED};
use crate::{ACCOUNTS_AT_ONCE, Accounts, AwsSource, Regions, client, role};

pub(crate) async fn doctor(source: &AwsSource) -> Vec<Finding> {
    let check = Check { source };
    let (identity, date) = match source.identify(&Silent).await {
        Ok(answer) => (answer.identity, answer.date),
        Err(fault) => return check.no_identity(&fault, client::now(source.shared().await)),
    };
    let now = client::now(source.shared().await);
    let mut findings = vec![check.finding("identity", Health::Ok, format!("account {}, {}", identity.account, identity.arn), None)];
    findings.push(check.clock(date.as_deref(), now));

    let caller = source.caller(identity).await;
    let members = source.members(&caller, &Silent).await;
    if source.config.accounts == Accounts::Organization {
        findings.push(check.accounts(&members));
    }
    let entrances = source.entrances(&caller);
    let examine = |member: Member| {
        let (check, caller, entrances) = (&check, &caller, &entrances);
        async move {
            let open = member.open(caller, entrances, &Silent).await;
            check.account(&caller.identity, &member, open).await
        }
    };
    let members = futures::stream::iter(members.unwrap_or_default()).map(|member| Box::pin(examine(member)));
    findings.extend(members.buffered(ACCOUNTS_AT_ONCE).collect::<Vec<_>>().await.into_iter().flatten());
    findings
}

/// The checks of one source.
struct Check<'a> {
    source: &'a AwsSource,
}

impl Check<'_> {
    fn finding(&self, check: &str, outcome: Health, text: String, mend: Option<String>) -> Finding {
        Finding::new(&self.source.config.name, check, outcome, text, mend)
    }

    fn error(&self, fault: &Fault) -> SourceError {
        fault.error(&self.source.config.name)
    }

    /// Nobody knows the caller. What the answer tells of the clock may be why.
    fn no_identity(&self, fault: &Fault, now: Option<Timestamp>) -> Vec<Finding> {
        let error = self.source.no_identity(fault);
        let (name, mend) = match &error {
            SourceError::Credentials { .. } => (
                CREDENTIALS,
                Some(
                    "give credentials: AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, AWS_PROFILE, or a role of the machine or container"
                        .to_owned(),
                ),
            ),
            SourceError::Clock { .. } => ("identity", error.hint()),
            _ => ("identity", Some("check the network, the proxy and `endpoint_url`".to_owned())),
        };
        let mut findings = vec![self.finding(name, Health::Error, error.to_string(), mend)];
        findings.extend(fault.date.as_deref().map(|date| self.clock(Some(date), now)));
        findings
    }

    fn clock(&self, date: Option<&str>, now: Option<Timestamp>) -> Finding {
        let (outcome, text, mend) = judge_clock(date, now);
        self.finding("clock", outcome, text, mend)
    }

    fn accounts(&self, members: &Result<Vec<Member>, Fault>) -> Finding {
        let name = accounts::LIST.name;
        match members {
            Ok(members) => {
                let read = members.iter().filter(|member| !matches!(member.access, Access::Nobody { .. })).count();
                self.finding(name, Health::Ok, format!("{} accounts, of which {read} are to be read", members.len()), None)
            }
            Err(fault) => {
                let mend = "run with credentials of the organization's management account or of a delegated administrator, and allow \
                            organizations:ListAccounts, see deploy/aws/hub-policy.json";
                self.finding(name, Health::Error, self.error(fault).to_string(), Some(mend.to_owned()))
            }
        }
    }

    /// One account: its role, its regions, and the actions in each.
    async fn account(&self, caller: &Identity, member: &Member, open: Result<Open, Fault>) -> Vec<Finding> {
        // Whose finding it is goes without saying where there is one account.
        let of = if self.source.config.accounts == Accounts::Own { String::new() } else { format!(" of {}", member.account) };
        let open = match (open, &member.access) {
            (_, Access::Nobody { why }) => {
                return vec![self.finding(&format!("account {}", member.account), Health::Warning, why.clone(), Some(NOT_READ.to_owned()))];
            }
            (Err(fault), _) => {
                let mend = match self.error(&fault) {
                    SourceError::Denied { text, .. } if !text.contains(SERVICE_CONTROL_POLICY) => Some(format!(
                        "let the role exist, let it trust {}, with the external id that is configured, and allow {} to this identity, see deploy/aws",
                        caller.arn,
                        role::ACTION.name
                    )),
                    error => error.hint(),
                };
                let check = format!("account {}", member.account);
                return vec![self.finding(&check, Health::Error, self.error(&fault).to_string(), mend)];
            }
            (Ok(open), _) => open,
        };
        let mut findings = Vec::new();
        if let Access::Role(role) = &member.access {
            findings.push(self.finding(&format!("account {}", member.account), Health::Ok, format!("read as {}", role.arn), None));
        }
        let (outcome, text, mend) = match &open.regions {
            Ok(_) => (Health::Ok, "allowed".to_owned(), None),
            Err(fault) => {
                let error = self.error(fault);
                let mend = self.mend_for(&error, regions::ACTION.name, None);
                (Health::Error, format!("{error}; without it, nobody knows which regions the account has"), mend)
            }
        };
        findings.push(self.finding(&format!("{}{of}", regions::ACTION.name), outcome, text, mend));

        let Ok((mut on, off)) = self.source.regions_of(&open) else { return findings };
        // A sync leaves them out without a word of failure, unless all of them are meant.
        for region in off.iter().filter(|_| self.source.config.regions != Regions::All) {
            let mend = format!("enable {region} for the account, or leave it out of `regions`");
            let text = "not enabled for the account: what is known of it stays as it is".to_owned();
            findings.push(self.finding(&format!("region {region}{of}"), Health::Warning, text, Some(mend)));
        }
        // The account was just asked for its regions there: a region that answers.
        if let Some(at) = on.iter().position(|region| *region == open.session.identity.home) {
            on.swap(0, at);
            on.get_mut(1..).unwrap_or_default().sort_unstable();
        }
        // Permissions hold for all regions of an account; a policy of the organization that denies a region denies all of it. So each region is
        // asked one thing, and the first that allows it all others.
        let mut refused = Vec::new();
        let mut is_whole = false;
        for region in &on {
            let (outcome, text, mend) = self.status(region, open.regions.as_ref());
            findings.push(self.finding(&format!("region {region}{of}"), outcome, text, mend));
            let (place, session) = (self.source.place(caller, member, region), open.session.region(region));
            let calls = Calls::new(&session, &Silent);
            let is_first = |action: &Action| *action == instances::ACTION;
            let (first, rest): (Vec<_>, Vec<_>) = probes(&place, &calls).into_iter().partition(|(action, _)| is_first(action));
            let mut probed = Vec::new();
            for (action, probe) in first {
                probed.push(self.probe(action, probe, region, &open, &of).await);
            }
            let is_allowed = probed.iter().all(|finding| finding.outcome == Health::Ok);
            if is_allowed && !is_whole {
                is_whole = true;
                for (action, probe) in rest {
                    probed.push(self.probe(action, probe, region, &open, &of).await);
                }
            } else if !is_allowed {
                refused.push(region);
            }
            probed.sort_by(|one, other| one.check.cmp(&other.check));
            findings.extend(probed);
        }
        if let (false, Some(region)) = (is_whole, refused.first()) {
            let (place, session) = (self.source.place(caller, member, region), open.session.region(region));
            let calls = Calls::new(&session, &Silent);
            for (action, probe) in probes(&place, &calls).into_iter().filter(|(action, _)| *action != instances::ACTION) {
                findings.push(self.probe(action, probe, region, &open, &of).await);
            }
        }
        findings
    }

    fn status(&self, region: &Region, list: Result<&RegionList, &Fault>) -> (Health, String, Option<String>) {
        match list.map(|list| list.status(region)) {
            Ok(Some(status)) => (Health::Ok, status.to_owned(), None),
            Ok(None) => {
                let mend = "check the spelling in `regions`".to_owned();
                (Health::Warning, "AWS does not name this region for the account".to_owned(), Some(mend))
            }
            Err(fault) => (Health::Warning, "not known".to_owned(), self.mend_for(&self.error(fault), regions::ACTION.name, None)),
        }
    }

    async fn probe(&self, action: Action, probe: Probe<'_>, region: &Region, open: &Open, of: &str) -> Finding {
        let (outcome, text, mend) = match probe.await {
            // What is asked about does not exist: asking is allowed.
            Ok(()) | Err(Fault { reason: Reason::NotFound, .. }) => (Health::Ok, "allowed".to_owned(), None),
            Err(fault) => {
                let error = explain(&self.source.config.name, region, open.regions.as_ref().ok(), &fault);
                (Health::Error, error.to_string(), self.mend_for(&error, action.name, Some(region)))
            }
        };
        self.finding(&format!("{} in {region}{of}", action.name), outcome, text, mend)
    }

    fn mend_for(&self, error: &SourceError, action: &str, region: Option<&Region>) -> Option<String> {
        match (error, region) {
            (SourceError::Denied { text, .. }, Some(region)) if text.contains(SERVICE_CONTROL_POLICY) => {
                let way = match self.source.config.regions {
                    Regions::All => format!("list the regions that are to be read in `regions`, without {region},"),
                    Regions::Listed(_) => format!("leave {region} out of `regions`,"),
                };
                Some(format!(
                    "a service control policy of the organization denies it: {way} or accept the gap with `dewpoint coverage accept`"
                ))
            }
            (SourceError::Denied { .. }, _) => Some(format!("allow {action} for this identity, see deploy/aws/policy.json")),
            _ => error.hint(),
        }
    }
}

const NOT_READ: &str = "nothing of it is read and nothing is concluded; `dewpoint scopes` tells what is known of it";

type Probe<'a> = BoxFuture<'a, Result<(), Fault>>;

/// One cheap call of each action, in the order of their names. What asks about one balancer or pool asks about one that does not exist.
fn probes<'a>(place: &'a Place, calls: &'a Calls<'a>) -> Vec<(Action, Probe<'a>)> {
    let arn = |path: &str| format!("arn:{}:elasticloadbalancing:{}:{}:{path}", place.partition, place.region, place.account);
    let (balancer, pool) =
        (arn(&format!("loadbalancer/app/{NOBODY}/0000000000000000")), arn(&format!("targetgroup/{NOBODY}/0000000000000000")));
    let listener = arn(&format!("listener/app/{NOBODY}/0000000000000000/0000000000000000"));
    vec![
        first(ScalingGroups(place), calls),
        first(PublicAddresses(place), calls),
        first(Zones(place), calls),
        first(InstanceTypes, calls),
        first(Instances(place), calls),
        first(Interfaces(place), calls),
        first(SecurityGroups(place), calls),
        first(Subnets(place), calls),
        first(Volumes(place), calls),
        first(Networks(place), calls),
        (classic::HEALTH, Box::pin(async move { classic::read_health(calls, NOBODY).await.map(drop) })),
        (listeners::LISTENERS, {
            let balancer = balancer.clone();
            Box::pin(async move { listeners::probe_listeners(calls, &balancer).await })
        }),
        first(Balancers(place), calls),
        (listeners::RULES, Box::pin(async move { listeners::probe_rules(calls, &listener).await })),
        (balancers::TAGS, Box::pin(async move { balancers::read_tags(calls, &[balancer]).await.map(drop) })),
        first(Pools(place), calls),
        (pools::HEALTH, Box::pin(async move { pools::read_targets(calls, &pool).await.map(drop) })),
    ]
}

/// Name of a balancer and a pool that nobody has.
const NOBODY: &str = "dewpoint-doctor";

fn first<'a, P: Pages + Send + 'a>(pages: P, calls: &'a Calls<'a>) -> (Action, Probe<'a>) {
    let action = pages.action();
    let probe = async move {
        let mut out = P::Out::default();
        pages.page(calls, &Ask::probe(), &mut out).await.map(drop)
    };
    (action, Box::pin(probe))
}

fn judge_clock(date: Option<&str>, now: Option<Timestamp>) -> (Health, String, Option<String>) {
    match date.zip(now).and_then(|(date, now)| Skew::by_date(date, now)) {
        Some(skew) => skew.judge("AWS", SKEW_REFUSED, "which refuses signatures from 5 minutes on"),
        None => (Health::Warning, "the answer of AWS shows no time".to_owned(), None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_date_is_no_skew() {
        assert_eq!(judge_clock(None, Some(Timestamp::UNIX_EPOCH)).0, Health::Warning);
        assert_eq!(judge_clock(Some("yesterday"), Some(Timestamp::UNIX_EPOCH)).0, Health::Warning);
    }
}
