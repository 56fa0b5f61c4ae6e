//! Codes that people read to each other and type: an alphabet in which nothing looks like something else (Crockford's).

const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
/// Characters between two dashes.
const GROUP: usize = 4;

/// One spelling for all that people type: upper case, no spaces or dashes, and the digit where a letter looks like it.
/// `None` for what is no code.
pub(crate) fn normal(text: &str) -> Option<String> {
    let plain = |character: char| match character.to_ascii_uppercase() {
        'O' => Some('0'),
        'I' | 'L' => Some('1'),
        other => other.is_ascii_alphanumeric().then_some(other),
    };
    text.chars().filter(|character| !character.is_whitespace() && *character != '-').map(plain).collect()
}

/// So many characters, each five bits of `bits`, the lowest last.
pub(crate) fn spell(bits: u64, characters: u32) -> String {
    let digit = |place: u32| char::from(ALPHABET[usize::try_from(bits >> (5 * place) & 31).unwrap_or(0)]);
    (0..characters).rev().map(digit).collect()
}

/// What [`spell`] has spelled; at most twelve characters.
pub(crate) fn value(text: &str) -> Option<u64> {
    let digit = |byte: u8| ALPHABET.iter().position(|&known| known == byte).and_then(|at| u64::try_from(at).ok());
    let digits = text.bytes().map(digit).collect::<Option<Vec<u64>>>()?;
    (digits.len() <= 12).then(|| digits.iter().fold(0, |bits, digit| bits << 5 | digit))
}

/// With a dash after every four characters.
pub(crate) fn grouped(text: &str) -> String {
    let groups: Vec<&str> = text.as_bytes().chunks(GROUP).filter_map(|group| std::str::from_utf8(group).ok()).collect();
    groups.join("-")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_spelled_is_read_back_however_it_is_typed() {
        for bits in [0, 1, 31, 32, (1 << 60) - 1, 0x0123_4567_89ab_cdef >> 4] {
            let text = grouped(&spell(bits, 12));
            assert_eq!(text.len(), 14);
            let typed = text.to_lowercase().replace('0', "o").replace('1', "l").replace('-', " ");
            assert_eq!(normal(&typed).as_deref().and_then(value), Some(bits), "{typed}");
        }
        assert_eq!((normal("ab_c"), value("AU"), value("0123456789ABC")), (None, None, None));
    }
}
