//! What Jira itself has and a connector needs.

use serde_json::{Value, json};

use crate::{
    call::Call,
    object::fold,
    reply::{ApiError, Reply},
    site::User,
    value,
};

type Answer = Result<Reply, ApiError>;

/// `GET /rest/servicedeskapi/assets/workspace`; none is listed where the plan has no Assets.
pub(crate) fn workspace_list(call: &mut Call<'_>, _: &[&str]) -> Answer {
    let (start, limit) = (call.count("start", 0)?, call.count("limit", 50)?);
    let all: Vec<Value> = call.site.premium.then(|| json!({"workspaceId": call.site.workspace_id})).into_iter().collect();
    let page: Vec<&Value> = all.iter().skip(start).take(limit).collect();
    let is_last = start + page.len() >= all.len();
    Ok(Reply::ok(json!({"size": page.len(), "start": start, "limit": limit, "isLastPage": is_last, "_links": {}, "values": page})))
}

/// The path of the same before: it was seen to be refused with a page.
pub(crate) fn workspace_list_old(call: &mut Call<'_>, path: &[&str]) -> Answer {
    if call.settings.insight_alias { workspace_list(call, path) } else { Err(ApiError::page(403)) }
}

/// `GET /oauth/token/accessible-resources`: the one site there is.
pub(crate) fn accessible_resources(call: &mut Call<'_>, _: &[&str]) -> Answer {
    let scopes = call.caller.scopes.clone().unwrap_or_default();
    Ok(Reply::ok(json!([{
        "id": call.site.cloud_id,
        "url": call.base_url,
        "name": call.site.title,
        "scopes": scopes,
        "avatarUrl": format!("{}/avatar/site.png", call.base_url),
    }])))
}

/// `GET /rest/api/…/serverInfo`.
pub(crate) fn server_info(call: &mut Call<'_>, _: &[&str]) -> Answer {
    let is_cloud = call.site.is_cloud();
    let version = if is_cloud { "1001.0.0-SNAPSHOT" } else { call.site.version.as_str() };
    let numbers: Vec<u64> = version.split('.').filter_map(|part| part.parse().ok()).collect();
    Ok(Reply::ok(json!({
        "baseUrl": call.base_url,
        "version": version,
        "versionNumbers": numbers,
        "deploymentType": if is_cloud { "Cloud" } else { "Server" },
        "buildNumber": 100_290,
        "serverTime": value::stamp(call.now).replace('Z', "+0000"),
        "scmInfo": "0000000000000000000000000000000000000000",
        "serverTitle": call.site.title,
    })))
}

/// A user, as Jira shows them to the caller.
fn shown(call: &Call<'_>, user: &User) -> Value {
    let picture = format!("{}/avatar/{}.png", call.base_url, user.id);
    let mut shown = json!({
        "avatarUrls": {"16x16": picture, "24x24": picture, "32x32": picture, "48x48": picture},
        "displayName": user.display_name,
        "active": user.active,
        "timeZone": "Etc/UTC",
    });
    let is_cloud = call.site.is_cloud();
    let mut set = |name: &str, value: &str| {
        if let Some(shown) = shown.as_object_mut() {
            shown.insert(name.to_owned(), json!(value));
        }
    };
    if is_cloud {
        set("self", &format!("{}/rest/api/3/user?accountId={}", call.base_url, user.id));
        set("accountId", &user.id);
        set("accountType", "atlassian");
    } else {
        set("self", &format!("{}/rest/api/2/user?username={}", call.base_url, user.name));
        set("key", &user.id);
        set("name", &user.name);
    }
    if !is_cloud || !user.email_hidden || user.id == call.caller.user {
        set("emailAddress", &user.email);
    } else {
        set("emailAddress", "");
    }
    shown
}

/// `GET /rest/api/…/myself`.
pub(crate) fn myself(call: &mut Call<'_>, _: &[&str]) -> Answer {
    let user = call.caller.user(call.site).ok_or_else(ApiError::unauthenticated)?;
    Ok(Reply::ok(shown(call, user)))
}

/// `GET /rest/api/…/user/search`: by the beginnings of names and addresses. An address that is hidden finds nobody but its whole.
pub(crate) fn user_search(call: &mut Call<'_>, _: &[&str]) -> Answer {
    let is_cloud = call.site.is_cloud();
    let parameter = if is_cloud { "query" } else { "username" };
    let account = call.parameter("accountId");
    let query = fold(call.parameter(parameter)).into_owned();
    if query.is_empty() && account.is_empty() {
        return Err(ApiError::bad(&format!("The {parameter} query parameter was not provided")));
    }
    let (start, most) = (call.count("startAt", 0)?, call.count("maxResults", 50)?);
    let meets = |user: &&User| {
        let email = fold(&user.email).into_owned();
        let by_email = if user.email_hidden { email == query } else { email.starts_with(&query) };
        let words = fold(&user.display_name).into_owned();
        user.active
            && if account.is_empty() {
                by_email
                    || words.split(' ').any(|word| word.starts_with(&query))
                    || words.starts_with(&query)
                    || (!is_cloud && fold(&user.name).starts_with(&query))
            } else {
                user.id == account
            }
    };
    Ok(Reply::ok(call.site.users.iter().filter(meets).skip(start).take(most).map(|user| shown(call, user)).collect()))
}

/// `GET /rest/api/…/groups/picker`.
pub(crate) fn group_picker(call: &mut Call<'_>, _: &[&str]) -> Answer {
    let query = fold(call.parameter("query")).into_owned();
    let most = call.count("maxResults", 20)?;
    let found: Vec<&String> = call.site.groups.iter().filter(|group| fold(group).contains(&query)).collect();
    let groups: Vec<Value> = found
        .iter()
        .take(most)
        .map(|group| {
            let mut shown = json!({"name": group, "html": group, "labels": []});
            if let (true, Some(shown)) = (call.site.is_cloud(), shown.as_object_mut()) {
                shown.insert("groupId".to_owned(), json!(crate::site::uuid(23, dewpoint_sim_kit::hash::keyed(23, group))));
            }
            shown
        })
        .collect();
    Ok(Reply::ok(
        json!({"header": format!("Showing {} of {} matching groups", groups.len(), found.len()), "total": found.len(), "groups": groups}),
    ))
}
