//! Text in queries and forms (`application/x-www-form-urlencoded`).

/// Text as it was meant; `None` when a `%` is not followed by two digits, or what comes out is not UTF-8.
pub fn decode(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => {
                let high = char::from(rest.next()?).to_digit(16)?;
                let low = char::from(rest.next()?).to_digit(16)?;
                u8::try_from(high * 16 + low).ok()?
            }
            other => other,
        });
    }
    String::from_utf8(bytes).ok()
}

/// Text for the value of a query.
pub fn encode(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~') {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}

/// Names and values, still encoded, in their order.
pub fn pairs(text: &str) -> impl Iterator<Item = (&str, &str)> {
    text.split('&').filter(|pair| !pair.is_empty()).map(|pair| pair.split_once('=').unwrap_or((pair, "")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_comes_back_as_it_went() {
        let texts = ["", "a+b c", "grün & %41=~", "a%2"];
        assert_eq!(texts.map(|text| decode(&encode(text))), texts.map(|text| Some(text.to_owned())));
        assert_eq!(["a+b", "a%2", "a%zz", "%ff"].map(decode), [Some("a b".to_owned()), None, None, None]);
        assert_eq!(pairs("a=1&&b&c=d=e").collect::<Vec<_>>(), [("a", "1"), ("b", ""), ("c", "d=e")]);
    }
}
