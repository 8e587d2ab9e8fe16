//! The online checks: each names what is missing on the instance and who has to do what.

use std::collections::BTreeSet;

use dewpoint_core::doctor::{CREDENTIALS, Finding, Health, SET_CLOCK};
use dewpoint_core::model::{Kind, Provider};
use dewpoint_core::target::TargetError;

use crate::api::{Api, AttributeMeta, ClassMeta, Select};
use crate::bootstrap;
use crate::ire::{Item, Payload, Relation, RelationSource, SourceInfo};
use crate::mapping::{HostParent, Mapping, TAGS};
use crate::query::{Query, lists};
use crate::rules::{RULE_MISSING_MEND, asked_by, unasked};

/// Everything there is to say of an instance. It stops at what makes the rest pointless.
pub(crate) async fn findings(api: &Api, mapping: &Mapping, per_second: f64) -> Vec<Finding> {
    let mut checks = Checks { api, mapping, findings: Vec::new(), missing: BTreeSet::new() };
    if checks.credentials().await {
        checks.data_source().await;
        checks.classes().await;
        checks.tables().await;
        checks.relationship_types().await;
        checks.relationships().await;
        checks.engine().await;
        checks.clock();
        checks.rate(per_second);
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
        self.findings.push(Finding::new(self.api.target(), check, outcome, text, mend));
    }

    fn problem(&mut self, check: &str, error: &TargetError, mend: &str) {
        self.note(check, Health::Error, error.to_string(), Some(mend.to_owned()));
    }

    /// Whether the instance lets us in at all.
    async fn credentials(&mut self) -> bool {
        let asked = self.api.first("cmdb_ci", &Query::all(), &["sys_id"]).await;
        match asked {
            Ok(_) => {
                self.note(CREDENTIALS, Health::Ok, format!("{} lets us in and shows its CMDB", self.api.caller.client().origin()), None);
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
                let mend = "check `url`, proxies and certificates, and whether the instance is awake".to_owned();
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
                Some(format!(
                    "run `dewpoint bootstrap {}`, or have an administrator add the choice in the global scope",
                    self.api.target()
                )),
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
        let classes = self.mapping.classes().clone();
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
            self.references(&class, kind, &meta);
            // That a rule is inherited is the platform's own way: each create is asked about, and there is nothing to mend.
            let mut own = unasked(&class, &meta, kind, self.mapping);
            own.retain(|criteria| !criteria.iter().any(|column| asked_by(kind).contains(&column.as_str())));
            if !own.is_empty() {
                let text = format!(
                    "class `{class}` is identified by {} too: what has the same there would be one record",
                    own.iter().map(|criteria| criteria.join(" and ")).collect::<Vec<_>>().join(" or ")
                );
                let mend = format!(
                    "each create for kind {kind} is asked about first, and refused where it would meet another record; map the kind to a class that `object_id` alone identifies"
                );
                self.note("identification", Health::Warning, text, Some(mend));
            }
            let rules = meta.identification_rules.unwrap_or_default();
            let is_usable = |attributes: &str| {
                let mut attributes = attributes.split(',').map(str::trim);
                attributes.all(|attribute| self.mapping.columns(kind).any(|column| column == attribute))
            };
            let active: Vec<&str> = rules.identifiers.iter().filter(|rule| rule.is_active()).map(|rule| rule.attributes.as_str()).collect();
            if active.is_empty() {
                self.missing.insert(class.clone());
                let text = format!("class `{class}` for kind {kind} has no identification rule: the engine cannot tell its records apart");
                self.note("identification", Health::Warning, text, Some(RULE_MISSING_MEND.to_owned()));
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

    /// Columns that hold ids where we would write texts, and the other way round.
    fn references(&mut self, class: &str, kind: Kind, meta: &ClassMeta) {
        let of = |is_it: fn(&AttributeMeta) -> bool| -> BTreeSet<&str> {
            meta.attributes.iter().filter(|attribute| is_it(attribute)).map(|attribute| attribute.element.as_str()).collect()
        };
        let (references, texts) = (of(AttributeMeta::is_reference), of(AttributeMeta::is_text));
        let resolved: BTreeSet<&str> = self.mapping.references(kind).map(|(column, _)| column).collect();
        let open: Vec<&str> =
            self.mapping.columns(kind).filter(|column| references.contains(column) && !resolved.contains(column)).collect();
        if let Some(first) = open.first() {
            let text = format!("columns of `{class}` hold ids of other tables' rows, and no text is written there: {}", open.join(", "));
            let mend = format!(
                "say which row a text stands for: `mapping.{kind}.fields.{first}: {{ value: …, reference: {{ table: …, by: [name] }} }}`"
            );
            self.note("references", Health::Warning, text, Some(mend));
        }
        let mistaken: Vec<&str> = resolved.into_iter().filter(|column| texts.contains(column)).collect();
        if !mistaken.is_empty() {
            let text = format!("columns of `{class}` hold mere texts, and ids would be written there: {}", mistaken.join(", "));
            let mend = format!("leave `reference` out of them, or map others for kind {kind}");
            self.note("references", Health::Warning, text, Some(mend));
        }
    }

    /// The tables whose rows stand for texts: what cannot be read there is left as it is.
    async fn tables(&mut self) {
        let kinds: BTreeSet<Kind> = self.mapping.classes().values().copied().collect();
        let references = kinds.into_iter().flat_map(|kind| self.mapping.references(kind));
        let tables: BTreeSet<String> = references.map(|(_, reference)| reference.table.clone()).collect();
        for table in tables {
            match self.api.first(&table, &Query::all(), &["sys_id"]).await {
                Ok(_) => {}
                Err(error @ (TargetError::Forbidden { .. } | TargetError::Rejected { .. })) => {
                    let text = format!("table `{table}` cannot be read, so that nothing is found there: {error}");
                    let mend = format!("let the user read `{table}`, or map columns to other tables");
                    self.note("references", Health::Warning, text, Some(mend));
                }
                Err(error) => return self.problem("references", &error, "run again"),
            }
        }
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

    /// What people remove of our relationships shows in these tables only.
    async fn relationships(&mut self) {
        const TABLES: [&str; 2] = ["cmdb_rel_ci", "sys_rel_source"];
        for table in TABLES {
            if let Err(error) = self.api.first(table, &Query::all(), &["sys_id"]).await {
                let text = format!("relationships that people remove are not noticed: {error}");
                return self.note("relationships", Health::Warning, text, Some(format!("let the user read {}", TABLES.join(" and "))));
            }
        }
        self.note("relationships", Health::Ok, "relationships can be read".to_owned(), None);
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
            references: Vec::new(),
        };
        match self.api.identify(&payload).await {
            Ok(report) => {
                let refusals: Vec<String> =
                    (0..3).filter_map(|place| report.item(place)).filter_map(|outcome| Some(outcome.would().err()?.text)).collect();
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

    /// Timers and `last_discovered` go by our clock; the instance takes no time of a record that lies before the one it has.
    fn clock(&mut self) {
        let Some(skew) = self.api.caller.skew() else { return };
        if !skew.is_notable() {
            return self.note("clock", Health::Ok, "the instance's clock and ours agree".to_owned(), None);
        }
        let text = format!("this machine's clock is {}: records would be seen at the wrong time", skew.beside("the instance's"));
        self.note("clock", Health::Warning, text, Some(SET_CLOCK.to_owned()));
    }

    /// Answers name the rules that requests come under; an instance without rules names none.
    fn rate(&mut self, per_second: f64) {
        const SECONDS_OF_AN_HOUR: f64 = 3600.0;
        let rules = self.api.rate_rules();
        if rules.is_empty() {
            return self.note("rate limits", Health::Ok, "no rate rule speaks of the requests of these checks".to_owned(), None);
        }
        for (rule, limit) in &rules {
            let text = format!("rate rule {rule} allows {limit} requests an hour");
            let hour = per_second * SECONDS_OF_AN_HOUR;
            #[expect(clippy::cast_precision_loss, reason = "a count of requests an hour")]
            if hour > *limit as f64 {
                let mend = "syncs wait when it is used up: lower `rate.requests_per_second`, or have an administrator raise the limit for this user";
                let text = format!("{text}, and `rate` {hour:.0}");
                self.note("rate limits", Health::Warning, text, Some(mend.to_owned()));
            } else {
                self.note("rate limits", Health::Ok, text, None);
            }
        }
    }
}
