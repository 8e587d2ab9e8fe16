//! The online checks: each names what is missing on the instance and who has to do what.

use std::collections::{BTreeMap, BTreeSet};

use dewpoint_core::doctor::{CREDENTIALS, Finding, Health};
use dewpoint_core::model::{Kind, Provider};
use dewpoint_core::target::TargetError;

use crate::api::{Api, Select};
use crate::bootstrap;
use crate::ire::{Item, Payload, Relation, RelationSource, SourceInfo};
use crate::mapping::{HostParent, Mapping, TAGS};
use crate::query::{Query, lists};

/// Everything there is to say of an instance. It stops at what makes the rest pointless.
pub(crate) async fn findings(api: &Api, mapping: &Mapping) -> Vec<Finding> {
    let mut checks = Checks { api, mapping, findings: Vec::new(), missing: BTreeSet::new() };
    if checks.credentials().await {
        checks.data_source().await;
        checks.classes().await;
        checks.relationship_types().await;
        checks.engine().await;
    }
    checks.findings
}

struct Checks<'a> {
    api: &'a Api,
    mapping: &'a Mapping,
    findings: Vec<Finding>,
    /// Classes that the instance does not have, or cannot identify.
    missing: BTreeSet<String>,
}

impl Checks<'_> {
    fn note(&mut self, check: &str, outcome: Health, text: String, mend: Option<String>) {
        self.findings.push(Finding { subject: self.api.target.to_string(), check: check.to_owned(), outcome, text, mend });
    }

    fn problem(&mut self, check: &str, error: &TargetError, mend: &str) {
        self.note(check, Health::Error, error.to_string(), Some(mend.to_owned()));
    }

    /// Whether the instance lets us in at all.
    async fn credentials(&mut self) -> bool {
        let asked = self.api.first("cmdb_ci", &Query::all(), &["sys_id"]).await;
        match asked {
            Ok(_) => {
                self.note(CREDENTIALS, Health::Ok, format!("{} lets us in and shows its CMDB", self.api.client.origin()), None);
                true
            }
            Err(error @ TargetError::Credentials { .. }) => {
                self.problem(
                    CREDENTIALS,
                    &error,
                    "check user, password, client or key; for client credentials an administrator sets the property \
                     `glide.oauth.inbound.client.credential.grant_type.enabled` and the entity's application user; an API key needs an access policy",
                );
                false
            }
            Err(error @ TargetError::Forbidden { .. }) => {
                self.problem(CREDENTIALS, &error, "give the user the role `itil`, which reads and writes the CMDB");
                false
            }
            Err(error) => {
                let mend = error.hint().unwrap_or_else(|| "check `url`".to_owned());
                self.problem("address", &error, &mend);
                false
            }
        }
    }

    async fn data_source(&mut self) {
        let name = self.api.source.clone();
        match bootstrap::standing(self.api).await {
            Ok(Some(bootstrap::Standing::Active)) => {
                self.note("data source", Health::Ok, format!("discovery source `{name}` is registered"), None);
            }
            Ok(_) => self.note(
                "data source",
                Health::Error,
                format!("`{name}` is no choice of `cmdb_ci.discovery_source`: the engine would refuse every record"),
                Some(format!("run `dewpoint bootstrap {}`, or have an administrator add the choice in the global scope", self.api.target)),
            ),
            // The engine itself is asked below.
            Err(TargetError::Forbidden { .. }) => self.note(
                "data source",
                Health::Warning,
                format!("whether discovery source `{name}` is registered cannot be read by this user"),
                None,
            ),
            Err(error) => self.problem("data source", &error, "run again"),
        }
    }

    async fn classes(&mut self) {
        let classes: BTreeMap<String, Kind> = self.mapping.classes().into_iter().map(|(class, kind)| (class.to_owned(), kind)).collect();
        let mut sound = 0;
        for (class, kind) in classes {
            let meta = match self.api.class(&class).await {
                Ok(meta) => meta,
                Err(error) => {
                    let mend = "give the user the role `itil`: the CMDB Meta API needs it";
                    self.problem("classes", &error, mend);
                    return;
                }
            };
            let Some(meta) = meta else {
                self.missing.insert(class.clone());
                let text = format!("class `{class}` for kind {kind} is not on this instance");
                let mend = format!(
                    "install the store app \"CMDB CI Class Models\", set `mapping.{kind}.class`, or leave the kind out with `include.kinds`"
                );
                self.note("classes", Health::Warning, text, Some(mend));
                continue;
            };
            let columns: BTreeSet<&str> = meta.attributes.iter().map(|attribute| attribute.element.as_str()).collect();
            let lacking: Vec<&str> = self.mapping.columns(kind).filter(|column| *column != TAGS && !columns.contains(column)).collect();
            let rules = meta.identification_rules.unwrap_or_default();
            let is_usable = |attributes: &str| {
                let mut attributes = attributes.split(',').map(str::trim);
                attributes.all(|attribute| self.mapping.columns(kind).any(|column| column == attribute))
            };
            let active: Vec<&str> = rules
                .identifiers
                .iter()
                .filter(|rule| rule.active.as_deref() != Some("false"))
                .map(|rule| rule.attributes.as_str())
                .collect();
            if active.is_empty() {
                self.missing.insert(class.clone());
                let text = format!("class `{class}` for kind {kind} has no identification rule: the engine cannot tell its records apart");
                let mend = "install the store app \"CMDB CI Class Models\", or have an administrator add a rule on `object_id`";
                self.note("identification", Health::Warning, text, Some(mend.to_owned()));
            } else if !active.iter().any(|attributes| is_usable(attributes)) {
                self.missing.insert(class.clone());
                let text = format!("class `{class}` is identified by {}, none of which kind {kind} fills", active.join(" or "));
                let mend = format!("add these columns under `mapping.{kind}.fields`");
                self.note("identification", Health::Error, text, Some(mend));
            } else if lacking.is_empty() {
                sound += 1;
            } else {
                let text = format!("class `{class}` lacks the columns {}: their values are not kept", lacking.join(", "));
                let mend = "install the store app \"CMDB CI Class Models\", or map them to columns that are there";
                self.note("columns", Health::Warning, text, Some(mend.to_owned()));
            }
        }
        self.note("classes", Health::Ok, format!("{sound} classes have all that is mapped to them"), None);
    }

    async fn relationship_types(&mut self) {
        let wanted: BTreeSet<&str> = self.mapping.relationship_types().collect();
        let mut known = BTreeSet::new();
        for list in lists(wanted.iter().copied()) {
            let query = Query::all().any_of("name", list.iter().copied());
            match self.api.rows(&Select { table: "cmdb_rel_type", query, fields: &["sys_id", "name"] }).await {
                Ok(rows) => known.extend(rows.into_iter().filter_map(|mut row| row.remove("name"))),
                Err(error) => return self.problem("relationship types", &error, "let the user read `cmdb_rel_type`"),
            }
        }
        let missing: Vec<&str> = wanted.into_iter().filter(|name| !known.contains(*name)).collect();
        if missing.is_empty() {
            self.note("relationship types", Health::Ok, "all relationship types in use are there".to_owned(), None);
        } else {
            let text = format!("relationship types are missing: {}", missing.join(", "));
            self.note("relationship types", Health::Error, text, Some("add them, or set others under `relationships`".to_owned()));
        }
    }

    /// Asks the engine what it would do with a machine, its datacenter and its account. It commits nothing.
    async fn engine(&mut self) {
        let class = |kind| self.mapping.class(kind, Provider::Aws).unwrap_or_default().to_owned();
        if [Kind::Account, Kind::Region, Kind::Instance].iter().any(|kind| self.missing.contains(&class(*kind))) {
            return;
        }
        let item = |kind: Kind, id: &str, values: &[(&str, &str)]| Item {
            class_name: class(kind),
            internal_id: id.to_owned(),
            values: values.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
            related: Vec::new(),
            settings: None,
            source: Some(SourceInfo {
                source_name: self.api.source.clone(),
                source_feed: "doctor".to_owned(),
                source_native_key: format!("dewpoint doctor {id}"),
            }),
        };
        let relation = |parent: &str, child: &str| Relation {
            kind: "Hosted on::Hosts".to_owned(),
            parent_id: parent.to_owned(),
            child_id: child.to_owned(),
            source: RelationSource { source_name: self.api.source.clone(), source_feed: "doctor".to_owned() },
        };
        let is_guest = self.mapping.beside(Kind::Instance).is_none_or(|(_, relation)| relation.parent == HostParent::Guest);
        let payload = Payload {
            items: vec![
                item(
                    Kind::Account,
                    "account",
                    &[
                        ("name", "dewpoint-doctor"),
                        ("object_id", "dewpoint-doctor"),
                        ("account_id", "dewpoint-doctor"),
                        ("datacenter_type", &class(Kind::Region)),
                    ],
                ),
                item(
                    Kind::Region,
                    "datacenter",
                    &[("name", "dewpoint-doctor"), ("object_id", "dewpoint-doctor"), ("region", "dewpoint-doctor")],
                ),
                item(Kind::Instance, "machine", &[("name", "dewpoint-doctor"), ("object_id", "dewpoint-doctor")]),
            ],
            relations: vec![
                relation("datacenter", "account"),
                if is_guest { relation("machine", "datacenter") } else { relation("datacenter", "machine") },
            ],
        };
        match self.api.identify(&payload).await {
            Ok(report) => {
                let refusals: Vec<String> = (0..3)
                    .filter_map(|place| report.item(place))
                    .flat_map(|outcome| outcome.errors.iter().map(crate::ire::Said::words))
                    .collect();
                if refusals.is_empty() {
                    self.note("engine", Health::Ok, "the engine would take a machine with its datacenter and account".to_owned(), None);
                } else {
                    let text = format!("the engine would refuse a machine: {}", refusals.join("; "));
                    self.note("engine", Health::Error, text, Some("mend what it names; nothing was written".to_owned()));
                }
            }
            Err(error) => self.problem("engine", &error, "give the user the role `itil` or `asset`: the engine needs one of them"),
        }
    }
}
