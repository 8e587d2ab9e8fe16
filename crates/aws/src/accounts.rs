//! Which accounts a source reads, and how: `organizations:ListAccounts`, roles, and the caller's own.

use std::collections::BTreeSet;
use std::sync::Arc;

use async_trait::async_trait;
use aws_sdk_organizations::types::Account as WireAccount;
use dewpoint_aws_settings::{Accounts, ExternalId, ListedAccount, UsualRole};
use dewpoint_core::model::{Account, Attributes, Key, Kind, Provider, Region, Relation, RelationType, Resource};
use dewpoint_core::source::Progress;
use jiff::Timestamp;
use serde_json::Map;

use crate::action::Action;
use crate::error::{Fault, Reason};
use crate::identity::Identity;
use crate::kinds::regions::{self, RegionList};
use crate::map::{Facts, Place, Refused, edge, filled, instant};
use crate::paging::{Ask, Pages, read_all};
use crate::role::{self, Role, RoleCredentials};
use crate::session::{AccountSession, Calls};
use crate::turn::Turn;

pub(crate) const LIST: Action = Action::organizations("organizations:ListAccounts");

/// Accounts asked for per page, the most that the action takes.
const PAGE: i32 = 20;

/// One account that the source covers.
#[derive(Debug, Clone)]
pub(crate) struct Member {
    pub(crate) account: Account,
    pub(crate) access: Access,
    /// What the organization says of it.
    facts: Option<OrganizationFacts>,
}

/// How an account is read.
#[derive(Debug, Clone)]
pub(crate) enum Access {
    Own,
    Role(Role),
    /// Not at all: it is suspended, closed, or in a state that is not known to be usable.
    Nobody {
        why: String,
    },
}

#[derive(Debug, Clone)]
struct OrganizationFacts {
    name: Option<String>,
    /// As the resource's state has it: `active`, `suspended`, `closed` …
    state: String,
    email_domain: Option<String>,
    organization: Option<String>,
    management_account: Option<String>,
    joined_at: Option<Timestamp>,
}

/// The accounts that the configuration asks for.
pub(crate) async fn list(
    accounts: &Accounts,
    usual: &UsualRole,
    session: &AccountSession,
    progress: &dyn Progress,
) -> Result<Vec<Member>, Fault> {
    let caller = &session.identity;
    let access = |id: &Account, role_arn: Option<&String>, external_id: Option<&ExternalId>| match role_arn {
        None if *id == caller.account => Access::Own,
        role_arn => Access::Role(Role {
            arn: role_arn.cloned().unwrap_or_else(|| format!("arn:{}:iam::{id}:role/{}", caller.partition, usual.name)),
            external_id: external_id.or(usual.external_id.as_ref()).cloned(),
        }),
    };
    match accounts {
        Accounts::Own => Ok(vec![Member { account: caller.account.clone(), access: Access::Own, facts: None }]),
        Accounts::Listed(listed) => {
            let member = |listed: &ListedAccount| Member {
                account: listed.id.clone(),
                access: access(&listed.id, listed.role_arn.as_ref(), listed.external_id.as_ref()),
                facts: None,
            };
            Ok(listed.iter().map(member).collect())
        }
        Accounts::Organization => {
            let home = session.region(&caller.home);
            let (rows, fault) = read_all(Organization(session.organizations()), &Calls::new(&home, progress), Ask::default()).await;
            if let Some(fault) = fault {
                return Err(fault);
            }
            let mut seen = BTreeSet::new();
            let mut members = Vec::new();
            for row in rows {
                let (account, facts) = read(&row)?;
                if !seen.insert(account.clone()) {
                    continue;
                }
                let access = match facts.state.as_str() {
                    "active" => access(&account, None, None),
                    state => Access::Nobody { why: why_nobody(state) },
                };
                members.push(Member { account, access, facts: Some(facts) });
            }
            // Whoever may list an organization is one of its members: an answer without the caller is not the organization.
            if !seen.contains(&caller.account) {
                return Err(Fault::truncated(LIST.name, format!("the answer leaves out the caller's own account {}", caller.account)));
            }
            // AWS lists them in no order of its own.
            members.sort_by(|one, other| one.account.cmp(&other.account));
            Ok(members)
        }
    }
}

/// The accounts of the caller's organization. A page can be empty and still have a successor.
///
/// Source: AWS Organizations API Reference, ListAccounts.
struct Organization(aws_sdk_organizations::Client);

#[async_trait]
impl Pages for Organization {
    type Out = Vec<WireAccount>;

    fn action(&self) -> Action {
        LIST
    }

    async fn page(&self, calls: &Calls<'_>, ask: &Ask<'_>, rows: &mut Vec<WireAccount>) -> Result<Option<String>, Fault> {
        let send = |meter| {
            let call = self.0.list_accounts().max_results(ask.size(PAGE)).set_next_token(ask.token());
            call.customize().interceptor(meter).send()
        };
        let answer = calls.call(LIST, send).await?;
        rows.extend(answer.accounts.unwrap_or_default());
        Ok(answer.next_token)
    }
}

/// Words of a denial that a service control policy made.
///
/// Source: IAM User Guide, "Troubleshoot access denied error messages".
pub(crate) const SERVICE_CONTROL_POLICY: &str = "service control policy";

/// Why an account is not read, by its state.
///
/// Source: AWS Organizations API Reference, Account.
fn why_nobody(state: &str) -> String {
    match state {
        "suspended" | "closed" | "pending_closure" | "pending_activation" => {
            format!("the organization says that the account is {}", state.replace('_', " "))
        }
        unknown => format!("the organization gives the account the state `{}`, which Dewpoint does not know", unknown.to_uppercase()),
    }
}

/// `State` took the place of `Status` in 2026; where both are there, the newer word counts. An account without either, or whose id is none, makes
/// the list useless: which accounts there are must be known whole.
fn read(row: &WireAccount) -> Result<(Account, OrganizationFacts), Fault> {
    let broken = |what: &str| Fault::truncated(LIST.name, format!("an account has no {what}"));
    let account = filled(row.id()).and_then(|id| id.parse().ok()).ok_or_else(|| broken("id"))?;
    let state = row.state().map(|state| state.as_str()).or_else(|| row.status().map(|status| status.as_str()));
    let state = filled(state).ok_or_else(|| broken("state"))?.to_lowercase();
    let email_domain = filled(row.email()).and_then(|email| email.rsplit_once('@')).map(|(_, domain)| domain.to_owned());
    // arn:aws:organizations::<management account>:account/<organization>/<account>
    let organization = filled(row.arn()).and_then(|arn| arn.rsplit('/').nth(1)).map(str::to_owned);
    let management_account = filled(filled(row.arn()).and_then(|arn| arn.split(':').nth(4))).map(str::to_owned);
    let joined_at = instant(row.joined_timestamp());
    let name = filled(row.name()).map(str::to_owned);
    Ok((account, OrganizationFacts { name, state, email_domain, organization, management_account, joined_at }))
}

/// A member whose account can be read.
#[derive(Debug)]
pub(crate) struct Open {
    pub(crate) session: Arc<AccountSession>,
    /// Which regions it has.
    pub(crate) regions: Result<RegionList, Fault>,
}

/// Regions in which an account can be entered and asked which regions it has: those that AWS enables for everybody.
///
/// Source: AWS Account Management Reference Guide, "Regions that are enabled by default"; the other partitions' own documentation.
const ENABLED_BY_DEFAULT: [(&str, &[&str]); 3] = [
    (
        "aws",
        &[
            "us-east-1",
            "us-west-2",
            "eu-west-1",
            "eu-central-1",
            "ap-southeast-1",
            "ap-northeast-1",
            "us-east-2",
            "us-west-1",
            "ca-central-1",
            "eu-west-2",
            "eu-west-3",
            "eu-north-1",
            "ap-northeast-2",
            "ap-northeast-3",
            "ap-southeast-2",
            "ap-south-1",
            "sa-east-1",
        ],
    ),
    ("aws-us-gov", &["us-gov-west-1", "us-gov-east-1"]),
    ("aws-cn", &["cn-north-1", "cn-northwest-1"]),
];

/// Where accounts are entered: in the region that knew the caller, else in those that are to be listed, else in any that all accounts have. One may
/// be denied by policy, or not be enabled for an account.
pub(crate) fn entrances(caller: &Identity, listed: &[Region], is_one_server: bool) -> Turn {
    let of_all = ENABLED_BY_DEFAULT.iter().filter(|(partition, _)| *partition == caller.partition).flat_map(|(_, names)| *names);
    let of_all = of_all.filter_map(|name| name.parse().ok());
    let mut regions = Vec::new();
    for region in std::iter::once(caller.home.clone()).chain(listed.iter().cloned()).chain(of_all) {
        if !regions.contains(&region) {
            regions.push(region);
        }
    }
    Turn { regions, is_one_server }
}

impl Member {
    /// Takes the credentials that read the account, and asks which regions it has.
    pub(crate) async fn open(&self, caller: &Arc<AccountSession>, entrances: &Turn, progress: &dyn Progress) -> Result<Open, Fault> {
        let session = match &self.access {
            Access::Own => Arc::clone(caller),
            Access::Role(role) => Arc::new(self.enter(role, caller, entrances, progress).await?),
            Access::Nobody { why } => return Err(Fault::new(Reason::Denied, LIST.name, why.as_str())),
        };
        let list = |region| {
            let session = session.region(region);
            async move { regions::list(&Calls::new(&session, progress)).await }
        };
        let regions = entrances.ask(regions::ACTION.name, list).await;
        Ok(Open { session, regions })
    }

    async fn enter(
        &self,
        role: &Role,
        caller: &AccountSession,
        entrances: &Turn,
        progress: &dyn Progress,
    ) -> Result<AccountSession, Fault> {
        let assume = |region: &Region| {
            let (session, region) = (Arc::new(caller.region(region)), region.clone());
            async move {
                let (credentials, identity) = role.assume(&Calls::new(&session, progress), &region).await?;
                Ok((RoleCredentials::new(role.clone(), session, region, credentials), identity))
            }
        };
        let (credentials, identity) = entrances.ask(role::ACTION.name, assume).await?;
        if identity.account != self.account {
            let text = format!("as {}: the role belongs to account {}, not to {}", role.arn, identity.account, self.account);
            return Err(Fault::new(Reason::Denied, role::ACTION.name, text));
        }
        Ok(caller.as_role(identity, credentials))
    }

    /// The account itself, with an edge to each region of its partition. A region that is not enabled any more still holds what was made in it.
    ///
    /// Its key is built from its id alone: the ARN that an organization gives it changes when it moves to another one.
    pub(crate) fn resource(&self, place: &Place, regions: Option<&RegionList>) -> Result<(Resource, Vec<Relation>), Refused> {
        let key = Key::aws(&format!("arn:{}:iam::{}:root", place.partition, self.account))?;
        let facts = self.facts.as_ref();
        let mut attributes = Facts::default();
        attributes.text("email_domain", facts.and_then(|facts| facts.email_domain.as_deref()));
        attributes.text("organization", facts.and_then(|facts| facts.organization.as_deref()));
        attributes.text("management_account", facts.and_then(|facts| facts.management_account.as_deref()));
        attributes.time("joined_at", facts.and_then(|facts| facts.joined_at));
        let mut relations = Vec::new();
        for region in regions.into_iter().flat_map(RegionList::named) {
            let place = Place { region: region.clone(), ..place.clone() };
            relations.push(edge(&key, RelationType::Contains, place.region_key()?, Attributes::new()));
        }
        let resource = Resource {
            key,
            kind: Kind::Account,
            provider: Provider::Aws,
            native_id: self.account.as_str().to_owned(),
            account: self.account.clone(),
            region: Region::any(),
            name: facts.and_then(|facts| facts.name.clone()),
            state: Some(facts.map_or_else(|| "active".to_owned(), |facts| facts.state.clone())),
            tags: std::collections::BTreeMap::new(),
            created_at: None,
            observed_at: Some(place.observed_at),
            attributes: attributes.finish(),
            derived: false,
            extra: Map::new(),
        };
        Ok((resource, relations))
    }

    /// Whether the organization tells of it, so that it is known without being read.
    pub(crate) fn is_told(&self) -> bool {
        self.facts.is_some()
    }
}
