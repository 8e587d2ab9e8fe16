//! Pulls the subscriptions that an application sees and prints what that took, as one JSON line: what the benchmark measures.
//!
//!     pull ENDPOINT CA_FILE [--collector arm|resource_graph] [--inventory FILE]
//!
//! `ENDPOINT` is both where tokens are issued and Azure Resource Manager, as the simulator is; `CA_FILE` holds the authority to trust. The application is
//! `AZURE_TENANT_ID`, `AZURE_CLIENT_ID` and `AZURE_CLIENT_SECRET` of the environment. `FILE` gets what was read, in the form that `tests/it/judge.py` takes.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a program of the benchmark")]

use std::collections::BTreeMap;
use std::io::Write as _;
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use dewpoint_azure::{ApiVersions, AzureConfig, AzureSource, Collector, Credential, Endpoints, Proxies, Rates, Subscriptions, SystemClock};
use dewpoint_core::model::{Outcome, Scope, SourceName};
use dewpoint_core::source::{Progress, Pull, Source};
use serde_json::json;

const USAGE: &str = "usage: pull ENDPOINT CA_FILE [--collector arm|resource_graph] [--inventory FILE]";

/// Sums up calls and waits.
#[derive(Debug, Default)]
struct Tally(Mutex<Sums>);

#[derive(Debug, Default)]
struct Sums {
    calls: BTreeMap<String, u64>,
    waited_s: f64,
}

impl Progress for Tally {
    fn scope_started(&self, _: &SourceName, _: &Scope) {}
    fn scope_finished(&self, _: &SourceName, _: &Scope, _: Outcome, _: u64) {}

    fn called(&self, _: &str, operation: &str) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner).calls.entry(operation.to_owned()).or_default() += 1;
    }

    fn waited(&self, _: &str, seconds: f64) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).waited_s += seconds;
    }
}

struct Arguments {
    endpoint: String,
    ca_file: String,
    collector: Collector,
    inventory: Option<String>,
}

#[tokio::main]
async fn main() -> ExitCode {
    match run().await {
        Ok(line) => {
            println!("{line}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("pull: {error}");
            ExitCode::FAILURE
        }
    }
}

fn arguments() -> Result<Arguments, &'static str> {
    let mut rest = std::env::args().skip(1);
    let (Some(endpoint), Some(ca_file)) = (rest.next(), rest.next()) else { return Err(USAGE) };
    let mut arguments = Arguments { endpoint, ca_file, collector: Collector::Arm, inventory: None };
    while let Some(option) = rest.next() {
        match (option.as_str(), rest.next()) {
            ("--collector", Some(word)) if word == "arm" => arguments.collector = Collector::Arm,
            ("--collector", Some(word)) if word == "resource_graph" => arguments.collector = Collector::ResourceGraph,
            ("--inventory", Some(path)) => arguments.inventory = Some(path),
            _ => return Err(USAGE),
        }
    }
    Ok(arguments)
}

fn variable(name: &str) -> Result<String, String> {
    std::env::var(name).map_err(|_| format!("{name} is not set"))
}

async fn run() -> Result<String, Box<dyn std::error::Error>> {
    let arguments = arguments()?;
    let endpoint: url::Url = arguments.endpoint.parse()?;
    let source = AzureSource::new(AzureConfig {
        name: "azure".parse()?,
        tenant: variable("AZURE_TENANT_ID")?,
        credential: Credential::ClientSecret { client_id: variable("AZURE_CLIENT_ID")?, secret: variable("AZURE_CLIENT_SECRET")?.into() },
        subscriptions: Subscriptions::All,
        collector: arguments.collector,
        endpoints: Endpoints { authority: endpoint.clone(), resource_manager: endpoint, ..Endpoints::public() },
        ca_pem: Some(std::fs::read(&arguments.ca_file).map_err(|error| format!("{}: {error}", arguments.ca_file))?),
        proxies: Proxies::default(),
        api_versions: ApiVersions::default(),
        timeout: Duration::from_secs(180),
        rates: Rates::default(),
        clock: Arc::new(SystemClock::new()),
    })?;
    let tally = Tally::default();
    let began = Instant::now();
    let pull = source.pull(&tally).await?;
    let wall_s = began.elapsed().as_secs_f64();
    if let Some(path) = &arguments.inventory {
        write(&pull, path).map_err(|error| format!("{path}: {error}"))?;
    }
    let Sums { calls, waited_s } = tally.0.into_inner().unwrap_or_else(PoisonError::into_inner);
    let line = json!({
        "resources": pull.resources.len(),
        "relations": pull.relations.len(),
        "incomplete": pull.receipts.iter().filter(|(_, receipt)| !receipt.is_complete()).count(),
        "remarks": pull.remarks,
        "calls": calls,
        "waited_s": waited_s,
        "wall_s": wall_s,
    });
    Ok(line.to_string())
}

fn write(pull: &Pull, path: &str) -> std::io::Result<()> {
    let receipts = pull.receipts.iter().map(|(scope, receipt)| {
        json!({"account": scope.account, "region": scope.region, "kind": scope.kind, "outcome": receipt.outcome, "count": receipt.count, "error": receipt.error})
    });
    let inventory = json!({
        "receipts": receipts.collect::<Vec<_>>(),
        "resources": pull.resources.values().collect::<Vec<_>>(),
        "relations": pull.relations.values().collect::<Vec<_>>(),
        "unread": pull.unread,
    });
    let mut file = std::io::BufWriter::new(std::fs::File::create(path)?);
    serde_json::to_writer(&mut file, &inventory)?;
    file.flush()
}
