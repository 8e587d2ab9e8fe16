//! Assets of Jira Service Management as the program writes to it.

mod kill;

/// Attributes that hold edges, by hand from the mapping.
pub(crate) const HOLDING: &[&str] =
    &["Located In", "Security Groups", "Allowed Groups", "Member Of", "Attached To", "Connected To", "Routed From", "Used By"];
