//! The simulated Azure, and a folder to run Dewpoint in that reads it.

use std::ops::Deref;

use dewpoint_azure_sim::world::{CLIENT, CLIENT_SECRET, TENANT};
use dewpoint_azure_sim::{Clock, Settings, Sim, Start};

use super::World;

/// A simulated Azure of one test's own, and the program with the application's secret.
pub struct SimulatedAzure {
    pub world: World,
    pub sim: Sim,
}

impl Deref for SimulatedAzure {
    type Target = World;

    fn deref(&self) -> &World {
        &self.world
    }
}

impl SimulatedAzure {
    /// Starts it. `source` are keys of the source, `lifecycle` of `lifecycle`.
    pub fn start(azure: dewpoint_azure_sim::world::World, source: &str, lifecycle: &str) -> Self {
        let start = Start { settings: Settings::default(), clock: Clock::real(), ..Start::new(azure) };
        let world = World::of_cloud("AZURE_").with("AZURE_CLIENT_SECRET", CLIENT_SECRET);
        let simulated = Self { world, sim: Sim::start_with(start).unwrap() };
        simulated.world.write("azure.pem", simulated.sim.authority().unwrap());
        simulated.configure(source, lifecycle);
        simulated
    }

    /// The source as the configuration has it.
    pub fn source(&self, more: &str) -> String {
        let url = self.sim.url();
        format!(
            "{{ name: azure, kind: azure, tenant: {TENANT}, credential: {{ kind: client_secret, client_id: {CLIENT}, client_secret: env:AZURE_CLIENT_SECRET }}, \
             endpoints: {{ authority: \"{url}\", resource_manager: \"{url}\", audience: \"https://management.azure.com\", ca_file: azure.pem }}{more} }}"
        )
    }

    /// Writes the configuration.
    pub fn configure(&self, source: &str, lifecycle: &str) {
        self.world.configure(&self.source(source), lifecycle);
    }
}
