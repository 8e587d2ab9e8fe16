//! An expression bound to a site: names are looked up once, then objects are asked.

use std::{cmp::Ordering, collections::HashSet};

use dewpoint_sim_kit::{clock::later, hash::mix};
use jiff::{SignedDuration, Timestamp};

use super::{
    Asker,
    parse::{self, Direction, Expression, Operand, Operator},
};
use crate::{
    object::{Object, fold},
    site::{Attribute, Form, Kind, Site},
    value,
};

/// What of an object is asked.
#[derive(Clone, Debug)]
enum Field<'a> {
    Type,
    TypeId,
    Schema,
    SchemaId,
    ObjectId,
    Key,
    Label,
    Created,
    Updated,
    Any,
    Attributes(Vec<&'a Attribute>),
}

#[derive(Clone, Debug)]
enum Bound<'a> {
    And(Vec<Bound<'a>>),
    Or(Vec<Bound<'a>>),
    Not(Box<Bound<'a>>),
    Test(Test<'a>),
    Having { is_negated: bool, direction: Direction, inner: Option<Box<Bound<'a>>> },
}

#[derive(Clone, Debug)]
struct Test<'a> {
    path: Vec<Field<'a>>,
    operator: Operator,
    is_negated: bool,
    /// As they were sent.
    values: Vec<String>,
    /// The same without case.
    folded: HashSet<String>,
}

/// A query over a site, ready to run.
pub(crate) struct Search<'a> {
    site: &'a Site,
    asker: &'a Asker<'a>,
    expression: Option<Bound<'a>>,
    order: Vec<(Vec<Field<'a>>, bool)>,
}

impl<'a> Search<'a> {
    /// Reads a query and looks its names up.
    ///
    /// # Errors
    /// When it is none, or names something that is not there, with the reason.
    pub(crate) fn new(site: &'a Site, asker: &'a Asker<'a>, text: &str) -> Result<Self, String> {
        let query = parse::parse(text)?;
        let binder = Binder { site, asker };
        let expression = query.expression.as_ref().map(|expression| binder.bind(expression)).transpose()?;
        let order = query.order.iter().map(|(path, is_descending)| Ok((binder.path(path)?, *is_descending)));
        let order = order.collect::<Result<_, String>>()?;
        Ok(Self { site, asker, expression, order })
    }

    /// Whether an object is among those that the query finds.
    pub(crate) fn finds(&self, object: &Object) -> bool {
        self.is_seen(object) && self.expression.as_ref().is_none_or(|expression| self.holds(expression, object))
    }

    /// All that it finds, in order.
    pub(crate) fn run(&self) -> Vec<&'a Object> {
        let candidates = self.expression.as_ref().and_then(|expression| self.candidates(expression));
        let late = &self.asker.late;
        let mut found: Vec<&Object> = match candidates {
            None => self.site.store.all().filter(|object| !late.contains_key(&object.id)).filter(|object| self.finds(object)).collect(),
            Some(ids) => {
                let mut ids = ids;
                ids.sort_unstable();
                ids.dedup();
                ids.into_iter()
                    .filter(|id| !late.contains_key(id))
                    .filter_map(|id| self.site.store.get(id))
                    .filter(|object| self.finds(object))
                    .collect()
            }
        };
        found.extend(late.values().flatten().copied().filter(|object| self.finds(object)));
        self.sort(&mut found);
        found
    }

    fn sort(&self, found: &mut [&'a Object]) {
        let is_shuffled = self.asker.settings.unordered_pages;
        let chance = self.asker.chance;
        let rest = |object: &Object| if is_shuffled { mix(chance ^ mix(object.id)) } else { object.id };
        match self.order.as_slice() {
            [] => found.sort_by_cached_key(|object| rest(object)),
            // What most ask for, and no two objects share.
            [(path, is_descending)] if matches!(path.as_slice(), [Field::Key]) => {
                found.sort_by_key(|object| (key_prefix(object), object.id));
                if *is_descending {
                    found.reverse();
                }
            }
            order => found.sort_by_cached_key(|object| {
                let keys = order.iter().map(|(path, is_descending)| Directed(self.sort_key(path, object), *is_descending));
                (keys.collect::<Vec<_>>(), rest(object))
            }),
        }
    }

    fn sort_key(&self, path: &[Field<'a>], object: &Object) -> Sort {
        if let [Field::Key] = path {
            return Sort::Text(key_prefix(object).to_owned(), object.id);
        }
        let mut first: Option<String> = None;
        self.values(path, object, &mut |value, _| {
            first = Some(fold(value).into_owned());
            true
        });
        match first {
            None => Sort::Nothing,
            Some(text) => match text.parse::<f64>() {
                Ok(number) if number.is_finite() => Sort::Number(number),
                _ => Sort::Text(text, 0),
            },
        }
    }

    fn is_seen(&self, object: &Object) -> bool {
        let schema = self.site.types.get(&object.type_id).map(|object_type| object_type.schema_id);
        !object.archived && self.asker.schemas.as_ref().is_none_or(|schemas| schema.is_some_and(|schema| schemas.contains(&schema)))
    }

    /// An object as searches see it.
    fn seen(&self, id: u64) -> Option<&'a Object> {
        match self.asker.late.get(&id) {
            Some(late) => *late,
            None => self.site.store.get(id),
        }
    }

    fn holds(&self, expression: &Bound<'a>, object: &Object) -> bool {
        match expression {
            Bound::And(terms) => terms.iter().all(|term| self.holds(term, object)),
            Bound::Or(terms) => terms.iter().any(|term| self.holds(term, object)),
            Bound::Not(term) => !self.holds(term, object),
            Bound::Test(test) => self.passes(test, object),
            Bound::Having { is_negated, direction, inner } => {
                let meets = |id: u64| self.seen(id).is_some_and(|other| inner.as_ref().is_none_or(|inner| self.holds(inner, other)));
                let has = match direction {
                    Direction::Inbound => self.site.store.referring_to(object.id).any(|(source, _)| meets(source)),
                    Direction::Outbound => object
                        .values
                        .iter()
                        .filter(|(attribute, _)| self.site.attributes.get(attribute).is_some_and(Attribute::is_reference))
                        .flat_map(|(_, values)| values)
                        .any(|value| value.parse().is_ok_and(meets)),
                };
                has != *is_negated
            }
        }
    }

    fn passes(&self, test: &Test<'a>, object: &Object) -> bool {
        let mut has_any = false;
        let mut is_met = false;
        self.values(&test.path, object, &mut |value, attribute| {
            has_any = true;
            is_met |= test.meets(value, attribute);
            // The first that is met decides.
            is_met || test.operator == Operator::Empty
        });
        match (test.operator, test.is_negated) {
            (Operator::Empty, is_negated) => has_any == is_negated && self.has_field(&test.path, object),
            (_, false) => is_met,
            // As elsewhere in Jira, what has no value is not unequal either.
            (_, true) => has_any && !is_met,
        }
    }

    /// Whether the object's type has the attribute at all.
    fn has_field(&self, path: &[Field<'a>], object: &Object) -> bool {
        match path.first() {
            Some(Field::Attributes(attributes)) => {
                let lineage: Vec<u64> = self.site.lineage(object.type_id).collect();
                attributes.iter().any(|attribute| lineage.contains(&attribute.type_id))
            }
            _ => true,
        }
    }

    /// Gives everything that stands in a field to `look`, in each form that a query can name it by, until it says that this was enough.
    fn values(&self, path: &[Field<'a>], object: &Object, look: &mut dyn FnMut(&str, Option<&Attribute>) -> bool) -> bool {
        let Some((field, rest)) = path.split_first() else { return false };
        if !rest.is_empty() {
            let Field::Attributes(attributes) = field else { return false };
            return attributes.iter().filter(|attribute| attribute.is_reference()).any(|attribute| {
                let ids = object.values(attribute.id).iter().filter_map(|value| value.parse().ok());
                ids.filter_map(|id| self.seen(id)).any(|other| self.values(rest, other, look))
            });
        }
        let object_type = || self.site.types.get(&object.type_id);
        let schema = || object_type().and_then(|object_type| self.site.schemas.get(&object_type.schema_id));
        match field {
            Field::Type => object_type().is_some_and(|object_type| look(&object_type.name, None)),
            Field::TypeId => look(&object.type_id.to_string(), None),
            Field::Schema => schema().is_some_and(|schema| look(&schema.name, None)),
            Field::SchemaId => schema().is_some_and(|schema| look(&schema.id.to_string(), None)),
            Field::ObjectId => look(&object.id.to_string(), None),
            Field::Key => look(&object.key, None),
            Field::Label => look(&self.site.label(object), None),
            Field::Created => look(&value::stamp(object.created), None),
            Field::Updated => look(&value::stamp(object.updated), None),
            Field::Any => {
                let attributes = object.values.keys().filter_map(|id| self.site.attributes.get(id));
                look(&object.key, None) || attributes.into_iter().any(|attribute| self.forms(object, attribute, look))
            }
            Field::Attributes(attributes) => attributes.iter().any(|attribute| self.forms(object, attribute, look)),
        }
    }

    fn forms(&self, object: &Object, attribute: &Attribute, look: &mut dyn FnMut(&str, Option<&Attribute>) -> bool) -> bool {
        object.values(attribute.id).iter().any(|stored| match &attribute.kind {
            Kind::Default(_) | Kind::Group => look(stored, Some(attribute)),
            Kind::Reference { .. } => {
                let other = stored.parse().ok().and_then(|id| self.seen(id));
                other.is_some_and(|other| look(&self.site.label(other), Some(attribute)) || look(&other.key, Some(attribute)))
            }
            Kind::Status { .. } => {
                let status = stored.parse().ok().and_then(|id: u64| self.site.statuses.get(&id));
                status.is_some_and(|status| look(&status.name, Some(attribute))) || look(stored, Some(attribute))
            }
            Kind::User { .. } => {
                let user = self.site.users.iter().find(|user| user.id == *stored);
                user.is_some_and(|user| look(&user.display_name, Some(attribute)) || look(&user.name, Some(attribute)))
                    || look(stored, Some(attribute))
            }
        })
    }

    /// Objects that may meet an expression, by an index; `None` where all may.
    fn candidates(&self, expression: &Bound<'a>) -> Option<Vec<u64>> {
        match expression {
            Bound::And(terms) => {
                let best = terms.iter().filter_map(|term| Some((self.estimate(term)?, term))).min_by_key(|(count, _)| *count);
                self.candidates(best?.1)
            }
            Bound::Or(terms) => {
                let all: Option<Vec<Vec<u64>>> = terms.iter().map(|term| self.candidates(term)).collect();
                all.map(|lists| lists.into_iter().flatten().collect())
            }
            Bound::Test(test) => self.indexed(test),
            Bound::Not(_) | Bound::Having { .. } => None,
        }
    }

    /// How many candidates there would be.
    fn estimate(&self, expression: &Bound<'a>) -> Option<usize> {
        match expression {
            Bound::And(terms) => terms.iter().filter_map(|term| self.estimate(term)).min(),
            Bound::Or(terms) => terms.iter().map(|term| self.estimate(term)).sum(),
            Bound::Test(test) => match test.path.as_slice() {
                [Field::Type | Field::TypeId | Field::Schema | Field::SchemaId] => {
                    Some(self.types(test)?.into_iter().map(|type_id| self.site.store.count_of_type(type_id)).sum())
                }
                [Field::Attributes(attributes)] if test.is_exact() && attributes.iter().all(|attribute| is_text(attribute)) => {
                    let pairs = attributes.iter().flat_map(|attribute| test.values.iter().map(|value| (attribute.id, value)));
                    pairs.map(|(attribute, value)| self.site.store.count_having(attribute, value)).sum()
                }
                _ => self.indexed(test).map(|ids| ids.len()),
            },
            Bound::Not(_) | Bound::Having { .. } => None,
        }
    }

    fn indexed(&self, test: &Test<'a>) -> Option<Vec<u64>> {
        if !test.is_exact() {
            return None;
        }
        let site = self.site;
        // A label that refers to something is called by what it refers to.
        let labels = || -> Option<Vec<u64>> {
            let mut ids: Vec<u64> = site.types.keys().filter_map(|type_id| Some(site.label_of(*type_id)?.id)).collect();
            ids.sort_unstable();
            ids.dedup();
            let are_texts =
                ids.iter().all(|id| site.attributes.get(id).is_some_and(|attribute| is_text(attribute) && attribute.system.is_none()));
            are_texts.then_some(ids)
        };
        let labelled = |value: &String| -> Option<Vec<u64>> {
            let lists: Option<Vec<Vec<u64>>> = labels()?.into_iter().map(|id| site.store.having(id, value)).collect();
            lists.map(|lists| lists.into_iter().flatten().collect())
        };
        match test.path.as_slice() {
            [Field::Type | Field::TypeId | Field::Schema | Field::SchemaId] => {
                Some(self.types(test)?.into_iter().flat_map(|type_id| site.store.of_type(type_id)).collect())
            }
            [Field::Key] => Some(test.values.iter().filter_map(|value| site.find(value)).map(|object| object.id).collect()),
            [Field::ObjectId] => Some(test.values.iter().filter_map(|value| value.parse().ok()).collect()),
            // An object whose label is empty is called by its key.
            [Field::Label] => {
                let lists: Option<Vec<Vec<u64>>> = test
                    .values
                    .iter()
                    .map(|value| {
                        let mut ids = labelled(value)?;
                        ids.extend(site.find(value).map(|object| object.id));
                        Some(ids)
                    })
                    .collect();
                lists.map(|lists| lists.into_iter().flatten().collect())
            }
            [Field::Attributes(attributes)] => {
                let mut found = Vec::new();
                for attribute in attributes {
                    for value in &test.values {
                        match &attribute.kind {
                            Kind::Default(_) | Kind::Group => found.extend(site.store.having(attribute.id, value)?),
                            Kind::Status { .. } => {
                                let same = |name: &str| fold(name) == fold(value);
                                let statuses =
                                    site.statuses.values().filter(|status| same(&status.name) || status.id.to_string() == *value);
                                for status in statuses {
                                    found.extend(site.store.having(attribute.id, &status.id.to_string())?);
                                }
                            }
                            Kind::User { .. } => return None,
                            Kind::Reference { .. } => {
                                let mut targets = labelled(value)?;
                                targets.extend(site.find(value).map(|object| object.id));
                                // What a search sees late may have been called so.
                                targets.extend(self.asker.late.keys());
                                for target in targets {
                                    let sources = site.store.referring_to(target).filter(|(_, by)| *by == attribute.id);
                                    found.extend(sources.map(|(source, _)| source));
                                }
                            }
                        }
                    }
                }
                Some(found)
            }
            _ => None,
        }
    }

    /// The types whose objects a test about types or schemas finds.
    fn types(&self, test: &Test<'a>) -> Option<Vec<u64>> {
        if !test.is_exact() {
            return None;
        }
        let types = self.site.types.values().filter(|object_type| {
            let schema = self.site.schemas.get(&object_type.schema_id);
            match test.path.first() {
                Some(Field::Type) => test.meets(&object_type.name, None),
                Some(Field::TypeId) => test.meets(&object_type.id.to_string(), None),
                Some(Field::Schema) => schema.is_some_and(|schema| test.meets(&schema.name, None)),
                _ => test.meets(&object_type.schema_id.to_string(), None),
            }
        });
        Some(types.map(|object_type| object_type.id).collect())
    }
}

fn is_text(attribute: &Attribute) -> bool {
    matches!(attribute.kind, Kind::Default(_) | Kind::Group)
}

fn key_prefix(object: &Object) -> &str {
    object.key.rsplit_once('-').map_or("", |(prefix, _)| prefix)
}

/// A value to order by. What is empty comes last.
#[derive(Clone, Debug)]
enum Sort {
    Number(f64),
    Text(String, u64),
    Nothing,
}

/// The same, perhaps the other way round.
struct Directed(Sort, bool);

impl Ord for Directed {
    fn cmp(&self, other: &Self) -> Ordering {
        let order = match (&self.0, &other.0) {
            (Sort::Number(left), Sort::Number(right)) => left.total_cmp(right),
            (Sort::Text(left, left_number), Sort::Text(right, right_number)) => left.cmp(right).then(left_number.cmp(right_number)),
            (left, right) => left.rank().cmp(&right.rank()),
        };
        if self.1 { order.reverse() } else { order }
    }
}

impl PartialOrd for Directed {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Directed {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Directed {}

impl Sort {
    fn rank(&self) -> u8 {
        match self {
            Self::Number(_) => 0,
            Self::Text(..) => 1,
            Self::Nothing => 2,
        }
    }
}

impl Test<'_> {
    /// Whether it looks for certain values, so that an index helps.
    fn is_exact(&self) -> bool {
        !self.is_negated && matches!(self.operator, Operator::Equal | Operator::Same | Operator::In)
    }

    fn meets(&self, found: &str, attribute: Option<&Attribute>) -> bool {
        let first = || self.values.first().map_or("", String::as_str);
        let folded = || self.folded.iter().next().map_or("", String::as_str);
        match self.operator {
            Operator::Equal | Operator::In => self.folded.contains(fold(found).as_ref()),
            Operator::Same => found == first(),
            Operator::Like => fold(found).contains(folded()),
            Operator::StartsWith => fold(found).starts_with(folded()),
            Operator::EndsWith => fold(found).ends_with(folded()),
            Operator::Less => compare(found, first(), attribute) == Some(Ordering::Less),
            Operator::LessOrEqual => matches!(compare(found, first(), attribute), Some(Ordering::Less | Ordering::Equal)),
            Operator::Greater => compare(found, first(), attribute) == Some(Ordering::Greater),
            Operator::GreaterOrEqual => matches!(compare(found, first(), attribute), Some(Ordering::Greater | Ordering::Equal)),
            Operator::Empty => true,
        }
    }
}

fn compare(found: &str, wanted: &str, attribute: Option<&Attribute>) -> Option<Ordering> {
    if let Some(Kind::Default(Form::Integer | Form::Double)) = attribute.map(|attribute| &attribute.kind) {
        return found.parse::<f64>().ok()?.partial_cmp(&wanted.parse::<f64>().ok()?);
    }
    match (time(found), time(wanted)) {
        (Some(found), Some(wanted)) => Some(found.cmp(&wanted)),
        _ => Some(fold(found).cmp(&fold(wanted))),
    }
}

/// A date or a time.
fn time(text: &str) -> Option<Timestamp> {
    let at_midnight = || text.parse::<jiff::civil::Date>().ok()?.to_zoned(jiff::tz::TimeZone::UTC).ok().map(|zoned| zoned.timestamp());
    text.parse().ok().or_else(at_midnight)
}

/// Looks names up.
struct Binder<'a> {
    site: &'a Site,
    asker: &'a Asker<'a>,
}

impl<'a> Binder<'a> {
    fn bind(&self, expression: &Expression) -> Result<Bound<'a>, String> {
        let all = |terms: &[Expression]| terms.iter().map(|term| self.bind(term)).collect::<Result<Vec<_>, _>>();
        match expression {
            Expression::And(terms) => all(terms).map(Bound::And),
            Expression::Or(terms) => all(terms).map(Bound::Or),
            Expression::Not(term) => self.bind(term).map(|term| Bound::Not(Box::new(term))),
            Expression::Having { is_negated, direction, inner } => {
                let inner = inner.as_ref().map(|inner| self.bind(inner)).transpose()?.map(Box::new);
                Ok(Bound::Having { is_negated: *is_negated, direction: *direction, inner })
            }
            Expression::Test { path, operator, is_negated, operand } => {
                let path = self.path(path)?;
                let values = self.operand(operand, path.last())?;
                if *operator == Operator::In && values.len() > self.asker.settings.in_values_max {
                    return Err(format!("a list has more than {} values", self.asker.settings.in_values_max));
                }
                self.check_values(path.last(), *operator, &values)?;
                let folded = values.iter().map(|value| fold(value).into_owned()).collect();
                Ok(Bound::Test(Test { path, operator: *operator, is_negated: *is_negated, values, folded }))
            }
        }
    }

    fn operand(&self, operand: &Operand, field: Option<&Field<'a>>) -> Result<Vec<String>, String> {
        match operand {
            Operand::None => Ok(Vec::new()),
            Operand::Text(text) => Ok(vec![text.clone()]),
            Operand::Texts(texts) => Ok(texts.clone()),
            Operand::Now(offset) => Ok(vec![value::stamp(later(self.asker.now, SignedDuration::from_secs(*offset)))]),
            Operand::CurrentUser => Ok(vec![self.asker.user.to_owned()]),
            Operand::TypeAndBelow(name) => {
                if !matches!(field, Some(Field::Type)) {
                    return Err("objectTypeAndChildren goes with objectType".to_owned());
                }
                let named = self.types().filter(|object_type| fold(&object_type.name) == fold(name));
                let ids: Vec<u64> = named.flat_map(|object_type| self.site.with_below(object_type.id)).collect();
                if ids.is_empty() {
                    return Err(format!("there is no object type {name}"));
                }
                Ok(ids.iter().filter_map(|id| self.site.types.get(id)).map(|object_type| object_type.name.clone()).collect())
            }
        }
    }

    fn types(&self) -> impl Iterator<Item = &'a crate::site::ObjectType> {
        self.site.types.values().filter(|object_type| self.is_visible(object_type.schema_id))
    }

    fn is_visible(&self, schema: u64) -> bool {
        self.asker.schemas.as_ref().is_none_or(|schemas| schemas.contains(&schema))
    }

    /// Types and schemas that a query names have to be there.
    fn check_values(&self, field: Option<&Field<'a>>, operator: Operator, values: &[String]) -> Result<(), String> {
        if !matches!(operator, Operator::Equal | Operator::Same | Operator::In) {
            return Ok(());
        }
        let schemas = || self.site.schemas.values().filter(|schema| self.is_visible(schema.id));
        for value in values {
            let same = |text: &str| fold(text) == fold(value);
            let (is_there, what) = match field {
                Some(Field::Type) => (self.types().any(|object_type| same(&object_type.name)), "object type"),
                Some(Field::TypeId) => (self.types().any(|object_type| same(&object_type.id.to_string())), "object type"),
                Some(Field::Schema) => (schemas().any(|schema| same(&schema.name)), "object schema"),
                Some(Field::SchemaId) => (schemas().any(|schema| same(&schema.id.to_string())), "object schema"),
                _ => (true, ""),
            };
            if !is_there {
                return Err(format!("there is no {what} {value}"));
            }
        }
        Ok(())
    }

    fn path(&self, names: &[String]) -> Result<Vec<Field<'a>>, String> {
        let mut path = Vec::new();
        for (at, name) in names.iter().enumerate() {
            let field = self.field(name)?;
            if at + 1 < names.len() && !matches!(&field, Field::Attributes(attributes) if attributes.iter().any(|one| one.is_reference())) {
                return Err(format!("{name} does not refer to objects"));
            }
            path.push(field);
        }
        Ok(path)
    }

    fn field(&self, name: &str) -> Result<Field<'a>, String> {
        let keywords = [
            ("objectType", Field::Type),
            ("objectTypeId", Field::TypeId),
            ("objectSchema", Field::Schema),
            ("objectSchemaId", Field::SchemaId),
            ("objectId", Field::ObjectId),
            ("Key", Field::Key),
            ("label", Field::Label),
            ("Created", Field::Created),
            ("Updated", Field::Updated),
        ];
        for (keyword, field) in keywords {
            if name.eq_ignore_ascii_case(keyword) {
                return Ok(field);
            }
        }
        if name.eq_ignore_ascii_case("anyAttribute") && (self.asker.settings.any_attribute || !self.site.is_cloud()) {
            return Ok(Field::Any);
        }
        let is_cloud = self.site.is_cloud();
        let same = |attribute: &&Attribute| attribute.name == name || (is_cloud && fold(&attribute.name) == fold(name));
        let is_visible = |attribute: &&Attribute| {
            self.site.types.get(&attribute.type_id).is_some_and(|object_type| self.is_visible(object_type.schema_id))
        };
        let attributes: Vec<&Attribute> = self.site.attributes.values().filter(same).filter(is_visible).collect();
        if attributes.is_empty() { Err(format!("there is no attribute {name}")) } else { Ok(Field::Attributes(attributes)) }
    }
}
