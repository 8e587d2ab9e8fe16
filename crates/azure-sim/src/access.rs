//! Who may read what.

use crate::{
    error::ApiError,
    ids,
    world::{Application, Assignment, Subscription, World},
};

/// A principal that is logged in.
#[derive(Clone, Debug)]
pub(crate) struct Caller {
    pub(crate) client: String,
    pub(crate) application: Application,
}

/// How much of a subscription an action reaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reach {
    /// All of it.
    All,
    /// Some groups or resources.
    Some,
    None,
}

impl Caller {
    /// Whether the principal may do this with the resource, group or subscription of this id.
    pub(crate) fn may(&self, world: &World, action: &str, id: &str) -> bool {
        self.application.assignments.iter().any(|assignment| gives(assignment, action) && covers(world, &assignment.scope, id))
    }

    /// How much of a subscription an action reaches.
    pub(crate) fn reach(&self, world: &World, action: &str, subscription: &Subscription) -> Reach {
        let id = format!("/subscriptions/{}", subscription.id);
        if self.may(world, action, &id) {
            return Reach::All;
        }
        let below = |scope: &str| is_within(scope, &id);
        if self.application.assignments.iter().any(|assignment| gives(assignment, action) && below(&assignment.scope)) {
            return Reach::Some;
        }
        Reach::None
    }

    /// Whether the principal has any role at the subscription, above or below it: only then it is listed.
    pub(crate) fn sees(&self, world: &World, subscription: &Subscription) -> bool {
        let id = format!("/subscriptions/{}", subscription.id);
        self.application.assignments.iter().any(|assignment| covers(world, &assignment.scope, &id) || is_within(&assignment.scope, &id))
    }

    /// Whether the principal may read the subscription itself, by a role at it, above or below it. Whether Azure wants the action for this is not documented.
    pub(crate) fn reads(&self, world: &World, subscription: &Subscription) -> bool {
        self.reach(world, "Microsoft.Resources/subscriptions/read", subscription) != Reach::None
    }

    /// 403 for an action at a scope.
    pub(crate) fn denied(&self, action: &str, scope: &str) -> ApiError {
        ApiError::denied(&self.client, &self.application.object_id, action, scope)
    }
}

pub(crate) fn gives(assignment: &Assignment, action: &str) -> bool {
    let fits = |patterns: &[String]| patterns.iter().any(|pattern| matches(pattern, action));
    fits(&assignment.actions) && !fits(&assignment.not_actions)
}

/// Whether a pattern with stars fits, in whatever case.
fn matches(pattern: &str, action: &str) -> bool {
    let (pattern, action) = (pattern.to_ascii_lowercase(), action.to_ascii_lowercase());
    let Some((head, tail)) = pattern.split_once('*') else { return pattern == action };
    let Some(rest) = action.strip_prefix(head) else { return false };
    if tail.is_empty() {
        return true;
    }
    (0..=rest.len()).any(|at| rest.get(at..).is_some_and(|rest| matches(tail, rest)))
}

/// Whether what is at the scope is at this id too.
pub(crate) fn covers(world: &World, scope: &str, id: &str) -> bool {
    if scope == "/" {
        return true;
    }
    let lower = scope.to_ascii_lowercase();
    match lower.strip_prefix("/providers/microsoft.management/managementgroups/") {
        Some(group) => world.find(ids::subscription(id)).is_some_and(|subscription| is_below_group(world, subscription, group)),
        None => is_within(id, scope),
    }
}

/// Whether the subscription is in a management group, or in one below it.
pub(crate) fn is_below_group(world: &World, subscription: &Subscription, group: &str) -> bool {
    group_line(world, subscription.management_group.as_deref()).iter().any(|name| name.eq_ignore_ascii_case(group))
}

/// A management group and those above it, up to the root.
pub(crate) fn group_line<'a>(world: &'a World, group: Option<&'a str>) -> Vec<&'a str> {
    let mut line = Vec::new();
    let mut at = group;
    while let Some(name) = at.filter(|name| !line.contains(name)) {
        line.push(name);
        at = world.management_groups.get(name).and_then(|group| group.parent.as_deref());
    }
    line.push(&world.tenant);
    line
}

/// Whether the id is the scope or below it.
fn is_within(id: &str, scope: &str) -> bool {
    let (id, scope) = (ids::fold(id), ids::fold(scope));
    id.strip_prefix(&scope).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stars_stand_for_anything() {
        for (pattern, fits) in [
            ("*", true),
            ("*/read", true),
            ("Microsoft.Compute/*/read", true),
            ("microsoft.compute/DISKS/read", true),
            ("Microsoft.Network/*", false),
            ("*/write", false),
            ("Microsoft.Compute/disks", false),
        ] {
            assert_eq!(matches(pattern, "Microsoft.Compute/disks/read"), fits, "{pattern}");
        }
    }

    #[test]
    fn roles_reach_down() {
        let mut world = World::new();
        world.management_group("top", None);
        world.management_group("inner", Some("top"));
        world.subscription("s").management_group = Some("inner".to_owned());
        let id = world.subscription("s").id.clone();
        let vm = format!("/subscriptions/{id}/resourceGroups/Rg/providers/Microsoft.Compute/virtualMachines/a");
        for (scope, reaches) in [
            ("/", true),
            ("/providers/Microsoft.Management/managementGroups/top", true),
            ("/providers/Microsoft.Management/managementGroups/other", false),
            (&format!("/subscriptions/{id}"), true),
            (&format!("/subscriptions/{id}/resourcegroups/RG"), true),
            (&format!("/subscriptions/{id}/resourceGroups/R"), false),
            (&vm, true),
        ] {
            assert_eq!(covers(&world, scope, &vm), reaches, "{scope}");
        }
        let application = Application {
            assignments: vec![Assignment::reader(&format!("/subscriptions/{id}/resourceGroups/rg"))],
            ..Application::default()
        };
        let caller = Caller { client: "c".to_owned(), application };
        let subscription = world.find(&id);
        assert_eq!(subscription.map(|found| caller.reach(&world, "Microsoft.Compute/disks/read", found)), Some(Reach::Some));
        assert_eq!(subscription.map(|found| caller.reach(&world, "Microsoft.Compute/disks/write", found)), Some(Reach::None));
    }
}
