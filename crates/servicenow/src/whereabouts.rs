//! Where records of others lie: native ids repeat between accounts and regions, and the engine identifies most classes within their datacenter.

use std::collections::{BTreeSet, HashMap};

use dewpoint_core::model::{Kind, Provider};
use dewpoint_core::target::{Identity, RecordId, TargetError};

use crate::api::Select;
use crate::mapping::{Beside, HostParent};
use crate::query::{Query, lists};
use crate::records::Reader;

/// The account and the region that a record lies in, as far as the instance's relations tell.
#[derive(Debug, Clone, Default)]
pub(crate) struct Whereabouts {
    accounts: Vec<String>,
    regions: Vec<String>,
}

impl Whereabouts {
    /// Whether it says that it lies elsewhere than this.
    pub(crate) fn is_elsewhere(&self, identity: &Identity) -> bool {
        // People write `1234-5678-9012`, and the region's name for people beside its own.
        let plain = |text: &str| text.chars().filter(char::is_ascii_alphanumeric).collect::<String>().to_ascii_lowercase();
        // What has another form than the provider's ids is a name that somebody gave, and says nothing of the place.
        let is_aws = identity.key.provider() == Provider::Aws;
        let is_account = |text: &str| match is_aws {
            true => text.len() == 12 && text.bytes().all(|byte| byte.is_ascii_digit()),
            false => text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit()),
        };
        let is_region = |text: &str| !is_aws || (text.ends_with(|last: char| last.is_ascii_digit()) && text.is_ascii());
        let differs = |said: &[String], wanted: &str, is_id: &dyn Fn(&str) -> bool| {
            let mut ids = said.iter().map(|said| plain(said)).filter(|said| is_id(said)).peekable();
            ids.peek().is_some() && ids.all(|said| said != plain(wanted))
        };
        differs(&self.accounts, identity.account.as_str(), &is_account)
            || (!identity.region.is_any() && differs(&self.regions, identity.region.as_str(), &is_region))
    }
}

impl Reader<'_> {
    /// Where these records of a kind lie. Those that hang on no datacenter are left out.
    pub(crate) async fn whereabouts(&self, kind: Kind, ids: &[RecordId]) -> Result<HashMap<RecordId, Whereabouts>, TargetError> {
        let datacenters: HashMap<String, String> = match self.mapping.beside(kind) {
            _ if kind == Kind::Region => ids.iter().map(|id| (id.0.clone(), id.0.clone())).collect(),
            Some((Beside::Datacenter, relation)) => {
                // What carries our mark says itself where it lies; zones have ids that repeat.
                let open = ids.iter().filter(|id| kind == Kind::Zone || self.book.mark(id).is_none()).map(|id| id.0.as_str());
                let (own, other) = if relation.parent == HostParent::Guest { ("parent", "child") } else { ("child", "parent") };
                self.linked(open, own, other, &relation.kind).await?
            }
            _ => return Ok(HashMap::new()),
        };
        let hosts: BTreeSet<&str> = datacenters.values().map(String::as_str).collect();
        let accounts = self.linked(hosts.iter().copied(), "parent", "child", "Hosted on::Hosts").await?;
        let regions = if kind == Kind::Region {
            HashMap::new()
        } else {
            self.named("cmdb_ci_logical_datacenter", hosts.iter().copied(), ["region", "object_id"]).await?
        };
        let names = self.named("cmdb_ci_cloud_service_account", accounts.values().map(String::as_str), ["account_id", "object_id"]).await?;
        let place = |datacenter: &String| Whereabouts {
            accounts: accounts.get(datacenter).and_then(|account| names.get(account)).cloned().unwrap_or_default(),
            regions: regions.get(datacenter).cloned().unwrap_or_default(),
        };
        Ok(datacenters.iter().map(|(id, datacenter)| (RecordId(id.clone()), place(datacenter))).collect())
    }

    /// What two columns say of these records.
    async fn named<'r>(
        &self,
        table: &'static str,
        ids: impl Iterator<Item = &'r str>,
        columns: [&'static str; 2],
    ) -> Result<HashMap<String, Vec<String>>, TargetError> {
        let mut names = HashMap::new();
        let ids: BTreeSet<&str> = ids.collect();
        for list in lists(ids) {
            let query = Query::all().any_of("sys_id", list.iter().copied());
            let select = Select { table, query, fields: &["sys_id", columns[0], columns[1]] };
            for mut row in self.api.rows(&select).await? {
                if let Some(id) = row.remove("sys_id") {
                    names.insert(id, columns.iter().filter_map(|column| row.remove(*column)).collect());
                }
            }
        }
        Ok(names)
    }
}
