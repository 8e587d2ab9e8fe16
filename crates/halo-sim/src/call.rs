//! What every interface is given.

use crate::{auth::Caller, query::Params, settings::Settings, tenant::Tenant};

/// A call that was let in, and the tenant it is about.
pub(crate) struct Call<'a> {
    pub(crate) tenant: &'a mut Tenant,
    pub(crate) settings: &'a Settings,
    pub(crate) caller: &'a Caller,
    pub(crate) params: &'a Params,
    pub(crate) body: &'a [u8],
    /// What is left to chance in this call is drawn from this.
    pub(crate) chance: u64,
    pub(crate) notes: &'a mut Notes,
}

/// What the log says of a call beside its answer.
#[derive(Clone, Debug, Default)]
pub(crate) struct Notes {
    pub(crate) elements: usize,
    pub(crate) ids: Vec<i64>,
    pub(crate) unknown_properties: Vec<String>,
}

impl Call<'_> {
    /// Who the audit trail names.
    pub(crate) fn who(&self) -> String {
        let agent = self.caller.application.agent_id.and_then(|id| self.tenant.agents.get(&id));
        agent.map_or_else(|| self.caller.application.client_id.clone(), |agent| agent.name.clone())
    }
}
