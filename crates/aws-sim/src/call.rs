//! One call, as the actions see it.

use std::cell::Cell;

use jiff::Timestamp;

use crate::{
    error::ApiError,
    fault::Effect,
    page::{Cursor, TokenError, Tokens},
    params::Params,
    service::Service,
    settings::Settings,
    world::{Account, Region, World},
    xml::Xml,
};

/// What answers an action.
pub(crate) type Handler = fn(&mut Call<'_>) -> Result<String, ApiError>;

/// A call that was let through: who, where, what, and the page it is about.
pub(crate) struct Call<'a> {
    pub(crate) world: &'a World,
    pub(crate) account: &'a Account,
    pub(crate) region: &'a Region,
    pub(crate) region_name: &'a str,
    pub(crate) service: Service,
    pub(crate) action: &'a str,
    pub(crate) params: Params,
    pub(crate) request_id: &'a str,
    pub(crate) settings: &'a Settings,
    pub(crate) now: Timestamp,
    /// A fault that changes the answer from within.
    pub(crate) effect: Option<&'a Effect>,
    pub(crate) tokens: &'a Tokens,
    pub(crate) binding: u64,
    /// Where the listing stands; a new one at its beginning.
    pub(crate) position: Result<Cursor, TokenError>,
    /// The token that came with the call.
    pub(crate) token: Option<String>,
}

/// What is wrong with an item on purpose.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Quirks<'a> {
    pub(crate) no_id: bool,
    pub(crate) no_state: bool,
    pub(crate) owner: Option<&'a str>,
}

/// The ids of an answer's nested items on their way out. A fault may keep the first of them back.
#[derive(Debug)]
pub(crate) struct NestedIds {
    keeps_next: Cell<bool>,
}

impl NestedIds {
    /// The id, unless it is kept back.
    pub(crate) fn send<'v>(&self, id: &'v str) -> Option<&'v str> {
        (!self.keeps_next.take()).then_some(id)
    }
}

impl<'a> Call<'a> {
    /// The page of these items that the call asks for, and the token for the next one. The key gives an item's name, and what it stays together with.
    pub(crate) fn page<T>(
        &self,
        mut items: Vec<T>,
        size: usize,
        key: impl Fn(&T) -> (&str, &str),
    ) -> Result<(Vec<T>, Option<String>), ApiError> {
        let cursor = self.cursor()?;
        if let Some(Effect::MissItem { id }) = self.effect {
            items.retain(|item| key(item).1 != id);
        }
        // A listing without pages is whole whatever the size of pages.
        let size = self.settings.page_items_max.filter(|_| size < usize::MAX).map_or(size, |most| size.min(most.max(1)));
        let (page, next) = cursor.take(items, size, key);
        Ok((page, self.next_token(cursor, next)))
    }

    /// The token that leads to `next`, or whatever a fault makes of it.
    pub(crate) fn next_token(&self, cursor: Cursor, next: Option<Cursor>) -> Option<String> {
        if self.effect == Some(&Effect::RepeatToken) {
            return Some(self.token.clone().unwrap_or_else(|| self.tokens.write(cursor, self.binding, self.now)));
        }
        next.map(|next| self.tokens.write(next, self.binding, self.now))
    }

    /// Where the listing stands.
    pub(crate) fn cursor(&self) -> Result<Cursor, ApiError> {
        let position = if self.effect == Some(&Effect::StaleToken) { Err(TokenError::Expired) } else { self.position };
        position.map_err(|error| match (self.service, error) {
            (Service::Ec2, TokenError::Bogus) => ApiError::new(400, "InvalidNextToken", "The specified NextToken is not valid."),
            (Service::Ec2, TokenError::Expired) => {
                ApiError::new(400, "InvalidPaginationToken", "The specified pagination token is not valid or is expired.")
            }
            (Service::AutoScaling, _) => ApiError::new(400, "InvalidNextToken", "The NextToken value is not valid."),
            (Service::Organizations, _) => ApiError::new(400, "InvalidInputException", "You specified an invalid value for NextToken."),
            (Service::Elbv2 | Service::Elb | Service::Sts, _) => ApiError::invalid(self.service, "The specified marker is not valid"),
        })
    }

    /// The seed for the order of nested lists.
    pub(crate) fn nested_seed(&self) -> u64 {
        self.position.map_or(0, Cursor::nested_seed)
    }

    /// What is wrong with the nth item of a page.
    pub(crate) fn quirks(&self, index: usize) -> Quirks<'a> {
        match (index, self.effect) {
            (0, Some(Effect::ItemWithoutId)) => Quirks { no_id: true, ..Quirks::default() },
            (0, Some(Effect::ItemWithoutState)) => Quirks { no_state: true, ..Quirks::default() },
            (0, Some(Effect::ForeignOwner { owner })) => Quirks { owner: Some(owner), ..Quirks::default() },
            _ => Quirks::default(),
        }
    }

    /// For the nested items of one answer.
    pub(crate) fn nested_ids(&self) -> NestedIds {
        NestedIds { keeps_next: Cell::new(self.effect == Some(&Effect::NestedWithoutId)) }
    }

    /// Takes a number that has to lie in a range.
    pub(crate) fn take_size(&mut self, name: &str, least: i64, most: i64) -> Result<Option<usize>, ApiError> {
        let Some(size) = self.params.take_int(name)? else { return Ok(None) };
        if !(least..=most).contains(&size) {
            return Err(ApiError::invalid(
                self.service,
                format!("Value ( {size} ) for parameter {name} is invalid. Expecting a value between {least} and {most}."),
            ));
        }
        Ok(usize::try_from(size).ok())
    }

    /// An answer of the query protocol.
    pub(crate) fn query_answer(&self, inside: impl FnOnce(&mut Xml)) -> String {
        let (response, result) = (format!("{}Response", self.action), format!("{}Result", self.action));
        let mut xml = Xml::new();
        xml.root(&response, self.service.namespace());
        xml.element(&result, inside);
        xml.element("ResponseMetadata", |xml| xml.text("RequestId", self.request_id));
        xml.close(&response);
        xml.into_string()
    }

    /// An answer of EC2.
    pub(crate) fn ec2_answer(&self, inside: impl FnOnce(&mut Xml)) -> String {
        let response = format!("{}Response", self.action);
        let mut xml = Xml::new();
        xml.root(&response, self.service.namespace());
        xml.text("requestId", self.request_id);
        inside(&mut xml);
        xml.close(&response);
        xml.into_string()
    }
}
