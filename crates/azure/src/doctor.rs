//! Online checks: credentials, clock, subscriptions, and each needed action in each of them.

use dewpoint_core::doctor::{CREDENTIALS, Finding, Health, Skew};
use dewpoint_core::model::Account;
use dewpoint_core::source::{Silent, SourceError};
use dewpoint_http::auth::Authenticator;
use dewpoint_http::{HttpError, HttpErrorKind, Request};
use futures::{FutureExt, StreamExt};
use jiff::{SignedDuration, Timestamp};
use serde_json::json;

use crate::action::{
    ADDRESSES, Action, BALANCERS, DISKS, GATEWAYS, GRAPH, GROUPS, INTERFACES, LOCATIONS, MACHINES, MANAGEMENT_GROUP, NETWORKS, PERMISSIONS,
    SECURITY_GROUPS, SET_ADDRESSES, SET_INTERFACE_ROWS, SET_INTERFACES, SET_MACHINES, SETS, SIZES, SUBSCRIPTIONS,
};
use crate::arm::Calls;
use crate::credentials;
use crate::error::{Fault, Reason, TOKEN};
use crate::lists::Listing;
use crate::subscriptions::Member;
use crate::wire::resources::Subscription;
use crate::{
    ACTIONS, AzureSource, Collector, Credential, INDEX_ACTIONS, MANAGEMENT_GROUP_ACTIONS, SUBSCRIPTIONS_AT_ONCE, Subscriptions,
    UserAssigned,
};

/// Clock difference at which Entra may refuse an assertion.
///
/// Source: Microsoft Entra authentication and authorization error codes, AADSTS700024; five minutes are what its libraries allow for.
const SKEW_ERROR: SignedDuration = SignedDuration::from_mins(5);

/// Calls of one subscription's check that are under way at the same time.
const AT_ONCE: usize = 4;

/// What is needed in each subscription: [`ACTIONS`].
pub(crate) const NEEDED: [Action; 17] = [
    PERMISSIONS,
    DISKS,
    SIZES,
    SET_INTERFACES,
    SET_ADDRESSES,
    SETS,
    SET_MACHINES,
    MACHINES,
    GATEWAYS,
    BALANCERS,
    INTERFACES,
    SECURITY_GROUPS,
    ADDRESSES,
    NETWORKS,
    LOCATIONS,
    SUBSCRIPTIONS,
    GROUPS,
];

/// Names of a resource group and a scale set that nobody has.
const NOBODY: &str = "dewpoint-doctor";

const ROLE: &str = "Dewpoint Reader";
const ROLE_FILE: &str = "deploy/azure/reader-role.json";
const GROUP_ROLE: &str = "Dewpoint Management Group Reader";
const GROUP_ROLE_FILE: &str = "deploy/azure/management-group-role.json";

pub(crate) async fn doctor(source: &AzureSource) -> Vec<Finding> {
    let check = Check { source, calls: source.arm.calls(&Silent) };
    check.all().await
}

/// The checks of one source.
struct Check<'a> {
    source: &'a AzureSource,
    calls: Calls<'a>,
}

impl Check<'_> {
    fn finding(&self, check: &str, outcome: Health, text: String, mend: Option<String>) -> Finding {
        Finding::new(&self.source.config.name, check, outcome, text, mend)
    }

    fn ok(&self, check: &str, text: String) -> Finding {
        self.finding(check, Health::Ok, text, None)
    }

    fn error(&self, fault: &Fault) -> SourceError {
        fault.error(&self.source.config.name)
    }

    async fn all(&self) -> Vec<Finding> {
        let AzureSource { config, tokens, transport, .. } = self.source;
        // A token that is still held asks nobody, and the last answer may be an hour old.
        let before = transport.date();
        let timeout = SignedDuration::try_from(config.timeout).unwrap_or(SignedDuration::MAX);
        let latest = config.clock.now().checked_add(timeout).unwrap_or(Timestamp::MAX);
        let token = tokens.credentials(latest).await;
        let now = config.clock.now();
        let date = transport.date().filter(|date| before.as_ref() != Some(date));
        if let Err(error) = token {
            let mut findings = vec![self.no_token(&error)];
            findings.extend(date.map(|date| self.clock(Some(&date), now)));
            return findings;
        }
        let mut findings = vec![self.ok("identity", who(&config.tenant, &config.credential))];
        findings.push(match date {
            Some(date) => self.clock(Some(&date), now),
            None => {
                let date = self.date_of_manager().await;
                self.clock(date.as_deref(), config.clock.now())
            }
        });
        match self.source.members(&self.calls).await {
            Ok(members) => {
                findings.push(self.members(&members));
                let checks = members.iter().map(|member| self.subscription(member).boxed()).collect::<Vec<_>>();
                let checked: Vec<Vec<Finding>> = futures::stream::iter(checks).buffered(SUBSCRIPTIONS_AT_ONCE).collect().await;
                findings.extend(checked.into_iter().flatten());
                if config.collector == Collector::ResourceGraph {
                    findings.extend(self.graph(&members).await);
                }
            }
            Err(fault) => findings.push(self.no_members(&fault)),
        }
        findings.push(self.role());
        findings
    }

    fn no_token(&self, error: &HttpError) -> Finding {
        let source_name = self.source.config.name.clone();
        let text = error.to_string();
        match error.kind {
            // Refused, or there is nothing to ask with.
            HttpErrorKind::Unauthorised { .. } | HttpErrorKind::Unsendable { .. } => {
                let mend = credentials::mend(&text).unwrap_or_else(|| mend_of(&self.source.config.credential));
                let error = SourceError::Credentials { source_name, text };
                self.finding(CREDENTIALS, Health::Error, error.to_string(), Some(mend.to_owned()))
            }
            _ => {
                let mend = match self.source.config.credential {
                    Credential::ManagedIdentity { .. } => "run where Azure has given a managed identity, or take another `credential`",
                    _ => "check the network, the proxy and `endpoints.authority`",
                };
                let error = SourceError::Failed { source_name, operation: TOKEN.to_owned(), text };
                self.finding("identity", Health::Error, error.to_string(), Some(mend.to_owned()))
            }
        }
    }

    /// The `Date` of an answer of Azure Resource Manager: not every identity has its token from an endpoint that tells the time.
    async fn date_of_manager(&self) -> Option<String> {
        let answer = self.calls.send(SUBSCRIPTIONS, None, self.calls.get(SUBSCRIPTIONS, "/subscriptions")).await.ok()?;
        answer.header("date").map(str::to_owned)
    }

    fn clock(&self, date: Option<&str>, now: Timestamp) -> Finding {
        let (outcome, text, mend) = judge_clock(date, now);
        self.finding("clock", outcome, text, mend)
    }

    fn members(&self, members: &[Member]) -> Finding {
        let count = members.len();
        match &self.source.config.subscriptions {
            Subscriptions::ManagementGroup(name) => {
                self.ok(MANAGEMENT_GROUP.name, format!("subscriptions below the management group {name}: {count}"))
            }
            Subscriptions::All => self.ok(SUBSCRIPTIONS.name, format!("subscriptions seen: {count}")),
            Subscriptions::Listed(_) => self.ok(SUBSCRIPTIONS.name, format!("subscriptions to be read: {count}")),
        }
    }

    /// It is not known which subscriptions there are.
    fn no_members(&self, fault: &Fault) -> Finding {
        let error = self.error(fault);
        let mend = match (fault.reason, &self.source.config.subscriptions) {
            (Reason::Credentials, _) => TOKEN_REFUSED.to_owned(),
            (Reason::Denied, Subscriptions::ManagementGroup(name)) if fault.operation == MANAGEMENT_GROUP.name => {
                let scope = format!("/providers/Microsoft.Management/managementGroups/{name}");
                self.assign(GROUP_ROLE, GROUP_ROLE_FILE, &scope)
            }
            (Reason::Denied, _) => self.assign(ROLE, ROLE_FILE, "/subscriptions/ID"),
            (_, Subscriptions::ManagementGroup(_)) if fault.operation == MANAGEMENT_GROUP.name => {
                "check the management group's name, which is not the one that the portal shows first; else the network and the proxy"
                    .to_owned()
            }
            _ => error.hint().unwrap_or_else(|| CHECK_NETWORK.to_owned()),
        };
        self.finding(name_of(fault, fault.operation), Health::Error, error.to_string(), Some(mend))
    }

    /// One subscription: whether it is seen, how it stands, and what may be done there.
    async fn subscription(&self, member: &Member) -> Vec<Finding> {
        match member.readable() {
            Ok(subscription) => {
                let mut findings = vec![self.state(subscription)];
                findings.extend(self.actions(&member.account).await);
                findings
            }
            Err(fault) => vec![self.unreadable(&member.account, &fault)],
        }
    }

    fn unreadable(&self, account: &Account, fault: &Fault) -> Finding {
        let error = self.error(fault);
        let said = |code: &str| fault.text.contains(code);
        let (outcome, mend) = match fault.reason {
            Reason::Disabled => (Health::Warning, "leave it out of `subscriptions`; what is known of it stays as it is".to_owned()),
            Reason::Credentials => (Health::Error, TOKEN_REFUSED.to_owned()),
            Reason::Denied if said("InvalidAuthenticationTokenTenant") => {
                (Health::Error, "it belongs to another tenant: read it by a source of its own, which names that `tenant`".to_owned())
            }
            Reason::Denied => (Health::Error, self.assign(ROLE, ROLE_FILE, &scope_of(account))),
            _ if said("SubscriptionNotFound") => {
                (Health::Error, "check its id in `subscriptions`: there is none of this id, or it belongs to another tenant".to_owned())
            }
            _ => (Health::Error, error.hint().unwrap_or_else(|| CHECK_NETWORK.to_owned())),
        };
        self.finding(name_of(fault, &format!("subscription {account}")), outcome, error.to_string(), Some(mend))
    }

    /// How a subscription stands.
    ///
    /// Source: Azure, "Azure subscription states".
    fn state(&self, subscription: &Subscription) -> Finding {
        let check = format!("subscription {}", subscription.account);
        let mut name = subscription.name.clone().unwrap_or_else(|| "without a name".to_owned());
        if let Some(tenant) = &subscription.tenant
            && is_foreign(tenant, &self.source.config.tenant)
        {
            name = format!("{name}, of the tenant {tenant}, which lets this one manage it");
        }
        let state = match &subscription.state {
            None => return self.ok(&check, name),
            Some(state) if state == "enabled" => return self.ok(&check, format!("{name}: enabled")),
            Some(state) => state,
        };
        let (meaning, mend) = match state.as_str() {
            "warned" => {
                ("it is read as usual, and will be disabled soon", "see why in the portal: a payment that is late, or a cancellation")
            }
            "past_due" => ("it is read as usual, and will be disabled if it is not paid for", "pay what is due"),
            "disabled" => (
                "it can be read, while its machines are stopped and nothing in it can be changed; Azure deletes it after some time",
                "enable it again, or leave it out of `subscriptions` once what was in it is retired",
            ),
            _ => ("what this state means is not known here", "see in the portal how the subscription stands"),
        };
        self.finding(&check, Health::Warning, format!("{name}: {state}: {meaning}"), Some(mend.to_owned()))
    }

    /// The needed actions in one subscription: by what the platform says of the roles there, and where it says no, or nothing, by asking.
    async fn actions(&self, account: &Account) -> Vec<Finding> {
        let listing = Listing { calls: &self.calls, account };
        let permissions = listing.permissions().await;
        let is_given = |action: Action| permissions.items.iter().any(|permission| permission.gives(action.name));
        let mut found = Actions::default();
        match &permissions.fault {
            Some(fault) => found.take(PERMISSIONS, false, Err(fault.clone())),
            // Whoever may ask is answered, whatever the patterns say.
            None => found.take(PERMISSIONS, false, Ok(())),
        }
        // Machines are asked for in any case: a role is not all that can stand between.
        let is_open = |action: Action| action == MACHINES || permissions.fault.is_some() || !is_given(action);
        let (open, settled): (Vec<Action>, Vec<Action>) =
            NEEDED.into_iter().filter(|action| *action != PERMISSIONS).partition(|action| is_open(*action));
        found.given += settled.len();
        // What shows rows is no call that could be tried.
        if self.source.config.collector == Collector::ResourceGraph && permissions.fault.is_none() {
            let answer =
                if is_given(SET_INTERFACE_ROWS) { Ok(()) } else { Err(Fault::new(Reason::Denied, SET_INTERFACE_ROWS, "not given")) };
            found.take(SET_INTERFACE_ROWS, false, answer);
        }
        let asked = open.into_iter().map(|action| async move { (action, self.ask(account, action).await) }.boxed()).collect::<Vec<_>>();
        let answers: Vec<(Action, Result<(), Fault>)> = futures::stream::iter(asked).buffered(AT_ONCE).collect().await;
        for (action, answer) in answers {
            let is_partial = permissions.fault.is_none() && !is_given(action) && shows_parts(action);
            found.take(action, is_partial, answer);
        }
        self.tell_actions(account, &found)
    }

    /// One cheap call of an action. What asks about one scale set asks about one that does not exist.
    async fn ask(&self, account: &Account, action: Action) -> Result<(), Fault> {
        self.calls.send(action, Some(account), self.request(account, action)).await.map(drop)
    }

    fn request(&self, account: &Account, action: Action) -> Request {
        let at = |rest: &str| self.calls.get(action, &format!("/subscriptions/{account}{rest}"));
        let of_set = |part: &str| at(&format!("/resourceGroups/{NOBODY}/providers/{}/{NOBODY}/{part}", SETS.resource_type));
        if action == SUBSCRIPTIONS {
            at("")
        } else if action == LOCATIONS {
            at("/locations")
        } else if action == GROUPS {
            at("/resourcegroups")
        } else if action == SIZES {
            // All sizes of all places are an answer of many megabytes.
            at(&format!("/providers/{}", action.resource_type)).query("$filter", &format!("location eq '{NOBODY}'"))
        } else if action == SET_MACHINES {
            of_set("virtualMachines")
        } else if action == SET_INTERFACES {
            of_set("networkInterfaces")
        } else if action == SET_ADDRESSES {
            of_set("publicipaddresses")
        } else {
            at(&format!("/providers/{}", action.resource_type))
        }
    }

    fn tell_actions(&self, account: &Account, found: &Actions) -> Vec<Finding> {
        let mut findings = Vec::new();
        let mend = || Some(self.assign(ROLE, ROLE_FILE, &scope_of(account)));
        let check = format!("actions in {account}");
        if found.missing.is_empty() && found.partial.is_empty() && found.faults.is_empty() {
            findings.push(self.ok(&check, format!("all {} are given", found.given)));
        }
        if !found.missing.is_empty() {
            let mut text = format!("missing: {}", found.missing.join(", "));
            if found.missing.contains(&PERMISSIONS.name) {
                text = format!(
                    "{text}; without {} nobody can tell whether lists show everything, so that nothing is retired",
                    PERMISSIONS.name
                );
            }
            findings.push(self.finding(&check, Health::Error, text, mend()));
        }
        if !found.partial.is_empty() {
            let text = format!(
                "given only in parts of the subscription, so that lists show a part and nothing is retired: {}",
                found.partial.join(", ")
            );
            findings.push(self.finding(&format!("actions in parts of {account}"), Health::Error, text, mend()));
        }
        for fault in &found.faults {
            let error = self.error(fault);
            let (outcome, mend) = match fault.reason {
                Reason::Disabled => {
                    (Health::Warning, "a subscription of this sort can hold no machines: leave it out of `subscriptions`".to_owned())
                }
                Reason::Credentials => (Health::Error, TOKEN_REFUSED.to_owned()),
                _ => (Health::Error, error.hint().unwrap_or_else(|| CHECK_NETWORK.to_owned())),
            };
            let check = format!("{} in {account}", fault.operation);
            findings.push(self.finding(name_of(fault, &check), outcome, error.to_string(), Some(mend)));
        }
        findings
    }

    /// Whether Resource Graph answers for the subscriptions; nothing where none can be read.
    async fn graph(&self, members: &[Member]) -> Option<Finding> {
        let readable: Vec<&str> = members.iter().filter(|member| member.readable().is_ok()).map(|member| member.account.as_str()).collect();
        let asked: Vec<&str> = readable.into_iter().take(crate::graph::SUBSCRIPTIONS_PER_QUERY).collect();
        if asked.is_empty() {
            return None;
        }
        let query = json!({
            "subscriptions": asked,
            "query": "Resources | project id | limit 1",
            "options": {"$top": 1, "resultFormat": "objectArray"},
        });
        let request = self.calls.post(GRAPH, "/providers/Microsoft.ResourceGraph/resources").json(&query);
        Some(match self.calls.send(GRAPH, None, request).await {
            Ok(_) => self.ok(GRAPH.name, format!("subscriptions asked for, and answered: {}", asked.len())),
            Err(fault) => {
                let error = self.error(&fault);
                let mend = match fault.reason {
                    Reason::Denied => format!("add {} to the role, or take `collector: arm`", GRAPH.name),
                    _ => error.hint().unwrap_or_else(|| "try again, or take `collector: arm`".to_owned()),
                };
                self.finding(name_of(&fault, GRAPH.name), Health::Error, error.to_string(), Some(mend))
            }
        })
    }

    /// The least role that does.
    fn role(&self) -> Finding {
        let mut given: Vec<&str> = ACTIONS.iter().chain(INDEX_ACTIONS).copied().collect();
        given.sort_unstable();
        let mut text = format!("`{ROLE}`, {ROLE_FILE}, at each subscription: {}", given.join(", "));
        if matches!(self.source.config.subscriptions, Subscriptions::ManagementGroup(_)) {
            text = format!("{text}; `{GROUP_ROLE}`, {GROUP_ROLE_FILE}, at the management group: {}", MANAGEMENT_GROUP_ACTIONS.join(", "));
        }
        self.ok("least-privilege role", text)
    }

    /// How to give a role at a scope.
    fn assign(&self, role: &str, file: &str, scope: &str) -> String {
        let whom = principal(&self.source.config.credential).unwrap_or("OBJECT_ID");
        format!(
            "give the role of {file} there, once its AssignableScopes name it: `az role definition create --role-definition @{file}`, then \
             `az role assignment create --assignee {whom} --role \"{role}\" --scope {scope}`"
        )
    }
}

const CHECK_NETWORK: &str = "check the network, the proxy and `endpoints.resource_manager`";

const TOKEN_REFUSED: &str =
    "Azure Resource Manager does not take the token: check that `tenant`, the cloud and `endpoints` belong together";

/// What the needed actions in a subscription came to.
#[derive(Debug, Default)]
struct Actions {
    /// How many are given in all of it.
    given: usize,
    missing: Vec<&'static str>,
    /// Those that reach some groups or resources only.
    partial: Vec<&'static str>,
    /// What kept others from being known.
    faults: Vec<Fault>,
}

impl Actions {
    fn take(&mut self, action: Action, is_partial: bool, answer: Result<(), Fault>) {
        match answer {
            Ok(()) if is_partial => self.partial.push(action.name),
            Ok(()) => self.given += 1,
            Err(fault) => match fault.reason {
                // What is asked about does not exist: asking is allowed.
                Reason::Gone | Reason::Unregistered => self.given += 1,
                Reason::Denied => self.missing.push(action.name),
                _ => self.faults.push(fault),
            },
        }
    }
}

/// Whether a list of an action shows those parts of a subscription that the principal may see, in place of a refusal.
fn shows_parts(action: Action) -> bool {
    ![PERMISSIONS, SUBSCRIPTIONS, LOCATIONS, SIZES, SET_MACHINES, SET_INTERFACES, SET_ADDRESSES].contains(&action)
}

fn scope_of(account: &Account) -> String {
    format!("/subscriptions/{account}")
}

/// A check's name: credentials that are refused have one of their own, whoever finds out.
fn name_of<'a>(fault: &Fault, check: &'a str) -> &'a str {
    if fault.reason == Reason::Credentials { CREDENTIALS } else { check }
}

/// Whether a subscription's tenant is another one than that which is configured. That can be a domain as well, which does not tell.
fn is_foreign(tenant: &str, configured: &str) -> bool {
    !configured.contains('.') && !tenant.eq_ignore_ascii_case(configured)
}

/// As whom tokens are asked for.
fn who(tenant: &str, credential: &Credential) -> String {
    let who = match credential {
        Credential::ClientSecret { client_id, .. } => format!("the application {client_id}, by a client secret"),
        Credential::ClientCertificate { client_id, .. } => format!("the application {client_id}, by a certificate"),
        Credential::WorkloadIdentity { client_id: Some(client_id), .. } => format!("the application {client_id}, by a federated token"),
        Credential::WorkloadIdentity { client_id: None, .. } => "the application of AZURE_CLIENT_ID, by a federated token".to_owned(),
        Credential::ManagedIdentity { identity: None } => "the managed identity that the system assigned".to_owned(),
        Credential::ManagedIdentity { identity: Some(identity) } => {
            let (UserAssigned::ClientId(id) | UserAssigned::ObjectId(id) | UserAssigned::ResourceId(id)) = identity;
            format!("the managed identity {id}")
        }
        Credential::AzureCli => "whoever is logged in at the Azure CLI".to_owned(),
    };
    format!("tenant {tenant}, {who}")
}

/// The principal as role assignments name it, where it is known.
fn principal(credential: &Credential) -> Option<&str> {
    match credential {
        Credential::ClientSecret { client_id, .. }
        | Credential::ClientCertificate { client_id, .. }
        | Credential::WorkloadIdentity { client_id: Some(client_id), .. } => Some(client_id),
        Credential::ManagedIdentity { identity: Some(UserAssigned::ClientId(id) | UserAssigned::ObjectId(id)) } => Some(id),
        Credential::WorkloadIdentity { client_id: None, .. } | Credential::ManagedIdentity { .. } | Credential::AzureCli => None,
    }
}

/// What to do where credentials are refused, and no number of the platform's says more.
fn mend_of(credential: &Credential) -> &'static str {
    match credential {
        Credential::ClientSecret { .. } => "check `tenant`, and the application's id and secret in `credential`",
        Credential::ClientCertificate { .. } => "check `tenant`, and the application's id and certificate in `credential`",
        Credential::WorkloadIdentity { .. } => {
            "check that the token's file is there (AZURE_FEDERATED_TOKEN_FILE), and the application's id (AZURE_CLIENT_ID)"
        }
        Credential::ManagedIdentity { .. } => {
            "run where Azure has given a managed identity, assign it to what this runs on, or name the one that is assigned in `credential`"
        }
        Credential::AzureCli => "install the Azure CLI and log in with `az login`",
    }
}

fn judge_clock(date: Option<&str>, now: Timestamp) -> (Health, String, Option<String>) {
    match date.and_then(|date| Skew::by_date(date, now)) {
        Some(skew) => skew.judge("Azure", SKEW_ERROR, "which may refuse assertions that are 5 minutes off"),
        None => {
            let mend = "see whether a proxy takes the header `Date` out of answers".to_owned();
            (Health::Warning, "the answers of Azure show no time".to_owned(), Some(mend))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_date_is_no_skew() {
        assert_eq!(judge_clock(None, Timestamp::UNIX_EPOCH).0, Health::Warning);
        assert_eq!(judge_clock(Some("yesterday"), Timestamp::UNIX_EPOCH).0, Health::Warning);
    }

    #[test]
    fn a_tenant_by_its_domain_tells_nothing_of_others() {
        assert!(is_foreign("b", "a") && !is_foreign("a", "A") && !is_foreign("a", "example.onmicrosoft.com"));
    }
}
