//! Lists that are read by pages, or by a count of which nobody should think that it is all.

use serde_json::{Map, Value, json};

use crate::{query::Params, reply::ApiError, settings::Settings};

/// Which rows are wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Window {
    /// A page, from 1, of so many rows at most.
    Page { number: usize, size: usize },
    /// The newest so many.
    Newest(usize),
}

impl Window {
    pub(crate) fn of(params: &Params, settings: &Settings) -> Result<Self, ApiError> {
        let whole = |name| Ok(params.int(name)?.and_then(|number| usize::try_from(number).ok()).filter(|number| *number > 0));
        let (number, size, count) = (whole("page_no")?, whole("page_size")?, whole("count")?);
        if params.flag("pageinate")? {
            return Ok(Self::Page { number: number.unwrap_or(1), size: size.unwrap_or(50).min(settings.page_rows_max).max(1) });
        }
        Ok(Self::Newest(count.unwrap_or(usize::MAX).min(settings.count_rows_max)))
    }

    /// The answer: the rows of this window, of all that there are in their order, under this key.
    pub(crate) fn answer<T>(self, key: &str, mut all: Vec<T>, render: impl Fn(T) -> Value) -> Value
    where
        T: Newest,
    {
        let mut body = Map::new();
        let rows: Vec<Value> = match self {
            Self::Page { number, size } => {
                body.insert("page_no".to_owned(), json!(number));
                body.insert("page_size".to_owned(), json!(size));
                body.insert("record_count".to_owned(), json!(all.len()));
                all.into_iter().skip((number - 1).saturating_mul(size)).take(size).map(render).collect()
            }
            Self::Newest(count) => {
                // It tells how many it gives, as if that were all.
                if all.len() > count {
                    all.sort_by_key(|row| std::cmp::Reverse(row.id()));
                    all.truncate(count);
                }
                body.insert("record_count".to_owned(), json!(all.len()));
                all.into_iter().map(render).collect()
            }
        };
        body.insert(key.to_owned(), Value::Array(rows));
        Value::Object(body)
    }
}

/// What tells which of two rows is newer.
pub(crate) trait Newest {
    fn id(&self) -> i64;
}

impl<T> Newest for (i64, T) {
    fn id(&self) -> i64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn window(query: &str) -> Window {
        Window::of(&Params::parse(query), &Settings::default()).unwrap_or(Window::Newest(0))
    }

    #[test]
    fn pages_are_capped_without_a_word() {
        assert_eq!(window("pageinate=true&page_size=200&page_no=2"), Window::Page { number: 2, size: 50 });
        assert_eq!(window("pageinate=true&page_size=20"), Window::Page { number: 1, size: 20 });
        assert_eq!(window("paginate=true&page_size=20"), Window::Newest(1000), "it is spelled otherwise");
        assert_eq!([window("count=7"), window("count=5000")], [Window::Newest(7), Window::Newest(1000)]);
    }

    #[test]
    fn a_count_is_no_count_of_all() {
        let rows = || (1..=9).map(|id| (id, ())).collect::<Vec<(i64, ())>>();
        let render = |(id, ())| json!(id);
        assert_eq!(Window::Newest(2).answer("rows", rows(), render), json!({"record_count": 2, "rows": [9, 8]}));
        let page = Window::Page { number: 2, size: 4 };
        assert_eq!(page.answer("rows", rows(), render), json!({"page_no": 2, "page_size": 4, "record_count": 9, "rows": [5, 6, 7, 8]}));
        let behind = Window::Page { number: 4, size: 4 };
        assert_eq!(behind.answer("rows", rows(), render), json!({"page_no": 4, "page_size": 4, "record_count": 9, "rows": []}));
    }
}
