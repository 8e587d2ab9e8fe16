//! Paging by item, with opaque tokens.
//!
//! Each listing has a seed, and its items the order of their hashes under that seed. A token carries seed and last hash, so that a chain of pages keeps one order and
//! loses nothing when something else comes or goes between two pages, while the next listing has another order.

use dewpoint_sim_kit::hash::{keyed, mix};
use jiff::Timestamp;

use crate::sigv4;

/// Where an item stands in a listing: items of one group (a reservation's instances) stand together.
type Place = (u64, u64);

/// What a token says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Cursor {
    seed: u64,
    after: Option<Place>,
    /// 1 for the first page.
    pub(crate) page: u32,
}

/// Why a token was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TokenError {
    /// Not one of ours, or of another call.
    Bogus,
    Expired,
}

impl Cursor {
    pub(crate) fn first(seed: u64) -> Self {
        Self { seed, after: None, page: 1 }
    }

    /// The seed for the order of nested lists on this page.
    pub(crate) fn nested_seed(self) -> u64 {
        mix(self.seed)
    }

    /// The same place, one page later: what follows a page that is empty on purpose.
    pub(crate) fn skip_page(self) -> Self {
        Self { page: self.page.saturating_add(1), ..self }
    }

    /// The next `size` items and where to go on, if there are more. The key names an item, the group what it stays together with.
    pub(crate) fn take<T>(self, items: Vec<T>, size: usize, key: impl Fn(&T) -> (&str, &str)) -> (Vec<T>, Option<Self>) {
        let place = |item: &T| {
            let (group, name) = key(item);
            (keyed(self.seed, group), keyed(self.seed, name))
        };
        let mut placed: Vec<(Place, T)> =
            items.into_iter().map(|item| (place(&item), item)).filter(|(place, _)| self.after.is_none_or(|after| *place > after)).collect();
        let more = placed.len() > size;
        if more {
            placed.select_nth_unstable_by_key(size, |(place, _)| *place);
            placed.truncate(size);
        }
        placed.sort_unstable_by_key(|(place, _)| *place);
        let after = placed.last().map(|(place, _)| *place);
        let next = more.then(|| Self { after: after.or(self.after), page: self.page.saturating_add(1), ..self });
        (placed.into_iter().map(|(_, item)| item).collect(), next)
    }
}

/// Makes and reads tokens.
#[derive(Clone, Debug)]
pub(crate) struct Tokens {
    pub(crate) secret: Vec<u8>,
    /// Seconds that a token can be used.
    pub(crate) life_s: u64,
}

const MAC_LENGTH: usize = 32;

impl Tokens {
    /// `binding` stands for the call the token belongs to: account, region, action, filters.
    pub(crate) fn write(&self, cursor: Cursor, binding: u64, now: Timestamp) -> String {
        let after = cursor.after.unwrap_or_default();
        let mut text = format!("{:016x}{:016x}{:016x}{:08x}{:016x}", cursor.seed, after.0, after.1, cursor.page, now.as_second());
        text.push_str(&self.mac(&text, binding));
        text
    }

    pub(crate) fn read(&self, token: &str, binding: u64, now: Timestamp) -> Result<Cursor, TokenError> {
        let (text, mac) = token.len().checked_sub(MAC_LENGTH).and_then(|at| token.split_at_checked(at)).ok_or(TokenError::Bogus)?;
        if mac != self.mac(text, binding) {
            return Err(TokenError::Bogus);
        }
        let mut rest = text;
        let mut next = |digits| {
            let (field, left) = rest.split_at_checked(digits)?;
            rest = left;
            u64::from_str_radix(field, 16).ok()
        };
        let mut parsed = || Some((next(16)?, (next(16)?, next(16)?), u32::try_from(next(8)?).ok()?, next(16)?));
        let (seed, after, page, issued) = parsed().ok_or(TokenError::Bogus)?;
        let age = now.as_second().saturating_sub(i64::try_from(issued).unwrap_or(i64::MAX));
        if age > i64::try_from(self.life_s).unwrap_or(i64::MAX) {
            return Err(TokenError::Expired);
        }
        // No item has this place, which says that none was listed yet.
        Ok(Cursor { seed, after: (after != (0, 0)).then_some(after), page })
    }

    fn mac(&self, text: &str, binding: u64) -> String {
        let mut mac = sigv4::hex(&sigv4::hmac(&self.secret, format!("{text}{binding:016x}").as_bytes()));
        mac.truncate(MAC_LENGTH);
        mac
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
mod tests {
    use super::*;

    fn tokens() -> Tokens {
        Tokens { secret: b"secret".to_vec(), life_s: 60 }
    }

    fn second(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn a_token_is_bound_and_ends() {
        let cursor = Cursor { seed: 7, after: Some((1, 2)), page: 3 };
        let token = tokens().write(cursor, 9, second(1000));
        assert_eq!(tokens().read(&token, 9, second(1060)), Ok(cursor));
        assert_eq!(tokens().read(&token, 9, second(1061)), Err(TokenError::Expired));
        assert_eq!(tokens().read(&token, 8, second(1000)), Err(TokenError::Bogus));
        assert_eq!(tokens().read("token", 9, second(1000)), Err(TokenError::Bogus));
        assert_eq!(tokens().read(&token.replace('0', "1"), 9, second(1000)), Err(TokenError::Bogus));
    }

    #[test]
    fn pages_of_a_changing_list_lose_nothing_that_stays() {
        let names: Vec<String> = (0..100).map(|n| format!("item-{n}")).collect();
        for size in [1, 7, 50, 99, 100, 101] {
            let (mut seen, mut next) = (Vec::new(), Some(Cursor::first(size as u64)));
            while let Some(cursor) = next {
                // Every page finds a list with one item less than the page before.
                let left: Vec<&String> =
                    names.iter().filter(|name| !(50..50 + cursor.page).any(|gone| **name == format!("item-{gone}"))).collect();
                let (page, more) = cursor.take(left, size, |name| (name.as_str(), name.as_str()));
                assert!(page.len() <= size);
                seen.extend(page);
                next = more;
            }
            let distinct: std::collections::BTreeSet<_> = seen.iter().collect();
            assert_eq!(distinct.len(), seen.len());
            assert!(names.iter().take(50).all(|name| distinct.contains(&name)));
        }
    }
}
