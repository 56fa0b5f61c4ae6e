//! Finds card numbers in text, so that none is ever stored or logged. Pure; it does not look at field names.

/// Card numbers have 13 to 19 digits.
const DIGITS_MIN: usize = 13;
const DIGITS_MAX: usize = 19;

/// What people put between the groups of a number; up to three at a time: " - ".
const SEPARATORS_MAX: usize = 3;

/// Digits that stand together, group by group.
#[derive(Default)]
struct Run {
    digits: Vec<u8>,
    /// Where groups begin in `digits`.
    starts: Vec<usize>,
    gap: usize,
}

impl Run {
    fn push(&mut self, digit: u8) {
        if self.digits.is_empty() || self.gap > 0 {
            self.starts.push(self.digits.len());
        }
        self.digits.push(digit);
        self.gap = 0;
    }

    /// Whether whole groups side by side make a card number: an expiry date behind it does not hide it. A group has
    /// at least one digit, so this looks at no more than `DIGITS_MAX` ends for each start.
    fn has_card(&self) -> bool {
        self.starts.iter().enumerate().any(|(group, start)| {
            let ends = self.starts.iter().skip(group + 1).copied().chain([self.digits.len()]);
            ends.take_while(|end| end - start <= DIGITS_MAX).any(|end| is_card(&self.digits[*start..end]))
        })
    }
}

/// Whether `text` contains 13 to 19 digits, possibly in groups, with a right check digit. Full-width and other
/// decimal digits count as digits. A longer group is no card number and is left alone, and so are ids.
pub(crate) fn has_card_number(text: &str) -> bool {
    if text.len() < DIGITS_MIN {
        return false;
    }
    let mut run = Run::default();
    for char in without_ids(text).chars() {
        if let Some(digit) = digit(char) {
            run.push(digit);
        } else if !run.digits.is_empty() && run.gap < SEPARATORS_MAX && is_separator(char) {
            run.gap += 1;
        } else {
            if run.has_card() {
                return true;
            }
            run = Run::default();
        }
    }
    run.has_card()
}

/// Ids are hex, so one in some hundred contains what looks like a card number. They are cut out, wherever they stand.
fn without_ids(text: &str) -> String {
    let mut rest = text;
    let mut kept = String::with_capacity(text.len());
    let mut in_word = false;
    while let Some(char) = rest.chars().next() {
        let id_bytes = if in_word { None } else { id_bytes(rest.as_bytes()) };
        let skipped = id_bytes.unwrap_or(char.len_utf8());
        kept.push(if id_bytes.is_some() { 'x' } else { char });
        in_word = id_bytes.is_none() && char.is_ascii_alphanumeric();
        rest = rest.get(skipped..).unwrap_or_default();
    }
    kept
}

/// The length of the id that `text` begins with: 32 hex digits, plain or with the dashes of a UUID, not all decimal.
fn id_bytes(text: &[u8]) -> Option<usize> {
    let plain = |at: usize| text.get(at).is_some_and(u8::is_ascii_hexdigit);
    let dashed = |at: usize| if [8, 13, 18, 23].contains(&at) { text.get(at) == Some(&b'-') } else { plain(at) };
    let length = if (0..36).all(dashed) {
        36
    } else if (0..32).all(plain) {
        32
    } else {
        return None;
    };
    let ends = !text.get(length).is_some_and(u8::is_ascii_alphanumeric);
    let has_letter = text.iter().take(length).any(u8::is_ascii_alphabetic);
    (ends && has_letter).then_some(length)
}

/// Whether any string in `value`, or any number, has one.
pub(crate) fn json_has_card_number(value: &serde_json::Value) -> bool {
    match value {
        serde_json::Value::String(text) => has_card_number(text),
        serde_json::Value::Number(number) => has_card_number(&number.to_string()),
        serde_json::Value::Array(items) => items.iter().any(json_has_card_number),
        serde_json::Value::Object(fields) => {
            fields.iter().any(|(name, value)| has_card_number(name) || json_has_card_number(value))
        }
        serde_json::Value::Null | serde_json::Value::Bool(_) => false,
    }
}

fn is_card(run: &[u8]) -> bool {
    (DIGITS_MIN..=DIGITS_MAX).contains(&run.len())
        && run.first().is_some_and(|first| is_issued(*first, run.len()))
        && luhn(run)
}

/// Whether issuers use numbers that begin so. No bank's begin with 0 or 1, except for the airlines' of 15 digits; but
/// every clock's reading in milliseconds does, and one in ten of those has a right check digit.
fn is_issued(first: u8, digits: usize) -> bool {
    first > 1 || (first == 1 && digits == 15)
}

fn luhn(digits: &[u8]) -> bool {
    let doubled = |digit: u8| if digit < 5 { digit * 2 } else { digit * 2 - 9 };
    let weigh = |(place, digit): (usize, &u8)| u32::from(if place % 2 == 1 { doubled(*digit) } else { *digit });
    digits.iter().rev().enumerate().map(weigh).sum::<u32>() % 10 == 0
}

/// The digit's value, for the scripts whose digits a keyboard or a paste may bring.
fn digit(char: char) -> Option<u8> {
    /// The zeros of blocks of ten: ASCII, Arabic-Indic, Persian, Devanagari, Bengali, Thai, full-width.
    const ZEROS: [char; 7] = ['0', '\u{660}', '\u{6f0}', '\u{966}', '\u{9e6}', '\u{e50}', '\u{ff10}'];
    ZEROS.iter().find_map(|zero| {
        let value = u32::from(char).checked_sub(u32::from(*zero))?;
        u8::try_from(value).ok().filter(|value| *value < 10)
    })
}

/// Spaces, dashes, dots, slashes and what cannot be seen.
fn is_separator(char: char) -> bool {
    char.is_whitespace()
        || matches!(char, '-' | '.' | '/' | '_' | '+' | ',' | '\u{ad}' | '\u{b7}' | '\u{200b}'..='\u{200f}' | '\u{2010}'..='\u{2015}' | '\u{2060}' | '\u{2212}' | '\u{feff}' | '\u{ff0d}' | '\u{ff0e}')
}

#[cfg(test)]
mod tests {
    use super::{has_card_number, json_has_card_number};

    #[test]
    fn numbers_in_every_dress_are_found() {
        for text in [
            "4242424242424242",
            "4242 4242 4242 4242",
            "card: 4242-4242-4242-4242, thanks",
            "４２４２４２４２４２４２４２４２",
            "4242\u{200b}4242\u{200b}4242\u{200b}4242",
            "4242 \u{2013}4242 - 4242--4242",
            "378282246310005",
            "135412345678911",
            "6304000000000000000",
            "4222222222222",
            "4242 4242 4242 4242 12/27 123",
            "call 0170 or use 4242424242424242",
        ] {
            assert!(has_card_number(text), "{text}");
        }
    }

    #[test]
    fn other_digits_are_left_alone() {
        for text in [
            "",
            "4242424242424243",
            "Payment for order #1234",
            "424242424242",
            "42424242424242424242424242",
            "0000000000000000",
            "user-1732184574126@example.com and 1732184574127 and 1732184574128 and 1732184574129",
            "1732184574120 1732184574121 1732184574122 1732184574123 1732184574124 1732184574125",
            "2024-06-07T12:34:56Z",
            "order_0191f3c2a4b87d9e8f00112233445566",
            "+49 170 1234567",
            "http://127.0.0.1:8080/orders/order_ab42424242424242424242cdef012345",
            "ab424242-4242-4242-4242-4242cdef0123",
        ] {
            assert!(!has_card_number(text), "{text}");
        }
    }

    #[test]
    fn json_is_searched_to_the_bottom() {
        let found = |text: &str| json_has_card_number(&serde_json::from_str(text).expect("JSON"));
        assert!(found(r#"{"a":[{"b":"4242 4242 4242 4242"}]}"#));
        assert!(found(r#"{"a":4242424242424242}"#));
        assert!(found(r#"{"4242424242424242":null}"#));
        assert!(!found(r#"{"amount":1000,"description":"Payment for order #1234"}"#));
    }
}
