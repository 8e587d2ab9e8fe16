//! Writing relationships, by what is posted with an asset.

use crate::{
    call::Call, parts::RelationshipWrites, post::note_unknown, reply::ApiError, settings::AddExisting, store::Relationship, value::Members,
};

/// Where the other end is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Side {
    Parent,
    Child,
    Sibling,
}

impl Side {
    const ALL: [(&'static str, Self); 3] = [("parent", Self::Parent), ("child", Self::Child), ("sibling", Self::Sibling)];

    /// Parent and child.
    fn pair(self, id: i64, other: i64) -> (i64, i64) {
        match self {
            Self::Parent => (other, id),
            Self::Child | Self::Sibling => (id, other),
        }
    }
}

/// Carries out what is posted about relationships; whether anything changed.
pub(crate) fn write(call: &mut Call<'_>, members: &Members<'_>, id: i64, is_new: bool) -> Result<bool, ApiError> {
    let mut changed = is_new && single(call, members, id)?;
    match call.tenant.version.relationships {
        RelationshipWrites::Ignored => {}
        RelationshipWrites::Replace => {
            for (name, side) in [("parent_assets", Side::Parent), ("child_assets", Side::Child), ("sibling_assets", Side::Sibling)] {
                if let Some(list) = members.list(name)? {
                    changed |= replace(call, id, side, &list, name)?;
                }
            }
        }
        RelationshipWrites::Lists => {
            // In this order, so that a call can take one away and put another in its place.
            for verb in ["delete", "edit", "add"] {
                for (word, side) in Side::ALL {
                    let name = format!("{verb}_{word}_assets");
                    for element in members.list(&name)?.unwrap_or_default() {
                        note_unknown(call, &element, "Device_List", &format!("{name}."));
                        changed |= one(call, verb, id, side, &element)?;
                    }
                }
            }
        }
    }
    Ok(changed)
}

/// `parent_id` or `child_id`, when an asset is made.
fn single(call: &mut Call<'_>, members: &Members<'_>, id: i64) -> Result<bool, ApiError> {
    let relationship_id = members.int("relationship_id")?.unwrap_or_default();
    let is_sibling = members.flag("sibling_id")?.unwrap_or_default();
    let mut changed = false;
    for (name, side) in [("parent_id", Side::Parent), ("child_id", Side::Child)] {
        if let Some(other) = members.int(name)?.filter(|other| *other > 0) {
            let (parent, child) = side.pair(id, other);
            changed |= put(call, Relationship { parent, child, relationship_id, is_sibling })?;
        }
    }
    Ok(changed)
}

fn other_end(element: &Members<'_>) -> Result<i64, ApiError> {
    element.int("id")?.filter(|other| *other > 0).ok_or_else(|| ApiError::refused("Invalid related asset"))
}

fn one(call: &mut Call<'_>, verb: &str, id: i64, side: Side, element: &Members<'_>) -> Result<bool, ApiError> {
    let other = other_end(element)?;
    let (mut parent, mut child) = side.pair(id, other);
    // Of two peers either may have been made first.
    let is_there = |parent, child| call.tenant.store.relationship(parent, child).is_some_and(|known| known.is_sibling);
    if side == Side::Sibling && is_there(child, parent) {
        (parent, child) = (child, parent);
    }
    let known = call.tenant.store.relationship(parent, child).copied();
    let relationship_id = element.int("relationship_id")?;
    let wanted = Relationship {
        parent,
        child,
        relationship_id: relationship_id.or(known.map(|known| known.relationship_id)).unwrap_or_default(),
        is_sibling: side == Side::Sibling,
    };
    match (verb, known) {
        ("delete", Some(_)) => {
            call.tenant.store.unrelate(parent, child);
            Ok(true)
        }
        ("edit", Some(_)) | ("add", None) => put(call, wanted),
        ("add", Some(_)) if call.settings.add_existing == AddExisting::Change => put(call, wanted),
        _ => Ok(false),
    }
}

/// Makes the list all that there is on this side.
fn replace(call: &mut Call<'_>, id: i64, side: Side, list: &[Members<'_>], name: &str) -> Result<bool, ApiError> {
    let is_sibling = side == Side::Sibling;
    let mut wanted = Vec::new();
    for element in list {
        note_unknown(call, element, "Device_List", &format!("{name}."));
        let (parent, child) = side.pair(id, other_end(element)?);
        let relationship_id = element.int("relationship_id")?.unwrap_or_default();
        wanted.push(Relationship { parent, child, relationship_id, is_sibling });
    }
    let store = &mut call.tenant.store;
    let there: Vec<Relationship> = match side {
        Side::Parent => store.above(id).filter(|known| !known.is_sibling).copied().collect(),
        Side::Child => store.below(id).filter(|known| !known.is_sibling).copied().collect(),
        Side::Sibling => store.below(id).filter(|known| known.is_sibling).copied().collect(),
    };
    let mut changed = false;
    for known in there {
        if !wanted.iter().any(|wanted| (wanted.parent, wanted.child) == (known.parent, known.child)) {
            store.unrelate(known.parent, known.child);
            changed = true;
        }
    }
    for relationship in wanted {
        changed |= put(call, relationship)?;
    }
    Ok(changed)
}

/// Stores a relationship if it may be; whether anything changed.
fn put(call: &mut Call<'_>, relationship: Relationship) -> Result<bool, ApiError> {
    let Relationship { parent, child, relationship_id, .. } = relationship;
    if parent == child {
        return Err(ApiError::refused("An asset cannot be related to itself"));
    }
    let tenant = &*call.tenant;
    let type_of = |id: i64| tenant.get(id).filter(|asset| call.caller.sees(asset.assettype_id)).map(|asset| asset.assettype_id);
    let (Some(upstream), Some(downstream)) = (type_of(parent), type_of(child)) else {
        return Err(ApiError::refused("Invalid related asset"));
    };
    let codes = tenant.lookups.get(&tenant.relationship_lookup).map(|lookup| lookup.codes.as_slice()).unwrap_or_default();
    if relationship_id != 0 && !codes.iter().any(|(id, _)| *id == relationship_id) {
        return Err(ApiError::refused("Invalid relationship"));
    }
    let fits = |wanted: i64, found: i64| wanted == 0 || wanted == found;
    let restrictions = &tenant.restrictions;
    let is_restricted = restrictions.iter().any(|rule| rule.upstream_type == upstream || rule.downstream_type == downstream);
    let is_allowed = restrictions.iter().any(|rule| {
        fits(rule.upstream_type, upstream) && fits(rule.downstream_type, downstream) && fits(rule.relationship_id, relationship_id)
    });
    if is_restricted && !is_allowed {
        return Err(ApiError::refused("This relationship is not allowed between these asset types"));
    }
    if tenant.store.relationship(parent, child) == Some(&relationship) {
        return Ok(false);
    }
    call.tenant.store.relate(relationship);
    Ok(true)
}
