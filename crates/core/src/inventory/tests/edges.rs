//! Edges, over runs.

use super::*;

#[test]
fn edges_that_nobody_looked_for_stay() {
    let mut estate = Estate::default();
    let (from, to) = (key(&instances(), "i-1"), key(&instances(), "i-2"));
    let both = || [machine(json!({})), Resource { key: to.clone(), ..machine(json!({})) }];
    let relation = |to: &Key, port: Option<u16>| {
        let attributes = port.map(|port| ("port".to_owned(), json!(port))).into_iter().collect();
        crate::source::facts::edge(&from, RelationType::RoutesTo, to.clone(), attributes)
    };
    let _ = take(&mut estate, &pull([(instances(), Outcome::Complete)], both(), [relation(&to, Some(80))]), 1);
    let unread = |relations: Vec<Relation>| {
        let mut read = pull([(instances(), Outcome::Complete)], both(), relations);
        read.unread_edges.insert(from.clone(), [RelationType::RoutesTo].into());
        read
    };
    let _ = take(&mut estate, &unread(vec![]), 2);
    assert_eq!(estate.edges.len(), 1);
    let _ = take(&mut estate, &unread(vec![relation(&to, None)]), 3);
    assert_eq!(estate.edges.values().next().map(|edge| json!(edge.attributes)), Some(json!({"port": 80})));
    // Another type was looked for.
    let mut read = pull([(instances(), Outcome::Complete)], both(), []);
    read.unread_edges.insert(from.clone(), [RelationType::ProtectedBy].into());
    let _ = take(&mut estate, &read, 4);
    assert!(estate.edges.is_empty());
}

/// An edge seen complete, then a pull without it: whether it stays.
#[track_caller]
fn check_edge(edge: &Relation, first: &[Resource], second: &Pull, stays: bool) {
    let mut estate = Estate::default();
    let receipts = second.receipts.iter().map(|(scope, _)| (scope.clone(), Outcome::Complete));
    let _ = take(&mut estate, &pull(receipts, first.to_vec(), [edge.clone()]), 1);
    let _ = take(&mut estate, second, 2);
    assert_eq!(estate.edges.contains_key(&edge.id()), stays);
    let removals = estate.dirty.journal.iter().filter(|entry| entry.entry == JournalKind::Related).count();
    assert_eq!(removals > 0, !stays);
}

#[test]
fn an_edge_goes_only_with_its_proof() {
    use Outcome::{Complete, Denied, Truncated};
    let groups = scope(A, HERE, Kind::ScalingGroup);
    let (member, group) = (machine(json!({})), resource(&groups, "g"));
    let mut dead = member.clone();
    dead.state = Some("terminated".to_owned());
    let both = [member.clone(), group.clone()];
    let scopes = |instance, group| [(instances(), instance), (groups.clone(), group)];

    let membership = relation(RelationType::MemberOf, &member.key, &group.key);
    check_edge(&membership, &both, &pull(scopes(Complete, Complete), both.clone(), []), false);
    check_edge(&membership, &both, &pull(scopes(Truncated, Complete), both.clone(), []), false);
    check_edge(&membership, &both, &pull(scopes(Complete, Truncated), both.clone(), []), true);
    check_edge(&membership, &both, &pull(scopes(Complete, Denied), [member.clone()], []), true);
    check_edge(&membership, &both, &pull(scopes(Complete, Complete), [member.clone()], []), true);
    check_edge(&membership, &both, &pull(scopes(Complete, Complete), [dead, group.clone()], []), true);
    check_edge(&membership, &both, &pull(scopes(Complete, Complete), both.clone(), [membership.clone()]), true);

    let unknown = relation(RelationType::AttachedTo, &key(&scope(A, HERE, Kind::Volume), "v"), &member.key);
    check_edge(&unknown, &both, &pull(scopes(Complete, Complete), both.clone(), []), true);
}

#[test]
fn edges_are_journalled_under_both_ends() {
    let groups = scope(A, HERE, Kind::ScalingGroup);
    let (member, group) = (machine(json!({})), resource(&groups, "g"));
    let receipts = [(instances(), Outcome::Complete), (groups, Outcome::Complete)];
    let edge = relation(RelationType::MemberOf, &member.key, &group.key);
    let mut estate = Estate::default();
    let _ = take(&mut estate, &pull(receipts.clone(), [member.clone(), group.clone()], []), 1);
    let _ = take(&mut estate, &pull(receipts, [member.clone(), group.clone()], [edge]), 2);
    let entries: Vec<_> = estate.dirty.journal.iter().map(|e| (e.key.clone(), e.fields.keys().next().cloned())).collect();
    assert_eq!(
        entries,
        [
            (group.key.clone(), Some(format!("member_of from {}", member.key))),
            (member.key.clone(), Some(format!("member_of to {}", group.key))),
        ]
    );
}
