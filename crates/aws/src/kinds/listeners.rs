//! What balancers listen for, and the pools that they forward to: `elasticloadbalancing:DescribeListeners` and `DescribeRules`.

use std::collections::BTreeSet;

use async_trait::async_trait;
use aws_sdk_elasticloadbalancingv2::types::{Action as ListenerAction, Listener as WireListener};

use crate::action::Action;
use crate::error::{Fault, Reason};
use crate::map::filled;
use crate::paging::{Ask, Pages, read_all};
use crate::session::Calls;

pub(crate) const LISTENERS: Action = Action::load_balancing("elasticloadbalancing:DescribeListeners");
pub(crate) const RULES: Action = Action::load_balancing("elasticloadbalancing:DescribeRules");

/// Items asked for per page, the most that these actions take.
const PAGE: i32 = 400;

/// One listener of a balancer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Listener {
    arn: String,
    pub(crate) port: Option<i32>,
    /// As AWS spells it: `HTTP`, `TLS`, `TCP_UDP`, `GENEVE` …; none on gateway balancers.
    pub(crate) protocol: Option<String>,
    /// ARNs of the target groups that it forwards to.
    pub(crate) pools: BTreeSet<String>,
}

/// The listeners of one balancer, with the pools that their default actions name.
///
/// Source: Elastic Load Balancing API Reference (2015-12-01), DescribeListeners.
struct Listeners<'a> {
    balancer: &'a str,
}

#[async_trait]
impl Pages for Listeners<'_> {
    type Out = Vec<Listener>;

    fn action(&self) -> Action {
        LISTENERS
    }

    async fn page(&self, calls: &Calls<'_>, ask: &Ask<'_>, listeners: &mut Vec<Listener>) -> Result<Option<String>, Fault> {
        let send = |meter| {
            let call = calls.clients().elb().describe_listeners().load_balancer_arn(self.balancer).page_size(ask.size(PAGE));
            call.set_marker(ask.token()).customize().interceptor(meter).send()
        };
        let answer = calls.call(LISTENERS, send).await?;
        for listener in answer.listeners() {
            listeners.push(read(listener)?);
        }
        Ok(answer.next_marker)
    }
}

fn read(listener: &WireListener) -> Result<Listener, Fault> {
    let Some(arn) = filled(listener.listener_arn()) else { return Err(Fault::truncated(LISTENERS.name, "a listener has no ARN")) };
    let mut pools = BTreeSet::new();
    add_pools(listener.default_actions(), &mut pools);
    Ok(Listener {
        arn: arn.to_owned(),
        port: listener.port(),
        protocol: filled(listener.protocol().map(|protocol| protocol.as_str())).map(str::to_owned),
        pools,
    })
}

/// The pools that the rules of one listener forward to.
///
/// Source: Elastic Load Balancing API Reference (2015-12-01), DescribeRules.
struct ListenerRules<'a> {
    listener: &'a str,
}

#[async_trait]
impl Pages for ListenerRules<'_> {
    type Out = BTreeSet<String>;

    fn action(&self) -> Action {
        RULES
    }

    async fn page(&self, calls: &Calls<'_>, ask: &Ask<'_>, pools: &mut BTreeSet<String>) -> Result<Option<String>, Fault> {
        let send = |meter| {
            let call = calls.clients().elb().describe_rules().listener_arn(self.listener).page_size(ask.size(PAGE));
            call.set_marker(ask.token()).customize().interceptor(meter).send()
        };
        let answer = calls.call(RULES, send).await?;
        for rule in answer.rules() {
            add_pools(rule.actions(), pools);
        }
        Ok(answer.next_marker)
    }
}

/// Target groups stand in one of two places of an action, or in both.
fn add_pools(actions: &[ListenerAction], pools: &mut BTreeSet<String>) {
    for action in actions {
        let weighted = action.forward_config().into_iter().flat_map(|config| config.target_groups());
        let all = weighted.filter_map(|group| group.target_group_arn()).chain(action.target_group_arn());
        pools.extend(all.filter_map(|arn| filled(Some(arn))).map(str::to_owned));
    }
}

/// Reads the listeners of a balancer, and what the rules of each forward to where it has rules: one call more for each.
pub(crate) async fn read_listeners(calls: &Calls<'_>, balancer: &str, has_rules: bool) -> Result<Vec<Listener>, Fault> {
    let (mut listeners, fault) = read_all(Listeners { balancer }, calls, Ask::default()).await;
    if let Some(fault) = fault {
        return Err(fault);
    }
    if has_rules {
        let mut left = Vec::with_capacity(listeners.len());
        for mut listener in listeners {
            let (pools, fault) = read_all(ListenerRules { listener: &listener.arn }, calls, Ask::default()).await;
            match fault {
                // It was deleted since the balancer named it; the balancer is still there.
                Some(fault) if fault.reason == Reason::NotFound => {}
                Some(fault) => return Err(fault),
                None => {
                    listener.pools.extend(pools);
                    left.push(listener);
                }
            }
        }
        listeners = left;
    }
    listeners.sort_by(|one, other| (one.port, &one.protocol, &one.arn).cmp(&(other.port, &other.protocol, &other.arn)));
    Ok(listeners)
}

/// Asks for the listeners of a balancer, to see whether that is permitted.
pub(crate) async fn probe_listeners(calls: &Calls<'_>, balancer: &str) -> Result<(), Fault> {
    Listeners { balancer }.page(calls, &Ask::probe(), &mut Vec::new()).await.map(drop)
}

/// Asks for the rules of a listener, to see whether that is permitted.
pub(crate) async fn probe_rules(calls: &Calls<'_>, listener: &str) -> Result<(), Fault> {
    ListenerRules { listener }.page(calls, &Ask::probe(), &mut BTreeSet::new()).await.map(drop)
}
