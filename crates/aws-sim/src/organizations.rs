//! Organizations.

use serde_json::{Value, json};

use crate::{
    call::{Call, Handler},
    error::ApiError,
    world::{MemberAccount, Organization, StateFields},
};

const PAGE_MAX: i64 = 20;

/// The actions that are served.
pub(crate) const ACTIONS: &[(&str, Handler)] = &[("ListAccounts", accounts), ("DescribeOrganization", describe)];

fn accounts(call: &mut Call<'_>) -> Result<String, ApiError> {
    let size = call.take_size("MaxResults", 1, PAGE_MAX)?.unwrap_or(20);
    call.params.take("NextToken");
    call.params.finish()?;
    let organization = organization(call)?;
    if organization.management != call.account.id {
        return Err(ApiError::new(400, "AccessDeniedException", "You don't have permissions to access this resource."));
    }
    let cursor = call.cursor()?;
    // Every page of an odd number is empty, and says that there is more.
    let (page, next) = if organization.empty_pages && cursor.page % 2 == 1 {
        (Vec::new(), call.next_token(cursor, Some(cursor.skip_page())))
    } else {
        call.page(organization.members.iter().collect(), size, |member| (&member.id, &member.id))?
    };
    let accounts: Vec<Value> = page.iter().enumerate().map(|(index, member)| account(call, organization, index, member)).collect();
    let mut answer = json!({ "Accounts": accounts });
    if let (Some(next), Some(fields)) = (next, answer.as_object_mut()) {
        fields.insert("NextToken".to_owned(), next.into());
    }
    Ok(answer.to_string())
}

fn account(call: &Call<'_>, organization: &Organization, index: usize, member: &MemberAccount) -> Value {
    let quirks = call.quirks(index);
    let mut account = json!({
        "Arn": format!("arn:{}:organizations::{}:account/{}/{}", call.world.partition, organization.management, organization.id, member.id),
        "Email": member.email,
        "Name": member.name,
        "JoinedMethod": member.joined_by,
        "JoinedTimestamp": member.joined.as_second(),
    });
    let Some(fields) = account.as_object_mut() else { return account };
    if !quirks.no_id {
        fields.insert("Id".to_owned(), member.id.clone().into());
    }
    if !quirks.no_state && organization.state_fields != StateFields::Status {
        fields.insert("State".to_owned(), member.state.clone().into());
    }
    if !quirks.no_state && organization.state_fields != StateFields::State {
        // The older field has no words for the first and the last state.
        let status = match member.state.as_str() {
            "PENDING_ACTIVATION" => "ACTIVE",
            "CLOSED" => "SUSPENDED",
            other => other,
        };
        fields.insert("Status".to_owned(), status.into());
    }
    account
}

fn describe(call: &mut Call<'_>) -> Result<String, ApiError> {
    call.params.finish()?;
    let organization = organization(call)?;
    let (id, management, partition) = (&organization.id, &organization.management, &call.world.partition);
    let email = organization.members.iter().find(|member| member.id == *management).map_or("", |member| &member.email);
    Ok(json!({ "Organization": {
        "Id": id,
        "Arn": format!("arn:{partition}:organizations::{management}:organization/{id}"),
        "FeatureSet": "ALL",
        "MasterAccountArn": format!("arn:{partition}:organizations::{management}:account/{id}/{management}"),
        "MasterAccountId": management,
        "MasterAccountEmail": email,
    } })
    .to_string())
}

/// The organization that the caller's account belongs to.
fn organization<'a>(call: &Call<'a>) -> Result<&'a Organization, ApiError> {
    let member = |organization: &&Organization| organization.members.iter().any(|member| member.id == call.account.id);
    call.world
        .organization
        .as_ref()
        .filter(member)
        .ok_or_else(|| ApiError::new(400, "AWSOrganizationsNotInUseException", "Your account is not a member of an organization."))
}
