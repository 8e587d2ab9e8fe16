//! `dewpoint doctor`.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use serde_json::json;

use super::App;
use super::output::CommandError;
use crate::config::{Config, LedgerConfig};
use crate::doctor::{CREDENTIALS, Finding, Health};
use crate::exit::Exit;
use crate::ledger::Mode;
use crate::run::setup;
use crate::told;
use crate::words::chain;

impl App {
    /// Checks the ledger, every source and every target, and says how to mend what is wrong.
    pub(super) async fn doctor(&self) -> Result<u8, CommandError> {
        let config = self.config()?;
        let mut findings = Vec::new();
        let ledger = match self.ledger(&config, Mode::Read).await {
            Ok(ledger) => {
                match absent(&config) {
                    Some(finding) => findings.push(finding),
                    None => match ledger.check().await {
                        Ok(found) => findings.extend(found),
                        Err(error) => findings.push(broken("ledger", "check", chain(&error), error.hint())),
                    },
                }
                Some(ledger)
            }
            Err(error) => {
                findings.push(broken("ledger", "open", error.text, error.hint));
                None
            }
        };
        findings.extend(setup::ledger_place(&config));
        for configured in &config.sources {
            findings.extend(setup::source_to_ask(configured, &config.dir).doctor().await);
        }
        for configured in &config.targets {
            findings.extend(setup::target_findings(configured, ledger.as_deref()).await);
        }
        let sources = config.sources.iter().map(|source| source.name.as_str()).collect();
        let targets = config.targets.iter().map(|target| target.name.as_str()).collect();
        self.findings(&findings, if only_credentials(&findings, &[sources, targets]) { Exit::Credentials } else { Exit::Failed })
    }

    /// Answers with findings; where something does not work, with the first of that as the error.
    pub(super) fn findings(&self, findings: &[Finding], failing: Exit) -> Result<u8, CommandError> {
        let errors: Vec<&Finding> = findings.iter().filter(|finding| finding.outcome == Health::Error).collect();
        let Some(first) = errors.first() else {
            self.output.answer(&json!({ "findings": findings }), || findings_text(findings))?;
            return Ok(Exit::Done.code());
        };
        let text = format!("{} ({}): {}", first.subject, first.check, told::printable(&first.text));
        let error = CommandError { hint: first.mend.clone(), ..CommandError::new(failing, failing.failure().unwrap_or("failed"), text) };
        let document = json!({ "findings": findings, "error": error.document(), "errors": errors });
        self.output.answer(&document, || findings_text(findings))?;
        self.output.complain(&error);
        Ok(failing.code())
    }
}

/// Whether credentials are all that does not work, and no source or no target accepts its own.
fn only_credentials(findings: &[Finding], groups: &[BTreeSet<&str>; 2]) -> bool {
    let errors = findings.iter().filter(|finding| finding.outcome == Health::Error);
    let (refused, other): (Vec<&Finding>, Vec<&Finding>) = errors.partition(|finding| finding.check == CREDENTIALS);
    let refused: BTreeSet<&str> = refused.into_iter().map(|finding| finding.subject.as_str()).collect();
    other.is_empty() && groups.iter().any(|group| !group.is_empty() && group.is_subset(&refused))
}

/// Says so where the ledger's file is not there yet: that is no mistake, and there is nothing to check.
pub(super) fn absent(config: &Config) -> Option<Finding> {
    let LedgerConfig::Sqlite(path) = &config.ledger else { return None };
    (!path.exists()).then(|| Finding {
        subject: "ledger".to_owned(),
        check: "file".to_owned(),
        outcome: Health::Ok,
        text: format!("{} is not there yet: the first sync makes it", path.display()),
        mend: None,
    })
}

fn broken(subject: &str, check: &str, text: String, mend: Option<String>) -> Finding {
    Finding::new(subject, check, Health::Error, text, mend)
}

/// Findings for people, one a line, each with its mend below.
pub(super) fn findings_text(findings: &[Finding]) -> String {
    let width = |of: fn(&Finding) -> usize| findings.iter().map(of).max().unwrap_or_default();
    let (subjects, checks) = (width(|finding| finding.subject.chars().count()), width(|finding| finding.check.chars().count()));
    let mut text = String::new();
    for finding in findings {
        let (outcome, said) = (finding.outcome, told::printable(&finding.text));
        let _ = writeln!(text, "{outcome:<8} {:<subjects$}  {:<checks$}  {said}", finding.subject, finding.check);
        if let Some(mend) = &finding.mend
            && outcome != Health::Ok
        {
            let _ = writeln!(text, "{:<8} mend: {mend}", "");
        }
    }
    text
}
