//! Owns the names of guests: people who log in without an account (RFC 4505, XEP-0175). A name is a random UUID; whoever
//! has such a name and no account is a guest.

/// Most characters of what a client says of itself (RFC 4505 §2). It is not kept, and not logged.
pub(crate) const TRACE_MOST: usize = 255;

/// The name of a guest (RFC 9562 §5.4): 122 of these bits.
#[must_use]
pub fn name(random: [u8; 16]) -> String {
    let number = u128::from_be_bytes(random);
    let number = (number & !(0xf << 76)) | (4 << 76);
    let number = (number & !(0b11 << 62)) | (0b10 << 62);
    let hex = format!("{number:032x}");
    let groups = [0..8, 8..12, 12..16, 16..20, 20..32];
    groups.map(|group| hex.get(group).unwrap_or_default()).join("-")
}

/// Whether a guest may have this name, in the spelling that localparts are prepared to.
#[must_use]
pub fn is_name(localpart: &str) -> bool {
    let is_hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    localpart.len() == 36
        && localpart.bytes().enumerate().all(|(at, byte)| match at {
            8 | 13 | 18 | 23 => byte == b'-',
            14 => byte == b'4',
            19 => matches!(byte, b'8' | b'9' | b'a' | b'b'),
            _ => is_hex(byte),
        })
}

/// Whether this is what a client may say of itself: characters, not too many.
pub(crate) fn is_trace(message: &[u8]) -> bool {
    let Ok(trace) = std::str::from_utf8(message) else { return false };
    trace.chars().count() <= TRACE_MOST && !trace.contains(char::is_control)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_guests_name_is_a_random_uuid() {
        assert_eq!(name([0; 16]), "00000000-0000-4000-8000-000000000000");
        assert_eq!(name([0xff; 16]), "ffffffff-ffff-4fff-bfff-ffffffffffff");
        assert!(is_name(&name([0x5a; 16])));
    }

    #[test]
    fn other_names_are_no_guests() {
        for name in [
            "juliet",
            "",
            "00000000-0000-1000-8000-000000000000",
            "00000000-0000-4000-c000-000000000000",
            "00000000-0000-4000-8000-00000000000",
            "00000000-0000-4000-8000-00000000000G",
            "0000000000000-4000-8000-000000000000",
        ] {
            assert!(!is_name(name), "{name}");
        }
    }

    #[test]
    fn a_trace_is_short_and_of_characters() {
        assert!(is_trace(b"") && is_trace("sirhc@example.net \u{1f40d}".as_bytes()));
        assert!(is_trace("\u{fc}".repeat(255).as_bytes()));
        assert!(!is_trace("\u{fc}".repeat(256).as_bytes()));
        assert!(!is_trace(b"\xff") && !is_trace(b"a\0b"));
    }
}
