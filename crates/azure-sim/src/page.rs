//! Pages of lists, by `nextLink`.
//!
//! A token carries the key of the last item, so that a chain of pages loses nothing that stays when something else comes or goes between two pages.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use dewpoint_sim_kit::{
    form,
    hash::{keyed, mix},
};

/// Where a list stands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Cursor {
    /// 1 for the first page.
    pub(crate) page: u32,
    /// The key of the last item so far.
    after: Option<String>,
}

impl Cursor {
    pub(crate) fn first() -> Self {
        Self { page: 1, after: None }
    }

    /// The page's items, and where to go on if there are more. Items are in the order of their keys.
    pub(crate) fn take<T>(
        &self,
        items: Vec<T>,
        sizes: (usize, usize),
        empty_page: bool,
        seed: u64,
        key: impl Fn(&T) -> &str,
    ) -> (Vec<T>, Option<Self>) {
        let mut left: Vec<T> = items.into_iter().filter(|item| self.after.as_deref().is_none_or(|after| key(item) > after)).collect();
        left.sort_by(|one, other| key(one).cmp(key(other)));
        let page = self.page.saturating_add(1);
        // What is left on the second page tells that there are more than one.
        if empty_page && self.page == 2 {
            return (Vec::new(), Some(Self { page, after: self.after.clone() }));
        }
        let (least, most) = (sizes.0.max(1), sizes.1.max(sizes.0).max(1));
        let span = u64::try_from(most - least + 1).unwrap_or(1);
        let drawn = mix(seed ^ u64::from(self.page)) % span;
        let size = least + usize::try_from(drawn).unwrap_or(0);
        let more = left.len() > size;
        left.truncate(size);
        let after = left.last().map(|item| key(item).to_owned());
        (left, more.then_some(Self { page, after }))
    }

    /// As `$skiptoken`. It holds characters that have to be escaped, and belongs to one list only.
    pub(crate) fn write(&self, binding: u64) -> String {
        let text = format!("{}|{}", self.page, self.after.as_deref().unwrap_or_default());
        let mac = keyed(binding, &text);
        format!("AbC/{}=", STANDARD.encode(format!("{mac:016x}|{text}")).trim_end_matches('='))
    }

    /// `None` for a token that is not one of ours, or of another list.
    pub(crate) fn read(token: &str, binding: u64) -> Option<Self> {
        let mut text = token.strip_prefix("AbC/")?.strip_suffix('=')?.to_owned();
        while text.len() % 4 != 0 {
            text.push('=');
        }
        let text = String::from_utf8(STANDARD.decode(text).ok()?).ok()?;
        let (mac, rest) = text.split_once('|')?;
        if mac != format!("{:016x}", keyed(binding, rest)) {
            return None;
        }
        let (page, after) = rest.split_once('|')?;
        Some(Self { page: page.parse().ok()?, after: (!after.is_empty()).then(|| after.to_owned()) })
    }
}

/// Text for the value of an option of a `nextLink`, escaped in small letters as some providers do.
pub(crate) fn escape(text: &str) -> String {
    let encoded = form::encode(text);
    let mut lower = String::with_capacity(encoded.len());
    let mut digits = 0_u32;
    for character in encoded.chars() {
        if character == '%' {
            digits = 2;
            lower.push(character);
        } else {
            lower.push(if digits > 0 { character.to_ascii_lowercase() } else { character });
            digits = digits.saturating_sub(1);
        }
    }
    lower
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_bound_to_its_list() {
        let cursor = Cursor { page: 3, after: Some("/subscriptions/s/x".to_owned()) };
        let token = cursor.write(7);
        assert_eq!(Cursor::read(&token, 7), Some(cursor));
        assert_eq!([Cursor::read(&token, 8), Cursor::read("AbC/x=", 7), Cursor::read("", 7)], [None, None, None]);
        let escaped = escape(&token);
        assert!(escaped.starts_with("AbC%2f") && escaped.ends_with("%3d"), "{escaped}");
    }

    #[test]
    fn pages_are_uneven_and_complete() {
        let names: Vec<String> = (0..100).map(|number| format!("item-{number:03}")).collect();
        let (mut seen, mut sizes, mut next) = (Vec::new(), Vec::new(), Some(Cursor::first()));
        while let Some(cursor) = next {
            let (page, more) = cursor.take(names.iter().collect(), (3, 17), true, 9, |name| name.as_str());
            sizes.push(page.len());
            seen.extend(page.into_iter().cloned());
            next = more;
        }
        assert_eq!(seen, names);
        assert_eq!(sizes.get(1), Some(&0), "{sizes:?}");
        let distinct: std::collections::BTreeSet<_> = sizes.iter().collect();
        assert!(distinct.len() > 3, "{sizes:?}");
    }
}
