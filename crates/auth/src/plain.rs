//! The PLAIN message (RFC 4616) and the password it carries. The check of the password is in
//! `credentials`.

use std::fmt;

use zeroize::Zeroizing;

use crate::Failure;
use crate::identity::Claim;

/// The most octets of each part. RFC 4616 §2 asks for at least 255; a localpart has up to 1023.
const MAX_NAME_BYTES: usize = 1023;
/// A bare JID: localpart, `@`, domainpart.
const MAX_AUTHZID_BYTES: usize = 2047;
const MAX_PASSWORD_BYTES: usize = 1023;

/// A password in clear, overwritten when dropped and never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Password(Zeroizing<String>);

impl Password {
    /// Takes the password as it was typed or sent.
    #[must_use]
    pub fn new(password: &str) -> Self {
        Self(Zeroizing::new(password.to_owned()))
    }

    /// The password itself. Do not keep it.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(…)")
    }
}

/// Takes a message apart: `[authzid] NUL authcid NUL passwd`. An empty authzid is none.
///
/// # Errors
/// [`Failure::MalformedRequest`] unless it is UTF-8 with exactly two NULs and no part is empty
/// (but for the authzid) or too long.
pub(crate) fn parse(message: &[u8]) -> Result<(Claim<'_>, Password), Failure> {
    let text = std::str::from_utf8(message).map_err(|_| Failure::MalformedRequest)?;
    let mut parts = text.split('\0');
    let (Some(authzid), Some(authcid), Some(password), None) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err(Failure::MalformedRequest);
    };
    let fits = |part: &str, most: usize| !part.is_empty() && part.len() <= most;
    if !fits(authcid, MAX_NAME_BYTES)
        || !fits(password, MAX_PASSWORD_BYTES)
        || authzid.len() > MAX_AUTHZID_BYTES
    {
        return Err(Failure::MalformedRequest);
    }
    let authzid = Some(authzid).filter(|authzid| !authzid.is_empty());
    Ok((Claim { authcid, authzid }, Password::new(password)))
}

/// Writes a message, as a client does; an empty authzid is left out.
#[must_use]
pub fn message(authzid: &str, username: &str, password: &str) -> Vec<u8> {
    [authzid, username, password].join("\0").into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(message: &[u8]) -> Result<(Option<&str>, &str, String), Failure> {
        let (claim, password) = parse(message)?;
        Ok((claim.authzid, claim.authcid, password.expose().to_owned()))
    }

    // RFC 4616 §4, RFC 6120 §6.4.2
    #[test]
    fn the_examples_of_the_rfcs_are_read() {
        let table: [(&[u8], _, _, _); 3] = [
            (b"\0tim\0tanstaaftanstaaf", None, "tim", "tanstaaftanstaaf"),
            (b"Ursel\0Kurt\0xipj3plmq", Some("Ursel"), "Kurt", "xipj3plmq"),
            (b"\0juliet\0r0m30myr0m30", None, "juliet", "r0m30myr0m30"),
        ];
        for (message, authzid, authcid, password) in table {
            assert_eq!(parsed(message), Ok((authzid, authcid, password.to_owned())));
        }
    }

    #[test]
    fn whatever_is_not_three_parts_of_text_is_malformed() {
        let long = "x".repeat(MAX_NAME_BYTES + 1);
        let wrong: [Vec<u8>; 13] = [
            b"".to_vec(),
            b"\0".to_vec(),
            b"\0\0".to_vec(),
            b"\0\0\0".to_vec(),
            b"romeo".to_vec(),
            b"romeo\0secret".to_vec(),
            b"\0romeo\0".to_vec(),
            b"\0\0secret".to_vec(),
            b"\0romeo\0secret\0".to_vec(),
            b"\0ro\0meo\0secret".to_vec(),
            b"\0romeo\0\xff\xfe".to_vec(),
            message("", &long, "secret"),
            message("", "romeo", &long),
        ];
        for message in wrong {
            assert_eq!(parsed(&message), Err(Failure::MalformedRequest), "{message:?}");
        }
    }

    #[test]
    fn the_longest_parts_are_read() {
        let (name, authzid) = ("x".repeat(MAX_NAME_BYTES), "y".repeat(MAX_AUTHZID_BYTES));
        assert!(parse(&message(&authzid, &name, &name)).is_ok());
    }

    #[test]
    fn a_password_is_never_printed() {
        assert_eq!(format!("{:?}", Password::new("secret")), "Password(…)");
    }
}
