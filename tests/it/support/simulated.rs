//! The simulated AWS, and a folder to run Dewpoint in that reads it.

use std::process::Command;

use dewpoint_aws_sim::Sim;
use serde_json::Value;

use super::{Ran, World};

/// The account whose credentials Dewpoint has.
pub const HUB: &str = "111111111111";
/// The external id that roles ask for.
pub const EXTERNAL_ID: &str = "only-for-dewpoint:1";

/// A simulated AWS of one test's own.
pub struct Simulated {
    pub world: World,
    pub sim: Sim,
}

impl Simulated {
    /// Starts it. `source` are keys of the source, `lifecycle` of `lifecycle.defaults`.
    pub fn start(aws: dewpoint_aws_sim::world::World, source: &str, lifecycle: &str) -> Self {
        let simulated = Self { world: World::empty(), sim: Sim::start(aws).unwrap() };
        simulated.configure(source, lifecycle);
        simulated
    }

    /// Writes the configuration.
    pub fn configure(&self, source: &str, lifecycle: &str) {
        let text = format!(
            "ledger: sqlite://dewpoint.db\nsources:\n  - {{ name: aws, kind: aws, {source}, endpoint_url: \"{}\" }}\n\
             targets:\n  - {{ name: cmdb, kind: local, path: cmdb.db }}\nlifecycle: {{ defaults: {{ {lifecycle} }} }}\n",
            self.sim.url()
        );
        self.world.write("dewpoint.yaml", &text);
    }

    /// The program without credentials, and with nothing of the machine's.
    pub fn bare(&self, args: &[&str]) -> Command {
        let mut command = self.world.command(args);
        for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_str().is_some_and(|name| name.starts_with("AWS_"))) {
            command.env_remove(name);
        }
        command.env("AWS_CONFIG_FILE", "/dev/null").env("AWS_SHARED_CREDENTIALS_FILE", "/dev/null");
        command.env("NO_PROXY", "127.0.0.1").env("no_proxy", "127.0.0.1").env("EXTERNAL_ID", EXTERNAL_ID);
        command
    }

    /// The program with the hub's credentials.
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = self.bare(args);
        let (key, secret) = self.sim.edit(|aws| {
            let account = aws.account(HUB);
            (account.key_id(), account.secret())
        });
        command.env("AWS_ACCESS_KEY_ID", key).env("AWS_SECRET_ACCESS_KEY", secret).env("AWS_EC2_METADATA_DISABLED", "true");
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
