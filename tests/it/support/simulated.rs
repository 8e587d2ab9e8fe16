//! The simulated AWS, and a folder to run Dewpoint in that reads it.

use std::ops::Deref;
use std::process::Command;

use dewpoint_aws_sim::Sim;

use super::World;

/// The account whose credentials Dewpoint has.
pub const HUB: &str = "111111111111";
/// The external id that roles ask for.
pub const EXTERNAL_ID: &str = "only-for-dewpoint:1";

/// A simulated AWS of one test's own, and the program with the hub's credentials.
pub struct Simulated {
    pub world: World,
    pub sim: Sim,
}

impl Deref for Simulated {
    type Target = World;

    fn deref(&self) -> &World {
        &self.world
    }
}

impl Simulated {
    /// Starts it. `source` are keys of the source, `lifecycle` of `lifecycle.defaults`.
    pub fn start(aws: dewpoint_aws_sim::world::World, source: &str, lifecycle: &str) -> Self {
        let sim = Sim::start(aws).unwrap();
        let world = with_credentials(World::of_cloud("AWS_"), &sim).with("EXTERNAL_ID", EXTERNAL_ID);
        let simulated = Self { world, sim };
        simulated.configure(source, lifecycle);
        simulated
    }

    /// Writes the configuration.
    pub fn configure(&self, source: &str, lifecycle: &str) {
        let source = format!("{{ name: aws, kind: aws, {source}, endpoint_url: \"{}\" }}", self.sim.url());
        self.world.configure(&source, &format!("defaults: {{ {lifecycle} }}"));
    }

    /// The program without credentials.
    pub fn bare(&self, args: &[&str]) -> Command {
        let mut command = self.command(args);
        for name in ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_EC2_METADATA_DISABLED"] {
            command.env_remove(name);
        }
        command
    }
}

/// A folder in which the program has the hub's credentials, and nothing else to find some by.
pub fn with_credentials(world: World, sim: &Sim) -> World {
    let (key, secret) = sim.edit(|aws| (aws.account(HUB).key_id(), aws.account(HUB).secret()));
    world
        .with("AWS_ACCESS_KEY_ID", key)
        .with("AWS_SECRET_ACCESS_KEY", secret)
        .with("AWS_EC2_METADATA_DISABLED", "true")
        .with("AWS_CONFIG_FILE", "/dev/null")
        .with("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
}
