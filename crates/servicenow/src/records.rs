//! Records as the instance shows them, and whose they are.
//!
//! A record is ours by our mark on it ([`crate::book`]). What the record itself says (`discovery_source`) is only who wrote last.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use dewpoint_core::estate::EstateId;
use dewpoint_core::model::{Account, Key, Kind, Provider, Region};
use dewpoint_core::target::{FoundRecord, Identity, RecordId, Sample, Subject, TargetError};
use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use serde_json::Value;

use crate::api::{Api, PAGE_ROWS, Row, Select};
use crate::book::{Book, Left, Mark, Scanned, mark};
use crate::keys::{native_key, object_id_of};
use crate::mapping::{Mapping, TAGS};
use crate::query::{Query, can_be_asked, can_be_listed, lists};
use crate::rules::asked_by;
use crate::status::{INSTALL_STATUS, OPERATIONAL_STATUS};

/// So many queries are sent without asking whether the table as a whole is smaller.
const QUERIES_UNCOUNTED: usize = 2;

/// So many services are read to compare their names here.
const SERVICES_MAX: u64 = 20_000;

/// The class above those of all services.
const SERVICES: &str = "cmdb_ci_service";

pub(crate) const SOURCES: &str = "sys_object_source";
pub(crate) const SOURCE_FIELDS: &[&str] = &["sys_id", "name", "id", "source_feed", "target_table", "target_sys_id", "last_scan"];
/// Columns of every record that are read whatever the mapping writes.
const OWN_FIELDS: [&str; 7] =
    ["sys_id", "sys_class_name", "discovery_source", "last_discovered", INSTALL_STATUS, OPERATIONAL_STATUS, "object_id"];

/// Answers by key.
pub(crate) type Found = BTreeMap<Key, Result<Vec<FoundRecord>, TargetError>>;

/// Reads records of one instance.
pub(crate) struct Reader<'a> {
    pub(crate) api: &'a Api,
    pub(crate) mapping: &'a Mapping,
    pub(crate) book: &'a Book,
    /// Whether services of any class are referred to.
    pub(crate) refers: bool,
}

impl Reader<'_> {
    pub(crate) fn source_rows(&self) -> Query {
        Query::all().equals("name", &self.api.source)
    }

    /// Takes in rows of `sys_object_source`: of each record that one of them is on there must be all of ours, in this call or in those before.
    pub(crate) fn learn(&self, rows: &[Row]) -> Vec<RecordId> {
        let ours = rows.iter().filter(|row| row.get("name") == Some(&self.api.source));
        let mut pages = self.book.open();
        let mut records = Vec::new();
        for (row, (record, mark)) in ours.filter_map(|row| Some((row, mark(row)?))) {
            if pages.gone.contains(&record) {
                continue;
            }
            let text = |column: &str| row.get(column).cloned().unwrap_or_default();
            pages.mark(&record, mark, Scanned::Row(text("last_scan"), text("sys_id")));
            pages.has_marks = Some(true);
            records.push(record);
        }
        records
    }

    /// Whose records stand there: ours, by one request; where there is none, another ledger's. A record that was removed leaves its row behind, so that
    /// of others those count that stand.
    pub(crate) async fn sample(&self, estate: &EstateId) -> Result<Sample, TargetError> {
        match self.look_for_sample(estate).await {
            Err(TargetError::Forbidden { .. } | TargetError::Rejected { .. }) => Ok(Sample::NotTaken),
            sample => sample,
        }
    }

    async fn look_for_sample(&self, estate: &EstateId) -> Result<Sample, TargetError> {
        let is_ours = |row: &Row| row.get("name") == Some(&self.api.source);
        let own = self.source_rows().equals("source_feed", &estate.0);
        if let Some(row) = self.api.first(SOURCES, &own, SOURCE_FIELDS).await? {
            // A condition that was dropped shows others' rows: then nothing is concluded.
            let own = mark(&row).filter(|(_, mark)| is_ours(&row) && mark.estate == *estate);
            return Ok(own.map_or(Sample::NotTaken, |(_, mark)| Sample::Of(mark.estate)));
        }
        let rows = self.api.page(&Select { table: SOURCES, query: self.source_rows(), fields: SOURCE_FIELDS }).await?;
        let marks: BTreeMap<RecordId, Mark> = rows.iter().filter(|row| is_ours(row)).filter_map(mark).collect();
        if marks.values().any(|mark| mark.estate == *estate) {
            return Ok(Sample::Of(estate.clone()));
        }
        let ids: Vec<&str> = marks.keys().map(|record| record.0.as_str()).collect();
        let standing = self.records_of("cmdb_ci", &ids).await?;
        let first = standing.first().and_then(|row| marks.get(&RecordId(row.get("sys_id")?.clone())));
        Ok(first.map_or(Sample::Nothing, |mark| Sample::Of(mark.estate.clone())))
    }

    /// Makes the marks on these records known to the book.
    pub(crate) async fn ask_marks<'r>(&self, records: impl IntoIterator<Item = &'r RecordId>) -> Result<(), TargetError> {
        let unknown: BTreeSet<&RecordId> = {
            let pages = self.book.open();
            records.into_iter().filter(|record| !pages.marks.contains_key(*record)).collect()
        };
        for list in lists(unknown.iter().map(|record| record.0.as_str())) {
            let query = self.source_rows().any_of("target_sys_id", list.iter().copied());
            let rows = self.api.rows(&Select { table: SOURCES, query, fields: SOURCE_FIELDS }).await?;
            self.learn(&rows);
        }
        let mut pages = self.book.open();
        for record in unknown {
            pages.marks.entry(record.clone()).or_insert(None);
        }
        Ok(())
    }

    /// Makes the records that carry these keys known to the book.
    pub(crate) async fn ask_keys(&self, keys: &BTreeSet<&Key>) -> Result<(), TargetError> {
        let unknown: BTreeSet<&Key> = {
            let pages = self.book.open();
            keys.iter().copied().filter(|key| !pages.by_key.contains_key(*key) && !pages.absent.contains(*key)).collect()
        };
        if unknown.is_empty() {
            return Ok(());
        }
        let has_marks = self.book.open().has_marks;
        let has_marks = match has_marks {
            Some(has_marks) => has_marks,
            None => self.api.first(SOURCES, &self.source_rows(), SOURCE_FIELDS).await?.is_some_and(|row| {
                // A condition that was dropped shows others' rows: then nothing is concluded.
                row.get("name") == Some(&self.api.source) || row.contains_key("id")
            }),
        };
        self.book.open().has_marks = Some(has_marks);
        if has_marks {
            let natives: BTreeSet<&str> = unknown.iter().map(|key| native_key(key)).collect();
            let (listed, single): (Vec<&str>, Vec<&str>) = natives.iter().copied().partition(|native| can_be_listed(native));
            let queries = lists(listed).into_iter().map(|list| self.source_rows().any_of("id", list.iter().copied()));
            let queries = queries.chain(single.into_iter().map(|native| self.source_rows().equals("id", native)));
            let mut records: BTreeSet<RecordId> = BTreeSet::new();
            for query in queries.collect::<Vec<_>>() {
                let rows = self.api.rows(&Select { table: SOURCES, query, fields: SOURCE_FIELDS }).await?;
                let ours = rows.iter().filter(|row| row.get("name") == Some(&self.api.source));
                records.extend(ours.filter_map(mark).map(|(record, _)| record));
            }
            // They may stand for other keys by now.
            self.ask_marks(&records).await?;
        }
        let mut pages = self.book.open();
        for key in unknown {
            if !pages.by_key.contains_key(key) {
                pages.absent.insert(key.clone());
            }
        }
        Ok(())
    }

    /// Makes known the classes of records without our mark.
    pub(crate) async fn ask_classes(&self, records: BTreeSet<&RecordId>) -> Result<(), TargetError> {
        let unknown: Vec<&str> = {
            let pages = self.book.open();
            records.into_iter().filter(|record| !pages.classes.contains_key(*record)).map(|record| record.0.as_str()).collect()
        };
        for list in lists(unknown) {
            let query = Query::all().any_of("sys_id", list.iter().copied());
            let rows = self.api.rows(&Select { table: "cmdb_ci", query, fields: &["sys_id", "sys_class_name"] }).await?;
            let classes = rows.into_iter().filter_map(|mut row| Some((RecordId(row.remove("sys_id")?), row.remove("sys_class_name")?)));
            self.book.open().classes.extend(classes);
        }
        Ok(())
    }

    /// Makes the records of these places known to the book as far as one request tells: what it leaves out is missed by nobody, and places take no other key.
    pub(crate) async fn look_for_places(&self, keys: &BTreeSet<&Key>) -> Result<(), TargetError> {
        let unknown: BTreeMap<&str, &Key> = {
            let pages = self.book.open();
            let is_known = |key: &Key| pages.by_key.contains_key(key) || pages.absent.contains(key) || pages.looked_for.contains(key);
            keys.iter()
                .filter(|key| !is_known(key))
                .map(|key| (native_key(key), *key))
                .filter(|(native, _)| can_be_listed(native))
                .collect()
        };
        let Some(list) = lists(unknown.keys().copied()).into_iter().next() else { return Ok(()) };
        let query = self.source_rows().any_of("id", list.iter().copied());
        let rows = self.api.page(&Select { table: SOURCES, query, fields: SOURCE_FIELDS }).await?;
        self.learn(&rows);
        self.book.open().looked_for.extend(list.iter().filter_map(|native| unknown.get(native)).map(|key| (*key).clone()));
        Ok(())
    }

    /// Makes known which records with our mark are gone.
    pub(crate) async fn ask_whether_there(&self, records: Vec<RecordId>) -> Result<(), TargetError> {
        let unknown: BTreeSet<RecordId> = {
            let pages = self.book.open();
            records.into_iter().filter(|record| !pages.there.contains(record)).collect()
        };
        let ids: Vec<&str> = unknown.iter().map(|record| record.0.as_str()).collect();
        let rows = self.records_of("cmdb_ci", &ids).await?;
        let there: BTreeSet<&str> = rows.iter().filter_map(|row| row.get("sys_id")).map(String::as_str).collect();
        for record in &unknown {
            if there.contains(record.0.as_str()) {
                self.book.open().there.insert(record.clone());
            } else {
                self.book.removed(record);
            }
        }
        Ok(())
    }

    /// Rows of a class by their ids; those that are not there are left out.
    async fn records_of(&self, class: &str, ids: &[&str]) -> Result<Vec<Row>, TargetError> {
        let fields = self.fields(class);
        let mut rows = Vec::new();
        for list in lists(ids.iter().copied()) {
            let query = Query::all().any_of("sys_id", list.iter().copied());
            rows.extend(self.api.rows(&Select { table: class, query, fields: &fields }).await?);
        }
        let asked: BTreeSet<&str> = ids.iter().copied().collect();
        rows.retain(|row| row.get("sys_id").is_some_and(|id| asked.contains(id.as_str())));
        Ok(rows)
    }

    /// Columns to read of a class.
    fn fields(&self, class: &str) -> Vec<&str> {
        let written = self.mapping.columns_of(class);
        let all: BTreeSet<&str> = OWN_FIELDS.into_iter().chain(written).filter(|name| *name != TAGS).collect();
        all.into_iter().collect()
    }

    /// Records by id, whatever class they are in by now.
    pub(crate) async fn records(&self, ids: &BTreeMap<RecordId, String>) -> Result<BTreeMap<RecordId, Row>, TargetError> {
        let mut by_class: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for (id, class) in ids {
            by_class.entry(if class.is_empty() { "cmdb_ci" } else { class }).or_default().push(&id.0);
        }
        let mut found = BTreeMap::new();
        for (class, ids) in by_class {
            found.extend(
                self.records_of(class, &ids).await?.into_iter().filter_map(|row| Some((RecordId(row.get("sys_id")?.clone()), row))),
            );
        }
        // People move records to other classes.
        let moved: Vec<&str> = ids.keys().filter(|id| !found.contains_key(*id)).map(|id| id.0.as_str()).collect();
        let mut elsewhere: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for row in self.records_of("cmdb_ci", &moved).await? {
            if let (Some(class), Some(id)) = (row.get("sys_class_name"), row.get("sys_id")) {
                elsewhere.entry(class.clone()).or_default().push(id.clone());
            }
        }
        for (class, ids) in elsewhere {
            let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
            found.extend(
                self.records_of(&class, &ids).await?.into_iter().filter_map(|row| Some((RecordId(row.get("sys_id")?.clone()), row))),
            );
        }
        Ok(found)
    }

    /// Tags of records.
    async fn tags<'r>(&self, ids: impl IntoIterator<Item = &'r str>) -> Result<HashMap<String, BTreeMap<String, Value>>, TargetError> {
        let mut tags: HashMap<String, BTreeMap<String, Value>> = HashMap::new();
        for list in lists(ids) {
            let query = Query::all().any_of("configuration_item", list.iter().copied());
            let select = Select { table: "cmdb_key_value", query, fields: &["sys_id", "configuration_item", "key", "value"] };
            for mut row in self.api.rows(&select).await? {
                if let (Some(record), Some(name)) = (row.remove("configuration_item"), row.remove("key")) {
                    tags.entry(record).or_default().insert(name, row.remove("value").unwrap_or_default().into());
                }
            }
        }
        Ok(tags)
    }

    /// A row as a record.
    fn found(&self, row: Row, mark: Option<Mark>, tags: Option<BTreeMap<String, Value>>) -> Option<FoundRecord> {
        let id = RecordId(row.get("sys_id")?.clone());
        let class = row.get("sys_class_name").cloned().unwrap_or_default();
        let kind = self.mapping.kind_of(&class);
        let is_ours = mark.is_some();
        // Who else writes through the engine moves that time as well.
        let is_our_time = is_ours && row.get("discovery_source") == Some(&self.api.source);
        let delivered_at = row.get("last_discovered").filter(|_| is_our_time).and_then(|text| time(text));
        let retired = self.mapping.statuses().says_retired(|column| row.get(column));
        let subject = mark.as_ref().and_then(|mark| subject(&mark.key, kind?, &row));
        let mut fields: BTreeMap<String, Value> = row.into_iter().map(|(name, value)| (name, value.into())).collect();
        let written = self.mapping.columns_of(&class);
        fields.retain(|name, _| written.contains(name.as_str()));
        if let Some(tags) = tags.filter(|tags| !tags.is_empty()) {
            fields.insert(TAGS.to_owned(), Value::Object(tags.into_iter().collect()));
        }
        Some(FoundRecord {
            id,
            class,
            external_id: mark.as_ref().map(|mark| mark.key.clone()),
            estate: mark.map(|mark| mark.estate),
            delivered_at,
            retired,
            subject,
            fields,
            edges: None,
        })
    }

    /// The records with these marks. One that was removed leaves its row in `sys_object_source` behind.
    pub(crate) async fn with_marks(&self, marks: &BTreeMap<RecordId, Mark>) -> Result<Vec<FoundRecord>, TargetError> {
        let ids = marks.iter().map(|(id, mark)| (id.clone(), mark.class.clone())).collect();
        let rows = self.records(&ids).await?;
        let mut tags = self.tags(rows.keys().map(|id| id.0.as_str())).await?;
        self.book.open().there.extend(rows.keys().cloned());
        let found = rows.into_iter().filter_map(|(id, row)| self.found(row, marks.get(&id).cloned(), tags.remove(&id.0)));
        Ok(found.collect())
    }

    /// Records for these identities: ours by their keys, anybody's by what the instance identifies them by. What cannot be said of one class, which the
    /// instance may not have, says nothing of the others.
    pub(crate) async fn find(&self, identities: &[Identity]) -> Result<Found, TargetError> {
        self.ask_keys(&identities.iter().map(|identity| &identity.key).collect()).await?;
        let mut wanted: BTreeMap<RecordId, Mark> = BTreeMap::new();
        for identity in identities {
            if let Some(record) = self.book.record(&identity.key)
                && let Some(mark) = self.book.mark(&record)
            {
                wanted.insert(record, mark);
            }
        }
        let own = self.with_marks(&wanted).await?;
        let standing: BTreeSet<&RecordId> = own.iter().map(|record| &record.id).collect();
        for gone in wanted.keys().filter(|id| !standing.contains(id)) {
            self.book.removed(gone);
        }
        let mut found: Found = identities.iter().map(|identity| (identity.key.clone(), Ok(Vec::new()))).collect();
        for record in own {
            if let Some(Ok(records)) = record.external_id.as_ref().and_then(|key| found.get_mut(key)) {
                records.push(record);
            }
        }
        let mut by_class: BTreeMap<(&str, Kind), Vec<&Identity>> = BTreeMap::new();
        for identity in identities {
            if let Some(class) = self.mapping.class(identity.kind, identity.key.provider()) {
                by_class.entry((class, identity.kind)).or_default().push(identity);
            }
        }
        for ((class, kind), identities) in by_class {
            match self.find_in(class, kind, &identities, &mut found).await {
                Ok(()) => {}
                Err(error @ (TargetError::Rejected { .. } | TargetError::Forbidden { .. })) => {
                    for identity in identities {
                        found.insert(identity.key.clone(), Err(self.unanswered(class, identity.kind, &error)));
                    }
                }
                Err(error) => return Err(error),
            }
        }
        self.find_left(identities, &mut found).await?;
        self.find_referred(identities, &mut found).await?;
        let now = self.api.caller.clock().now();
        let answered = found.iter().filter_map(|(key, records)| Some((key, records.as_ref().ok()?)));
        let stranger = |records: &[FoundRecord]| records.iter().find(|record| record.estate.is_none()).map(|record| record.id.clone());
        let asked = answered.map(|(key, records)| (key.clone(), (now, stranger(records))));
        self.book.open().asked.extend(asked);
        Ok(found)
    }

    /// Records that AWS Service Management Connector made: they say what they stand for in `correlation_id`, and not in `object_id`.
    async fn find_left(&self, identities: &[Identity], found: &mut Found) -> Result<(), TargetError> {
        let mut wanted: BTreeMap<RecordId, (String, &Identity)> = BTreeMap::new();
        for identity in identities.iter().filter(|identity| identity.key.provider() == Provider::Aws && !identity.key.is_derived()) {
            let left = self.left_in(&identity.account).await?;
            let place = (identity.region.to_string(), identity.native_id.clone());
            for (record, class) in left.get(&place).into_iter().flatten() {
                // A name is one thing's among those of its class only.
                let is_id = !matches!(identity.kind, Kind::ScalingGroup | Kind::LoadBalancer | Kind::Pool);
                let is_class = self.mapping.class(identity.kind, Provider::Aws) == Some(class);
                let known = found.get(&identity.key).and_then(|found| found.as_ref().ok());
                let is_known = known.is_none_or(|records| records.iter().any(|known| known.id == *record));
                if (is_id || is_class) && !is_known {
                    wanted.insert(record.clone(), (class.clone(), identity));
                }
            }
        }
        self.ask_marks(wanted.keys()).await?;
        let ids = wanted.iter().map(|(record, (class, _))| (record.clone(), class.clone())).collect();
        for (id, row) in self.records(&ids).await? {
            let Some((_, identity)) = wanted.get(&id) else { continue };
            let mark = self.book.mark(&id);
            if let (Some(Ok(records)), Some(record)) = (found.get_mut(&identity.key), self.found(row, mark, None)) {
                records.push(record);
            }
        }
        Ok(())
    }

    /// Strangers' records that were referred to and still stand there: people may have renamed them.
    async fn find_referred(&self, identities: &[Identity], found: &mut Found) -> Result<(), TargetError> {
        let mut wanted: BTreeMap<&RecordId, Vec<&Key>> = BTreeMap::new();
        for identity in identities {
            let Some(record) = &identity.record else { continue };
            let is_open = |records: &Vec<FoundRecord>| records.iter().all(|known| known.id != *record);
            if found.get(&identity.key).is_some_and(|found| found.as_ref().is_ok_and(is_open)) {
                wanted.entry(record).or_default().push(&identity.key);
            }
        }
        self.ask_marks(wanted.keys().copied()).await?;
        let ids: Vec<&str> = wanted.keys().filter(|id| self.book.mark(id).is_none()).map(|id| id.0.as_str()).collect();
        for row in self.records_of("cmdb_ci", &ids).await? {
            let Some(record) = self.found(row, None, None) else { continue };
            for key in wanted.get(&record.id).into_iter().flatten() {
                if let Some(Ok(records)) = found.get_mut(*key) {
                    records.push(record.clone());
                }
            }
        }
        Ok(())
    }

    async fn left_in(&self, account: &Account) -> Result<Arc<Left>, TargetError> {
        if let Some(left) = self.book.open().connector.get(account) {
            return Ok(Arc::clone(left));
        }
        let query = Query::all().starts_with("correlation_id", &format!("{account},"));
        let select = Select { table: "cmdb_ci", query, fields: &["sys_id", "sys_class_name", "correlation_id"] };
        let mut left = Left::new();
        for mut row in self.api.rows(&select).await? {
            let (Some(id), Some(text)) = (row.remove("sys_id"), row.remove("correlation_id")) else { continue };
            let mut parts = text.splitn(4, ',').map(str::trim);
            let (Some(owner), Some(region), Some(kind), Some(native)) = (parts.next(), parts.next(), parts.next(), parts.next()) else {
                continue;
            };
            if owner != account.as_str() || !kind.starts_with("AWS::") || native.is_empty() {
                tracing::debug!(record = %id, "A correlation id that begins with an account is not AWS Service Management Connector's: {text}");
                continue;
            }
            let class = row.remove("sys_class_name").unwrap_or_default();
            left.entry((region.to_owned(), native.to_owned())).or_default().push((RecordId(id), class));
        }
        let left = Arc::new(left);
        self.book.open().connector.insert(account.clone(), Arc::clone(&left));
        Ok(left)
    }

    /// Why nothing is known of the records of a class.
    fn unanswered(&self, class: &str, kind: Kind, error: &TargetError) -> TargetError {
        let text = error.to_string();
        if text.contains("Invalid table") {
            return self.api.rejected(format!(
                "class `{class}` for kind {kind} is not on this instance: install the store app \"CMDB CI Class Models\", set `mapping.{kind}.class`, or \
                 leave the kind out with `include.kinds`"
            ));
        }
        error.clone()
    }

    /// Records of one class with the id (services: the name) of one of these, in any of the columns that can hold it.
    async fn find_in(&self, class: &str, kind: Kind, identities: &[&Identity], found: &mut Found) -> Result<(), TargetError> {
        for column in asked_by(kind) {
            self.find_by(class, kind, column, identities, found).await?;
        }
        // One of another class comes after those of ours: a business service often has the name of its application service.
        if kind == Kind::Service && self.refers && class.starts_with(SERVICES) && class != SERVICES {
            let is_open = |identity: &&Identity| found.get(&identity.key).is_some_and(|found| found.as_ref().is_ok_and(Vec::is_empty));
            let open: Vec<&Identity> = identities.iter().copied().filter(is_open).collect();
            if !open.is_empty() {
                self.find_by(SERVICES, kind, "name", &open, found).await?;
            }
        }
        Ok(())
    }

    async fn find_by(&self, class: &str, kind: Kind, column: &str, identities: &[&Identity], found: &mut Found) -> Result<(), TargetError> {
        let (mut by_value, mut values): (HashMap<String, Vec<&Identity>>, BTreeSet<String>) = Default::default();
        for identity in identities {
            // What became of a change is asked by key alone.
            for value in criteria(identity).into_iter().filter(|value| !value.is_empty()) {
                let identities = by_value.entry(spelt(kind, &value)).or_default();
                if !identities.iter().any(|known| known.key == identity.key) {
                    identities.push(identity);
                }
                values.insert(value);
            }
        }
        let fields = self.fields(class);
        let values = values.iter().map(String::as_str).filter(|value| can_be_asked(value));
        let (listed, single): (Vec<&str>, Vec<&str>) = values.partition(|value| can_be_listed(value));
        let queries = lists(listed).into_iter().map(|list| Query::all().any_of(column, list.iter().copied()));
        let queries: Vec<Query> = queries.chain(single.into_iter().map(|value| Query::all().equals(column, value))).collect();
        let queries = match kind {
            // A query may or may not tell cases apart, by how the instance's database is set up.
            Kind::Service if self.api.count(class).await.is_some_and(|count| count <= SERVICES_MAX) => vec![Query::all()],
            _ => self.or_all(class, queries).await,
        };
        let mut rows: Vec<Row> = Vec::new();
        for query in queries {
            rows.extend(self.api.rows(&Select { table: class, query, fields: &fields }).await?);
        }
        rows.retain(|row| row.get(column).is_some_and(|value| by_value.contains_key(&spelt(kind, value))));
        let ids: Vec<RecordId> = rows.iter().filter_map(|row| row.get("sys_id").cloned()).map(RecordId).collect();
        self.ask_marks(&ids).await?;
        let places = self.whereabouts(kind, &ids).await?;
        for row in rows {
            let (Some(id), Some(value)) = (row.get("sys_id").cloned().map(RecordId), row.get(column).cloned()) else { continue };
            let mark = self.book.mark(&id);
            for identity in by_value.get(&spelt(kind, &value)).into_iter().flatten() {
                let is_elsewhere = places.get(&id).is_some_and(|place| place.is_elsewhere(identity));
                let is_told = mark.as_ref().is_some_and(|mark| mark.key == identity.key);
                let is_known = |records: &Vec<FoundRecord>| records.iter().any(|known| known.id == id);
                if is_elsewhere || is_told || found.get(&identity.key).is_some_and(|found| found.as_ref().is_ok_and(is_known)) {
                    continue;
                }
                if let (Some(Ok(records)), Some(record)) = (found.get_mut(&identity.key), self.found(row.clone(), mark.clone(), None)) {
                    records.push(record);
                }
            }
        }
        Ok(())
    }

    /// The cheaper of asking by values and reading the class as a whole: a first sync into an instance without machines asks nothing.
    pub(crate) async fn or_all(&self, class: &str, queries: Vec<Query>) -> Vec<Query> {
        if queries.len() <= QUERIES_UNCOUNTED {
            return queries;
        }
        let Some(rows) = self.api.count(class).await else { return queries };
        let pages = usize::try_from(rows).unwrap_or(usize::MAX) / PAGE_ROWS + 1;
        match rows {
            0 => Vec::new(),
            _ if pages < queries.len() => vec![Query::all()],
            _ => queries,
        }
    }

    /// For each of these records the one at the other end of a relationship.
    pub(crate) async fn linked<'r>(
        &self,
        ids: impl IntoIterator<Item = &'r str>,
        own: &'static str,
        other: &'static str,
        kind: &str,
    ) -> Result<HashMap<String, String>, TargetError> {
        let mut linked = HashMap::new();
        for list in lists(ids) {
            let query = Query::all().any_of(own, list.iter().copied()).equals("type.name", kind);
            for mut row in
                self.api.rows(&Select { table: "cmdb_rel_ci", query, fields: &["sys_id", "parent", "child", "type.name"] }).await?
            {
                if row.get("type.name").is_some_and(|name| name == kind)
                    && let (Some(from), Some(to)) = (row.remove(own), row.remove(other))
                {
                    linked.insert(from, to);
                }
            }
        }
        Ok(linked)
    }
}

/// A value as values are compared: services are one thing in any letter case, and so they are to the instance.
fn spelt(kind: Kind, value: &str) -> String {
    if kind == Kind::Service { value.to_lowercase() } else { value.to_owned() }
}

/// What the instance identifies the record of an identity by; Azure's ids in our spelling, and in that of others who keep the cloud's.
fn criteria(identity: &Identity) -> BTreeSet<String> {
    let Identity { key, kind, native_id, name, account, region, record: _ } = identity;
    if *kind == Kind::Service {
        return [native_id.clone(), name.clone()].into();
    }
    let own = object_id_of(key, *kind, native_id, account, region);
    let is_spelt_otherwise = key.provider() == Provider::Azure && own.eq_ignore_ascii_case(native_id);
    [own].into_iter().chain(is_spelt_otherwise.then(|| native_id.clone())).collect()
}

/// What a record of ours stands for, from its key and what it shows.
fn subject(key: &Key, kind: Kind, row: &Row) -> Option<Subject> {
    let name = row.get("name").cloned();
    let native = native_key(key);
    let place = |account: &str, region: &str| -> Option<(Account, Region)> {
        let region = if region.is_empty() { "*" } else { region };
        let account = if account.is_empty() { "*" } else { account };
        Some((account.parse().ok()?, region.parse().ok()?))
    };
    let (account, region) = match key.provider() {
        _ if key.as_fleet().is_some() => key.as_fleet().map(|fleet| (fleet.account, fleet.region))?,
        Provider::Aws => {
            let mut parts = native.splitn(6, ':').skip(3);
            let region = parts.next()?;
            place(parts.next()?, region)?
        }
        Provider::Azure => place(native.split('/').nth(2)?, row.get("region").map_or("", String::as_str))?,
        Provider::Any => place("", "")?,
    };
    let object_id = row.get("object_id").cloned();
    let is_key = object_id.as_deref().is_some_and(|id| id == native);
    let native_id = object_id.filter(|_| !is_key).or_else(|| name.clone()).unwrap_or_else(|| native.to_owned());
    Some(Subject { kind, account, region, native_id, name })
}

/// A time as the instance stores it.
pub(crate) fn time(text: &str) -> Option<Timestamp> {
    let civil = DateTime::strptime("%Y-%m-%d %H:%M:%S", text).ok()?;
    Some(civil.to_zoned(TimeZone::UTC).ok()?.timestamp())
}
