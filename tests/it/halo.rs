//! HaloITSM as the program writes to it.

mod kill;

use dewpoint_halo_sim::{Sim, Start, Status, Tenant};

/// A tenant without limits in which all statuses stand: none can be made by its interface.
pub(crate) fn tenant() -> Sim {
    let mut tenant = Tenant::new();
    tenant.statuses.insert(5, Status { name: "Inactive".to_owned() });
    let mut start = Start::new(tenant);
    start.settings.throttle = None;
    Sim::start_with(start).unwrap()
}

/// The target of that tenant, with more keys, each on a line; the secret is in `HALO_SECRET`.
pub(crate) fn target(sim: &Sim, keys: &str) -> String {
    let keys: String = keys.lines().map(|line| format!("    {line}\n")).collect();
    let id = dewpoint_halo_sim::CLIENT_ID;
    format!(
        "  - name: halo
    kind: haloitsm
    url: {url}
    tenant: acme
    auth: {{ oauth: {{ client_id: {id}, client_secret: env:HALO_SECRET }} }}
    rate: {{ requests_per_minute: 60000 }}
{keys}",
        url = sim.url()
    )
}
