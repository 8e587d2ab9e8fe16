//! What must be on an instance before the engine takes anything of ours: the choice that registers the discovery source.

use dewpoint_core::target::{Step, StepOutcome, TargetError};
use dewpoint_http::{Repeat, Request};
use serde_json::json;

use crate::api::{Api, Select};
use crate::query::Query;

/// Registers the discovery source where it is not.
pub(crate) async fn bootstrap(api: &Api, dry_run: bool) -> Result<Vec<Step>, TargetError> {
    let what = format!("choice `{}` of `cmdb_ci.discovery_source`", api.source);
    let step = |outcome, text, mend| vec![Step { what: what.clone(), outcome, text, mend }];
    let by_hand = || {
        let source = &api.source;
        let how = "an administrator adds it in the global scope: System Definition > Choice Lists > New, with table `cmdb_ci`, element `discovery_source`";
        Some(format!("{how}, label and value `{source}`"))
    };
    match standing(api).await {
        Ok(Some(Standing::Active)) => return Ok(step(StepOutcome::Present, None, None)),
        Ok(Some(Standing::Inactive)) => {
            let text = "it is there, but somebody made it inactive".to_owned();
            let mend = "an administrator makes it active again, or another `discovery_source` is configured".to_owned();
            return Ok(step(StepOutcome::Refused, Some(text), Some(mend)));
        }
        Ok(None) => {}
        Err(error @ TargetError::Forbidden { .. }) => return Ok(step(StepOutcome::Refused, Some(error.to_string()), by_hand())),
        Err(error) => return Err(error),
    }
    if dry_run {
        return Ok(step(StepOutcome::WouldMake, None, None));
    }
    let choice = json!({
        "name": "cmdb_ci",
        "element": "discovery_source",
        "value": api.source,
        "label": api.source,
        "language": "en",
        "inactive": "false",
    });
    // Twice would be two choices of one value.
    let request = Request::post("/api/now/v2/table/sys_choice").json(&choice).operation("register").repeat(Repeat::Never);
    match api.send(request, "register the discovery source").await {
        Ok(_) => {}
        Err(error @ (TargetError::Forbidden { .. } | TargetError::Rejected { .. })) => {
            return Ok(step(StepOutcome::Refused, Some(error.to_string()), by_hand()));
        }
        Err(error) => return Err(error),
    }
    // A choice that ended up in an application's scope is not seen by the engine, and one that was not kept by nobody.
    match standing(api).await? {
        Some(Standing::Active) => Ok(step(StepOutcome::Made, None, None)),
        _ => Ok(step(StepOutcome::Refused, Some("the instance took it and does not show it".to_owned()), by_hand())),
    }
}

/// How a registered source stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Standing {
    Active,
    Inactive,
}

/// Whether the discovery source is registered.
pub(crate) async fn standing(api: &Api) -> Result<Option<Standing>, TargetError> {
    let query = Query::all().equals("name", "cmdb_ci").equals("element", "discovery_source").equals("value", &api.source);
    let select = Select { table: "sys_choice", query, fields: &["sys_id", "name", "element", "value", "inactive"] };
    let rows = api.rows(&select).await?;
    let is_it = |row: &&crate::api::Row| {
        row.get("value") == Some(&api.source) && row.get("element").is_some_and(|element| element == "discovery_source")
    };
    let found: Vec<&crate::api::Row> = rows.iter().filter(is_it).collect();
    let is_active = found.iter().any(|row| row.get("inactive").is_none_or(|word| word != "true"));
    Ok(if is_active { Some(Standing::Active) } else { found.first().map(|_| Standing::Inactive) })
}
