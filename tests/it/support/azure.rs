//! The simulated Azure, and a folder to run Dewpoint in that reads it.

use std::process::Command;

use dewpoint_azure_sim::world::{CLIENT, CLIENT_SECRET, TENANT};
use dewpoint_azure_sim::{Clock, Settings, Sim, Start};
use serde_json::Value;

use super::{Ran, World};

/// A simulated Azure of one test's own.
pub struct SimulatedAzure {
    pub world: World,
    pub sim: Sim,
}

impl SimulatedAzure {
    /// Starts it. `source` are keys of the source, `lifecycle` of `lifecycle`.
    pub fn start(azure: dewpoint_azure_sim::world::World, source: &str, lifecycle: &str) -> Self {
        let start = Start { settings: Settings::default(), clock: Clock::real(), ..Start::new(azure) };
        let simulated = Self { world: World::empty(), sim: Sim::start_with(start).unwrap() };
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
        let text = format!(
            "ledger: sqlite://dewpoint.db\nsources:\n  - {}\ntargets:\n  - {{ name: cmdb, kind: local, path: cmdb.db }}\nlifecycle: {{ {lifecycle} }}\n",
            self.source(source)
        );
        self.world.write("dewpoint.yaml", &text);
    }

    /// The program with the application's secret, and with nothing of the machine's.
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = self.world.command(args);
        for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_str().is_some_and(|name| name.starts_with("AZURE_"))) {
            command.env_remove(name);
        }
        command.env("NO_PROXY", "127.0.0.1").env("no_proxy", "127.0.0.1").env("AZURE_CLIENT_SECRET", CLIENT_SECRET);
        command
    }

    pub fn run(&self, args: &[&str]) -> Ran {
        Ran::of(&self.command(args).output().unwrap())
    }

    /// Runs it with `--output json`, expects this exit code, and gives the document.
    #[track_caller]
    pub fn json(&self, args: &[&str], code: i32) -> Value {
        let ran = self.run(&[args, &["--output", "json"]].concat());
        assert_eq!(ran.code, code, "exit code of {args:?}\n--- out\n{}\n--- err\n{}", ran.out, ran.err);
        ran.document()
    }

    #[track_caller]
    pub fn sync(&self, code: i32) -> Value {
        self.json(&["sync"], code)
    }
}
