//! Pulls one region of the caller's own account and prints what that took, as one JSON line: what the benchmark measures.
//!
//!     pull ENDPOINT REGION
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a program of the benchmark")]

use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use dewpoint_aws::{Accounts, AwsConfig, AwsSource, Rates, Regions, UsualRole};
use dewpoint_core::source::{Silent, Source};

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

async fn run() -> Result<String, Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let (Some(endpoint_url), Some(region), None) = (arguments.next(), arguments.next(), arguments.next()) else {
        return Err("usage: pull ENDPOINT REGION".into());
    };
    let source = AwsSource::new(AwsConfig {
        name: "aws".parse()?,
        accounts: Accounts::Own,
        usual_role: UsualRole { name: "DewpointReader".to_owned(), external_id: None },
        regions: Regions::Listed([region.parse()?].into()),
        endpoint_url: Some(endpoint_url),
        timeout: Duration::from_secs(180),
        rates: Rates::default(),
        clock: Arc::new(jiff::Timestamp::now),
    });
    let began = Instant::now();
    let pull = source.pull(&Silent).await?;
    let wall = began.elapsed().as_secs_f64();
    let broken = pull.receipts.iter().filter(|(_, receipt)| !receipt.is_complete()).count();
    Ok(format!(
        "{{\"resources\": {}, \"relations\": {}, \"incomplete\": {broken}, \"wall_s\": {wall:.2}}}",
        pull.resources.len(),
        pull.relations.len()
    ))
}
