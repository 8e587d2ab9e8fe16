//! Faults by script.

use dewpoint_sim_kit::{Mishap, Rule, Timing};
use serde::{Deserialize, Serialize};

use crate::world::ALWAYS_PERMITTED;

/// A rule: what it strikes, when, and what it does. The first rule of the list that strikes decides. A call that its rate limit refuses meets no rule.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fault {
    /// The caller's account, or for `AssumeRole` that of the role; any when missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<String>,
    /// The region called; any when missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    /// `ec2`, `elbv2`, `elb`, `autoscaling`, `sts`, `organizations`; any when missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<String>,
    /// The action; any when missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub action: Option<String>,
    /// The page of a listing, from 1; any when missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub page: Option<u32>,
    /// Which of those calls are struck.
    #[serde(flatten)]
    pub timing: Timing,
    /// What happens to them.
    pub effect: Effect,
}

/// What happens to a call that is struck.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Effect {
    /// No policy permits it. `GetCallerIdentity`, which needs no permission, is not struck.
    Deny,
    /// A service control policy forbids it. `GetCallerIdentity` is not struck; calls of a management account are, although at AWS they cannot be.
    ScpDeny,
    /// Too many calls, in the words of the service.
    Throttle,
    /// The access key is not known.
    AuthFailure,
    /// The session is over.
    ExpiredToken,
    /// Any other error answer.
    Error {
        /// The HTTP status.
        status: u16,
        /// The error's code.
        code: String,
        /// The error's text.
        message: String,
    },
    /// The token of the request counts as expired.
    StaleToken,
    /// The answer carries the token of the request again, or on a first page a token that leads to that page.
    RepeatToken,
    /// The first item of the answer has no identifier.
    ItemWithoutId,
    /// The first nested item of the answer that has an identifier has none: a member of a scaling group (`DescribeAutoScalingGroups`), the instance of a
    /// volume's attachment (`DescribeVolumes`) or of an interface's (`DescribeNetworkInterfaces`), an instance behind a classic balancer
    /// (`DescribeLoadBalancers` of `elb`), the group that a rule names (`DescribeSecurityGroups`), a target (`DescribeTargetHealth`). Other actions are
    /// answered as they are.
    NestedWithoutId,
    /// The first item of the answer has no state.
    ItemWithoutState,
    /// The first item of the answer belongs to somebody else.
    ForeignOwner {
        /// The account it is said to belong to.
        owner: String,
    },
    /// This item is missing, as listings of a system that is eventually consistent miss things.
    MissItem {
        /// Its identifier, or its name or ARN where it has none.
        id: String,
    },
    /// What may befall any answer.
    #[serde(untagged)]
    Mishap(Mishap),
}

impl From<Mishap> for Effect {
    fn from(mishap: Mishap) -> Self {
        Self::Mishap(mishap)
    }
}

impl Fault {
    /// A fault of every call.
    pub fn new(effect: impl Into<Effect>) -> Self {
        Self { account: None, region: None, service: None, action: None, page: None, timing: Timing::default(), effect: effect.into() }
    }

    /// Only calls of this account (for `AssumeRole`: or for a role of it).
    #[must_use]
    pub fn account(mut self, account: &str) -> Self {
        self.account = Some(account.to_owned());
        self
    }

    /// Only calls to this region.
    #[must_use]
    pub fn region(mut self, region: &str) -> Self {
        self.region = Some(region.to_owned());
        self
    }

    /// Only calls to this service (see [`Service::name`](crate::Service::name)).
    #[must_use]
    pub fn service(mut self, service: &str) -> Self {
        self.service = Some(service.to_owned());
        self
    }

    /// Only calls of this action.
    #[must_use]
    pub fn action(mut self, action: &str) -> Self {
        self.action = Some(action.to_owned());
        self
    }

    /// Only this page of a listing.
    #[must_use]
    pub fn page(mut self, page: u32) -> Self {
        self.page = Some(page);
        self
    }
}

dewpoint_sim_kit::timing_builders!(Fault);

/// What a rule is matched against.
#[derive(Clone, Debug)]
pub struct Target<'a> {
    pub(crate) account: &'a str,
    /// The account of the role that is asked for.
    pub(crate) role_account: Option<&'a str>,
    pub(crate) region: &'a str,
    pub(crate) service: &'a str,
    pub(crate) action: &'a str,
    pub(crate) page: u32,
}

impl Rule for Fault {
    type Target<'a> = Target<'a>;

    fn is_about(&self, target: &Target<'_>) -> bool {
        let same = |wanted: &Option<String>, found: &str| wanted.as_deref().is_none_or(|wanted| wanted == found);
        let account = same(&self.account, target.account) || (self.account.is_some() && self.account.as_deref() == target.role_account);
        account
            && same(&self.region, target.region)
            && same(&self.service, target.service)
            && same(&self.action, target.action)
            && self.page.is_none_or(|page| page == target.page)
            && !(target.action == ALWAYS_PERMITTED && matches!(self.effect, Effect::Deny | Effect::ScpDeny))
    }

    fn timing(&self) -> Timing {
        self.timing
    }
}

#[cfg(test)]
mod tests {
    use dewpoint_sim_kit::{Script, Timestamp};

    use super::*;

    fn target(action: &str, page: u32) -> Target<'_> {
        Target { account: "1", role_account: None, region: "r", service: "ec2", action, page }
    }

    fn strike(script: &mut Script<Fault>, target: &Target<'_>) -> Option<Effect> {
        script.strike(target, Timestamp::UNIX_EPOCH, 1).map(|fault| fault.effect)
    }

    #[test]
    fn a_rule_strikes_when_it_says() {
        let mut script = Script::new(vec![
            Fault::new(Effect::Throttle).action("A").nth(2).times(2),
            Fault::new(Effect::Deny).action("A").page(2),
            Fault::new(Mishap::Hang).account("2"),
        ]);
        let struck: Vec<_> = [1, 1, 2, 2, 1].into_iter().map(|page| strike(&mut script, &target("A", page))).collect();
        assert_eq!(struck, [None, Some(Effect::Throttle), Some(Effect::Throttle), Some(Effect::Deny), None]);
        assert_eq!(strike(&mut script, &target("B", 1)), None);
        assert_eq!(strike(&mut script, &Target { role_account: Some("2"), ..target("AssumeRole", 1) }), Some(Effect::Mishap(Mishap::Hang)));
    }

    #[test]
    fn who_one_is_cannot_be_denied() {
        for denial in [Effect::Deny, Effect::ScpDeny] {
            let mut script = Script::new(vec![Fault::new(denial.clone()).times(1), Fault::new(Effect::Throttle)]);
            assert_eq!(strike(&mut script, &target(ALWAYS_PERMITTED, 1)), Some(Effect::Throttle));
            assert_eq!(strike(&mut script, &target("A", 1)), Some(denial), "it is not used up");
        }
    }

    #[test]
    fn rules_are_written_in_json() {
        let rules: Result<Vec<Fault>, _> = serde_json::from_str(
            r#"[{"action": "DescribeInstances", "page": 2, "times": 1, "effect": {"cut_body": {"share": 0.5}}}, {"effect": "deny"}]"#,
        );
        let expected =
            vec![Fault::new(Mishap::CutBody { share: 0.5 }).action("DescribeInstances").page(2).times(1), Fault::new(Effect::Deny)];
        assert_eq!(rules.ok(), Some(expected));
    }
}
