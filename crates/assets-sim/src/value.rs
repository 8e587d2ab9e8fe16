//! Values of attributes: what is refused, and how it is stored.

use std::{
    borrow::Cow,
    collections::HashMap,
    net::{Ipv4Addr, Ipv6Addr},
    sync::{LazyLock, Mutex, PoisonError},
};

use jiff::{Timestamp, Unit};
use regex::Regex;

use crate::{
    aql,
    object::fold,
    settings::Settings,
    site::{Attribute, Form, Kind, Site},
};

/// A time as bodies have it.
pub(crate) fn stamp(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%S.%3fZ").to_string()
}

/// The same without parts of a second.
pub(crate) fn stamp_s(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// A stored value as people of some place see it. Nobody should read it.
pub(crate) fn displayed(form: Form, stored: &str) -> Cow<'_, str> {
    let shown = match form {
        Form::Date => stored.parse::<jiff::civil::Date>().ok().map(|date| date.strftime("%d/%b/%y").to_string()),
        Form::DateTime => stored.parse::<Timestamp>().ok().map(displayed_stamp),
        _ => None,
    };
    shown.map_or(Cow::Borrowed(stored), Cow::Owned)
}

/// A time as people of some place see it.
pub(crate) fn displayed_stamp(at: Timestamp) -> String {
    at.strftime("%d/%b/%y %-I:%M %p").to_string()
}

/// The values that were sent for an attribute, as they are stored; an error says what is wrong, as the product tells people.
pub(crate) fn check(site: &Site, settings: &Settings, attribute: &Attribute, sent: &[String]) -> Result<Vec<String>, String> {
    let name = &attribute.name;
    if u32::try_from(sent.len()).unwrap_or(u32::MAX) < attribute.minimum {
        return Err(if sent.is_empty() {
            format!("{name} is required")
        } else {
            format!("{name} needs at least {} values", attribute.minimum)
        });
    }
    if let Some(maximum) = attribute.maximum
        && u32::try_from(sent.len()).unwrap_or(u32::MAX) > maximum
    {
        return Err(format!("{name} can only contain max {maximum} value(s)"));
    }
    let mut stored = Vec::with_capacity(sent.len());
    for text in sent {
        stored.push(check_one(site, settings, attribute, text)?);
    }
    for (at, value) in stored.iter().enumerate() {
        if stored.iter().take(at).any(|other| other == value) {
            return Err(format!("{name} has duplicated value"));
        }
    }
    Ok(stored)
}

fn check_one(site: &Site, settings: &Settings, attribute: &Attribute, text: &str) -> Result<String, String> {
    match &attribute.kind {
        Kind::Default(form) => {
            let stored = check_form(site, settings, attribute, *form, text)?;
            match &attribute.regex {
                Some(pattern) if !matches_whole(pattern, &stored) => {
                    Err("The value provided is invalid, it does not match the pattern".to_owned())
                }
                _ => Ok(stored),
            }
        }
        Kind::Reference { type_id, .. } => reference(site, attribute, *type_id, text),
        Kind::User { groups } => {
            let found = site
                .users
                .iter()
                .filter(|user| user.active)
                .find(|user| user.id == text || (!site.is_cloud() && fold(&user.name) == fold(text)));
            let user = found.ok_or_else(|| format!("User(s) {text} not found in Jira"))?;
            if groups.is_empty() || user.groups.iter().any(|group| groups.contains(group)) {
                Ok(user.id.clone())
            } else {
                Err("The value is invalid due to restrictions".to_owned())
            }
        }
        Kind::Group => {
            if site.groups.iter().any(|group| group == text) {
                Ok(text.to_owned())
            } else {
                Err("Invalid Group(s)".to_owned())
            }
        }
        Kind::Status { allowed } => {
            let schema = site.types.get(&attribute.type_id).map(|object_type| object_type.schema_id);
            let by_id = text.parse().ok().and_then(|id: u64| site.statuses.get(&id));
            let by_name = || site.statuses.values().find(|status| settings.status_by_name && fold(&status.name) == fold(text));
            let status = by_id.or_else(by_name).filter(|status| status.schema_id.is_none() || status.schema_id == schema);
            let status = status.ok_or_else(|| format!("Invalid values: {text}"))?;
            if allowed.is_empty() || allowed.contains(&status.id) {
                Ok(status.id.to_string())
            } else {
                Err("The value is invalid due to restrictions".to_owned())
            }
        }
    }
}

fn reference(site: &Site, attribute: &Attribute, type_id: u64, text: &str) -> Result<String, String> {
    let invalid = || format!("The value provided is invalid: there is no object {text}");
    let object = site.find(text).filter(|object| !object.archived).ok_or_else(invalid)?;
    let is_of_type = object.type_id == type_id || (attribute.include_children && site.is_or_below(object.type_id, type_id));
    if !is_of_type {
        return Err(format!("The value is invalid due to restrictions: {} is of another object type", object.key));
    }
    let home = site.types.get(&attribute.type_id).map(|object_type| object_type.schema_id);
    let away = site.types.get(&object.type_id).map(|object_type| object_type.schema_id);
    let is_open = away.and_then(|schema| site.schemas.get(&schema)).is_some_and(|schema| schema.allow_other_object_schema);
    if home != away && !is_open {
        return Err(format!("{} refers to the schema of another object schema, which does not allow it", object.key));
    }
    if let Some(query) = &attribute.query
        && !aql::is_met(site, query, object)
    {
        return Err(format!("The value is invalid due to restrictions: {} is not among those that can be chosen", object.key));
    }
    Ok(object.id.to_string())
}

fn check_form(site: &Site, settings: &Settings, attribute: &Attribute, form: Form, text: &str) -> Result<String, String> {
    let name = &attribute.name;
    let invalid = |what: &str| Err(format!("The value provided is invalid: {name} has to be {what}"));
    if form == Form::Textarea {
        let limit = settings.textarea_chars_max;
        return if text.chars().count() > limit {
            Err(format!("The value must be less than {limit} characters"))
        } else {
            Ok(text.to_owned())
        };
    }
    let limit = settings.text_chars_max.unwrap_or(if site.is_cloud() { 255 } else { 450 });
    if text.chars().count() > limit {
        return Err(format!("The value must be less than {limit} characters"));
    }
    let stored = match form {
        Form::Text | Form::Textarea => text.to_owned(),
        Form::Integer => match text.parse::<i32>() {
            Ok(number) => number.to_string(),
            Err(_) => return invalid("an integer of 32 bits"),
        },
        Form::Boolean => match text {
            "true" | "false" => text.to_owned(),
            _ => return invalid("true or false"),
        },
        Form::Double => match text.parse::<f64>() {
            Ok(number)
                if number.is_finite() && text.bytes().all(|byte| !byte.is_ascii_alphabetic() || byte.eq_ignore_ascii_case(&b'e')) =>
            {
                text.to_owned()
            }
            _ => return invalid("a number"),
        },
        Form::Date => match text.parse::<jiff::civil::Date>() {
            Ok(date) if text.len() == 10 => date.to_string(),
            _ => return invalid("a date as in 2021-02-16"),
        },
        Form::Time => {
            let has_shape = matches!(text.len(), 5 | 8) && text.bytes().enumerate().all(|(at, byte)| (at % 3 == 2) == (byte == b':'));
            match text.parse::<jiff::civil::Time>() {
                Ok(_) if has_shape => text.to_owned(),
                _ => return invalid("a time as in 20:04"),
            }
        }
        Form::DateTime => match text.parse::<Timestamp>().and_then(|at| at.round(Unit::Millisecond)) {
            Ok(at) if text.as_bytes().get(10) == Some(&b'T') && !text.contains('[') => stamp(at),
            _ => return invalid("a date and time as in 2021-02-16T20:04:41.527Z"),
        },
        Form::Url => {
            let rest = text.strip_prefix("http://").or_else(|| text.strip_prefix("https://"));
            match rest {
                Some(rest) if !rest.is_empty() && !text.contains(char::is_whitespace) => text.to_owned(),
                _ => return invalid("a URL that begins with http:// or https://"),
            }
        }
        Form::Email => {
            let is_address = text.split_once('@').is_some_and(|(user, host)| {
                !user.is_empty()
                    && host.contains('.')
                    && !host.starts_with('.')
                    && !host.ends_with('.')
                    && !host.contains('@')
                    && !text.contains(char::is_whitespace)
            });
            if !is_address {
                return invalid("an email address");
            }
            text.to_owned()
        }
        Form::Select => {
            if !attribute.options.iter().any(|option| option == text) {
                return Err(format!("Invalid values: {text} is not an option of {name}"));
            }
            text.to_owned()
        }
        Form::IpAddress => {
            let is_address = text.parse::<Ipv4Addr>().is_ok() || (settings.ipv6 && text.parse::<Ipv6Addr>().is_ok());
            if !is_address {
                return invalid("an IP address");
            }
            text.to_owned()
        }
    };
    Ok(stored)
}

/// Patterns that were met; one that makes no sense matches nothing.
static PATTERNS: LazyLock<Mutex<HashMap<String, Option<Regex>>>> = LazyLock::new(Mutex::default);

/// Whether all of the text matches.
fn matches_whole(pattern: &str, text: &str) -> bool {
    let mut patterns = PATTERNS.lock().unwrap_or_else(PoisonError::into_inner);
    let known = match patterns.get(pattern) {
        Some(known) => known,
        None => patterns.entry(pattern.to_owned()).or_insert_with(|| compile(pattern)),
    };
    known.as_ref().is_some_and(|regex| regex.is_match(text))
}

/// A pattern for all of a text; `None` when it makes no sense.
pub(crate) fn compile(pattern: &str) -> Option<Regex> {
    Regex::new(&format!("^(?:{pattern})$")).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_are_checked() {
        let site = Site::new();
        let settings = Settings::default();
        let check = |form, text: &str| check(&site, &settings, &Attribute::new("A", Kind::Default(form)), &[text.to_owned()]).ok();
        let same = |form, texts: &[&str]| {
            for text in texts {
                assert_eq!(check(form, text), Some(vec![(*text).to_owned()]), "{text}");
            }
        };
        let refused = |form, texts: &[&str]| {
            for text in texts {
                assert_eq!(check(form, text), None, "{text}");
            }
        };
        same(Form::Text, &["", "a", &"ä".repeat(255)]);
        refused(Form::Text, &["a".repeat(256).as_str()]);
        same(Form::Textarea, &["a".repeat(5000).as_str()]);
        refused(Form::Textarea, &["a".repeat(5001).as_str()]);
        same(Form::Integer, &["0", "-2147483648", "2147483647"]);
        refused(Form::Integer, &["2147483648", "1.0", "", "x"]);
        same(Form::Boolean, &["true", "false"]);
        refused(Form::Boolean, &["True", "1", "yes"]);
        same(Form::Double, &["1.5", "-1e9", "3"]);
        refused(Form::Double, &["NaN", "inf", "1,5"]);
        same(Form::Date, &["2021-02-16"]);
        refused(Form::Date, &["2021-02-30", "16/Feb/21", "2021-02-16T00:00:00Z", "20210216"]);
        same(Form::Time, &["20:04", "20:04:41"]);
        refused(Form::Time, &["24:00", "8:04", "20:04:41.5"]);
        same(Form::DateTime, &["2021-02-16T20:04:41.527Z"]);
        assert_eq!(check(Form::DateTime, "2021-02-16T21:04:41+01:00"), Some(vec!["2021-02-16T20:04:41.000Z".to_owned()]));
        refused(Form::DateTime, &["2021-02-16", "2021-02-16 20:04:41Z", "2021-02-16T20:04:41"]);
        same(Form::Url, &["https://example.com/a"]);
        refused(Form::Url, &["ftp://example.com", "example.com", "https://"]);
        same(Form::Email, &["a@example.com"]);
        refused(Form::Email, &["a", "a@b", "a@b@c.d", "a b@example.com"]);
        same(Form::IpAddress, &["10.0.0.1"]);
        refused(Form::IpAddress, &["10.0.0.256", "::1", "10.0.0.0/8"]);
    }
}
