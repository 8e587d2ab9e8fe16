//! What records say of where their resources stand in life.
//!
//! Two sets of columns say it: `install_status` with `operational_status`, and since CSDM 4 `life_cycle_stage` with `life_cycle_stage_status`. An instance
//! derives the second pair from the first, until the property `csdm.lifecycle.sync.between.ci.and.asset.activated` is set: from then on both have to be written.
//!
//! Sources: ServiceNow, "CSDM life-cycle standard values" (pairs for logical CIs), and the choice lists of `cmdb_ci`.

use crate::references::Reference;

/// Columns that say where a resource stands; no mapping can fill them.
pub const STATUS_COLUMNS: &[&str] = &[INSTALL_STATUS, OPERATIONAL_STATUS, LIFE_CYCLE_STAGE, LIFE_CYCLE_STAGE_STATUS];

/// The column by which most of the platform judges whether a record is retired.
pub(crate) const INSTALL_STATUS: &str = "install_status";
/// The column beside it.
pub(crate) const OPERATIONAL_STATUS: &str = "operational_status";
const LIFE_CYCLE_STAGE: &str = "life_cycle_stage";
const LIFE_CYCLE_STAGE_STATUS: &str = "life_cycle_stage_status";

/// What the status columns of a record hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    /// `install_status`: 1 Installed, 7 Retired, 100 Absent and others.
    pub install_status: u32,
    /// `operational_status`: 1 Operational, 2 Non-Operational, 6 Retired and others.
    pub operational_status: u32,
    /// Name of the `life_cycle_stage`, such as `Operational`.
    pub life_cycle_stage: String,
    /// Name of the `life_cycle_stage_status`, such as `In Use`.
    pub life_cycle_stage_status: String,
}

impl Status {
    fn new(install_status: u32, operational_status: u32, stage: &str, stage_status: &str) -> Self {
        Self { install_status, operational_status, life_cycle_stage: stage.to_owned(), life_cycle_stage_status: stage_status.to_owned() }
    }

    fn get(&self, column: &str) -> Option<String> {
        match column {
            INSTALL_STATUS => Some(self.install_status.to_string()),
            OPERATIONAL_STATUS => Some(self.operational_status.to_string()),
            LIFE_CYCLE_STAGE => Some(self.life_cycle_stage.clone()),
            LIFE_CYCLE_STAGE_STATUS => Some(self.life_cycle_stage_status.clone()),
            _ => None,
        }
    }
}

/// What status columns hold by where a resource stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Statuses {
    /// Of what runs, and of what is there without running or not.
    pub active: Status,
    /// Of machines that are stopped.
    pub inactive: Status,
    /// Of what has ended.
    pub retired: Status,
    /// Whether the pair of CSDM is written too.
    pub life_cycle: bool,
}

impl Default for Statuses {
    fn default() -> Self {
        Self {
            active: Status::new(1, 1, "Operational", "In Use"),
            // Machines are stopped every night: that is no end of their operation.
            inactive: Status::new(1, 2, "Operational", "In Use"),
            retired: Status::new(7, 6, "End of Life", "Retired"),
            life_cycle: false,
        }
    }
}

/// Nothing tells retired records from live ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("neither `install_status` nor `operational_status` of what is retired differs from those of what is active and inactive")]
pub struct StatusError;

impl Statuses {
    /// Asks whether a record's status tells that it is retired.
    ///
    /// # Errors
    /// [`StatusError`] where it does not.
    pub fn check(&self) -> Result<(), StatusError> {
        if self.telling().is_empty() { Err(StatusError) } else { Ok(()) }
    }

    /// The columns that are written.
    pub(crate) fn columns(&self) -> impl Iterator<Item = &'static str> + use<> {
        let written = if self.life_cycle { STATUS_COLUMNS.len() } else { 2 };
        STATUS_COLUMNS.iter().take(written).copied()
    }

    /// How the text of a column becomes the id of a row.
    pub(crate) fn reference(column: &str) -> Option<Reference> {
        let table = [LIFE_CYCLE_STAGE, LIFE_CYCLE_STAGE_STATUS].into_iter().find(|name| *name == column)?;
        Some(Reference { table: table.to_owned(), by: vec!["name".to_owned()] })
    }

    /// The text of a column in a stage.
    pub(crate) fn text(&self, column: &str, is_retired: bool, is_inactive: bool) -> Option<String> {
        let status = match (is_retired, is_inactive) {
            (true, _) => &self.retired,
            (false, true) => &self.inactive,
            (false, false) => &self.active,
        };
        status.get(column)
    }

    /// Columns whose value for what is retired no live record has.
    fn telling(&self) -> Vec<(&'static str, String)> {
        let columns = [INSTALL_STATUS, OPERATIONAL_STATUS];
        let values = columns.into_iter().filter_map(|column| Some((column, self.retired.get(column)?)));
        values
            .filter(|(column, retired)| [&self.active, &self.inactive].iter().all(|live| live.get(column).as_ref() != Some(retired)))
            .collect()
    }

    /// Whether a record with these values is retired: any of its columns is enough, as for the platform itself.
    pub(crate) fn says_retired<'r>(&self, value: impl Fn(&str) -> Option<&'r String>) -> bool {
        self.telling().iter().any(|(column, retired)| value(column) == Some(retired))
    }

    /// For the mapping's digest.
    pub(crate) fn parts(&self) -> impl Iterator<Item = String> {
        let all = [("active", &self.active), ("inactive", &self.inactive), ("retired", &self.retired)];
        all.into_iter()
            .flat_map(|(name, status)| self.columns().filter_map(move |column| Some(format!("{name} {column} {}", status.get(column)?))))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

    use super::*;

    #[test]
    fn one_column_is_enough_to_be_retired() {
        let statuses = Statuses::default();
        let says = |install: &str, operational: &str| {
            let values = [(INSTALL_STATUS, install.to_owned()), (OPERATIONAL_STATUS, operational.to_owned())];
            statuses.says_retired(|column| values.iter().find(|(name, _)| *name == column).map(|(_, value)| value))
        };
        assert!(says("7", "6") && says("7", "1") && says("1", "6"));
        assert!(!says("1", "2") && !says("100", "1"));
    }

    #[test]
    fn what_ends_has_to_look_so() {
        Statuses::default().check().unwrap();
        let mut statuses = Statuses::default();
        statuses.retired.install_status = 1;
        statuses.check().unwrap();
        statuses.retired.operational_status = 2;
        assert_eq!(statuses.check(), Err(StatusError));
    }
}
