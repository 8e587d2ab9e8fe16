//! Identifiers: GUIDs, resource ids and their parts.

use dewpoint_sim_kit::hash::{keyed, keyed_all};

/// A GUID, always the same for the same parts.
pub(crate) fn guid(parts: &[&str]) -> String {
    let digits = format!("{:016x}{:016x}", keyed_all(11, parts), keyed_all(12, parts));
    let part = |from: usize, to: usize| digits.get(from..to).unwrap_or_default();
    format!("{}-{}-4{}-8{}-{}", part(0, 8), part(8, 12), part(13, 16), part(17, 20), part(20, 32))
}

/// Whether a text has the form of a GUID.
pub(crate) fn is_guid(text: &str) -> bool {
    let lengths = [8, 4, 4, 4, 12];
    let parts: Vec<&str> = text.split('-').collect();
    parts.len() == lengths.len()
        && parts.iter().zip(lengths).all(|(part, length)| part.len() == length && part.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

/// The id of a resource; `kind` as `Microsoft.Compute/disks`.
pub(crate) fn resource(subscription: &str, group: &str, kind: &str, name: &str) -> String {
    format!("/subscriptions/{subscription}/resourceGroups/{group}/providers/{kind}/{name}")
}

/// What an id is kept by.
pub(crate) fn fold(id: &str) -> String {
    id.trim_end_matches('/').to_ascii_lowercase()
}

/// The last segment.
pub(crate) fn name(id: &str) -> &str {
    id.rsplit('/').next().unwrap_or_default()
}

/// The segment behind `resourceGroups`.
pub(crate) fn group(id: &str) -> &str {
    after(id, "resourcegroups").unwrap_or_default()
}

/// The segment behind `subscriptions`.
pub(crate) fn subscription(id: &str) -> &str {
    after(id, "subscriptions").unwrap_or_default()
}

fn after<'a>(id: &'a str, segment: &str) -> Option<&'a str> {
    let mut segments = id.split('/');
    segments.find(|found| found.eq_ignore_ascii_case(segment))?;
    segments.next()
}

/// The id with the resource group's segment changed.
pub(crate) fn with_group(id: &str, change: impl Fn(&str) -> String) -> String {
    let old = group(id);
    if old.is_empty() {
        return id.to_owned();
    }
    let mut turn = false;
    let segments: Vec<String> = id
        .split('/')
        .map(|segment| {
            let now = std::mem::replace(&mut turn, segment.eq_ignore_ascii_case("resourcegroups"));
            if now { change(segment) } else { segment.to_owned() }
        })
        .collect();
    segments.join("/")
}

/// The id in the case in which the list of virtual machines has it.
pub(crate) fn group_upper(id: &str) -> String {
    with_group(id, str::to_ascii_uppercase)
}

/// The id in the case in which Resource Graph has it.
pub(crate) fn group_lower(id: &str) -> String {
    with_group(id, str::to_ascii_lowercase)
}

/// The id in a mixed case, always the same for the same id: as it was made, the group upper-cased, or `resourceGroups` in lower case.
pub(crate) fn mixed(id: &str) -> String {
    match keyed(5, &fold(id)) % 3 {
        0 => id.to_owned(),
        1 => group_upper(id),
        _ => id.replacen("/resourceGroups/", "/resourcegroups/", 1),
    }
}

/// The id up to this segment, which is not in it.
pub(crate) fn cut<'a>(id: &'a str, segment: &str) -> &'a str {
    let lower = id.to_ascii_lowercase();
    lower.find(&segment.to_ascii_lowercase()).and_then(|at| id.get(..at)).unwrap_or(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "/subscriptions/s/resourceGroups/Rg-App/providers/Microsoft.Compute/virtualMachines/vm-1";

    #[test]
    fn an_id_has_parts() {
        assert_eq!([group(ID), name(ID), subscription(ID)], ["Rg-App", "vm-1", "s"]);
        assert_eq!(group_upper(ID), ID.replace("Rg-App", "RG-APP"));
        assert_eq!(group_lower(ID), ID.replace("Rg-App", "rg-app"));
        assert_eq!(cut(ID, "/Providers/"), "/subscriptions/s/resourceGroups/Rg-App");
        assert_eq!(fold(&mixed(ID)), fold(ID));
    }

    #[test]
    fn a_guid_is_one() {
        let made = guid(&["a", "b"]);
        assert!(is_guid(&made) && made == guid(&["a", "b"]) && made != guid(&["b", "a"]));
        assert!(!is_guid("prod") && !is_guid("00000000-0000-0000-0000-00000000000g"));
    }
}
