//! What is signed, and how a signature is written in `X-Profile-Trace-Signature`.

use std::fmt;

use playtrace_model::{RunToken, Slug};

use crate::Refusal;

/// The header.
pub const SIGNATURE: &str = "X-Profile-Trace-Signature";
/// So many seconds a signature is good before and after its time: a large upload behind a proxy that collects it first arrives minutes later.
pub const WINDOW: u64 = 300;

/// The version of the format; the text before the first comma begins with it.
const VERSION: &str = "v1=";
/// Bytes of HMAC-SHA256.
pub(crate) const MAC_LEN: usize = 32;
/// Digits of a time at most: the year 33658.
const TIME_DIGITS: usize = 12;

/// What a client wants to have traced. The types say that it was looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wanted<'a> {
    /// The profile.
    pub slug: &'a Slug,
    /// The run, if one is named.
    pub run: Option<&'a RunToken>,
    /// The step, if one is named.
    pub step: Option<u32>,
}

/// Makes signatures of one and the same thing different: 16 to 64 letters, digits, `-` or `_`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Nonce(String);

/// A signature, as it was written. That it is written well says nothing about whether it is good.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signature {
    /// Seconds since 1970-01-01 UTC.
    pub(crate) time: u64,
    pub(crate) nonce: Nonce,
    pub(crate) mac: [u8; MAC_LEN],
}

impl Nonce {
    /// The fewest and the most characters.
    pub const LEN: std::ops::RangeInclusive<usize> = 16..=64;

    /// Takes a text as a nonce, if it can be one.
    pub fn parse(text: &str) -> Option<Self> {
        let fits = Self::LEN.contains(&text.len())
            && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'));
        fits.then(|| Self(text.to_owned()))
    }
}

impl Wanted<'_> {
    /// The bytes that are signed. No part of them can hold a line break, so that each text stands for one set of parts.
    pub(crate) fn signed_text(&self, time: u64, nonce: &Nonce) -> String {
        // A run that has no name has none in the header either.
        let run = self.run.filter(|run| !run.is_untokened()).map_or("", RunToken::as_str);
        let step = self.step.map(|step| step.to_string()).unwrap_or_default();
        format!("playtrace-v1\n{time}\n{}\n{}\n{run}\n{step}\n", nonce.0, self.slug)
    }
}

impl Signature {
    /// The longest one.
    const MAX_LEN: usize = VERSION.len() + TIME_DIGITS + 1 + *Nonce::LEN.end() + 1 + 2 * MAC_LEN;

    /// Reads a header's value. There is one way to write each signature.
    pub fn parse(value: &str) -> Result<Self, Refusal> {
        Self::read(value).ok_or(Refusal::Malformed)
    }

    fn read(value: &str) -> Option<Self> {
        // Whatever comes, no more than this is looked at.
        if value.len() > Self::MAX_LEN {
            return None;
        }
        let mut parts = value.strip_prefix(VERSION)?.split(',');
        let (time, nonce, mac) = (parts.next()?, parts.next()?, parts.next()?);
        if parts.next().is_some() {
            return None;
        }
        let digits =
            (1..=TIME_DIGITS).contains(&time.len()) && time.bytes().all(|byte| byte.is_ascii_digit());
        if !digits || (time.len() > 1 && time.starts_with('0')) {
            return None;
        }
        Some(Self { time: time.parse().ok()?, nonce: Nonce::parse(nonce)?, mac: from_hex(mac)? })
    }

    /// When it was made, in seconds since 1970-01-01 UTC.
    pub const fn time(&self) -> u64 {
        self.time
    }

    /// A name that no other good signature has, and that can be a file's: half of the code in hexadecimal.
    pub fn name(&self) -> String {
        to_hex(&self.mac[..MAC_LEN / 2])
    }
}

impl fmt::Display for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{VERSION}{},{},{}", self.time, self.nonce.0, to_hex(&self.mac))
    }
}

fn to_hex(bytes: &[u8]) -> String {
    let digit = |nibble: u8| char::from(b"0123456789abcdef"[usize::from(nibble)]);
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 0xf)]).collect()
}

fn from_hex(text: &str) -> Option<[u8; MAC_LEN]> {
    let nibble = |byte: u8| match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    };
    let mut mac = [0; MAC_LEN];
    if text.len() != 2 * MAC_LEN {
        return None;
    }
    for (byte, digits) in mac.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
        *byte = nibble(digits[0])? << 4 | nibble(digits[1])?;
    }
    Some(mac)
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str =
        "v1=1790000000,0123456789abcdef,00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";

    #[test]
    fn a_signature_is_written_in_one_way() {
        assert_eq!(Signature::parse(GOOD).unwrap().to_string(), GOOD);
        assert_eq!(Signature::parse(GOOD).unwrap().name(), "00112233445566778899aabbccddeeff");
        for wrong in [
            String::new(),
            GOOD.replace("v1=", ""),
            GOOD.replace("v1=", "v2="),
            GOOD.replace("1790000000", ""),
            GOOD.replace("1790000000", "01790000000"),
            GOOD.replace("1790000000", "+1790000000"),
            GOOD.replace("1790000000", "1790000000000"),
            GOOD.replace("0123456789abcdef,", "0123456789abcde,"),
            GOOD.replace("0123456789abcdef,", &format!("{},", "x".repeat(65))),
            GOOD.replace("0123456789abcdef,", "0123456789abcde/,"),
            GOOD.replace("ff", "FF"),
            GOOD.replace("ff", "f"),
            GOOD.replace("ff", "f\u{e9}"),
            format!("{GOOD},"),
            format!(" {GOOD}"),
            format!("{GOOD},{GOOD}"),
            "v1=".repeat(100_000),
        ] {
            assert_eq!(Signature::parse(&wrong), Err(Refusal::Malformed), "{wrong:.100}");
        }
    }

    #[test]
    fn the_longest_one_is_taken() {
        let long = format!("v1=999999999999,{},{}", "n".repeat(64), "0".repeat(64));
        assert_eq!((long.len(), Signature::parse(&long).unwrap().to_string()), (Signature::MAX_LEN, long));
    }
}
