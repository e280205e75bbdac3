//! Bytes as hexadecimal digits.

/// Lower-case hexadecimal digits of `bytes`, two each.
pub fn hex(bytes: &[u8]) -> String {
    let mut digits = Vec::new();
    hex_into(bytes, &mut digits);
    // Digits are UTF-8.
    String::from_utf8(digits).unwrap_or_default()
}

/// Appends the same to text that is made as bytes.
pub(crate) fn hex_into(bytes: &[u8], text: &mut Vec<u8>) {
    // Reckoned, not looked up: a request's news are written like this, and so the compiler does sixteen bytes at once.
    let digit = |half: u8| half + if half < 10 { b'0' } else { b'a' - 10 };
    let begin = text.len();
    text.resize(begin + bytes.len() * 2, 0);
    for (digits, byte) in text[begin..].chunks_exact_mut(2).zip(bytes) {
        digits.copy_from_slice(&[digit(byte >> 4), digit(byte & 15)]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_digits_each() {
        assert_eq!(hex(&[0, 9, 10, 0x7f, 0xff]), "00090a7fff");
        assert_eq!(hex(&[]), "");
    }
}
