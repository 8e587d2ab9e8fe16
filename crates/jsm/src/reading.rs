//! From objects to records.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use dewpoint_core::estate::EstateId;
use dewpoint_core::model::{Account, Key, Kind, Region};
use dewpoint_core::target::{FoundEdges, FoundRecord, Identity, RecordId, Side, Subject, TargetError};
use dewpoint_target_kit::{Carried, says_the_same};
use jiff::Timestamp;

use crate::api::{Api, PAGES_MAX, Place};
use crate::aql::{LISTED_MAX, Quoted, any_of, of_ids};
use crate::external_id::{distinct_id, external_id, key_of};
use crate::mapping::{ACCOUNT_ID, DATA, DELIVERED_AT, ESTATE_ID, EXTERNAL_ID, LIFECYCLE, Mapping, NAME, NATIVE_ID, REGION};
use crate::object::{Data, Object};
use crate::schema::Schema;
use crate::shape::AttributeShape;

/// Bytes of ids that are asked about at once: where the limit of a query lies is not told.
const QUERY_BYTES_MAX: usize = 24_000;

/// How often a listing is begun that ends with another number of objects than were counted.
const LISTINGS_MAX: usize = 3;

/// Reads objects as records.
pub(crate) struct Reader<'a> {
    pub(crate) api: &'a Api,
    pub(crate) mapping: &'a Mapping,
    pub(crate) schema: &'a Schema,
}

/// Where an object stands, as far as writes to it have to know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Stand {
    /// Name of its type.
    pub(crate) class: String,
    /// The key of what it stands for.
    pub(crate) key: Option<Key>,
    /// The text of its external id.
    pub(crate) external_id: Option<String>,
    /// Whose it is.
    pub(crate) estate: Option<EstateId>,
    /// What we noted on it; `None` where that cannot be read.
    pub(crate) data: Option<Data>,
    /// The objects that it refers to, by the attributes that hold edges.
    pub(crate) references: BTreeMap<String, BTreeSet<String>>,
    /// When we last wrote it, or saw what it stands for.
    pub(crate) delivered_at: Option<Timestamp>,
}

impl Stand {
    /// Where a new object of a type stands.
    pub(crate) fn of_nobody(class: String) -> Self {
        Self {
            class,
            key: None,
            external_id: None,
            estate: None,
            data: Some(Data::default()),
            references: BTreeMap::new(),
            delivered_at: None,
        }
    }

    /// What the object carries of ours.
    pub(crate) fn carried(&self) -> Carried {
        Carried { key: self.key.clone(), estate: self.estate.clone() }
    }
}

/// An edge that an object holds.
struct HeldEdge {
    holder: usize,
    relation: dewpoint_core::model::RelationType,
    side: Side,
    other: String,
}

impl Reader<'_> {
    /// The text of an attribute.
    fn text<'o>(&self, object: &'o Object, class: &str, attribute: &str) -> Option<&'o str> {
        object.text(&self.schema.attribute(class, attribute)?.id).filter(|text| !text.is_empty())
    }

    /// Where an object stands.
    pub(crate) fn stand(&self, object: &Object) -> Stand {
        let class = self.class(object);
        let noted = self.text(object, &class, DATA);
        let data = match noted {
            Some(text) => serde_json::from_str::<Data>(text).ok(),
            None => Some(Data::default()),
        };
        let estate = self.text(object, &class, ESTATE_ID).map(|text| EstateId(text.to_owned()));
        let external_id = self.text(object, &class, EXTERNAL_ID).map(str::to_owned);
        let noted = data.as_ref().and_then(|data| data.key.as_deref());
        let key = external_id.as_deref().filter(|_| estate.is_some()).and_then(|shown| key_of(shown, noted));
        let references = self.mapping.edges_in(&class).filter_map(|edge| {
            let attribute = self.schema.attribute(&class, &edge.attribute)?;
            Some((edge.attribute.clone(), object.references(&attribute.id)))
        });
        let references = references.collect();
        let delivered_at = self.text(object, &class, DELIVERED_AT).and_then(|text| text.parse().ok());
        Stand { key, external_id, estate, data, references, delivered_at, class }
    }

    fn class(&self, object: &Object) -> String {
        self.schema.name_of(&object.object_type.id.0).unwrap_or_default().to_owned()
    }

    /// The kind of what an object stands for.
    fn kind(&self, stand: &Stand) -> Option<Kind> {
        let noted = stand.data.as_ref().and_then(|data| data.kind);
        noted.or_else(|| self.mapping.sheet().kinds_of(&stand.class).next())
    }

    /// An object as a record, without edges.
    pub(crate) fn record(&self, object: &Object, stand: &Stand) -> FoundRecord {
        self.record_of(object, stand, self.kind(stand))
    }

    fn record_of(&self, object: &Object, stand: &Stand, kind: Option<Kind>) -> FoundRecord {
        let class = &stand.class;
        let text = |attribute: &str| self.text(object, class, attribute);
        let retired = self.schema.attribute(class, LIFECYCLE).and_then(|attribute| {
            let shown = AttributeShape::Lifecycle.shown(object.values(&attribute.id))?;
            Some(shown.as_str()? == self.mapping.statuses().retired)
        });
        let mut fields = BTreeMap::new();
        for (name, field) in kind.into_iter().flat_map(|kind| self.mapping.sheet().fields(kind)) {
            let values = self.schema.attribute(class, name).map(|attribute| object.values(&attribute.id));
            fields.extend(values.and_then(|values| field.shape.shown(values)).map(|value| (name.to_owned(), value)));
        }
        let subject = || {
            let whole = |attribute: &str| text(attribute).map(str::to_owned);
            let account: Account = text(ACCOUNT_ID)?.parse().ok()?;
            let region: Region = text(REGION)?.parse().ok()?;
            Some(Subject { kind: kind?, account, region, native_id: whole(NATIVE_ID)?, name: whole(NAME) })
        };
        FoundRecord {
            id: RecordId(object.id.0.clone()),
            class: class.clone(),
            external_id: stand.key.clone(),
            estate: stand.estate.clone(),
            delivered_at: stand.delivered_at.filter(|_| stand.estate.is_some()),
            retired: retired == Some(true),
            subject: if stand.estate.is_some() { subject() } else { None },
            fields,
            edges: None,
        }
    }

    /// Everything in the schema that carries an estate id, with the edges that we made.
    pub(crate) async fn all(&self) -> Result<Vec<FoundRecord>, TargetError> {
        let query = format!("objectSchemaId = {} AND {} IS NOT EMPTY", self.schema.id, Quoted(ESTATE_ID));
        for _ in 0..LISTINGS_MAX {
            let counted = self.api.count(&query).await?;
            if let Some(records) = self.listing(&query, counted).await? {
                return Ok(records);
            }
        }
        Err(self
            .api
            .assets
            .unreachable("read", "its objects changed each time that they were listed: nothing shows that the list is whole"))
    }

    /// The objects of a query; `None` where the list does not hold as many as were counted.
    async fn listing(&self, query: &str, counted: u64) -> Result<Option<Vec<FoundRecord>>, TargetError> {
        let mut records: Vec<FoundRecord> = Vec::new();
        let mut places: HashMap<String, usize> = HashMap::new();
        let mut held: Vec<HeldEdge> = Vec::new();
        let mut at = Some(Place::default());
        for _ in 0..PAGES_MAX {
            let Some(place) = at else { break };
            let (objects, next) = self.api.page(query, place).await?;
            at = next;
            for object in objects {
                // A page that overlaps with the one before shows some once more, and has others pushed out of sight: the count tells.
                if places.contains_key(&object.id.0) {
                    continue;
                }
                let stand = self.stand(&object);
                places.insert(object.id.0.clone(), records.len());
                held.extend(self.held(&stand, records.len()));
                let edges = stand.data.is_some().then(FoundEdges::new);
                records.push(FoundRecord { edges, ..self.record(&object, &stand) });
            }
        }
        if records.len() as u64 != counted {
            return Ok(None);
        }
        for HeldEdge { holder, relation, side, other } in held {
            let Some(&other) = places.get(&other) else { continue };
            let (from, to) = if side == Side::From { (holder, other) } else { (other, holder) };
            let Some(to) = records.get(to).and_then(|record| record.external_id.clone()) else { continue };
            if let Some(edges) = records.get_mut(from).and_then(|record| record.edges.as_mut()) {
                edges.insert((relation, to), None);
            }
        }
        Ok(Some(records))
    }

    /// The edges that an object holds and that are ours.
    fn held(&self, stand: &Stand, holder: usize) -> Vec<HeldEdge> {
        let Some(data) = &stand.data else { return Vec::new() };
        let edges = self.mapping.edges_in(&stand.class);
        edges
            .flat_map(|edge| {
                let ours = data.edges.get(edge.relation.as_str());
                let shown = stand.references.get(&edge.attribute);
                let both = ours.zip(shown).into_iter().flat_map(|(ours, shown)| ours.intersection(shown));
                both.map(|other| HeldEdge { holder, relation: edge.relation, side: edge.side, other: other.clone() })
            })
            .collect()
    }

    /// Records by external or native id.
    pub(crate) async fn find(&self, identities: &[Identity]) -> BTreeMap<Key, Result<Vec<FoundRecord>, TargetError>> {
        let mut answers = BTreeMap::new();
        let mut rest = identities;
        while !rest.is_empty() {
            let (chunk, others) = rest.split_at(chunk_size(rest));
            rest = others;
            match self.find_chunk(chunk).await {
                Ok(found) => answers.extend(found.into_iter().map(|(key, records)| (key, Ok(records)))),
                Err(error) => answers.extend(chunk.iter().map(|identity| (identity.key.clone(), Err(error.clone())))),
            }
        }
        answers
    }

    async fn find_chunk(&self, identities: &[Identity]) -> Result<BTreeMap<Key, Vec<FoundRecord>>, TargetError> {
        let keys: BTreeSet<String> = identities.iter().map(|identity| external_id(&identity.key)).collect();
        let natives: BTreeSet<&str> = identities.iter().map(|identity| identity.native_id.as_str()).collect();
        let mut clauses = vec![any_of(EXTERNAL_ID, keys.iter().map(String::as_str))];
        let holding: BTreeSet<&str> = identities.iter().flat_map(|identity| self.mapping.native_ids(identity.kind)).collect();
        // A query that names what no type has is refused.
        let holding = holding.into_iter().filter(|name| self.schema.types.values().any(|own| own.attributes.contains_key(*name)));
        clauses.extend(holding.map(|name| any_of(name, natives.iter().copied())));
        let records: BTreeSet<&str> = identities
            .iter()
            .filter_map(|identity| identity.record.as_ref())
            .map(|record| record.0.as_str())
            .filter(|id| is_id(id))
            .collect();
        if !records.is_empty() {
            clauses.push(of_ids(records));
        }
        let query = format!("objectSchemaId = {} AND ({})", self.schema.id, clauses.join(" OR "));
        let mut found = self.stands_of(self.api.search(&query).await?);
        let distinct: Vec<String> =
            identities.iter().filter(|identity| self.is_taken(identity, &found)).map(|own| distinct_id(&own.key)).collect();
        if !distinct.is_empty() {
            let query = format!("objectSchemaId = {} AND {}", self.schema.id, any_of(EXTERNAL_ID, distinct.iter().map(String::as_str)));
            found.extend(self.stands_of(self.api.search(&query).await?));
        }
        let of = |identity: &Identity| {
            let meant = found.iter().filter_map(|(object, stand)| self.meant(identity, object, stand));
            (identity.key.clone(), meant.collect())
        };
        Ok(identities.iter().map(of).collect())
    }

    fn stands_of(&self, objects: Vec<Object>) -> Vec<(Object, Stand)> {
        let with_stand = |object: Object| {
            let stand = self.stand(&object);
            (object, stand)
        };
        objects.into_iter().map(with_stand).collect()
    }

    /// Whether another key that differs by case alone has the external id.
    fn is_taken(&self, identity: &Identity, found: &[(Object, Stand)]) -> bool {
        let wanted = external_id(&identity.key);
        let is_other = |shown: &String| *shown != wanted && shown.to_lowercase() == wanted.to_lowercase();
        found.iter().any(|(_, stand)| stand.external_id.as_ref().is_some_and(is_other))
    }

    /// The object as a record where it stands for this: it carries its key, or it is nobody's and says nothing else.
    fn meant(&self, identity: &Identity, object: &Object, stand: &Stand) -> Option<FoundRecord> {
        if stand.estate.is_some() {
            return (stand.key.as_ref() == Some(&identity.key)).then(|| self.record(object, stand));
        }
        // Its type may be that of several kinds: what it says is taken as a record of the kind that is asked about.
        let record = self.record_of(object, stand, Some(identity.kind));
        if identity.record.as_ref() == Some(&record.id) {
            return Some(record);
        }
        let shown = |attribute: &str| self.text(object, &stand.class, attribute);
        let mut native_ids = self.mapping.native_ids(identity.kind).filter_map(shown);
        let says_so = native_ids.any(|native_id| says_the_same(identity, native_id, shown(ACCOUNT_ID), shown(REGION)))
            && self.mapping.sheet().kinds_of(&stand.class).any(|kind| kind == identity.kind);
        says_so.then_some(record)
    }

    /// Where objects stand, as a search shows it.
    pub(crate) async fn stands(&self, ids: &BTreeSet<String>) -> Result<HashMap<String, Stand>, TargetError> {
        let ids: Vec<&str> = ids.iter().map(String::as_str).filter(|id| is_id(id)).collect();
        let mut stands = HashMap::new();
        for chunk in ids.chunks(LISTED_MAX) {
            let found = self.api.search(&of_ids(chunk.iter().copied())).await?;
            stands.extend(found.iter().map(|object| (object.id.0.clone(), self.stand(object))));
        }
        Ok(stands)
    }
}

/// How many of these are asked about at once.
fn chunk_size(identities: &[Identity]) -> usize {
    let length = |identity: &Identity| identity.key.as_str().len() + 2 * identity.native_id.len();
    let within = identities.iter().scan(0, |sum, identity| {
        *sum += length(identity);
        Some(*sum)
    });
    within.take(LISTED_MAX).take_while(|sum| *sum <= QUERY_BYTES_MAX).count().max(1)
}

/// Whether a text can be the id of an object: in a query anything else would be a mistake in it.
pub(crate) fn is_id(id: &str) -> bool {
    !id.is_empty() && id.len() <= 18 && id.bytes().all(|byte| byte.is_ascii_digit())
}
