//! Full reads: every record with our mark, and the edges of ours between them.
//!
//! All marks are read before the first record is told: a record may have two of them, and an edge needs the keys of both of its ends. Edges are rows of
//! `cmdb_rel_ci` that we have a row in `sys_rel_source` for: people and other sources draw the same ones, and theirs are none of ours.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use dewpoint_core::model::{Kind, RelationType};
use dewpoint_core::target::{FoundEdges, FoundRecord, Page, RecordId, TargetError};

use crate::api::{PAGE_ROWS, Row, Select};
use crate::book::Mark;
use crate::mapping::EdgeParent;
use crate::query::{Query, lists};
use crate::records::{Reader, SOURCE_FIELDS, SOURCES};

/// What a full read found before it tells the first record.
#[derive(Debug)]
pub(crate) struct Survey {
    /// Records with our mark, in the order of their ids.
    records: Vec<RecordId>,
    /// Edges by the place of the record where they start; `None` where the user may not read them.
    edges: Option<HashMap<usize, Vec<Edge>>>,
}

/// An edge to the record at another place.
#[derive(Debug)]
struct Edge {
    relation: RelationType,
    to: usize,
}

/// The kinds that a relationship's parent and its child may be of, and its type.
type Between = (Vec<Kind>, Vec<Kind>, String);

impl Reader<'_> {
    /// One page of all records with our mark, in the order of their ids, with their edges.
    pub(crate) async fn page(&self, after: Option<&str>) -> Result<Page, TargetError> {
        let survey = match self.book.survey().filter(|_| after.is_some()) {
            Some(survey) => survey,
            None => Arc::new(self.survey().await?),
        };
        let start = after.map_or(0, |after| survey.records.partition_point(|record| record.0.as_str() <= after));
        let left = survey.records.get(start..).unwrap_or_default();
        let here = left.get(..PAGE_ROWS).unwrap_or(left);
        let marks: BTreeMap<RecordId, Mark> = here.iter().filter_map(|record| Some((record.clone(), self.book.mark(record)?))).collect();
        let mut records = self.with_marks(&marks).await?;
        for record in &mut records {
            record.edges = self.edges_of(&survey, record);
        }
        let next = here.last().filter(|_| here.len() < left.len()).map(|record| record.0.clone());
        self.book.keep(next.as_ref().map(|_| survey));
        Ok(Page { records, next })
    }

    async fn survey(&self) -> Result<Survey, TargetError> {
        let select = Select { table: SOURCES, query: self.source_rows(), fields: SOURCE_FIELDS };
        let mut marked: BTreeSet<RecordId> = BTreeSet::new();
        self.api.each_page(&select, |rows| marked.extend(self.learn(&rows))).await?;
        let is_told = |record: &RecordId| self.book.mark(record).is_some_and(|mark| !mark.is_scaffold);
        let records: Vec<RecordId> = marked.into_iter().filter(is_told).collect();
        let edges = match self.edges_between(&records).await {
            Ok(edges) => edges,
            // What the user may not read is not nothing: then no record tells of its edges.
            Err(error @ (TargetError::Forbidden { .. } | TargetError::Rejected { .. })) => {
                tracing::warn!(target.name = %self.api.target(), %error, "Relationships cannot be read: those that people remove are not noticed");
                None
            }
            Err(error) => return Err(error),
        };
        Ok(Survey { records, edges })
    }

    /// The edges of ours between these records; `None` where the instance notes of no relation at all that it is ours.
    async fn edges_between(&self, records: &[RecordId]) -> Result<Option<HashMap<usize, Vec<Edge>>>, TargetError> {
        let mut ours: HashSet<String> = HashSet::new();
        let select = Select {
            table: "sys_rel_source",
            query: Query::all().equals("name", &self.api.source),
            fields: &["sys_id", "name", "target_sys_id"],
        };
        let take = |rows: Vec<Row>| {
            let rows = rows.into_iter().filter(|row| row.get("name") == Some(&self.api.source));
            ours.extend(rows.filter_map(|mut row| row.remove("target_sys_id")));
        };
        self.api.each_page(&select, take).await?;
        if ours.is_empty() {
            // Nearly every record hangs on another by a relation of ours: without one row there is nothing to tell them by, which is not that there are none.
            return Ok(None);
        }
        let mut edges: HashMap<usize, Vec<Edge>> = HashMap::new();
        let places: HashMap<&str, usize> = records.iter().enumerate().map(|(place, record)| (record.0.as_str(), place)).collect();
        let kinds: Vec<Vec<Kind>> = records.iter().map(|record| self.kinds(record, None)).collect();
        let mut meanings: HashMap<Between, Option<(RelationType, EdgeParent)>> = HashMap::new();
        let fields = ["sys_id", "parent", "child", "type.name", "parent.sys_class_name", "child.sys_class_name"];
        let mut take = |row: &Row| {
            let (parent, child) = (row.get("parent")?, row.get("child")?);
            let (parent_place, child_place) = (*places.get(parent.as_str())?, *places.get(child.as_str())?);
            ours.get(row.get("sys_id")?)?;
            let kinds = |place: usize, class: &str| {
                let known = kinds.get(place).filter(|kinds| !kinds.is_empty()).cloned();
                known.unwrap_or_else(|| row.get(class).map(|class| self.mapping.kinds_of(class).collect()).unwrap_or_default())
            };
            let between =
                (kinds(parent_place, "parent.sys_class_name"), kinds(child_place, "child.sys_class_name"), row.get("type.name")?.clone());
            let meaning =
                meanings.entry(between).or_insert_with_key(|(parents, children, kind)| self.mapping.edge_as(kind, parents, children));
            let (relation, side) = (*meaning)?;
            let (from, to) = if side == EdgeParent::From { (parent_place, child_place) } else { (child_place, parent_place) };
            edges.entry(from).or_default().push(Edge { relation, to });
            Some(())
        };
        let by_record = lists(records.iter().map(|record| record.0.as_str()));
        let by_record = by_record.into_iter().map(|list| Query::all().any_of("parent", list.iter().copied())).collect();
        let mut queries = self.or_all("cmdb_rel_ci", by_record).await;
        if queries.is_empty() {
            // That there are none is for the table to say: a count may be of what the user may see.
            queries.push(Query::all());
        }
        for query in queries {
            let select = Select { table: "cmdb_rel_ci", query, fields: &fields };
            self.api.each_page(&select, |rows| rows.iter().for_each(|row| _ = take(row))).await?;
        }
        Ok(Some(edges))
    }

    /// The kinds that a record of ours may be of: by the class that we wrote, or else by the one that it is in.
    fn kinds(&self, record: &RecordId, class: Option<&str>) -> Vec<Kind> {
        let written = self.book.mark(record).map(|mark| mark.class).unwrap_or_default();
        let kinds: Vec<Kind> = self.mapping.kinds_of(&written).collect();
        if kinds.is_empty() { class.into_iter().flat_map(|class| self.mapping.kinds_of(class)).collect() } else { kinds }
    }

    /// What a record tells of its edges; `None` where nothing is known of them, or where nobody knows any more what kind of record it is.
    fn edges_of(&self, survey: &Survey, record: &FoundRecord) -> Option<FoundEdges> {
        let edges = survey.edges.as_ref()?;
        let place = survey.records.binary_search(&record.id).ok()?;
        if self.kinds(&record.id, Some(&record.class)).is_empty() {
            return None;
        }
        let edges = edges.get(&place).into_iter().flatten();
        let told = edges.filter_map(|edge| Some(((edge.relation, self.book.mark(survey.records.get(edge.to)?)?.key), None)));
        Some(told.collect())
    }
}
